"""Reads `iptables-save` and `ip6tables-save`; both may follow one another in one file."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from itertools import pairwise

from postern.firewall.readers.packets import (
    EVERYTHING,
    INTERFACE,
    NEGATED,
    RATE,
    SOURCE_PORT,
    TRANSLATION,
    UNKNOWN_WORD,
    NotUnderstoodError,
    complement_ports,
    port_ranges,
    shortened,
    spans,
    transports,
)
from postern.firewall.readers.ruleset import (
    ALLOW,
    DENY,
    FORWARD,
    GOTO,
    IN,
    JUMP,
    OUT,
    RETURN,
    Filter,
    Reading,
    Remark,
    Rule,
    RulesetError,
)
from postern.firewall.region import TRANSPORTS, Box, Interval, boxes, common, complement

DIRECTIONS = {"INPUT": IN, "OUTPUT": OUT, "FORWARD": FORWARD}

_TARGETS = {"ACCEPT": ALLOW, "DROP": DENY, "REJECT": DENY, "RETURN": RETURN}
_IDLE_TARGETS = {"LOG", "NFLOG", "ULOG", "MARK", "CONNMARK", "TCPMSS", "CLASSIFY", "AUDIT", "NOTRACK", "CT"}
_IDLE_OPTIONS = {
    "--comment", "--reject-with", "--log-prefix", "--log-level", "--nflog-group", "--nflog-prefix", "--nflog-threshold",
    "--set-xmark", "--icmp-type", "--icmpv6-type", "--set-mss",
}  # fmt: skip
_IDLE_FLAGS = {"--log-tcp-options", "--log-ip-options", "--log-tcp-sequence", "--log-uid", "--clamp-mss-to-pmtu"}
_MODULES = {"tcp", "udp", "comment", "conntrack", "state", "multiport", "iprange", "addrtype", "icmp", "icmp6"}
_HEADER = re.compile(r"#.*\bip6tables", re.I)


def read(text: str) -> Reading:
    """The filter table of each section. Raises RulesetError."""
    filters: list[Filter] = []
    remarks: list[Remark] = []
    families: set[int] = set()
    for section in _sections(text):
        section.read(remarks)
        if section.table == "filter":
            families.add(section.family)
            filters += section.filters()
    if not families:
        raise RulesetError("line 1: not the output of iptables-save: there is no table *filter")
    for found in {4, 6} - families:  # the file says nothing of the other version: it neither opens nor closes it
        unseen = Rule(tuple(boxes(None, None, families=(found,))), ALLOW, 0, "other address family")
        filters = [Filter(f.direction, f.name, (unseen, *f.rules), f.default, f.chains, line=f.line) for f in filters]
    if families == {4, 6}:
        filters = [_widened(each) for each in filters]
    return Reading("iptables", tuple(filters), tuple(remarks), tuple(sorted(families)))


def _widened(of: Filter) -> Filter:
    """A filter of one version leaves packets of the other to the other section's filter."""
    other = 6 if of.name.startswith("iptables") else 4
    unseen = Rule(tuple(boxes(None, None, families=(other,))), ALLOW, of.line, f"{of.name}: other address family")
    return Filter(of.direction, of.name, (unseen, *of.rules), of.default, of.chains, line=of.line)


class _Section:
    """The lines from `*table` to COMMIT."""

    def __init__(self, table: str, lines: list[tuple[int, str]], family: int) -> None:
        """`family` 0: to be recognised by the addresses."""
        self.table = table
        self.lines = lines
        words = [word for _line, text in lines for word in text.split()]
        after = {b for a, b in pairwise(words) if a in ("-s", "-d", "--source", "--destination")}
        six = any(":" in word for word in after) or "ipv6-icmp" in words or "icmp6-port-unreachable" in words
        self.family = family or (6 if six else 4)
        self.policies: dict[str, tuple[str, int]] = {}
        self.chains: dict[str, list[Rule]] = {}

    def read(self, remarks: list[Remark]) -> None:
        for number, text in self.lines:
            try:
                if text.startswith(":"):
                    chain, policy = text[1:].split()[:2]
                    self.chains.setdefault(chain, [])
                    self.policies[chain] = policy, number
                elif self.table == "filter":
                    self.rule(number, text)
                elif " -j DNAT " in text or " -j REDIRECT" in text or " -j TPROXY" in text:
                    raise NotUnderstoodError(TRANSLATION, self.table)
            except NotUnderstoodError as problem:
                remarks.append(Remark(number, shortened(text), problem.reason, problem.detail))
            except ValueError:
                remarks.append(Remark(number, shortened(text), UNKNOWN_WORD))

    def rule(self, number: int, text: str) -> None:
        words = shlex.split(text)
        if words and words[0].startswith("["):  # iptables-save -c prints counters first
            words = words[1:]
        if len(words) < 2 or words[0] not in ("-A", "--append"):
            raise NotUnderstoodError(UNKNOWN_WORD, " ".join(words[:1]))
        line = _Line(words[2:], self.family)
        line.read()
        if not line.target or not line.packets or line.target in _IDLE_TARGETS:
            return
        if line.doubt is not None:
            raise line.doubt
        name = line.comment or f"{words[1]} line {number}"
        verdict = _TARGETS.get(line.target, "")
        if verdict:
            self.chains.setdefault(words[1], []).append(Rule(tuple(line.packets), verdict, number, name))
            return
        if line.target not in self.policies:
            raise NotUnderstoodError(UNKNOWN_WORD, line.target)
        jump = Rule(tuple(line.packets), GOTO if line.goes else JUMP, number, name, line.target)
        self.chains.setdefault(words[1], []).append(jump)

    def filters(self) -> list[Filter]:
        chains = {name: tuple(rules) for name, rules in self.chains.items()}
        program = "iptables" if self.family == 4 else "ip6tables"
        found = []
        for chain, direction in DIRECTIONS.items():
            policy, number = self.policies.get(chain, ("ACCEPT", 0))
            default = ALLOW if policy == "ACCEPT" else DENY
            rules = chains.get(chain, ())
            found.append(Filter(direction, f"{program} {chain}", rules, default, chains, line=number))
        return found


class _Line:
    """The conditions and the target of one rule."""

    def __init__(self, words: list[str], family: int) -> None:
        self.words = iter(words)
        self.family = family
        self.packets: list[Box] = [box for box in EVERYTHING if box.family == family]
        self.doubt: NotUnderstoodError | None = None
        self.target = ""
        self.goes = False
        self.comment = ""

    def read(self) -> None:
        negated = False
        for word in self.words:
            if word == "!":
                negated = True
                continue
            try:
                self.option(word, negated)
            except NotUnderstoodError as problem:
                self.doubt = self.doubt or problem
            negated = False

    def value(self) -> str:
        found = next(self.words, None)
        if found is None:
            raise NotUnderstoodError(UNKNOWN_WORD, "end of the line")
        return found

    def option(self, word: str, negated: bool) -> None:
        handler = _OPTIONS.get(word)
        if handler is not None:
            handler(self, self.value(), negated)
        elif word == "--comment":
            self.comment = self.value()
        elif word in ("-j", "--jump", "-g", "--goto"):
            self.target, self.goes = self.value(), word in ("-g", "--goto")
        elif word == "--syn":
            self.keep([] if negated else list(EVERYTHING))
        elif word == "--tcp-flags":
            mask, wanted = self.value(), self.value()
            opens = "SYN" in wanted.split(",") and not {"ACK", "RST", "FIN"} & set(wanted.split(","))
            if mask not in ("FIN,SYN,RST,ACK", "SYN,RST,ACK,FIN", "SYN,RST,ACK") and opens:
                raise NotUnderstoodError(UNKNOWN_WORD, f"{word} {mask} {wanted}")
            self.keep(list(EVERYTHING) if opens != negated else [])
        elif word in _IDLE_OPTIONS:
            self.value()
        elif word not in _IDLE_FLAGS:
            raise NotUnderstoodError(UNKNOWN_WORD, word)

    def keep(self, packets: list[Box]) -> None:
        self.packets = common(self.packets, packets)

    def addresses(self, value: str, negated: bool, source: bool) -> None:
        found = spans(value.split(","))
        if found is None and not negated:
            return
        chosen = complement(found or [], self.family) if negated else found
        self.keep(boxes(chosen, None) if source else boxes(None, chosen))

    def protocol(self, value: str, negated: bool) -> None:
        chosen = transports(value)
        self.keep(boxes(None, None, [name for name in TRANSPORTS if (name in chosen) != negated]))

    def ports(self, value: str, negated: bool) -> None:
        ranges: tuple[Interval, ...] = port_ranges(value.split(","), ":-")
        self.keep(boxes(None, None, ports=complement_ports(ranges) if negated else ranges))

    def source_ports(self, value: str, _negated: bool) -> None:
        raise NotUnderstoodError(SOURCE_PORT, value)

    def interface(self, value: str, negated: bool) -> None:
        if value != "lo":
            raise NotUnderstoodError(INTERFACE, value)
        if not negated:
            self.keep([])

    def states(self, value: str, negated: bool) -> None:
        if ("NEW" in value.split(",")) == negated:
            self.keep([])

    def module(self, value: str, _negated: bool) -> None:
        if value in ("limit", "hashlimit", "recent", "connlimit", "statistic"):
            raise NotUnderstoodError(RATE, value)
        if value not in _MODULES:
            raise NotUnderstoodError(UNKNOWN_WORD, f"-m {value}")

    def destination_type(self, value: str, negated: bool) -> None:
        if value == "LOCAL" and not negated:
            return
        raise NotUnderstoodError(NEGATED if negated else UNKNOWN_WORD, f"--dst-type {value}")


_OPTIONS: dict[str, Callable[[_Line, str, bool], None]] = {
    **dict.fromkeys(("-s", "--source", "--src-range"), lambda line, value, no: line.addresses(value, no, True)),
    **dict.fromkeys(("-d", "--destination", "--dst-range"), lambda line, value, no: line.addresses(value, no, False)),
    **dict.fromkeys(("-p", "--protocol"), _Line.protocol),
    **dict.fromkeys(("--dport", "--dports", "--destination-port", "--destination-ports"), _Line.ports),
    **dict.fromkeys(("--sport", "--sports", "--source-port", "--source-ports", "--ports"), _Line.source_ports),
    **dict.fromkeys(("-i", "-o", "--in-interface", "--out-interface"), _Line.interface),
    **dict.fromkeys(("--ctstate", "--state"), _Line.states),
    **dict.fromkeys(("-m", "--match"), _Line.module),
    "--dst-type": _Line.destination_type,
}


def _versions(table: str, lines: list[tuple[int, str]], six: bool) -> Iterator[_Section]:
    """One section, or two where lines are marked -4 and -6: iptables-restore and ip6tables-restore take their own."""
    if not any(text.startswith(("-4 ", "-6 ")) for _line, text in lines):
        yield _Section(table, lines, 6 if six else 0)
        return
    for family, other in ((4, "-6 "), (6, "-4 ")):
        own = [(line, text.removeprefix(f"-{family} ")) for line, text in lines if not text.startswith(other)]
        yield _Section(table, own, family)


def _sections(text: str) -> Iterator[_Section]:
    table, six, header = "", False, False
    lines: list[tuple[int, str]] = []
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if stripped.startswith("#"):
            header = header or bool(_HEADER.match(stripped))
        elif stripped.startswith("*"):
            table, lines, six = stripped[1:], [], header
        elif stripped == "COMMIT":
            if table:
                yield from _versions(table, lines, six)
            table, header = "", False
        elif stripped:
            if not table:
                raise RulesetError(f"line {number}: a rule stands outside a table (*filter … COMMIT): {stripped[:60]}")
            lines.append((number, stripped))
    if table:
        raise RulesetError(f"line {number}: the table *{table} has no COMMIT: the file is cut off")

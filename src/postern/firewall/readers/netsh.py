"""Reads `netsh advfirewall firewall show rule name=all verbose` and scripts of `… add rule` commands.

The listing is in the language of Windows; English and Russian are known. Labels of another language are remarks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from postern.firewall.readers.packets import UNKNOWN_WORD, NotUnderstoodError, shortened
from postern.firewall.readers.ruleset import ALLOW, DENY, IN, OUT, Reading, Remark, Rule, RulesetError
from postern.firewall.readers.windows import DOMAIN, RPC, Defaults, Entry, choose, filters, profiles, words
from postern.firewall.region import Interval

_LABELS = {
    "rule name": "name", "имя правила": "name",
    "enabled": "enable", "включено": "enable",
    "direction": "dir", "направление": "dir",
    "profiles": "profile", "профили": "profile",
    "localip": "localip", "локальный ip-адрес": "localip", "локальный ip": "localip",
    "remoteip": "remoteip", "удаленный ip-адрес": "remoteip", "удалённый ip-адрес": "remoteip",
    "удаленный ip": "remoteip",
    "protocol": "protocol", "протокол": "protocol",
    "localport": "localport", "локальный порт": "localport",
    "remoteport": "remoteport", "удаленный порт": "remoteport", "удалённый порт": "remoteport",
    "action": "action", "действие": "action",
    "interfacetypes": "interfacetype", "типы интерфейсов": "interfacetype",
    "security": "security", "безопасность": "security",
}  # fmt: skip
_IDLE = {
    "description", "описание", "grouping", "группировка", "группа", "edge traversal", "обход узлов", "program",
    "программа", "service", "служба", "rule source", "источник правила",
}  # fmt: skip
_YES = {"yes": True, "да": True, "no": False, "нет": False}
_DIRECTIONS = {"in": IN, "out": OUT, "внутрь": IN, "наружу": OUT, "входящие": IN, "исходящие": OUT, "вход": IN}
_ACTIONS = {"allow": ALLOW, "разрешить": ALLOW, "block": DENY, "блокировать": DENY, "заблокировать": DENY}
_LISTED = re.compile(r"^(?P<label>[^\s:][^:]{0,40}):(?P<value>\s.*|)$")
_ADD = re.compile(r"\badvfirewall\s+firewall\s+add\s+rule\b(?P<rest>.*)$", re.I)
_POLICY = re.compile(r"\badvfirewall\s+set\s+\S+\s+firewallpolicy\s+(\w+),(\w+)", re.I)
_PAIR = re.compile(r'(\w+)\s*=\s*("[^"]*"|[^\s"]+)')


def read(text: str, profile: str = DOMAIN, rpc: Interval = RPC) -> Reading:
    """The rules in force in a profile. Raises RulesetError."""
    lines = list(enumerate(text.splitlines(), 1))
    listing = any(_label(line) == "name" for _number, line in lines)
    defaults, remarks = Defaults(), list[Remark]()
    found: list[tuple[str, Rule]] = []
    for number, source, fields in _listing(lines, remarks) if listing else _script(lines, defaults):
        try:
            entry = _entry(number, fields)
            if entry.holds(profile):
                found.append((entry.direction, entry.rule(rpc)))
        except NotUnderstoodError as problem:
            remarks.append(Remark(number, shortened(source), problem.reason, problem.detail))
    if not listing and "advfirewall" not in text.lower():
        raise RulesetError("line 1: neither a listing of `netsh advfirewall firewall show rule` nor a script of it")
    return Reading("netsh", filters(found, defaults), tuple(remarks))


def _label(line: str) -> str:
    found = _LISTED.match(line)
    return _LABELS.get(found["label"].strip().lower(), "") if found else ""


def _listing(lines: list[tuple[int, str]], remarks: list[Remark]) -> Iterator[tuple[int, str, dict[str, str]]]:
    """Rules of the listing: line, name, fields."""
    fields: dict[str, str] = {}
    start = 0
    for number, line in lines:
        found = _LISTED.match(line)
        if found is None:
            if fields and line[:1].isspace() and line.strip() and start:
                _continue(fields, line)
            continue
        label = found["label"].strip().lower()
        key = _LABELS.get(label, "")
        if key == "name":
            if fields:
                yield start, fields["name"], fields
            fields, start = {}, number
        if key and (fields or key == "name"):
            fields[key] = found["value"].strip()
        elif label not in _IDLE and fields:
            remarks.append(Remark(number, shortened(line), UNKNOWN_WORD, found["label"].strip()))
    if fields:
        yield start, fields["name"], fields


def _continue(fields: dict[str, str], line: str) -> None:
    """A long list of addresses goes on in the next line; types and codes of ICMP are not needed."""
    last = next(reversed(fields))
    if last in ("localip", "remoteip", "localport", "remoteport") and fields[last].endswith(","):
        fields[last] += line.strip()


def _script(lines: list[tuple[int, str]], defaults: Defaults) -> Iterator[tuple[int, str, dict[str, str]]]:
    """Rules of a command file: line, command, fields."""
    for number, line in _joined(lines):
        policy = _POLICY.search(line)
        if policy is not None:
            defaults.inbound = ALLOW if policy[1].lower().startswith("allow") else DENY
            defaults.outbound = ALLOW if policy[2].lower().startswith("allow") else DENY
        command = _ADD.search(line)
        if command is not None and not re.match(r"\s*(rem\b|::|#|echo\b)", line, re.I):
            fields = {key.lower(): value.strip('"') for key, value in _PAIR.findall(command["rest"])}
            yield number, line.strip(), fields


def _joined(lines: list[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """Lines, with those put together that end in cmd's `^`."""
    start, held = 0, ""
    for number, line in lines:
        start = start or number
        if line.rstrip().endswith("^"):
            held += line.rstrip()[:-1] + " "
            continue
        yield start, held + line
        start, held = 0, ""
    if held:
        yield start, held


def _entry(number: int, fields: dict[str, str]) -> Entry:
    """The fields as an entry. Raises NotUnderstoodError."""
    return Entry(
        line=number,
        name=fields.get("name", ""),
        direction=choose(_DIRECTIONS, fields.get("dir", "")),
        action=choose(_ACTIONS, fields.get("action", "")),
        enabled=choose(_YES, fields.get("enable", "yes")),
        profiles=profiles(fields.get("profile", "any")),
        protocol=fields.get("protocol", "any"),
        local_ports=words(fields.get("localport", "")),
        remote_ports=words(fields.get("remoteport", "")),
        local_addresses=words(fields.get("localip", "")),
        remote_addresses=words(fields.get("remoteip", "")),
        interfaces=fields.get("interfacetype", "any"),
        secured=fields.get("security", "NotRequired").lower() not in ("notrequired", "не требуется"),
    )

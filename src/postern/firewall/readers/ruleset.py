"""What every reader makes: filters of ordered rules, and remarks on what it could not understand."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from postern.catalogue.schema import Names
from postern.firewall.region import Box, boxes, common, minus

ALLOW, DENY, RETURN, JUMP, GOTO = "allow", "deny", "return", "jump", "goto"
IN, OUT, FORWARD = "in", "out", "forward"


class RulesetError(ValueError):
    """A file that is no ruleset of its format at all: the message has the line and says what to do."""


class Remark(msgspec.Struct, frozen=True):
    """Something in the ruleset that the audit leaves out."""

    line: int
    """From 1; 0 where the format has none."""
    text: str
    """The rule as written, shortened."""
    reason: Names
    """Why it was not understood."""
    detail: str = ""
    """What exactly: the word, the condition, the name."""


class Rule(msgspec.Struct, frozen=True):
    """One rule: packets and what becomes of them."""

    packets: tuple[Box, ...]
    verdict: str
    """ALLOW, DENY, RETURN, JUMP or GOTO."""
    line: int
    name: str
    """What an administrator finds it by: its name, comment or text."""
    target: str = ""
    """The chain that JUMP and GOTO lead to."""


class Filter(msgspec.Struct, frozen=True):
    """What decides on packets of one direction: chains of rules of which the first that matches decides."""

    direction: str
    """IN (to the host), OUT (from it) or FORWARD (through it)."""
    name: str
    rules: tuple[Rule, ...]
    default: str
    """ALLOW or DENY: what becomes of packets that no rule decides."""
    chains: dict[str, tuple[Rule, ...]] = {}
    """Chains that rules lead to."""
    host: str = ""
    """The host it belongs to, where the file says so (security groups)."""
    line: int = 0


class Reading(msgspec.Struct, frozen=True):
    """A ruleset as it was understood."""

    format: str
    filters: tuple[Filter, ...]
    remarks: tuple[Remark, ...] = ()
    families: tuple[int, ...] = (4, 6)
    """The IP versions that the file speaks of."""


class Opening(NamedTuple):
    """Packets that pass, and the rule that lets them."""

    packets: Box
    rule: Rule


def openings(of: Filter) -> tuple[Opening, ...]:
    """Everything that a filter lets pass. Openings of different rules may overlap."""
    walk = _Walk(of.chains)
    walk.chain(of.rules, None, ())
    if of.default == ALLOW:
        policy = Rule((), ALLOW, of.line, f"{of.name}: default")
        walk.allow(policy, boxes(None, None), ())
    return tuple(walk.found)


class _Walk:
    """Goes through the chains with the packets denied so far."""

    def __init__(self, chains: dict[str, tuple[Rule, ...]]) -> None:
        self.chains = chains
        self.found: list[Opening] = []
        self.denied: list[Box] = []
        self.open: list[str] = []

    def allow(self, rule: Rule, packets: list[Box], left: tuple[Box, ...]) -> None:
        for box in minus(packets, [*left, *self.denied]):
            self.found.append(Opening(box, rule))

    def chain(self, rules: tuple[Rule, ...], entry: list[Box] | None, left: tuple[Box, ...]) -> None:
        """Decide on the packets of `entry` (None: all) that are not in `left`, which have returned to a caller."""
        for rule in rules:
            packets = list(rule.packets) if entry is None else common(rule.packets, entry)
            if not packets:
                continue
            if rule.verdict == ALLOW:
                self.allow(rule, packets, left)
            elif rule.verdict == DENY:
                self.denied += minus(packets, left)
            elif rule.verdict == RETURN:
                left = (*left, *packets)
            elif rule.target not in self.open:  # the kernel refuses loops; a file written by hand may have one
                self.open.append(rule.target)
                self.chain(self.chains.get(rule.target, ()), minus(packets, left), ())
                self.open.pop()
                if rule.verdict == GOTO:
                    left = (*left, *packets)

"""Chains: the first rule that matches decides, and jumps come back."""

from __future__ import annotations

from postern.firewall.readers.ruleset import ALLOW, DENY, GOTO, IN, JUMP, RETURN, Filter, Rule, openings
from postern.firewall.region import boxes


def rule(verdict: str, first: int, last: int, target: str = "") -> Rule:
    return Rule(tuple(boxes(None, None, ("tcp",), ((first, last),), (4,))), verdict, 0, f"{first}", target)


def open_ports(rules, default=DENY, **chains) -> set[int]:
    made = Filter(IN, "test", tuple(rules), default, {name: tuple(inside) for name, inside in chains.items()})
    found = [one.packets for one in openings(made) if one.packets.family == 4 and one.packets.transport == "tcp"]
    return {port for box in found for port in range(box.ports[0], min(box.ports[1], 20) + 1)}


def test_the_first_rule_that_matches_decides():
    assert open_ports([rule(DENY, 2, 3), rule(ALLOW, 1, 5), rule(DENY, 4, 4)]) == {1, 4, 5}


def test_the_default_holds_for_the_rest():
    assert open_ports([rule(DENY, 2, 20)], ALLOW) == {0, 1}


def test_a_jump_comes_back_with_what_was_not_decided():
    assert open_ports([rule(JUMP, 1, 9, "a"), rule(ALLOW, 5, 12)], a=[rule(DENY, 6, 7), rule(ALLOW, 1, 2)]) == {
        1, 2, 5, 8, 9, 10, 11, 12,
    }  # fmt: skip


def test_return_leaves_the_chain_and_not_its_caller():
    inside = [rule(RETURN, 3, 4), rule(DENY, 1, 9)]
    assert open_ports([rule(JUMP, 1, 9, "a"), rule(ALLOW, 1, 10)], a=inside) == {3, 4, 10}


def test_goto_does_not_come_back():
    assert open_ports([rule(GOTO, 1, 5, "a"), rule(ALLOW, 1, 10)], a=[rule(ALLOW, 2, 2)]) == {2, 6, 7, 8, 9, 10}


def test_a_jump_to_itself_ends():
    assert open_ports([rule(JUMP, 1, 5, "a")], a=[rule(JUMP, 1, 5, "a"), rule(ALLOW, 3, 3)]) == {3}

"""Reads `nft -j list ruleset` (libnftables-json(5))."""

from __future__ import annotations

import json
from collections.abc import Callable

from postern.catalogue.schema import Names
from postern.firewall.readers.nft_conditions import condition, fields
from postern.firewall.readers.packets import EVERYTHING, RATE, TRANSLATION, UNKNOWN_WORD, NotUnderstoodError, shortened
from postern.firewall.readers.positions import Object, parse
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
from postern.firewall.region import Box, boxes, common

HOOKS = {
    "input": (IN,),
    "output": (OUT,),
    "forward": (FORWARD,),
    "prerouting": (IN, FORWARD),
    "postrouting": (OUT, FORWARD),
}
CHANGING = Names(
    "the set is filled while the firewall runs, so its elements are not in the file",
    "множество наполняется во время работы, и его элементов в файле нет",
)
FAMILY = Names(
    "the audit reads tables of the families ip, ip6 and inet",
    "проверка читает таблицы семейств ip, ip6 и inet",
)
DORMANT = Names(
    "the table is switched off",
    "таблица выключена",
)

_FAMILIES = {"ip": (4,), "ip6": (6,), "inet": (4, 6)}
_IDLE = {
    "counter",
    "log",
    "comment",
    "notrack",
    "mangle",
    "meta",
    "ct helper",
    "ct timeout",
    "secmark",
    "flow",
    "masquerade",
    "snat",
}
"""Statements that leave a packet's fate alone."""
_TRANSLATING = {"dnat", "redirect", "tproxy"}
_VERDICTS = {"accept": ALLOW, "drop": DENY, "reject": DENY, "return": RETURN, "jump": JUMP, "goto": GOTO}


def read(text: str) -> Reading:
    """The base chains at input, output and forward. Raises RulesetError."""
    document = parse(text)
    items = document.get("nftables") if isinstance(document, dict) else None
    if not isinstance(items, list):
        raise RulesetError('line 1: not the output of `nft -j list ruleset`: {"nftables": [...]} is expected')
    reader = _Reader()
    for item in items:
        if isinstance(item, Object) and len(item) == 1:
            reader.take(*next(iter(item.items())))
    return reader.reading()


class _Reader:
    def __init__(self) -> None:
        self.chains: dict[tuple[str, str], list[Rule]] = {}
        self.bases: list[Object] = []
        self.rules: list[Object] = []
        self.sets: dict[tuple[str, str], Object] = {}
        self.remarks: list[Remark] = []

    def take(self, kind: str, value: object) -> None:
        if not isinstance(value, Object):
            return
        if kind == "chain":
            self.chains.setdefault((_table(value), str(value.get("name"))), [])
            if "hook" in value:
                self.bases.append(value)
        elif kind == "rule":
            self.rules.append(value)
        elif kind in ("set", "map"):
            self.sets[_table(value), str(value.get("name"))] = value
        elif kind == "table" and "dormant" in str(value.get("flags", "")):
            self.remark(value, DORMANT)

    def remark(self, value: Object, reason: Names, detail: str = "") -> None:
        self.remarks.append(Remark(value.line, shortened(json.dumps(value, ensure_ascii=False)), reason, detail))

    def reading(self) -> Reading:
        for value in self.rules:
            if str(value.get("family")) not in _FAMILIES:
                self.remark(value, FAMILY, str(value.get("family")))
                continue
            try:
                self.chains.setdefault((_table(value), str(value.get("chain"))), []).extend(self.rule(value))
            except NotUnderstoodError as problem:
                self.remark(value, problem.reason, problem.detail)
        filters = [made for base in self.bases for made in self.filters(base)]
        return Reading("nftables", tuple(filters), tuple(self.remarks))

    def filters(self, base: Object) -> list[Filter]:
        table, name = _table(base), str(base.get("name"))
        families = _FAMILIES.get(str(base.get("family")), ())
        if base.get("type") != "filter" or not families:
            return []
        chains = {of: tuple(rules) for (owner, of), rules in self.chains.items() if owner == table}
        others = tuple(family for family in (4, 6) if family not in families)
        unseen = [
            Rule(tuple(boxes(None, None, families=others)), ALLOW, base.line, f"{table} {name}: other address family")
        ]
        rules = (*(unseen if others else []), *chains.get(name, ()))
        default = DENY if base.get("policy") == "drop" else ALLOW
        return [
            Filter(direction, f"{table} {name}", rules, default, chains, line=base.line)
            for direction in HOOKS.get(str(base.get("hook")), ())
        ]

    def rule(self, value: Object) -> list[Rule]:
        """The rules that one rule stands for: several when a verdict map decides."""
        name = str(value.get("comment") or f"{_table(value)} {value.get('chain')} handle {value.get('handle')}")
        expressions = value.get("expr")
        families = _FAMILIES[str(value.get("family"))]
        packets = [box for box in EVERYTHING if box.family in families]
        found: list[Rule] = []
        doubt: NotUnderstoodError | None = None
        strange: NotUnderstoodError | None = None
        decides = False
        for statement in expressions if isinstance(expressions, list) else []:
            kind, content = next(iter(statement.items())) if isinstance(statement, dict) and statement else ("", None)
            try:
                if kind == "match":
                    packets = common(packets, self.match(value, content))
                elif kind in _VERDICTS:
                    found.append(Rule(tuple(packets), _VERDICTS[kind], value.line, name, _target(content)))
                elif kind == "vmap":
                    found += self.verdict_map(value, content, packets, name)
                elif kind == "limit":
                    raise NotUnderstoodError(RATE, kind)
                elif kind not in _IDLE:
                    strange = NotUnderstoodError(TRANSLATION if kind in _TRANSLATING else UNKNOWN_WORD, kind)
            except NotUnderstoodError as problem:
                doubt = doubt or problem
                decides = decides or kind == "vmap"
            if not packets:
                return found  # whatever else it says: it is no rule for the first packet of a flow
        # a rule that only counts or logs leaves the packet's fate alone, whatever its conditions
        left_out = strange or (doubt if found or decides else None)
        if left_out is not None:
            raise left_out
        return found

    def match(self, value: Object, content: object) -> list[Box]:
        match content:
            case {"op": ("==" | "in" | "!=") as operator, "left": left, "right": right}:
                return condition(fields(left), self.atoms(value, right), operator == "!=")
            case {"op": str(operator)}:
                raise NotUnderstoodError(UNKNOWN_WORD, operator)
        raise NotUnderstoodError(UNKNOWN_WORD, "match")

    def atoms(self, rule: Object, right: object) -> list[object]:
        """The values on the right of a comparison, one by one; sets are looked up in the rule's table."""
        match right:
            case str() if right.startswith("@"):
                named = self.sets.get((_table(rule), right[1:]))
                if named is None:
                    raise NotUnderstoodError(UNKNOWN_WORD, right)
                if "dynamic" in str(named.get("flags", "")) or "timeout" in named:
                    raise NotUnderstoodError(CHANGING, right)
                return self.atoms(rule, {"set": named.get("elem", [])})
            case {"set": [*items]}:
                return [atom for item in items for atom in self.atoms(rule, item)]
            case {"set": single}:
                return self.atoms(rule, single)
            case {"elem": {"val": held}}:
                return self.atoms(rule, held)
            case [*items]:
                return [atom for item in items for atom in self.atoms(rule, item)]
        return [right]

    def verdict_map(self, rule: Object, content: object, packets: list[Box], name: str) -> list[Rule]:
        match content:
            case {"key": key, "data": data}:
                names = fields(key)
            case _:
                raise NotUnderstoodError(UNKNOWN_WORD, "vmap")
        if isinstance(data, str):
            named = self.sets.get((_table(rule), data.removeprefix("@")))
            pairs = named.get("elem", []) if named is not None else None
        else:
            pairs = data.get("set") if isinstance(data, dict) else None
        if not isinstance(pairs, list):
            raise NotUnderstoodError(UNKNOWN_WORD, data)
        found = []
        for pair in pairs:
            match pair:
                case [key, dict() as verdict] if verdict:
                    kind, content = next(iter(verdict.items()))
                case _:
                    raise NotUnderstoodError(UNKNOWN_WORD, pair)
            if kind not in _VERDICTS:
                raise NotUnderstoodError(UNKNOWN_WORD, kind)
            chosen = common(packets, condition(names, self.atoms(rule, key)))
            if chosen:
                found.append(Rule(tuple(chosen), _VERDICTS[kind], rule.line, name, _target(content)))
        return found


def _table(value: Object) -> str:
    key: Callable[[str], object] = value.get
    return f"{key('family')} {key('table')}"


def _target(content: object) -> str:
    return str(content.get("target", "")) if isinstance(content, dict) else ""

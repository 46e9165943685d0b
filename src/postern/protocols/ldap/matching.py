"""A filter against one entry at hand (RFC 4511 4.5.1.7): for the few entries that no directory holds.

Values are compared as caseIgnoreMatch does, whatever the attribute: root DSE, schema and containers have names only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from postern.protocols.ldap.filters import And, Compare, Extensible, Filter, Not, Or, Present, Substrings


def matches(wanted: Filter, attributes: Mapping[str, Sequence[bytes]]) -> bool:
    """Whether a filter is TRUE for an entry, neither FALSE nor Undefined."""
    return _evaluate(wanted, {name.lower(): [_fold(value) for value in values] for name, values in attributes.items()})


def _evaluate(wanted: Filter, known: Mapping[str, Sequence[str]]) -> bool:
    return _decide(wanted, known) is True


def _decide(wanted: Filter, known: Mapping[str, Sequence[str]]) -> bool | None:
    match wanted:
        case And(terms):
            answers = [_decide(term, known) for term in terms]
            return False if False in answers else None if None in answers else True
        case Or(terms):
            answers = [_decide(term, known) for term in terms]
            return True if True in answers else None if None in answers else False
        case Not(term):
            answer = _decide(term, known)
            return None if answer is None else not answer
        case Present(attribute):
            return bool(known.get(attribute.lower()))
        case Extensible():
            return None
    values = known.get(wanted.attribute.lower())
    if values is None:
        return None
    if isinstance(wanted, Substrings):
        return any(_contains(value, wanted) for value in values)
    assert isinstance(wanted, Compare)
    given = _fold(wanted.value)
    match wanted.operator:
        case ">=":
            return any(value >= given for value in values)
        case "<=":
            return any(value <= given for value in values)
        case _:
            return given in values


def _contains(value: str, wanted: Substrings) -> bool:
    initial, final = _fold(wanted.initial), _fold(wanted.final)
    if not value.startswith(initial):
        return False
    at = len(initial)
    for part in map(_fold, wanted.any):
        found = value.find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    return value.endswith(final) and len(value) - len(final) >= at


def _fold(value: bytes) -> str:
    return value.decode("utf-8", "replace").casefold()

"""GetInboxRules and UpdateInboxRules (MS-OXWSRULES 3.1.4). A rule's faults are gathered, not raised at the first."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from lxml.etree import _Element as Element

from postern.model.rules import Predicates, RuleActions
from postern.protocols.ews import places
from postern.protocols.ews.places import AnyFolder, ItemRef, limited
from postern.protocols.ews.reading import (
    boolean,
    boolean_of,
    child,
    children,
    choice,
    date_time,
    integer,
    need,
    only,
    some,
    text,
    text_of,
)
from postern.protocols.ews.rule_fields import (
    ACTIONS,
    ADDRESSES,
    BOOLEAN,
    CHOICE,
    DATES,
    ITEM,
    PREDICATES,
    SIZES,
    STRINGS,
    TARGET,
    UNABLE,
    Fault,
    Row,
)
from postern.protocols.ews.violation import SchemaViolation

MAX_NAME = 256
MAX_STRING = 1024
_ADDRESS = re.compile(r"[^\s@<>(),;:\"]+@[^\s@<>(),;:\"]+").fullmatch


class Draft(msgspec.Struct, frozen=True):
    """A rule as it is given; what is named in it has still to be found."""

    name: str
    priority: int
    enabled: bool
    conditions: Predicates
    exceptions: Predicates
    actions: RuleActions
    targets: dict[str, AnyFolder]
    """CopyToFolder, MoveToFolder."""
    reply: ItemRef | None
    faults: tuple[Fault, ...]


class RuleOperation(msgspec.Struct, frozen=True):
    """One thing to be done."""

    kind: str
    """create, set, delete."""
    id: str
    draft: Draft | None


class UpdateRules(msgspec.Struct, frozen=True):
    """UpdateInboxRules (MS-OXWSRULES 3.1.4.2)."""

    address: str
    operations: tuple[RuleOperation, ...]


def get_inbox_rules(element: Element) -> str:
    """Whose rules: an address, or nothing for one's own. Raises EwsViolation, as the other."""
    return text_of(element, "MailboxSmtpAddress").strip()


def update_inbox_rules(element: Element) -> UpdateRules:
    """UpdateInboxRules."""
    boolean_of(element, "RemoveOutlookRuleBlob")  # there is none, so it is removed
    return UpdateRules(
        text_of(element, "MailboxSmtpAddress").strip(),
        tuple(_operation(name, one) for name, one in limited(some(element, "Operations"))),
    )


def _operation(name: str, element: Element) -> RuleOperation:
    if name == "DeleteRuleOperation":
        return RuleOperation("delete", text(need(element, "RuleId")).strip(), None)
    if name not in ("CreateRuleOperation", "SetRuleOperation"):
        raise SchemaViolation(f"{name} is no operation on rules.")
    rule = need(element, "Rule")
    return RuleOperation(name.removesuffix("RuleOperation").lower(), text_of(rule, "RuleId").strip(), _draft(rule))


def _draft(element: Element) -> Draft:
    faults: list[Fault] = []
    name = text(need(element, "DisplayName")).strip()
    if not name:
        faults.append(Fault("DisplayName", "EmptyValueFound", "A rule needs a name."))
    elif len(name) > MAX_NAME:
        said = f"A name has {MAX_NAME} characters at most."
        faults.append(Fault("DisplayName", "StringValueTooBig", said, name[:MAX_NAME]))
    priority = integer(text(need(element, "Priority")).strip(), "Priority")
    if priority < 1:
        faults.append(Fault("Priority", "InvalidValue", "The first priority is 1.", str(priority)))
    read_only = [flag for flag in ("IsNotSupported", "IsInError") if boolean_of(element, flag)]
    faults += [Fault(flag, "NotSettable", "That is the server's to say.", "true") for flag in read_only]
    actions = _Reader("Action", faults)
    given = child(element, "Actions")
    if given is not None:
        actions.read(given, ACTIONS)
    if not (actions.found or actions.targets or actions.reply) and not actions.refused:
        faults.append(Fault("Actions", "MissingAction", "A rule has to do something."))
    return Draft(
        name,
        priority,
        boolean(text(need(element, "IsEnabled")), "IsEnabled"),
        Predicates(**_predicates(element, "Conditions", "Condition", faults)),
        Predicates(**_predicates(element, "Exceptions", "Exception", faults)),
        RuleActions(**actions.found),
        actions.targets,
        actions.reply,
        tuple(faults),
    )


def _predicates(element: Element, name: str, prefix: str, faults: list[Fault]) -> dict[str, Any]:
    given = child(element, name)
    reader = _Reader(prefix, faults)
    if given is not None:
        reader.read(given, PREDICATES)
    return reader.found


class _Reader:
    """Conditions, exceptions or actions of one rule."""

    def __init__(self, prefix: str, faults: list[Fault]) -> None:
        self._prefix = prefix
        self._faults = faults
        self.found: dict[str, Any] = {}
        self.targets: dict[str, AnyFolder] = {}
        self.reply: ItemRef | None = None
        self.refused = False
        """Something was said that cannot be done."""

    def read(self, element: Element, rows: tuple[Row, ...]) -> None:
        """Raises SchemaViolation."""
        known = {row.element: row for row in rows}
        seen: set[str] = set()
        for name, one in children(element):
            row = known.get(name)
            if row is None or name in seen:
                raise SchemaViolation(f"{name} cannot stand in a rule there, or not twice.")
            seen.add(name)
            self._take(row, one)

    def _fault(self, row: Row, code: str, said: str, value: str = "") -> None:
        self.refused = True
        self._faults.append(Fault(f"{self._prefix}:{row.element}", code, said, value[:MAX_STRING]))

    def _take(self, row: Row, element: Element) -> None:
        if row.kind == BOOLEAN and not boolean(text(element), row.element):
            return  # not asked for, as if it were not there
        if row.element in UNABLE:
            self._fault(row, *UNABLE[row.element], value="true" if row.kind == BOOLEAN else "")
        elif row.kind == BOOLEAN:
            self.found[row.field] = True
        elif row.kind == CHOICE:
            self.found[row.field] = choice(text(element), row.choices, row.element)
        elif row.kind in (STRINGS, ADDRESSES):
            self._list(row, element)
        elif row.kind == DATES:
            self._dates(row, element)
        elif row.kind == SIZES:
            self._sizes(row, element)
        elif row.kind == TARGET:
            self._target(row, element)
        elif row.kind == ITEM:
            self.reply = places.ItemRef(element.get("Id", ""), element.get("ChangeKey", ""))

    def _list(self, row: Row, element: Element) -> None:
        found = [one for _, one in limited(list(children(element)))]
        values = [self._address(row, one) if row.kind == ADDRESSES else self._string(row, one) for one in found]
        if not found:
            self._fault(row, "EmptyValueFound", "The list is empty.")
        self.found[row.field] = tuple(dict.fromkeys(value for value in values if value))

    def _string(self, row: Row, element: Element) -> str:
        value = text(element)
        if not value.strip():
            self._fault(row, "EmptyValueFound", "A string is empty.")
        elif len(value) > MAX_STRING:
            self._fault(row, "StringValueTooBig", f"A string has {MAX_STRING} characters at most.", value)
        return value

    def _address(self, row: Row, element: Element) -> str:
        value = text_of(element, "EmailAddress").strip()
        kind = text_of(element, "RoutingType", "SMTP").strip() or "SMTP"
        if kind.upper() != "SMTP":
            self._fault(row, "UnsupportedAddress", "Addresses here are SMTP addresses.", f"{kind}:{value}")
        elif not _ADDRESS(value):
            self._fault(row, "InvalidAddress", "That is no address.", value)
        return value

    def _dates(self, row: Row, element: Element) -> None:
        ends = [text_of(element, name).strip() for name in ("StartDateTime", "EndDateTime")]
        if not any(ends):
            self._fault(row, "MissingRangeValue", "The range has neither a start nor an end.")
        after, before = (int(date_time(one, row.element).timestamp()) if one else None for one in ends)
        if after is not None and before is not None and after > before:
            self._fault(row, "InvalidDateRange", "The range ends before it starts.", "/".join(ends))
        self.found |= {"received_after": after, "received_before": before}

    def _sizes(self, row: Row, element: Element) -> None:
        ends = [text_of(element, name).strip() for name in ("MinimumSize", "MaximumSize")]
        if not any(ends):
            self._fault(row, "MissingRangeValue", "The range has neither a minimum nor a maximum.")
        low, high = (integer(one, row.element) if one else None for one in ends)
        if min(low or 0, high or 0) < 0:
            self._fault(row, "SizeLessThanZero", "A size cannot be negative.", "/".join(ends))
        elif low is not None and high is not None and low > high:
            self._fault(row, "InvalidSizeRange", "The maximum is less than the minimum.", "/".join(ends))
        self.found |= {"minimum_kib": low, "maximum_kib": high}

    def _target(self, row: Row, element: Element) -> None:
        name, one = only(element)
        if name == "AddressListId":
            self._fault(row, "InvalidFolderId", "Mail cannot be put into an address list.", one.get("Id", ""))
        else:
            self.targets[row.element] = places.folder(one)

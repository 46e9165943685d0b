"""Inbox rules as XML, and what is wrong with those that were given (MS-OXWSRULES 2.2.4.11, 2.2.4.18)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from postern.model.rules import Predicates, RuleActions
from postern.protocols.ews.message_facts import instant
from postern.protocols.ews.rule_fields import (
    ACTIONS,
    ADDRESSES,
    BOOLEAN,
    CHOICE,
    DATES,
    PREDICATES,
    SIZES,
    STRINGS,
    Fault,
    Row,
    Shown,
)
from postern.protocols.soap.writing import attribute, text

_BOOL = {True: "true", False: "false"}


def rule_xml(shown: Shown) -> str:
    """`<t:Rule>`."""
    rule = shown.rule
    unsupported = "" if shown.supported else "<t:IsNotSupported>true</t:IsNotSupported>"
    error = "<t:IsInError>true</t:IsInError>" if shown.in_error else ""
    return (
        f"<t:Rule><t:RuleId>{text(shown.id)}</t:RuleId><t:DisplayName>{text(rule.name)}</t:DisplayName>"
        f"<t:Priority>{rule.priority}</t:Priority><t:IsEnabled>{_BOOL[rule.enabled]}</t:IsEnabled>{unsupported}{error}"
        f"{_predicates('Conditions', rule.conditions)}{_predicates('Exceptions', rule.exceptions)}"
        f"{_actions(rule.actions, shown.targets)}</t:Rule>"
    )


def sayable(values: Predicates | RuleActions) -> bool:
    """Whether each value is one that the schema knows."""
    rows = PREDICATES if isinstance(values, Predicates) else ACTIONS
    return all(getattr(values, row.field) in ("", *row.choices) for row in rows if row.kind == CHOICE and row.field)


def _predicates(name: str, asked: Predicates) -> str:
    inner = "".join(_one(row, asked) for row in PREDICATES)
    return f"<t:{name}>{inner}</t:{name}>" if inner else ""


def _actions(actions: RuleActions, targets: dict[str, str]) -> str:
    inner = ""
    for row in ACTIONS:
        named = targets.get(row.element)
        if row.element == "ServerReplyWithMessage":
            inner += f'<t:{row.element} Id="{attribute(named)}"/>' if named else ""
        elif named:
            inner += f"<t:{row.element}>{named}</t:{row.element}>"
        else:
            inner += _one(row, actions)
    return f"<t:Actions>{inner}</t:Actions>"


def _one(row: Row, values: Predicates | RuleActions) -> str:
    value: Any = getattr(values, row.field) if row.field else None
    inner = ""
    if row.kind == STRINGS:
        inner = "".join(f"<t:String>{text(one)}</t:String>" for one in value)
    elif row.kind == ADDRESSES:
        inner = "".join(_address(one) for one in value or ())
    elif row.kind == BOOLEAN:
        inner = "true" if value else ""
    elif row.kind == CHOICE:
        inner = value if value in row.choices else ""
    elif row.kind == DATES and isinstance(values, Predicates):
        inner = _range(("StartDateTime", values.received_after), ("EndDateTime", values.received_before), dates=True)
    elif row.kind == SIZES and isinstance(values, Predicates):
        inner = _range(("MinimumSize", values.minimum_kib), ("MaximumSize", values.maximum_kib), dates=False)
    return f"<t:{row.element}>{inner}</t:{row.element}>" if inner else ""


def _address(address: str) -> str:
    shown = text(address)
    return (
        f"<t:Address><t:Name>{shown}</t:Name><t:EmailAddress>{shown}</t:EmailAddress>"
        "<t:RoutingType>SMTP</t:RoutingType></t:Address>"
    )


def _range(*ends: tuple[str, int | None], dates: bool) -> str:
    return "".join(
        f"<t:{name}>{instant(value) if dates else value}</t:{name}>" for name, value in ends if value is not None
    )


def errors_xml(faults: Mapping[int, Sequence[Fault]]) -> str:
    """`<m:RuleOperationErrors>`, by the operation's place in the request, counted from 0."""
    rows = ""
    for index, found in sorted(faults.items()):
        inner = "".join(
            f"<t:Error><t:FieldURI>{one.field}</t:FieldURI><t:ErrorCode>{one.code}</t:ErrorCode>"
            f"<t:ErrorMessage>{text(one.text)}</t:ErrorMessage><t:FieldValue>{text(one.value)}</t:FieldValue></t:Error>"
            for one in found
        )
        rows += (
            f"<t:RuleOperationError><t:OperationIndex>{index}</t:OperationIndex>"
            f"<t:ValidationErrors>{inner}</t:ValidationErrors></t:RuleOperationError>"
        )
    return f"<m:RuleOperationErrors>{rows}</m:RuleOperationErrors>"

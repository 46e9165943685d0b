"""GetUserOofSettings and SetUserOofSettings (MS-OXWOOF 3.1.4). Their elements are named ...Request on the wire."""

from __future__ import annotations

import msgspec
from lxml.etree import _Element as Element

from postern.protocols.ews.reading import child, choice, need, text_of

STATES = ("Disabled", "Enabled", "Scheduled")
AUDIENCES = ("None", "Known", "All")


class GetOof(msgspec.Struct, frozen=True):
    """Whose."""

    address: str


class SetOof(msgspec.Struct, frozen=True):
    """As given; times as they are written, empty where there is no Duration."""

    address: str
    state: str
    audience: str
    start: str
    end: str
    internal_reply: str
    external_reply: str


def get_user_oof_settings(element: Element) -> GetOof:
    """Raises SchemaViolation."""
    return GetOof(text_of(need(element, "Mailbox"), "Address").strip())


def set_user_oof_settings(element: Element) -> SetOof:
    """Raises SchemaViolation."""
    given = need(element, "UserOofSettings")
    duration = child(given, "Duration")
    return SetOof(
        text_of(need(element, "Mailbox"), "Address").strip(),
        choice(text_of(given, "OofState"), STATES, "OofState"),
        choice(text_of(given, "ExternalAudience"), AUDIENCES, "ExternalAudience"),
        "" if duration is None else text_of(duration, "StartTime"),
        "" if duration is None else text_of(duration, "EndTime"),
        _reply(given, "InternalReply"),
        _reply(given, "ExternalReply"),
    )


def _reply(element: Element, name: str) -> str:
    found = child(element, name)
    return "" if found is None else text_of(found, "Message")

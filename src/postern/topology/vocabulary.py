"""Which roles and editions a topology can name."""

from __future__ import annotations

EDITIONS = ("2003", "2007", "2010", "2013", "2016", "2019", "postern")

_MODERN = ("hub-transport", "client-access", "mailbox", "unified-messaging", "edge-transport")
ROLES_OF_EDITION: dict[str, tuple[str, ...]] = {
    "2003": ("bridgehead-2003", "frontend-2003", "backend-2003"),
    "2007": _MODERN,
    "2010": _MODERN,
    "2013": ("client-access", "mailbox", "edge-transport"),
    "2016": ("mailbox", "edge-transport"),
    "2019": ("mailbox", "edge-transport"),
    "postern": _MODERN,
}
SERVER_ROLES = tuple(dict.fromkeys(role for roles in ROLES_OF_EDITION.values() for role in roles))
"""Roles of mail servers of the organisation itself."""
OTHER_ROLES = (
    "domain-controller",
    "dns-server",
    "internet-smtp",
    "mail-client",
    "outlook",
    "web-client",
    "mobile",
    "voip-gateway",
    "lync",
    "rms",
    "hybrid-cloud",
    "administrator",
)
ROLES = SERVER_ROLES + OTHER_ROLES

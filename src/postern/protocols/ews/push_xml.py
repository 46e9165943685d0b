"""Push notifications: the request that a server sends, the answer it gets, and where it may be sent (MS-OXWSNTIF)."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

from postern.protocols.ews.names import DECLARED, MESSAGES, TYPES, M
from postern.protocols.ews.reading import need, text
from postern.protocols.ews.violation import EwsViolation
from postern.protocols.soap import envelope, writing
from postern.protocols.soap.envelope import SoapViolation

FIELDS = {
    "Content-Type": "text/xml; charset=utf-8",
    "SOAPAction": f'"{MESSAGES}/SendNotification"',
    "User-Agent": "Postern",
}
MESSAGE = "SendNotificationResponseMessage"
OK, UNSUBSCRIBE = "OK", "Unsubscribe"
MAX_URL = 2000
_HEADER = f'<t:RequestServerVersion xmlns:t="{TYPES}" Version="Exchange2013_SP1"/>'
_ANY_PORT = re.compile(r"^(https?://[^/?#@]+):\*(/.*)?$", re.IGNORECASE).fullmatch
_DEFAULT_PORTS = {"http": 80, "https": 443}


def send_notification(message: str) -> bytes:
    """The whole request; `message` is the SendNotificationResponseMessage."""
    body = f"<m:SendNotification {DECLARED}><m:ResponseMessages>{message}</m:ResponseMessages></m:SendNotification>"
    return writing.envelope(_HEADER, body)


def result(answer: bytes) -> str:
    """OK or Unsubscribe (MS-OXWSNTIF 2.2.4.21 SendNotificationResultType). Raises EwsViolation for what is neither."""
    try:
        found = envelope.parse(answer).body
    except SoapViolation as violation:
        raise EwsViolation("ErrorInvalidRequest", str(violation)) from violation
    if found.tag != f"{M}SendNotificationResult":
        raise EwsViolation("ErrorInvalidRequest", "The answer is no SendNotificationResult.")
    said = text(need(found, "SubscriptionStatus")).strip()
    if said not in (OK, UNSUBSCRIBE):
        raise EwsViolation("ErrorInvalidRequest", f"{said[:40]} is no SubscriptionStatus.")
    return said


class Allowed(NamedTuple):
    """A place that may be called: `https://host/path/`, and what is below it."""

    scheme: str
    host: str
    port: int
    """0: any."""
    path: str


def allowed(entry: str) -> Allowed:
    """Read an entry of the setting; `http://127.0.0.1:*/` is any port. Raises ValueError."""
    found = _ANY_PORT(entry)
    parts = _parts((found[1] + (found[2] or "/")) if found else entry)
    if parts.query:
        raise ValueError("an allowed place has no query")
    return Allowed(parts.scheme, parts.hostname or "", 0 if found else _port(parts), parts.path or "/")


def may_be_called(url: str, places: tuple[Allowed, ...]) -> bool:
    """Whether a URL is at or below one of the places."""
    try:
        parts = _parts(url)
        port = _port(parts)
    except ValueError:
        return False
    path = parts.path or "/"
    if any(step in (".", "..") for step in path.lower().replace("%2e", ".").split("/")):
        return False
    for place in places:
        if (parts.scheme, parts.hostname) != (place.scheme, place.host) or place.port not in (0, port):
            continue
        if path == place.path or path.startswith(place.path.rstrip("/") + "/"):
            return True
    return False


def _parts(url: str) -> SplitResult:
    """Raises ValueError."""
    if len(url) > MAX_URL or not url.isascii() or not url.isprintable() or set(url) & set(' "<>\\^`{|}'):
        raise ValueError("no URL")
    parts = urlsplit(url)
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or "@" in parts.netloc or parts.fragment:
        raise ValueError("neither http:// nor https:// with a host alone")
    return parts


def _port(parts: SplitResult) -> int:
    return parts.port or _DEFAULT_PORTS[parts.scheme]

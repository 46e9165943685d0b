"""What the listeners of the settings mean to mail programs."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Literal

from postern.config.listeners import Listening, listeners
from postern.config.settings import Settings
from postern.model.published import MailServer, PublishedSite

_ORDER = ("imaps", "imap", "pop3s", "pop3", "submissions", "submission")
"""TLS from the first octet before STARTTLS (RFC 8314 3.3)."""
_KINDS: Mapping[str, Literal["imap", "pop3", "smtp"]] = {"imap": "imap", "pop3": "pop3", "smtp": "smtp"}
_PACKAGES = ("Negotiate", "NTLM", "Basic")


def published(settings: Settings, offered: Collection[str]) -> PublishedSite:
    """What clients are told; `offered` are the virtual directories with somebody behind them, such as `/EWS`."""
    opened = {one.path.id: one for one in listeners(settings)}
    host = settings.server.hostname
    web = opened.get("https")
    base = f"https://{host}" + ("" if web is None or web.port == 443 else f":{web.port}") if web is not None else ""

    def url(prefix: str, path: str) -> str:
        return base + path if base and prefix in offered else ""

    return PublishedSite(
        hostname=host,
        servers=tuple(_server(opened[name], host) for name in _ORDER if name in opened),
        autodiscover=f"{base}/autodiscover/autodiscover.xml" if base else "",
        ews=url("/EWS", "/EWS/Exchange.asmx"),
        oab=url("/OAB", "/OAB/"),
        owa=url("/owa", "/owa/"),
        activesync=url("/Microsoft-Server-ActiveSync", "/Microsoft-Server-ActiveSync"),
        mapi=url("/mapi", "/mapi/"),
        packages=_packages(web),
    )


def _server(listening: Listening, host: str) -> MailServer:
    return MailServer(_KINDS[listening.path.protocol], host, listening.port, listening.path.implicit_tls)


def _packages(web: Listening | None) -> tuple[str, ...]:
    if web is None:
        return ()
    known = {name.lower() for name in web.mechanisms}
    return tuple(name for name in _PACKAGES if name.lower() in known)

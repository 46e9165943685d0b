"""What is answered without a sign-in: JSON Autodiscover and Mozilla's autoconfig."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from postern.frontends.http.asgi import Answer, Receive, Scope, Send, Surroundings
from postern.model.published import PublishedSite
from postern.protocols.autodiscover import autoconfig, json

Ours = Callable[[str], Awaitable[bool]]
"""Whether a domain is an accepted one."""
_GET = (b"allow", b"GET, HEAD")
_ANY_SITE = (b"access-control-allow-origin", b"*")
"""It holds nothing that only some may read, and web mail programs ask for it."""


class JsonAutodiscover:
    """ASGI."""

    def __init__(self, site: PublishedSite, ours: Ours) -> None:
        self._site = site
        self._ours = ours

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET."""
        if scope["method"] not in ("GET", "HEAD"):
            await Answer(405, fields=(_GET,))(scope, receive, send)
            return
        query = json.parse(scope["path"], scope["query_string"])
        ours = await self._ours(_domain(query.address))
        status, content = json.answer(self._site, query, ours=ours)
        await Answer(status, content, b"application/json; charset=utf-8", (_ANY_SITE,))(scope, receive, send)


class Autoconfig:
    """ASGI."""

    def __init__(self, site: PublishedSite, ours: Ours, default: Callable[[], Awaitable[str]]) -> None:
        """`default` is the organisation's first domain, empty if there is none."""
        self._site = site
        self._ours = ours
        self._default = default

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET. The domain is that of the address, else that of the host that was asked."""
        if scope["method"] not in ("GET", "HEAD"):
            await Answer(405, fields=(_GET,))(scope, receive, send)
            return
        address = autoconfig.address_of(scope["query_string"])
        near: Surroundings = scope["state"]["surroundings"]
        domain = _domain(address) or near.host.removeprefix("autoconfig.")
        if not await self._ours(domain):
            domain = "" if address else await self._default()
        if not domain:
            await Answer(404, b"Mail of this domain is not here.\n")(scope, receive, send)
            return
        content = autoconfig.answer(self._site, domain)
        await Answer(200, content, b"text/xml; charset=utf-8", (_ANY_SITE,))(scope, receive, send)


def _domain(address: str) -> str:
    return address.rpartition("@")[2].strip().lower() if "@" in address else ""

"""The virtual directory /autodiscover for whoever has signed in."""

from __future__ import annotations

from typing import Any, Protocol

from postern.frontends.http.asgi import Answer, Receive, Scope, Send, body_of, field
from postern.model.ports import Clock
from postern.model.published import PublishedPerson, PublishedSite, Redirection
from postern.model.refusal import ProtocolViolation
from postern.protocols.autodiscover import pox, profile, soap
from postern.protocols.soap.envelope import SoapViolation
from postern.services.principal import Principal

BODY_BYTES = 65536
XML = b"text/xml; charset=utf-8"


class People(Protocol):
    """services.autodiscovery.Autodiscovery."""

    async def find(self, principal: Principal, address: str) -> PublishedPerson | Redirection | None:
        """What an address is for somebody."""
        ...

    async def by_legacy_dn(self, principal: Principal, name: str) -> PublishedPerson | Redirection | None:
        """The same by its name in MAPI."""
        ...

    async def ours(self, domain: str) -> bool:
        """Whether a domain is an accepted one."""
        ...


class Autodiscover:
    """ASGI."""

    def __init__(self, site: PublishedSite, people: People, clock: Clock, log: Any) -> None:
        self._site = site
        self._people = people
        self._clock = clock
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """By the last part of the path, in any letter case."""
        match scope["path"].casefold().rstrip("/").rpartition("/")[2]:
            case "autodiscover.xml":
                answer = await self._pox(scope, receive)
            case "autodiscover.svc":
                answer = await self._soap(scope, receive)
            case _:
                answer = Answer(404, b"Nothing is here.\n")
        await answer(scope, receive, send)

    async def _pox(self, scope: Scope, receive: Receive) -> Answer:
        principal: Principal = scope["state"]["admission"].principal
        if scope["method"] != "POST":  # a browser, or a client that looks whether anybody is there
            return self._refused(pox.INVALID_REQUEST, scope, "not a POST")
        body = await body_of(receive, BODY_BYTES)
        if body is None:
            return Answer(413, b"The request is too large.\n")
        try:
            request = pox.parse(body)
        except ProtocolViolation as problem:
            return self._refused(pox.INVALID_REQUEST, scope, str(problem))
        if request.schema not in (pox.OUTLOOK, pox.MOBILE):
            return self._refused(pox.NO_PROVIDER, scope, request.schema[:100])
        if request.address:
            found = await self._people.find(principal, request.address)
        else:
            found = await self._people.by_legacy_dn(principal, request.legacy_dn)
        if found is None:
            return self._refused(pox.NOT_FOUND, scope, request.address[:100] or request.legacy_dn[:100])
        if isinstance(found, Redirection):
            return Answer(200, pox.redirect(found, request.schema, request.address), XML)
        if request.schema == pox.MOBILE:
            return Answer(200, pox.mobile(self._site, found), XML)
        return Answer(200, pox.settings(self._site, found, mapi_capable=_capability(scope)), XML)

    def _refused(self, code: int, scope: Scope, detail: str) -> Answer:
        """An error, which Outlook takes for an answer only with 200 (MS-OXDSCLI 3.1.5)."""
        correlation = scope["state"]["surroundings"].correlation
        self._log.info("autodiscover.refused", session=correlation, code=code, detail=detail)
        # the log's word for the connection is no number; clients want one
        identity = str(sum(octet << 8 * place for place, octet in enumerate(correlation.encode()[-4:])))
        return Answer(200, pox.error(code, self._clock.now(), identity), XML)

    async def _soap(self, scope: Scope, receive: Receive) -> Answer:
        if scope["method"] in ("GET", "HEAD"):  # exchangelib looks whether a redirect leads to somebody
            return Answer(200, b"The Autodiscover service of this server is asked by POST.\n")
        if scope["method"] != "POST":
            return Answer(405, fields=((b"allow", b"GET, HEAD, POST"),))
        principal: Principal = scope["state"]["admission"].principal
        body = await body_of(receive, BODY_BYTES)
        if body is None:
            return Answer(413, b"The request is too large.\n")
        try:
            request = soap.parse_request(body)
        except SoapViolation as problem:
            return Answer(500, soap.malformed(problem), XML)
        if request.operation == "GetDomainSettings":
            ours = [await self._people.ours(name) for name in request.names[: soap.MAX_USERS]]
            return Answer(200, soap.domain_settings(self._site, request, ours), XML)
        if request.operation == "GetUserSettings":
            names = request.names if len(request.names) <= soap.MAX_USERS else ()
            found = {name: await self._people.find(principal, name) for name in names if name}
            return Answer(200, soap.user_settings(self._site, request, found), XML)
        return Answer(500, soap.not_there(request.operation), XML)


class Profile:
    """Apple's profile of whoever has signed in. ASGI."""

    def __init__(self, site: PublishedSite, people: People) -> None:
        self._site = site
        self._people = people

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET."""
        principal: Principal = scope["state"]["admission"].principal
        if scope["method"] not in ("GET", "HEAD"):
            await Answer(405, fields=((b"allow", b"GET, HEAD"),))(scope, receive, send)
            return
        found = await self._people.find(principal, principal.address)
        if not isinstance(found, PublishedPerson):
            await Answer(404, b"There is no mailbox to set up.\n")(scope, receive, send)
            return
        content = profile.answer(self._site, found, found.domain)
        fields = (
            (b"content-disposition", b'attachment; filename="mail.mobileconfig"'),
            (b"cache-control", b"no-store"),
        )
        await Answer(200, content, profile.KIND.encode(), fields)(scope, receive, send)


def _capability(scope: Scope) -> int | None:
    """X-MapiHttpCapability (MS-OXDSCLI 2.2.2.1): the highest version of MAPI over HTTP that the client speaks."""
    given = field(scope, b"x-mapihttpcapability").strip()
    if not given:
        return None
    return int(given) if given.isdigit() and len(given) < 4 else 0

"""The ASGI application: one envelope in, one envelope out; whatever is wrong is told in SOAP's way."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

from lxml.etree import _Element as Element

from postern.frontends.ews import calendar_reading, codes, slices
from postern.frontends.ews.call import Call, Services
from postern.frontends.ews.operations import OPERATIONS
from postern.frontends.ews.streaming import Stream
from postern.frontends.http.asgi import Admission, Answer, Receive, Scope, Send, Surroundings, body_of
from postern.frontends.http.hold import PROTOCOL
from postern.model.envelope import Peer
from postern.model.refusal import Reason, Refusal
from postern.protocols.ews import names, precision, responses
from postern.protocols.ews.reading import child, children, text_of
from postern.protocols.ews.versions import Version, requested
from postern.protocols.ews.violation import EwsViolation
from postern.protocols.soap import envelope
from postern.protocols.soap.envelope import SoapViolation
from postern.services.principal import Principal

KIND = b"text/xml; charset=utf-8"
_PATHS = frozenset({"/ews", "/ews/exchange.asmx"})
_PAGE = b"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Exchange Web Services</title></head>
<body><h1>Exchange Web Services</h1>
<p>Programs send their requests here by POST; there is nothing to look at.</p></body></html>
"""
_UNKNOWN_PERSON = {
    "PrincipalName": "ErrorInvalidUserPrincipalName",
    "PrimarySmtpAddress": "ErrorNonExistentMailbox",
    "SmtpAddress": "ErrorNonExistentMailbox",
}


class _Fault(Exception):  # noqa: N818 - an answer
    def __init__(self, code: str, said: str, *, server: bool = False) -> None:
        self.code = code
        self.said = said
        self.server = server


class Ews:
    """One a worker."""

    def __init__(
        self, services: Services, body_bytes: int, counted: Callable[[str, str], None] = lambda *_: None
    ) -> None:
        """`counted` is told each operation and how it ended: ok, fault, error."""
        self._services = services
        self._body_bytes = body_bytes
        self._counted = counted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        path = scope["path"].lower().rstrip("/")
        if path not in _PATHS:
            await Answer(404, b"There is nothing here.\n")(scope, receive, send)
        elif scope["method"] in ("GET", "HEAD"):
            await Answer(200, _PAGE, b"text/html; charset=utf-8")(scope, receive, send)
        elif scope["method"] != "POST":
            await Answer(405, fields=((b"allow", b"GET, HEAD, POST"),))(scope, receive, send)
        else:
            await (await self._post(scope, receive))(scope, receive, send)

    async def _post(self, scope: Scope, receive: Receive) -> Answer | Stream:
        admission: Admission = scope["state"]["admission"]
        near: Surroundings = scope["state"]["surroundings"]
        assert admission.principal is not None
        body = await body_of(receive, self._body_bytes)
        operation = "?"
        try:
            if body is None:
                raise _Fault("ErrorRequestStreamTooBig", "The request is too large, or was cut off.")
            try:
                asked = await slices.sized(len(body), partial(envelope.parse, body))
            except SoapViolation as violation:
                raise _Fault("ErrorInvalidRequest", str(violation)) from violation
            size = len(body)
            del body
            operation = _operation(asked.body)
            version = _version(asked.headers)
            principal = await self._acting(asked.headers, admission.principal)
            try:
                zone = calendar_reading.context(asked.headers, f"{names.T}TimeZoneContext")
                exact = precision.asked(asked.headers)
            except EwsViolation as violation:
                raise _Fault(violation.code, violation.text) from violation
            call = Call(self._services, principal, version, _peer(near, principal), zone)
            answer = await self._do(call, operation, asked.body, size, exact=exact)
        except _Fault as fault:
            self._counted(operation, "fault")
            self._services.log.info(
                "ews.fault",
                user=admission.principal.address,
                operation=operation,
                code=fault.code,
                session=near.correlation,
            )
            return Answer(500, responses.fault(fault.code, fault.said, server=fault.server), KIND)
        self._counted(operation, "ok")
        return answer if isinstance(answer, Stream) else Answer(200, answer, KIND)

    async def _do(self, call: Call, name: str, element: Element, size: int, *, exact: bool) -> bytes | Stream:
        row = OPERATIONS.get(name)
        if row is None:
            raise _Fault("ErrorInvalidOperation", f"{name[:80]} is not supported.")
        if call.version < row.since:
            raise _Fault("ErrorInvalidOperation", f"{name} is not in the requested version of the schema.")
        try:
            answer = await row.do(call, await slices.sized(size, partial(row.read, element)))
            if exact and isinstance(answer, str):
                answer = await slices.sized(len(answer), partial(precision.milliseconds, answer))
            await call.durable()
        except EwsViolation as violation:
            raise _Fault(violation.code, violation.text) from violation
        except Refusal as refusal:
            code = codes.of(refusal)
            self._services.log.info("ews.refused", user=call.principal.address, reason=refusal.reason.value)
            raise _Fault(code.code, code.text, server=refusal.reason.temporary) from refusal
        except Exception as error:
            # a bug: the client gets a fault it understands, and no password prompt
            self._services.log.error("ews.failed", operation=name, user=call.principal.address, exc_info=error)
            raise _Fault("ErrorInternalServerError", "The server made a mistake.", server=True) from error
        return answer if isinstance(answer, Stream) else responses.envelope(answer)

    async def _acting(self, headers: tuple[Element, ...], principal: Principal) -> Principal:
        """Whoever is to be acted as (MS-OXWSCDATA 2.2.4.38 ExchangeImpersonationType)."""
        for header in headers:
            if header.tag != f"{names.T}ExchangeImpersonation":
                continue
            try:
                kind, name = _impersonated(header)
            except EwsViolation as violation:
                raise _Fault("ErrorInvalidExchangeImpersonationHeaderData", violation.text) from violation
            if kind == "SID":
                raise _Fault("ErrorInvalidUserSid", "No account here is known by a SID.")
            try:
                return await self._services.identities.act_as(principal, name, PROTOCOL)
            except Refusal as refusal:
                if refusal.reason is Reason.NO_SUCH_RECIPIENT:
                    code = _UNKNOWN_PERSON[kind]
                    raise _Fault(code, "There is nobody of that name.") from refusal
                if refusal.reason is Reason.NOT_PERMITTED:
                    raise _Fault("ErrorImpersonateUserDenied", "You may not act as that account.") from refusal
                raise _Fault("ErrorImpersonationFailed", "That account cannot be acted as.") from refusal
        return principal


def busy(seconds: float) -> Answer:
    """To whoever asks too much (http's budgets): a fault that tells when to come again."""
    again = (b"retry-after", b"%d" % math.ceil(seconds))
    return Answer(500, responses.busy(seconds), KIND, (again,))


def _operation(element: Element) -> str:
    if not str(element.tag).startswith(names.M):
        raise _Fault("ErrorInvalidRequest", "The body's element is not in the namespace of EWS messages.")
    return str(element.tag)[len(names.M) :]


def _version(headers: tuple[Element, ...]) -> Version:
    for header in headers:
        if header.tag == f"{names.T}RequestServerVersion":
            found = requested(header.get("Version", ""))
            if found is None:
                raise _Fault("ErrorInvalidServerVersion", "The version asked for is unknown.")
            return found
    return Version.EXCHANGE_2007


def _impersonated(header: Element) -> tuple[str, str]:
    """What the account is named by, and its name. Raises EwsViolation."""
    sid = child(header, "ConnectingSID")
    found = list(children(sid)) if sid is not None else []
    if (
        sid is None
        or len(found) != 1
        or found[0][0] not in ("PrincipalName", "SID", "PrimarySmtpAddress", "SmtpAddress")
    ):
        raise EwsViolation("ErrorInvalidExchangeImpersonationHeaderData", "ConnectingSID names nobody, or several.")
    name = text_of(sid, found[0][0]).strip()
    if not name:
        raise EwsViolation("ErrorInvalidExchangeImpersonationHeaderData", "ConnectingSID is empty.")
    return found[0][0], name


def _peer(near: Surroundings, principal: Principal) -> Peer:
    """Whom Received lines name."""
    tls = f"{near.tls.version} {near.tls.cipher}" if near.tls is not None else ""
    return Peer(
        near.peer[0],
        near.peer[1],
        near.local[0],
        near.local[1],
        near.listener,
        near.host,
        "HTTPS" if near.tls is not None else "HTTP",
        tls,
        principal.address,
        "",
        near.correlation,
    )

"""The one sign-in in front of all virtual directories: who sends a request, or what has to be asked first."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote

from postern.frontends.http.asgi import Admission, Answer
from postern.frontends.http.cookies import SESSION, session_cookie
from postern.frontends.http.digests import Digests, StaleNonce
from postern.frontends.http.hold import PROTOCOL, Hold
from postern.frontends.http.settings import HttpSettings
from postern.frontends.http.site import Access
from postern.frontends.http.statuses import RETRY_AFTER_S, STATUSES
from postern.frontends.ports import Authentication, Stream
from postern.frontends.signin import clear_text_allowed, note
from postern.model.ports import Clock
from postern.model.refusal import Reason, Refusal
from postern.protocols.http.fields import challenge, cookie, credentials, preferred
from postern.protocols.http.session import RequestHead
from postern.services.negotiation import Accepted, Circumstances, Continue
from postern.services.principal import Principal
from postern.services.websessions import WebSessions

SIGN_IN = "/auth/sign-in"
CONNECTION_BOUND = frozenset({"negotiate", "ntlm"})
"""Schemes whose exchange belongs to the connection."""
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})

CertificateCheck = Callable[[bytes, str], Awaitable[Principal]]


class Gate:
    """One per listener and worker."""

    def __init__(
        self,
        settings: HttpSettings,
        authentication: Authentication,
        clock: Clock,
        log: Any,
        *,
        sessions: WebSessions | None = None,
        digests: Digests | None = None,
        certificates: CertificateCheck | None = None,
    ) -> None:
        """Without `sessions` there is no form, without `digests` no Digest, without `certificates` nobody's counts."""
        self.authentication = authentication
        self._settings = settings
        self._negotiations = authentication.negotiations
        self._clock = clock
        self._log = log
        self._sessions = sessions
        self._digests = digests
        self._certificates = certificates
        self._mechanisms = frozenset(name.lower() for name in settings.mechanisms)

    async def admit(
        self, head: RequestHead, stream: Stream, hold: Hold, access: Access, correlation: str
    ) -> Admission | Answer:
        """Who sends a request, or the answer that refuses it."""
        if access.mechanisms is not None and not access.mechanisms:
            return Admission()
        note(stream, PROTOCOL, "")
        try:
            admission = await self._identify(head, stream, hold, access)
            if isinstance(admission, Answer):
                return admission
            if admission.principal is None:
                return admission if access.anonymous else self._ask(head, stream, access)
            if head.method not in SAFE and admission.mechanism != "OIDC" and not same_origin(head, stream):
                self._log.warning(
                    "http.cross_site", session=correlation, peer=stream.peer[0], user=admission.principal.address
                )
                return Answer(403, b"The request comes from another site.\n")
            if await hold.watch(admission.principal):
                self._log_sign_in(admission, stream, correlation)
            return admission
        except StaleNonce:
            assert self._digests is not None
            return Answer(401, fields=self._digests.challenges(stale=True))
        except Refusal as refusal:
            hold.drop()
            self._log.info(
                "http.sign_in_refused",
                session=correlation,
                peer=stream.peer[0],
                scheme=head.get(b"authorization").partition(b" ")[0].decode("latin-1")[:20],
                reason=refusal.reason.value,
                detail=refusal.detail,
            )
            return self._refused(refusal, head, stream, access)

    def _log_sign_in(self, admission: Admission, stream: Stream, correlation: str) -> None:
        assert admission.principal is not None
        tls = stream.tls
        self._log.info(
            "http.signed_in",
            session=correlation,
            peer=stream.peer[0],
            user=admission.principal.address,
            mechanism=admission.mechanism,
            bound=admission.bound,
            tls=tls.version if tls is not None else "",
        )

    # --- who it is
    async def _identify(self, head: RequestHead, stream: Stream, hold: Hold, access: Access) -> Admission | Answer:
        value = head.get(b"authorization")
        if value:
            return await self._by_field(value, head, stream, hold, access)
        held = hold.accepted
        if held is not None and access.takes(hold.scheme) and not _proxied(head):
            if held.expires_at is None or held.expires_at > self._clock.timestamp():
                return Admission(held.principal, held.mechanism or hold.scheme, held.bound)
            hold.drop()
        if self._sessions is not None and access.takes("forms"):
            token = cookie(head.all(b"cookie"), SESSION)
            if token:
                return await self._by_cookie(token, access)
        certificate = stream.tls.peer_certificate if stream.tls is not None else b""
        if certificate and self._certificates is not None and access.takes("certificate"):
            return Admission(await self._certificates(certificate, PROTOCOL), "certificate", bound=True)
        return Admission()

    async def _by_cookie(self, token: bytes, access: Access) -> Admission | Answer:
        assert self._sessions is not None
        try:
            session, renewed = await self._sessions.open(token)
        except Refusal as refusal:
            if refusal.reason.temporary:
                raise
            return Admission()  # an old cookie is no attempt to sign in
        fields = [(b"set-cookie", session_cookie(renewed))] if renewed else []
        return Admission(session.principal, session.mechanism, session=session, fields=fields)

    async def _by_field(
        self, value: bytes, head: RequestHead, stream: Stream, hold: Hold, access: Access
    ) -> Admission | Answer:
        try:
            scheme, rest = credentials(value)
        except (ValueError, UnicodeDecodeError) as error:
            raise Refusal(Reason.BAD_CREDENTIALS, "a malformed Authorization field") from error
        if not self._offered(scheme, stream, access):
            raise Refusal(Reason.BAD_CREDENTIALS, f"{scheme[:20]} is not offered here")
        note(stream, PROTOCOL, scheme)
        if scheme == "basic":
            user, password = _basic(rest)
            hold.drop()
            peer = stream.peer[0]
            return Admission(await self.authentication.verify_password(user, password, peer, PROTOCOL), "Basic")
        if scheme == "digest" and self._digests is not None:
            hold.drop()
            return Admission(await self._digests.verify(rest, head, stream.peer[0], PROTOCOL), "Digest")
        return await self._by_token(scheme, rest, head, stream, hold)

    async def _by_token(
        self, scheme: str, rest: str, head: RequestHead, stream: Stream, hold: Hold
    ) -> Admission | Answer:
        """One step of an exchange."""
        exchange = hold.exchange if hold.scheme == scheme and not _proxied(head) else None
        if exchange is None:
            end_point = stream.tls.server_end_point if stream.tls is not None else b""
            circumstances = Circumstances(stream.peer[0], PROTOCOL, end_point, host=head.host)
            exchange = self._negotiations.begin(scheme, circumstances)
            hold.begin(scheme, exchange)
        outcome = await exchange.step(rest.encode() if scheme == "bearer" else _token(rest))
        name = self._negotiations.schemes[scheme]
        if isinstance(outcome, Continue):
            if scheme not in CONNECTION_BOUND or _proxied(head):
                hold.drop()
                raise Refusal(Reason.BAD_CREDENTIALS, f"{name} in several steps through a proxy")
            return Answer(401, fields=[(b"www-authenticate", _with_token(name, outcome.token))])
        hold.end()
        if not isinstance(outcome, Accepted):
            raise Refusal(outcome.reason, f"{name}: {outcome.detail}")
        if scheme in CONNECTION_BOUND and not _proxied(head):
            hold.accepted = outcome
        fields = [(b"www-authenticate", _with_token(name, outcome.token))] if outcome.token else []
        return Admission(outcome.principal, outcome.mechanism or name, outcome.bound, fields=fields)

    # --- what is asked
    def _offered(self, scheme: str, stream: Stream, access: Access) -> bool:
        """Whether a scheme of Authorization can be used: setting, mount, back end, encryption."""
        if scheme not in self._mechanisms or not access.takes(scheme):
            return False
        if scheme == "basic":
            return clear_text_allowed(stream, self._settings.cleartext_login)
        return self._digests is not None if scheme == "digest" else self._negotiations.knows(scheme)

    def challenges(self, head: RequestHead, stream: Stream, access: Access) -> list[tuple[bytes, bytes]]:
        """WWW-Authenticate fields, strongest scheme first; each in a field of its own, which old clients need."""
        found: list[tuple[bytes, bytes]] = []
        for scheme in ("negotiate", "ntlm", "bearer"):
            if self._offered(scheme, stream, access) and not (scheme == "ntlm" and _proxied(head)):
                found.append((b"www-authenticate", self._negotiations.schemes[scheme].encode()))
        if self._digests is not None and self._offered("digest", stream, access):
            found += self._digests.challenges()
        if self._offered("basic", stream, access):
            values = {"realm": self._settings.realm, "charset": "UTF-8"}
            found.append((b"www-authenticate", challenge("Basic", values)))
        return found

    def _ask(self, head: RequestHead, stream: Stream, access: Access) -> Answer:
        """Nobody has signed in: a form for people, challenges for programs."""
        form = self._sessions is not None and access.browser and access.takes("forms")
        challenges = self.challenges(head, stream, access)
        if form and (_wants_page(head) or not challenges):
            back = quote(head.target.raw_path + (b"?" + head.target.query if head.target.query else b""), safe="")
            return Answer(303, fields=[(b"location", f"{SIGN_IN}?next={back}".encode())])
        if not challenges:
            return Answer(403, b"There is no way to sign in here.\n")
        return Answer(401, fields=challenges)

    def _refused(self, refusal: Refusal, head: RequestHead, stream: Stream, access: Access) -> Answer:
        """The client learns that it failed, and whether to try later; the cause is in the log."""
        status = 401 if not refusal.reason.temporary else STATUSES[refusal.reason]
        if status != 401:
            return Answer(status, b"Try again later.\n", fields=[(b"retry-after", b"%d" % RETRY_AFTER_S)])
        challenges = self.challenges(head, stream, access)
        return Answer(401, fields=challenges) if challenges else Answer(403, b"Not permitted.\n")


def same_origin(head: RequestHead, stream: Stream) -> bool:
    """Whether a request was not set off by another site's page (Fetch metadata, RFC 6454 Origin).

    Programs that are no browsers send neither field.
    """
    site = head.get(b"sec-fetch-site").lower()
    if site and site not in (b"same-origin", b"none"):
        return False
    origin = head.get(b"origin")
    scheme = b"https" if stream.tls is not None else b"http"
    return not origin or origin.lower() == b"%b://%b" % (scheme, head.get(b"host").lower())


def _proxied(head: RequestHead) -> bool:
    """Nobody's sign-in sticks to a proxy's connection: it may carry several people's requests (RFC 9110 7.6.3)."""
    return bool(head.get(b"via") or head.get(b"x-forwarded-for") or head.get(b"forwarded"))


def _wants_page(head: RequestHead) -> bool:
    accept = head.get(b"accept")
    return (
        head.method in ("GET", "HEAD")
        and b"text/html" in accept
        and preferred(accept, ("text/html", "application/json")) == "text/html"
    )


def _basic(text: str) -> tuple[str, str]:
    """RFC 7617; older clients send Latin-1. Raises Refusal."""
    raw = _token(text)
    try:
        decoded = raw.decode()
    except UnicodeDecodeError:
        decoded = raw.decode("latin-1")
    user, colon, password = decoded.partition(":")
    if not colon or not user:
        raise Refusal(Reason.BAD_CREDENTIALS, "malformed Basic credentials")
    return user, password


def _token(text: str) -> bytes:
    """Raises Refusal."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Refusal(Reason.BAD_CREDENTIALS, "a token that is not base64") from error


def _with_token(name: str, token: bytes) -> bytes:
    return f"{name} {base64.b64encode(token).decode()}".encode() if token else name.encode()

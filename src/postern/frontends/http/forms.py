"""Sign-in and sign-out by forms. Each form carries a key that only our page for this very browser can have."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import parse_qs

import msgspec

from postern.frontends.http import rendering
from postern.frontends.http.asgi import Admission, Answer, Receive, Scope, Send, Surroundings, body_of, field
from postern.frontends.http.cookies import FORM, SESSION, expired, form_cookie, session_cookie
from postern.frontends.http.gate import SIGN_IN
from postern.frontends.http.hold import PROTOCOL
from postern.frontends.ports import Authentication
from postern.model.ports import Entropy
from postern.model.refusal import Refusal
from postern.protocols.http.fields import cookie
from postern.protocols.http.target import local_path
from postern.services import attempts
from postern.services.principal import Principal
from postern.services.second_factor import SecondFactorRequired
from postern.services.websessions import WebSessions

FORM_BYTES = 16384
_MAX_FIELDS = 16
_WRONG = "The user name or the password is wrong."
_WRONG_CODE = "The code is wrong or too old. Sign in again."
_LATER = "This cannot be done now. Try again in a minute."
_STALE = "The page was open for too long. Sign in again."


class Forms:
    """The pages below /auth."""

    def __init__(
        self, authentication: Authentication, sessions: WebSessions, entropy: Entropy, hostname: str, log: Any
    ) -> None:
        self._authentication = authentication
        self._sessions = sessions
        self._entropy = entropy
        self._hostname = hostname
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """/auth/sign-in, /auth/sign-out, /auth/style.css."""
        path = scope["path"].lower().removeprefix("/auth")
        reads = scope["method"] in ("GET", "HEAD")
        answer = Answer(404, b"Nothing is here.\n")
        if path == "/style.css" and reads:
            answer = rendering.stylesheet()
        elif path == "/sign-in" and reads:
            answer = await self._show(scope)
        elif path in ("/sign-in", "/sign-out") and scope["method"] == "POST":
            given = await form_of(scope, receive)
            if given is None:
                answer = Answer(400, b"This is no form of ours.\n")
            else:
                answer = await (self._sign_in(scope, given) if path == "/sign-in" else self._sign_out(scope, given))
        elif path in ("/sign-in", "/sign-out"):
            answer = Answer(405, fields=((b"allow", b"GET, POST" if path == "/sign-in" else b"POST"),))
        await answer(scope, receive, send)

    async def _show(self, scope: Scope) -> Answer:
        """The form; whoever is signed in goes on at once."""
        back = local_path(_values(scope["query_string"].decode("latin-1")).get("next", "/whoami"))
        if scope["state"]["admission"].principal is not None:
            return Answer(303, fields=((b"location", back.encode()),))
        return await self._form(scope, back)

    async def _form(
        self,
        scope: Scope,
        back: str,
        *,
        status: int = 200,
        user: str = "",
        problem: str = "",
        ticket: str = "",
        private: str = "",
    ) -> Answer:
        """The page that asks for name and password, or with a ticket for the one-time code."""
        nonce = _cookie(scope, FORM)
        fields = []
        if not nonce:
            nonce = base64.urlsafe_b64encode(self._entropy.token(18))
            fields.append((b"set-cookie", form_cookie(nonce.decode())))
        key = await self._sessions.form_key(nonce)
        told = rendering.text(rendering.language_of(scope), problem)
        return rendering.page(
            "one_time_code" if ticket else "sign_in",
            scope,
            self._hostname,
            status=status,
            fields=fields,
            key=key,
            next=back,
            user=user,
            problem=told,
            ticket=ticket,
            private=private,
        )

    async def _sign_in(self, scope: Scope, given: dict[str, str]) -> Answer:
        back, user = local_path(given.get("next", "/whoami")), given.get("user", "").strip()
        surroundings: Surroundings = scope["state"]["surroundings"]
        if not from_here(scope) or not await self._sessions.is_form_key(given.get("key", ""), _cookie(scope, FORM)):
            self._log.warning("http.forged_form", session=surroundings.correlation, peer=surroundings.peer[0])
            return await self._form(scope, back, status=403, problem=_STALE)
        try:
            principal = await self._proved(user, given, surroundings.peer[0])
        except SecondFactorRequired as required:
            return await self._form(scope, back, user=user, ticket=required.ticket, private=given.get("private", ""))
        except Refusal as refusal:
            self._log.info(
                "http.sign_in_refused",
                session=surroundings.correlation,
                peer=surroundings.peer[0],
                scheme="form",
                reason=refusal.reason.value,
                detail=refusal.detail,
            )
            later = refusal.reason.temporary
            return await self._form(
                scope,
                back,
                status=503 if later else 403,
                user=user[:320],
                problem=_LATER if later else _WRONG_CODE if given.get("ticket") else _WRONG,
            )
        _, token = await self._sessions.begin(principal, "form", private=given.get("private") == "1")
        self._log.info(
            "http.signed_in", session=surroundings.correlation, peer=surroundings.peer[0], user=principal.address,
            mechanism="form",
        )  # fmt: skip
        fields = [(b"location", back.encode()), (b"set-cookie", session_cookie(token)), (b"set-cookie", expired(FORM))]
        return Answer(303, fields=fields)

    async def _proved(self, user: str, given: dict[str, str], peer: str) -> Principal:
        """By a password, or by the one-time code that was asked for after one. Raises Refusal."""
        attempts.note(msgspec.structs.replace(attempts.current(peer, PROTOCOL), mechanism="form"))
        if given.get("ticket"):
            return await self._authentication.finish_second_factor(
                given["ticket"], given.get("code", ""), peer, PROTOCOL
            )
        return await self._authentication.verify_password(
            user, given.get("password", ""), peer, PROTOCOL, interactive=True
        )

    async def _sign_out(self, scope: Scope, given: dict[str, str]) -> Answer:
        admission: Admission = scope["state"]["admission"]
        session = admission.session
        if session is not None:
            if not await self._sessions.is_form_key(given.get("key", ""), session.id):
                return Answer(403, b"This form is not of your session.\n")
            if given.get("everywhere"):
                await self._sessions.end_all(session.principal.account)
            await self._sessions.end(session)
            self._log.info("http.signed_out", user=session.principal.address, everywhere="everywhere" in given)
        fields = [(b"location", SIGN_IN.encode()), (b"set-cookie", expired(SESSION)), (b"clear-site-data", b'"cache"')]
        return Answer(303, fields=fields)


async def form_of(scope: Scope, receive: Receive) -> dict[str, str] | None:
    """The fields of a form; None for whatever is none."""
    if field(scope, b"content-type").partition(b";")[0].strip().lower() != b"application/x-www-form-urlencoded":
        return None
    body = await body_of(receive, FORM_BYTES)
    if body is None:
        return None
    try:
        return _values(body.decode("ascii"))
    except ValueError:
        return None


def _values(text: str) -> dict[str, str]:
    """The first value of each name. Raises ValueError for too many."""
    return {
        name: values[0] for name, values in parse_qs(text, max_num_fields=_MAX_FIELDS, keep_blank_values=True).items()
    }


def _cookie(scope: Scope, name: bytes) -> bytes:
    return cookie((value for key, value in scope["headers"] if key == b"cookie"), name)


def from_here(scope: Scope) -> bool:
    """A form that another site sends says so (Fetch metadata, Origin)."""
    site, origin = field(scope, b"sec-fetch-site").lower(), field(scope, b"origin").lower()
    here = scope["scheme"].encode() + b"://" + field(scope, b"host").lower()
    return site in (b"", b"same-origin", b"none") and origin in (b"", here)

"""/auth/codes: whoever is signed in by the form sets one-time codes up for the own account, and removes them."""

from __future__ import annotations

import io
from typing import Any

import segno

from postern.frontends.http import rendering
from postern.frontends.http.asgi import Admission, Answer, Fields, Receive, Scope, Send, Surroundings
from postern.frontends.http.cookies import session_cookie
from postern.frontends.http.forms import form_of, from_here
from postern.frontends.http.gate import SIGN_IN
from postern.model.refusal import Reason, Refusal
from postern.services.enrolment import OwnEnrolment
from postern.services.websessions import WebSession, WebSessions

PLACE = "/auth/codes"
_WRONG = "The password is wrong."
_WRONG_CODE = "That is not the code of this moment. Check the telephone's clock and try again."
_LATER = "This cannot be done now. Try again in a minute."
_STALE = "The page was open for too long. Try again."
_CHANGED = "One-time codes were changed meanwhile."


class OneTimeCodes:
    """The pages."""

    def __init__(self, enrolment: OwnEnrolment, sessions: WebSessions, hostname: str, log: Any) -> None:
        self._enrolment = enrolment
        self._sessions = sessions
        self._hostname = hostname
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """/auth/codes, and /begin, /confirm, /remove below it."""
        admission: Admission = scope["state"]["admission"]
        session, path = admission.session, scope["path"].lower().removeprefix(PLACE).rstrip("/")
        steps = {"/begin": self._begin, "/confirm": self._confirm, "/remove": self._remove}
        if session is None:
            answer = Answer(303, fields=((b"location", SIGN_IN.encode() + b"?next=%2Fauth%2Fcodes"),))
        elif path == "" and scope["method"] in ("GET", "HEAD"):
            answer = await self._show(scope, session)
        elif path in steps and scope["method"] == "POST":
            given = await form_of(scope, receive)
            if given is None:
                answer = Answer(400, b"This is no form of ours.\n")
            elif not from_here(scope) or not await self._sessions.is_form_key(given.get("key", ""), session.id):
                near: Surroundings = scope["state"]["surroundings"]
                self._log.warning("http.forged_form", session=near.correlation, peer=near.peer[0])
                answer = await self._show(scope, session, problem=_STALE, status=403)
            else:
                answer = await self._tried(scope, session, steps[path], given)
        elif path == "" or path in steps:
            answer = Answer(405, fields=((b"allow", b"POST" if path else b"GET, HEAD"),))
        else:
            answer = Answer(404, b"Nothing is here.\n")
        await answer(scope, receive, send)

    async def _tried(self, scope: Scope, session: WebSession, step: Any, given: dict[str, str]) -> Answer:
        """A step, or why it was refused."""
        near: Surroundings = scope["state"]["surroundings"]
        try:
            answer: Answer = await step(scope, session, given, near.peer[0])
        except Refusal as refusal:
            self._log.info(
                "http.codes_refused",
                session=near.correlation,
                peer=near.peer[0],
                user=session.principal.address,
                reason=refusal.reason.value,
                detail=refusal.detail,
            )
            if refusal.reason.temporary:
                return await self._show(scope, session, problem=_LATER, status=503)
            told = _CHANGED if refusal.reason in (Reason.ALREADY_EXISTS, Reason.NO_SUCH_ITEM, Reason.CONFLICT) else ""
            if step == self._confirm and not told:
                return await self._secret(scope, session, problem=_WRONG_CODE, status=403)
            return await self._show(scope, session, problem=told or _WRONG, status=409 if told else 403)
        return answer

    async def _show(self, scope: Scope, session: WebSession, *, problem: str = "", status: int = 200) -> Answer:
        standing = await self._enrolment.standing(session.principal)
        return await self._page(
            "codes",
            scope,
            session,
            status=status,
            problem=problem,
            in_use=standing.in_use,
            left=standing.recovery_codes,
        )

    async def _begin(self, scope: Scope, session: WebSession, given: dict[str, str], peer: str) -> Answer:
        await self._enrolment.begin(session.principal, given.get("password", ""), peer)
        return await self._secret(scope, session)

    async def _secret(self, scope: Scope, session: WebSession, *, problem: str = "", status: int = 200) -> Answer:
        made = await self._enrolment.begun(session.principal)
        letters = " ".join(made.secret[i : i + 4] for i in range(0, len(made.secret), 4))
        return await self._page(
            "codes_begun", scope, session, status=status, problem=problem, picture=_picture(made.uri), secret=letters
        )

    async def _confirm(self, scope: Scope, session: WebSession, given: dict[str, str], peer: str) -> Answer:
        codes, principal = await self._enrolment.confirm(session.principal, given.get("code", ""), peer)
        self._log.info("http.codes_confirmed", user=principal.address, peer=peer)
        # all sessions of the account are over, this browser's too: it has just shown the second factor, and goes on
        _, token = await self._sessions.begin(principal, "form", private=session.private)
        scope["state"]["admission"].fields = []
        cookie = [(b"set-cookie", session_cookie(token))]
        return await self._page("codes_confirmed", scope, session, fields=cookie, codes=codes)

    async def _remove(self, scope: Scope, session: WebSession, given: dict[str, str], peer: str) -> Answer:
        await self._enrolment.remove(session.principal, given.get("password", ""), peer)
        self._log.info("http.codes_removed", user=session.principal.address, peer=peer)
        return Answer(303, fields=((b"location", PLACE.encode()),))

    async def _page(
        self,
        name: str,
        scope: Scope,
        session: WebSession,
        *,
        status: int = 200,
        problem: str = "",
        fields: Fields = (),
        **values: object,
    ) -> Answer:
        told = rendering.text(rendering.language_of(scope), problem)
        key = await self._sessions.form_key(session.id)
        return rendering.page(
            name, scope, self._hostname, status=status, fields=fields, key=key, problem=told, **values
        )


def _picture(uri: str) -> str:
    """A QR code as SVG to stand in the page."""
    out = io.BytesIO()
    segno.make(uri, error="m").save(
        out, kind="svg", xmldecl=False, svgns=True, scale=5, border=4, dark="#000", light="#fff", omitsize=False
    )
    return out.getvalue().decode()

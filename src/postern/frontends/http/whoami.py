"""/whoami: what the server thinks of whoever asks. Support people ask for it first."""

from __future__ import annotations

import msgspec

from postern.frontends.http import rendering
from postern.frontends.http.asgi import Admission, Answer, Receive, Scope, Send, Surroundings, field
from postern.protocols.http.fields import preferred
from postern.services.websessions import WebSessions


class WhoAmI:
    """The page, and the same in JSON for programs that ask for it."""

    def __init__(self, sessions: WebSessions | None, hostname: str) -> None:
        self._sessions = sessions
        self._hostname = hostname

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["method"] not in ("GET", "HEAD"):
            answer = Answer(405, fields=((b"allow", b"GET, HEAD"),))
        else:
            answer = await self._answer(scope)
        await answer(scope, receive, send)

    async def _answer(self, scope: Scope) -> Answer:
        admission: Admission = scope["state"]["admission"]
        near: Surroundings = scope["state"]["surroundings"]
        principal, tls = admission.principal, near.tls
        assert principal is not None
        if preferred(field(scope, b"accept"), ("application/json", "text/html")) == "application/json":
            facts = {
                "address": principal.address,
                "mechanism": admission.mechanism,
                "bound": admission.bound,
                "acting": principal.actor is not None,
                "peer": near.peer[0],
                "host": near.host,
                "tls": {"version": tls.version, "cipher": tls.cipher} if tls is not None else None,
            }
            return Answer(
                200, msgspec.json.encode(facts) + b"\n", b"application/json", ((b"vary", b"Accept-Language, Accept"),)
            )
        language = rendering.language_of(scope)

        def told(english: str) -> str:
            return rendering.text(language, english)

        rows = [
            (told("Address"), principal.address),
            (told("Signed in by"), told(admission.mechanism)),
            (told("Encryption"), f"{tls.version}, {tls.cipher}" if tls is not None else told("none")),
            (told("Bound to this connection"), told("yes" if admission.bound else "no")),
            (told("Your network address"), near.peer[0]),
        ]
        key = ""
        if admission.session is not None and self._sessions is not None:
            key = await self._sessions.form_key(admission.session.id)
        return rendering.page("who_am_i", scope, self._hostname, facts=rows, key=key)

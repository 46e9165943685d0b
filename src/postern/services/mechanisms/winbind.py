"""A domain's accounts by winbind: Samba's `ntlm_auth` asks a domain controller about each NTLM answer.

The helper's protocol (ntlm-server-1) is lines of `Key: value`, or `Key:: base64`, up to one with a dot. Everything that
came from a client goes in base64: no user name can bring a line of its own.
"""

from __future__ import annotations

import asyncio
from asyncio.subprocess import DEVNULL, PIPE, Process, SubprocessStreamProtocol
from binascii import Error, a2b_hex, b2a_base64
from collections.abc import Sequence

from postern.formats.ntlm.keys import KEY_BYTES
from postern.formats.ntlm.messages import Authenticate
from postern.model.refusal import Reason, Refusal
from postern.services.mechanisms.hashes import written
from postern.services.mechanisms.ntlm import Known

ANSWER_S = 20.0
"""How long a domain controller may take."""
ANSWER_LINES = 32
LINE_BYTES = 65536


class _Helper:
    """A running helper."""

    def __init__(self, transport: asyncio.SubprocessTransport, process: Process) -> None:
        self._transport = transport
        self.process = process

    def close(self) -> None:
        """End it."""
        self._transport.close()


class Winbind:
    """Helper processes of one worker: as many as sign-ins are under way at the same time, up to a limit."""

    def __init__(self, helper: str, arguments: Sequence[str] = (), processes: int = 4) -> None:
        self._command = (helper, "--helper-protocol=ntlm-server-1", *arguments)
        self._idle: list[_Helper] = []
        self._all: set[_Helper] = set()
        self._room = asyncio.Semaphore(processes)

    async def login(self, message: Authenticate) -> str:
        """See `Verifier`."""
        return written(message)

    async def verify(self, message: Authenticate, challenge: bytes) -> Known | str:
        """See `Verifier`."""
        request = _request(message, challenge)
        async with self._room:
            try:
                async with asyncio.timeout(ANSWER_S):
                    answer = await self._ask(request)
            except (OSError, TimeoutError, asyncio.IncompleteReadError, ValueError) as problem:
                text = str(problem) or type(problem).__name__
                raise Refusal(Reason.TRY_LATER, f"winbind does not answer: {text}") from None
        if answer.get("Authenticated") != "Yes":
            return f"the domain says {answer.get('Authentication-Error', 'no')}"
        try:
            key = a2b_hex(answer.get("User-Session-Key", ""))
        except Error:
            key = b""
        if len(key) != KEY_BYTES:
            raise Refusal(Reason.TRY_LATER, "winbind gave no session key")
        return Known(written(message), key)

    def close(self) -> None:
        """End the helpers."""
        for helper in self._all:
            helper.close()
        self._all.clear()
        self._idle.clear()

    async def _ask(self, request: bytes) -> dict[str, str]:
        helper = self._idle.pop() if self._idle else await self._start()
        process, healthy = helper.process, False
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(request)
            await process.stdin.drain()
            answer: dict[str, str] = {}
            for _ in range(ANSWER_LINES):
                line = (await process.stdout.readuntil(b"\n")).decode(errors="replace").rstrip("\n")
                if line == ".":
                    # after an error the helper ends its answer twice: the second dot must not end the next one's
                    healthy = answer.get("Authenticated") == "Yes"
                    return answer
                key, _, value = line.partition(": ")
                answer[key] = value
            raise ValueError("an answer without end")
        finally:
            if healthy and process.returncode is None:
                self._idle.append(helper)
            else:
                # what is left of its answer must not become the next one's
                self._all.discard(helper)
                helper.close()

    async def _start(self) -> _Helper:
        loop = asyncio.get_running_loop()
        # as asyncio.create_subprocess_exec does it, which keeps the transport to itself
        transport, protocol = await loop.subprocess_exec(
            lambda: SubprocessStreamProtocol(limit=LINE_BYTES, loop=loop),
            *self._command,
            stdin=PIPE,
            stdout=PIPE,
            stderr=DEVNULL,
        )
        helper = _Helper(transport, Process(transport, protocol, loop))
        self._all.add(helper)
        return helper


def _request(message: Authenticate, challenge: bytes) -> bytes:
    domain, user = message.domain, message.user
    fields = [
        b"LANMAN-Challenge: " + challenge.hex().encode(),
        b"NT-Response: " + message.response.hex().encode(),
        b"NT-Domain:: " + b2a_base64(domain.encode(errors="replace"), newline=False),
        b"Username:: " + b2a_base64(user.encode(errors="replace"), newline=False),
        b"Request-User-Session-Key: Yes",
        b".",
    ]
    return b"\n".join(fields) + b"\n"

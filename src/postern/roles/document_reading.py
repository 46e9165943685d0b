"""Reading attachments in a process of its own, which is ended when a document takes too long or breaks it."""

from __future__ import annotations

import asyncio
import contextlib
import sys

from postern.formats.documents.kinds import MAX_DOCUMENT_BYTES, MAX_TEXT
from postern.roles.document_child import ANSWER, REQUEST

WALL_S = 30.0
"""A document, on a machine that has other things to do; its processor time has a limit of its own."""
MAX_ANSWER_BYTES = 4 * MAX_TEXT


class DocumentReader:
    """One document at a time. Close it: the process is not kept while there is nothing to read."""

    def __init__(self, wall_s: float = WALL_S) -> None:
        self._wall_s = wall_s
        self._child: asyncio.subprocess.Process | None = None

    async def read(self, kind: str, content: bytes) -> str | None:
        """Its text, None if it cannot be read: damaged, encrypted, too large, too slow. Raises OSError."""
        if len(content) > MAX_DOCUMENT_BYTES:
            return None
        child = self._child or await self._start()
        self._child = None  # whatever interrupts what follows: a child in the middle of something is not used again
        answered = False
        try:
            async with asyncio.timeout(self._wall_s):
                good, text = await _ask(child, kind, content)
            answered = True
        except (TimeoutError, asyncio.IncompleteReadError, ConnectionError):
            return None
        finally:
            if answered:
                self._child = child
            else:
                await _end(child)
        return text.decode("utf-8", "replace") if good else None

    async def close(self) -> None:
        """End the process; it comes again when it is needed."""
        child, self._child = self._child, None
        if child is not None:
            await _end(child)

    @staticmethod
    async def _start() -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            "-m",
            "postern.roles.document_child",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            cwd="/",
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
            start_new_session=True,
        )


async def _ask(child: asyncio.subprocess.Process, kind: str, content: bytes) -> tuple[bool, bytes]:
    """Raises ConnectionError, IncompleteReadError when the child has died."""
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(REQUEST.pack(len(kind), len(content)) + kind.encode("ascii"))
    child.stdin.write(content)
    await child.stdin.drain()
    good, length = ANSWER.unpack(await child.stdout.readexactly(ANSWER.size))
    if length > MAX_ANSWER_BYTES:
        raise ConnectionError("more than was asked for")
    return bool(good), await child.stdout.readexactly(length)


async def _end(child: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        child.kill()
    if child.stdin is not None:
        child.stdin.close()
    await asyncio.shield(child.wait())

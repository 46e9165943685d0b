"""SORT and THREAD (RFC 5256), ESORT (RFC 5267)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import TypeVar, cast

from postern.formats.mime import threads
from postern.frontends.imap.authenticate import enable_condstore
from postern.frontends.imap.connection import Connection
from postern.frontends.imap.search import answer, matching
from postern.model.ids import Uid
from postern.protocols.imap.commands.search import Search
from postern.protocols.imap.commands.sort import Sort, Thread

T = TypeVar("T")


async def sort(connection: Connection, arguments: Sort, uid: bool) -> bytes:
    """Answers with what matches, in order."""
    found = await _found(connection, arguments.search, uid=uid)
    selected = connection.view

    async def order() -> Sequence[Uid]:
        return await selected.mailbox.sort(selected.folder, found, arguments.keys)

    ordered = await _answered(connection, tuple(arguments.keys), found, order)
    await answer(connection, b"SORT", arguments.search, ordered, uid=uid)
    return b"OK SORT completed"


async def thread(connection: Connection, arguments: Thread, uid: bool) -> bytes:
    """Answers with what matches, in threads."""
    found = await _found(connection, arguments.search, uid=uid)
    selected = connection.view

    async def lines() -> Sequence[int | str]:
        roots = await selected.mailbox.threads(selected.folder, found, by_subject=arguments.by_subject)
        return list(threads.lines(roots))

    parts = await _answered(connection, arguments.by_subject, found, lines)
    text = _written(parts, (lambda number: number) if uid else selected.number)
    connection.out.append(b"* THREAD %b\r\n" % text if text else b"* THREAD\r\n")
    return b"OK THREAD completed"


async def _answered(
    connection: Connection, question: Hashable, uids: Sequence[Uid], work: Callable[[], Awaitable[Sequence[T]]]
) -> Sequence[T]:
    selected, answers = connection.view, connection.shared.answers
    question = (selected.mailbox.id, selected.folder, question)
    changed = await selected.mailbox.change_number()
    found = answers.get(question, uids, changed)
    if found is None:
        found = await work()
        answers.keep(question, uids, changed, found)
    return found


async def _found(connection: Connection, search: Search, *, uid: bool) -> Sequence[Uid]:
    if search.modseq:
        enable_condstore(connection)
    await connection.view.sync(connection.out, expunge=uid)
    return cast("Sequence[Uid]", await matching(connection, search.query))


def _written(parts: Sequence[int | str], number: Callable[[int], int]) -> bytes:
    """RFC 5256 4: a space only between two numbers and before a parenthesis that follows one."""
    pieces: list[str] = []
    after_number = False
    for part in parts:
        is_number = not isinstance(part, str)
        if after_number and part != ")":
            pieces.append(" ")
        pieces.append(part if isinstance(part, str) else str(number(part)))
        after_number = is_number
    return "".join(pieces).encode("ascii")

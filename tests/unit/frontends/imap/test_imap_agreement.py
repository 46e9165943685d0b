"""All sessions agree: whatever several sessions in two workers do to a folder, each one's view ends as the folder is.

The clients here know the folder from untagged responses alone (RFC 9051 7.3 to 7.5), as a mail program does.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from imap_world import MESSAGE, Client, FakeAuthentication, FixedEntropy, MemoryStream

from crash.organisation import MAILBOXES, TickingClock, Worker
from postern.frontends.imap.frontend import ImapFrontend
from postern.frontends.imap.settings import ImapSettings
from postern.model.ids import AccountId
from postern.roles.bus import SharedBus
from postern.services.authentication import Principal
from postern.services.mailboxes import Mailboxes

ANNA = "anna@example.org"
SESSIONS = 3
FLAGS = (b"\\Seen", b"\\Flagged", b"\\Deleted", b"$Work")
_UNTAGGED = re.compile(rb"^\* (\d+) (EXISTS|EXPUNGE|FETCH)(?: \((.*)\))?\r$", re.MULTILINE)


class Owner:
    """Rights: everybody their own mailbox."""

    async def may(self, principal, right, on):
        return principal.mailbox == on

    async def inherit(self, mailbox, parent, folder):
        pass


class OneUser(FakeAuthentication):
    async def verify_password(self, user, password, peer_address, protocol, authzid=""):
        return Principal(AccountId(1), ANNA, MAILBOXES[ANNA], 1)


class MailProgram:
    """What a client knows: for each sequence number its UID and flags, None while it has not asked."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.known: list[tuple[int, frozenset[bytes]] | None] = []

    async def command(self, text: bytes) -> None:
        answer = await self.client.cmd(text)
        assert b"\r\nOK" in answer or answer.startswith(b"OK") or b"NO [EXPUNGEISSUED]" in answer, answer
        self.hear(answer)

    def hear(self, answer: bytes) -> None:
        for number_text, kind, items in _UNTAGGED.findall(answer):
            number = int(number_text)
            if kind == b"EXISTS":
                assert number >= len(self.known), "EXISTS must not shrink a folder"
                self.known.extend([None] * (number - len(self.known)))
                continue
            assert 1 <= number <= len(self.known), (kind, number, len(self.known))
            if kind == b"EXPUNGE":
                del self.known[number - 1]
                continue
            flags = frozenset(re.search(rb"FLAGS \(([^)]*)\)", items)[1].split()) - {b"\\Recent"}
            uid = re.search(rb"UID (\d+)", items)
            before = self.known[number - 1]
            if uid is not None:
                assert before is None or before[0] == int(uid[1]), "a number's UID changed"
                self.known[number - 1] = (int(uid[1]), flags)
            elif before is not None:
                self.known[number - 1] = (before[0], flags)

    async def learn(self) -> None:
        for number, entry in enumerate(list(self.known), 1):
            if entry is None:
                await self.command(b"FETCH %d (UID FLAGS)" % number)

    async def do(self, act: str, pick: int, span: int, flag: bytes, sign: bytes) -> None:
        if act == "append":
            await self.command(b"APPEND INBOX (%b) {%d+}\r\n%b" % (flag, len(MESSAGE), MESSAGE))
        elif act in ("noop", "expunge"):
            await self.command(act.upper().encode())
        elif act == "learn":
            await self.learn()
        elif self.known:
            first = pick % len(self.known) + 1
            last = min(first + span, len(self.known))
            if act == "store":
                await self.command(b"STORE %d:%d %bFLAGS (%b)" % (first, last, sign, flag))
            elif act == "silent":
                await self._store_silently(first, last, sign, flag)
            else:
                target = b"Archive" if act == "move" else b"INBOX"
                await self.command(b"%b %d:%d %b" % (b"MOVE" if act == "move" else b"COPY", first, last, target))

    async def _store_silently(self, first: int, last: int, sign: bytes, flag: bytes) -> None:
        """The client changes its own view by itself, and what the server then says comes on top."""
        for number in range(first - 1, last):
            entry = self.known[number]
            if entry is not None:
                flags = {b"+": entry[1] | {flag}, b"-": entry[1] - {flag}, b"": frozenset({flag})}[sign]
                self.known[number] = (entry[0], flags)
        await self.command(b"STORE %d:%d %bFLAGS.SILENT (%b)" % (first, last, sign, flag))


async def play(folder: Path, rounds: list[list[tuple[int, str, int, int, bytes, bytes]]]) -> None:
    async with contextlib.AsyncExitStack() as stack:
        await _play(folder, rounds, stack)


async def _play(
    folder: Path, rounds: list[list[tuple[int, str, int, int, bytes, bytes]]], stack: contextlib.AsyncExitStack
) -> None:
    buses = [SharedBus(folder / "bus", process) for process in range(2)]
    workers = [Worker(folder, bus=bus) for bus in buses]
    for bus in buses:
        stack.callback(bus.close)
    await workers[0].create()
    for bus, worker in zip(buses, workers, strict=True):
        stack.push_async_callback(worker.close)
        await bus.start()
        worker.flow.start()

    async def connect(which: int) -> MailProgram:
        worker = workers[which % 2]
        frontend = ImapFrontend(
            ImapSettings(),
            Mailboxes(worker.store, buses[which % 2], Owner(), worker.flow, TickingClock()),
            OneUser(),
            FixedEntropy(),
            lambda: None,
        )
        client = Client(frontend, MemoryStream())
        stack.push_async_callback(client.close)
        await client.until(b"* OK")
        await client.cmd(b"LOGIN anna x")
        program = MailProgram(client)
        await program.command(b"SELECT INBOX")
        return program

    programs = [await connect(which) for which in range(SESSIONS)]
    for _ in range(3):
        await programs[0].command(b"APPEND INBOX () {%d+}\r\n%b" % (len(MESSAGE), MESSAGE))

    async def turns(which: int, acts: list[tuple[int, str, int, int, bytes, bytes]]) -> None:
        for session, act, pick, span, flag, sign in acts:
            if session == which:
                await programs[which].do(act, pick, span, flag, sign)

    for acts in rounds:
        await asyncio.gather(*(turns(which, acts) for which in range(SESSIONS)))
    for program in programs:
        await program.command(b"NOOP")
    fresh = await connect(0)
    await fresh.learn()
    for program in programs:
        told = [entry and entry[1] for entry in program.known]
        await program.learn()
        assert program.known == fresh.known
        for before, (_, now) in zip(told, program.known, strict=True):
            assert before is None or before == now
    assert [worker.failures for worker in workers] == [[], []]


_ACT = st.tuples(
    st.integers(0, SESSIONS - 1),
    st.sampled_from(["append", "noop", "learn", "store", "store", "silent", "silent", "expunge", "copy", "move"]),
    st.integers(0, 30),
    st.integers(0, 4),
    st.sampled_from(FLAGS),
    st.sampled_from([b"+", b"-", b""]),
)


@pytest.mark.slow(3)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.lists(_ACT, min_size=1, max_size=8), min_size=1, max_size=6))
def test_all_sessions_agree(rounds):
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(play(Path(folder), rounds))

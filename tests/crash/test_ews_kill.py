"""kill -9 while a message is sent by EWS: what was acknowledged is there, and nobody gets it twice, retried or not."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from postern.model.items import Columns, SpecialUse
from postern.store.journal.layout import journal_directory, journals

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests" / "unit" / "frontends" / "ews"))

from ews_world import World  # noqa: E402 - it lies with the tests of the front end

MAIL = (
    "From: Anna <anna@example.org>\r\nTo: boris@example.org\r\nSubject: {0}\r\nMessage-ID: <{0}@client.example>\r\n"
    "Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n\r\nHello\r\n"
)


def create(subject: str, *, mime: bool, disposition: str = "SendAndSaveCopy") -> str:
    if mime:
        inner = f"<t:MimeContent>{base64.b64encode(MAIL.format(subject).encode()).decode()}</t:MimeContent>"
    else:
        inner = (
            f'<t:Subject>{subject}</t:Subject><t:Body BodyType="Text">Hello</t:Body><t:ToRecipients><t:Mailbox>'
            "<t:EmailAddress>boris@example.org</t:EmailAddress></t:Mailbox></t:ToRecipients>"
        )
    return (
        f'<m:CreateItem MessageDisposition="{disposition}"><m:Items><t:Message>{inner}</t:Message></m:Items>'
        "</m:CreateItem>"
    )


def send(id_: str, key: str) -> str:
    return (
        f'<m:SendItem SaveItemToFolder="true"><m:ItemIds><t:ItemId Id="{id_}" ChangeKey="{key}"/></m:ItemIds>'
        "</m:SendItem>"
    )


def update(id_: str, key: str) -> str:
    return (
        '<m:UpdateItem MessageDisposition="SendAndSaveCopy" ConflictResolution="NeverOverwrite"><m:ItemChanges>'
        f'<t:ItemChange><t:ItemId Id="{id_}" ChangeKey="{key}"/><t:Updates><t:SetItemField>'
        '<t:FieldURI FieldURI="item:Importance"/><t:Message><t:Importance>High</t:Importance></t:Message>'
        "</t:SetItemField></t:Updates></t:ItemChange></m:ItemChanges></m:UpdateItem>"
    )


VICTIM = """
import asyncio, sys
from pathlib import Path
from ews_world import World
from postern.store import failpoints

async def run():
    world = World(Path(sys.argv[1]))
    await world.start()
    anna = world.client("anna")
    await anna.find("sentitems")
    failpoints.configure_from_environment()
    for line in sys.stdin:
        reply = await anna.ask(line)
        print(line if reply.codes == ["NoError"] else "refused", flush=True)

asyncio.run(run())
"""


@pytest.fixture(scope="module")
def organisation(tmp_path_factory):
    data = tmp_path_factory.mktemp("ews-kill") / "data"

    async def make() -> None:
        world = World(data)
        await world.start()
        await world.close()

    asyncio.run(make())
    return data


@pytest.fixture
def data(organisation, tmp_path):
    shutil.copytree(organisation, tmp_path / "data", ignore=shutil.ignore_patterns("reserve"))
    return tmp_path / "data"


def start(data: Path, failpoint: str = "") -> subprocess.Popen:
    path = os.pathsep.join([str(ROOT / "tests" / "unit" / "frontends" / "ews"), str(ROOT)])
    environment = {**os.environ, "PYTHONPATH": path, "POSTERN_FAILPOINTS": f"{failpoint}=kill:1" if failpoint else ""}
    return subprocess.Popen(
        [sys.executable, "-c", VICTIM, str(data)],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def dies(data: Path, place: str, request: str) -> bool:
    """Whether the request was answered before the process died at a place."""
    victim = start(data, place)
    told, _ = victim.communicate(request.replace("\n", "") + "\n", timeout=120)
    assert victim.returncode == -signal.SIGKILL, f"{place} was not passed"
    return request in told


async def opened(data: Path) -> World:
    """A server after the crash: what the dead one's journal has is applied."""
    world = World(data)
    await world.start()
    for journal in journals(journal_directory(data)):
        if journal != world.journal.id:
            await world.mailflow.replay(journal)
    await world.settled()
    return world


async def subjects(world: World, user: str, use: SpecialUse) -> list[str]:
    mailbox = await world.parts.store.mailbox(world.client(user).principal.mailbox)
    folder = (await mailbox.special(use)).id
    return sorted([row[0] async for rows in mailbox.items(folder, Columns.SUBJECT) for row in rows])


PLACES = ["mailflow.accepted", "mailflow.delivering", "mailflow.delivered", "append.applied", "append.assigned"]


@pytest.mark.parametrize(("place", "mime"), [*((place, True) for place in PLACES), ("append.applied", False)])
def test_creating_and_sending(data, place, mime):
    request = create("one", mime=mime)
    answered = dies(data, place, request)

    async def after() -> None:
        for _ in range(2):  # the second start finds nothing left to do
            world = await opened(data)
            got, kept = await subjects(world, "boris", SpecialUse.INBOX), await subjects(world, "anna", SpecialUse.SENT)
            assert got == ["one"]  # it was durable before the place was passed
            assert kept in (["one"], []) and (kept or not answered)
            await world.close()
        world = await opened(data)
        if mime:  # the client names its message, so that it may ask again
            assert (await world.client("anna").ask(request)).codes == ["NoError"]
            await world.settled()
            assert await subjects(world, "boris", SpecialUse.INBOX) == ["one"]
            assert await subjects(world, "anna", SpecialUse.SENT) == ["one"]
        await world.close()

    asyncio.run(after())


@pytest.mark.parametrize(
    ("place", "way"),
    [(PLACES[0], send), (PLACES[3], send), (PLACES[4], send), (PLACES[0], update), (PLACES[4], update)],
)
def test_sending_a_draft_again(data, place, way):
    async def before() -> tuple[str, str]:
        world = World(data)
        await world.start()
        reply = await world.client("anna").ask(create("draft", mime=False, disposition="SaveOnly"))
        named = reply.ok().ids()[0]
        await world.close()
        return named

    request = way(*asyncio.run(before()))
    dies(data, place, request)

    async def after() -> None:
        world = await opened(data)
        again = await world.client("anna").ask(request)
        assert again.codes in (["NoError"], ["ErrorItemNotFound"])
        await world.settled()
        assert await subjects(world, "boris", SpecialUse.INBOX) == ["draft"]
        assert await subjects(world, "anna", SpecialUse.SENT) == ["draft"]
        assert await subjects(world, "anna", SpecialUse.DRAFTS) == []
        await world.close()

    asyncio.run(after())


def test_killed_at_any_moment(data):
    victim = start(data)
    requests = [create(f"m{number:03}", mime=number % 2 == 0) for number in range(200)]
    assert victim.stdin is not None and victim.stdout is not None
    victim.stdin.write("\n".join(requests) + "\n")
    victim.stdin.flush()
    first = victim.stdout.readline()
    time.sleep(0.1)
    victim.kill()
    told = first + victim.stdout.read()
    with contextlib.suppress(BrokenPipeError):  # what was not read any more
        victim.stdin.close()
    victim.stdout.close()
    victim.wait()
    named = {request: f"m{number:03}" for number, request in enumerate(requests)}
    answered = {named[line] for line in re.split(r"\n+", told) if line in named}

    async def after() -> None:
        world = await opened(data)
        got, kept = await subjects(world, "boris", SpecialUse.INBOX), await subjects(world, "anna", SpecialUse.SENT)
        assert len(got) == len(set(got)) and len(kept) == len(set(kept))
        assert answered and answered <= set(got) and answered <= set(kept)
        await world.close()

    asyncio.run(after())

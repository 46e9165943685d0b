"""kill -9 anywhere between a delivery and the reply that it sets off: exactly one reply."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from postern.config.loading import load
from postern.store.journal.layout import journal_directory, journals
from unit.services.rules_world import make, world

TESTS = Path(__file__).parents[1]
VICTIM = """
import asyncio, sys
from pathlib import Path
from postern.config.loading import load
from postern.store import failpoints
from unit.services.rules_world import world

async def run():
    async with world(load(Path(sys.argv[1]))) as here:
        book = await here.book()
        await book.put("main", b'require "vacation"; vacation "away";')
        await book.activate("main")
        failpoints.configure_from_environment()
        await here.send("From: bob@example.net\\nTo: anna@example.org\\nSubject: 1\\n\\nHello\\n")

asyncio.run(run())
"""


@pytest.fixture(scope="module")
def organisation(tmp_path_factory):
    directory = tmp_path_factory.mktemp("rules-kill")
    make(directory)
    return directory


@pytest.mark.parametrize(
    "place", ["mailflow.delivering", "mailflow.delivered", "rules.sending", "rules.submitted", "assistants.settled"]
)
def test_one_reply_whenever_it_dies(organisation, tmp_path, place):
    shutil.copytree(organisation, tmp_path, ignore=shutil.ignore_patterns("reserve"), dirs_exist_ok=True)
    config = tmp_path / "postern.toml"
    environment = {**os.environ, "POSTERN_FAILPOINTS": f"{place}=kill:1", "PYTHONPATH": str(TESTS)}
    victim = subprocess.run([sys.executable, "-c", VICTIM, str(config)], env=environment, check=False, timeout=120)
    assert victim.returncode == -signal.SIGKILL

    async def after():
        for _ in range(2):  # the second start finds nothing left to do
            async with world(load(config)) as here:
                for journal in journals(journal_directory(here.parts.data)):
                    if journal != here.mailflow._journal.id:
                        await here.mailflow.replay(journal)
                for mailbox in await here.parts.store.with_outbox():
                    here.assistant.wake(mailbox)
                await here.settled()
                found = await here.folders()
                assert found == {"INBOX": [("1", 0, ())]}
                length = await here.parts.queue.length()
                assert length == 1
        async with world(load(config)) as here:
            ((sender, to, content),) = await here.outgoing()
            assert (sender, to) == ("", ["bob@example.net"])
            assert b"away" in content

    asyncio.run(after())

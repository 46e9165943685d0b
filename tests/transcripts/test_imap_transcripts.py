"""Plays every transcript against our server, and against Dovecot where it has what they need (docs/deviations.md)."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from servers import DOVECOT, Dovecot, OurServer
from transcript import Mismatch, Run, load

FOLDER = Path(__file__).parent / "imap"
TRANSCRIPTS = [load(path) for path in sorted(FOLDER.rglob("*.txt"))]
TOGETHER = 20
"""Transcripts a test: a server is started once for each group."""


def _groups(transcripts):
    return [transcripts[i : i + TOGETHER] for i in range(0, len(transcripts), TOGETHER)]


async def _play(server, transcripts) -> None:
    failures = []
    await server.start()
    try:
        for transcript in transcripts:
            await server.begin(transcript)
            try:
                await Run(transcript, server.connect, loose=server.loose).play()
            except (Mismatch, AssertionError, TimeoutError) as error:
                failures.append(f"{transcript.name}: {type(error).__name__}: {error}")
            finally:
                await server.end()
    finally:
        await server.close()
    assert not failures, "\n\n".join(failures)


@pytest.mark.parametrize("group", _groups(TRANSCRIPTS), ids=lambda group: f"{group[0].name}..{group[-1].name}")
async def test_ours(group):
    wanted = os.environ.get("TRANSCRIPT")
    # in memory where there is such a place: what survives a power cut is tested elsewhere
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as data:
        await _play(OurServer(Path(data)), [t for t in group if not wanted or wanted in t.name])


@pytest.mark.interop
@pytest.mark.skipif(not DOVECOT.exists(), reason="Dovecot is not installed (scripts/install-test-parts)")
@pytest.mark.parametrize(
    "group",
    _groups([t for t in TRANSCRIPTS if not {"ours", "differs", "raw"} & set(t.options)]),
    ids=lambda group: f"{group[0].name}..{group[-1].name}",
)
async def test_dovecot_agrees(group):
    server = Dovecot()
    await server.start()
    wanted = os.environ.get("TRANSCRIPT")
    group = [
        t
        for t in group
        if set(t.options.get("needs", "").split()) <= server.capabilities and (not wanted or wanted in t.name)
    ]
    server.start = _started
    await _play(server, group)


async def _started() -> None:
    """It was started already, to be asked what it can do."""


def test_every_difference_is_explained():
    names = (Path(__file__).parents[2] / "docs" / "deviations.md").read_text()
    missing = [t.name for t in TRANSCRIPTS if "differs" in t.options and t.options["differs"] not in names]
    assert missing == []

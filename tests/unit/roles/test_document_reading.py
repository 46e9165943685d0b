"""Attachments are read in a process that may be broken by them; the one that asks is not."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests import documents as made

from postern.formats.documents.kinds import MAX_DOCUMENT_BYTES, OOXML, PDF, PLAIN
from postern.roles import document_child
from postern.roles.document_reading import DocumentReader


@pytest.fixture
async def reader() -> AsyncIterator[DocumentReader]:
    reader = DocumentReader()
    yield reader
    await reader.close()


async def test_one_process_reads_many_and_goes(reader: DocumentReader) -> None:
    assert await reader.read(PLAIN, b"first") == "first"
    process = reader._child
    assert process is not None
    assert "Folie eins" in (await reader.read(OOXML, made.pptx()) or "")
    assert "words on a page" in (await reader.read(PDF, made.pdf("words on a page")) or "")
    assert await reader.read(PDF, b"rubbish") is None
    assert reader._child is process
    await reader.close()
    assert process.returncode is not None
    assert await reader.read(PLAIN, b"again") == "again"


async def test_too_large_is_not_even_sent(reader: DocumentReader) -> None:
    assert await reader.read(PLAIN, bytes(MAX_DOCUMENT_BYTES + 1)) is None
    assert reader._child is None


async def test_a_process_that_dies_costs_one_document(reader: DocumentReader) -> None:
    assert await reader.read(PLAIN, b"x") == "x"
    assert reader._child is not None
    os.kill(reader._child.pid, 9)
    assert await reader.read(PLAIN, b"y") is None
    assert await reader.read(PLAIN, b"z") == "z"


async def test_a_pdf_whose_pages_go_in_circles(reader: DocumentReader) -> None:
    began = time.monotonic()
    await reader.read(PDF, made.pdf_with_looping_pages())  # nothing comes of it, whatever the library makes of it
    assert time.monotonic() - began < 45
    assert await reader.read(PLAIN, b"z") == "z"


async def test_a_pdf_bomb_ends_within_its_limits(reader: DocumentReader) -> None:
    await reader.read(PDF, made.pdf_bomb(100))
    assert await reader.read(PLAIN, b"z") == "z"


async def test_a_wall_of_time(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = DocumentReader(wall_s=0.5)
    started = DocumentReader._start

    async def sleeper() -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            "sleep", "60", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )

    monkeypatch.setattr(DocumentReader, "_start", staticmethod(sleeper))
    assert await reader.read(PLAIN, b"x") is None
    monkeypatch.setattr(DocumentReader, "_start", staticmethod(started))
    reader._wall_s = 30
    assert await reader.read(PLAIN, b"x") == "x"
    await reader.close()


PROBE = """
import resource, sys
from postern.roles import document_child
document_child.os.nice = lambda by: 0  # the test is not to wait for the whole machine
document_child.limit()
document_child.CPU_S = 1
what = sys.argv[1]
if what == "memory":
    try:
        bytearray(900 << 20)
    except MemoryError:
        print("no memory")
elif what == "file":
    try:
        with open(sys.argv[2], "wb", buffering=0) as file:
            file.write(b"x")
    except OSError:
        print("no file")
else:
    document_child._more_time()
    while True:
        pass
"""


@pytest.mark.parametrize(
    ("what", "said", "status"), [("memory", b"no memory", 0), ("file", b"no file", 0), ("cpu", b"", -24)]
)
async def test_the_limits_hold(tmp_path: Path, what: str, said: bytes, status: int) -> None:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROBE, what, str(tmp_path / "file"), stdout=asyncio.subprocess.PIPE
    )
    out, _ = await child.communicate()
    assert (out.strip(), child.returncode) == (said, status)


def test_what_a_reader_raises_is_an_answer() -> None:
    good, text = document_child.answer(PDF, b"rubbish")
    assert not good
    assert text

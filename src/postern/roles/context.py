"""An organisation's parts for a command, beside a running server or without one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from postern.config.settings import Settings
from postern.model.refusal import Reason, Refusal
from postern.roles.parts import Parts
from postern.services.mailflow import Mailflow
from postern.services.mailflow_settings import MailflowSettings
from postern.store.journal.layout import allocate_journal, journal_directory
from postern.store.journal.writer import Journal


def _epoch(data: Path) -> int:
    """The store's epoch as the last server began it: a command belongs to it; 0 if no server ever ran."""
    try:
        number = msgspec.json.decode((data / "epoch").read_bytes())["number"]
    except FileNotFoundError:
        return 0
    except (OSError, msgspec.MsgspecError, KeyError, TypeError) as problem:
        raise Refusal(Reason.CORRUPT, f"{data / 'epoch'} cannot be read: {problem}") from problem
    return int(number)


@asynccontextmanager
async def open_organisation(settings: Settings) -> AsyncIterator[Parts]:
    """Directory, store, queue and tracking of a data directory, made if it is new.

    Changes are seen by a running server at once: the directory's readers notice, the store publishes on the bus.
    What is committed is durable when the block ends. Raises Refusal, OSError, StartError.
    """
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    parts = Parts.open(settings, "command", None, _epoch(settings.data_dir))
    try:
        yield parts
        await parts.store.sync_dirty()
    finally:
        await parts.close()


@asynccontextmanager
async def accepting(parts: Parts) -> AsyncIterator[Mailflow]:
    """Take mail in with a journal of one's own; everything is delivered when the block ends."""

    def failed(problem: Exception) -> None:
        raise problem

    directory = journal_directory(parts.data)
    journal = Journal(
        directory,
        allocate_journal(directory),
        parts.clock,
        failed,
        segment_bytes=parts.settings.store.segment_bytes,
        spool_bytes=parts.settings.store.spool_bytes,
    )
    mailflow = Mailflow(
        journal,
        parts.store,
        parts.directory,
        parts.queue,
        parts.tracker,
        parts.clock,
        failed,
        MailflowSettings(parts.settings.server.hostname, parts.settings.smtp.max_received),
    )
    mailflow.start()
    try:
        yield mailflow
    finally:
        await mailflow.close()

"""What `postern import` and `postern export` share: mailboxes opened for the administrator, progress, results."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from postern.cli.files import explain_file
from postern.cli.language import _
from postern.cli.organisation import existing_account, open_organisation, run
from postern.cli.output import fail
from postern.config.settings import Settings
from postern.directory.interface import Account
from postern.migration.copying import Progress
from postern.migration.values import SourceError
from postern.model.refusal import Reason, Refusal
from postern.roles.context import accepting
from postern.roles.parts import Parts
from postern.services.mailbox_access import MailboxAccess
from postern.services.mailflow import Mailflow


class Office:
    """The organisation while a command moves mail."""

    def __init__(self, parts: Parts, mailflow: Mailflow) -> None:
        self.parts = parts
        self._mailflow = mailflow

    async def open(self, address: str) -> tuple[Account, MailboxAccess]:
        """Somebody's mailbox with all rights. Raises Refusal."""
        account = await existing_account(self.parts.directory, address)
        if account.mailbox is None:
            raise Refusal(Reason.NO_SUCH_RECIPIENT, _("{address} has no mailbox", address=account.address))
        mailbox = await self.parts.store.mailbox(account.mailbox)
        return account, MailboxAccess(mailbox, self.parts.store, self.parts.bus, account.slot, self._mailflow)


@asynccontextmanager
async def office(settings: Settings) -> AsyncIterator[Office]:
    """Beside a running server or without one. Raises Refusal."""
    async with open_organisation(settings) as parts, accepting(parts) as mailflow:
        yield Office(parts, mailflow)


def moving(work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Run; what a source says, or a disk, ends the command with its words."""
    try:
        return run(work)
    except SourceError as problem:
        fail(str(problem))
    except OSError as problem:
        fail(explain_file(problem))


class Meter:
    """A progress bar on a terminal; nothing elsewhere."""

    def __init__(self, title: str) -> None:
        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[octets]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=not sys.stderr.isatty(),
            transient=True,
        )
        self._task = self._bar.add_task(title, total=None, octets="")

    def __enter__(self) -> Callable[[Progress], None]:
        self._bar.start()
        return self._show

    def __exit__(self, *_problem: object) -> None:
        self._bar.stop()

    def _show(self, progress: Progress) -> None:
        octets = f"{progress.copied_bytes / 1e6:.1f} MB"
        self._bar.update(
            self._task, completed=progress.copied + progress.present, total=progress.total or None, octets=octets
        )

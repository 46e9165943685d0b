"""What `postern backup` and `postern restore` share: the repository and its key, progress, how things end."""

from __future__ import annotations

import errno
import getpass
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.progress import Progress as Bar

from postern.backup.crypt import Secret, WrongKeyError, read_key_file
from postern.backup.repository import DamagedError, Repository, RepositoryError, open_repository
from postern.cli.files import explain_file
from postern.cli.language import _
from postern.cli.organisation import become_owner
from postern.cli.output import done, fail
from postern.net.clock import SystemEntropy

PASSPHRASE = "POSTERN_BACKUP_PASSPHRASE"  # noqa: S105 - the variable's name

KeyFile = Annotated[
    Path | None, Parameter(name="--key-file", help=_("The key: a file that `postern backup key` has made."))
]
Passphrase = Annotated[
    bool,
    Parameter(negative="", help=_("The key is a passphrase: POSTERN_BACKUP_PASSPHRASE, or asked for.")),
]
Snapshot = Annotated[
    str | None, Parameter(name="--snapshot", help=_("Which backup, as the list shows it; the newest by default."))
]
REPOSITORY = Parameter(help=_("The repository: a directory, best on another disk."))


def secret(key_file: Path | None, passphrase: bool) -> Secret | None:
    """The administrator's key. Raises WrongKeyError, OSError."""
    if key_file is not None and passphrase:
        fail(_("Say either --key-file or --passphrase."), 2)
    if key_file is not None:
        return read_key_file(key_file)
    if not passphrase:
        return None
    words = os.environ.get(PASSPHRASE) or (getpass.getpass(_("Passphrase: ")) if sys.stdin.isatty() else "")
    if len(words) < 8:
        fail(_("A passphrase has at least eight characters: set POSTERN_BACKUP_PASSPHRASE."), 2)
    return Secret("passphrase", words.encode())


@contextmanager
def repository_of(
    path: Path,
    key_file: Path | None,
    passphrase: bool,
    *,
    make: bool = False,
    alone: bool = False,
    owner: Path | None = None,
) -> Iterator[Repository]:
    """The repository, locked; what goes wrong with it ends the command with its words.

    The key is read first: root may have one that the owner of the data (`owner`, else of the repository) cannot read.
    """
    try:
        key = secret(key_file, passphrase)
        become_owner(owner or path)
        repository = open_repository(path, SystemEntropy(), key, make=make)
        with repository.locked(alone=alone):
            yield repository
    except (RepositoryError, WrongKeyError, DamagedError) as problem:
        fail(str(problem))
    except OSError as problem:
        where = problem.filename or path
        if problem.errno == errno.ENOSPC:
            fail(
                _(
                    "{file}: no space left on the disk. Backups that are there stay as they are; make room"
                    " (`postern backup prune`) and run it again.",
                    file=where,
                )
            )
        if problem.errno in (errno.EACCES, errno.EPERM):
            fail(_("{file}: permission denied. Give the repository to the owner of the data directory.", file=where))
        fail(explain_file(problem, path))


class Octets:
    """A progress bar on a terminal; nothing elsewhere."""

    def __init__(self, title: str) -> None:
        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(binary_units=True),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=not sys.stderr.isatty(),
            transient=True,
        )
        self._task = self._bar.add_task(title, total=None)

    def __enter__(self) -> Callable[[int, int], None]:
        self._bar.start()
        return self._show

    def __exit__(self, *_problem: object) -> None:
        self._bar.stop()

    def _show(self, done: int, total: int) -> None:
        self._bar.update(self._task, completed=done, total=total or None)


def say(text: str, facts: dict[str, Any], trouble: Sequence[str], *, json: bool) -> None:
    """The end of a command: what it did, then what went wrong, with exit status 1."""
    done(text, facts, json=json)
    if trouble:
        for one in () if json else trouble:
            sys.stderr.write(f"postern: {one}\n")
        raise SystemExit(1)

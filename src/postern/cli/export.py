"""`postern export`: a mailbox's mail into files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from cyclopts import App

from postern.cli.import_ import Only
from postern.cli.language import _
from postern.cli.moving import Meter, moving, office
from postern.cli.organisation import Config, Json, load_settings
from postern.cli.output import done, fail
from postern.migration.exporting import Target, export
from postern.migration.targets.archive import ArchiveTarget
from postern.migration.targets.maildir import MaildirTarget
from postern.migration.targets.mbox import MboxTarget
from postern.net.clock import SystemClock

app = App(name="export", help=_("Write a mailbox's mail into files. Clients may go on working meanwhile."))


@app.command(help=_("Into a new Maildir.\n\nExample: postern export maildir anna@example.org /srv/anna"))
def maildir(address: str, path: Path, /, *, folder: Only = (), config: Config = None, json: Json = False) -> None:  # noqa: D103
    _write(address, path, lambda _address: MaildirTarget(path), folder, config, json)


@app.command(
    help=_(
        "Into mbox files in a new directory, one a folder.\n\nExample: postern export mbox anna@example.org /srv/anna"
    )
)
def mbox(address: str, path: Path, /, *, folder: Only = (), config: Config = None, json: Json = False) -> None:  # noqa: D103
    _write(address, path, lambda _address: MboxTarget(path), folder, config, json)


@app.command(
    help=_(
        "Into one archive file, which `postern import archive` takes back; `.gz` at its end compresses it."
        "\n\nExample: postern export archive anna@example.org anna.tar.gz"
    )
)
def archive(address: str, path: Path, /, *, folder: Only = (), config: Config = None, json: Json = False) -> None:  # noqa: D103
    now = int(SystemClock().timestamp())
    _write(address, path, lambda owner: ArchiveTarget(path, owner, now), folder, config, json)


def _write(
    address: str,
    path: Path,
    target: Callable[[str], Target],
    only: tuple[str, ...],
    config: Path | None,
    json: bool,
) -> None:
    if path.exists():
        fail(_("{path} exists already: name another one", path=path))
    settings = load_settings(config)

    async def work() -> dict[str, Any]:
        async with office(settings) as here:
            account, access = await here.open(address)
            with Meter(account.address) as show:
                progress = await export(access, target(account.address), only, show)
            return {"address": account.address, "path": str(path), **msgspec.to_builtins(progress)}

    facts = moving(work)
    done(
        _("{address}: {copied} messages in {folders} folders are in {path}.", **facts),
        facts,
        json=json,
    )

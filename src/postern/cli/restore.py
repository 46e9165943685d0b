"""`postern restore`: the whole organisation, a mailbox, folders, single items out of a backup."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec
from cyclopts import App, Parameter

from postern.backup.opening import SnapshotBlobs, open_mailbox
from postern.backup.repository import Repository, chosen
from postern.backup.returning import End, Returned, Returning, Wanted
from postern.backup.taking import DIRECTORY
from postern.backup.whole import Restoring
from postern.cli.backup_parts import REPOSITORY, KeyFile, Octets, Passphrase, Snapshot, repository_of, say
from postern.cli.language import _
from postern.cli.moments import moment, parse_moment
from postern.cli.moving import Meter, Office, moving, office
from postern.cli.organisation import Config, Json, load_settings
from postern.cli.output import fail, show_list, size
from postern.directory.interface import Account
from postern.migration.copying import Progress
from postern.model.ids import MailboxId
from postern.model.items import Columns
from postern.net.clock import SystemClock

app = App(name="restore", help=_("Bring back the whole organisation, a mailbox, folders or items from a backup."))

Folders = Annotated[
    tuple[str, ...],
    Parameter(name="--folder", negative="", help=_("Only this folder and what is below it; may be repeated.")),
]
Uids = Annotated[
    tuple[int, ...],
    Parameter(name="--uid", negative="", help=_("Only the item with this UID, as `restore find` shows.")),
]
MessageIds = Annotated[
    tuple[str, ...], Parameter(name="--message-id", negative="", help=_("Only the message with this Message-ID."))
]
Subject = Annotated[str, Parameter(help=_("Only items with this in their subject."))]
Since = Annotated[str | None, Parameter(help=_("Only items received at or after this time: 2h, 3d, 2026-01-31."))]
Until = Annotated[str | None, Parameter(help=_("Only items received before this time."))]
Into = Annotated[str, Parameter(help=_("Below this folder instead of where the items were."))]
To = Annotated[str | None, Parameter(help=_("Into the mailbox with this address instead of the original."))]
MissingOnly = Annotated[
    bool, Parameter(name="--missing-only", negative="", help=_("Leave out what is still in the mailbox."))
]
Recoverable = Annotated[bool, Parameter(negative="", help=_("Also what lay in Recoverable Items."))]


@app.command(
    name="all",
    help=_(
        "Bring the whole organisation back into an empty data directory; then start the server."
        "\n\nExample: postern restore all /mnt/backup --data /var/lib/postern --settings /etc/postern/postern.toml"
    ),
)
def all_(  # noqa: D103
    repository: Annotated[Path, REPOSITORY],
    /,
    *,
    data: Annotated[Path, Parameter(name="--data", help=_("The empty data directory."))],
    settings: Annotated[
        Path | None, Parameter(name="--settings", help=_("Where the settings file goes; one that is there stays."))
    ] = None,
    snapshot: Snapshot = None,
    key_file: KeyFile = None,
    passphrase: Passphrase = False,
    json: Json = False,
) -> None:
    with repository_of(repository, key_file, passphrase, owner=data) as opened, Octets(_("Restore")) as show:
        restored = Restoring(
            opened,
            chosen(opened, snapshot),
            data,
            int(SystemClock().timestamp()),
            settings,
            lambda progress: show(progress.done_bytes, progress.total_bytes),
        ).run()
    facts = restored._asdict()
    told = {**facts, "data": data, "octets": size(restored.restored_bytes)}
    text = _(
        "Backup {snapshot} is in {data}: {mailboxes} mailboxes, {octets}. Start the server: it delivers what was on its"
        " way.",
        **told,
    )
    if not (data / DIRECTORY).exists():
        text = _(
            "Of backup {snapshot}, {mailboxes} mailboxes ({octets}) are in {data}, but the directory is not: no server"
            " starts with it. Empty {data} and take an older backup: `postern backup list` shows them, --snapshot"
            " chooses one.",
            **told,
        )
    elif restored.trouble:
        text = _(
            "Backup {snapshot} is in {data} except for what is listed: {mailboxes} mailboxes, {octets}. Older backups"
            " may have the rest (`postern backup list`, --snapshot). Start the server: it delivers what was on its"
            " way.",
            **told,
        )
    say(text, facts, restored.trouble, json=json)


@app.command(
    help=_(
        "Bring a mailbox back, or folders or items of it; clients see them come."
        "\n\nExample: postern restore mailbox /mnt/backup anna@example.org --folder Projects --missing-only"
    )
)
def mailbox(  # noqa: D103, PLR0913 - one option for each way to choose
    repository: Annotated[Path, REPOSITORY],
    address: str,
    /,
    *,
    folder: Folders = (),
    uid: Uids = (),
    message_id: MessageIds = (),
    subject: Subject = "",
    since: Since = None,
    until: Until = None,
    into: Into = "",
    to: To = None,
    missing_only: MissingOnly = False,
    recoverable: Recoverable = False,
    snapshot: Snapshot = None,
    key_file: KeyFile = None,
    passphrase: Passphrase = False,
    config: Config = None,
    json: Json = False,
) -> None:
    settings = load_settings(config)
    wanted = Wanted(folder, uid, message_id, subject, _moment(since), _moment(until), recoverable)
    if uid and not folder:
        fail(_("A UID counts within a folder: say --folder too."), 2)

    with repository_of(repository, key_file, passphrase, owner=settings.data_dir) as opened:

        async def work() -> tuple[str, str, Returned]:
            async with office(settings) as here:
                source = await _source(here, opened, address, snapshot)
                account, access = await here.open(to or address)
                blobs = SnapshotBlobs(opened, source.manifest)
                target = End(await here.parts.store.mailbox(access.id), here.parts.blobs)
                async with open_mailbox(opened, source.manifest, source.mailbox, here.parts.clock) as old:
                    with Meter(account.address) as show:
                        returned = await Returning(
                            End(old, blobs),
                            target,
                            access.mailflow,
                            wanted,
                            into=into,
                            missing_only=missing_only,
                            tell=lambda state: show(_progress(state)),
                        ).run()
                return source.snapshot, account.address, returned

        name, where, returned = moving(work)
    facts = {"snapshot": name, "address": where, **msgspec.to_builtins(returned)}
    text = _(
        "{address}: {copied} items in {folders} folders came back from backup {snapshot}; {present} are still there.",
        **facts,
    )
    say(text, facts, returned.trouble, json=json)


@app.command(
    help=_(
        "List the items of a mailbox in a backup."
        "\n\nExample: postern restore find /mnt/backup anna@example.org --subject offer"
    )
)
def find(  # noqa: D103, PLR0913
    repository: Annotated[Path, REPOSITORY],
    address: str,
    /,
    *,
    folder: Folders = (),
    message_id: MessageIds = (),
    subject: Subject = "",
    since: Since = None,
    until: Until = None,
    recoverable: Recoverable = False,
    snapshot: Snapshot = None,
    key_file: KeyFile = None,
    passphrase: Passphrase = False,
    config: Config = None,
    json: Json = False,
) -> None:
    settings = load_settings(config)
    wanted = Wanted(folder, (), message_id, subject, _moment(since), _moment(until), recoverable)
    columns = Columns.UID | Columns.RECEIVED_AT | Columns.SIZE | Columns.SUBJECT | Columns.MESSAGE_ID

    with repository_of(repository, key_file, passphrase, owner=settings.data_dir) as opened:

        async def work() -> list[dict[str, Any]]:
            rows = []
            async with office(settings) as here:
                source = await _source(here, opened, address, snapshot)
                async with open_mailbox(opened, source.manifest, source.mailbox, here.parts.clock) as old:
                    for one, path in wanted.of(await old.folders()):
                        async for part in old.items(one.id, columns):
                            rows += [
                                {
                                    "folder": "/".join(path),
                                    "uid": uid,
                                    "received_at": received_at,
                                    "bytes": octets,
                                    "subject": text,
                                    "message_id": name,
                                }
                                for uid, received_at, octets, text, name in part
                                if wanted.takes(uid, received_at, text, name)
                            ]
            return rows

        rows = moving(work)
    if not json:
        rows = [{**row, "when": moment(row["received_at"]), "octets": size(row["bytes"])} for row in rows]
    headings = {
        "folder": _("FOLDER"),
        "uid": "UID",
        "when": _("WHEN"),
        "octets": _("SIZE"),
        "subject": _("SUBJECT"),
    }
    show_list(rows, headings, json=json)


class _Source(msgspec.Struct, frozen=True):
    snapshot: str
    manifest: Any
    account: Account | None
    mailbox: MailboxId


async def _source(here: Office, repository: Repository, address: str, snapshot: str | None) -> _Source:
    """Where a mailbox is in a backup: by its account, or by its GUID if there is none any more."""
    repository.load()
    name = chosen(repository, snapshot)
    manifest = repository.read_snapshot(name)
    if len(address) == 32 and address.isalnum():
        return _Source(name, manifest, None, MailboxId(address))
    account, access = await here.open(address)
    return _Source(name, manifest, account, access.id)


def _progress(state: Returned) -> Progress:
    return Progress(
        folders=state.folders,
        total=state.total,
        present=state.present,
        copied=state.copied,
        copied_bytes=state.copied_bytes,
    )


def _moment(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        return parse_moment(text)
    except ValueError:
        fail(_("{text} is no time: say 2h, 3d, 2026-01-31 or 2026-01-31T12:00.", text=text), 2)

"""`postern backup`: the whole organisation into a repository, while everybody works."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from postern.backup import checking
from postern.backup.repository import DamagedError
from postern.backup.taking import DIRECTORY, Taking
from postern.cli.backup_parts import REPOSITORY, KeyFile, Octets, Passphrase, repository_of, say
from postern.cli.files import explain_file
from postern.cli.language import _
from postern.cli.moments import moment
from postern.cli.organisation import Config, Json, load_settings
from postern.cli.output import done, fail, show_list, size
from postern.cli.serve import config_path
from postern.config.settings import Settings
from postern.net.clock import SystemClock, SystemEntropy

app = App(name="backup", help=_("Back up the whole organisation, while everybody works; look after the backups."))

Compress = Annotated[
    bool, Parameter(negative="", help=_("Compress what gets smaller by it; slower, and mail seldom does by much."))
]
Keep = Annotated[int, Parameter(name="--keep", help=_("How many of the newest backups stay."))]
NICENESS = 10


@app.command(
    help=_(
        "Take a backup: only what has changed since the last one is read and written."
        " The first run makes the repository; with a key it is encrypted."
        "\n\nExample: postern backup run /mnt/backup --key-file /etc/postern/backup.key"
    )
)
def run(  # noqa: D103
    repository: Annotated[Path, REPOSITORY],
    /,
    *,
    key_file: KeyFile = None,
    passphrase: Passphrase = False,
    compress: Compress = False,
    config: Config = None,
    json: Json = False,
) -> None:
    settings = load_settings(config)
    if not (settings.data_dir / DIRECTORY).exists():
        fail(_("there is no organisation in {data}; `postern quickstart` makes one", data=settings.data_dir))
    data = settings.data_dir
    if data.resolve() in (repository.resolve(), *repository.resolve().parents):
        fail(_("{path} lies inside of what is backed up: name a directory elsewhere", path=repository))
    new = not os.path.lexists(repository / "postern-backup.json")
    os.nice(NICENESS)
    with (
        repository_of(repository, key_file, passphrase, make=True, alone=True, owner=data) as opened,
        Octets(_("Backup")) as show,
    ):
        taken = Taking(
            opened,
            data,
            SystemClock(),
            host=settings.server.hostname or socket.gethostname(),
            outside=[config_path(config).absolute(), *outside(settings)],
            compress=compress,
            tell=lambda progress: show(progress.done_bytes, progress.total_bytes),
        ).run()
    facts: dict[str, Any] = taken._asdict()
    text = _(
        "Backup {snapshot}: {files} files, {total}; {read} read, {new} new in the repository, {seconds:.1f} s.",
        **facts,
        total=size(taken.total_bytes),
        read=size(taken.read_bytes),
        new=size(taken.new_bytes),
    )
    if new and not json:
        # a backup disk that is not mounted looks like this, and the next to notice would be who needs the backup
        text = _("There was no repository in {path}: this run made one.", path=repository) + "\n" + text
    say(text, facts, taken.trouble, json=json)


def outside(settings: Settings) -> list[Path]:
    """Files that settings name; those in the data directory are there anyway."""
    named = [
        settings.certificate,
        settings.key,
        settings.client_certificate,
        settings.client_key,
        *(Path(one.key) for one in settings.dkim),
    ]
    return sorted({path.absolute() for path in named})


@app.command(
    name="list", help=_("List the backups in a repository.\n\nExample: postern backup list /mnt/backup --json")
)
def list_(  # noqa: D103
    repository: Annotated[Path, REPOSITORY],
    /,
    *,
    key_file: KeyFile = None,
    passphrase: Passphrase = False,
    json: Json = False,
) -> None:
    rows: list[dict[str, Any]] = []
    damaged = []
    with repository_of(repository, key_file, passphrase) as opened:
        for name in opened.snapshots():
            try:
                manifest = opened.read_snapshot(name)
            except DamagedError as problem:
                damaged.append(str(problem))
                rows.append({"snapshot": name, "readable": False})
                continue
            rows.append(
                {
                    "snapshot": name,
                    "readable": True,
                    "began_at": manifest.began_at,
                    "host": manifest.host,
                    "version": manifest.version,
                    "files": len(manifest.files),
                    "mailboxes": sum(one.kind == "mailbox" for one in manifest.files),
                    "bytes": manifest.size_bytes,
                    "trouble": list(manifest.trouble),
                }
            )
    if not json:
        rows = [
            {
                **row,
                "when": moment(row.get("began_at")),
                "octets": size(row.get("bytes")),
                "lacks": len(row.get("trouble", ())),
            }
            for row in rows
        ]
    columns = {
        "snapshot": _("BACKUP"),
        "when": _("WHEN"),
        "host": _("SERVER"),
        "mailboxes": _("MAILBOXES"),
        "octets": _("SIZE"),
        "lacks": _("TROUBLE"),
    }
    show_list(rows, columns, json=json)
    if damaged:
        raise SystemExit(1)


@app.command(
    help=_(
        "Read everything in a repository and compare it with its checksums."
        "\n\nExample: postern backup verify /mnt/backup"
    )
)
def verify(  # noqa: D103
    repository: Annotated[Path, REPOSITORY],
    /,
    *,
    key_file: KeyFile = None,
    passphrase: Passphrase = False,
    json: Json = False,
) -> None:
    os.nice(NICENESS)
    with repository_of(repository, key_file, passphrase) as opened, Octets(_("Verification")) as show:
        checked = checking.verify(opened, show)
    facts = checked._asdict()
    text = _("{snapshots} backups, {chunks} chunks, {octets}: read.", **facts, octets=size(checked.read_bytes))
    lost = [_("damaged in backup {file}", file=one) for one in checked.damaged_files]
    advice = []
    if checked.set_aside:
        advice = [
            _(
                "{count} damaged chunks were set aside: the next `postern backup run` writes anew what the server still"
                " has of them, for older backups too. Run it, verify again, and have the disk looked at.",
                count=checked.set_aside,
            )
        ]
    nothing = []
    if not checked.snapshots:
        nothing = [
            _(
                "There is no backup in {repository}, so nothing can be restored from it: make one with"
                " `postern backup run`, and look whether this is the right directory and its disk is mounted.",
                repository=repository,
            )
        ]
    say(text, facts, [*checked.trouble, *lost, *advice, *nothing], json=json)


@app.command(
    help=_(
        "Remove all but the newest backups, and what only they had."
        "\n\nExample: postern backup prune /mnt/backup --keep 14"
    )
)
def prune(  # noqa: D103
    repository: Annotated[Path, REPOSITORY],
    /,
    *,
    keep: Keep,
    key_file: KeyFile = None,
    passphrase: Passphrase = False,
    json: Json = False,
) -> None:
    if keep < 1:
        fail(_("At least one backup stays: --keep 1 or more."), 2)
    os.nice(NICENESS)
    with repository_of(repository, key_file, passphrase, alone=True) as opened:
        pruned = checking.prune(opened, keep)
    facts = {**pruned._asdict(), "removed": list(pruned.removed), "kept": list(pruned.kept)}
    done(
        _(
            "{gone} backups removed, {stay} stay; {octets} freed.",
            gone=len(pruned.removed),
            stay=len(pruned.kept),
            octets=size(max(pruned.freed_bytes, 0)),
        ),
        facts,
        json=json,
    )


@app.command(
    help=_(
        "Make a key file. Without it nobody, you neither, reads the backups: keep a copy elsewhere."
        "\n\nExample: postern backup key /etc/postern/backup.key"
    )
)
def key(path: Path, /, *, json: Json = False) -> None:  # noqa: D103
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        fail(_("{path} exists already: name another one", path=path))
    except OSError as problem:
        fail(explain_file(problem, path))
    with open(descriptor, "w", encoding="ascii") as file:
        file.write(SystemEntropy().token(32).hex() + "\n")
        file.flush()
        os.fsync(file.fileno())
    done(_("The key is in {path}: keep a copy of it elsewhere.", path=path), {"path": str(path)}, json=json)

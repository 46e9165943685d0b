"""Which layouts the files of a data directory have: an older Postern must not start on what a newer one has written.

`DATA/layouts` says it for all files at once, before any of them is opened. Files of an older layout are brought up one
by one, each at its first use; there is no way back but a backup.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

import msgspec

from postern import __version__
from postern.backup.packs import write_durably
from postern.directory.layouts import MIGRATIONS
from postern.roles.instance import StartError
from postern.store.journal.records import LAYOUT as JOURNAL
from postern.store.sqlite.schema import LAYOUT_VERSION as MAILBOX
from postern.transport.queue_file import LAYOUT as QUEUE

NAME = "layouts"
PRESENT = {"mailbox": MAILBOX, "directory": len(MIGRATIONS), "queue": QUEUE, "journal": JOURNAL}


class Layouts(msgspec.Struct):
    """What served here last."""

    version: str
    layouts: dict[str, int]


def claim(data: Path) -> None:
    """Before anything is opened: refuse what is newer, then write down what this Postern will write.

    Raises StartError. A full disk is no obstacle: it is written down at the next start then.
    """
    path = data / NAME
    try:
        last = msgspec.json.decode(path.read_bytes(), type=Layouts)
    except FileNotFoundError:
        last = Layouts("", {})
    except (OSError, msgspec.MsgspecError) as error:
        raise StartError(
            f"{path} cannot be read ({error}): it says which version of Postern has written the data. Restore it from a"
            " backup, or remove it if no newer version than this one was ever started here"
        ) from error
    newer = [f"{name} {number}" for name, number in last.layouts.items() if number > PRESENT.get(name, 0)]
    if newer:
        raise StartError(
            f"the data in {data} was written by Postern {last.version}, which is newer than this one ({__version__}):"
            f" it does not know the layouts {', '.join(newer)}. Start that version again, or restore the backup from"
            " before the upgrade into another directory (`postern restore all`)"
        )
    if last.layouts != PRESENT or last.version != __version__:
        with contextlib.suppress(OSError):
            write_durably(path, msgspec.json.encode(Layouts(__version__, PRESENT)) + b"\n")

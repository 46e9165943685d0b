"""mbox files (mboxrd), one a folder, levels as directories."""

from __future__ import annotations

import re
import time
from pathlib import Path

from postern.migration.values import SourceFolder, SourceMessage
from postern.model.items import Flag

_FROM = re.compile(rb"^(>*From )", re.M)
_OWN = re.compile(rb"^(?:Status|X-Status|X-Keywords):[^\n]*\n(?:[ \t][^\n]*\n)*", re.M | re.I)


class MboxTarget:
    """Implements migration.exporting.Target over a new directory."""

    def __init__(self, root: Path) -> None:
        """Raises OSError, FileExistsError if something is there already."""
        root.mkdir(parents=True)
        self._root = root
        self._file: Path | None = None

    def folder(self, folder: SourceFolder) -> None:
        """Begin a folder."""
        parts = [part.replace("/", "_").lstrip(".") or "_" for part in folder.path]
        self._file = self._root.joinpath(*(f"{part}.sbd" for part in parts[:-1]), f"{parts[-1]}.mbox")
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._file.touch()

    def message(self, message: SourceMessage) -> None:
        """Add a message to the folder that was begun last."""
        assert self._file is not None
        flags = message.state.flags
        content = message.content.replace(b"\r\n", b"\n")
        end = content.find(b"\n\n")
        head, body = (content, b"") if end < 0 else (content[: end + 1], content[end + 1 :])
        if head and not head.endswith(b"\n"):
            head += b"\n"
        status = b"Status: %sO\n" % (b"R" if flags & Flag.SEEN else b"")
        letters = "".join(
            letter
            for flag, letter in ((Flag.ANSWERED, "A"), (Flag.FLAGGED, "F"), (Flag.DELETED, "D"), (Flag.DRAFT, "T"))
            if flags & flag
        )
        more = f"X-Status: {letters}\n" if letters else ""
        more += f"X-Keywords: {' '.join(message.state.keywords)}\n" if message.state.keywords else ""
        moment = time.strftime("%a %b %d %H:%M:%S %Y", time.gmtime(message.received_at or 0))
        with self._file.open("ab") as file:
            file.write(f"From MAILER-DAEMON {moment}\n".encode())
            file.write(_OWN.sub(b"", head) + status + more.encode() + (_FROM.sub(rb">\1", body) or b"\n"))
            file.write(b"\n" if body.endswith(b"\n") or not body else b"\n\n")

    def finish(self) -> None:
        """Everything is there."""

    def abandon(self) -> None:
        """What is there so far stays: it may be looked at."""

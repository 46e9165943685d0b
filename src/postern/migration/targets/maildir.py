"""A Maildir++ as Dovecot takes it over: `dovecot-keywords`, `subscriptions`, times of files, flags in names."""

from __future__ import annotations

import os
from pathlib import Path

from postern.migration.values import SourceFolder, SourceMessage
from postern.model.items import Flag
from postern.protocols.imap import utf7

_LETTERS = ((Flag.DRAFT, "D"), (Flag.FLAGGED, "F"), (Flag.ANSWERED, "R"), (Flag.SEEN, "S"), (Flag.DELETED, "T"))
_MAX_KEYWORDS = 26


class MaildirTarget:
    """Implements migration.exporting.Target over a new directory."""

    def __init__(self, root: Path) -> None:
        """Raises OSError, FileExistsError if something is there already."""
        root.mkdir(parents=True)
        self._root = root
        self._directory = root
        self._keywords: dict[str, int] = {}
        self._subscribed: list[str] = []

    def folder(self, folder: SourceFolder) -> None:
        """Begin a folder."""
        self._end_folder()
        name = ""
        if folder.path != ("INBOX",):
            # a dot is the delimiter
            name = ".".join(utf7.encode(part.replace(".", "_")).decode("ascii") for part in folder.path)
        self._directory = self._root / f".{name}" if name else self._root
        for sub in ("cur", "new", "tmp"):
            (self._directory / sub).mkdir(parents=True, exist_ok=True)
        if name:
            (self._directory / "maildirfolder").touch()
        if folder.subscribed:
            self._subscribed.append(name or "INBOX")

    def message(self, message: SourceMessage) -> None:
        """Add a message to the folder that was begun last."""
        letters = "".join(letter for flag, letter in _LETTERS if message.state.flags & flag)
        for word in message.state.keywords:
            number = self._keywords.setdefault(word, len(self._keywords))
            if number < _MAX_KEYWORDS:
                letters += chr(97 + number)
        at = message.received_at or 0
        content = message.content.replace(b"\r\n", b"\n")
        name = f"{at}.M{int(message.key):09d}.postern,S={len(content)},W={len(message.content)}:2,{letters}"
        path = self._directory / "cur" / name
        path.write_bytes(content)
        os.utime(path, (at, at))

    def finish(self) -> None:
        """Everything is there."""
        self._end_folder()
        (self._root / "subscriptions").write_text("".join(f"{name}\n" for name in self._subscribed), "utf-8")

    def abandon(self) -> None:
        """What is there so far stays: it may be looked at."""

    def _end_folder(self) -> None:
        if self._keywords:
            lines = [f"{number} {word}\n" for word, number in self._keywords.items() if number < _MAX_KEYWORDS]
            (self._directory / "dovecot-keywords").write_text("".join(lines), "utf-8")
        self._keywords = {}

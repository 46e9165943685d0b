"""Maildir and Maildir++ as Dovecot and Courier write it.

`new` and `cur` of the directory itself are the inbox, `.Sent` and `.Lists.postern` are folders (modified UTF-7, or
UTF-8 where Dovecot was told so). Flags are behind `:2,` in the file names; small letters are keywords named in
`dovecot-keywords`. The time of the file is when the message came. Dovecot's LAYOUT=fs
(folders as directories) is read too.
"""

from __future__ import annotations

import os
import re
from collections.abc import Container, Iterator, Mapping, Sequence
from pathlib import Path

from postern.migration.values import SourceError, SourceFolder, SourceMessage, State, batches, special_of, with_crlf
from postern.model.items import Flag
from postern.model.refusal import ProtocolViolation
from postern.protocols.imap import utf7

_FLAGS = {"S": Flag.SEEN, "R": Flag.ANSWERED, "F": Flag.FLAGGED, "T": Flag.DELETED, "D": Flag.DRAFT}
_UID_LINE = re.compile(r"([0-9]+) (?:[^:]* )?:(.+)")
MAX_DEPTH = 50


class Maildir:
    """Implements migration.values.Source over a directory."""

    def __init__(self, root: Path, *, name: str = "", home: Path | None = None, by_uid: bool = False) -> None:
        """`home`: where Sieve scripts are, by default the directory above.

        `by_uid`: messages are known by their UIDs in `dovecot-uidlist`, not by file names: for copies that are made
        anew for each run. Raises SourceError if that is no Maildir.
        """
        self._root = root
        self._home = home or root.parent
        self._by_uid = by_uid
        self.name = name or f"maildir {root.resolve()}"
        if not any((root / sub).is_dir() for sub in ("cur", "new")) and not self._plain_folders():
            raise SourceError(f"{root} is no Maildir: it has no directory `cur`")

    def folders(self) -> Sequence[SourceFolder]:
        """The inbox, then Maildir++ folders, or directories below."""
        subscribed = self._subscriptions()
        found = [self._folder(self._root, ("INBOX",), subscribed)] if (self._root / "cur").is_dir() else []
        for directory in sorted(self._root.iterdir()):
            if directory.name.startswith(".") and (directory / "cur").is_dir():
                path = tuple(_decoded(part) for part in directory.name[1:].split(".") if part)
                if path:
                    found.append(self._folder(directory, path, subscribed))
        for directory, path in self._plain_folders():
            if path != ("INBOX",) or not found:
                found.append(self._folder(directory, path, subscribed))
        return sorted(found, key=lambda folder: (folder.path != ("INBOX",), len(folder.path), folder.path))

    def _folder(self, directory: Path, path: tuple[str, ...], subscribed: set[tuple[str, ...]] | None) -> SourceFolder:
        if path[0].lower() == "inbox":
            path = ("INBOX", *path[1:])
        known = subscribed is None or path in subscribed
        count = len(self._listing(directory))
        validity = _uid_list(directory)[0] if self._by_uid else ""
        return SourceFolder(str(directory.relative_to(self._root)), path, validity, special_of(path), known, count)

    def _plain_folders(self) -> list[tuple[Path, tuple[str, ...]]]:
        """Directories that hold a Maildir and do not begin with a dot (LAYOUT=fs)."""
        found: list[tuple[Path, tuple[str, ...]]] = []
        waiting: list[tuple[Path, tuple[str, ...]]] = [(self._root, ())] if self._root.is_dir() else []
        while waiting:
            parent, path = waiting.pop()
            for directory in sorted(parent.iterdir()):
                if directory.name.startswith(".") or directory.name in {"cur", "new", "tmp"} or directory.is_symlink():
                    continue
                if directory.is_dir() and len(path) < MAX_DEPTH:
                    below = (*path, _decoded(directory.name))
                    if (directory / "cur").is_dir():
                        found.append((directory, below))
                    waiting.append((directory, below))
        return found

    def _subscriptions(self) -> set[tuple[str, ...]] | None:
        """None where there is no such file: then everything is shown."""
        for name in ("subscriptions", "courierimapsubscribed"):
            try:
                lines = (self._root / name).read_text("utf-8", "surrogateescape").splitlines()
            except OSError:
                continue
            if lines and lines[0].startswith("V\t"):  # Dovecot's version 2: names apart by tabs
                return {tuple(_decoded(part) for part in line.split("\t")) for line in lines[2:]} | {("INBOX",)}
            paths = {tuple(_decoded(p) for p in re.split(r"[./]", line)) for line in lines if line}
            return {path[1:] if path[0] == "INBOX" and len(path) > 1 else path for path in paths} | {("INBOX",)}
        return None

    def _listing(self, directory: Path) -> dict[str, Path]:
        """Key -> file, in the order of Dovecot's UID list where there is one."""
        found: dict[str, Path] = {}
        for sub in ("new", "cur"):
            try:
                with os.scandir(directory / sub) as entries:
                    found.update(
                        {e.name.partition(":")[0]: Path(e.path) for e in entries if not e.name.startswith(".")}
                    )
            except FileNotFoundError:
                continue
            except OSError as problem:
                raise SourceError(f"{directory / sub} cannot be read: {problem.strerror}") from problem
        uids = _uid_list(directory)[1]
        last = len(uids) and max(uids.values()) + 1
        ordered = sorted(found.items(), key=lambda pair: (uids.get(pair[0], last), _seconds(pair[0]), pair[0]))
        if self._by_uid:
            return {str(uids[name]): path for name, path in ordered if name in uids}
        return dict(ordered)

    def messages(self, folder: SourceFolder, known: Container[str]) -> Iterator[Sequence[SourceMessage]]:
        """Files that are not known yet."""
        directory = self._root / folder.key
        files = self._listing(directory)
        keywords = _keywords(directory)
        sizes: dict[str, int] = {}

        def read(key: str) -> SourceMessage | None:
            path = files[key]
            try:
                with path.open("rb") as file:
                    content = file.read()
                    received = int(os.fstat(file.fileno()).st_mtime)
            except FileNotFoundError:
                # its flags have changed while we read: it has another name now
                files.update(self._listing(directory))
                if not files[key].exists():
                    return None
                return read(key)
            except OSError as problem:
                raise SourceError(f"{path} cannot be read: {problem.strerror}") from problem
            sizes[key] = len(content)
            return SourceMessage(key, with_crlf(content), _state(path, keywords), received)

        return batches([key for key in files if key not in known], lambda key: sizes[key], read)

    def states(self, folder: SourceFolder) -> Mapping[str, State]:
        """From the file names."""
        directory = self._root / folder.key
        keywords = _keywords(directory)
        return {key: _state(path, keywords) for key, path in self._listing(directory).items()}

    def extras(self) -> Mapping[str, bytes]:
        """Sieve scripts beside the mail, as Pigeonhole keeps them: `~/sieve/*.sieve` and `~/.dovecot.sieve`."""
        return sieve_scripts(self._home)

    def close(self) -> None:
        """Nothing is held."""


def sieve_scripts(home: Path) -> dict[str, bytes]:
    """`sieve/<name>` -> script; the active one is named in `sieve-active`."""
    found: dict[str, bytes] = {}
    active = home / ".dovecot.sieve"
    for path in sorted((home / "sieve").glob("*.sieve")):
        if path.is_file():
            found[f"sieve/{path.stem}"] = path.read_bytes()
    if active.is_file():
        name = active.resolve().stem if active.is_symlink() else "dovecot"
        found.setdefault(f"sieve/{name}", active.read_bytes())
        found["sieve-active"] = name.encode()
    return found


def _decoded(name: str) -> str:
    """A folder's name; what is no modified UTF-7 is taken as it is."""
    if not name.isascii():
        return name
    try:
        return utf7.decode(name.encode("ascii"))
    except ProtocolViolation:
        return name


def _uid_list(directory: Path) -> tuple[str, dict[str, int]]:
    """UIDVALIDITY, and the UIDs of files by their unique names; empty where Dovecot was never here."""
    try:
        lines = (directory / "dovecot-uidlist").read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return "", {}
    validity = next((word[1:] for word in lines[0].split()[1:] if word.startswith("V")), "") if lines else ""
    matches = (_UID_LINE.fullmatch(line) for line in lines[1:])
    return validity, {match[2].partition(":")[0]: int(match[1]) for match in matches if match}


def _seconds(name: str) -> int:
    head = name.partition(".")[0]
    return int(head) if head.isdecimal() else 0


def _keywords(directory: Path) -> list[str]:
    """Letter `a` is keyword 0 and so on."""
    names = [""] * 26
    try:
        lines = (directory / "dovecot-keywords").read_text("utf-8", "replace").splitlines()
    except OSError:
        return names
    for line in lines:
        number, _, name = line.partition(" ")
        if number.isdecimal() and int(number) < len(names):
            names[int(number)] = name
    return names


def _state(path: Path, keywords: Sequence[str]) -> State:
    letters = path.name.partition(":2,")[2]
    flags = 0
    for letter in letters:
        flags |= _FLAGS.get(letter, 0)
    named = {keywords[ord(letter) - 97] for letter in letters if "a" <= letter <= "z"}
    if "P" in letters:
        named.add("$Forwarded")
    return State(flags, tuple(sorted(named - {""})))

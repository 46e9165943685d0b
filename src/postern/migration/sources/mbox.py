"""mbox files (RFC 4155 and its kin): mboxrd and mboxo as mutt, Thunderbird, Pine and Google Takeout write them.

A message begins with a line `From WHO WHEN` after an empty one; without a time of day it is text. `>From ` loses
one `>` (mboxrd). Flags are in Status, X-Status, X-Mozilla-Status and X-Keywords; these fields are not kept.
"""

from __future__ import annotations

import email.utils
import hashlib
import re
import time
from calendar import timegm
from collections.abc import Container, Iterator, Mapping, Sequence
from pathlib import Path

from postern.migration.values import SourceError, SourceFolder, SourceMessage, State, batches, special_of, with_crlf
from postern.model.items import Flag

_SEPARATOR = re.compile(rb"From (\S*)\s+(.*\d{1,2}:\d\d.*)")
_QUOTED = re.compile(rb"^>(>*From )", re.M)
_OWN_FIELDS = re.compile(
    rb"^(?:Status|X-Status|X-Keywords|X-Mozilla-Status2?|X-Mozilla-Keys|X-UID|X-IMAP|X-IMAPbase|Content-Length|Lines):"
    rb"[^\n]*\n(?:[ \t][^\n]*\n)*",
    re.M | re.I,
)
_FIELD = re.compile(rb"^(Status|X-Status|X-Keywords|X-Mozilla-Status|X-Mozilla-Keys):[ \t]*([^\r\n]*)", re.M | re.I)
_INTERNAL = (b"DON'T DELETE THIS MESSAGE", b"Mail System Internal Data")
_ZONE = re.compile(r"\s+(?:[A-Z]{3,5}|[+-]\d{4})(?=\s|$)")


class Mbox:
    """Implements migration.values.Source over one file, or over a directory of them (a folder each)."""

    def __init__(self, path: Path, folder: str = "") -> None:
        """`folder`: where a single file's messages go, levels apart by `/`; by default the file's name.

        Raises SourceError.
        """
        self._root = path
        self._folder = folder
        self.name = f"mbox {path.resolve()}"
        if not path.exists():
            raise SourceError(f"{path} does not exist")

    def folders(self) -> Sequence[SourceFolder]:
        """A folder a file; Thunderbird's `Name.sbd` directories are levels."""
        if self._root.is_file():
            path = tuple(self._folder.split("/")) if self._folder else (self._root.stem or self._root.name,)
            return [self._describe(self._root, path)]
        found = []
        for file in sorted(self._root.rglob("*")):
            if file.is_file() and not file.is_symlink() and _is_mbox(file):
                parts = file.relative_to(self._root).parts
                path = (*(part.removesuffix(".sbd") for part in parts[:-1]), file.name.removesuffix(".mbox"))
                found.append(self._describe(file, path))
        return sorted(found, key=lambda folder: (len(folder.path), folder.path))

    def _describe(self, file: Path, path: tuple[str, ...]) -> SourceFolder:
        if path[0].lower() == "inbox":
            path = ("INBOX", *path[1:])
        return SourceFolder(str(file), path, "", special_of(path), True, sum(1 for _ in _spans(file)))

    def messages(self, folder: SourceFolder, known: Container[str]) -> Iterator[Sequence[SourceMessage]]:
        """Keys are digests of what is in the file without flags: the place changes when others are deleted."""
        file = Path(folder.key)
        spans = {}
        for start, end, key, _ in _keyed(file):
            if key not in known:
                spans[key] = (start, end)

        def read(key: str) -> SourceMessage | None:
            start, end = spans[key]
            return _parsed(key, _read(file, start, end))

        return batches(list(spans), lambda key: spans[key][1] - spans[key][0], read)

    def states(self, folder: SourceFolder) -> Mapping[str, State]:
        """From the fields in the file."""
        return {key: state for _, _, key, state in _keyed(Path(folder.key))}

    def extras(self) -> Mapping[str, bytes]:
        """None."""
        return {}

    def close(self) -> None:
        """Nothing is held."""


def _is_mbox(file: Path) -> bool:
    """By its beginning; an empty file only by its name: it is a folder with nothing in it."""
    try:
        with file.open("rb") as opened:
            start = opened.read(5)
            return start == b"From " or (not start and file.suffix in {".mbox", ""})
    except OSError as problem:
        raise SourceError(f"{file} cannot be read: {problem.strerror}") from problem


def _spans(file: Path) -> Iterator[tuple[int, int]]:
    """(start, end) of each message with its separator line, read line by line."""
    start, offset, blank = -1, 0, True
    try:
        with file.open("rb") as opened:
            for line in opened:
                if blank and line.startswith(b"From ") and (not offset or _SEPARATOR.match(line)):
                    if start >= 0:
                        yield start, offset
                    start = offset
                blank = line in (b"\n", b"\r\n")
                offset += len(line)
    except OSError as problem:
        raise SourceError(f"{file} cannot be read: {problem.strerror}") from problem
    if start < 0:
        if offset:
            raise SourceError(f"{file} is no mbox file: it does not begin with `From `")
        return
    yield start, offset


def _read(file: Path, start: int, end: int) -> bytes:
    with file.open("rb") as opened:
        opened.seek(start)
        return opened.read(end - start)


def _keyed(file: Path) -> Iterator[tuple[int, int, str, State]]:
    """Like `_spans`, with key and state; two messages that are the same in all octets get different keys."""
    seen: dict[str, int] = {}
    for start, end in _spans(file):
        raw = _read(file, start, end)
        head, body = _split(raw.partition(b"\n")[2])
        if any(mark in head for mark in _INTERNAL):
            continue
        digest = hashlib.sha256(_OWN_FIELDS.sub(b"", head) + body).hexdigest()
        seen[digest] = seen.get(digest, 0) + 1
        yield start, end, f"{digest}.{seen[digest]}", _state(head)


def _split(message: bytes) -> tuple[bytes, bytes]:
    """Header with its last newline, and the rest with the empty line."""
    found = re.search(rb"\r?\n\r?\n", message)
    if found is None:
        return message, b""
    end = found.start() + message[found.start() :].index(b"\n") + 1
    return message[:end], message[end:]


def _parsed(key: str, raw: bytes) -> SourceMessage:
    line, _, message = raw.partition(b"\n")
    head, body = _split(message)
    if body.endswith((b"\n\n", b"\n\r\n")):  # the empty line that ends a message in the file is none of its own
        body = body[: -2 if body.endswith(b"\r\n") else -1]
    body = _QUOTED.sub(rb"\1", body)
    return SourceMessage(key, with_crlf(_OWN_FIELDS.sub(b"", head) + body), _state(head), _moment(line))


def _state(head: bytes) -> State:
    flags = 0
    keywords: set[str] = set()
    for name, value in _FIELD.findall(head):
        field, text = name.lower(), value.decode("utf-8", "replace").strip()
        if field in (b"status", b"x-status"):
            flags |= Flag.SEEN if "R" in text else 0
            flags |= Flag.ANSWERED if "A" in text else 0
            flags |= Flag.FLAGGED if "F" in text else 0
            flags |= Flag.DELETED if "D" in text else 0
            flags |= Flag.DRAFT if "T" in text else 0
        elif field == b"x-mozilla-status" and re.fullmatch(r"[0-9a-fA-F]{4}", text):
            bits = int(text, 16)
            for bit, flag in ((1, Flag.SEEN), (2, Flag.ANSWERED), (4, Flag.FLAGGED), (8, Flag.DELETED)):
                flags |= flag if bits & bit else 0
        elif field in (b"x-keywords", b"x-mozilla-keys"):
            keywords.update(re.findall(r"[^\s(){%*\"\\\]]+", text))
    return State(flags, tuple(sorted(word for word in keywords if word.isascii())))


def _moment(line: bytes) -> int | None:
    """The time in a separator line, taken as UTC unless it says otherwise."""
    found = _SEPARATOR.match(line)
    text = found[2].decode("ascii", "replace").strip() if found else ""
    try:
        return timegm(time.strptime(_ZONE.sub("", text), "%a %b %d %H:%M:%S %Y"))
    except ValueError:
        parsed = email.utils.parsedate_tz(text)
        return None if parsed is None else int(email.utils.mktime_tz(parsed))

"""An archive file of `postern export archive` as a source; a damaged one gives what is whole and says so."""

from __future__ import annotations

import re
import tarfile
import zlib
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from postern.migration import archive
from postern.migration.values import (
    BATCH_BYTES,
    BATCH_MESSAGES,
    SourceError,
    SourceFolder,
    SourceMessage,
    State,
    state_of,
)
from postern.model.items import SpecialUse

_MESSAGE = re.compile(r"([0-9]{4,8})/([0-9]{1,12})\.eml")
_FOLDER = re.compile(r"([0-9]{4,8})/folder\.json")
MAX_MESSAGE_BYTES = 1 << 30


class ArchiveSource:
    """Implements migration.values.Source. The file is read from its beginning for each folder: it may be compressed."""

    def __init__(self, path: Path) -> None:
        """Raises SourceError if that is no archive."""
        self._path = path
        self.damage = ""
        """What is wrong with the file; known once `folders` was asked."""
        try:
            with tarfile.open(path, "r:*") as tar:
                first = tar.next()
                raw = _content(tar, first) if first is not None and first.name == archive.HEAD else b""
            self.head = msgspec.json.decode(raw, type=archive.Head)
        except (OSError, EOFError, tarfile.TarError, msgspec.MsgspecError) as problem:
            why = problem.strerror if isinstance(problem, OSError) and problem.strerror else ""
            why = why or "`postern export archive` makes one"
            raise SourceError(f"{path} is no archive of Postern's: {why}") from problem
        self.name = f"archive {self.head.address} {self.head.made_at}"
        self._folders: list[SourceFolder] | None = None
        self._states: dict[str, dict[str, State]] = {}

    def folders(self) -> Sequence[SourceFolder]:
        """In the file's order, which has parents first."""
        if self._folders is None:
            self._folders = self._scanned()
        return self._folders

    def _members(self, wanted: Callable[[str], bool]) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
        """Those whose names are wanted, with what they hold: up to the end, or to the damage."""
        try:
            with tarfile.open(self._path, "r:*") as tar:
                for member in tar:
                    if member.isreg() and wanted(member.name):
                        yield member, _content(tar, member)
        except (OSError, EOFError, tarfile.TarError, ValueError, zlib.error) as problem:
            self.damage = f"{self._path} is damaged: what comes after the damage is lost ({problem})"

    def _scanned(self) -> list[SourceFolder]:
        facts: dict[str, archive.FolderFacts] = {}
        running, end = archive.Running(), None
        for member, content in self._members(lambda _: True):
            if found := _FOLDER.fullmatch(member.name):
                facts[found[1]] = msgspec.json.decode(content, type=archive.FolderFacts)
            elif found := _MESSAGE.fullmatch(member.name):
                running.add(content)
                self._states.setdefault(found[1], {})[found[2]] = _state(member)
            elif member.name == archive.END:
                end = msgspec.json.decode(content, type=archive.End)
        if not self.damage and end != running.end():
            self.damage = f"{self._path} is not whole: {running.messages} messages could be read" + (
                f" of {end.messages}" if end else ", its end is missing"
            )
        return [
            SourceFolder(
                number,
                tuple(one.path),
                str(one.uid_validity),
                SpecialUse(one.special),
                one.subscribed,
                len(self._states.get(number, {})),
            )
            for number, one in facts.items()
        ]

    def messages(self, folder: SourceFolder, known: Container[str]) -> Iterator[Sequence[SourceMessage]]:
        """By UID."""
        batch: list[SourceMessage] = []
        octets = 0

        def wanted(name: str) -> bool:
            found = _MESSAGE.fullmatch(name)
            return found is not None and found[1] == folder.key and found[2] not in known

        for member, content in self._members(wanted):
            key = member.name.removesuffix(".eml").rpartition("/")[2]
            batch.append(SourceMessage(key, content, _state(member), int(member.mtime)))
            octets += member.size
            if octets >= BATCH_BYTES or len(batch) >= BATCH_MESSAGES:
                yield batch
                batch, octets = [], 0
        if batch:
            yield batch

    def states(self, folder: SourceFolder) -> Mapping[str, State]:
        """As they were when the file was made."""
        self.folders()
        return self._states.get(folder.key, {})

    def extras(self) -> Mapping[str, bytes]:
        """None."""
        return {}

    def close(self) -> None:
        """Nothing is held."""


def _state(member: tarfile.TarInfo) -> State:
    return state_of(member.pax_headers.get(archive.FLAGS_FIELD, "").split())


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    if member.size > MAX_MESSAGE_BYTES:
        raise tarfile.ReadError(f"{member.name} says that it has {member.size} octets")
    opened = tar.extractfile(member)
    content = opened.read() if opened else b""
    if len(content) != member.size:
        raise tarfile.ReadError(f"{member.name} is cut off")
    return content

"""Reading everything that a repository has, and removing what is not needed any more."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import NamedTuple

from postern.backup.repository import DamagedError, Repository, RepositoryError
from postern.store import failpoints

REPACK_BELOW = 0.7
"""A pack of which less than this share of octets is needed is written anew."""


class Checked(NamedTuple):
    """What `verify` found."""

    snapshots: int
    chunks: int
    read_bytes: int
    damaged_files: tuple[str, ...]
    """`snapshot: path`"""
    trouble: tuple[str, ...]
    set_aside: int
    """Damaged chunks that the next run writes anew, if the organisation still has what is in them."""


def verify(repository: Repository, tell: Callable[[int, int], None] = lambda _done, _total: None) -> Checked:
    """Read every chunk, open it and compare it with its name; which files of which snapshots are damaged.

    If the repository can be written, a damaged chunk is set aside: else later runs would rely on it for ever. One that
    is whole behind a damaged head is written once more.
    """
    trouble = repository.load()
    sound: set[bytes] = set()
    bad: set[bytes] = set()
    hidden: list[bytes] = []
    read = 0
    total = sum(repository.pack_bytes(pack) for pack in repository.packs())
    for pack in repository.packs():
        for place in sorted(repository.contents(pack), key=lambda one: one.offset):
            try:
                repository.get(place.name)
                sound.add(place.name)
                if not repository.found_without_list(pack, place):
                    hidden.append(place.name)
                    trouble.append(f"chunk {place.name.hex()[:16]} in {pack}.pack: its head was changed")
            except DamagedError as problem:
                bad.add(place.name)
                trouble.append(str(problem))
            except OSError as problem:
                # the disk may read it the next time
                trouble.append(f"chunk {place.name.hex()[:16]} in {pack}.pack: {problem.strerror or problem}")
            read += place.stored_bytes
            tell(read, total)
    damaged: list[str] = []
    names = repository.snapshots()
    for name in names:
        trouble += repository.snapshot_copies(name)
        try:
            manifest = repository.read_snapshot(name)
        except DamagedError:
            damaged.append(f"{name}: *")
            continue
        damaged += [f"{name}: {entry.path}" for entry in manifest.files if not sound.issuperset(entry.chunks)]
    chunks = len(repository)
    aside = 0
    with contextlib.suppress(OSError, DamagedError):
        if (bad or hidden) and repository.upgrade():
            aside = repository.set_aside(bad)
            repository.move_all(hidden)
    return Checked(len(names), chunks, read, tuple(damaged), tuple(trouble), aside)


class Pruned(NamedTuple):
    """What `prune` did."""

    removed: tuple[str, ...]
    kept: tuple[str, ...]
    removed_packs: int
    repacked: int
    freed_bytes: int


def prune(repository: Repository, keep: int) -> Pruned:
    """Remove all but the newest snapshots, and the chunks that only they had.

    Snapshots go first, packs last, and what is still needed of a pack is written anew before it goes: an interruption
    leaves too much, never too little. Raises RepositoryError if a snapshot that stays cannot be read, OSError.
    """
    repository.load(mend=True)
    names = repository.snapshots()
    kept, gone = names[-keep:], names[:-keep]
    needed: set[bytes] = set()
    for name in kept:
        try:
            manifest = repository.read_snapshot(name)
        except DamagedError as problem:
            raise RepositoryError(f"{problem}; nothing is removed, because what it needs is not known") from problem
        for entry in manifest.files:
            needed.update(entry.chunks)
    for name in gone:
        repository.drop_snapshot(name)
    repository.sync()
    failpoints.hit("backup.pruning")
    victims = []
    freed = repacked = 0
    for pack in repository.packs():
        places = repository.contents(pack)
        alive = [place for place in places if place.name in needed]
        size = repository.pack_bytes(pack)
        if alive and sum(place.stored_bytes for place in alive) >= REPACK_BELOW * size:
            continue
        try:
            for place in alive:
                repository.move(place.name)
        except DamagedError:
            continue  # a damaged pack stays as it is: `verify` names it
        victims.append(pack)
        freed += size
        repacked += bool(alive)
    before = repository.new_bytes
    repository.flush()
    failpoints.hit("backup.repacked")
    for pack in victims:
        repository.drop_pack(pack)
    repository.sync()
    return Pruned(tuple(gone), tuple(kept), len(victims), repacked, freed - before)

"""The bus between the processes of one machine (store.interface.Bus).

A table in shared memory holds every mailbox's last change number: it is the truth. Datagrams only wake: a process
that subscribes to a slot sets its bit in the slot's mask, and whoever commits sends one datagram to each process whose
bit is set. A datagram that does not fit into the receiver's queue is replaced by its overflow mark, upon which it
compares all slots it has subscribed to. Slot 0 is the directory's generation.

The table is a file in the data directory, so that commands beside the server take part: 16 octets a slot, the change
number and the mask of interested processes, both little-endian. Slots are written under a byte-range lock.
The header counts changes of rules: deliveries look there whether what they know of them still holds.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import mmap
import os
import socket
import struct
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

PROCESSES = 64
"""Bits in a mask: processes that can subscribe at one time."""
_HEADER_BYTES = 4096
"""Of the header, the first PROCESSES octets are the overflow marks; the 64-bit number of rule changes follows."""
_RULES_AT = PROCESSES
_SLOT_BYTES = 16
_GROW_SLOTS = 65536
_DATAGRAM = struct.Struct("<Q")
_RECEIVE_AT_ONCE = 512


class SharedBus:
    """The bus as one process sees it. All calls come from its event loop's thread."""

    def __init__(self, path: Path, process: int | None) -> None:
        """`process` is this process's bit, unique among living processes; None can publish only. Raises OSError."""
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._process = process
        self._map: mmap.mmap | None = None
        self._words: memoryview = memoryview(b"")
        self._slots = 0
        self._remap(1)
        self._name = _socket_name(path)
        self._sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        self._receiver: socket.socket | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._subscribers: dict[int, dict[object, Callable[[], None]]] = {}
        self._seen: dict[int, int] = {}
        self._pending: set[int] = set()

    @staticmethod
    def clear(path: Path) -> None:
        """At the start of a server, before any process uses it: forget all numbers, which a power cut may have aged."""
        path.touch(mode=0o600)
        with path.open("r+b") as file:
            size = os.fstat(file.fileno()).st_size
            file.write(bytes(size))  # not truncated: a command beside us may have mapped it

    async def start(self) -> None:
        """Receive wake-ups in the running loop."""
        assert self._process is not None, "a process without a number cannot subscribe"
        self._loop = asyncio.get_running_loop()
        receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        receiver.bind(self._name % self._process)
        self._receiver = receiver
        assert self._map is not None
        self._map[self._process] = 0
        bit = 1 << self._process
        # marks that a predecessor with our number left
        for slot, mask in enumerate(self._words[_mask(0) : _mask(self._slots) : 2].tolist()):
            if mask & bit:
                self._set_interest(slot, False)
        self._loop.add_reader(receiver.fileno(), self._receive)

    def close(self) -> None:
        """Stop receiving and release the table."""
        if self._receiver is not None:
            assert self._loop is not None
            self._loop.remove_reader(self._receiver.fileno())
            self._receiver.close()
            self._receiver = None
        self._subscribers.clear()
        self._sender.close()
        self._words.release()
        if self._map is not None:
            self._map.close()
            self._map = None
        os.close(self._fd)

    # --- store.interface.Bus

    def subscribe(self, slot: int, wake: Callable[[], None]) -> Callable[[], None]:
        """`wake` is called in the loop after a commit anywhere; returns the way to unsubscribe."""
        if slot >= self._slots:
            self._remap(slot + 1)
        here = self._subscribers.get(slot)
        if here is None:
            here = self._subscribers[slot] = {}
            if self._process is not None:
                self._set_interest(slot, True)
            self._seen[slot] = self._words[_number(slot)]
        key = object()
        here[key] = wake
        return partial(self._unsubscribe, slot, key)

    def _unsubscribe(self, slot: int, key: object) -> None:
        left = self._subscribers.get(slot)
        if left is None or left.pop(key, None) is None:
            return
        if not left:
            del self._subscribers[slot]
            self._seen.pop(slot, None)
            if self._process is not None and self._map is not None:
                self._set_interest(slot, False)

    def publish(self, slot: int, change_number: int) -> None:
        """After a commit. A lower number than the published one changes nothing."""
        if slot >= self._slots:
            self._remap(slot + 1)
        number, mask = _number(slot), _mask(slot)
        with self._locked(slot):
            if change_number <= self._words[number]:
                return
            self._words[number] = change_number
            interested = self._words[mask]
        if self._process is not None:
            interested &= ~(1 << self._process)
        if interested:
            self._send(slot, interested)
        if slot in self._subscribers:
            self._later(slot)

    def current(self, slot: int) -> int:
        """The last published change number, 0 if unknown."""
        if slot >= self._slots and not self._look_again(slot):
            return 0
        return self._words[_number(slot)]

    # --- services.rules.loading.Generation

    @property
    def rules_number(self) -> int:
        """Grows with every change of anybody's rules."""
        assert self._map is not None
        number: int = _DATAGRAM.unpack_from(self._map, _RULES_AT)[0]
        return number

    def rules_changed(self) -> None:
        """Rules of some mailbox were changed, and the change is committed."""
        assert self._map is not None
        fcntl.lockf(self._fd, fcntl.LOCK_EX, _DATAGRAM.size, _RULES_AT)
        try:
            _DATAGRAM.pack_into(self._map, _RULES_AT, self.rules_number + 1)
        finally:
            fcntl.lockf(self._fd, fcntl.LOCK_UN, _DATAGRAM.size, _RULES_AT)

    # --- table

    def _remap(self, slots: int) -> None:
        """Map at least `slots`, growing the file (never shrinking it)."""
        wanted = -(-slots // _GROW_SLOTS) * _GROW_SLOTS
        size = max(_HEADER_BYTES + wanted * _SLOT_BYTES, os.fstat(self._fd).st_size)
        fcntl.lockf(self._fd, fcntl.LOCK_EX, _HEADER_BYTES, 0)
        try:
            if os.fstat(self._fd).st_size < size:
                # not sparse: on a full disk, touching a page that has no block yet would kill the process (SIGBUS)
                os.posix_fallocate(self._fd, 0, size)
        finally:
            fcntl.lockf(self._fd, fcntl.LOCK_UN, _HEADER_BYTES, 0)
        self._words.release()
        if self._map is not None:
            self._map.close()
        self._map = mmap.mmap(self._fd, size)
        self._words = memoryview(self._map)[_HEADER_BYTES:].cast("Q")
        self._slots = (size - _HEADER_BYTES) // _SLOT_BYTES

    def _look_again(self, slot: int) -> bool:
        if os.fstat(self._fd).st_size < _HEADER_BYTES + (slot + 1) * _SLOT_BYTES:
            return False
        self._remap(slot + 1)
        return True

    @contextlib.contextmanager
    def _locked(self, slot: int) -> Iterator[None]:
        start = _HEADER_BYTES + slot * _SLOT_BYTES
        fcntl.lockf(self._fd, fcntl.LOCK_EX, _SLOT_BYTES, start)
        try:
            yield
        finally:
            fcntl.lockf(self._fd, fcntl.LOCK_UN, _SLOT_BYTES, start)

    def _set_interest(self, slot: int, interested: bool) -> None:
        assert self._process is not None
        bit = 1 << self._process
        with self._locked(slot):
            mask = self._words[_mask(slot)]
            self._words[_mask(slot)] = mask | bit if interested else mask & ~bit

    # --- wake-ups

    def _send(self, slot: int, interested: int) -> None:
        datagram = _DATAGRAM.pack(slot)
        while interested:
            process = (interested & -interested).bit_length() - 1
            interested &= interested - 1
            try:
                self._sender.sendto(datagram, self._name % process)
            except BlockingIOError:
                assert self._map is not None
                self._map[process] = 1
            except OSError:
                continue  # it died; its successor clears the mark

    def _receive(self) -> None:
        assert self._receiver is not None
        assert self._map is not None
        assert self._process is not None
        slots: set[int] = set()
        for _ in range(_RECEIVE_AT_ONCE):
            try:
                slots.add(_DATAGRAM.unpack(self._receiver.recv(16))[0])
            except BlockingIOError:
                break
            except (OSError, struct.error):
                continue
        if self._map[self._process]:
            self._map[self._process] = 0
            slots.update(self._subscribers)
        for slot in slots:
            self._wake(slot)

    def rescan(self) -> None:
        """Compare all subscribed slots with what was seen: a process died between its commit and its datagrams."""
        for slot in list(self._subscribers):
            self._wake(slot)

    def _later(self, slot: int) -> None:
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        if not self._pending:
            self._loop.call_soon(self._wake_pending)
        self._pending.add(slot)

    def _wake_pending(self) -> None:
        pending, self._pending = self._pending, set()
        for slot in pending:
            self._wake(slot)

    def _wake(self, slot: int) -> None:
        here = self._subscribers.get(slot)
        if here is None or self._map is None:
            return
        number = self._words[_number(slot)]
        if number == self._seen[slot]:
            return
        self._seen[slot] = number
        for wake in list(here.values()):
            wake()


def _number(slot: int) -> int:
    return slot * 2


def _mask(slot: int) -> int:
    return slot * 2 + 1


def _socket_name(path: Path) -> str:
    """Abstract socket names (Linux): no file stays behind, and a long data directory's path is no problem."""
    digest = hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:24]
    return f"\0postern-{digest}-%d"

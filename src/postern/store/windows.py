"""Mapped parts of segments, from which the kernel sends bodies without anybody having read them.

A body that is read into memory to be sent is copied twice, into pages that have to be found, zeroed and given back.
From a mapped file it is copied once. Three things follow from that:

- Only what is in the page cache is shown (mincore(2)), so that neither the loop nor the kernel on its behalf waits for
  the disk; the rest is read by a thread as before.
- Mapped pages count as this process's memory, although they are the page cache's: `MOST` windows, and none that has
  not been used for a while.
- A file that loses its end while it is mapped (a broken disk, an operator) fails the system call that sends it, but
  kills a program that looks. So views are for writing to sockets, not for reading.
"""

from __future__ import annotations

import ctypes
import mmap
import os
from collections import OrderedDict
from collections.abc import Callable

WINDOW_BYTES = 16 << 20
OVERLAP_BYTES = 2 << 20
"""How far a window reaches into the next, so that a body begins and ends in one."""
MOST = 8
"""Windows at a time in a process."""

_PAGE = mmap.PAGESIZE


def _function() -> Callable[[int, int, object], int] | None:
    """mincore(2), where there is one. It is quick: the interpreter's lock is kept."""
    function = getattr(ctypes.PyDLL(None), "mincore", None)
    if function is not None:
        function.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p)
        function.restype = ctypes.c_int
    return function


_mincore: Callable[[int, int, object], int] | None = _function()
_NORESERVE = getattr(mmap, "MAP_NORESERVE", 0x4000)


class _Window:
    """A mapped part of a file. The memory is there for as long as any view of it."""

    __slots__ = ("address", "size", "used", "view")

    def __init__(self, descriptor: int, offset: int, size: int) -> None:
        # private and writable only for ctypes to tell the address; nobody writes, so that the pages stay the file's own
        mapped = mmap.mmap(
            descriptor, size, mmap.MAP_PRIVATE | _NORESERVE, mmap.PROT_READ | mmap.PROT_WRITE, offset=offset
        )
        self.address = ctypes.addressof(ctypes.c_char.from_buffer(mapped))
        self.size = size
        self.view = memoryview(mapped).toreadonly()
        self.used = True


class Windows:
    """Of one process; for its event loop only."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._open: OrderedDict[tuple[int, int], _Window] = OrderedDict()
        self._resident = bytearray((OVERLAP_BYTES + WINDOW_BYTES) // _PAGE + 2)
        self._array = (ctypes.c_char * len(self._resident)).from_buffer(self._resident)

    def __len__(self) -> int:
        return len(self._open)

    def view(self, number: int, descriptor: int, start: int, end: int) -> memoryview | None:
        """Octets of the segment of a number and descriptor, if all of them are in memory; None otherwise."""
        if _mincore is None or not start < end <= start // WINDOW_BYTES * WINDOW_BYTES + WINDOW_BYTES + OVERLAP_BYTES:
            return None
        base = start // WINDOW_BYTES * WINDOW_BYTES
        window = self._open.get((number, base))
        if window is None or end - base > window.size:
            window = self._map(number, descriptor, base)
            if window is None or end - base > window.size:
                return None
        self._open.move_to_end((number, base))
        window.used = True
        first = (start - base) // _PAGE * _PAGE
        length = end - base - first
        if _mincore(window.address + first, length, self._array):
            return None
        pages = -(-length // _PAGE)
        if self._resident.count(1, 0, pages) != pages:
            return None
        return window.view[start - base : end - base]

    def _map(self, number: int, descriptor: int, base: int) -> _Window | None:
        size = min(os.fstat(descriptor).st_size - base, WINDOW_BYTES + OVERLAP_BYTES)
        if size <= 0:
            return None
        try:
            window = _Window(descriptor, base, size)
        except (OSError, ValueError):  # a file system or a limit that allows none
            return None
        self._open[number, base] = window
        if len(self._open) > self._most:
            self._open.popitem(last=False)
        return window

    def trim(self) -> None:
        """Let go of what has not been used since the last call."""
        for key, window in list(self._open.items()):
            if not window.used:
                del self._open[key]
            window.used = False

    def forget(self, number: int) -> None:
        """A segment is closed or was replaced."""
        for key in [key for key in self._open if key[0] == number]:
            del self._open[key]

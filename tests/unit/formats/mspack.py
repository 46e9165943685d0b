"""libmspack, the decoder that Evolution's is made of, by its C interface: an oracle."""

from __future__ import annotations

import ctypes
import ctypes.util
from pathlib import Path

_DECOMPRESS = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p)
_INCREMENTAL = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p)


class _Decompressor(ctypes.Structure):
    _fields_ = [("decompress", _DECOMPRESS), ("incremental", _INCREMENTAL)]


class Mspack:
    def __init__(self, place: Path) -> None:
        self._library = ctypes.CDLL("libmspack.so.0")
        self._library.mspack_create_oab_decompressor.restype = ctypes.POINTER(_Decompressor)
        self._library.mspack_destroy_oab_decompressor.argtypes = [ctypes.c_void_p]
        self._place = place

    def full(self, packed: bytes) -> bytes:
        """A whole file."""
        return self._run(packed, None)

    def patched(self, packed: bytes, base: bytes) -> bytes:
        """A difference applied to a whole file."""
        return self._run(packed, base)

    def _run(self, packed: bytes, base: bytes | None) -> bytes:
        source, other, target = (self._place / name for name in ("packed", "base", "target"))
        source.write_bytes(packed)
        made = self._library.mspack_create_oab_decompressor(None)
        try:
            own = ctypes.cast(made, ctypes.c_void_p)
            if base is None:
                code = made.contents.decompress(own, bytes(source), bytes(target))
            else:
                other.write_bytes(base)
                code = made.contents.incremental(own, bytes(source), bytes(other), bytes(target))
        finally:
            self._library.mspack_destroy_oab_decompressor(made)
        assert code == 0, f"libmspack says {code}"
        return target.read_bytes()

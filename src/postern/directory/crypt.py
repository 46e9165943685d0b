"""The system's crypt(3), which knows the `$5$`, `$6$`, `$2y$`, `$y$` hashes that other mail servers leave behind.

Called through ctypes, which lets go of the interpreter lock meanwhile; `crypt_rn` keeps its state in a buffer of ours,
so that any number of threads may verify at once.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import hmac
from functools import lru_cache
from typing import Any

_DATA_SIZE = 32768
"""sizeof(struct crypt_data) of libxcrypt; glibc's is larger but its crypt_r is not called."""


@lru_cache(maxsize=1)
def _library() -> Any:
    """The function, or None where the system has none (musl without libxcrypt)."""
    for name in ("libcrypt.so.1", "libcrypt.so.2", ctypes.util.find_library("crypt")):
        try:
            function = ctypes.CDLL(name).crypt_rn if name else None
        except (OSError, AttributeError):
            continue
        if function is not None:
            function.restype = ctypes.c_char_p
            function.argtypes = (ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_int)
            return function
    return None


def available() -> bool:
    """Whether this system can verify crypt hashes."""
    return _library() is not None


def crypt(password: bytes, setting: bytes) -> bytes:
    """The hash of a password with the method, rounds and salt of `setting`; empty if that is not possible."""
    function = _library()
    if function is None or b"\0" in password:
        return b""
    hashed: bytes | None = function(password, setting, ctypes.create_string_buffer(_DATA_SIZE), _DATA_SIZE)
    return hashed if hashed and not hashed.startswith(b"*") else b""


def verify(password: bytes, hashed: bytes) -> bool:
    """Whether a password has that hash."""
    return bool(hashed) and hmac.compare_digest(crypt(password, hashed), hashed)

"""Content-Transfer-Encodings (RFC 2045 6), read leniently."""

from __future__ import annotations

import re
from binascii import Error as BinasciiError
from binascii import a2b_base64, a2b_qp

_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]")
_TRAILING_SPACE = re.compile(rb"(?<![ \t])[ \t]++(?=\r?\n)")


def decode(data: bytes, encoding: bytes) -> bytes:
    """Undo an encoding; an unknown one is returned as it is. Never raises."""
    name = encoding.strip().lower()
    if name == b"base64":
        try:
            return a2b_base64(data)
        except BinasciiError:
            kept = _NOT_BASE64.sub(b"", data.partition(b"=")[0])
            kept = kept[: len(kept) - 1] if len(kept) % 4 == 1 else kept
            return a2b_base64(kept + b"=" * (-len(kept) % 4))
    if name == b"quoted-printable":
        # RFC 2045 6.7 rule 3: trailing white space was added on the way
        return a2b_qp(_TRAILING_SPACE.sub(b"", data) if b" \r\n" in data or b"\t\r\n" in data else data)
    return data

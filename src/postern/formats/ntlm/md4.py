"""MD4 (RFC 1320), which NT hashes are made of and OpenSSL 3 no longer gives. Broken for everything else."""

from __future__ import annotations

import struct

_MASK = 0xFFFFFFFF
_STATE = (0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476)
_ORDERS = (
    tuple(range(16)),
    (0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15),
    (0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15),
)
_SHIFTS = ((3, 7, 11, 19), (3, 5, 9, 13), (3, 9, 11, 15))
_CONSTANTS = (0, 0x5A827999, 0x6ED9EBA1)


def digest(data: bytes) -> bytes:
    """The 16 octets of a message's digest."""
    padded = data + b"\x80" + bytes((55 - len(data)) % 64) + struct.pack("<Q", len(data) * 8 & 0xFFFFFFFFFFFFFFFF)
    state = _STATE
    for start in range(0, len(padded), 64):
        state = _block(state, struct.unpack_from("<16I", padded, start))
    return struct.pack("<4I", *state)


def _block(state: tuple[int, int, int, int], words: tuple[int, ...]) -> tuple[int, int, int, int]:
    a, b, c, d = state
    for turn, order in enumerate(_ORDERS):
        for step, index in enumerate(order):
            if turn == 0:
                mixed = (b & c) | (~b & d)
            elif turn == 1:
                mixed = (b & c) | (b & d) | (c & d)
            else:
                mixed = b ^ c ^ d
            total = (a + mixed + words[index] + _CONSTANTS[turn]) & _MASK
            shift = _SHIFTS[turn][step % 4]
            a, b, c, d = d, (total << shift | total >> (32 - shift)) & _MASK, b, c
    return (
        (state[0] + a) & _MASK,
        (state[1] + b) & _MASK,
        (state[2] + c) & _MASK,
        (state[3] + d) & _MASK,
    )

"""LZX DELTA, the compressing half (MS-PATCH 2): chunks of 32 KiB, each one verbatim block.

A stream may refer to reference data that both sides have; that makes a difference file of it.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence

from postern.formats.oab import huffman
from postern.formats.oab.matching import Matcher

CHUNK_BYTES = 32768
"""Uncompressed octets of a chunk (MS-PATCH 2.2)."""
_SLOTS = {17: 34, 18: 36, 19: 38, 20: 42, 21: 50, 22: 66, 23: 98, 24: 162, 25: 290}
"""Position slots by the bits of the window (MS-PATCH 2.6)."""
_VERBATIM = 1
_LENGTHS = 249
_MAX_MATCH = 257
_LONGEST, _LONGEST_PRE = 16, 15
_FLUSH_BITS = 1024


class _Bits:
    """Bits, the highest first, in little-endian words of 16 (MS-PATCH 2.1)."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._value = self._count = 0

    def put(self, value: int, count: int) -> None:
        self._value = self._value << count | value
        self._count += count
        if self._count >= _FLUSH_BITS:
            self._flush()

    def _flush(self) -> None:
        rest = self._count & 15
        self._pieces.append((self._value >> rest).to_bytes((self._count - rest) >> 3, "big"))
        self._value &= (1 << rest) - 1
        self._count = rest

    def aligned(self) -> bytes:
        """All of it, filled up to a word; a writer is used once."""
        if self._count & 15:
            self.put(0, 16 - (self._count & 15))
        self._flush()
        words = array("H", b"".join(self._pieces))
        words.byteswap()
        return words.tobytes()


def window_bits(reference: int, size: int) -> int:
    """Of the window that decoders take for a block (MS-OXOAB 2.10, 2.11)."""
    needed = -(-reference // CHUNK_BYTES) * CHUNK_BYTES + size
    return max(17, (needed - 1).bit_length() if needed else 0)


def compress(data: bytes, reference: bytes = b"") -> bytes:
    """A stream of its own. `data` and `reference` together must fit into 32 MiB."""
    bits = window_bits(len(reference), len(data))
    slots = _SLOTS[bits]
    whole, start = reference + data, len(reference)
    matcher = Matcher(whole, start, (1 << bits) - 3)
    state = _State(slots)
    found = []
    for begin in range(start, len(whole), CHUNK_BYTES):
        end = min(begin + CHUNK_BYTES, len(whole))
        chunk = state.chunk(matcher.tokens(begin, end), end - begin, first=begin == start)
        found += [len(chunk).to_bytes(2, "little"), chunk]
    return b"".join(found)


class _State:
    """What a stream carries from block to block: the last three offsets, and the trees that differences refer to."""

    def __init__(self, slots: int) -> None:
        self._offsets = [1, 1, 1]
        self._main = [0] * (256 + 8 * slots)
        self._length = [0] * _LENGTHS

    def chunk(self, tokens: Sequence[tuple[int, int]], size: int, *, first: bool) -> bytes:
        """One chunk, without the size in front of it."""
        coded = [(value, -1, 0, 0, 0) if not offset else self._match(value, offset) for value, offset in tokens]
        main_counts, length_counts = [0] * len(self._main), [0] * _LENGTHS
        for symbol, longer, *_ in coded:
            main_counts[symbol] += 1
            if longer >= 0:
                length_counts[longer] += 1
        out = _Bits()
        if first:
            out.put(0, 1)  # no translation of x86 calls (MS-PATCH 2.3)
        out.put(_VERBATIM, 3)
        out.put(size, 24)
        main = huffman.lengths(main_counts, _LONGEST)
        length = huffman.lengths(length_counts, _LONGEST)
        _tree(out, self._main[:256], main[:256])
        _tree(out, self._main[256:], main[256:])
        _tree(out, self._length, length)
        self._main, self._length = main, length
        self._write(out, coded)
        return out.aligned()

    def _write(self, out: _Bits, coded: Sequence[tuple[int, int, int, int, int]]) -> None:
        main, length = self._main, self._length
        main_codes, length_codes = huffman.codes(main), huffman.codes(length)
        put = out.put
        for symbol, longer, footer, footer_bits, extra in coded:
            put(main_codes[symbol], main[symbol])
            if longer >= 0:
                put(length_codes[longer], length[longer])
            if footer_bits:
                put(footer, footer_bits)
            if longer == _LENGTHS - 1:
                _put_extra(out, extra)

    def _match(self, length: int, offset: int) -> tuple[int, int, int, int, int]:
        """Main symbol, length symbol (-1: none), footer with its bits, length beyond 257 (MS-PATCH 2.6, 2.7)."""
        footer = footer_bits = 0
        last = self._offsets
        if offset == last[0]:
            slot = 0
        elif offset == last[1]:
            slot, last[0], last[1] = 1, last[1], last[0]
        elif offset == last[2]:
            slot, last[0], last[2] = 2, last[2], last[0]
        else:
            self._offsets = [offset, last[0], last[1]]
            slot, footer, footer_bits = _position(offset + 2)
        short = min(length, _MAX_MATCH) - 2
        header = min(short, 7)
        longer = short - 7 if header == 7 else -1
        return 256 + (slot << 3 | header), longer, footer, footer_bits, length - _MAX_MATCH


def _position(formatted: int) -> tuple[int, int, int]:
    """Slot, footer and the footer's bits of an offset plus 2."""
    if formatted < 4:
        return formatted, 0, 0
    bits = formatted.bit_length()
    if bits <= 18:
        slot = 2 * (bits - 1) | (formatted >> (bits - 2) & 1)
        return slot, formatted & ((1 << (bits - 2)) - 1), bits - 2
    return 34 + (formatted >> 17), formatted & 0x1FFFF, 17


def _put_extra(out: _Bits, extra: int) -> None:
    """Lengths from 257 on (MS-PATCH 2.6.5)."""
    if extra < 0x100:
        out.put(extra, 9)
    elif extra < 0x500:
        out.put(0b10 << 10 | extra - 0x100, 12)
    elif extra < 0x1500:
        out.put(0b110 << 12 | extra - 0x500, 15)
    else:
        out.put(0b111 << 15 | extra, 18)


def _tree(out: _Bits, before: Sequence[int], now: Sequence[int]) -> None:
    """Lengths as differences to those of the block before, themselves in a small code (MS-PATCH 2.5)."""
    symbols: list[tuple[int, int, int]] = []
    at = 0
    while at < len(now):
        run = at
        while run < len(now) and not now[run] and run - at < 51:
            run += 1
        run -= at
        if run >= 20:
            symbols.append((18, run - 20, 5))
            at += run
        elif run >= 4:
            symbols.append((17, run - 4, 4))
            at += run
        else:
            symbols.append(((before[at] - now[at]) % 17, 0, 0))
            at += 1
    counts = [0] * 20
    for symbol, _, _ in symbols:
        counts[symbol] += 1
    lengths = huffman.lengths(counts, _LONGEST_PRE)
    codes = huffman.codes(lengths)
    for length in lengths:
        out.put(length, 4)
    for symbol, value, bits in symbols:
        out.put(codes[symbol], lengths[symbol])
        if bits:
            out.put(value, bits)

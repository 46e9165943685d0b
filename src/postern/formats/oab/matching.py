"""Finds what a piece of data has in common with what was before it: literals and matches, the first half of LZX."""

from __future__ import annotations

MIN_MATCH = 4
"""Shorter ones cost more bits than their octets, but for a repeated offset."""
_KEY = 4
_FAR, _FARTHER = 4096, 65536
_SPARSE = 8
"""Within a long match only every eighth place is remembered: it repeats what is known."""


class Matcher:
    """Over one buffer; pieces of it are taken in order."""

    def __init__(self, data: bytes, start: int, reach: int) -> None:
        """What is before `start` is known to the other side; no match lies further back than `reach`."""
        self._data = data
        self._reach = reach
        self._recent = 1
        self._places: dict[bytes, int] = {}
        for place in range(max(0, start - reach), start - _KEY + 1, 1 if start < _FARTHER * 8 else 2):
            self._places[data[place : place + _KEY]] = place

    def tokens(self, begin: int, end: int) -> list[tuple[int, int]]:
        """Of a piece: (octet, 0) for a literal, (length, offset) for a match. No match reaches beyond the piece."""
        data, places, reach = self._data, self._places, self._reach
        found: list[tuple[int, int]] = []
        append, recent, at = found.append, self._recent, begin
        while at < end:
            key = data[at : at + _KEY]
            place = places.get(key, -1)
            places[key] = at
            best = offset = 0
            if recent <= at and data[at - recent : at - recent + 3] == data[at : at + 3]:
                best, offset = self.common(at - recent, at, end - at), recent
            if place >= 0 and at - place <= reach and best < 64:
                length = self.common(place, at, end - at)
                away = at - place
                least = MIN_MATCH if away < _FAR else MIN_MATCH + 1 if away < _FARTHER else MIN_MATCH + 2
                if length >= least and length > best + 1:
                    best, offset = length, away
            if best < 3:
                append((data[at], 0))
                at += 1
                continue
            append((best, offset))
            recent = offset
            step = 1 if best < 32 else _SPARSE
            for inner in range(at + 1, at + best, step):
                places[data[inner : inner + _KEY]] = inner
            at += best
        self._recent = recent
        return found

    def common(self, one: int, other: int, limit: int) -> int:
        """How many octets two places have in common, at most `limit`."""
        data, length, step = self._data, 0, 16
        while (
            length + step <= limit
            and data[one + length : one + length + step] == data[other + length : other + length + step]
        ):
            length += step
            step *= 2
        while step:
            if (
                length + step <= limit
                and data[one + length : one + length + step] == data[other + length : other + length + step]
            ):
                length += step
            step //= 2
        return length

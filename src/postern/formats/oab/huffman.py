"""Huffman codes with bounded lengths, numbered canonically (MS-PATCH 2.4)."""

from __future__ import annotations

import heapq
from collections.abc import Sequence


def lengths(counts: Sequence[int], longest: int) -> list[int]:
    """Bits of each symbol's code, 0 for symbols that do not occur.

    A code of one symbol gets a second one: decoders take complete codes only.
    """
    used = [symbol for symbol, count in enumerate(counts) if count]
    found = [0] * len(counts)
    if not used:
        return found
    if len(used) == 1:
        used.append(0 if used[0] else 1)
    weights = {symbol: max(1, counts[symbol]) for symbol in used}
    while True:
        depths = _depths(weights)
        if max(depths.values()) <= longest:
            for symbol, depth in depths.items():
                found[symbol] = depth
            return found
        # rare symbols are the deep ones: bring the weights nearer together
        weights = {symbol: (weight >> 2) + 1 for symbol, weight in weights.items()}


def _depths(weights: dict[int, int]) -> dict[int, int]:
    heap: list[tuple[int, int, tuple[int, ...]]] = [(weight, symbol, (symbol,)) for symbol, weight in weights.items()]
    heapq.heapify(heap)
    depths = dict.fromkeys(weights, 0)
    while len(heap) > 1:
        first, order, left = heapq.heappop(heap)
        second, _, right = heapq.heappop(heap)
        both = left + right
        for symbol in both:
            depths[symbol] += 1
        heapq.heappush(heap, (first + second, order, both))
    return depths


def codes(bits: Sequence[int]) -> list[int]:
    """The code of each symbol: shorter ones first, equal ones in the order of their symbols."""
    longest = max(bits, default=0)
    starting = [0] * (longest + 2)
    for length in bits:
        if length:
            starting[length] += 1
    code, following = 0, [0] * (longest + 2)
    for length in range(1, longest + 1):
        following[length] = code
        code = (code + starting[length]) << 1
    found = []
    for length in bits:
        found.append(following[length])
        if length:
            following[length] += 1
    return found

"""How wide a text is when drawn, and where to break it: an upper bound that holds for the usual sans-serif fonts."""

from __future__ import annotations

from math import ceil

NARROW = frozenset("ijl|!.,:;'Iftr()[]-/\\ ")
WIDE = frozenset("mwMW@%&#+<=>^~жшщюыфдмъФМЪЫЦДОQ—…→↔")
WIDEST = frozenset("ЖШЩЮ")
BOLD = 1.13
"""A bold letter's width beside the plain one's."""


def width(text: str, size: float, *, bold: bool = False) -> int:
    """Pixels that a text of a font size takes at most, in DejaVu Sans, Verdana (the widest) and narrower fonts."""
    return ceil(sum(map(_em, text)) * size * (BOLD if bold else 1.0))


def _em(letter: str) -> float:
    if letter in NARROW:
        return 0.43
    if letter in WIDE:
        return 1.02
    if letter in WIDEST:
        return 1.18
    if ord(letter) > 0x2E80:
        return 1.05
    if letter.isupper():
        return 0.79
    return 0.66


def wrap(text: str, size: float, limit: float, *, bold: bool = False) -> list[str]:
    """Lines of at most `limit` pixels, broken at spaces; a longer word is broken where it must be."""
    lines: list[str] = []
    line = ""
    for word in text.split():
        joined = f"{line} {word}" if line else word
        if width(joined, size, bold=bold) <= limit:
            line = joined
            continue
        if line:
            lines.append(line)
        *whole, line = _pieces(word, size, limit, bold=bold)
        lines += whole
    return [*lines, line] if line else lines


def _pieces(word: str, size: float, limit: float, *, bold: bool) -> list[str]:
    """A word in pieces that fit, at least one letter each."""
    pieces = [""]
    for letter in word:
        if pieces[-1] and width(pieces[-1] + letter, size, bold=bold) > limit:
            pieces.append("")
        pieces[-1] += letter
    return pieces


def join_wrapped(parts: list[str], separator: str, size: float, limit: float) -> list[str]:
    """Parts joined by a separator into lines of at most `limit` pixels; a line breaks only between parts if it can."""
    lines: list[str] = []
    for position, part in enumerate(parts):
        text = part + (separator.rstrip() if position < len(parts) - 1 else "")
        if lines and width(f"{lines[-1]} {text}", size) <= limit:
            lines[-1] = f"{lines[-1]} {text}"
        else:
            lines += wrap(text, size, limit)
    return lines

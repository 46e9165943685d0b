"""How texts are compared: without case in every script (RFC 5051 i;unicode-casemap), for searching and for sorting."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

UNICODE_VERSION = unicodedata.unidata_version
"""What was folded by another version has to be folded again."""
_OTHER_SPACE = re.compile(r"[^\S ]|  ")
_OTHER_SCRIPT = re.compile(r"[^\0-\x7f]+")
LONGEST_KEPT = 32
"""Characters of a run whose folding is remembered."""
_FLAT = bytes.maketrans(
    bytes(range(0x41, 0x5B)) + b"\0\t\n\v\f\r\x1c\x1d\x1e\x1f", bytes(range(0x61, 0x7B)) + b" " * 10
)
"""ASCII in small letters, all its white space as spaces."""
_KINDS = b" " * 128 + b"x" * 128
"""ASCII and other octets."""
_SPACE = re.compile(r"\s")
_SURROGATE = re.compile("[\ud800-\udfff]")


def fold(text: str) -> str:
    """A form in which a text contains another as IMAP and its kin want it (RFC 9051 6.4.4, RFC 5255 4.3).

    Compatibility forms are decomposed and case disregarded, more of it than RFC 5051 asks for: `ß` equals `ss`, `ı`
    equals `i`. White space counts as one space and none at the ends. No NUL and no lone surrogate is left.
    """
    if text.isascii():
        text = text.lower()
        if "\0" in text:
            text = text.replace("\0", " ")
    else:
        # most text is mostly ASCII, whose letters neither decompose nor change places with their neighbours' marks
        text = text.replace("\0", " ").encode("utf-8", "surrogatepass").lower().decode("utf-8", "surrogatepass")
        text = _OTHER_SCRIPT.sub(_fold_run, text)
    text = text.replace("\r\n", " ")
    if _OTHER_SPACE.search(text):
        return " ".join(text.split())
    return text.strip(" ")


def fold_utf8(data: bytes) -> bytes:
    """`fold` of UTF-8, as UTF-8: what is ASCII is never decoded. Raises UnicodeDecodeError. Surrogates may be in it."""
    data = data.translate(_FLAT)
    if not data.isascii():
        data = b"".join(_folded_runs(data))
    while b"  " in data:  # each time runs of spaces are half as long
        data = data.replace(b"  ", b" ")
    return data.strip(b" ")


def _folded_runs(data: bytes) -> Iterator[bytes]:
    """ASCII as it is, what lies between folded. Looked for by single octets, which costs a tenth of a pattern."""
    kinds = data.translate(_KINDS)
    at, end = 0, len(data)
    while (start := kinds.find(b"x", at)) >= 0:
        yield data[at:start]
        at = kinds.find(b" ", start)
        if at < 0:
            at = end
        run = data[start:at]
        yield _fold_short(run) if at - start < 2 * LONGEST_KEPT else _fold_long(run)
    yield data[at:]


def _fold_long(run: bytes) -> bytes:
    return _SPACE.sub(" ", _fold_other(run.decode("utf-8", "surrogatepass"))).encode()


_fold_short = lru_cache(maxsize=4096)(_fold_long)


def _fold_run(found: re.Match[str]) -> str:
    return _fold_word(found[0]) if len(found[0]) < LONGEST_KEPT else _fold_other(found[0])


def _fold_other(run: str) -> str:
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", run).upper().casefold())
    return _SURROGATE.sub("\ufffd", folded)


_fold_word = lru_cache(maxsize=4096)(_fold_other)


class _Titlecase(dict[int, int]):
    """Simple titlecase mappings, each looked up once."""

    def __missing__(self, code: int) -> int:
        title = chr(code).title()
        found = self[code] = ord(title) if len(title) == 1 else code
        return found


_TITLECASE = _Titlecase()


def sort_key(text: str) -> bytes:
    """Octets whose order is that of i;unicode-casemap (RFC 5051 2): titlecase, then fully decomposed."""
    if text.isascii():
        return text.upper().encode("ascii")
    return unicodedata.normalize("NFKD", text.translate(_TITLECASE)).encode("utf-8", "replace")

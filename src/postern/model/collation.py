"""How texts are compared: without case in every script (RFC 5051 i;unicode-casemap), for searching and for sorting."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

UNICODE_VERSION = unicodedata.unidata_version
"""What was folded by another version has to be folded again."""
_OTHER_SPACE = re.compile(r"[^\S ]|  ")
_OTHER_SCRIPT = re.compile(r"[^\0-\x7f]+")
LONGEST_KEPT = 32
"""Characters of a run whose folding is remembered."""
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

"""Octets to text under the character sets that mail names, rightly or not."""

from __future__ import annotations

from codecs import lookup
from functools import lru_cache

# What senders say, and the codec that reads what they mean: the larger set wherever a name is used for it in practice.
_MEANT = {
    "us-ascii": "ascii",
    "ansi_x3.4-1968": "ascii",
    "iso-8859-1": "cp1252",
    "latin1": "cp1252",
    "iso8859-1": "cp1252",
    "iso-8859-8-i": "iso8859-8",
    "iso-8859-8-e": "iso8859-8",
    "iso-8859-6-i": "iso8859-6",
    "iso-8859-9": "cp1254",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "gb_2312-80": "gb18030",
    "x-gbk": "gb18030",
    "big5": "big5hkscs",
    "shift_jis": "cp932",
    "shift-jis": "cp932",
    "x-sjis": "cp932",
    "windows-31j": "cp932",
    "euc-kr": "cp949",
    "ks_c_5601-1987": "cp949",
    "x-windows-949": "cp949",
    "iso-2022-jp": "iso2022_jp_ext",
    "windows-874": "cp874",
    "tis-620": "cp874",
    "x-mac-roman": "mac_roman",
    "macintosh": "mac_roman",
    "x-mac-cyrillic": "mac_cyrillic",
    "koi8-ru": "koi8_u",
    "unicode-1-1-utf-7": "utf_7",
    "cp-850": "cp850",
}

# Python's other "text" codecs are not character sets of mail, and some (idna, punycode) take quadratic time.
_NEVER = frozenset({"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined", "mbcs", "oem", "palmos"})


@lru_cache(maxsize=256)
def codec(charset: str) -> str | None:
    """Python's name for a MIME charset, or None if there is none."""
    name = charset.strip().strip("\"'").lower()
    try:
        found = lookup(_MEANT.get(name, name))
    except (LookupError, ValueError):
        return None
    plain = found.name.replace("-", "_")
    if not getattr(found, "_is_text_encoding", True) or plain in _NEVER:
        return None
    return found.name


def text(data: bytes, charset: str = "") -> str:
    """Decode; never raises. An unknown or lying charset falls back to UTF-8, then to Windows-1252."""
    name = codec(charset[:64]) if charset else None
    if name is not None and name not in ("ascii", "utf-8"):
        return data.decode(name, "replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        if name == "utf-8":
            return data.decode("utf-8", "replace")
        return data.decode("cp1252", "replace")


def is_utf8(data: bytes) -> bool:
    """Whether octets are UTF-8, plain ASCII included."""
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True

"""The base subject: what a subject is about, without reply and forward marks (RFC 5256 2.1)."""

from __future__ import annotations

import re
from typing import NamedTuple

_SPACE = re.compile(r"[ \t\r\n]+")
_TRAILER = "(fwd)"
_BLOB = r"\[[^\[\]]*+\] *+"
_LEADER = re.compile(rf"(?:(?:{_BLOB})*+(?:re|fwd?) *+(?:{_BLOB})?:| )", re.IGNORECASE)
_LEADING_BLOB = re.compile(_BLOB)
_FORWARDED = re.compile(r"\[fwd:", re.IGNORECASE)
MAX_LENGTH = 2000
"""Characters of a subject that count."""


class BaseSubject(NamedTuple):
    """What is compared, and whether marks of a reply or forward were taken off (RFC 5256 2.1, end)."""

    text: str
    is_reply: bool


def base_subject(decoded: str) -> BaseSubject:
    """Of a decoded subject; case is kept."""
    text = decoded[:MAX_LENGTH]
    if "  " in text or not text.isprintable():
        text = _SPACE.sub(" ", text)
    reply = False
    while True:
        while True:  # step 2
            if text.endswith(" "):
                text = text[:-1]
            elif text.endswith(")") and text[-len(_TRAILER) :].lower() == _TRAILER:
                text, reply = text[: -len(_TRAILER)], True
            else:
                break
        while True:  # steps 3 to 5
            leader = _LEADER.match(text)
            if leader is not None:
                reply = reply or leader.group() != " "
                text = text[leader.end() :]
                continue
            blob = _LEADING_BLOB.match(text)
            if blob is None or blob.end() == len(text):
                break
            text = text[blob.end() :]
        if not (text.endswith("]") and _FORWARDED.match(text)):  # step 6
            return BaseSubject(text, reply)
        text, reply = text[5:-1], True

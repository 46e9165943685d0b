"""Advanced Query Syntax, as EWS and Outlook write searches (MS-OXWSSRCH), as a store's query.

Known: words and "phrases", `subject: from: to: cc: bcc: participants: body: attachment: kind: received: sent: size:
hasattachment: isread: isflagged:`, AND OR NOT (in capitals, or `-word`), parentheses. Words side by side all have to be
found. A property that is not known is searched for as a word, as Exchange does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta

from postern.model.items import Flag
from postern.model.query import (
    All,
    And,
    BodyContains,
    HasFlags,
    HeaderContains,
    Not,
    Or,
    Query,
    ReceivedBetween,
    SentBetween,
    SizeAbove,
    SizeBelow,
    TextContains,
)

MAX_LENGTH = 4096
MAX_DEPTH = 30
MAX_TERMS = 200
DAY_S = 86400

_TOKEN = re.compile(r'\s*(?:([()])|(-)(?=[^\s)])|([A-Za-z]+):\s*|("(?:[^"]*)"?)|([^\s()":]+(?::[^\s()":]+)*)|(.))')
_RANGE = re.compile(r"(.*?)\.\.(.*)")
_SIZE = re.compile(r"(\d{1,15})(?:\.\d+)?(b|kb|k|mb|m|gb|g)?", re.IGNORECASE)
_UNITS = {"": 1, "b": 1, "k": 1 << 10, "kb": 1 << 10, "m": 1 << 20, "mb": 1 << 20, "g": 1 << 30, "gb": 1 << 30}
_COMPARISON = re.compile(r"(<=|>=|<|>|=)(.*)")
_DATE_FORMATS = ("%Y-%m-%d", "%m/%d/%Y", "%d.%m.%Y")
_TRUE = frozenset({"true", "yes", "1"})
_SIZES = {
    "tiny": (0, 10 << 10),
    "small": (10 << 10, 25 << 10),
    "medium": (25 << 10, 100 << 10),
    "large": (100 << 10, 500 << 10),
    "huge": (500 << 10, 1 << 20),
    "giant": (1 << 20, None),
}
_NOTHING = frozenset({"end", "or", "and"})
_WRONG = Not(All())
"""What a value that is none matches: nothing."""
_KINDS = {
    "email": "",
    "meetings": "text/calendar",
    "contacts": "text/vcard",
}


class BadQueryError(ValueError):
    """The text is too long, too deep, has too many terms, or cannot be read."""


class QueryTooLongError(BadQueryError):
    """Too many characters."""


class TooManyTermsError(BadQueryError):
    """Too many terms, or too deep."""


def parse(text: str, today: date, *, strict: bool = False) -> Query:
    """A query string; `today` is the asker's day, for `received:today`. Raises BadQueryError.

    What is half written (a parenthesis or quotation mark without its other half, an operator or a property without
    anything behind it, a date or size that is none) is read as well as it goes, or refused if `strict`.
    """
    if len(text) > MAX_LENGTH:
        raise QueryTooLongError(f"over {MAX_LENGTH} characters")
    reader = _Reader(text, today)
    found = reader.alternatives(0)
    if reader.tokens:
        reader.note("a parenthesis closes nothing")
    if strict and (reader.wrong or _WRONG in _parts(found)):
        raise BadQueryError(reader.wrong or "a date, size or kind is none")
    while reader.tokens:  # a parenthesis too many ends nothing
        reader.tokens.pop(0)
        found = _both([found, reader.alternatives(0)])
    return found


def _parts(query: Query) -> Iterator[Query]:
    """A query and all that it is made of."""
    yield query
    if isinstance(query, And | Or):
        for one in query.of:
            yield from _parts(one)
    elif isinstance(query, Not):
        yield from _parts(query.of)


def _both(parts: list[Query]) -> Query:
    told = [part for part in parts if not isinstance(part, All)]
    if not told:
        return All()
    return told[0] if len(told) == 1 else And(tuple(told))


class _Reader:
    def __init__(self, text: str, today: date) -> None:
        self._today = today
        self._terms = 0
        self._nothing = True
        """What was read last was nothing."""
        self.wrong = ""
        """What is not well written, the first of it."""
        self.tokens: list[tuple[str, str]] = []
        for paren, minus, name, phrase, word, _ in _TOKEN.findall(text):
            if paren:
                self.tokens.append(("paren", paren))
            elif minus:
                self.tokens.append(("not", ""))
            elif name:
                self.tokens.append(("name", name.lower()))
            elif phrase:
                if len(phrase) < 2 or not phrase.endswith('"'):
                    self.note("a quotation mark is not closed")
                self.tokens.append(("phrase", phrase.strip('"')))
            elif word in ("AND", "OR", "NOT"):
                self.tokens.append((word.lower(), ""))
            elif word:
                self.tokens.append(("word", word))

    def note(self, wrong: str) -> None:
        """Something is not well written."""
        self.wrong = self.wrong or wrong

    def _next(self) -> tuple[str, str]:
        return self.tokens[0] if self.tokens else ("end", "")

    def alternatives(self, depth: int) -> Query:
        """`a b OR c`: AND binds closer than OR."""
        if depth > MAX_DEPTH:
            raise TooManyTermsError(f"nested over {MAX_DEPTH} levels")
        found = [self._together(depth)]
        while self._next()[0] == "or":
            self.tokens.pop(0)
            if self._nothing or self._next()[0] in _NOTHING or self._next() == ("paren", ")"):
                self.note("OR needs something on both sides")
            found.append(self._together(depth))
        return found[0] if len(found) == 1 else Or(tuple(found))

    def _together(self, depth: int) -> Query:
        found: list[Query] = []
        while self._next()[0] not in ("end", "or") and self._next() != ("paren", ")"):
            if self._next()[0] == "and":
                self.tokens.pop(0)
                if not found or self._next()[0] in _NOTHING or self._next() == ("paren", ")"):
                    self.note("AND needs something on both sides")
                continue
            found.append(self._one(depth, None))
        self._nothing = not found
        return _both(found)

    def _one(self, depth: int, name: str | None) -> Query:
        """A term, or what stands in parentheses; `name`: of the property it is about."""
        if depth > MAX_DEPTH:
            raise TooManyTermsError(f"nested over {MAX_DEPTH} levels")
        self._terms += 1
        if self._terms > MAX_TERMS:
            raise TooManyTermsError(f"over {MAX_TERMS} terms")
        kind, value = self._next()
        if kind in _NOTHING or (kind, value) == ("paren", ")"):
            self.note("a property or NOT has nothing behind it")
            return All()
        self.tokens.pop(0)
        if kind == "not":
            return Not(self._one(depth + 1, name))
        if kind == "name":
            return self._one(depth + 1, value)
        if kind == "paren":
            found = self._listed(depth + 1, name) if name else self.alternatives(depth + 1)
            if self._next() == ("paren", ")"):
                self.tokens.pop(0)
            else:
                self.note("a parenthesis is not closed")
            return found
        return self._term(name, value)

    def _listed(self, depth: int, name: str) -> Query:
        """`from:(anna OR boris)`, `subject:(a b)`."""
        alternatives: list[Query] = []
        together: list[Query] = []
        while self._next()[0] != "end" and self._next() != ("paren", ")"):
            if self._next()[0] == "or":
                alternatives.append(_both(together))
                together = []
                self.tokens.pop(0)
            elif self._next()[0] == "and":
                self.tokens.pop(0)
            else:
                together.append(self._one(depth, name))
        alternatives.append(_both(together))
        return alternatives[0] if len(alternatives) == 1 else Or(tuple(alternatives))

    def _term(self, name: str | None, value: str) -> Query:
        if not value.strip("*"):
            return All()
        if name is None:
            return TextContains(value.rstrip("*"))
        make = _PROPERTIES.get(name)
        if make is None:
            return And((TextContains(name), TextContains(value.rstrip("*"))))
        return make(value, self._today)


def _header(*names: str) -> Callable[[str, date], Query]:
    def make(value: str, _today: date) -> Query:
        found = tuple(HeaderContains(name, value.rstrip("*")) for name in names)
        return found[0] if len(found) == 1 else Or(found)

    return make


def _body(value: str, _today: date) -> Query:
    return BodyContains(value.rstrip("*"))


def _kind(value: str, _today: date) -> Query:
    wanted = _KINDS.get(value.lower())
    if wanted is None:
        return _WRONG
    return HeaderContains("content-type", wanted) if wanted else All()


def _has_attachment(value: str, _today: date) -> Query:
    # the scanner's headers tell it: a message with attachments is multipart/mixed
    found = HeaderContains("content-type", "multipart/mixed")
    return found if value.lower() in _TRUE else Not(found)


def _flag(flag: Flag) -> Callable[[str, date], Query]:
    def make(value: str, _today: date) -> Query:
        found = HasFlags(flag.value)
        return found if value.lower() in _TRUE else Not(found)

    return make


def _size(value: str, _today: date) -> Query:
    named = _SIZES.get(value.lower())
    if named is not None:
        low, high = named
        return SizeAbove(low) if high is None else And((SizeAbove(low), SizeBelow(high)))
    ranged = _RANGE.fullmatch(value)
    if ranged is not None:
        ends = [_octets(end) for end in ranged.groups()]
        parts: list[Query] = [] if ends[0] is None else [SizeAbove(ends[0] - 1)]
        return _both(parts if ends[1] is None else [*parts, SizeBelow(ends[1] + 1)])
    compared = _COMPARISON.fullmatch(value)
    sign, text = compared.groups() if compared else ("=", value)
    octets = _octets(text)
    if octets is None:
        return _WRONG
    return {
        "<": SizeBelow(octets),
        "<=": SizeBelow(octets + 1),
        ">": SizeAbove(octets),
        ">=": SizeAbove(octets - 1),
        "=": And((SizeAbove(octets - 1), SizeBelow(octets + 1))),
    }[sign]


def _octets(text: str) -> int | None:
    found = _SIZE.fullmatch(text.strip())
    return int(found[1]) * _UNITS[(found[2] or "").lower()] if found else None


def _time(make: Callable[[int | None, int | None], Query]) -> Callable[[str, date], Query]:
    def when(value: str, today: date) -> Query:
        ranged = _RANGE.fullmatch(value)
        if ranged is not None:
            first, last = _days(ranged[1], today), _days(ranged[2], today)
            return make(_at(first[0]) if first else None, _at(last[1]) if last else None)
        compared = _COMPARISON.fullmatch(value)
        sign, text = compared.groups() if compared else ("=", value)
        days = _days(text, today)
        if days is None:
            return _WRONG
        start, end = _at(days[0]), _at(days[1])
        return {
            "<": make(None, start),
            "<=": make(None, end),
            ">": make(end, None),
            ">=": make(start, None),
            "=": make(start, end),
        }[sign]

    return when


def _at(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


def _days(text: str, today: date) -> tuple[date, date] | None:
    """[first, last) day of what a word or date means."""
    word = text.strip().lower()
    one = timedelta(days=1)
    week = today - timedelta(days=today.weekday())
    month = today.replace(day=1)
    named = {
        "today": (today, today + one),
        "yesterday": (today - one, today),
        "this week": (week, week + 7 * one),
        "last week": (week - 7 * one, week),
        "this month": (month, _next_month(month)),
        "last month": ((month - one).replace(day=1), month),
        "this year": (date(today.year, 1, 1), date(today.year + 1, 1, 1)),
        "last year": (date(today.year - 1, 1, 1), date(today.year, 1, 1)),
    }
    found = named.get(word) or named.get(word.replace("this", "this ").replace("last", "last "))
    if found is not None:
        return found
    for form in _DATE_FORMATS:
        try:
            day = datetime.strptime(word, form).replace(tzinfo=UTC).date()
            return day, day + one
        except (ValueError, OverflowError):
            continue
    return None


def _next_month(month: date) -> date:
    return (month + timedelta(days=31)).replace(day=1)


_PROPERTIES: dict[str, Callable[[str, date], Query]] = {
    "subject": _header("subject"),
    "from": _header("from"),
    "to": _header("to"),
    "cc": _header("cc"),
    "bcc": _header("bcc"),
    "participants": _header("from", "to", "cc", "bcc"),
    "body": _body,
    "attachment": _body,
    "kind": _kind,
    "received": _time(ReceivedBetween),
    "sent": _time(SentBetween),
    "size": _size,
    "hasattachment": _has_attachment,
    "isread": _flag(Flag.SEEN),
    "isflagged": _flag(Flag.FLAGGED),
}

"""Every command and test: its arguments, tags, blocks, and the extension that brings it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

EXTENSIONS: dict[str, str] = {
    "body": "RFC 5173",
    "comparator-i;ascii-casemap": "RFC 5228 2.7.3",
    "comparator-i;ascii-numeric": "RFC 4790 9.1",
    "comparator-i;octet": "RFC 5228 2.7.3",
    "copy": "RFC 3894",
    "date": "RFC 5260",
    "duplicate": "RFC 7352",
    "editheader": "RFC 5293",
    "encoded-character": "RFC 5228 2.4.2.4",
    "envelope": "RFC 5228 5.4",
    "ereject": "RFC 5429",
    "fileinto": "RFC 5228 4.1",
    "imap4flags": "RFC 5232",
    "include": "RFC 6609",
    "index": "RFC 5260 6",
    "mailbox": "RFC 5490",
    "reject": "RFC 5429",
    "relational": "RFC 5231",
    "special-use": "RFC 8579",
    "subaddress": "RFC 5233",
    "vacation": "RFC 5230",
    "vacation-seconds": "RFC 6131",
    "variables": "RFC 5229",
}

CAPABILITY = " ".join(EXTENSIONS)
"""As ManageSieve tells it (RFC 5804 1.7)."""


class TagSpec(NamedTuple):
    """One tag."""

    takes: str = ""
    """Kind of its argument: s string, l list, n number; empty: none."""
    extension: str = ""
    group: str = ""
    """At most one of a group."""


class Spec(NamedTuple):
    """One command or test."""

    shapes: tuple[str, ...]
    """Kinds of the arguments without tags; several if some may be missing."""
    tags: Mapping[str, TagSpec] = MappingProxyType({})
    extension: str = ""
    tests: str = ""
    """Empty: none; `one`, `many`."""
    block: bool = False
    constant: bool = False
    """Its strings hold no variables."""


_MATCH = {
    "is": TagSpec(group="match"),
    "contains": TagSpec(group="match"),
    "matches": TagSpec(group="match"),
    "count": TagSpec("s", "relational", "match"),
    "value": TagSpec("s", "relational", "match"),
    "comparator": TagSpec("s", "", "comparator"),
}
_PART = {
    "all": TagSpec(group="part"),
    "localpart": TagSpec(group="part"),
    "domain": TagSpec(group="part"),
    "user": TagSpec("", "subaddress", "part"),
    "detail": TagSpec("", "subaddress", "part"),
}
_INDEX = {"index": TagSpec("n", "index"), "last": TagSpec("", "index")}
_ZONE = {"zone": TagSpec("s", "", "zone"), "originalzone": TagSpec(group="zone")}
_FLAGS = {"flags": TagSpec("l", "imap4flags")}
_MODIFIERS = {
    name: TagSpec(group=group)
    for name, group in (
        ("lower", "case"),
        ("upper", "case"),
        ("lowerfirst", "first"),
        ("upperfirst", "first"),
        ("quotewildcard", "quote"),
        ("length", "length"),
    )
}

COMMANDS: dict[str, Spec] = {
    "require": Spec(("l",), constant=True),
    "if": Spec(("",), tests="one", block=True),
    "elsif": Spec(("",), tests="one", block=True),
    "else": Spec(("",), block=True),
    "stop": Spec(("",)),
    "keep": Spec(("",), _FLAGS),
    "discard": Spec(("",)),
    "redirect": Spec(("s",), {"copy": TagSpec("", "copy")}),
    "fileinto": Spec(
        ("s",),
        {
            "copy": TagSpec("", "copy"),
            "create": TagSpec("", "mailbox"),
            "specialuse": TagSpec("s", "special-use"),
            **_FLAGS,
        },
        "fileinto",
    ),
    "reject": Spec(("s",), extension="reject"),
    "ereject": Spec(("s",), extension="ereject"),
    "vacation": Spec(
        ("s",),
        {
            "days": TagSpec("n", "", "period"),
            "seconds": TagSpec("n", "vacation-seconds", "period"),
            "subject": TagSpec("s"),
            "from": TagSpec("s"),
            "addresses": TagSpec("l"),
            "mime": TagSpec(),
            "handle": TagSpec("s"),
        },
        "vacation",
    ),
    "set": Spec(("ss",), _MODIFIERS, "variables"),
    "setflag": Spec(("l", "sl"), extension="imap4flags"),
    "addflag": Spec(("l", "sl"), extension="imap4flags"),
    "removeflag": Spec(("l", "sl"), extension="imap4flags"),
    "include": Spec(
        ("s",),
        {
            "personal": TagSpec(group="place"),
            "global": TagSpec(group="place"),
            "once": TagSpec(),
            "optional": TagSpec(),
        },
        "include",
        constant=True,
    ),
    "return": Spec(("",), extension="include"),
    "global": Spec(("l",), extension="include", constant=True),
    "addheader": Spec(("ss",), {"last": TagSpec()}, "editheader"),
    "deleteheader": Spec(("s", "sl"), {"index": TagSpec("n"), "last": TagSpec(), **_MATCH}, "editheader"),
}

TESTS: dict[str, Spec] = {
    "address": Spec(("ll",), {**_MATCH, **_PART, **_INDEX}),
    "envelope": Spec(("ll",), {**_MATCH, **_PART}, "envelope"),
    "header": Spec(("ll",), {**_MATCH, **_INDEX}),
    "exists": Spec(("l",)),
    "size": Spec(("",), {"over": TagSpec("n", "", "size"), "under": TagSpec("n", "", "size")}),
    "allof": Spec(("",), tests="many"),
    "anyof": Spec(("",), tests="many"),
    "not": Spec(("",), tests="one"),
    "true": Spec(("",)),
    "false": Spec(("",)),
    "string": Spec(("ll",), _MATCH, "variables"),
    "hasflag": Spec(("l", "ll"), _MATCH, "imap4flags"),
    "body": Spec(
        ("l",),
        {
            **_MATCH,
            "raw": TagSpec(group="transform"),
            "content": TagSpec("l", "", "transform"),
            "text": TagSpec(group="transform"),
        },
        "body",
    ),
    "date": Spec(("ssl",), {**_MATCH, **_ZONE, **_INDEX}, "date"),
    "currentdate": Spec(("sl",), {**_MATCH, "zone": TagSpec("s", "", "zone")}, "date"),
    "mailboxexists": Spec(("l",), extension="mailbox"),
    "specialuse_exists": Spec(("l", "sl"), extension="special-use"),
    "duplicate": Spec(
        ("",),
        {
            "handle": TagSpec("s"),
            "header": TagSpec("s", "", "id"),
            "uniqueid": TagSpec("s", "", "id"),
            "seconds": TagSpec("n"),
            "last": TagSpec(),
        },
        "duplicate",
    ),
}

DATE_PARTS = frozenset(
    (
        "year", "month", "day", "date", "julian", "hour", "minute", "second", "time", "iso8601", "std11", "zone",
        "weekday",
    )
)  # fmt: skip
"""RFC 5260 4.2."""
OPERATORS = frozenset(("gt", "ge", "lt", "le", "eq", "ne"))
COMPARATORS = frozenset(("i;octet", "i;ascii-casemap", "i;ascii-numeric"))
ENVELOPE_PARTS = frozenset(("from", "to"))

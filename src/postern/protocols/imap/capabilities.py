"""The capabilities, each with what specifies it; which of them a connection offers."""

from __future__ import annotations

from collections.abc import Collection, Iterable

BEFORE: dict[bytes, str] = {
    b"IMAP4rev1": "RFC 3501",
    b"IMAP4rev2": "RFC 9051",
    b"SASL-IR": "RFC 4959",
    b"LITERAL+": "RFC 7888",
    b"ID": "RFC 2971",
    b"ENABLE": "RFC 5161",
}
"""Offered at all times."""

AFTER: dict[bytes, str] = {
    b"IDLE": "RFC 2177",
    b"NAMESPACE": "RFC 2342",
    b"CHILDREN": "RFC 3348",
    b"SPECIAL-USE": "RFC 6154",
    b"CREATE-SPECIAL-USE": "RFC 6154",
    b"LIST-EXTENDED": "RFC 5258",
    b"LIST-STATUS": "RFC 5819",
    b"LIST-MYRIGHTS": "RFC 8440",
    b"UNSELECT": "RFC 3691",
    b"UIDPLUS": "RFC 4315",
    b"UIDONLY": "RFC 9586",
    b"MOVE": "RFC 6851",
    b"REPLACE": "RFC 8508",
    b"MULTIAPPEND": "RFC 3502",
    b"CATENATE": "RFC 4469",
    b"BINARY": "RFC 3516",
    b"APPENDLIMIT": "RFC 7889",
    b"ESEARCH": "RFC 4731",
    b"SEARCHRES": "RFC 5182",
    b"WITHIN": "RFC 5032",
    b"CONTEXT=SEARCH": "RFC 5267",
    b"SORT": "RFC 5256",
    b"SORT=DISPLAY": "RFC 5957",
    b"ESORT": "RFC 5267",
    b"THREAD=ORDEREDSUBJECT": "RFC 5256",
    b"THREAD=REFERENCES": "RFC 5256",
    b"MULTISEARCH": "RFC 7377",
    b"PARTIAL": "RFC 9394",
    b"CONDSTORE": "RFC 7162",
    b"QRESYNC": "RFC 7162",
    b"STATUS=SIZE": "RFC 8438",
    b"SAVEDATE": "RFC 8514",
    b"PREVIEW": "RFC 8970",
    b"OBJECTID": "RFC 8474",
    b"NOTIFY": "RFC 5465",
    b"INPROGRESS": "RFC 9585",
    b"UNAUTHENTICATE": "RFC 8437",
    b"COMPRESS=DEFLATE": "RFC 4978",
    b"UTF8=ACCEPT": "RFC 6855",
    b"I18NLEVEL=1": "RFC 5255",
    b"QUOTA": "RFC 9208",
    b"QUOTA=RES-STORAGE": "RFC 9208",
    b"ACL": "RFC 4314",
    b"RIGHTS=texk": "RFC 4314",
}
"""Offered to who is signed in."""

ENABLED: dict[bytes, tuple[bytes, ...]] = {
    b"CONDSTORE": (b"CONDSTORE",),
    b"QRESYNC": (b"CONDSTORE", b"QRESYNC"),
    b"IMAP4REV2": (b"IMAP4rev2",),
    b"UTF8=ACCEPT": (b"UTF8=ACCEPT",),
    b"UIDONLY": (b"UIDONLY",),
}
"""What ENABLE knows and what it switches on."""

_NEEDED = {
    b"QRESYNC": b"CONDSTORE",
    b"CREATE-SPECIAL-USE": b"SPECIAL-USE",
    b"QUOTA=RES-STORAGE": b"QUOTA",
    b"SORT=DISPLAY": b"SORT",
    b"ESORT": b"SORT",
}
"""What goes with what."""
PERMANENT = frozenset({b"IMAP4REV1"})
"""Cannot be switched off."""


def offered(names: Iterable[bytes], without: Collection[bytes], append_bytes: int) -> list[bytes]:
    """Names as they are announced. `without`: upper-case names that are switched off."""
    limit = b"APPENDLIMIT=%d" % append_bytes
    if not without:  # of nearly everybody, twice a sign-in
        return [limit if name == b"APPENDLIMIT" else name for name in names]
    found: list[bytes] = []
    for name in names:
        if off(name, without):
            if name == b"LITERAL+" and b"LITERAL-" not in without:
                found.append(b"LITERAL-")
            continue
        found.append(limit if name == b"APPENDLIMIT" else name)
    return found


def off(name: bytes, without: Collection[bytes]) -> bool:
    """Whether a capability is switched off, by itself or by what it needs."""
    name = name.upper()
    if not without or name in PERMANENT:
        return False
    needed = _NEEDED.get(name)
    return name in without or (needed is not None and needed in without)

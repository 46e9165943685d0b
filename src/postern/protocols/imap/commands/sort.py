"""SORT and THREAD (RFC 5256), with display names (RFC 5957), RETURN (RFC 5267 3) and PARTIAL (RFC 9394)."""

from __future__ import annotations

from typing import NamedTuple

from postern.model.ordering import SortBy, SortKey
from postern.model.refusal import ProtocolViolation
from postern.protocols.imap.commands.search import Search, keys_in_charset, return_options
from postern.protocols.imap.scanner import Scanner

_KEYS = {
    b"ARRIVAL": SortBy.ARRIVAL,
    b"CC": SortBy.CC,
    b"DATE": SortBy.DATE,
    b"DISPLAYFROM": SortBy.DISPLAY_FROM,
    b"DISPLAYTO": SortBy.DISPLAY_TO,
    b"FROM": SortBy.FROM,
    b"SIZE": SortBy.SIZE,
    b"SUBJECT": SortBy.SUBJECT,
    b"TO": SortBy.TO,
}
_NOT_FOR_SORT = frozenset({b"SAVE", b"UPDATE", b"CONTEXT"})
MAX_SORT_KEYS = 16


class Sort(NamedTuple):
    """A search whose answer is in order."""

    keys: tuple[SortKey, ...]
    search: Search


class Thread(NamedTuple):
    """A search whose answer is in threads."""

    by_subject: bool
    search: Search


def sort(scanner: Scanner) -> Sort:
    """`SORT [RETURN (options)] (keys) charset search-keys`. Raises BadCharset."""
    returns = None
    if scanner.accept_word(b"RETURN (") or scanner.accept_word(b"RETURN("):
        returns = return_options(scanner)
        if returns.options & _NOT_FOR_SORT:
            raise ProtocolViolation("SAVE, UPDATE and CONTEXT are for SEARCH")
        scanner.space()
    scanner.expect(b"(")
    keys: list[SortKey] = []
    while True:
        name = scanner.word()
        descending = name == b"REVERSE"
        if descending:
            scanner.space()
            name = scanner.word()
        by = _KEYS.get(name)
        if by is None:
            raise ProtocolViolation(f"unknown sort key {name.decode('ascii')[:40]}")
        keys.append(SortKey(by, descending))
        if len(keys) > MAX_SORT_KEYS:
            raise ProtocolViolation(f"over {MAX_SORT_KEYS} sort keys")
        if scanner.accept(b")"):
            break
        scanner.space()
    scanner.space()
    return Sort(tuple(keys), keys_in_charset(scanner)._replace(returns=returns))


def thread(scanner: Scanner) -> Thread:
    """`THREAD algorithm charset search-keys`. Raises BadCharset."""
    algorithm = scanner.word()
    if algorithm not in (b"REFERENCES", b"ORDEREDSUBJECT"):
        raise ProtocolViolation(f"unknown threading algorithm {algorithm.decode('ascii')[:40]}")
    scanner.space()
    return Thread(algorithm == b"ORDEREDSUBJECT", keys_in_charset(scanner))

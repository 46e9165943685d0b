"""How many files and sockets a process may have open, and that its clients leave some to its files.

The kernel gives the lowest free descriptor: a new socket's own number tells how many are open.
"""

from __future__ import annotations

import contextlib
import resource
import sys

KEPT = 1200
"""For mailboxes, segments, logs, next hops and DNS; half of all where there are few."""
_BESIDE_MAILBOXES = 64
_PER_MAILBOX = 4
"""The file, its log and their index; the search file's are fewer."""
_LEAST_MAILBOXES = 8


def raise_limit() -> None:
    """As many as the administrator lets us have: shells start with 1024. Forks inherit it."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def sockets_below() -> int:
    """Connections of clients have lower numbers than this."""
    limit = _limit()
    return limit - _kept(limit)


def mailbox_files(most: int) -> int:
    """How many mailboxes may be open at a time, `most` at most."""
    return min(most, max(_LEAST_MAILBOXES, (_kept(_limit()) - _BESIDE_MAILBOXES) // _PER_MAILBOX))


def _limit() -> int:
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if limit == resource.RLIM_INFINITY else limit


def _kept(limit: int) -> int:
    return min(KEPT, limit // 2)

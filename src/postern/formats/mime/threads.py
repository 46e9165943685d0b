"""Threads of messages: REFERENCES and ORDEREDSUBJECT (RFC 5256 3). Linear but for sorting, and without recursion."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from postern.model.ordering import Linked

MIN_CLIMBED = 1_000_000
CLIMBED_EACH = 64
"""Links that are followed upwards in all, and for each message, to see that none closes a circle. Mail takes a few for
each message; where forged references take more, the rest is left where it is."""


class Thread:
    """A message, or a place for one that is not there, and its answers."""

    __slots__ = ("children", "date", "message", "parent")

    def __init__(self, message: Linked | None = None) -> None:
        self.message = message
        self.parent: Thread | None = None
        self.children: list[Thread] = []
        self.date: tuple[int, int] = (0, 0)


def by_subject(messages: Iterable[Linked]) -> list[Thread]:
    """ORDEREDSUBJECT: messages with one base subject, the first one above all others."""
    threads: dict[str, Thread] = {}
    for message in sorted(messages, key=_date):
        first = threads.get(message.subject)
        if first is None:
            threads[message.subject] = Thread(message)
        else:
            _adopt(first, Thread(message))
    return sorted(threads.values(), key=lambda thread: _date(_of(thread)))


def by_references(messages: Sequence[Linked]) -> list[Thread]:
    """REFERENCES: by what messages say they answer, then by the subjects of the topmost."""
    roots = _pruned(_linked(messages))
    _sort(roots)
    roots = _gathered(roots)
    _sort(roots)
    return roots


def _date(message: Linked) -> tuple[int, int]:
    return message.sent_at, message.uid


def _of(thread: Thread) -> Linked:
    """The message that stands for a thread: of a dummy, its first child's."""
    while thread.message is None:
        thread = thread.children[0]
    return thread.message


def _adopt(parent: Thread, child: Thread) -> None:
    child.parent = parent
    parent.children.append(child)


def _linked(messages: Sequence[Linked]) -> list[Thread]:
    """Steps 1 and 2: every message under what it answers; the topmost."""
    table: dict[str, Thread] = {}
    every: list[Thread] = []

    def place(identifier: str) -> Thread:
        found = table.get(identifier)
        if found is None:
            found = table[identifier] = Thread()
            every.append(found)
        return found

    forest = _Forest(max(MIN_CLIMBED, CLIMBED_EACH * len(messages)))
    for message in messages:
        own, *ancestors = message.links
        node = table.get(own) if own else None
        if not own or (node is not None and node.message is not None):
            node = Thread(message)  # without an id, or with somebody else's: nothing can refer to it
            every.append(node)
        else:
            node = place(own)
            node.message = message
        last: Thread | None = None
        for identifier in ancestors:
            ancestor = place(identifier)
            if last is not None and ancestor not in forest.parents:
                forest.link(ancestor, last)
            last = ancestor
        if last is None:
            forest.parents.pop(node, None)
        elif forest.parents.get(node) is not last:  # it mostly is: an answer to this message has named both
            forest.parents.pop(node, None)
            forest.link(node, last)
    for child in every:
        parent = forest.parents.get(child)
        if parent is not None:
            _adopt(parent, child)
    return [thread for thread in every if thread.parent is None]


class _Forest:
    """Links upwards, never in a circle. `room`: how many of them are followed to see that, in all."""

    def __init__(self, room: int) -> None:
        self._room = room
        self.parents: dict[Thread, Thread] = {}
        self._above: set[Thread] = set()
        """Who has ever been a parent: nobody else can close a circle, so that a chain is linked in linear time."""

    def link(self, child: Thread, parent: Thread) -> None:
        """Put a child under a parent, unless it is above it already."""
        if child is parent or (child in self._above and self._is_above(child, parent)):
            return
        self.parents[child] = parent
        self._above.add(parent)

    def _is_above(self, one: Thread, other: Thread) -> bool:
        at = self.parents.get(other)
        while at is not None:
            if at is one or self._room <= 0:
                return True
            self._room -= 1
            at = self.parents.get(at)
        return False


def _downwards(roots: Iterable[Thread]) -> list[Thread]:
    """All threads, parents before children."""
    found: list[Thread] = list(roots)
    for thread in found:  # grows while it is read
        found.extend(thread.children)
    return found


def _pruned(roots: list[Thread]) -> list[Thread]:
    """Step 3: places without a message go, their children take their place; at the top only an only child does."""
    for thread in reversed(_downwards(roots)):
        kept: list[Thread] = []
        for child in thread.children:
            if child.message is not None:
                kept.append(child)
            else:
                kept.extend(child.children)
        thread.children = kept
    found: list[Thread] = []
    for root in roots:
        if root.message is not None or len(root.children) > 1:
            found.append(root)
        else:
            found.extend(root.children)
    return found


def _sort(roots: list[Thread]) -> None:
    """Siblings by date, at every depth; a dummy by its first child's."""
    for thread in reversed(_downwards(roots)):
        thread.children.sort(key=_when)
        thread.date = _date(thread.message) if thread.message is not None else thread.children[0].date
    roots.sort(key=_when)


def _when(thread: Thread) -> tuple[int, int]:
    return thread.date


def _gathered(roots: list[Thread]) -> list[Thread]:
    """Step 5: topmost messages with one base subject come together."""
    table: dict[str, Thread] = {}
    for root in roots:
        subject = _of(root).subject
        if not subject:
            continue
        known = table.get(subject)
        if known is None or (
            known.message is not None and (root.message is None or (known.message.is_reply and not _is_reply(root)))
        ):
            table[subject] = root
    found: dict[Thread, None] = dict.fromkeys(roots)
    for root in roots:
        subject = _of(root).subject
        known = table.get(subject) if subject else None
        if known is None or known is root:
            continue
        del found[root]
        if known.message is None:
            for child in root.children if root.message is None else (root,):
                _adopt(known, child)
        elif _is_reply(root) and not known.message.is_reply:
            _adopt(known, root)
        else:
            both = Thread()
            _adopt(both, known)
            _adopt(both, root)
            del found[known]
            found[both] = None
            table[subject] = both
    return list(found)


def _is_reply(thread: Thread) -> bool:
    return thread.message is not None and thread.message.is_reply


def lines(roots: Iterable[Thread]) -> Iterator[str | int]:
    """A thread list as IMAP writes it (RFC 5256 4): parentheses, and UIDs where one follows another."""
    pending: list[Thread | str] = []
    for root in roots:
        pending.append(root)
        while pending:
            at = pending.pop()
            if isinstance(at, str):
                yield at
                continue
            yield "("
            pending.append(")")
            while at.message is not None and len(at.children) == 1:
                yield at.message.uid
                (at,) = at.children
            if at.message is not None:
                yield at.message.uid
            pending.extend(reversed(at.children))

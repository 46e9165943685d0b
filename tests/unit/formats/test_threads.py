"""Threads against a slow, literal reading of RFC 5256; base subjects."""

from __future__ import annotations

import time
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postern.formats.mime.subject import base_subject
from postern.formats.mime.threads import by_references, by_subject, lines
from postern.model.ids import Uid
from postern.model.ordering import Linked


@pytest.mark.parametrize(
    ("subject", "base", "reply"),
    [
        ("hello", "hello", False),
        ("Re: hello", "hello", True),
        ("RE:  Fwd: [list] hello  (fwd) ", "hello", True),
        ("re [x]: hello", "hello", True),
        ("[a] [b] Re: c", "c", True),
        ("[only]", "[only]", False),
        ("[Fwd: inner Re: x]", "inner Re: x", True),
        ("[fwd: Re: x]", "x", True),
        ("  a \t b ", "a b", False),
        ("Re:", "", True),
        ("", "", False),
        ("Reform: x", "Reform: x", False),
        ("[" * 2000, "[" * 2000, False),
    ],
)
def test_base_subject(subject: str, base: str, reply: bool) -> None:
    assert base_subject(subject) == (base, reply)


class _Node:
    def __init__(self, message: Linked | None = None) -> None:
        self.message, self.children = message, []


def _slow(messages: list[Linked]) -> list[str | int]:
    """The steps of the section one after another, on dictionaries, with searches instead of links."""
    parent: dict[object, object] = {}
    order: list[object] = []
    where: dict[object, Linked] = {}

    def ancestors(key: object) -> list[object]:
        found = [key]
        while found[-1] in parent:
            found.append(parent[found[-1]])
        return found

    def note(key: object) -> object:
        if key not in order:
            order.append(key)
        return key

    for number, message in enumerate(messages):
        own, *links = message.links
        key: object = note(own) if own and own not in where else note(("own", number))
        where[key] = message
        for above, below in pairwise(links):
            note(above), note(below)
            if below not in parent and below not in ancestors(above):
                parent[below] = above
        parent.pop(key, None)
        if links and key not in ancestors(note(links[-1])):
            parent[key] = links[-1]

    def children(key: object) -> list[_Node]:
        found = []
        for child in (k for k in order if parent.get(k) == key):
            below = children(child)
            if child in where:
                node = _Node(where[child])
                node.children = below
                found.append(node)
            else:
                found.extend(below)
        return found

    roots = []
    for key in (k for k in order if k not in parent):
        node = _Node(where.get(key))
        node.children = children(key)
        if node.message or len(node.children) > 1:
            roots.append(node)
        else:
            roots.extend(node.children)

    def when(node: _Node) -> tuple[int, int]:
        return (node.message.sent_at, node.message.uid) if node.message else when(node.children[0])

    def in_order(nodes: list[_Node]) -> list[_Node]:
        for node in nodes:
            node.children = in_order(node.children)
        return sorted(nodes, key=when)

    roots = in_order(roots)

    def about(node: _Node) -> str:
        return node.message.subject if node.message else about(node.children[0])

    def answers(node: _Node) -> bool:
        return bool(node.message and node.message.is_reply)

    table: dict[str, _Node] = {}
    for node in roots:
        known = table.get(about(node))
        if about(node) and (
            known is None or (known.message and (not node.message or (answers(known) and not answers(node))))
        ):
            table[about(node)] = node
    for node in list(roots):
        subject = about(node)
        known = table.get(subject)
        if not subject or known is node:
            continue
        assert known is not None
        roots.remove(node)
        if known.message is None:
            known.children += [node] if node.message else node.children
        elif answers(node) and not answers(known):
            known.children.append(node)
        else:
            both = _Node()
            both.children = [known, node]
            roots[roots.index(known)] = both
            table[subject] = both

    def write(node: _Node) -> list[str | int]:
        out: list[str | int] = [node.message.uid] if node.message else []
        if len(node.children) == 1:
            return out + write(node.children[0])
        for child in node.children:
            out += ["(", *write(child), ")"]
        return out

    return [piece for node in in_order(roots) for piece in ("(", *write(node), ")")]


IDS = st.sampled_from("abcdefg")
MESSAGES = st.lists(
    st.tuples(
        st.integers(0, 4), st.sampled_from(["", "x", "y"]), st.booleans(), IDS | st.just(""), st.lists(IDS, max_size=4)
    ),
    max_size=9,
).map(
    lambda rows: [
        Linked(Uid(uid), sent_at, subject, reply, (own, *links))
        for uid, (sent_at, subject, reply, own, links) in enumerate(rows, 1)
    ]
)


@given(MESSAGES)
def test_references_equal_the_letter_of_the_rfc(messages: list[Linked]) -> None:
    assert list(lines(by_references(messages))) == _slow(messages)


@given(MESSAGES)
def test_every_message_is_in_one_thread(messages: list[Linked]) -> None:
    for made in (by_references(messages), by_subject(messages)):
        found = [piece for piece in lines(made) if not isinstance(piece, str)]
        assert sorted(found) == [message.uid for message in messages]


def test_a_long_chain_needs_no_recursion() -> None:
    chain = [Linked(Uid(n), n, "s", n > 1, (str(n), str(n - 1))) for n in range(1, 20001)]
    found = list(lines(by_references(chain)))
    assert found == ["(", *range(1, 20001), ")"]


def _forged(size: int) -> list[Linked]:
    """Messages that are answered first, a long chain, and then each of them as an answer to the end of that chain."""
    rows = [(f"answer{n}", f"early{n}") for n in range(size)]
    rows += [(f"chain{n}", f"chain{n - 1}") for n in range(size)]
    rows += [(f"early{n}", f"chain{size - 1}") for n in range(size)]
    return [Linked(Uid(uid), uid, "s", True, links) for uid, links in enumerate(rows, 1)]


def test_forged_references_cost_no_more_than_so_many_steps() -> None:
    messages = _forged(12_000)
    began = time.process_time()
    found = [piece for piece in lines(by_references(messages)) if not isinstance(piece, str)]
    assert time.process_time() - began < 4  # each message followed the whole chain: a minute
    assert sorted(found) == [message.uid for message in messages]


def test_a_thread_is_whole_in_any_order_of_its_messages() -> None:
    rows = [(str(n), *(str(above) for above in range(max(0, n - 20), n))) for n in range(2000)]
    Random(7).shuffle(rows)
    made = by_references([Linked(Uid(uid), int(links[0]), "s", True, links) for uid, links in enumerate(rows, 1)])
    assert list(lines(made)).count("(") == 1

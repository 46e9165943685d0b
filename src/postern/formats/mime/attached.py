"""Whether anything hangs on a message, by its BODYSTRUCTURE alone: the same answer as `anatomy` has for its content."""

from __future__ import annotations

import re
from collections.abc import Iterator

from postern.formats.mime.anatomy import Reading, drawn_in, file_name, without_calendar
from postern.formats.mime.parameters import Parameters

_ONE = (
    rb'\("text" "%b" (?:NIL|\((?: ?+"(?:charset|format|delsp|reply-type)" "[^"\\]*+")*+\)) '
    rb'NIL NIL "[^"\\]*+" \d++ \d++ NIL NIL NIL NIL\)'
)
_MERE_TEXT = re.compile(
    rb'(?:%b|\(%b%b "alternative" .*)\Z' % (_ONE % b"(?:plain|html)", _ONE % b"plain", _ONE % b"html"),
    re.IGNORECASE | re.DOTALL,
).match
"""Most mail: nothing hangs on it."""
_TOKEN = re.compile(rb'[()]|"((?:[^"\\]|\\.)*+)"|\{(\d++)\}\r\n|[^()\s"{]++', re.DOTALL).finditer
_ESCAPE = re.compile(rb"\\(.)", re.DOTALL)
_TEXT_DISPOSITION, _MESSAGE_DISPOSITION, _DISPOSITION = 9, 11, 8
"""Where a part's list has it (RFC 9051 7.5.2)."""

Node = bytes | list["Node"]


def attached(structure: bytes, *, meeting: bool = False) -> bool:
    """Whether a message has attachments. `meeting`: its own calendar is what it says, not a file that came with it."""
    if _MERE_TEXT(structure):
        return False
    root = _parsed(structure)
    if root is None:
        return False
    reading: Reading[_Leaf] = Reading()
    _visit(reading, root, alternative=False)
    found = reading.attachments
    return any(not drawn_in(one) for one in (without_calendar(found) if meeting else found))


class _Leaf:
    """What `anatomy.Part` says of a part, by its list."""

    __slots__ = ("content_id", "content_type", "enclosed", "inline", "name")

    def __init__(self, node: list[Node]) -> None:
        kind, subtype = _octets(node, 0).lower(), _octets(node, 1).lower()
        self.content_type = (kind + b"/" + subtype).decode("ascii", "replace")
        self.enclosed = kind == b"message" and subtype in (b"rfc822", b"global")
        place = _TEXT_DISPOSITION if kind == b"text" else _MESSAGE_DISPOSITION if self.enclosed else _DISPOSITION
        told = node[place] if len(node) > place else b""
        disposition = told if isinstance(told, list) else []
        self.inline = _octets(disposition, 0).lower() == b"inline"
        self.content_id = _octets(node, 3).strip(b"<> ").decode("utf-8", "replace")
        self.name = file_name(_parameters(disposition, 1), b"filename") or file_name(_parameters(node, 2), b"name")


def _visit(reading: Reading[_Leaf], node: list[Node], *, alternative: bool) -> None:
    if not node or not isinstance(node[0], list):
        leaf = _Leaf(node)
        reading.leaf(leaf, alternative=alternative, readable=not leaf.enclosed)
        return
    children = list(_children(node))
    mine = _octets(node, len(children)).lower() == b"alternative"
    for number, one in enumerate(children):
        _visit(reading, one, alternative=alternative or mine)
        if number == 0:
            reading.first_done(alternative=mine)


def _children(node: list[Node]) -> Iterator[list[Node]]:
    for one in node:
        if not isinstance(one, list):
            return
        yield one


def _octets(node: list[Node], place: int) -> bytes:
    value = node[place] if place < len(node) else b""
    return value if isinstance(value, bytes) else b""


def _parameters(node: list[Node], place: int) -> Parameters:
    found = node[place] if place < len(node) else b""
    if not isinstance(found, list):
        return []
    words = [one for one in found if isinstance(one, bytes)]
    return list(zip(words[::2], words[1::2], strict=False))


def _parsed(structure: bytes) -> list[Node] | None:
    """Lists within lists; NIL is empty. None: it is none, as of an item without MIME."""
    stack: list[list[Node]] = [[]]
    at = 0
    while at < len(structure):  # from one literal to the next
        resume = len(structure)
        for token in _TOKEN(structure, at):
            word = token.group()
            if word == b"(":
                stack.append([])
            elif word == b")":
                if len(stack) == 1:
                    return None
                done = stack.pop()
                stack[-1].append(done)
            elif token.group(1) is not None:
                stack[-1].append(_ESCAPE.sub(rb"\1", token.group(1)) if b"\\" in word else token.group(1))
            elif token.group(2) is not None:
                resume = token.end() + int(token.group(2))
                stack[-1].append(structure[token.end() : resume])
                break
            else:
                stack[-1].append(b"" if word == b"NIL" else word)
        at = resume
    root = stack[0][0] if len(stack) == 1 and stack[0] else None
    return root if isinstance(root, list) else None

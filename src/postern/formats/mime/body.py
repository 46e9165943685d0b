"""BODY: BODYSTRUCTURE without its extension data (RFC 9051 7.5.2)."""

from __future__ import annotations

import re
from typing import Union

from postern.model.refusal import ProtocolViolation

_TOKEN = re.compile(rb' *+(?:(\()|(\))|("(?:[^"\\]|\\.)*+"|[^\s()"{]++)|\{(\d{1,10})\}\r\n)', re.DOTALL).match

_Node = Union[bytes, list["_Node"]]  # noqa: UP007 - a recursive alias needs the subscript form
_MAX_NESTING = 400


def body(bodystructure: bytes) -> bytes:
    """The non-extended form of a rendered BODYSTRUCTURE. Raises ProtocolViolation if it is none."""
    return _body(_parse(bodystructure))


def _parse(data: bytes) -> _Node:
    stack: list[list[_Node]] = [[]]
    position, end = 0, len(data)
    while position < end:
        match = _TOKEN(data, position)
        if match is None:
            raise ProtocolViolation("not a BODYSTRUCTURE")
        position = match.end()
        opened, closed, atom, literal = match.groups()
        if opened is not None:
            stack.append([])
            if len(stack) > _MAX_NESTING:
                raise ProtocolViolation("BODYSTRUCTURE nested too deep")
        elif closed is not None:
            if len(stack) < 2:
                raise ProtocolViolation("unbalanced BODYSTRUCTURE")
            done = stack.pop()
            stack[-1].append(done)
        elif literal is not None:
            size = int(literal)
            stack[-1].append(data[match.end(4) - len(literal) - 1 : position + size])
            position += size
        else:
            stack[-1].append(atom)
    if len(stack) != 1 or len(stack[0]) != 1:
        raise ProtocolViolation("unbalanced BODYSTRUCTURE")
    return stack[0][0]


def _render(node: _Node) -> bytes:
    if isinstance(node, bytes):
        return node
    # Addresses and bodies stand side by side without a space; everything else is separated by one.
    tight = bool(node) and all(isinstance(item, list) for item in node)
    return b"(" + (b"" if tight else b" ").join([_render(item) for item in node]) + b")"


def _body(node: _Node) -> bytes:
    if isinstance(node, bytes) or not node:
        raise ProtocolViolation("not a BODYSTRUCTURE")
    if isinstance(node[0], list):
        children: list[bytes] = []
        for item in node:
            if isinstance(item, bytes):
                return b"(" + b"".join(children) + b" " + item + b")"
            children.append(_body(item))
        raise ProtocolViolation("a multipart without subtype")
    if len(node) < 7:
        raise ProtocolViolation("a body with too few fields")
    major, minor = node[0].lower(), node[1].lower() if isinstance(node[1], bytes) else b""
    if major == b'"message"' and minor in (b'"rfc822"', b'"global"') and len(node) >= 10:
        head = b" ".join([_render(item) for item in node[:8]])
        return b"(%b %b %b)" % (head, _body(node[8]), _render(node[9]))
    kept = node[:8] if major == b'"text"' else node[:7]
    return b"(" + b" ".join([_render(item) for item in kept]) + b")"

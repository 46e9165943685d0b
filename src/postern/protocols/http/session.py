"""The server's side of HTTP/1.1 (RFC 9112), without I/O: octets in, heads and pieces of bodies out.

llhttp (by httptools) takes the octets apart; what it lets pass and two readers could understand differently is refused
here. A request whose length is in doubt is never served: that is how requests are smuggled past a proxy.
"""

from __future__ import annotations

from collections import deque

import httptools
import msgspec

from postern.model.refusal import ProtocolViolation
from postern.protocols.http.target import Target, known_host, known_target, split_host, split_target

CHUNKED = -1
"""`RequestHead.length` of a chunked body."""
_OVERHEAD_PER_OCTET = 8
"""Chunk sizes, extensions and trailers may take so much for each octet of content: chunks of one octet cost 5."""
_OVERHEAD_BYTES = 65536
_SHORT = 256
"""Targets and hosts up to this length are remembered: clients ask for the same ones again and again."""
_ONCE = frozenset({b"host", b"content-length", b"transfer-encoding", b"authorization", b"expect", b"content-type"})
"""Fields that a request has once: a second one is read by somebody else than the first."""


class HttpViolation(ProtocolViolation):
    """The request is answered with `status`, and the connection is closed: where the next one begins is in doubt."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Limits(msgspec.Struct, frozen=True):
    """How large a head may be."""

    head_bytes: int = 65536
    fields: int = 100


class RequestHead(msgspec.Struct):
    """A request without its content."""

    method: str
    target: Target
    minor: int
    """1 for HTTP/1.1."""
    fields: list[tuple[bytes, bytes]]
    """Names in small letters, in the order they came."""
    host: str
    """Name or address from Host, without port, in small letters; empty in HTTP/1.0."""
    length: int
    """Octets of the body, or CHUNKED."""
    keep_alive: bool
    expect_continue: bool

    def all(self, name: bytes) -> list[bytes]:
        """Values of a field, one for each time it is there."""
        return [value for key, value in self.fields if key == name]

    def get(self, name: bytes, default: bytes = b"") -> bytes:
        """The first value of a field."""
        for key, value in self.fields:
            if key == name:
                return value
        return default


class End(msgspec.Struct, frozen=True):
    """The body of the last request is complete."""


END = End()
Event = RequestHead | bytes | End


class Session:
    """What one connection sends. `feed`, then `next_event` until it is None."""

    __slots__ = ("_begun", "_content", "_ended", "_events", "_fed", "_fields", "_head_size", "_in_body", "_limits",
                 "_overhead", "_parser", "_piece", "_url", "_violation")  # fmt: skip

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._parser: httptools.HttpRequestParser | None = None
        self._events: deque[Event] | None = None
        """None while there are none: an empty one has 600 octets, and connections last."""
        self._violation: HttpViolation | None = None
        self._url = b""
        self._fields: list[tuple[bytes, bytes]] = []
        self._begun = False
        self._in_body = False
        self._ended = False
        self._fed = 0
        self._head_size = 0
        self._overhead = 0
        self._content = 0
        self._piece = 0

    @property
    def idle(self) -> bool:
        """Whether nothing of a further request has come."""
        return not self._begun and not self._events and self._violation is None

    def feed(self, data: bytes) -> None:
        """Octets came."""
        if self._violation is not None:
            return
        if self._parser is None:
            data = data.lstrip(b"\r\n")  # RFC 9112 2.2: empty lines before a request
            if not data:
                return
            self._parser = httptools.HttpRequestParser(self)
        self._piece = 0
        self._ended = False
        self._fed = len(data) + self._head_size
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._refuse(400, "octets after an upgrade that was not agreed")
        except httptools.HttpParserError as error:
            self._refuse(*_explain(data, self._in_body, error))
        if self._violation is None:
            self._bound(len(data), self._piece)

    def next_event(self) -> Event | None:
        """A head, then pieces of its body, then END; None wants more octets. Raises HttpViolation."""
        if self._events:
            event = self._events.popleft()
            if not self._events:
                self._events = None
            return event
        if self._violation is not None:
            raise self._violation
        return None

    def _bound(self, fed: int, content: int) -> None:
        """What has come and is no content; `content`: of whatever requests the octets are."""
        if not self._in_body:
            # where other requests end in the same octets, the share of this one is not known: the next ones tell
            self._head_size += 0 if self._ended else fed
            if self._head_size > self._limits.head_bytes:
                self._refuse(431, "the head of the request is too large")
            return
        self._overhead += fed - content
        if self._overhead > self._limits.head_bytes + _OVERHEAD_BYTES + _OVERHEAD_PER_OCTET * self._content:
            self._refuse(400, "a body of chunk extensions or trailers")

    def _put(self, event: Event) -> None:
        if self._events is None:
            self._events = deque()
        self._events.append(event)

    def _refuse(self, status: int, text: str) -> None:
        if self._violation is None:
            self._violation = HttpViolation(status, text)

    # --- httptools' callbacks

    def on_message_begin(self) -> None:
        """A request begins."""
        self._begun = True
        self._url = b""
        self._fields = []
        self._in_body = False
        self._head_size = self._overhead = self._content = 0

    def on_url(self, url: bytes) -> None:
        """A piece of the target."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """A whole field, or a trailer."""
        if self._in_body:
            return  # trailers are bounded and ignored
        self._fields.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """The empty line has come."""
        if self._violation is not None or self._parser is None:
            return
        try:
            head = self._head(self._parser)
        except HttpViolation as violation:
            self._violation = violation
            return
        self._in_body = True
        self._put(head)

    def on_body(self, body: bytes) -> None:
        """A piece of content."""
        if self._violation is None:
            self._content += len(body)
            self._piece += len(body)
            self._put(body)

    def on_message_complete(self) -> None:
        """The last octet of a request has come."""
        self._ended = True
        self._begun = False
        if self._violation is None:
            self._in_body = False
            self._put(END)

    def release(self) -> None:
        """Between two requests: an idle connection keeps no parser."""
        if self.idle:
            self._parser = None
            self._fields = []

    def _size(self) -> int:
        return len(self._url) + sum(len(name) + len(value) + 4 for name, value in self._fields)

    def _head(self, parser: httptools.HttpRequestParser) -> RequestHead:
        fields, limits = self._fields, self._limits
        if len(fields) > limits.fields:
            raise HttpViolation(431, "too many fields")
        # measured only where it came in large pieces, perhaps with others
        if self._fed > limits.head_bytes and self._size() > limits.head_bytes:
            raise HttpViolation(431, "fields too large")
        version = parser.get_http_version()
        if version not in ("1.1", "1.0"):
            raise HttpViolation(505, "HTTP/1.1 is spoken here")
        seen: dict[bytes, bytes] = {}
        for name, value in fields:
            if name in _ONCE and name in seen:
                raise HttpViolation(400, f"two {name.decode('ascii', 'replace')} fields")
            seen[name] = value
        minor = int(version[-1])
        method = parser.get_method().decode("ascii")
        length = _length(seen, minor)
        upgrade = b"upgrade" in seen
        if upgrade and length:
            # an upgrade may be ignored (RFC 9110 7.8), but llhttp then takes the content for the other protocol
            raise HttpViolation(400, "an upgrade with content")
        return RequestHead(
            method,
            _target(self._url, method),
            minor,
            fields,
            _host(seen.get(b"host"), minor),
            length,
            parser.should_keep_alive() and not upgrade,
            seen.get(b"expect", b"").lower() == b"100-continue",
        )


def _length(seen: dict[bytes, bytes], minor: int) -> int:
    """RFC 9112 6.3, with everything ambiguous refused (RFC 9112 11.2)."""
    coding, length = seen.get(b"transfer-encoding"), seen.get(b"content-length")
    if coding is not None:
        if length is not None:
            raise HttpViolation(400, "two ways to tell the length")
        if minor == 0:
            raise HttpViolation(400, "chunks in HTTP/1.0")
        if coding.strip().lower() != b"chunked":
            raise HttpViolation(501, "no transfer coding but chunked")
        return CHUNKED
    if length is None:
        return 0
    if not length.isdigit() or len(length) > 18:
        raise HttpViolation(400, "Content-Length is no number")
    return int(length)


def _host(value: bytes | None, minor: int) -> str:
    if value is None:
        if minor:
            raise HttpViolation(400, "no Host field")
        return ""
    try:
        return known_host(value)[0] if len(value) <= _SHORT else split_host(value)[0]
    except ValueError as error:
        raise HttpViolation(400, "a malformed Host field") from error


def _target(url: bytes, method: str) -> Target:
    if method == "CONNECT":
        raise HttpViolation(400, "no tunnels")
    try:
        return known_target(url) if len(url) <= _SHORT else split_target(url)
    except ValueError as error:
        raise HttpViolation(400, str(error)) from error


def _explain(data: bytes, in_body: bool, error: Exception) -> tuple[int, str]:
    if not in_body and data.startswith(b"PRI * HTTP/2.0"):
        return 505, "HTTP/1.1 is spoken here"
    if not in_body and data[:1] in (b"\x16", b"\x80"):
        return 400, "TLS on a port without TLS"
    return 400, f"not HTTP/1.1: {error}"

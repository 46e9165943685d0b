"""iCalendar's lines and components (RFC 5545 3.1, 3.6), by the icalendar library's line parser.

The library's own component reader is not used: it keeps every VTIMEZONE it meets in a table of the process, so that
one mail could change what another one's zone means.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from postern.model.refusal import ProtocolViolation

MAX_BYTES = 32 * 1024 * 1024
MAX_LINES = 400_000
MAX_LINE = 24 * 1024 * 1024
"""Characters: attachments are one line each."""
MAX_COMPONENTS = 20_000
MAX_DEPTH = 6
MAX_HEAD = 8192
"""Characters of a name with its parameters."""

_HEAD = re.compile(r'(?:[^":]|"[^"]*+")*+:')
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_LIST = re.compile(r"(?:[^,\\]|\\.)++", re.DOTALL)


class Property(msgspec.Struct):
    """One content line. The value is as written, escapes and all."""

    name: str
    """Upper case."""
    value: str
    parameters: dict[str, str]
    """Names in upper case; several values are joined by commas."""

    @property
    def text(self) -> str:
        """The value as TEXT, unescaped."""
        return unescape(self.value)

    def parameter(self, name: str) -> str:
        """A parameter's value, or nothing."""
        return self.parameters.get(name, "")


class Component(msgspec.Struct):
    """A component and what is in it, in order."""

    name: str
    properties: list[Property]
    components: list[Component]

    def first(self, name: str) -> Property | None:
        """The first property of a name."""
        return next((each for each in self.properties if each.name == name), None)

    def all(self, name: str) -> list[Property]:
        """All of a name."""
        return [each for each in self.properties if each.name == name]

    def text(self, name: str) -> str:
        """The first one of a name as TEXT, or nothing."""
        found = self.first(name)
        return found.text if found is not None else ""

    def walk(self, name: str) -> Iterator[Component]:
        """The components of a name directly in this one."""
        return (each for each in self.components if each.name == name)


def read(data: bytes, charset: str = "utf-8") -> list[Component]:
    """Every VCALENDAR. What is no line is left out. Raises ProtocolViolation if there is no calendar or too much."""
    if len(data) > MAX_BYTES:
        raise ProtocolViolation("the calendar is larger than 32 MiB")
    root = Component("", [], [])
    stack = [root]
    components = 0
    for number, line in enumerate(_unfold(_decode(data, charset))):
        if number >= MAX_LINES or len(line) > MAX_LINE:
            raise ProtocolViolation("the calendar has too many or too long lines")
        head = line[:6].upper()
        if head == "BEGIN:":
            components += 1
            if components > MAX_COMPONENTS or len(stack) > MAX_DEPTH:
                raise ProtocolViolation("the calendar has too many components")
            made = Component(line[6:].strip().upper(), [], [])
            stack[-1].components.append(made)
            stack.append(made)
        elif head[:4] == "END:":
            _close(stack, line[4:].strip().upper())
        else:
            found = _property(line)
            if found is not None:
                stack[-1].properties.append(found)
    calendars = [each for each in root.components if each.name == "VCALENDAR"]
    if not calendars:
        raise ProtocolViolation("there is no VCALENDAR")
    return calendars


def _close(stack: list[Component], name: str) -> None:
    """An END without its BEGIN is left out; one that closes an outer component closes those within."""
    for depth in range(len(stack) - 1, 0, -1):
        if stack[depth].name == name:
            del stack[depth:]
            return


def _decode(data: bytes, charset: str) -> str:
    data = data.removeprefix(b"\xef\xbb\xbf")
    for name in (charset or "utf-8", "utf-8", "windows-1251"):
        try:
            return data.decode(name)
        except (UnicodeDecodeError, LookupError, ValueError):
            continue
    return data.decode("latin-1")


def _unfold(text: str) -> Iterator[str]:
    """Logical lines; a line end may be CRLF, LF or CR alone."""
    pieces: list[str] = []
    for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        if line[:1] in (" ", "\t") and pieces:
            pieces.append(line[1:])
            continue
        if pieces:
            yield "".join(pieces)
        pieces = [line] if line.strip() else []
    if pieces:
        yield "".join(pieces)


def _property(line: str) -> Property | None:
    name, colon, value = line.partition(":")
    if not colon or not name.strip():
        return None
    if ";" not in name and '"' not in name:
        # most lines have no parameters, and need nobody to take them apart
        return Property(name.strip().upper(), value, {})
    from icalendar.parser import Contentline

    head = _HEAD.match(line)
    end = head.end() if head is not None else len(name) + 1
    if end > MAX_HEAD:
        return None
    try:
        # the library looks at every character, so it is not shown the value, which may be megabytes
        name, given, _value = Contentline(line[:end] + "-").parts()  # type: ignore[no-untyped-call]
    except (ValueError, AssertionError):
        return None
    parameters = {
        key.upper(): each if isinstance(each, str) else ",".join(map(str, each)) for key, each in given.items()
    }
    return Property(name.upper(), line[end:], parameters)


def unescape(value: str) -> str:
    """TEXT (RFC 5545 3.3.11) without its escapes."""
    if "\\" not in value:
        return value
    return _ESCAPE.sub(lambda found: "\n" if found[1] in "nN" else found[1], value)


def escape(text: str) -> str:
    """TEXT with escapes; control characters that no text may have are left out."""
    text = _CONTROL.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    return text.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,").replace("\n", "\\n")


def split_list(value: str) -> list[str]:
    """The TEXT values of a list such as CATEGORIES."""
    return [unescape(each).strip() for each in _LIST.findall(value) if each.strip()]


def line(name: str, value: str, parameters: Mapping[str, str] | None = None) -> str:
    """One content line, folded, with its CRLF; the value is ready for the wire."""
    from icalendar.parser import Contentline, Parameters

    head = name
    if parameters:
        clean = {key: _CONTROL.sub("", each.replace("\n", " ")) for key, each in parameters.items() if each}
        written = Parameters(clean).to_ical(sorted=False)
        head = f"{name};{written.decode() if isinstance(written, bytes) else written}" if clean else name
    text = f"{head}:{value}"
    if len(text) < 74 and text.isascii():
        return text + "\r\n"
    folded: bytes = Contentline(text).to_ical()  # type: ignore[no-untyped-call]
    return folded.decode() + "\r\n"


def component(name: str, lines: Iterable[str]) -> str:
    """A component around lines."""
    return f"BEGIN:{name}\r\n{''.join(lines)}END:{name}\r\n"

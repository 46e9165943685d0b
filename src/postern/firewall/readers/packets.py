"""From the words of a ruleset to boxes: ports, addresses, protocols. Shared by the readers."""

from __future__ import annotations

from collections.abc import Iterable

from postern.catalogue.schema import Names
from postern.firewall.region import ALL_PORTS, LAST_PORT, TRANSPORTS, Box, Interval, Span, boxes, everything, span

EVERYTHING = tuple(boxes(None, None))
"""Every packet with ports."""

_NUMBERS = {"6": "tcp", "17": "udp", "tcp": "tcp", "udp": "udp"}
_ANY = {"any", "all", "ip", "0", "-1", "*", "ipv4", "ipv6", "любой"}
_WITHOUT_PORTS = {"icmp", "icmpv4", "icmpv6", "ipv6-icmp", "icmp6", "1", "58", "igmp", "2"}
"""What carries no data path and is not judged: error messages, neighbour discovery, multicast membership."""


class NotUnderstoodError(ValueError):
    """A part of a rule that has no meaning here: reason and detail (as written)."""

    def __init__(self, reason: Names, detail: object = "") -> None:
        super().__init__(reason.en)
        self.reason = reason
        self.detail = str(detail)


UNKNOWN_WORD = Names(
    "this word or condition is not known",
    "это слово или условие неизвестно",
)
UNKNOWN_ADDRESS = Names(
    "these addresses are not in the file",
    "этих адресов нет в файле",
)
UNKNOWN_PORT = Names(
    "these ports are not numbers",
    "эти порты — не числа",
)
UNKNOWN_PROTOCOL = Names(
    "a protocol without ports cannot be compared with data paths",
    "протокол без портов нельзя сравнить с путями данных",
)
SOURCE_PORT = Names(
    "it depends on the source port",
    "зависит от порта источника",
)
INTERFACE = Names(
    "it depends on a network interface, and the file does not say which networks are behind it",
    "зависит от сетевого интерфейса, а в файле не сказано, какие сети за ним",
)
RATE = Names(
    "it passes only some of the packets",
    "пропускает только часть пакетов",
)
TRANSLATION = Names(
    "it changes where packets go, which the audit does not follow",
    "меняет адрес назначения пакетов, чего проверка не отслеживает",
)
NEGATED = Names(
    "a negation of this kind is not understood",
    "такое отрицание не понято",
)


def transports(word: str) -> tuple[str, ...]:
    """The transports that a protocol's name or number stands for; none for ICMP and IGMP. Raises NotUnderstoodError."""
    word = word.strip().lower()
    if word in _ANY:
        return TRANSPORTS
    if word in _NUMBERS:
        return (_NUMBERS[word],)
    if word.split(":")[0] in _WITHOUT_PORTS:
        return ()
    raise NotUnderstoodError(UNKNOWN_PROTOCOL, word)


def interval(first: object, last: object) -> Interval:
    """A range of ports. Raises NotUnderstoodError."""
    try:
        low, high = int(str(first)), int(str(last))
    except ValueError:
        raise NotUnderstoodError(UNKNOWN_PORT, f"{first}-{last}" if first != last else first) from None
    if not 0 <= low <= high <= LAST_PORT:
        raise NotUnderstoodError(UNKNOWN_PORT, f"{low}-{high}")
    return low, high


def port_ranges(words: Iterable[str], marks: str = "-") -> tuple[Interval, ...]:
    """`25`, `1024-65535`, `any`; `marks` are the characters that may stand between first and last."""
    found: list[Interval] = []
    for word in words:
        text = word.strip()
        if text.lower() in ("any", "*", "all", "любой", ""):
            return ALL_PORTS
        for mark in marks:
            text = text.replace(mark, "-")
        first, dash, last = text.partition("-")
        found.append(interval(first or 0, (last or LAST_PORT) if dash else first))
    return tuple(found)


def complement_ports(ranges: Iterable[Interval]) -> tuple[Interval, ...]:
    """All ports but these."""
    found: list[Interval] = []
    after = 0
    for first, last in sorted(ranges):
        if first > after:
            found.append((after, first - 1))
        after = max(after, last + 1)
    if after <= LAST_PORT:
        found.append((after, LAST_PORT))
    return tuple(found)


def spans(words: Iterable[str]) -> list[Span] | None:
    """Addresses, networks and ranges; None when one word is everything. Raises NotUnderstoodError."""
    found: list[Span] = []
    for word in words:
        text = word.strip()
        if text.lower() in ("any", "*", "all", "любой", ""):
            return None
        try:
            found.append(span(text))
        except ValueError:
            raise NotUnderstoodError(UNKNOWN_ADDRESS, text) from None
    return None if {everything(4), everything(6)} <= set(found) else found


def shortened(text: str, limit: int = 160) -> str:
    """One line that fits a report."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def packets(
    sources: Iterable[str], destinations: Iterable[str], protocol: str, ports: Iterable[Interval] = ALL_PORTS
) -> tuple[Box, ...]:
    """A rule of words. Raises NotUnderstoodError."""
    return tuple(boxes(spans(sources), spans(destinations), transports(protocol), ports))

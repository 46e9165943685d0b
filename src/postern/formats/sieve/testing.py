"""What each test of a checked program says about a message."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import blake2b

from postern.formats.sieve import dates
from postern.formats.sieve.environment import USES, Environment
from postern.formats.sieve.matching import Match, compare, cost, count_holds
from postern.formats.sieve.message import Message
from postern.formats.sieve.syntax import LIMITS, Node, RuntimeProblem, Value
from postern.formats.sieve.variables import Variables, flags
from postern.model.actions import Remember

DUPLICATE_SECONDS = 12 * 3600
MAX_DUPLICATE_SECONDS = 30 * 86_400
Tags = dict[str, tuple[Value, ...] | int | None]


class Tests:
    """The tests over one message."""

    def __init__(self, message: Message, environment: Environment, variables: Variables) -> None:
        self._message = message
        self._environment = environment
        self._variables = variables
        self.flags: list[str] = []
        """The internal variable (RFC 5232 2)."""
        self.remember: dict[str, Remember] = {}
        self._steps = 0

    def step(self, count: int = 1) -> None:
        """Count work. Raises RuntimeProblem above the limit."""
        self._steps += count
        if self._steps > LIMITS.steps:
            raise RuntimeProblem("the script takes too long for this message")

    def holds(self, node: Node) -> bool:
        """Whether a test is true. Raises RuntimeProblem."""
        self.step()
        return _TESTS[node.name](self, node)

    # --- comparing

    def matching(self, tags: Tags) -> Match:
        """The match type of a test's tags."""
        texts = self._variables.texts
        kind = next((kind for kind in ("contains", "matches", "count", "value") if kind in tags), "is")
        operator = texts(tags[kind])[0].lower() if kind in ("count", "value") else "eq"
        comparator = texts(tags["comparator"])[0] if "comparator" in tags else "i;ascii-casemap"
        return Match(kind, comparator, operator)

    def _any(self, tags: Tags, values: Sequence[str], keys: tuple[Value, ...] | int, *, capture: bool = True) -> bool:
        match, wanted = self.matching(tags), self._variables.texts(keys)
        if match.kind == "count":
            return any(count_holds(match, len(values), key) for key in wanted)
        self.step(cost(values, wanted, match.kind))
        for value in values:
            for key in wanted:
                groups = compare(match, value, key)
                if groups is not None:
                    if groups and capture:
                        self._variables.matched(groups)
                    return True
        return False

    def chosen(self, tags: Tags, values: Sequence[str], keys: tuple[Value, ...] | int) -> list[bool]:
        """Which of the values match, one by one."""
        match, wanted = self.matching(tags), self._variables.texts(keys)
        if match.kind == "count":
            return [any(count_holds(match, len(values), key) for key in wanted)] * len(values)
        self.step(cost(values, wanted, match.kind))
        return [any(compare(match, value, key) is not None for key in wanted) for value in values]

    def _indexed(self, tags: Tags, values: list[str]) -> list[str]:
        index = tags.get("index")
        if not isinstance(index, int):
            return values
        at = len(values) - index if "last" in tags else index - 1
        return [values[at]] if 0 <= at < len(values) else []

    # --- tests

    def _allof(self, node: Node) -> bool:
        return all(self.holds(test) for test in node.tests)

    def _anyof(self, node: Node) -> bool:
        return any(self.holds(test) for test in node.tests)

    def _not(self, node: Node) -> bool:
        return not self.holds(node.tests[0])

    def _header(self, node: Node) -> bool:
        values: list[str] = []
        for name in self._variables.texts(node.arguments[0]):
            values += self._indexed(node.tags, self._message.values(name))
        return self._any(node.tags, values, node.arguments[1])

    def _address(self, node: Node) -> bool:
        values: list[str] = []
        for name in self._variables.texts(node.arguments[0]):
            for pair in self._indexed_addresses(node.tags, self._message.addresses(name)):
                values += address_part(node.tags, *pair)
        return self._any(node.tags, values, node.arguments[1])

    def _indexed_addresses(self, tags: Tags, fields: list[list[tuple[str, str]]]) -> list[tuple[str, str]]:
        index = tags.get("index")
        if isinstance(index, int):
            at = len(fields) - index if "last" in tags else index - 1
            fields = [fields[at]] if 0 <= at < len(fields) else []
        return [pair for field in fields for pair in field]

    def _envelope(self, node: Node) -> bool:
        values: list[str] = []
        for name in self._variables.texts(node.arguments[0]):
            path = self._environment.reverse_path if name.lower() == "from" else self._environment.recipient
            if name.lower() not in ("from", "to"):
                continue
            local, _, domain = path.rpartition("@") if "@" in path else (path, "", "")
            # the null reverse-path is an empty string, for every part (RFC 5228 5.4)
            values += address_part(node.tags, local, domain) if path else [""]
        return self._any(node.tags, values, node.arguments[1])

    def _exists(self, node: Node) -> bool:
        return all(self._message.raw(name) for name in self._variables.texts(node.arguments[0]))

    def _size(self, node: Node) -> bool:
        over, under = node.tags.get("over"), node.tags.get("under")
        if isinstance(over, int):
            return self._message.size > over
        return isinstance(under, int) and self._message.size < under

    def _string(self, node: Node) -> bool:
        values = self._variables.texts(node.arguments[0])
        if "count" in node.tags:
            values = [value for value in values if value]
        return self._any(node.tags, values, node.arguments[1])

    def _hasflag(self, node: Node) -> bool:
        if len(node.arguments) == 1:
            values = list(self.flags)
        else:
            names = self._variables.texts(node.arguments[0])
            values = [flag for name in names for flag in flags([self._variables.get(name.lower())])]
        # each name in a key is looked for by itself (RFC 5232 4)
        keys: tuple[Value, ...] = tuple(
            word for text in self._variables.texts(node.arguments[-1]) for word in (text.split() or [text])
        )
        return self._any(node.tags, values, keys)

    def _body(self, node: Node) -> bool:
        if "raw" in node.tags:
            values = self._message.raw_body()
        elif "content" in node.tags:
            values = self._message.content_parts(self._variables.texts(node.tags["content"]))
        else:
            values = self._message.text_parts()
        # RFC 5173 6: a body sets no match variables
        return self._any(node.tags, values, node.arguments[0], capture=False)

    def _date(self, node: Node) -> bool:
        (name,) = self._variables.texts(node.arguments[0])
        raw = self._message.raw(name)
        index = node.tags.get("index")
        at = 0
        if isinstance(index, int):
            at = len(raw) - index if "last" in node.tags else index - 1
        when = dates.of_field(raw[at], name) if 0 <= at < len(raw) else None
        if when is not None and "originalzone" not in node.tags:
            zone = self._variables.texts(node.tags.get("zone"))
            when = dates.in_zone(when, zone[0]) if zone else when.astimezone(self._environment.now.tzinfo)
        (part,) = self._variables.texts(node.arguments[1])
        values = [] if when is None else [dates.part(when, part)]
        return self._any(node.tags, values, node.arguments[2])

    def _currentdate(self, node: Node) -> bool:
        when = self._environment.now
        zone = self._variables.texts(node.tags.get("zone"))
        shifted = dates.in_zone(when, zone[0]) if zone else when
        (part,) = self._variables.texts(node.arguments[0])
        values = [] if shifted is None else [dates.part(shifted, part)]
        return self._any(node.tags, values, node.arguments[1])

    def _mailboxexists(self, node: Node) -> bool:
        return all(self._environment.folder_exists(name) for name in self._variables.texts(node.arguments[0]))

    def _specialuse_exists(self, node: Node) -> bool:
        name = self._variables.texts(node.arguments[0])[0] if len(node.arguments) == 2 else None
        uses = [USES.get(text.lower()) for text in self._variables.texts(node.arguments[-1])]
        return all(use is not None and self._environment.special_use_exists(use, name) for use in uses)

    def _duplicate(self, node: Node) -> bool:
        texts = self._variables.texts
        handle = "".join(texts(node.tags.get("handle")))
        if "uniqueid" in node.tags:
            identity = texts(node.tags["uniqueid"])[0]
        else:
            field = texts(node.tags["header"])[0] if "header" in node.tags else "message-id"
            identity = next(iter(self._message.values(field)), "")
        if not identity:
            return False
        kind = "uniqueid" if "uniqueid" in node.tags else "header"
        name = blake2b("\0".join((handle, kind, identity)).encode(), digest_size=16).hexdigest()
        seconds = node.tags.get("seconds")
        lasting = min(seconds if isinstance(seconds, int) else DUPLICATE_SECONDS, MAX_DUPLICATE_SECONDS)
        known = self._environment.seen(name)
        if not known or "last" in node.tags:
            self.remember[name] = Remember(name, lasting)
        return known


def address_part(tags: Tags, local: str, domain: str) -> list[str]:
    """The part of an address that the tags ask for; nothing where there is no detail (RFC 5233 4)."""
    if "localpart" in tags:
        return [local]
    if "domain" in tags:
        return [domain]
    user, plus, detail = local.partition("+")
    if "user" in tags:
        return [user]
    if "detail" in tags:
        return [detail] if plus else []
    return [f"{local}@{domain}" if domain else local]


_TESTS: dict[str, Callable[[Tests, Node], bool]] = {
    "address": Tests._address,
    "allof": Tests._allof,
    "anyof": Tests._anyof,
    "body": Tests._body,
    "currentdate": Tests._currentdate,
    "date": Tests._date,
    "duplicate": Tests._duplicate,
    "envelope": Tests._envelope,
    "exists": Tests._exists,
    "false": lambda _tests, _node: False,
    "hasflag": Tests._hasflag,
    "header": Tests._header,
    "mailboxexists": Tests._mailboxexists,
    "not": Tests._not,
    "size": Tests._size,
    "specialuse_exists": Tests._specialuse_exists,
    "string": Tests._string,
    "true": lambda _tests, _node: True,
}

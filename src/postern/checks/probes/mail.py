"""SMTP, IMAP4 and POP3: greeting, capabilities, the upgrade to TLS, capabilities again."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable

from postern.checks.model import Seen, Service, Tls
from postern.checks.tls import Prepare, examine, handshake, straight_away
from postern.checks.wire import LINE_LIMIT_BYTES, TROUBLE, Tools, Wire, opened
from postern.model.refusal import ProtocolViolation
from postern.protocols.lines.buffer import Fault, LineBuffer
from postern.protocols.smtp.client import ClientSession

CAPABILITY_LINES = 128


class Dialogue(ABC):
    """What the three protocols do alike: greet, tell capabilities, upgrade, say goodbye."""

    upgrade = "STARTTLS"

    def __init__(self, wire: Wire, tools: Tools) -> None:
        self.wire = wire
        self.tools = tools
        self.greeting = ""
        self.capabilities: tuple[str, ...] = ()

    @abstractmethod
    async def greet(self) -> None:
        """Wait for the greeting. Raises TROUBLE."""

    @abstractmethod
    async def ask(self) -> None:
        """Fetch the capabilities. Raises TROUBLE."""

    @abstractmethod
    async def go_ahead(self) -> str:
        """Ask for TLS; empty if the server agrees, else its words. Raises TROUBLE."""

    @abstractmethod
    async def goodbye(self) -> None:
        """End politely. Raises TROUBLE."""

    @abstractmethod
    def secured(self) -> None:
        """TLS began: forget what came before."""

    @property
    @abstractmethod
    def mechanisms(self) -> tuple[str, ...]:
        """SASL mechanisms among the capabilities."""

    @property
    def upgradable(self) -> bool:
        """Whether TLS is offered."""
        return any(text.upper() == self.upgrade for text in self.capabilities)


class Smtp(Dialogue):
    """RFC 5321 4.3.1, RFC 3207."""

    def __init__(self, wire: Wire, tools: Tools) -> None:
        super().__init__(wire, tools)
        self.session = ClientSession(tools.helo)

    async def greet(self) -> None:
        """The banner."""
        reply = await self.wire.drive(self.session.greeting(), self.session.receive, self.session.next_reply)
        self.greeting = reply.text
        if not reply.positive:
            raise ProtocolViolation(reply.text)

    async def ask(self) -> None:
        """EHLO."""
        reply = await self.wire.drive(self.session.hello(), self.session.receive, self.session.next_reply)
        if not reply.positive:
            raise ProtocolViolation(reply.text)
        keywords = self.session.extensions.keywords
        self.capabilities = tuple(" ".join((word, *rest)) for word, rest in keywords.items())

    async def go_ahead(self) -> str:
        """STARTTLS."""
        reply = await self.wire.drive(self.session.starttls(), self.session.receive, self.session.next_reply)
        return "" if reply.code == 220 else reply.text

    async def goodbye(self) -> None:
        """QUIT."""
        await self.wire.drive(self.session.quit(), self.session.receive, self.session.next_reply)

    def secured(self) -> None:
        """Forget."""
        self.session.tls_started()

    @property
    def mechanisms(self) -> tuple[str, ...]:
        """AUTH, and Exchange's own X-EXPS between servers (MS-XLOGIN)."""
        keywords = self.session.extensions.keywords
        return tuple(dict.fromkeys(word.upper() for key in ("AUTH", "X-EXPS") for word in keywords.get(key, ())))


class _Lines(Dialogue):
    def __init__(self, wire: Wire, tools: Tools) -> None:
        super().__init__(wire, tools)
        self.buffer = LineBuffer()

    async def line(self) -> str:
        """The next line."""
        while True:
            found = self.buffer.line(LINE_LIMIT_BYTES)
            if isinstance(found, bytes):
                return found.decode("utf-8", "replace")
            if found is not Fault.NEED_DATA:
                raise ProtocolViolation("a line without a proper end, or too long")
            self.buffer.feed(await self.wire.read())

    def secured(self) -> None:
        """Forget."""
        self.buffer.clear()
        self.capabilities = ()


class Imap(_Lines):
    """RFC 9051 6.1.1, 6.2.1."""

    def __init__(self, wire: Wire, tools: Tools) -> None:
        super().__init__(wire, tools)
        self.number = 0

    async def greet(self) -> None:
        """The untagged greeting."""
        self.greeting = await self.line()
        if not self.greeting.upper().startswith(("* OK", "* PREAUTH")):
            raise ProtocolViolation(f"no IMAP4 greeting: {self.greeting[:80]}")

    async def command(self, text: str) -> tuple[list[str], str]:
        """Untagged responses, and the tagged one without its tag."""
        self.number += 1
        tag = f"c{self.number} "
        await self.wire.send(f"{tag}{text}\r\n".encode("ascii"))
        untagged: list[str] = []
        while True:
            line = await self.line()
            if line.startswith(tag):
                return untagged, line[len(tag) :]
            if not line.startswith("* ") or len(untagged) >= CAPABILITY_LINES:
                raise ProtocolViolation(f"no IMAP4 response: {line[:80]}")
            untagged.append(line[2:])

    async def ask(self) -> None:
        """CAPABILITY."""
        untagged, end = await self.command("CAPABILITY")
        listed = [line.split()[1:] for line in untagged if line.upper().startswith("CAPABILITY ")]
        if not listed or not end.upper().startswith("OK"):
            raise ProtocolViolation(f"no capabilities: {end[:80]}")
        self.capabilities = tuple(listed[-1])

    async def go_ahead(self) -> str:
        """STARTTLS."""
        _, end = await self.command("STARTTLS")
        return "" if end.upper().startswith("OK") else end

    async def goodbye(self) -> None:
        """LOGOUT."""
        await self.command("LOGOUT")

    @property
    def mechanisms(self) -> tuple[str, ...]:
        """AUTH=; the LOGIN command counts as LOGIN unless it is forbidden (RFC 9051 6.2.3)."""
        words = [text.upper() for text in self.capabilities]
        found = [word[5:] for word in words if word.startswith("AUTH=")]
        return tuple(dict.fromkeys([*found, *([] if "LOGINDISABLED" in words else ["LOGIN"])]))


class Pop3(_Lines):
    """RFC 2449, RFC 2595 4."""

    upgrade = "STLS"

    async def greet(self) -> None:
        """+OK."""
        self.greeting = await self.line()
        if not self.greeting.startswith("+OK"):
            raise ProtocolViolation(f"no POP3 greeting: {self.greeting[:80]}")

    async def command(self, text: str) -> str:
        """A command with an answer of one line."""
        await self.wire.send(f"{text}\r\n".encode("ascii"))
        return await self.line()

    async def ask(self) -> None:
        """CAPA; a server without it has no capabilities."""
        answer = await self.command("CAPA")
        listed: list[str] = []
        if answer.startswith("+OK"):
            while (line := await self.line()) != ".":
                listed.append(line)
                if len(listed) > CAPABILITY_LINES:
                    raise ProtocolViolation("more capabilities than there are")
        elif not answer.startswith("-ERR"):
            raise ProtocolViolation(f"no POP3 answer: {answer[:80]}")
        self.capabilities = tuple(listed)

    async def go_ahead(self) -> str:
        """STLS."""
        answer = await self.command("STLS")
        return "" if answer.startswith("+OK") else answer

    async def goodbye(self) -> None:
        """QUIT."""
        await self.command("QUIT")

    @property
    def mechanisms(self) -> tuple[str, ...]:
        """SASL; the USER command counts as LOGIN, which shows as much."""
        words = [text.upper().split() for text in self.capabilities if text]
        found = [mechanism for word in words if word[0] == "SASL" for mechanism in word[1:]]
        return tuple(dict.fromkeys([*found, *(["LOGIN"] if ["USER"] in words else [])]))


class ManageSieve(_Lines):
    """RFC 5804 1.7, 2.2: capabilities come with the greeting and after the handshake by themselves."""

    def __init__(self, wire: Wire, tools: Tools) -> None:
        super().__init__(wire, tools)
        self._told = False

    async def answer(self) -> tuple[list[str], str]:
        """Lines, and the one that says OK, NO or BYE."""
        lines: list[str] = []
        while True:
            line = await self.line()
            if line.upper().startswith(("OK", "NO", "BYE")):
                return lines, line
            lines.append(line)
            if len(lines) > CAPABILITY_LINES:
                raise ProtocolViolation("more capabilities than there are")

    async def greet(self) -> None:
        """Capabilities and OK."""
        await self._hear()
        self._told = True

    async def _hear(self) -> None:
        lines, end = await self.answer()
        if not end.upper().startswith("OK") or not any('"SIEVE"' in line.upper() for line in lines):
            raise ProtocolViolation(f"no ManageSieve greeting: {end[:80]}")
        self.greeting = self.greeting or end
        self.capabilities = tuple(lines)

    async def ask(self) -> None:
        """Nothing, where they were told."""
        if not self._told:
            await self._hear()
        self._told = False

    async def go_ahead(self) -> str:
        """STARTTLS."""
        await self.wire.send(b"STARTTLS\r\n")
        _, end = await self.answer()
        return "" if end.upper().startswith("OK") else end

    async def goodbye(self) -> None:
        """LOGOUT."""
        await self.wire.send(b"LOGOUT\r\n")
        await self.answer()

    @property
    def upgradable(self) -> bool:
        """STARTTLS in the list."""
        return any(line.upper().startswith('"STARTTLS"') for line in self.capabilities)

    @property
    def mechanisms(self) -> tuple[str, ...]:
        """The value of SASL."""
        rows = [line.split('"') for line in self.capabilities]
        return tuple(
            word.upper() for row in rows if len(row) > 3 and row[1].upper() == "SASL" for word in row[3].split()
        )


DIALOGUES: dict[str, Callable[[Wire, Tools], Dialogue]] = {
    "smtp": Smtp,
    "imap": Imap,
    "pop3": Pop3,
    "managesieve": ManageSieve,
}


async def probe(service: Service, tools: Tools, seen: Seen) -> None:
    """Fill in what a mail service offers. Raises TROUBLE."""
    make = DIALOGUES[service.protocol]
    implicit = service.tls is Tls.IMPLICIT
    name = service.names[0] if service.names else ""
    async with opened(service, tools) as wire:
        if implicit and not await handshake(wire, name, seen):
            return
        dialogue = make(wire, tools)
        await dialogue.greet()
        seen.greeting = dialogue.greeting
        await dialogue.ask()
        _note(seen, dialogue, clear=not implicit)
        if not implicit:
            await _upgrade(dialogue, name, seen)
        if not seen.tls_failure:
            with contextlib.suppress(*TROUBLE):
                await dialogue.goodbye()
    await examine(service, tools, seen, straight_away if implicit else _prepare(make, tools))


async def _upgrade(dialogue: Dialogue, name: str, seen: Seen) -> None:
    seen.starttls = dialogue.upgradable
    if not seen.starttls:
        return
    seen.starttls_failure = await dialogue.go_ahead()
    if seen.starttls_failure or not await handshake(dialogue.wire, name, seen):
        return
    dialogue.secured()
    await dialogue.ask()
    _note(seen, dialogue, clear=False)


def _note(seen: Seen, dialogue: Dialogue, *, clear: bool) -> None:
    seen.capabilities = dialogue.capabilities
    seen.mechanisms = dialogue.mechanisms
    if clear:
        seen.mechanisms_clear = dialogue.mechanisms


def _prepare(make: Callable[[Wire, Tools], Dialogue], tools: Tools) -> Prepare:
    async def prepare(wire: Wire) -> None:
        dialogue = make(wire, tools)
        await dialogue.greet()
        await dialogue.ask()
        if refused := await dialogue.go_ahead():
            raise ProtocolViolation(refused)

    return prepare

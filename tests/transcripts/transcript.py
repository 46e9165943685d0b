"""Transcripts: what several clients say to a server and what it must answer, as text.

A file starts with `#` lines: the reason why the transcript exists, and options:

    # needs: MOVE UIDPLUS        capabilities without which the other server is not asked
    # differs: why               the other server answers otherwise: docs/deviations.md says so; it is not asked
    # ours: why                  there is nothing to compare with (our names, our limits)
    # given: INBOX 3             messages that are there before (folder, how many)

Then, one line a step; `A`, `B`, `C` are connections, signed in at first use (`raw` after `given`-like line `# raw: A`:
not signed in, the greeting is waiting):

    A> FETCH 1 FLAGS         send with a tag of its own, then read to the tagged answer; `<<text>>` is a literal
    A~ FETCH 1 FLAGS         send and do not wait: the next `A>` or `A-` reads all answers
    A< * 1 FETCH (...)       a line that has to be among the answers, in this order
    A< OK [CODE ...]         the tagged answer; without a code: any or none
    A! RECENT                no answer may contain that
    A- DONE                  send without a tag, then read to the tagged answer of the last command
    A? * 4 EXISTS            wait for an answer nobody asked for

In what is sent, `[[1000*NOT ]]` stands for a thousand times `NOT `.
In what is expected, `{name}` takes a value at its first use and repeats it later; it may be used in what is sent.
`...` is anything, `\\r\\n` inside is the end of a line within a literal. Answers of the kinds in `TELLING` that are not
expected are errors; others (`* OK [...]`, FLAGS, CAPABILITY ...) may come. `A<+ text` is a continuation.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple, Protocol

MESSAGE = (
    b"From: Ann <ann@example.org>\r\nTo: bob@example.org\r\nSubject: Hello %d\r\n"
    b"Date: Mon, 1 Jan 2024 10:00:00 +0000\r\n"
    b"Message-ID: <%d@example.org>\r\n\r\nText %d\r\n"
)
TELLING = re.compile(
    r"\* (\d+ (EXISTS|EXPUNGE|FETCH|UIDFETCH)|VANISHED|SEARCH|ESEARCH|LIST|LSUB|STATUS|QUOTA|QUOTAROOT|ACL|MYRIGHTS"
    r"|LISTRIGHTS|NAMESPACE|METADATA|BYE|BAD|ENABLED)\b"
)
_STEP = re.compile(r"([A-F])([>~<!?+-]) ?(.*)")
_NAME = re.compile(r"\{([a-z_]\w*)\}")
_MANY = re.compile(r"\[\[(\d+)\*(.*?)\]\]")


class Wire(Protocol):
    """One connection."""

    async def send(self, data: bytes) -> None: ...

    async def line(self) -> bytes:
        """One response without its CRLF, its literals with it."""
        ...


class Step(NamedTuple):
    number: int
    who: str
    kind: str
    text: str


class Transcript(NamedTuple):
    name: str
    reason: str
    options: dict[str, str]
    steps: list[Step]

    @property
    def text(self) -> str:
        """All that is said."""
        return " ".join(step.text for step in self.steps)

    @property
    def given(self) -> list[tuple[str, int]]:
        words = self.options.get("given", "").split()
        return [(words[i], int(words[i + 1])) for i in range(0, len(words), 2)]


def load(path: Path) -> Transcript:
    options: dict[str, str] = {}
    reason: list[str] = []
    steps: list[Step] = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        if not line.strip():
            continue
        if line.startswith("#"):
            found = re.fullmatch(r"# (needs|differs|ours|given|raw|settings): (.*)", line)
            if found:
                options[found[1]] = found[2]
            elif not steps:
                reason.append(line.lstrip("# "))
            continue
        found = _STEP.fullmatch(line)
        if found is None:
            raise ValueError(f"{path.name}:{number}: no step: {line!r}")
        steps.append(Step(number, found[1], found[2], found[3]))
    if not reason:
        raise ValueError(f"{path.name}: no reason in its head")
    return Transcript(path.stem, " ".join(reason), options, steps)


class Mismatch(AssertionError):
    pass


class Session:
    """One connection's side of a run."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.tags = 0
        self.answers: list[str] = []
        self.pending: list[str] = []


class Run:
    """Plays one transcript. `loose`: the order of answers and of what stands in parentheses does not count."""

    def __init__(self, transcript: Transcript, connect, *, loose: bool = False) -> None:
        self.transcript = transcript
        self.connect = connect
        self.loose = loose
        self.values: dict[str, str] = {}
        self.sessions: dict[str, Session] = {}

    async def play(self) -> None:
        steps = self.transcript.steps
        index = 0
        while index < len(steps):
            step = steps[index]
            index += 1
            expected: list[Step] = []
            while index < len(steps) and steps[index].kind in "<!" and steps[index].who == step.who:
                expected.append(steps[index])
                index += 1
            session = await self._session(step.who)
            await self._one(session, step, expected)

    async def _session(self, who: str) -> Session:
        if who not in self.sessions:
            raw = who in self.transcript.options.get("raw", "").split()
            self.sessions[who] = Session(await self.connect(who, raw))
        return self.sessions[who]

    async def _one(self, session: Session, step: Step, expected: list[Step]) -> None:
        if step.kind == "?":
            answers: list[str] = []
            while not self._accepts(step.text, answers[-1] if answers else None):
                answers.append(self._text(await session.wire.line()))
                self._not_tagged(step, answers[-1])
            self._compare([step._replace(kind="<"), *expected], answers)
            return
        if step.kind == "+":
            raise Mismatch(f"line {step.number}: '+' stands behind '<'")
        answers = []
        if step.kind == "-":
            await session.wire.send(self._octets(step.text) + b"\r\n")
        else:
            session.tags += 1
            tag = f"{step.who}{session.tags}"
            session.pending.append(tag)
            await self._send_command(session, tag, step)
        going_on = bool(expected) and expected[-1].text.startswith("+")
        if step.kind == "~":
            return
        while session.pending or going_on:
            line = self._text(await session.wire.line())
            if line.startswith("+"):
                answers.append(line)
                if going_on:
                    break
                continue
            tag, _, rest = line.partition(" ")
            if tag in session.pending:
                session.pending.remove(tag)
                answers.append(rest)
                continue
            answers.append(line)
            wanted = [each.text for each in expected]
            if line.startswith("* BYE") and not any(re.match(r"(OK|NO|BAD)\b", text) for text in wanted):
                break
        self._compare(expected, answers)

    async def _send_command(self, session: Session, tag: str, step: Step) -> None:
        octets = self._octets(step.text)
        await session.wire.send(tag.encode() + b" " + octets + b"\r\n")

    def _not_tagged(self, step: Step, line: str) -> None:
        if not line.startswith(("*", "+")):
            raise Mismatch(f"line {step.number}: unexpected {line!r}")

    # --- text
    def _octets(self, text: str) -> bytes:
        text = _NAME.sub(lambda m: self.values.get(m[1], m[0]), text)
        text = _MANY.sub(lambda m: m[2] * int(m[1]), text)
        out = b""
        for index, piece in enumerate(re.split(r"<<(.*?)>>", text)):
            data = _unescaped(piece)
            if index % 2:
                number = re.fullmatch(rb"message (\d+)", data)
                if number:
                    data = MESSAGE % ((int(number[1]),) * 3)
                out += b"{%d+}\r\n%b" % (len(data), data)
            else:
                out += data
        return out

    def _text(self, line: bytes) -> str:
        text = line.decode("utf-8", "surrogateescape")
        return text.replace("\\", "\\").replace("\r\n", "\\r\\n").replace("\0", "\\0")

    def _pattern(self, text: str) -> re.Pattern[str]:
        out, seen = "", set()
        for index, piece in enumerate(re.split(r"\{([a-z_]\w*)\}|(\.\.\.)", text)):
            which = index % 3
            if which == 0:
                out += re.escape(piece)
            elif which == 1 and piece is not None:
                if piece in self.values:
                    out += re.escape(self.values[piece])
                elif piece in seen:
                    out += f"(?P={piece})"
                else:
                    seen.add(piece)
                    out += f"(?P<{piece}>[^ \\]()]+?)"
            elif which == 2 and piece is not None:
                out += ".*"
        return re.compile(out, re.DOTALL)

    def _accepts(self, wanted: str, line: str | None) -> bool:
        if line is None:
            return False
        wanted, line = _quoted(wanted), _quoted(line)
        if self.loose:
            wanted, line = _normal(wanted), _normal(line)
        tagged = re.fullmatch(r"(OK|NO|BAD)( \[.*\])?( .*)?", wanted)
        if tagged:
            wanted = (tagged[1] + (tagged[2] or "") + "...") if tagged[2] else tagged[1] + "..."
            if not re.match(rf"{tagged[1]}\b", line):
                return False
        elif re.fullmatch(r"\* (OK|NO|BAD|BYE|PREAUTH) \[.*\]", wanted) or wanted.startswith("+"):
            wanted += "..."
        found = self._pattern(wanted).fullmatch(line)
        if found is None:
            return False
        self.values.update(found.groupdict())
        return True

    def _compare(self, expected: list[Step], answers: list[str]) -> None:
        left = list(answers)
        position = 0
        for step in expected:
            if step.kind == "!":
                for line in answers:
                    if re.search(re.escape(step.text).replace(r"\.\.\.", ".*"), line):
                        raise Mismatch(f"line {step.number}: unwanted {line!r}")
                continue
            start = 0 if self.loose else position
            for index in range(start, len(left)):
                if self._accepts(step.text, left[index]):
                    del left[index]
                    position = index
                    break
            else:
                raise Mismatch(
                    f"line {step.number}: expected {self._filled(step.text)!r}, answers were:\n  "
                    + "\n  ".join(answers)
                )
        for line in left:
            if self.loose and re.match(r"\* \d+ FETCH \(", line):
                continue  # told again, or a message that stopped to be \\Recent
            if TELLING.match(line) or re.match(r"(OK|NO|BAD)\b", line):
                if re.match(r"OK\b", line) and not any(re.match(r"(OK|NO|BAD)\b", s.text) for s in expected):
                    continue
                at = expected[-1].number if expected else "?"
                raise Mismatch(f"line {at}: not expected {line!r}, answers were:\n  " + "\n  ".join(answers))

    def _filled(self, text: str) -> str:
        return _NAME.sub(lambda m: self.values.get(m[1], m[0]), text)


def _unescaped(text: str) -> bytes:
    out = b""
    for piece in re.split(r"(\\r|\\n|\\0|\\x[0-9a-f]{2})", text):
        if piece in ("\\r", "\\n", "\\0"):
            out += {"\\r": b"\r", "\\n": b"\n", "\\0": b"\0"}[piece]
        elif re.fullmatch(r"\\x[0-9a-f]{2}", piece):
            out += bytes([int(piece[2:], 16)])
        else:
            out += piece.encode("utf-8", "surrogateescape")
    return out


_PAIRS = re.compile(r"([A-Z][A-Z0-9.\-]*(?:\[[^\]]*\])?(?:<\d+>)?) (\((?:[^()]|\([^()]*\))*\)|\"[^\"]*\"|\S+)")


_CHILDREN = {"\\HasChildren", "\\HasNoChildren", "\\Marked", "\\UnMarked", "\\NoInferiors"}


def _quoted(line: str) -> str:
    """Mailbox names in quotes, as any client takes them."""
    line = re.sub(r"^(\* (?:STATUS|QUOTAROOT|ACL|MYRIGHTS|LISTRIGHTS)) ([^\" ]+) ", r'\1 "\2" ', line)
    return re.sub(r"^(\* L(?:IST|SUB) \([^)]*\) \S+) ([^\"( ]+)(?= |$)", r'\1 "\2"', line)


def _normal(line: str) -> str:
    """One form for answers that say the same."""
    line = line.replace("\\Recent", "")
    line = re.sub(r"([\]>]) ~\{", r"\1 {", line)
    line = re.sub(r"^NO \[[^\]]*\]", "NO", line)
    found = re.fullmatch(r"(\* \d+ (?:UID)?FETCH|\* STATUS \"[^\"]*\") \((.*)\)", line, re.DOTALL)
    if found and "\\r\\n" not in line and "FETCH (..." not in line:
        pairs = sorted(" ".join((m[1], _sorted_words(m[2]))) for m in _PAIRS.finditer(found[2]))
        line = f"{found[1]} ({' '.join(pairs)})"
    found = re.fullmatch(r"(\* L(?:IST|SUB)) \(([^)]*)\) (.*)", line)
    if found:
        words = sorted(set(found[2].split()) - _CHILDREN)
        line = f"{found[1]} ({' '.join(words)}) {found[3]}".replace("(CHILDINFO", '("CHILDINFO"')
    return line


def _sorted_words(text: str) -> str:
    if text.startswith("(") and '"' not in text and "(" not in text[1:]:
        return f"({' '.join(sorted(text[1:-1].split()))})"
    return text

"""Messages for the demonstration: what an office really gets, broken mail included. Same input, same octets."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256
from typing import TypeVar

from postern.formats.mime import date
from postern.formats.mime.downgrade import base64, quoted_printable

T = TypeVar("T")

LATEST = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)
"""Date of the newest sample, unless told otherwise."""

_ENGLISH = (
    "Budget for the fourth quarter",
    "Minutes of Tuesday's meeting",
    "Re: delivery dates for the new racks",
    "Lunch on Friday?",
    "Certificate renewal",
    "Your order 20931 has been shipped",
    "Travel to Riga: hotel and trains",
    "Draft contract, second version",
    "Printer on the third floor",
    "Welcome to the team",
)
_RUSSIAN = (
    "Отчёт за третий квартал",
    "Протокол совещания",
    "Re: счёт на оплату № 417",
    "Заявка на отпуск",
    "Новый график дежурств",
    "Договор поставки: правки юристов",
)
_CHINESE = ("会议纪要", "关于下周出差的安排", "合同草案第二版", "报价单", "周五的聚餐")
_SENTENCES = (
    "please find the figures below and tell me by Thursday whether they match yours.",
    "I have talked to the supplier: they can deliver two weeks earlier, at the same price.",
    "The room is booked from ten to twelve, and somebody should bring an adapter for the projector.",
    "We should decide this before the end of the month, because the offer expires then.",
    "The old server is switched off on Saturday night; nobody should notice anything.",
    "As agreed, I have moved the open questions into the list and put a name behind each.",
    "There is one point that I do not understand: why does the second column not add up?",
    "Thank you for the quick answer. I will pass it on to the others.",
)
_RUSSIAN_SENTENCES = (
    "направляю цифры за прошлый месяц, прошу проверить до четверга.",
    "Поставщик готов привезти оборудование на две недели раньше.",
    "Переговорная забронирована с десяти до двенадцати.",
    "Старый сервер выключим в субботу ночью, никто не заметит.",
)
_CHINESE_SENTENCES = ("附件是上周会议的纪要,请查收。", "请在周四之前确认这些数字。", "供应商可以提前两周交货。")


class _Dice:
    """A reproducible stream of choices: SHA-256 in counter mode."""

    def __init__(self, seed: str) -> None:
        self._seed = seed.encode()
        self._count = 0

    def octets(self, size: int) -> bytes:
        out = b""
        while len(out) < size:
            out += sha256(self._seed + self._count.to_bytes(8, "big")).digest()
            self._count += 1
        return out[:size]

    def below(self, limit: int) -> int:
        return int.from_bytes(self.octets(6), "big") % limit

    def choice(self, among: Sequence[T]) -> T:
        return among[self.below(len(among))]


class _Draft:
    """What all kinds of samples have in common."""

    def __init__(self, index: int, users: Sequence[str], latest: datetime) -> None:
        self.dice = _Dice(f"postern sample {index}")
        self.index = index
        self.sender = self.dice.choice(users)
        others = [user for user in users if user != self.sender] or [self.sender]
        self.to = self.dice.choice(others)
        self.cc = self.dice.choice(others) if self.dice.below(3) == 0 else ""
        shift = timezone(timedelta(hours=self.dice.choice((0, 1, 3, 8, -5))))
        self.when = (latest - timedelta(minutes=index * 97 + self.dice.below(60))).astimezone(shift)
        self.id = f"{self.dice.octets(8).hex()}.{index}@{self.sender.rpartition('@')[2]}"

    def name(self, address: str) -> str:
        return " ".join(word.capitalize() for word in address.partition("@")[0].replace("_", ".").split(".") if word)

    def header(self, subject: str, *more: str, from_name: str = "") -> bytes:
        """The top header up to the Content fields, which the caller gives in `more`, and the blank line."""
        lines = [
            f"Date: {date.render(self.when)}",
            f"From: {from_name or self.name(self.sender)} <{self.sender}>",
            f"To: {self.name(self.to)} <{self.to}>",
            *([f"Cc: {self.cc}"] if self.cc else []),
            f"Subject: {subject}",
            f"Message-ID: <{self.id}>",
            "MIME-Version: 1.0",
            *more,
        ]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    def paragraphs(self, sentences: Sequence[str] = _SENTENCES, count: int = 0) -> list[str]:
        return [
            " ".join(self.dice.choice(sentences) for _ in range(1 + self.dice.below(4)))
            for _ in range(count or 2 + self.dice.below(5))
        ]

    def text(self, sentences: Sequence[str] = _SENTENCES, greeting: str = "Hello") -> bytes:
        body = "\r\n\r\n".join(_wrap(paragraph) for paragraph in self.paragraphs(sentences))
        return (
            f"{greeting} {self.name(self.to).split(' ')[0]},\r\n\r\n{body}\r\n\r\n{self.name(self.sender)}\r\n".encode()
        )

    def html(self, sentences: Sequence[str] = _SENTENCES) -> bytes:
        body = "".join(f'<p style="margin:0 0 12px">{paragraph}</p>\r\n' for paragraph in self.paragraphs(sentences))
        return f"<!DOCTYPE html>\r\n<html><body>\r\n{body}<p>{self.name(self.sender)}</p></body></html>\r\n".encode()

    def boundary(self) -> str:
        return "=_" + self.dice.octets(12).hex()


def samples(count: int, users: Sequence[str], latest: datetime = LATEST) -> Iterator[bytes]:
    """`count` messages between the users (addresses), newest first; every kind comes round in turn."""
    for index in range(count):
        yield KINDS[index % len(KINDS)](_Draft(index, users, latest))


def _wrap(text: str, width: int = 72) -> str:
    lines, line = [], ""
    for word in text.split(" "):
        if line and len(line) + len(word) >= width:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}" if line else word
    return "\r\n".join([*lines, line])


def _word_b(text: str) -> str:
    """RFC 2047 B words of at most 75 octets, folded, characters whole."""
    words, chunk = [], ""
    for character in text:
        if len((chunk + character).encode()) > 42:
            words.append(chunk)
            chunk = ""
        chunk += character
    words.append(chunk)
    return "\r\n ".join(f"=?utf-8?B?{b64encode(word.encode()).decode()}?=" for word in words)


def _word_q(text: str, charset: str) -> str:
    coded = "".join(
        chr(octet) if chr(octet).isalnum() and octet < 128 else "_" if octet == 32 else f"={octet:02X}"
        for octet in text.encode(charset)
    )
    return f"=?{charset}?Q?{coded}?="


def _join(boundary: str, *parts: tuple[str, bytes]) -> bytes:
    """Parts as (Content fields, body), with their delimiters."""
    out = [f"--{boundary}\r\n{fields}\r\n\r\n".encode() + body + b"\r\n" for fields, body in parts]
    return b"".join(out) + f"--{boundary}--\r\n".encode()


def _plain(draft: _Draft) -> bytes:
    return (
        draft.header(
            draft.dice.choice(_ENGLISH), "Content-Type: text/plain; charset=us-ascii", "Content-Transfer-Encoding: 7bit"
        )
        + draft.text()
    )


def _alternative_of(draft: _Draft, sentences: Sequence[str], greeting: str) -> tuple[str, bytes]:
    boundary = draft.boundary()
    quoted = "\r\nContent-Transfer-Encoding: quoted-printable"
    body = _join(
        boundary,
        ("Content-Type: text/plain; charset=utf-8" + quoted, quoted_printable(draft.text(sentences, greeting))),
        ("Content-Type: text/html; charset=utf-8" + quoted, quoted_printable(draft.html(sentences))),
    )
    return f'Content-Type: multipart/alternative; boundary="{boundary}"', body


def _alternative(draft: _Draft) -> bytes:
    content_type, body = _alternative_of(draft, _SENTENCES, "Dear")
    return draft.header(draft.dice.choice(_ENGLISH), content_type) + body


def _russian(draft: _Draft) -> bytes:
    content_type, body = _alternative_of(draft, _RUSSIAN_SENTENCES, "Здравствуйте,")
    return draft.header(_word_b(draft.dice.choice(_RUSSIAN)), content_type, from_name=_word_b("Отдел закупок")) + body


def _russian_koi8(draft: _Draft) -> bytes:
    subject = _word_q(draft.dice.choice(("Протокол совещания", "Заявка на отпуск")), "koi8-r")
    text = draft.text(_RUSSIAN_SENTENCES, "Здравствуйте,").decode().encode("koi8-r")
    more = ("Content-Type: text/plain; charset=koi8-r", "Content-Transfer-Encoding: base64")
    return draft.header(subject, *more) + base64(text) + b"\r\n"


def _chinese(draft: _Draft) -> bytes:
    text = draft.text(_CHINESE_SENTENCES, "您好")
    more = ("Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: 8bit")
    return draft.header(_word_b(draft.dice.choice(_CHINESE)), *more) + text


def _attachment(draft: _Draft) -> bytes:
    boundary = draft.boundary()
    content_type, body = _alternative_of(draft, _SENTENCES, "Dear")
    pdf = b"%PDF-1.4\n" + draft.dice.octets(4000 + draft.dice.below(12000)) + b"\n%%EOF\n"
    name = f"report-{draft.index}.pdf"
    extended = "filename*0*=utf-8''%D0%9E%D1%82%D1%87%D1%91%D1%82%20;\r\n\tfilename*1*=%E2%84%96%20417.txt"
    return draft.header(draft.dice.choice(_ENGLISH), f'Content-Type: multipart/mixed; boundary="{boundary}"') + _join(
        boundary,
        (content_type, body),
        (
            f'Content-Type: application/pdf; name="{name}"\r\nContent-Transfer-Encoding: base64\r\n'
            f'Content-Disposition: attachment; filename="{name}"',
            base64(pdf),
        ),
        (
            "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n"
            f"Content-Disposition: attachment; {extended}",
            base64(draft.text(_RUSSIAN_SENTENCES, "Здравствуйте,")),
        ),
    )


_PIXEL = bytes.fromhex("47494638396101000100800000ffffff00000021f90401000000002c00000000010001000002024401003b")


def _inline_picture(draft: _Draft) -> bytes:
    boundary, cid = draft.boundary(), f"logo.{draft.index}@postern.example"
    html = draft.html().replace(b"</body>", f'<img src="cid:{cid}" alt="logo"></body>'.encode())
    related = f'Content-Type: multipart/related; type="text/html"; boundary="{boundary}"'
    return draft.header(draft.dice.choice(_ENGLISH), related) + _join(
        boundary,
        ("Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit", html),
        (
            f"Content-Type: image/gif; name=logo.gif\r\nContent-ID: <{cid}>\r\n"
            "Content-Disposition: inline; filename=logo.gif\r\nContent-Transfer-Encoding: base64",
            base64(_PIXEL),
        ),
    )


def _invitation(draft: _Draft) -> bytes:
    boundary = draft.boundary()
    start = draft.when.astimezone(UTC) + timedelta(days=7)
    stamp = "%Y%m%dT%H%M00Z"
    calendar = "\r\n".join(
        (
            "BEGIN:VCALENDAR",
            "PRODID:-//Postern//Demo//EN",
            "VERSION:2.0",
            "METHOD:REQUEST",
            "BEGIN:VEVENT",
            f"UID:{draft.id}",
            f"DTSTAMP:{draft.when.astimezone(UTC):{stamp}}",
            f"DTSTART:{start:{stamp}}",
            f"DTEND:{start + timedelta(hours=1):{stamp}}",
            "SUMMARY:Planning meeting",
            "LOCATION:Room 3.14",
            f"ORGANIZER;CN={draft.name(draft.sender)}:mailto:{draft.sender}",
            f"ATTENDEE;ROLE=REQ-PARTICIPANT;PARTSTAT=NEEDS-ACTION;RSVP=TRUE:\r\n mailto:{draft.to}",
            "SEQUENCE:0",
            "END:VEVENT",
            "END:VCALENDAR",
            "",
        )
    ).encode()
    content_type = f'Content-Type: multipart/alternative; boundary="{boundary}"'
    return draft.header("Invitation: planning meeting", content_type) + _join(
        boundary,
        ("Content-Type: text/plain; charset=utf-8", b"You are invited to the planning meeting in room 3.14.\r\n"),
        ("Content-Type: text/calendar; charset=utf-8; method=REQUEST; name=invite.ics", calendar),
    )


def _forwarded(draft: _Draft) -> bytes:
    boundary = draft.boundary()
    inner = _Draft(draft.index + 1_000_000, [draft.to, draft.sender], draft.when)
    content_type = f'Content-Type: multipart/mixed; boundary="{boundary}"'
    return draft.header("Fwd: " + draft.dice.choice(_ENGLISH), content_type) + _join(
        boundary,
        ("Content-Type: text/plain; charset=us-ascii", b"See below.\r\n"),
        ("Content-Type: message/rfc822\r\nContent-Disposition: inline", _alternative(inner)),
    )


def _reply(draft: _Draft) -> bytes:
    parent = f"{draft.dice.octets(8).hex()}@{draft.to.rpartition('@')[2]}"
    quoted = b"".join(b"> " + line + b"\r\n" for line in draft.text().split(b"\r\n"))
    more = (
        f"In-Reply-To: <{parent}>",
        f"References: <{parent}>",
        "Content-Type: text/plain; charset=utf-8; format=flowed",
    )
    return draft.header("Re: " + draft.dice.choice(_ENGLISH), *more) + draft.text() + b"\r\n" + quoted


def _newsletter(draft: _Draft) -> bytes:
    more = (
        "List-ID: Weekly news <news.postern.example>",
        "List-Unsubscribe: <https://postern.example/unsubscribe>",
        "Precedence: bulk",
        "Content-Type: text/html; charset=iso-8859-1",
        "Content-Transfer-Encoding: quoted-printable",
    )
    subject = _word_q(f"Caf\xe9 du coin: nouveaut\xe9s {draft.index}", "iso-8859-1")
    html = "<html><body><h1>Nouveaut\xe9s</h1>" + "<p>\xc0 bient\xf4t, " * 20 + "</body></html>\r\n"
    return draft.header(subject, *more) + quoted_printable(html.encode("iso-8859-1"))


def _broken(draft: _Draft) -> bytes:
    """One of the ways in which real programs break MIME."""
    boundary = draft.boundary()
    multipart = f'Content-Type: multipart/mixed; boundary="{boundary}"'
    text = draft.text()
    breakages: tuple[Callable[[], bytes], ...] = (
        # the closing delimiter is missing
        lambda: draft.header("Unclosed parts", multipart) + f"--{boundary}\r\n\r\n".encode() + text,
        # the boundary never occurs
        lambda: draft.header("No parts at all", multipart) + text,
        # raw 8-bit header, no charset anywhere
        lambda: draft.header("Привет без кодировки") + "Просто текст\r\n".encode("cp1251"),
        # base64 that is not, under a charset that does not exist
        lambda: (
            draft.header(
                "=?x-none?Q?Strange_charset?= and =?utf-8?B?4pyTIGhhbGYgYSB3b3Jk",
                "Content-Type: text/plain; charset=x-none",
                "Content-Transfer-Encoding: base64",
            )
            + b"SGVsbG8*gd29ybGQ\r\n"
        ),
        # Content-Type without a subtype, a Date that is none, From without an address
        lambda: (
            b"From: Somebody\r\nTo: " + draft.to.encode() + b"\r\nDate: yesterday\r\n"
            b"Subject: Nothing is right here\r\nContent-Type: text\r\n\r\n" + text
        ),
    )
    return breakages[draft.index // len(KINDS) % len(breakages)]()


KINDS: tuple[Callable[[_Draft], bytes], ...] = (
    _alternative,
    _plain,
    _russian,
    _attachment,
    _chinese,
    _reply,
    _invitation,
    _inline_picture,
    _russian_koi8,
    _forwarded,
    _newsletter,
    _broken,
)
"""The kinds of samples, in the order they come round."""

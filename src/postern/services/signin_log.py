"""The log of every sign-in: who, by what, from where, how encrypted, and what came of it. Never a secret.

What is typed as a user name is a password now and then. A name is written only if it is an account's or an address in
one of our domains; of any other a keyed fingerprint is, by which equal ones are recognised.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from pathlib import Path

import msgspec

from postern.directory.interface import Account, Directory
from postern.model.addresses import normalise
from postern.model.networks import Network, parse_address
from postern.model.ports import Clock
from postern.model.refusal import Reason, Refusal
from postern.services.attempts import Attempt
from postern.telemetry import daily
from postern.telemetry.daily import DailyLines

REPEAT_S = 60.0
"""Refusals before any password is looked at come as fast as an attacker likes: one of a kind in this time is
written, and how many there were with the next one."""
HTTP_REPEAT_S = 900.0
_MAX_REPEATS = 10_000
_QUICK = frozenset({Reason.TOO_MANY_FAILURES, Reason.TRY_LATER})


class SignInRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """One sign-in, or one that failed."""

    at: float
    """Seconds since the epoch."""
    ok: bool
    account: str
    """Primary address; for an unknown name the name, or `unknown:` and a fingerprint; the name of a front end."""
    protocol: str = ""
    mechanism: str = ""
    address: str = ""
    tls: str = ""
    cipher: str = ""
    reason: str = ""
    """Of a refusal, as the client's protocol was told (`model.refusal.Reason`)."""
    cause: str = ""
    """The real one: wrong-password, unknown-user, no-password, locked, rule, app-password-needed, ..."""
    detail: str = ""
    """Name of the rule or app password, key of the lock."""
    factor: str = ""
    """How it was proved, beyond a plain password: app-password, second-factor, independent, front-end."""
    acting_as: str = ""
    """Whose mailbox was opened instead of the account's own."""
    session: str = ""
    """Correlation id in the server's log."""
    repeated: int = 0
    """How many more like this one were not written since the last."""


class SignInLog:
    """Writes it. One per worker."""

    def __init__(self, directory: Directory, lines: DailyLines, clock: Clock) -> None:
        self._directory = directory
        self._lines = lines
        self._clock = clock
        self._encoder = msgspec.json.Encoder()
        self._repeats: dict[tuple[str, str, str], tuple[float, int]] = {}

    def accepted(
        self, attempt: Attempt, who: Account | str, factor: str = "", detail: str = "", acting: str = ""
    ) -> None:
        """Somebody is in; `who` is the account, or the server that acts for one.

        HTTP signs in with each request: one of a kind is written in HTTP_REPEAT_S.
        """
        name = who if isinstance(who, str) else who.address
        repeated = 0
        if attempt.protocol == "http":
            repeats = self._repeat((name, attempt.address, attempt.mechanism or factor), HTTP_REPEAT_S)
            if repeats is None:
                return
            repeated = repeats
        record = SignInRecord(
            self._clock.timestamp(),
            True,
            name,
            attempt.protocol,
            attempt.mechanism,
            attempt.address,
            attempt.tls,
            attempt.cipher,
            factor=factor,
            detail=detail,
            acting_as=acting,
            session=attempt.session,
            repeated=repeated,
        )
        self._lines.append(self._encoder.encode(record))

    async def refused(
        self,
        attempt: Attempt,
        who: Account | str,
        reason: Reason,
        cause: str = "",
        detail: str = "",
        *,
        server: bool = False,
    ) -> None:
        """Somebody is not in; `who` is the account, the name that is none, or a `server` that has proved itself."""
        now = self._clock.timestamp()
        name = who if isinstance(who, str) else who.address
        if isinstance(who, str) and not server:
            name = await self._written(who)
        repeated = 0
        if reason in _QUICK:
            repeats = self._repeat((name, attempt.address, cause or reason.value), REPEAT_S)
            if repeats is None:
                return
            repeated = repeats
        record = SignInRecord(
            now,
            False,
            name,
            attempt.protocol,
            attempt.mechanism,
            attempt.address,
            attempt.tls,
            attempt.cipher,
            reason.value,
            cause or reason.value,
            detail,
            session=attempt.session,
            repeated=repeated,
        )
        self._lines.append(self._encoder.encode(record))

    def _repeat(self, key: tuple[str, str, str], within_s: float) -> int | None:
        """None: one like this was written just now. Else how many were not written since the last."""
        now = self._clock.monotonic()  # a clock that is set back must not silence the log until it has caught up
        since, count = self._repeats.get(key, (-within_s, 0))
        if now - since < within_s:
            self._repeats[key] = (since, count + 1)
            return None
        if len(self._repeats) >= _MAX_REPEATS:
            self._repeats.clear()
        self._repeats[key] = (now, 0)
        return count

    async def _written(self, name: str) -> str:
        if not name:
            return ""
        try:
            key = normalise(name[:320])
        except Refusal:  # it is no address; that must not keep the failure from being counted
            key = name[:320].replace("@", " ")
        domain = key.rpartition("@")[2]
        if "@" in key and await self._directory.domain(domain) is not None:
            return key
        secret = await self._directory.secret("sign-in log")
        return "unknown:" + hmac.digest(secret, key.encode(errors="surrogatepass"), "sha256")[:4].hex()

    def close(self) -> None:
        """Write what is buffered."""
        self._lines.close()


class SignInQuery(msgspec.Struct, frozen=True):
    """What to look for; empty fields match everything."""

    account: str = ""
    source: Network | None = None
    """Where from."""
    protocol: str = ""
    failed: bool = False
    """Only those that failed."""
    since: float | None = None
    until: float | None = None
    limit: int = 1000
    """Records, the newest ones."""


def search(directory: Path, query: SignInQuery) -> list[SignInRecord]:
    """Records that fit, in order of time. Raises OSError."""
    wanted = query.account.lower()
    needles = (wanted.encode(),) if wanted.isascii() and wanted and not set(wanted) & {'"', "\\"} else ()
    paths = daily.files(directory, query.since, query.until)
    found = [record for record in _records(paths, needles) if _fits(record, query)]
    return sorted(found, key=lambda record: record.at)[-query.limit :]


def _records(paths: list[Path], needles: tuple[bytes, ...]) -> Iterator[SignInRecord]:
    decoder = msgspec.json.Decoder(SignInRecord)
    for line in daily.lines(paths, needles):
        try:
            yield decoder.decode(line)
        except msgspec.DecodeError:
            continue  # torn by a crash


def _fits(record: SignInRecord, query: SignInQuery) -> bool:
    if query.since is not None and record.at < query.since:
        return False
    if query.until is not None and record.at > query.until:
        return False
    if query.account and query.account.lower() not in (record.account.lower(), record.acting_as.lower()):
        return False
    if query.protocol and record.protocol != query.protocol:
        return False
    if query.failed and record.ok:
        return False
    if query.source is None:
        return True
    address = parse_address(record.address)
    return address is not None and address in query.source

"""A small organisation in a file, with time and chance owned by the test."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from postern.directory.interface import Domain, NewAccount, RecipientKind
from postern.directory.passwords import CHEAP, new_credentials
from postern.directory.sqlite import SqliteDirectory


class Chance:
    """Counts instead of throwing dice."""

    def __init__(self) -> None:
        self.drawn = 0

    def token(self, size_bytes: int) -> bytes:
        self.drawn += 1
        return self.drawn.to_bytes(size_bytes, "big")

    def below(self, limit: int) -> int:
        return 0


class Time:
    """Stands still until told."""

    def __init__(self) -> None:
        self.seconds = 1_700_000_000.0

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.seconds, UTC)

    def timestamp(self) -> float:
        return self.seconds

    def monotonic(self) -> float:
        return self.seconds


@pytest.fixture
def chance() -> Chance:
    return Chance()


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
async def directory(tmp_path, chance):
    made = SqliteDirectory(tmp_path / "directory.db", chance)
    await made.put_domain(Domain("example.org"))
    hashed, scram = new_credentials("пароль ann", chance, CHEAP)
    await made.create_accounts(
        [
            NewAccount("Ann@Example.org", "Ann", hashed, scram, admin=True),
            NewAccount("bob@example.org", "Bob"),
            NewAccount("sales@example.org", "Sales", kind=RecipientKind.SHARED),
        ]
    )
    yield made
    await made.close()

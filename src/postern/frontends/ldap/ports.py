"""What this front end needs besides `frontends.ports`, as it uses it; `services.address_book` fits."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Protocol

from postern.model.filters import Filter
from postern.model.ids import AccountId

if TYPE_CHECKING:
    from postern.services.address_book import BookList, Entry, Position
    from postern.services.authentication import Principal


class Search(Protocol):
    """services.address_book.Search."""

    ranks: Sequence[int]

    def reverse(self) -> None: ...  # noqa: D102 - services.address_book documents them all
    def after(self, position: Position, *, reverse: bool = False) -> int: ...  # noqa: D102
    def not_before(self, value: str, *, reverse: bool = False) -> int: ...  # noqa: D102
    def position(self, rank: int) -> Position: ...  # noqa: D102
    async def settle(self) -> None: ...  # noqa: D102
    def pieces(self, start: int = 0, end: int | None = None) -> AsyncIterator[list[tuple[int, Entry]]]: ...  # noqa: D102


class AddressBook(Protocol):
    """services.address_book.AddressBook."""

    async def organisation(self) -> str: ...  # noqa: D102
    async def lists(self, principal: Principal) -> list[BookList]: ...  # noqa: D102
    async def parts(self, of: BookList) -> list[BookList]: ...  # noqa: D102
    async def part(self, of: BookList, value: str) -> BookList | None: ...  # noqa: D102
    async def search(self, wanted: Filter, sort: str = "cn") -> Search: ...  # noqa: D102
    async def photo(self, recipient: AccountId) -> bytes | None: ...  # noqa: D102

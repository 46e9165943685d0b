"""The embedded directory's address book: entries, address lists, details, pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from postern.directory import filtering
from postern.directory.base import DirectoryFile
from postern.directory.objects import GLOBAL, AddressList, Details, Entry, RecipientKind
from postern.model import filters
from postern.model.addresses import normalise
from postern.model.filters import Equal, Filter
from postern.model.ids import AccountId
from postern.model.refusal import Reason, Refusal

MAX_PHOTO_BYTES = 102_400
"""What Active Directory's thumbnailPhoto takes."""
MAX_WORDS = 8

_DETAILS = tuple(field for field in Details.__struct_fields__ if field != "custom")
_COLUMNS = (
    "id, recipient_kind, address, display_name, hidden, target, source, custom,"  # noqa: S608 - constants only
    " (SELECT json_group_array(p.address) FROM proxies p WHERE p.object = book.id),"
    f" EXISTS (SELECT 1 FROM photos WHERE photos.id = book.id), {', '.join(_DETAILS)}"
)

BOOK_FIELDS = ("address", "display_name", *_DETAILS)
"""Of `book_rows`, after id and kind; None or empty where there is nothing."""
BOOK_ENTRIES = 64
_SHOWN = "removed_at IS NULL AND address NOT LIKE '%.invalid' AND NOT hidden"
_BOOK_ROWS = (
    f"SELECT id, recipient_kind, {', '.join(BOOK_FIELDS)} FROM ({filtering.BOOK}) book"  # noqa: S608 - constants only
    f" WHERE id > ? AND {_SHOWN} ORDER BY id LIMIT ?"
)


class AddressBookTables(DirectoryFile):
    """Looking recipients up, and what there is to see of them."""

    async def entry(self, address: str) -> Entry | None:
        """A recipient by any of its addresses, or a contact by its target."""
        try:
            key = normalise(address)
        except Refusal:
            return None
        found = self._object_at(key)
        number = None if found is None else found[0]
        if number is None:
            row = self._row("SELECT id FROM contacts WHERE target = ?", (key,))
            number = row[0] if row else None
        if number is None:
            return None
        row = self._row(
            f"SELECT {_COLUMNS} FROM ({filtering.BOOK}) book WHERE id = ? AND removed_at IS NULL",  # noqa: S608
            (number,),
        )
        return self._entry_of(row) if row else None

    def _entry_of(self, row: tuple[Any, ...]) -> Entry:
        details = {field: value for field, value in zip(_DETAILS, row[10:], strict=True) if value}
        if row[7] and row[7] != "{}":
            details["custom"] = msgspec.json.decode(row[7])
        return Entry(
            AccountId(row[0]),
            RecipientKind(row[1]),
            row[2],
            row[3],
            Details(**details),
            tuple(sorted(msgspec.json.decode(row[8]))),
            row[5] or "",
            bool(row[4]),
            bool(row[9]),
            self._source_name(row[6]),
        )

    async def entries(
        self,
        match: Filter | None = None,
        *,
        within: str = GLOBAL,
        search: str = "",
        hidden: bool = False,
        offset: int = 0,
        limit: int | None = None,
    ) -> Sequence[Entry]:
        """Recipients of an address list that fit, by display name."""
        condition, bindings = self._condition(match, within, search, hidden=hidden)
        rows = self._rows(
            f"SELECT {_COLUMNS} FROM ({filtering.BOOK}) book WHERE {condition}"  # noqa: S608
            " ORDER BY display_name COLLATE NOCASE, id LIMIT ? OFFSET ?",
            (*bindings, -1 if limit is None else limit, offset),
        )
        return [self._entry_of(row) for row in rows]

    async def count_entries(self, match: Filter | None = None, *, within: str = GLOBAL, search: str = "") -> int:
        """How many `entries` would give without a limit."""
        condition, bindings = self._condition(match, within, search, hidden=False)
        row = self._row(f"SELECT count(*) FROM ({filtering.BOOK}) book WHERE {condition}", tuple(bindings))  # noqa: S608
        return int(row[0]) if row else 0

    def _condition(self, match: Filter | None, within: str, search: str, *, hidden: bool) -> tuple[str, list[Any]]:
        wanted = [self._list_filter(within)]
        if match is not None:
            wanted.append(match)
        condition, bindings = filtering.compile_filter(filters.And(tuple(wanted)))
        # a group without an address of its own is there for rights, not for mail
        conditions = ["removed_at IS NULL", "address NOT LIKE '%.invalid'", condition]
        if not hidden:
            conditions.append("NOT hidden")
        for word in search.split()[:MAX_WORDS]:
            # ambiguous name resolution (MS-OXOABK 2.2.5, [MS-ADTS] 3.1.1.3.1.3.3): each word begins one of them
            like = word.casefold().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
            columns = ("given_name", "surname", "address", "department")
            parts = [f"casefold({column}) LIKE ? ESCAPE '\\'" for column in columns]
            parts.append("(' ' || casefold(display_name)) LIKE ('% ' || ?) ESCAPE '\\'")
            parts.append("EXISTS (SELECT 1 FROM proxies p WHERE p.object = book.id AND p.address LIKE ? ESCAPE '\\')")
            conditions.append(f"({' OR '.join(parts)})")
            bindings += [like] * len(parts)
        return " AND ".join(conditions), bindings

    def _list_filter(self, name: str) -> Filter:
        row = self._row("SELECT filter FROM address_lists WHERE name = ?", (name,))
        if row is not None:
            return filters.parse(row[0])
        parent, slash, value = name.partition("/")
        row = self._row("SELECT filter, by_attribute FROM address_lists WHERE name = ?", (parent,))
        if row is None or not slash or not row[1]:
            raise Refusal(Reason.NO_SUCH_RECIPIENT, f"no such address list: {name}")
        return filters.And((filters.parse(row[0]), Equal(row[1], value)))

    async def book_version(self) -> tuple[int, int]:
        """Another one after every change of the directory, by whatever process."""
        row = self._row("PRAGMA data_version")
        return (int(row[0]) if row else -1, self._db.total_changes())

    async def book_rows(self, after: int, limit: int) -> Sequence[tuple[Any, ...]]:
        """What is searched for, of the next recipients by number: id, kind and BOOK_FIELDS; no hidden ones."""
        return self._rows(_BOOK_ROWS, (after, limit))

    async def book_entries(self, ids: Sequence[AccountId], match: Filter) -> Sequence[Entry]:
        """Those of some recipients that fit and are shown, in the order of `ids`: at most BOOK_ENTRIES."""
        condition, bindings = filtering.compile_filter(match)
        numbers = [*ids, *[-1] * (BOOK_ENTRIES - len(ids))]  # always as many: one prepared statement
        places = ", ".join("?" * len(numbers))
        rows = self._rows(
            f"SELECT {_COLUMNS} FROM ({filtering.BOOK}) book WHERE id IN ({places}) AND {_SHOWN} AND {condition}",  # noqa: S608
            (*numbers, *bindings),
        )
        found = {row[0]: row for row in rows}
        return [self._entry_of(found[number]) for number in ids if number in found]

    async def photo(self, account: AccountId) -> bytes | None:
        """A recipient's picture."""
        row = self._row("SELECT content FROM photos WHERE id = ?", (account,))
        return bytes(row[0]) if row else None

    async def address_lists(self) -> Sequence[AddressList]:
        """As defined, GLOBAL first."""
        rows = self._rows("SELECT name, filter, by_attribute FROM address_lists ORDER BY position")
        return [AddressList(*row) for row in rows]

    async def address_list_names(self) -> Sequence[str]:
        """As shown."""
        names = []
        for found in await self.address_lists():
            names.append(found.name)
            if found.by:
                condition, bindings = self._condition(None, found.name, "", hidden=False)
                column = filtering.COLUMNS[found.by]
                rows = self._rows(
                    f"SELECT {column} AS value FROM ({filtering.BOOK}) book"  # noqa: S608
                    f" WHERE {condition} AND ifnull({column}, '') <> ''"
                    " GROUP BY casefold(value) ORDER BY casefold(value)",
                    tuple(bindings),
                )
                names += [f"{found.name}/{value}" for (value,) in rows]
        return names

    async def put_address_list(self, wanted: AddressList) -> None:
        """Make or replace an address list."""
        if not wanted.name.strip() or "/" in wanted.name:
            raise Refusal(Reason.BAD_NAME, f"not a name for an address list: {wanted.name!r}")
        if wanted.by and wanted.by.lower() not in filtering.COLUMNS:
            raise Refusal(Reason.BAD_VALUE, f"no such attribute: {wanted.by}")
        text = filters.render(filtering.check(filters.parse(wanted.filter)))
        with self._writing():
            self._db.execute(
                "INSERT INTO address_lists (name, filter, by_attribute) VALUES (?1, ?2, ?3)"
                " ON CONFLICT (name) DO UPDATE SET filter = ?2, by_attribute = ?3",
                (wanted.name.strip(), text, wanted.by.lower()),
            )

    async def delete_address_list(self, name: str) -> None:
        """Remove one."""
        if name == GLOBAL:
            raise Refusal(Reason.CONFLICT, f"the {GLOBAL} stays: hide recipients to take them out of it")
        with self._writing():
            self._db.execute("DELETE FROM address_lists WHERE name = ?", (name,))
            if not self._db.changes():
                raise Refusal(Reason.NO_SUCH_RECIPIENT, f"no such address list: {name}")

    async def set_details(self, address: str, details: Details) -> None:
        """Replace what the address book says of a recipient."""
        with self._writing():
            number = self._object_id(address)
            self._check_own(number)
            self._put_details(number, details)

    def _check_own(self, number: int) -> None:
        """Raises Refusal(CONFLICT) for what is mirrored."""
        row = self._row("SELECT address, source FROM objects WHERE id = ?", (number,))
        if row is not None and row[1]:
            raise Refusal(Reason.CONFLICT, f"{row[0]} comes from {self._source_name(row[1])}: change it there")

    def _put_details(self, number: int, details: Details) -> None:
        if set(details.custom) - {str(n) for n in range(1, 16)}:
            raise Refusal(Reason.BAD_VALUE, "custom attributes are numbered 1 to 15")
        values = [getattr(details, field) for field in _DETAILS]
        self._db.execute(
            f"INSERT OR REPLACE INTO details (id, {', '.join(_DETAILS)}, custom)"  # noqa: S608
            f" VALUES ({', '.join('?' * (len(values) + 2))})",
            (number, *values, msgspec.json.encode(details.custom).decode()),
        )

    async def set_photo(self, address: str, photo: bytes | None) -> None:
        """Replace or remove a picture."""
        with self._writing():
            number = self._object_id(address)
            self._check_own(number)
            self._put_photo(number, photo)

    def _put_photo(self, number: int, photo: bytes | None) -> None:
        if photo is None:
            self._db.execute("DELETE FROM photos WHERE id = ?", (number,))
            return
        if len(photo) > MAX_PHOTO_BYTES:
            raise Refusal(Reason.TOO_LARGE, f"a picture has at most {MAX_PHOTO_BYTES // 1024} KiB")
        if not photo.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")):
            raise Refusal(Reason.BAD_VALUE, "a picture is JPEG or PNG")
        self._db.execute("INSERT OR REPLACE INTO photos VALUES (?, ?)", (number, photo))

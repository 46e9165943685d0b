"""The parts of the directory's interface that few ask: address book, policies and roles, sources, life cycle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from postern.directory.mirrored import Conflict, Mirrored, Source, SourceEntry, SourceLink
from postern.directory.objects import (
    GLOBAL,
    Account,
    AddressList,
    Details,
    Entry,
    LifeChanges,
    Policy,
    RoleAssignment,
    Server,
)
from postern.directory.safeguards import AccessRule, AppPassword, Enrolment, Safeguards
from postern.model.filters import Filter
from postern.model.ids import AccountId
from postern.model.rights import AdminRight, AdminRole


class AddressBook(Protocol):
    """Recipients as people look them up."""

    async def entry(self, address: str) -> Entry | None:
        """A recipient by any of its addresses, or a contact by its target."""
        ...

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
        """Recipients of the address list `within` that fit, by display name.

        `search` is what somebody types (ambiguous name resolution): each word begins a name, an address or a
        department. Raises Refusal(NO_SUCH_RECIPIENT) for an unknown list, BAD_VALUE for a filter too large.
        """
        ...

    async def count_entries(self, match: Filter | None = None, *, within: str = GLOBAL, search: str = "") -> int:
        """How many `entries` would give without a limit."""
        ...

    async def book_version(self) -> tuple[int, int]:
        """Another one after every change of the directory, by whatever process."""
        ...

    async def book_rows(self, after: int, limit: int) -> Sequence[tuple[Any, ...]]:
        """For an index: id, kind and `book.BOOK_FIELDS` of the next shown recipients by number."""
        ...

    async def book_entries(self, ids: Sequence[AccountId], match: Filter) -> Sequence[Entry]:
        """Those of at most `book.BOOK_ENTRIES` recipients that are shown and fit, in the order of `ids`."""
        ...

    async def photo(self, account: AccountId) -> bytes | None:
        """A recipient's picture (JPEG or PNG)."""
        ...

    async def address_lists(self) -> Sequence[AddressList]:
        """As defined, GLOBAL first."""
        ...

    async def address_list_names(self) -> Sequence[str]:
        """As shown: a list that falls into others is followed by `Name/Value` for each value there is."""
        ...

    async def set_details(self, address: str, details: Details) -> None:
        """Replace what the address book says of a recipient. CONFLICT for a mirrored one: its source has the truth."""
        ...

    async def set_photo(self, address: str, photo: bytes | None) -> None:
        """Replace or remove a picture. BAD_VALUE if it is neither JPEG nor PNG, TOO_LARGE above 100 KiB."""
        ...

    async def put_address_list(self, wanted: AddressList) -> None:
        """Make or replace an address list. BAD_VALUE for a filter or attribute that is not understood."""
        ...

    async def delete_address_list(self, name: str) -> None:
        """Remove one; CONFLICT for GLOBAL."""
        ...


class Administration(Protocol):
    """Policies and administrators' roles."""

    async def policies(self) -> Sequence[Policy]:
        """All, by name."""
        ...

    async def policy_of(self, account: AccountId) -> Policy:
        """The policy that an account has."""
        ...

    async def old_hashes(self, account: AccountId, count: int) -> Sequence[str]:
        """The last hashes of an account, the present one first."""
        ...

    async def role_assignments(self) -> Sequence[RoleAssignment]:
        """All, by role and address."""
        ...

    async def admin_rights(self, account: AccountId, on: AccountId | None = None) -> frozenset[AdminRight]:
        """What an administrator may do to a recipient; None: to the organisation itself (scoped roles do not count)."""
        ...

    async def covers(self, scope: str, on: AccountId) -> bool:
        """Whether a role's scope has a recipient in it."""
        ...

    async def holds_role(self, account: AccountId) -> bool:
        """Whether somebody is an administrator of any kind."""
        ...

    async def groups_of(self, account: AccountId) -> Mapping[AccountId, str]:
        """Every static group it is in, however deep: number -> address. For rules about groups."""
        ...

    async def put_policy(self, policy: Policy) -> None:
        """Make or replace a policy."""
        ...

    async def delete_policy(self, name: str) -> None:
        """Remove one; its accounts have the default one. CONFLICT for the default one."""
        ...

    async def assign_role(self, role: AdminRole, grantee: str, *, scope: str = "", assigned: bool = True) -> None:
        """Give or take a role. CONFLICT if nobody would be left with the organisation role."""
        ...


class Safeguarding(Protocol):
    """What protects accounts besides their passwords. Refusals: NO_SUCH_ITEM where something of a name is missing."""

    async def safeguards(self, account: AccountId) -> Safeguards:
        """What a sign-in has to know of an account; cached until the directory changes."""
        ...

    async def app_passwords(self, account: AccountId) -> Sequence[AppPassword]:
        """An account's, by name; expired ones too."""
        ...

    async def add_app_password(self, account: AccountId, new: AppPassword) -> AppPassword:
        """Add one, given with id 0. ALREADY_EXISTS, BAD_NAME, BAD_VALUE, TOO_MANY."""
        ...

    async def remove_app_password(self, account: AccountId, name: str) -> None:
        """Remove one; sessions that it opened end."""
        ...

    async def enrolment(self, account: AccountId) -> Enrolment | None:
        """An account's one-time codes, confirmed or not."""
        ...

    async def begin_enrolment(self, account: AccountId, secret: bytes, at: float) -> None:
        """Keep a secret until its first code is given. ALREADY_EXISTS if another is in use."""
        ...

    async def confirm_enrolment(self, account: AccountId, secret: bytes, recovery: Sequence[bytes], at: float) -> None:
        """From now on codes are asked for; whatever was signed in before is over. CONFLICT if it was begun anew."""
        ...

    async def put_recovery_codes(self, account: AccountId, recovery: Sequence[bytes]) -> None:
        """Replace the recovery codes, given as digests."""
        ...

    async def use_recovery_code(self, account: AccountId, digest: bytes) -> bool:
        """Use one up, durably; False if there is no such code."""
        ...

    async def remove_enrolment(self, account: AccountId) -> None:
        """Ask for no codes any more."""
        ...

    async def access_rules(self) -> Sequence[AccessRule]:
        """In order. The same object until anything in the directory changes: a cache may be bound to it."""
        ...

    async def put_access_rule(self, rule: AccessRule, before: str = "") -> None:
        """Make a rule, the last one or before another; replace the one of its name. BAD_VALUE for a dynamic group."""
        ...

    async def delete_access_rule(self, name: str) -> None:
        """Remove a rule."""
        ...


class LifeCycle(Protocol):
    """What has to end when."""

    async def life_changes(self, since: int | None = None) -> LifeChanges:
        """What happened to accounts after a generation; None asks for nothing but the present number."""
        ...


class Sources(Protocol):
    """Directories elsewhere, mirrored here."""

    async def sources(self) -> Sequence[Source]:
        """Directories elsewhere, by precedence."""
        ...

    async def source_link(self, account: AccountId) -> SourceLink | None:
        """Where an account is mirrored from; None: it was made here."""
        ...

    async def by_anchor(self, source: str, anchor: str) -> Account | None:
        """The account that an entry of a source became."""
        ...

    async def anchors(self, source: str) -> Sequence[str]:
        """Of the entries of a source that are mirrored now; not of disconnected accounts."""
        ...

    async def conflicts(self) -> Sequence[Conflict]:
        """Addresses that entries claim and others have."""
        ...

    async def put_source(self, source: Source) -> None:
        """Make or replace a source; its state and time of synchronisation stay."""
        ...

    async def delete_source(self, name: str) -> int:
        """Forget a source: its accounts, contacts and groups stay as ones of our own. How many."""
        ...

    async def mirror(
        self,
        source: str,
        entries: Sequence[SourceEntry] = (),
        *,
        removed: Sequence[str] = (),
        state: str | None = None,
        at: float | None = None,
        run: int | None = None,
    ) -> Mirrored:
        """Take in what is new in a source, and by anchor what is gone, in one transaction.

        `state` is stored with it. `at`: the source is mirrored completely up to then. `run`: a number that the
        entries are marked with, see `finish_run`. Raises Refusal(NO_SUCH_RECIPIENT) for an unknown source.
        """
        ...

    async def finish_run(self, source: str, run: int) -> Mirrored:
        """After a full reading in several calls: whatever does not bear its mark is gone."""
        ...


class Servers(Protocol):
    """The organisation's other servers."""

    async def servers(self) -> Sequence[Server]:
        """All, by name."""
        ...

    async def put_server(self, server: Server) -> None:
        """Make or replace one.

        BAD_VALUE for a pin or principal that is none, or if nothing would prove it; ALREADY_EXISTS for the principal
        of another.
        """
        ...

    async def delete_server(self, name: str) -> None:
        """Trust it no more."""
        ...

"""The directory as the layers above see it: accounts, recipients, domains, credentials and permissions.

Implementations: the embedded one (`directory.sqlite`); LDAP will follow. All methods are coroutines over frozen values.
Every address goes in as written and comes out in its key form (`model.addresses`). Reads are cheap enough to be asked
for every recipient. A change made by any process is seen by the next read in every process.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Protocol

import msgspec

from postern.model.credentials import ScramCredentials
from postern.model.ids import AccountId, MailboxId
from postern.model.items import Quota
from postern.model.rights import FolderRight, MailboxRight

ALL_PROTOCOLS = frozenset({"smtp", "imap", "pop3"})
"""What an account may log in to."""

DEFAULT_MEMBER = AccountId(0)
"""Grantee of folder rights that everybody who is authenticated has (Outlook's Default)."""
ANONYMOUS_MEMBER = AccountId(-1)
"""Grantee of folder rights of everybody else (Outlook's Anonymous)."""


class DomainKind(Enum):
    """Accepted domains, as Exchange names them."""

    AUTHORITATIVE = "authoritative"
    """All its recipients are here; unknown ones are refused at RCPT."""
    INTERNAL_RELAY = "internal_relay"
    """Known recipients are delivered, others are relayed to the next hop of the domain."""
    EXTERNAL_RELAY = "external_relay"
    """Everything is relayed on."""


class Domain(msgspec.Struct, frozen=True):
    """An accepted domain."""

    name: str
    """A-labels, lower case."""
    kind: DomainKind = DomainKind.AUTHORITATIVE
    catch_all: str = ""
    """Where mail for unknown recipients goes; empty: it is refused."""


class Account(msgspec.Struct, frozen=True):
    """A user or a shared mailbox."""

    id: AccountId
    address: str
    """Primary SMTP address."""
    display_name: str
    mailbox: MailboxId | None
    slot: int
    """The mailbox's place in the bus table, >= 1; never reused."""
    quota: Quota
    enabled: bool = True
    """May log in; mail is delivered regardless."""
    shared: bool = False
    """A shared mailbox: nobody logs in to it directly."""
    admin: bool = False
    protocols: frozenset[str] = ALL_PROTOCOLS
    forward_to: tuple[str, ...] = ()
    forward_keep: bool = True
    """With `forward_to`: also deliver to the mailbox (DeliverToMailboxAndForward)."""


class Group(msgspec.Struct, frozen=True):
    """A distribution group."""

    id: AccountId
    address: str
    display_name: str
    members: tuple[str, ...]
    """Addresses: accounts, other groups, aliases, people elsewhere."""
    authenticated_only: bool = False
    """Only authenticated senders may write to it (RequireSenderAuthenticationEnabled)."""
    owner: str = ""
    """Who gets the bounces of its members; empty: the sender."""


class Alias(msgspec.Struct, frozen=True):
    """Another address of something, or a contact elsewhere."""

    address: str
    targets: tuple[str, ...]


class Via(Enum):
    """How an address led to its object."""

    EXACT = "exact"
    ALIAS = "alias"
    PLUS = "plus"
    ROLE = "role"
    """postmaster or abuse without a mailbox of that name (RFC 5321 4.5.1, RFC 2142)."""
    CATCH_ALL = "catch_all"


class Resolution(msgspec.Struct, frozen=True):
    """What an address is. Exactly one of account, group, targets is set if `known`."""

    address: str
    """Key form of what was asked for."""
    domain: Domain | None
    """The accepted domain; None: somewhere else (relay)."""
    account: Account | None = None
    group: Group | None = None
    targets: tuple[str, ...] = ()
    """Addresses that mail to this one goes to instead; resolve them in turn, with loop detection."""
    via: Via = Via.EXACT
    tag: str = ""
    """What followed the `+`, for filing."""

    @property
    def known(self) -> bool:
        """Whether the organisation has such a recipient."""
        return self.account is not None or self.group is not None or bool(self.targets)

    @property
    def relay(self) -> bool:
        """Whether mail to this address leaves: another's domain, or an unknown recipient of a relay domain."""
        if self.known:
            return False
        return self.domain is None or self.domain.kind is not DomainKind.AUTHORITATIVE


class NewAccount(msgspec.Struct, frozen=True):
    """An account to be made."""

    address: str
    display_name: str = ""
    password_hash: str = ""
    """`{SCHEME}value`; empty: nobody can log in with a password."""
    scram: ScramCredentials | None = None
    quota: Quota = Quota(None, None, None)
    shared: bool = False
    admin: bool = False
    protocols: frozenset[str] = ALL_PROTOCOLS
    mailbox: MailboxId | None = None
    """A given GUID (restore, tests); None makes a new one."""


class AccountChange(msgspec.Struct, frozen=True):
    """What to change; None leaves a field as it is."""

    address: str | None = None
    """New primary address; the old one stays as an alias."""
    display_name: str | None = None
    quota: Quota | None = None
    enabled: bool | None = None
    admin: bool | None = None
    protocols: frozenset[str] | None = None
    forward_to: tuple[str, ...] | None = None
    forward_keep: bool | None = None


class FolderPermission(msgspec.Struct, frozen=True):
    """One row of a folder's permission table."""

    folder: int
    """FolderId; 0 is the mailbox's default for folders without a row."""
    grantee: AccountId
    """Account or group, or DEFAULT_MEMBER, ANONYMOUS_MEMBER."""
    address: str
    """The grantee's address, `default` or `anonymous`."""
    rights: FolderRight


class MailboxPermission(msgspec.Struct, frozen=True):
    """One right on a whole mailbox."""

    grantee: AccountId
    address: str
    right: MailboxRight


class Directory(Protocol):
    """Refusals: ALREADY_EXISTS, NO_SUCH_RECIPIENT, BAD_NAME, CONFLICT, READ_ONLY, DISK_FULL, TRY_LATER."""

    # --- reading
    async def resolve(self, address: str) -> Resolution:
        """What an address is; cached until the directory changes. Unknown is an answer, a malformed one too."""
        ...

    async def domain(self, name: str) -> Domain | None:
        """The accepted domain of that name."""
        ...

    async def login(self, name: str) -> Account | None:
        """The account that someone logs in as: its address or an alias of it."""
        ...

    async def account(self, account: AccountId) -> Account | None:
        """By number."""
        ...

    async def account_of(self, mailbox: MailboxId) -> Account | None:
        """Whose mailbox that is."""
        ...

    async def password_hash(self, account: AccountId) -> str:
        """`{SCHEME}value`, empty if there is none."""
        ...

    async def scram(self, account: AccountId) -> ScramCredentials | None:
        """SCRAM-SHA-256 keys, None if the password was imported as a hash."""
        ...

    async def sample_hash(self) -> str:
        """A hash of the kind most accounts have (empty if none): the work done for an unknown user."""
        ...

    async def secret(self, name: str) -> bytes:
        """32 unpredictable octets of that name, the same in every process and for ever; made at first use."""
        ...

    async def accounts(self) -> Sequence[Account]:
        """All, by address."""
        ...

    async def groups(self) -> Sequence[Group]:
        """All, by address."""
        ...

    async def aliases(self) -> Sequence[Alias]:
        """All, by address."""
        ...

    async def domains(self) -> Sequence[Domain]:
        """All; the first is the default domain."""
        ...

    # --- permissions
    async def mailbox_rights(self, owner: MailboxId, account: AccountId) -> frozenset[MailboxRight]:
        """What was granted to an account, also by way of its groups."""
        ...

    async def folder_rights(self, owner: MailboxId, account: AccountId) -> Mapping[int, FolderRight]:
        """Folder -> rights that an account has, also by way of its groups and Default; 0 is the mailbox's default."""
        ...

    async def reachable(self, account: AccountId) -> Sequence[Account]:
        """Other accounts in whose mailboxes an account has any right."""
        ...

    async def mailbox_permissions(self, owner: MailboxId) -> Sequence[MailboxPermission]:
        """The table as granted."""
        ...

    async def folder_permissions(self, owner: MailboxId) -> Sequence[FolderPermission]:
        """The table as granted."""
        ...

    async def grant(self, owner: MailboxId, grantee: str, right: MailboxRight, *, granted: bool = True) -> None:
        """Give or take a right on a mailbox to an account or group."""
        ...

    async def set_folder_rights(self, owner: MailboxId, folder: int, grantee: str, rights: FolderRight | None) -> None:
        """Set a row; None removes it. `grantee` may be `default` or `anonymous`."""
        ...

    # --- writing
    async def create_accounts(self, new: Sequence[NewAccount]) -> Sequence[Account]:
        """Make accounts in one commit, all or none. Their domains must be accepted ones."""
        ...

    async def change_account(self, address: str, change: AccountChange) -> Account:
        """Change one account."""
        ...

    async def set_password(self, account: AccountId, password_hash: str, scram: ScramCredentials | None) -> None:
        """Replace the credentials."""
        ...

    async def delete_account(self, address: str) -> Account:
        """Remove an account, its aliases and permissions; its mailbox file is the caller's business."""
        ...

    async def put_domain(self, domain: Domain) -> None:
        """Make or replace an accepted domain."""
        ...

    async def delete_domain(self, name: str) -> None:
        """Raises CONFLICT while recipients use it."""
        ...

    async def put_alias(self, alias: Alias) -> None:
        """Make or replace an alias."""
        ...

    async def delete_alias(self, address: str) -> None:
        """Remove an alias."""
        ...

    async def put_group(
        self,
        address: str,
        *,
        display_name: str | None = None,
        authenticated_only: bool | None = None,
        owner: str | None = None,
    ) -> Group:
        """Make a group, or change one."""
        ...

    async def set_members(self, address: str, *, add: Sequence[str] = (), remove: Sequence[str] = ()) -> Group:
        """Change who is in a group."""
        ...

    async def delete_group(self, address: str) -> None:
        """Remove a group."""
        ...

    async def close(self) -> None:
        """Release the files."""
        ...

"""The directory as the layers above see it: accounts, recipients, domains, credentials and permissions.

One implementation answers (`directory.sqlite`), from one file. Directories elsewhere (Active Directory, LDAP) are
sources that hand their entries to `mirror`; see `directory.mirrored`. All methods are coroutines over frozen values.
Every address goes in as written and comes out in its key form (`model.addresses`). Reads are cheap enough to be asked
for every recipient. A change made by any process is seen by the next read in every process.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from postern.directory.facets import AddressBook, Administration, LifeCycle, Safeguarding, Servers, Sources
from postern.directory.mirrored import Conflict, Mirrored, Source, SourceEntry, SourceLink
from postern.directory.objects import (
    ALL_PROTOCOLS,
    ANONYMOUS_MEMBER,
    DEFAULT_MEMBER,
    DEFAULT_POLICY,
    EMBEDDED,
    GLOBAL,
    MAILBOX_KINDS,
    Account,
    AccountChange,
    AddressList,
    Alias,
    Contact,
    Details,
    Domain,
    DomainKind,
    Entry,
    FolderPermission,
    Group,
    LifeChanges,
    MailboxPermission,
    NewAccount,
    Policy,
    RecipientKind,
    Resolution,
    RoleAssignment,
    Server,
    Via,
)
from postern.model.credentials import ScramCredentials
from postern.model.ids import AccountId, MailboxId
from postern.model.rights import FolderRight, MailboxRight

__all__ = [
    "ALL_PROTOCOLS",
    "ANONYMOUS_MEMBER",
    "DEFAULT_MEMBER",
    "DEFAULT_POLICY",
    "EMBEDDED",
    "GLOBAL",
    "MAILBOX_KINDS",
    "Account",
    "AccountChange",
    "AddressList",
    "Alias",
    "Conflict",
    "Contact",
    "Details",
    "Directory",
    "Domain",
    "DomainKind",
    "Entry",
    "FolderPermission",
    "Group",
    "LifeChanges",
    "MailboxPermission",
    "Mirrored",
    "NewAccount",
    "Policy",
    "RecipientKind",
    "Resolution",
    "RoleAssignment",
    "Server",
    "Source",
    "SourceEntry",
    "SourceLink",
    "Via",
]


class Directory(AddressBook, Administration, LifeCycle, Safeguarding, Servers, Sources, Protocol):
    """Refusals: ALREADY_EXISTS, NO_SUCH_RECIPIENT, BAD_NAME, CONFLICT, READ_ONLY, DISK_FULL, TRY_LATER."""

    # --- reading
    async def state(self) -> int:
        """Another number whenever anything was written, by whichever process."""
        ...

    async def resolve(self, address: str) -> Resolution:
        """What an address is; cached until the directory changes. Unknown is an answer, a malformed one too."""
        ...

    async def read_ahead(self, addresses: Sequence[str]) -> None:
        """Read what `resolve` and the rights in these accounts' mailboxes will be asked for, together."""
        ...

    async def domain(self, name: str) -> Domain | None:
        """The accepted domain of that name."""
        ...

    async def login(self, name: str) -> Account | None:
        """The account that someone signs in as: its address, an alias of it, or a login name of its source."""
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

    async def derived_key(self, account: AccountId, kind: str) -> bytes | None:
        """What a mechanism needs of the present password and the password's hash cannot give; None if it is not kept.

        `kind`: `digest-sha-256 REALM`, `digest-md5 REALM` (RFC 7616 H(A1), hexadecimal), `nt` (MD4 of the password).
        """
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

    async def contacts(self) -> Sequence[Contact]:
        """All, by address."""
        ...

    async def disconnected(self) -> Sequence[tuple[Account, float]]:
        """Accounts that their source has no more, and since when; their mailboxes are kept until somebody decides."""
        ...

    # --- permissions
    async def mailbox_rights(self, owner: MailboxId, account: AccountId) -> frozenset[MailboxRight]:
        """What was granted to an account, also by way of its groups."""
        ...

    async def folder_rights(self, owner: MailboxId, account: AccountId) -> Mapping[int, FolderRight]:
        """Folder -> rights that an account has, also by way of its groups and Default; 0 is the mailbox's default."""
        ...

    async def recipient_rights(self, on: AccountId, account: AccountId) -> frozenset[MailboxRight]:
        """What was granted to an account on a group (or on a mailbox's owner), also by way of its groups."""
        ...

    async def reachable(self, account: AccountId) -> Sequence[Account]:
        """Other accounts in whose mailboxes an account has any right."""
        ...

    async def public_folders(self) -> Account | None:
        """The mailbox of public folders."""
        ...

    async def automapped(self, account: AccountId) -> Sequence[Account]:
        """Mailboxes that a mail program of an account opens by itself: FULL_ACCESS given to the account directly."""
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

    async def grant_on(
        self, address: str, grantee: str, right: MailboxRight, *, granted: bool = True, automapping: bool = True
    ) -> None:
        """The same on whatever has an address: SEND_AS and SEND_ON_BEHALF on groups. BAD_VALUE for FULL_ACCESS.

        `automapping`: of FULL_ACCESS, whether the grantee's mail program is told to open the mailbox by itself.
        """
        ...

    async def recipient_permissions(self, on: AccountId) -> Sequence[MailboxPermission]:
        """The table of a recipient as granted."""
        ...

    async def inherit_folder_rights(self, owner: MailboxId, parent: int, folder: int) -> None:
        """Give a new folder the rows that its parent has. Raises Refusal(NO_SUCH_RECIPIENT)."""
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

    async def upgrade_password(
        self, account: AccountId, old_hash: str, password_hash: str, scram: ScramCredentials
    ) -> None:
        """Store the same password otherwise, if its hash still is `old_hash`: nothing that is signed in ends."""
        ...

    async def put_derived_keys(self, account: AccountId, keys: Mapping[str, bytes]) -> None:
        """Keep keys of the present password, by kind. A new password drops them all: put them again after it."""
        ...

    async def drop_derived_key(self, account: AccountId, kind: str) -> None:
        """Forget a key of a kind, if there is one."""
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

    async def put_proxy(self, address: str, proxy: str, *, present: bool = True) -> None:
        """Give an account or group another address, or take it away."""
        ...

    async def put_contact(
        self, address: str, *, target: str | None = None, display_name: str | None = None, hidden: bool | None = None
    ) -> Contact:
        """Make a contact (its address is the target, or one of ours), or change one."""
        ...

    async def delete_contact(self, address: str) -> None:
        """Remove a contact."""
        ...

    async def put_group(
        self,
        address: str,
        *,
        display_name: str | None = None,
        authenticated_only: bool | None = None,
        owner: str | None = None,
        filter: str | None = None,
        hidden: bool | None = None,
    ) -> Group:
        """Make a group, or change one. `filter` makes it dynamic; an empty one makes it static again."""
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

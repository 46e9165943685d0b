"""What a directory holds, as frozen values: accounts, contacts, groups, domains, address lists, policies, roles."""

from __future__ import annotations

from enum import Enum

import msgspec

from postern.model.credentials import ScramCredentials
from postern.model.ids import AccountId, MailboxId
from postern.model.items import Quota
from postern.model.rights import AdminRole, FolderRight, MailboxRight

ALL_PROTOCOLS = frozenset({"smtp", "imap", "pop3", "http", "ldap"})
"""What an account may sign in to. The directory stores what is forbidden, so that a new protocol is allowed."""

DEFAULT_MEMBER = AccountId(0)
"""Grantee of folder rights that everybody who is authenticated has (Outlook's Default)."""
ANONYMOUS_MEMBER = AccountId(-1)
"""Grantee of folder rights of everybody else (Outlook's Anonymous)."""

EMBEDDED = ""
"""Name of the source of everything that was made here and not mirrored from elsewhere."""


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


class RecipientKind(Enum):
    """Exchange's RecipientTypeDetails."""

    USER = "user"
    SHARED = "shared"
    ROOM = "room"
    EQUIPMENT = "equipment"
    CONTACT = "contact"
    GROUP = "group"
    DYNAMIC_GROUP = "dynamic_group"
    PUBLIC = "public"
    """The mailbox that holds public folders."""


MAILBOX_KINDS = (
    RecipientKind.USER,
    RecipientKind.SHARED,
    RecipientKind.ROOM,
    RecipientKind.EQUIPMENT,
    RecipientKind.PUBLIC,
)


class Account(msgspec.Struct, frozen=True):
    """Something with a mailbox: a user, a shared mailbox, a room, a piece of equipment."""

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
    kind: RecipientKind = RecipientKind.USER
    admin: bool = False
    """Has the organisation role itself, and gets mail for postmaster."""
    protocols: frozenset[str] = ALL_PROTOCOLS
    """What it may sign in to: its own and its policy's."""
    forward_to: tuple[str, ...] = ()
    forward_keep: bool = True
    """With `forward_to`: also deliver to the mailbox (DeliverToMailboxAndForward)."""
    hidden: bool = False
    """Not shown in address lists."""
    expires_at: float | None = None
    """Seconds since the epoch from when on nobody signs in; None: never."""
    generation: int = 0
    """Grows whenever everything that was signed in before has to end: password, disabling, withdrawal of a role."""
    password_at: float | None = None
    """When the password was set, if known."""
    password_expires_at: float | None = None
    """When its password has to be a new one, by its policy."""
    policy: str = ""
    """Name of its policy; empty: the default one."""
    source: str = EMBEDDED
    """Name of the source it is mirrored from."""

    @property
    def shared(self) -> bool:
        """Nobody signs in to it directly: a shared mailbox, room or equipment."""
        return self.kind is not RecipientKind.USER


class Group(msgspec.Struct, frozen=True):
    """A distribution group."""

    id: AccountId
    address: str
    display_name: str
    members: tuple[str, ...]
    """Addresses: accounts, other groups, aliases, people elsewhere; of a dynamic group: whom its filter finds now."""
    authenticated_only: bool = False
    """Only authenticated senders may write to it (RequireSenderAuthenticationEnabled)."""
    owner: str = ""
    """Who gets the bounces of its members; empty: the sender."""
    filter: str = ""
    """RFC 4515 filter of a dynamic group; empty: the members are listed."""
    hidden: bool = False
    source: str = EMBEDDED


class Contact(msgspec.Struct, frozen=True):
    """Somebody elsewhere who is in the address book."""

    id: AccountId
    address: str
    """By which mail may be written to them here; the target itself if it has no address of ours."""
    display_name: str
    target: str
    """Where the mail goes."""
    hidden: bool = False
    source: str = EMBEDDED


class Alias(msgspec.Struct, frozen=True):
    """Another address of something (a proxy address), or an address that leads to several or elsewhere."""

    address: str
    targets: tuple[str, ...]


class Details(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the address book says of somebody. Empty: unknown. In brackets LDAP's names, where they differ."""

    given_name: str = ""
    """[givenName]"""
    surname: str = ""
    """[sn]"""
    initials: str = ""
    title: str = ""
    department: str = ""
    company: str = ""
    office: str = ""
    """[physicalDeliveryOfficeName]"""
    phone: str = ""
    """[telephoneNumber]"""
    mobile: str = ""
    home_phone: str = ""
    """[homePhone]"""
    fax: str = ""
    """[facsimileTelephoneNumber]"""
    street: str = ""
    """[streetAddress]"""
    city: str = ""
    """[l]"""
    state: str = ""
    """[st]"""
    postal_code: str = ""
    """[postalCode]"""
    country: str = ""
    """[co]"""
    manager: str = ""
    """Address of the superior."""
    notes: str = ""
    """[info]"""
    web_page: str = ""
    """[wWWHomePage]"""
    capacity: str = ""
    """How many a room seats. [msExchResourceCapacity]"""
    custom: dict[str, str] = {}
    """`1` to `15`. [extensionAttribute1 ...]"""


class Entry(msgspec.Struct, frozen=True):
    """A recipient as address books show it."""

    id: AccountId
    kind: RecipientKind
    address: str
    display_name: str
    details: Details
    proxies: tuple[str, ...] = ()
    """Its other addresses."""
    target: str = ""
    """Of a contact: where the mail goes."""
    hidden: bool = False
    photo: bool = False
    """Whether `photo()` has a picture."""
    source: str = EMBEDDED


class AddressList(msgspec.Struct, frozen=True):
    """A part of the address book. The one named GLOBAL has everybody."""

    name: str
    filter: str
    """RFC 4515."""
    by: str = ""
    """An attribute, such as `department`: the list falls into one list for each of its values, `Name/Value`."""


GLOBAL = "Global Address List"


class Policy(msgspec.Struct, frozen=True):
    """Limits of the accounts it is given to. None and 0: no limit of its own."""

    name: str
    protocols: frozenset[str] = ALL_PROTOCOLS
    quota: Quota = Quota(None, None, None)
    """For new mailboxes."""
    max_message_bytes: int = 0
    max_recipients: int = 0
    """Of one message."""
    password_min_length: int = 0
    password_classes: int = 0
    """Of lower case, upper case, digits, others: how many kinds a password needs, 0 to 4."""
    password_history: int = 0
    """How many of the last passwords may not be used again."""
    password_max_age_s: float = 0.0
    address_lists: tuple[str, ...] = ()
    """Names of the address lists its accounts see (`All Users`, `Departments/Sales`); empty: all of them."""


DEFAULT_POLICY = "default"


class RoleAssignment(msgspec.Struct, frozen=True):
    """An administrator's role."""

    role: AdminRole
    grantee: AccountId
    address: str
    """Of the account or group that has it."""
    scope: str = ""
    """RFC 4515 filter of the recipients it covers; empty: all, and the organisation itself."""


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
    kind: RecipientKind = RecipientKind.USER
    admin: bool = False
    protocols: frozenset[str] = ALL_PROTOCOLS
    mailbox: MailboxId | None = None
    """A given GUID (restore, tests); None makes a new one."""
    policy: str = ""


class AccountChange(msgspec.Struct, frozen=True):
    """What to change; None leaves a field as it is."""

    address: str | None = None
    """New primary address; the old one stays as an alias."""
    display_name: str | None = None
    quota: Quota | None = None
    enabled: bool | None = None
    kind: RecipientKind | None = None
    admin: bool | None = None
    protocols: frozenset[str] | None = None
    forward_to: tuple[str, ...] | None = None
    forward_keep: bool | None = None
    hidden: bool | None = None
    expires_at: float | None = None
    """Seconds since the epoch; 0 takes an expiry away."""
    policy: str | None = None


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
    """One right on a whole mailbox or on a group (send-as, send-on-behalf)."""

    grantee: AccountId
    address: str
    right: MailboxRight


class Server(msgspec.Struct, frozen=True):
    """One of the organisation's other servers, and what proves that it is it."""

    name: str
    """Host name; what send connectors call it."""
    pins: tuple[str, ...] = ()
    """SHA-256 of the keys (SubjectPublicKeyInfo) it may show, hexadecimal: the present one and perhaps the next."""
    by_authority: bool = False
    """A certificate of the organisation's own authority with this name proves it as well."""
    principal: str = ""
    """As whom it signs in with Kerberos, realm and all (`HUB2$@CORP.EXAMPLE.ORG`); empty: it does not."""
    front_end: bool = False
    """It may act for users: sign in as itself and open the mailbox of whom it names."""


class LifeChanges(msgspec.Struct, frozen=True):
    """What happened to accounts since a generation."""

    generation: int
    """The directory's number now."""
    accounts: tuple[AccountId, ...]
    """Accounts to look at again: changed, disabled, removed."""
    rights: bool = False
    """A right was withdrawn or a group lost a member: look again at sessions in others' mailboxes."""
    everybody: bool = False
    """Look again at every session: a policy changed."""

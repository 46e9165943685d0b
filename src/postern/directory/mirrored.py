"""What a source of accounts elsewhere (Active Directory, LDAP) hands to the directory, and what comes of it.

A source reads its server and calls `Directory.mirror`; the directory keeps each entry under the source's own anchor
and projects it into accounts, contacts and groups, so that every look-up stays one look into one file, whether the
server answers or not.
"""

from __future__ import annotations

import msgspec

from postern.directory.objects import Account, Details, RecipientKind
from postern.model.ids import MailboxId

EMBEDDED_PRECEDENCE = 0


class Source(msgspec.Struct, frozen=True):
    """A directory elsewhere."""

    name: str
    """As the administrator calls it, for example `ad.example.org`."""
    kind: str
    """`ad` or `ldap`: the program that reads it."""
    precedence: int = 10
    """If two sources claim an address, the lower number has it; what was made here has 0."""
    adopt: bool = False
    """An account that was made here under the address of a new entry becomes the entry's, with its mailbox."""
    settings: str = ""
    """JSON; the source's own business (server, base, attribute map)."""
    state: str = ""
    """JSON; the source's own business (invocation id, highest USN, cookie), set by each `mirror`."""
    synchronised_at: float | None = None
    """When `mirror` last said that it is complete up to now."""


class SourceEntry(msgspec.Struct, frozen=True):
    """An entry as it is in its source now; all of it, not a difference."""

    anchor: str
    """Never changes and never comes again: objectGUID, entryUUID."""
    kind: RecipientKind
    """USER, SHARED, ROOM, EQUIPMENT, CONTACT or GROUP."""
    address: str
    """Primary address; empty: a group that has none, for rights and roles only."""
    display_name: str = ""
    dn: str = ""
    """Where it is; members may be named by it, password checks may need it."""
    proxies: tuple[str, ...] = ()
    """Other SMTP addresses."""
    login_names: tuple[str, ...] = ()
    """What else one signs in with: userPrincipalName, `DOMAIN\\\\name`, `name@REALM`. Case is ignored."""
    enabled: bool = True
    expires_at: float | None = None
    """Seconds since the epoch."""
    password_at: float | None = None
    """When its password was set (pwdLastSet): a later one ends what was signed in before."""
    hidden: bool = False
    details: Details = Details()
    photo: bytes | None = None
    members: tuple[str, ...] = ()
    """Of a group: anchors or DNs of entries of the same source, or addresses. Those not known yet are kept in mind."""
    target: str = ""
    """Of a contact: where its mail goes."""
    forward_to: tuple[str, ...] = ()
    """altRecipient, as addresses."""
    forward_keep: bool = True
    mailbox: MailboxId | None = None
    """A mailbox GUID that the source knows (msExchMailboxGuid); None makes a new one for a new account."""


class Conflict(msgspec.Struct, frozen=True):
    """An address that an entry claims and somebody of higher precedence has."""

    source: str
    anchor: str
    address: str
    holder: str
    """Primary address of who has it."""


class Mirrored(msgspec.Struct, frozen=True):
    """What a `mirror` did."""

    added: tuple[Account, ...] = ()
    """New accounts; their mailboxes are the caller's to make."""
    changed: int = 0
    removed: int = 0
    """Accounts that were disconnected (mailbox kept), contacts and groups that are gone."""
    conflicts: tuple[Conflict, ...] = ()


class SourceLink(msgspec.Struct, frozen=True):
    """Where a mirrored account comes from."""

    source: str
    anchor: str
    dn: str
    login_names: tuple[str, ...]

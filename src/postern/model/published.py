"""What mail programs are told of an organisation and of one of its people (Autodiscover, autoconfig, profiles, OAB)."""

from __future__ import annotations

from typing import Literal

import msgspec

from postern.model.ids import AccountId

ORGANISATION_DN = "/o=Postern/ou=Exchange Administrative Group (FYDIBOHF23SPDLT)"
"""Root of the names that MAPI clients use (MS-OXOABK 2.2.1.1)."""
_RECIPIENTS = f"{ORGANISATION_DN}/cn=Recipients/cn="


def legacy_dn(recipient: AccountId) -> str:
    """A recipient's name in MAPI (PidTagEmailAddress): the same in Autodiscover, EWS and the offline address book."""
    return f"{_RECIPIENTS}{recipient:08x}"


def by_legacy_dn(name: str) -> AccountId | None:
    """Whose name that is; None for what is none of ours. Letter case does not count (MS-OXOABK 2.2.1.1)."""
    folded = name.casefold()
    if not folded.startswith(_RECIPIENTS.casefold()):
        return None
    digits = folded[len(_RECIPIENTS) :]
    if len(digits) != 8 or any(digit not in "0123456789abcdef" for digit in digits):
        return None
    return AccountId(int(digits, 16))


class MailServer(msgspec.Struct, frozen=True):
    """A listener that mail programs sign in to."""

    kind: Literal["imap", "pop3", "smtp"]
    host: str
    port: int
    implicit: bool
    """TLS from the first octet; else STARTTLS."""


class PublishedSite(msgspec.Struct, frozen=True, kw_only=True):
    """What answers. An empty URL: nobody does, and no client is told of it."""

    hostname: str
    servers: tuple[MailServer, ...] = ()
    """Of each kind the best one first."""
    autodiscover: str = ""
    ews: str = ""
    oab: str = ""
    """Ends at a slash."""
    owa: str = ""
    activesync: str = ""
    mapi: str = ""
    """`https://host/mapi/`."""
    packages: tuple[str, ...] = ("Basic",)
    """What HTTP sign-in takes: Negotiate, NTLM, Basic."""

    def best(self, kind: str) -> MailServer | None:
        """The server to use for a kind."""
        return next((server for server in self.servers if server.kind == kind), None)


class Alternative(msgspec.Struct, frozen=True):
    """Somebody else's mailbox that a client opens by itself (automapping)."""

    address: str
    display_name: str


class PublishedPerson(msgspec.Struct, frozen=True, kw_only=True):
    """One mailbox."""

    address: str
    """Primary address."""
    display_name: str
    legacy_dn: str
    mailbox: str
    """GUID, 36 characters."""
    deployment: str
    """The organisation's GUID, 36 characters."""
    alternatives: tuple[Alternative, ...] = ()

    @property
    def domain(self) -> str:
        """Of the address."""
        return self.address.rpartition("@")[2]


class Redirection(msgspec.Struct, frozen=True):
    """The address leads to another one: its server knows more."""

    address: str


def dashed(digits: str) -> str:
    """A GUID of 32 hexadecimal digits in the usual form."""
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:32]))

"""What rules decide about one message for one mailbox: the one list that Sieve scripts and inbox rules compile to."""

from __future__ import annotations

import msgspec

from postern.model.ids import FolderId
from postern.model.items import SpecialUse


class Target(msgspec.Struct, frozen=True):
    """A folder: by number, by distinguished use, or by name; the first that is given and there. Else INBOX."""

    name: str = ""
    """Path with `/` between levels, as IMAP shows it."""
    special: SpecialUse = SpecialUse.NONE
    folder: FolderId | None = None
    create: bool = False
    """Make it if it is not there (RFC 5490 3.2)."""


INBOX = Target("INBOX", SpecialUse.INBOX)


class Store(msgspec.Struct, frozen=True):
    """Put a copy into a folder."""

    target: Target = INBOX
    flags: tuple[str, ...] = ()
    """IMAP flags and keywords."""
    header: bytes | None = None
    """Its header block with the blank line, if rules have changed it (RFC 5293)."""
    properties: tuple[tuple[str, str | int | tuple[str, ...]], ...] = ()
    """MS-OXPROPS values that inbox rules set."""


class Redirect(msgspec.Struct, frozen=True):
    """Send the message on as it is (RFC 5228 4.2)."""

    address: str
    header: bytes | None = None


class Forward(msgspec.Struct, frozen=True):
    """Send the message on as the mailbox's own message (MS-OXWSRULES 2.2.4.10 ForwardToRecipients)."""

    addresses: tuple[str, ...]
    attached: bool = False
    """As an attachment, untouched."""


class Reject(msgspec.Struct, frozen=True):
    """Give the message back to its sender with a reason (RFC 5429)."""

    text: str
    status: bool = False
    """`ereject`: as a delivery status notification; else as a disposition notification."""


class Vacation(msgspec.Struct, frozen=True):
    """Answer the sender, once in a while (RFC 5230)."""

    reason: str
    mime: bool = False
    """`reason` is a MIME entity with its header."""
    subject: str = ""
    sender: str = ""
    """From, if it is not the mailbox's address."""
    addresses: tuple[str, ...] = ()
    """Further addresses that are the owner's."""
    handle: str = ""
    """Replies of one handle are the same reply."""
    seconds: int = 7 * 86400
    """How long the same sender gets no other one."""


class TemplateReply(msgspec.Struct, frozen=True):
    """Answer with a message that lies in the mailbox (MS-OXWSRULES ServerReplyWithMessage)."""

    item: int


Action = Store | Redirect | Forward | Reject | Vacation | TemplateReply


class Remember(msgspec.Struct, frozen=True):
    """A message's id that `duplicate` has looked at (RFC 7352)."""

    name: str
    """Digest of handle and id."""
    seconds: int


class Decision(msgspec.Struct, frozen=True):
    """What becomes of a message. No Store at all: no copy is kept."""

    actions: tuple[Action, ...] = (Store(),)
    problem: str = ""
    """Why the rules could not be followed to their end; the message is kept then."""
    remember: tuple[Remember, ...] = ()
    implicit: bool = True
    """The rules said nothing about where it goes: whatever comes next may."""
    junk: bool = False
    """It went to Junk: nobody is answered."""


KEEP = Decision()

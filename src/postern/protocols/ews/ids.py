"""Ids as clients keep them: opaque text that says where something is and grants nothing.

A folder's, item's or attachment's id is base64 of: one octet for the form, one for the kind, the mailbox's GUID, the
folder's number (48 bits), the item's number (48 bits; not for folders), the attachment's section as octets (only for
attachments), and two octets of a checksum that tell rubbish from a thing that is gone. Comparing is by exact text:
some clients fold case, so two ids never differ in case alone within one mailbox as long as numbers stay small.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from datetime import date
from typing import Union

import msgspec

from postern.model.ids import FolderId, ItemId, MailboxId
from postern.protocols.ews.violation import EwsViolation

_FORM = 0x01
_FOLDER, _ITEM, _ATTACHMENT, _CONVERSATION, _OCCURRENCE, _PERSONA = 0x46, 0x49, 0x41, 0x43, 0x4F, 0x50
MAX_TEXT = 512

ROOT = FolderId(0xFFFF_FFFF_FFFF)
"""The mailbox's own root, of which everything is a descendant; no folder of the store."""
TOP = FolderId(0)
"""The top of information store (msgfolderroot): the parent of what the store keeps at the top."""
NO_CHANGE = ""
NOBODYS = MailboxId("0" * 32)
"""Where personas are that the address book has."""


class FolderKey(msgspec.Struct, frozen=True):
    """Where a folder is."""

    mailbox: MailboxId
    folder: FolderId


class ItemKey(msgspec.Struct, frozen=True):
    """Where an item is."""

    mailbox: MailboxId
    folder: FolderId
    item: ItemId
    day: int = 0
    """One occurrence of a series: its original day as an ordinal; 0: the item itself."""


class AttachmentKey(msgspec.Struct, frozen=True):
    """Where an attachment is."""

    mailbox: MailboxId
    folder: FolderId
    item: ItemId
    section: str
    """As IMAP counts parts: `2.1`."""

    @property
    def parent(self) -> ItemKey:
        """The item it belongs to."""
        return ItemKey(self.mailbox, self.folder, self.item)


class ConversationKey(msgspec.Struct, frozen=True):
    """A conversation of a mailbox."""

    mailbox: MailboxId
    number: int
    """Columns.CONVERSATION of its items."""


Key = Union[FolderKey, ItemKey, AttachmentKey]  # noqa: UP007 - msgspec's form


def _seal(kind: int, raw: bytes) -> str:
    body = bytes((_FORM, kind)) + raw
    return base64.b64encode(body + (zlib.crc32(body) & 0xFFFF).to_bytes(2, "big")).decode()


def _place(mailbox: MailboxId, folder: FolderId) -> bytes:
    # associated items lie under the negated number of their folder
    return bytes.fromhex(mailbox) + (folder % (1 << 48)).to_bytes(6, "big")


def folder_id(key: FolderKey) -> str:
    """A FolderId's Id."""
    return _seal(_FOLDER, _place(key.mailbox, key.folder))


def item_id(key: ItemKey) -> str:
    """An ItemId's Id."""
    place = _place(key.mailbox, key.folder) + key.item.to_bytes(6, "big")
    return _seal(_OCCURRENCE, place + key.day.to_bytes(3, "big")) if key.day else _seal(_ITEM, place)


def attachment_id(key: AttachmentKey) -> str:
    """An AttachmentId's Id."""
    place = _place(key.mailbox, key.folder) + key.item.to_bytes(6, "big")
    return _seal(_ATTACHMENT, place + key.section.encode("ascii"))


def persona_id(key: ItemKey) -> str:
    """A PersonaId's Id: a contact's place; of the address book, a recipient's number in the mailbox NOBODYS."""
    return _seal(_PERSONA, _place(key.mailbox, key.folder) + key.item.to_bytes(6, "big"))


def conversation_id(key: ConversationKey) -> str:
    """A ConversationId's Id."""
    return _seal(_CONVERSATION, bytes.fromhex(key.mailbox) + key.number.to_bytes(8, "big"))


class ItemIds:
    """Ids of many items of one folder: only what differs is put together for each."""

    def __init__(self, mailbox: MailboxId, folder: FolderId) -> None:
        self._head = bytes((_FORM, _ITEM)) + _place(mailbox, folder)
        self._sum = zlib.crc32(self._head)

    def of(self, item: int) -> str:
        """An ItemId's Id."""
        tail = item.to_bytes(6, "big")
        check = zlib.crc32(tail, self._sum) & 0xFFFF
        return binascii.b2a_base64(self._head + tail + check.to_bytes(2, "big"), newline=False).decode("ascii")


def read_conversation(text: str) -> ConversationKey:
    """A conversation's id. Raises EwsViolation."""
    kind, raw = _unseal(text)
    if kind != _CONVERSATION or len(raw) != 24:
        raise EwsViolation("ErrorInvalidIdMalformed", "The id is no conversation's.")
    return ConversationKey(MailboxId(raw[:16].hex()), int.from_bytes(raw[16:], "big"))


def read(text: str) -> Key:
    """What an id names. Raises EwsViolation(ErrorInvalidIdMalformed, ErrorInvalidIdEmpty)."""
    kind, raw = _unseal(text)
    mailbox, folder = MailboxId(raw[:16].hex()), FolderId(int.from_bytes(raw[16:22], "big"))
    rest = raw[22:]
    if kind != _FOLDER and folder >= 1 << 47:
        folder = FolderId(folder - (1 << 48))
    if kind == _FOLDER and not rest:
        return FolderKey(mailbox, folder)
    if kind == _ITEM and len(rest) == 6:
        return ItemKey(mailbox, folder, ItemId(int.from_bytes(rest, "big")))
    if kind == _OCCURRENCE and len(rest) == 9:
        day = int.from_bytes(rest[6:], "big")
        if 0 < day <= date.max.toordinal():
            return ItemKey(mailbox, folder, ItemId(int.from_bytes(rest[:6], "big")), day)
    if kind == _ATTACHMENT and len(rest) > 6 and rest[6:].isascii():
        return AttachmentKey(mailbox, folder, ItemId(int.from_bytes(rest[:6], "big")), rest[6:].decode())
    raise EwsViolation("ErrorInvalidIdMalformed", "The id is none of this server's.")


def _unseal(text: str) -> tuple[int, bytes]:
    """Kind, and what it names."""
    if not text:
        raise EwsViolation("ErrorInvalidIdEmpty", "An id is empty.")
    try:
        raw = base64.b64decode(text, validate=True) if len(text) <= MAX_TEXT else b""
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) < 26 or raw[0] != _FORM or zlib.crc32(raw[:-2]) & 0xFFFF != int.from_bytes(raw[-2:], "big"):
        raise EwsViolation("ErrorInvalidIdMalformed", "The id is none of this server's.")
    return raw[1], raw[2:-2]


def read_persona(text: str) -> ItemKey:
    """A persona's id. Raises EwsViolation(ErrorInvalidIdMalformed, ErrorInvalidIdEmpty)."""
    kind, raw = _unseal(text)
    if kind != _PERSONA or len(raw) != 28:
        raise EwsViolation("ErrorInvalidIdMalformed", "The id is no persona's.")
    numbers = FolderId(int.from_bytes(raw[16:22], "big")), ItemId(int.from_bytes(raw[22:], "big"))
    return ItemKey(MailboxId(raw[:16].hex()), *numbers)


def read_folder(text: str) -> FolderKey:
    """A folder's id. Raises EwsViolation(ErrorInvalidFolderId, ErrorInvalidIdMalformed)."""
    key = read(text)
    if not isinstance(key, FolderKey):
        raise EwsViolation("ErrorInvalidFolderId", "The id is no folder's.")
    return key


def read_item(text: str) -> ItemKey:
    """An item's id. Raises EwsViolation."""
    key = read(text)
    if isinstance(key, FolderKey):
        raise EwsViolation("ErrorCannotUseFolderIdForItemId", "The id is a folder's, not an item's.")
    if isinstance(key, AttachmentKey):
        raise EwsViolation("ErrorInvalidIdNotAnItemAttachmentId", "The id is an attachment's, not an item's.")
    return key


def read_attachment(text: str) -> AttachmentKey:
    """An attachment's id. Raises EwsViolation."""
    key = read(text)
    if not isinstance(key, AttachmentKey):
        raise EwsViolation("ErrorInvalidAttachmentId", "The id is no attachment's.")
    return key


_ITEM_CHANGE, _FOLDER_CHANGE = b"CQ", b"AQ"


def item_change(number: int) -> str:
    """An item's ChangeKey."""
    return binascii.b2a_base64(_ITEM_CHANGE + number.to_bytes(7, "big"), newline=False).decode("ascii")


def folder_change(number: int) -> str:
    """A folder's ChangeKey."""
    return binascii.b2a_base64(_FOLDER_CHANGE + number.to_bytes(7, "big"), newline=False).decode("ascii")


def read_change(text: str) -> int:
    """The change number of a ChangeKey. Raises EwsViolation(ErrorInvalidChangeKey)."""
    try:
        raw = base64.b64decode(text, validate=True) if len(text) <= MAX_TEXT else b""
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != 9 or raw[:2] not in (_ITEM_CHANGE, _FOLDER_CHANGE):
        raise EwsViolation("ErrorInvalidChangeKey", "The change key is none of this server's.")
    return int.from_bytes(raw[2:], "big")

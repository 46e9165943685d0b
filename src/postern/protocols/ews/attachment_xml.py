"""Attachments as XML (MS-OXWSATT 2.2.4)."""

from __future__ import annotations

from postern.formats.mime import header
from postern.formats.mime.anatomy import Part
from postern.protocols.ews import references
from postern.protocols.ews.item_table import Wish
from postern.protocols.ews.message_facts import Kept, MessageFacts, instant
from postern.protocols.ews.values import BOOL
from postern.protocols.ews.versions import Version
from postern.protocols.soap.writing import text


def attachment_xml(facts: MessageFacts, part: Part, version: Version, inner: str = "") -> str:
    """One element of Attachments; `inner` is what GetAttachment adds."""
    link = None
    if part.content_type == references.TYPE and version >= Version.EXCHANGE_2013:
        link = references.of_part(facts.content[part.header_start : part.start])
    kept = Kept(
        facts.attachment_ids.get(part.section, ""),
        part.name or (enclosed_name(facts, part) if part.enclosed else ""),
        part.content_type,
        part.content_id,
        part.size_estimate,
        inline=part.inline,
        enclosed=part.enclosed,
    )
    return _element(facts, kept, link, version, inner, part.location)


def enclosed_name(facts: MessageFacts, part: Part) -> str:
    """An attached message is called what its subject says."""
    head = facts.content[part.start : min(part.end, part.start + 16384)]
    value = header.first(head.partition(b"\r\n\r\n")[0] + b"\r\n", b"subject")
    return header.decode(value) if value else ""


def kept_xml(facts: MessageFacts, kept: Kept, version: Version, inner: str = "") -> str:
    """One element of Attachments of an item that is no message."""
    link = references.of_stored(kept.reference) if kept.reference and version >= Version.EXCHANGE_2013 else None
    return _element(facts, kept, link, version, inner)


def _element(
    facts: MessageFacts, kept: Kept, link: references.Reference | None, version: Version, inner: str, location: str = ""
) -> str:
    kind = "ItemAttachment" if kept.enclosed else "FileAttachment"
    if link is not None:
        kind, inner = "ReferenceAttachment", references.xml(link)
    pieces = [f'<t:AttachmentId Id="{kept.id}"/>' if kept.id else "", f"<t:Name>{text(kept.name)}</t:Name>"]
    if kept.content_type:
        pieces.append(f"<t:ContentType>{text(kept.content_type)}</t:ContentType>")
    if kept.content_id:
        pieces.append(f"<t:ContentId>{text(kept.content_id)}</t:ContentId>")
    if location:
        pieces.append(f"<t:ContentLocation>{text(location)}</t:ContentLocation>")
    if version >= Version.EXCHANGE_2010:
        pieces.append(f"<t:Size>{kept.size}</t:Size><t:LastModifiedTime>{instant(facts.saved_at)}</t:LastModifiedTime>")
        pieces.append(f"<t:IsInline>{BOOL[kept.inline]}</t:IsInline>")
        if kind == "FileAttachment":
            pieces.append(f"<t:IsContactPhoto>{BOOL[kept.photo]}</t:IsContactPhoto>")
    return f"<t:{kind}>{''.join(pieces)}{inner}</t:{kind}>"


def attachments_xml(facts: MessageFacts, wish: Wish) -> str:
    """`<t:Attachments>`; empty where there are none."""
    if facts.kept:
        rows = "".join(kept_xml(facts, one, wish.version) for one in facts.kept)
        return f"<t:Attachments>{rows}</t:Attachments>"
    found = facts.anatomy.attachments if facts.anatomy is not None else ()
    if not found:
        return ""
    return f"<t:Attachments>{''.join(attachment_xml(facts, one, wish.version) for one in found)}</t:Attachments>"

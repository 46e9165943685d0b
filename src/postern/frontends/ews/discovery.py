"""SearchMailboxes (MS-OXWSEDISC 3.1.4.6): one's own mailbox and those one may read, as far as one may.

All that fits is found and counted; only the items of a page are read. Their SortValue is their place in the order, so
that the next page begins behind it whatever has come or gone since.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Sequence
from typing import NamedTuple

from postern.frontends.ews import codes, querying
from postern.frontends.ews.box import Box, is_hidden
from postern.frontends.ews.call import Call
from postern.frontends.ews.loading import Loader, Wanted
from postern.model.ids import FolderId, MailboxId, Uid
from postern.model.items import Columns
from postern.model.query import Query
from postern.model.refusal import Reason, Refusal
from postern.protocols.ews import extended, ids, responses
from postern.protocols.ews.body_xml import preview
from postern.protocols.ews.discovery_requests import MailboxQuery, Scope, SearchMailboxes
from postern.protocols.ews.message_facts import MessageFacts, instant
from postern.protocols.ews.paths import Field
from postern.protocols.ews.values import BOOL, IMPORTANCE
from postern.protocols.ews.violation import EwsViolation
from postern.protocols.soap.writing import text

_GUID = re.compile(r"[0-9a-f]{32}").fullmatch
_COLUMNS = Columns.UID | Columns.SIZE | Columns.MESSAGE_ID | Columns.ITEM_ID
_SORTS = {
    "item:DateTimeReceived": Columns.RECEIVED_AT,
    "item:DateTimeSent": Columns.SENT_AT,
    "item:DateTimeCreated": Columns.SAVED_AT,
    "item:Size": Columns.SIZE,
    "item:Subject": Columns.SUBJECT,
}
MAX_SORT_VALUE = 500


class Hit(NamedTuple):
    """An item that fits, in the order of its fields."""

    key: str
    """What it is sorted by, as text in the same order."""
    id: str
    box: Box
    folder: FolderId
    uid: Uid
    size: int
    message_id: str

    @property
    def reference(self) -> str:
        """Its SortValue."""
        return f"{self.key}|{self.id}"


class _Failed(NamedTuple):
    scope: Scope
    said: str


async def search_mailboxes(call: Call, request: SearchMailboxes) -> str:
    """SearchMailboxes."""

    async def one(asked: SearchMailboxes) -> str:
        return await _result(call, asked)

    message = "SearchMailboxesResponseMessage"
    return responses.response("SearchMailboxes", await call.each(message, [request], one))


async def _result(call: Call, request: SearchMailboxes) -> str:
    path = request.order.path
    column = _SORTS.get(path.uri) if isinstance(path, Field) else None
    if column is None:
        raise EwsViolation("ErrorUnsupportedPathForSortGroup", "Search results cannot be sorted by that property.")
    hits: dict[str, Hit] = {}
    failed: list[_Failed] = []
    statistics: list[tuple[str, list[Hit]]] = []
    for asked in request.queries:
        query = querying.parse(call, asked.query)
        of_query: list[Hit] = []
        for scope in asked.scopes:
            if scope.where == "ArchiveOnly":
                failed.append(_Failed(scope, "The mailbox has no archive."))
                continue
            try:
                box = await _box(call, scope.mailbox)
                of_query += await _hits(box, query, column)
            except Refusal as refusal:
                failed.append(_Failed(scope, codes.of(refusal).text))
        statistics.append((asked.query, of_query))
        hits |= {hit.id: hit for hit in of_query}
    ordered = sorted(hits.values(), key=lambda hit: (hit.key, hit.id), reverse=request.order.descending)
    if request.deduplicate:
        ordered = list({hit.message_id or hit.id: hit for hit in reversed(ordered)}.values())[::-1]
    page = [] if request.statistics else _page(ordered, request)
    return (
        f"<m:SearchMailboxesResult><t:SearchQueries>{''.join(map(_asked, request.queries))}</t:SearchQueries>"
        f"<t:ResultType>{'StatisticsOnly' if request.statistics else 'PreviewOnly'}</t:ResultType>"
        f"<t:ItemCount>{len(ordered)}</t:ItemCount><t:Size>{sum(hit.size for hit in ordered)}</t:Size>"
        f"<t:PageItemCount>{len(page)}</t:PageItemCount>"
        f"<t:PageItemSize>{sum(hit.size for hit in page)}</t:PageItemSize>"
        f"{_keywords(statistics) if request.statistics else await _items(page, request)}{_failures(failed)}"
        f"{_mailboxes(ordered) if request.statistics else ''}</m:SearchMailboxesResult>"
    )


async def _box(call: Call, name: str) -> Box:
    """A mailbox by reference or address. Raises Refusal."""
    plain = name.lower().replace("-", "")
    if _GUID(plain):
        return await call.box(MailboxId(plain))
    return await call.box_of(name)


async def _hits(box: Box, query: Query, column: Columns) -> list[Hit]:
    """What fits in the folders that are seen and may be read. Raises Refusal."""
    found: list[Hit] = []
    columns = _COLUMNS | column
    order = [one for one in Columns if one & columns]
    at = {one: order.index(one) for one in (column, *(c for c in Columns if c & _COLUMNS))}
    every = await box.folders()
    for folder in list(every.values()):
        if is_hidden(folder, every):
            continue
        try:
            uids = await querying.found(box, folder.id, query)
        except Refusal as refusal:
            if refusal.reason in (Reason.NOT_PERMITTED, Reason.NO_SUCH_FOLDER):
                continue  # seen, but not to be read
            raise
        item_ids = ids.ItemIds(box.id, folder.id)
        for row in await box.rows(folder.id, columns, uids):
            found.append(
                Hit(
                    _sortable(row[at[column]]),
                    item_ids.of(row[at[Columns.ITEM_ID]]),
                    box,
                    folder.id,
                    row[at[Columns.UID]],
                    row[at[Columns.SIZE]],
                    row[at[Columns.MESSAGE_ID]],
                )
            )
        await asyncio.sleep(0)
    return found


def _sortable(value: object) -> str:
    """A value as text that sorts as it does."""
    if isinstance(value, int):
        return f"{max(value, 0):020}"
    return " ".join(str(value or "").casefold().split())[:MAX_SORT_VALUE]


def _page(ordered: Sequence[Hit], request: SearchMailboxes) -> list[Hit]:
    if not request.reference:
        return list(ordered[: request.size])
    key, _, id_ = request.reference.rpartition("|")
    place = (key, id_)
    descending = request.order.descending
    before = [hit for hit in ordered if ((hit.key, hit.id) > place if descending else (hit.key, hit.id) < place)]
    if request.backwards:
        return before[-request.size :]
    here = len(before) + (len(before) < len(ordered) and (ordered[len(before)].key, ordered[len(before)].id) == place)
    return list(ordered[here : here + request.size])


def _asked(query: MailboxQuery) -> str:
    scopes = "".join(
        f"<t:MailboxSearchScope><t:Mailbox>{text(one.mailbox)}</t:Mailbox><t:SearchScope>{one.where}</t:SearchScope>"
        "</t:MailboxSearchScope>"
        for one in query.scopes
    )
    return (
        f"<t:MailboxQuery><t:Query>{text(query.query)}</t:Query><t:MailboxSearchScopes>{scopes}"
        "</t:MailboxSearchScopes></t:MailboxQuery>"
    )


def _keywords(statistics: Sequence[tuple[str, list[Hit]]]) -> str:
    rows = "".join(
        f"<t:KeywordStat><t:Keyword>{text(query)}</t:Keyword><t:ItemHits>{len(hits)}</t:ItemHits>"
        f"<t:Size>{sum(hit.size for hit in hits)}</t:Size></t:KeywordStat>"
        for query, hits in statistics
    )
    return f"<t:KeywordStats>{rows}</t:KeywordStats>"


def _mailboxes(hits: Sequence[Hit]) -> str:
    boxes: dict[MailboxId, list[Hit]] = {}
    for hit in hits:
        boxes.setdefault(hit.box.id, []).append(hit)
    rows = "".join(
        f"<t:MailboxStat><t:MailboxId>{id_}</t:MailboxId><t:DisplayName>{text(own[0].box.owner.name)}</t:DisplayName>"
        f"<t:ItemCount>{len(own)}</t:ItemCount><t:Size>{sum(hit.size for hit in own)}</t:Size></t:MailboxStat>"
        for id_, own in boxes.items()
    )
    return f"<t:MailboxStats>{rows}</t:MailboxStats>" if rows else ""


def _failures(failed: Sequence[_Failed]) -> str:
    rows = "".join(
        f"<t:FailedMailbox><t:Mailbox>{text(one.scope.mailbox)}</t:Mailbox><t:ErrorCode>1</t:ErrorCode>"
        f"<t:ErrorMessage>{text(one.said)}</t:ErrorMessage>"
        f"<t:IsArchive>{BOOL[one.scope.where == 'ArchiveOnly']}</t:IsArchive></t:FailedMailbox>"
        for one in failed
    )
    return f"<t:FailedMailboxes>{rows}</t:FailedMailboxes>" if rows else ""


async def _items(page: Sequence[Hit], request: SearchMailboxes) -> str:
    content = not request.compact or any(extended.needs(one) > 1 for one in request.extended)
    by_place: dict[tuple[MailboxId, FolderId], list[Hit]] = {}
    for hit in page:
        by_place.setdefault((hit.box.id, hit.folder), []).append(hit)
    written: dict[str, str] = {}
    for (_, folder), own in by_place.items():
        loader = await Loader.open(own[0].box, folder, Wanted(True, header=True, content=content, structure=True))
        wanted = {hit.uid: hit for hit in own}
        async for uid, facts in loader.all([(uid, uid) for uid in sorted(wanted)]):
            written[wanted[uid].id] = _item(wanted[uid], facts, request)
            await asyncio.sleep(0)
    rows = "".join(written.get(hit.id, "") for hit in page)
    return f"<t:Items>{rows}</t:Items>"


def _people(facts: MessageFacts, name: str, field: bytes) -> str:
    rows = "".join(f"<t:SmtpAddress>{text(one.address)}</t:SmtpAddress>" for one in facts.people(field) if one.address)
    return f"<t:{name}>{rows}</t:{name}>" if rows else ""


def _item(hit: Hit, facts: MessageFacts, request: SearchMailboxes) -> str:
    same = hashlib.sha256((hit.message_id or hit.id).encode("utf-8", "replace")).hexdigest()[:32]
    sender = facts.people(b"from") or facts.people(b"sender")
    more = "".join(extended.xml(facts, path) for path in request.extended)
    pieces = [
        f'<t:Id Id="{facts.id}" ChangeKey="{facts.change_key}"/>',
        f"<t:Mailbox><t:MailboxId>{hit.box.id}</t:MailboxId><t:PrimarySmtpAddress>{text(hit.box.owner.address)}"
        "</t:PrimarySmtpAddress></t:Mailbox>",
        f'<t:ParentId Id="{facts.parent_id}" ChangeKey="{facts.parent_change_key}"/>',
        f"<t:ItemClass>{text(facts.message_class)}</t:ItemClass><t:UniqueHash>{same}</t:UniqueHash>",
        f"<t:SortValue>{text(hit.reference)}</t:SortValue>",
        f"<t:Sender>{text(sender[0].name or sender[0].address)}</t:Sender>" if sender else "",
        _people(facts, "ToRecipients", b"to"),
        _people(facts, "CcRecipients", b"cc"),
        _people(facts, "BccRecipients", b"bcc"),
        f"<t:CreatedTime>{instant(facts.saved_at)}</t:CreatedTime>",
        f"<t:ReceivedTime>{instant(facts.received_at)}</t:ReceivedTime>",
        f"<t:SentTime>{instant(facts.sent_at if facts.sent_at is not None else facts.received_at)}</t:SentTime>",
        f"<t:Subject>{text(facts.subject)}</t:Subject><t:Size>{facts.size}</t:Size>",
        "" if request.compact else f"<t:Preview>{text(preview(facts))}</t:Preview>",
        f"<t:Importance>{IMPORTANCE[facts.importance]}</t:Importance><t:Read>{BOOL[facts.read]}</t:Read>",
        f"<t:HasAttachment>{BOOL[facts.has_attachments]}</t:HasAttachment>",
        f"<t:ExtendedProperties>{more}</t:ExtendedProperties>" if more else "",
    ]
    return f"<t:SearchPreviewItem>{''.join(pieces)}</t:SearchPreviewItem>"

"""Query strings (AQS) over the items of a folder: by the mailbox's search, and by properties what has no MIME."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from postern.formats import aqs
from postern.formats.aqs import BadQueryError
from postern.frontends.ews.box import Box
from postern.frontends.ews.call import Call
from postern.frontends.ews.loading import Loader, Wanted
from postern.model.collation import fold
from postern.model.ids import FolderId, Uid
from postern.model.items import FolderClass
from postern.model.query import (
    All,
    And,
    BodyContains,
    HasFlags,
    HeaderContains,
    Not,
    Or,
    Query,
    ReceivedBetween,
    SentBetween,
    SizeAbove,
    SizeBelow,
    TextContains,
)
from postern.protocols.ews.message_facts import CLASSES, MessageFacts, body_of
from postern.protocols.ews.violation import EwsViolation


def parse(call: Call, text: str) -> Query:
    """A QueryString as a query. Raises EwsViolation for what is too much or cannot be read."""
    today: date = call.services.clock.now().date()
    try:
        return aqs.parse(text, today, strict=True)
    except aqs.QueryTooLongError as error:
        raise EwsViolation("ErrorQueryFilterTooLong", f"The query string is too long: {error}.") from error
    except aqs.TooManyTermsError as error:
        said = f"The query string has too much in it: {error}."
        raise EwsViolation("ErrorSearchQueryHasTooManyKeywords", said) from error
    except BadQueryError as error:
        raise EwsViolation("ErrorInvalidArgument", f"The query string cannot be read: {error}.") from error


async def search(call: Call, box: Box, folder: FolderId, text: str) -> list[Uid]:
    """UIDs of the folder's items that fit, ascending. Raises EwsViolation, Refusal."""
    return await found(box, folder, parse(call, text))


async def found(box: Box, folder: FolderId, query: Query) -> list[Uid]:
    """The same for a query."""
    matched = list(await box.access.search(folder, query))
    if (await box.folder(FolderId(abs(folder)))).folder_class is FolderClass.MAIL:
        return matched
    # the search knows the stand-ins of such items, which have little of what people look for
    things: set[Uid] = set()
    fitting: set[Uid] = set()
    loader = await Loader.open(box, folder, Wanted())
    async for uid, facts in loader.all():
        if facts.element in CLASSES:
            things.add(uid)
            if fits(facts, query):
                fitting.add(uid)
    return sorted(({*matched} - things) | fitting)


def fits(facts: MessageFacts, query: Query) -> bool:
    """Whether an item without MIME fits."""
    match query:
        case All():
            return True
        case And(of):
            return all(fits(facts, one) for one in of)
        case Or(of):
            return any(fits(facts, one) for one in of)
        case Not(of):
            return not fits(facts, of)
        case HasFlags(mask):
            return facts.flags & mask == mask
        case SizeAbove(octets):
            return facts.size > octets
        case SizeBelow(octets):
            return facts.size < octets
        case ReceivedBetween(start, end):
            return _between(facts.received_at, start, end)
        case SentBetween(start, end):
            return facts.sent_at is not None and _between(facts.sent_at, start, end)
        case HeaderContains(name, text):
            return name == "subject" and fold(text) in fold(facts.subject)
        case BodyContains(text):
            return fold(text) in fold(body_of(facts, "Text")[0])
        case TextContains(text):
            wanted = fold(text)
            return any(wanted in fold(one) for one in _texts(facts))
    raise TypeError(f"a query string makes no {query!r}")


def _between(value: int, start: int | None, end: int | None) -> bool:
    return (start is None or value >= start) and (end is None or value < end)


def _texts(facts: MessageFacts) -> Iterator[str]:
    yield facts.subject
    yield body_of(facts, "Text")[0]
    yield from facts.categories
    if facts.calendar is not None:
        yield facts.calendar.item.location
    for value in facts.properties.values():
        if isinstance(value, str):
            yield value
        elif isinstance(value, list):
            yield from (one for one in value if isinstance(one, str))

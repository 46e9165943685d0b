"""ResolveNames and ExpandDL (MS-OXWSRSLNM 3.1.4.1, MS-OXWSDLIST 3.1.4.1)."""

from __future__ import annotations

from postern.frontends.ews import contact_lookups
from postern.frontends.ews.call import Call
from postern.model.filters import Equal, Or, Substrings
from postern.model.refusal import Reason, Refusal
from postern.protocols.ews import responses
from postern.protocols.ews.lookup_requests import ExpandDL, ResolveNames
from postern.protocols.ews.versions import Version
from postern.protocols.ews.violation import EwsViolation
from postern.protocols.soap.writing import text
from postern.services.address_book import Entry

MAX_NAMES = 100
"""MS-OXWSRSLNM 2.2.4.1: what a ResolutionSet may hold."""
_KINDS = {"group": "PublicDL", "contact": "Contact"}
_NAMES = ("cn", "mail", "givenname", "sn", "displayname")


def _mailbox(address: str, name: str, kind: str, version: Version) -> str:
    inner = f"<t:Name>{text(name or address)}</t:Name><t:EmailAddress>{text(address)}</t:EmailAddress>"
    return f"<t:Mailbox>{inner}<t:RoutingType>SMTP</t:RoutingType><t:MailboxType>{kind}</t:MailboxType></t:Mailbox>"


async def resolve_names(call: Call, request: ResolveNames) -> str:
    """ResolveNames."""

    async def one(entry: str) -> str:
        if not entry:
            raise EwsViolation("ErrorInvalidNameForNameResolution", "There is no name to resolve.")
        own: list[str] = []
        if "Contacts" in request.scope and request.scope != "ActiveDirectoryContacts":
            own = await contact_lookups.resolve(call, entry, MAX_NAMES, full=request.full)
        people = await _look(call, entry) if request.scope != "Contacts" else []
        found = own + [_resolution(each, call.version, full=request.full) for each in people]
        if request.scope == "ActiveDirectoryContacts" and len(found) < MAX_NAMES:
            found += await contact_lookups.resolve(call, entry, MAX_NAMES, full=request.full)
        if not found:
            raise EwsViolation("ErrorNameResolutionNoResults", "Nobody has that name.")
        shown = found[:MAX_NAMES]
        rows = "".join(shown)
        last = "true" if len(found) == len(shown) else "false"
        attributes = f'TotalItemsInView="{len(shown)}" IncludesLastItemInRange="{last}"'
        content = f"<m:ResolutionSet {attributes}>{rows}</m:ResolutionSet>"
        if len(found) > 1:
            said = "Several have that name."
            return responses.warning(_MESSAGE, "ErrorNameResolutionMultipleResults", said, content)
        return content

    return responses.response("ResolveNames", await call.each(_MESSAGE, [request.entry], one))


_MESSAGE = "ResolveNamesResponseMessage"


async def _look(call: Call, entry: str) -> list[Entry]:
    entry = entry[:250]
    for prefix in ("smtp:", "="):
        if entry.lower().startswith(prefix):
            entry = entry[len(prefix) :]
    if "@" in entry:
        wanted = Or((Equal("mail", entry), Substrings("mail", entry, (), "")))
    else:
        wanted = Or(tuple(Substrings(name, entry, (), "") for name in _NAMES))
    search = await call.services.address_book.search(wanted)
    found: list[Entry] = []
    async for piece in search.pieces():
        found += [each for _, each in piece]
        if len(found) > MAX_NAMES:
            break
    return found


def _resolution(entry: Entry, version: Version, *, full: bool) -> str:
    kind = _KINDS.get(entry.kind.value, "Mailbox")
    mailbox = _mailbox(entry.address, entry.display_name, kind, version)
    return f"<t:Resolution>{mailbox}{_contact(entry) if full else ''}</t:Resolution>"


def _contact(entry: Entry) -> str:
    details = entry.details
    phones = "".join(
        f'<t:Entry Key="{key}">{text(value)}</t:Entry>'
        for key, value in (
            ("BusinessFax", details.fax),
            ("BusinessPhone", details.phone),
            ("HomePhone", details.home_phone),
            ("MobilePhone", details.mobile),
        )
        if value
    )
    places = "".join(
        f"<t:{name}>{text(value)}</t:{name}>"
        for name, value in (
            ("Street", details.street),
            ("City", details.city),
            ("State", details.state),
            ("CountryOrRegion", details.country),
            ("PostalCode", details.postal_code),
        )
        if value
    )
    address = f'<t:PhysicalAddresses><t:Entry Key="Business">{places}</t:Entry></t:PhysicalAddresses>' if places else ""
    rows = (
        ("DisplayName", entry.display_name or entry.address),
        ("GivenName", details.given_name),
        ("Initials", details.initials),
        ("CompanyName", details.company),
    )
    after = (
        ("Department", details.department),
        ("JobTitle", details.title),
        ("OfficeLocation", details.office),
        ("Surname", details.surname),
    )
    mails = f'<t:EmailAddresses><t:Entry Key="EmailAddress1">SMTP:{text(entry.address)}</t:Entry></t:EmailAddresses>'
    first = "".join(f"<t:{name}>{text(value)}</t:{name}>" for name, value in rows if value)
    last = "".join(f"<t:{name}>{text(value)}</t:{name}>" for name, value in after if value)
    numbers = f"<t:PhoneNumbers>{phones}</t:PhoneNumbers>" if phones else ""
    source = "<t:ContactSource>ActiveDirectory</t:ContactSource>"
    return f"<t:Contact>{first}{mails}{address}{numbers}{source}{last}</t:Contact>"


async def expand_dl(call: Call, request: ExpandDL) -> str:
    """ExpandDL."""

    async def one(address: str) -> str:
        if request.item is not None:
            return await contact_lookups.expand(call, request.item)
        try:
            found = await call.services.identities.members(address)
        except Refusal as refusal:
            if refusal.reason is Reason.NO_SUCH_RECIPIENT:
                raise EwsViolation("ErrorNameResolutionNoResults", "There is no such list.") from refusal
            raise
        kinds = {"mailbox": "Mailbox", "group": "PublicDL", "contact": "Contact"}
        rows = "".join(_mailbox(each.address, each.name, kinds[each.kind], call.version) for each in found)
        return f'<m:DLExpansion TotalItemsInView="{len(found)}" IncludesLastItemInRange="true">{rows}</m:DLExpansion>'

    return responses.response("ExpandDL", await call.each("ExpandDLResponseMessage", [request.address], one))

"""Autodiscover V2: one protocol's URL in JSON, asked for without a sign-in.

The answer is the same for every address of a domain, whether or not there is such a mailbox: nothing can be learned.
"""

from __future__ import annotations

import json
from urllib.parse import unquote

import msgspec

from postern.model.published import PublishedSite
from postern.protocols.autodiscover.query import parameters

PLACE = "/autodiscover.json"


class Query(msgspec.Struct, frozen=True):
    """What is asked for."""

    address: str
    protocol: str


def parse(path: str, query: bytes) -> Query:
    """From `/autodiscover/autodiscover.json[/v1.0/ADDRESS]?Email=&Protocol=`; parameters in any letter case."""
    given = parameters(query)
    _, _, rest = path.casefold().partition(PLACE)
    segments = [part for part in rest.split("/") if part]
    address = unquote(segments[-1]) if segments and "@" in segments[-1] else ""
    return Query(address or given.get("email", ""), given.get("protocol", ""))


def urls(site: PublishedSite) -> dict[str, str]:
    """Protocols that answer, by the names clients use."""
    found = {
        "AutodiscoverV1": site.autodiscover,
        "Ews": site.ews,
        "ActiveSync": site.activesync,
        "Rest": "",
        "OutlookService": "",
    }
    return {name: url for name, url in found.items() if url}


def answer(site: PublishedSite, query: Query, *, ours: bool) -> tuple[int, bytes]:
    """HTTP status and body; `ours` says whether the address lies in an accepted domain."""
    known = urls(site)
    if not query.address:
        return _problem(400, "MandatoryParameterMissing", "A valid smtp address must be provided")
    if not query.protocol:
        text = "A valid value must be provided for the query parameter 'Protocol'"
        return _problem(400, "MandatoryParameterMissing", text)
    name = next((one for one in known if one.casefold() == query.protocol.casefold()), "")
    if not name:
        text = f"The given protocol value '{query.protocol[:40]}' is invalid. Supported values are '{','.join(known)}'"
        return _problem(400, "InvalidProtocol", text)
    if not ours:
        return _problem(404, "UserNotFound", "The given user is not found")
    return 200, _json({"Protocol": name, "Url": known[name]})


def _problem(status: int, code: str, message: str) -> tuple[int, bytes]:
    return status, _json({"ErrorCode": code, "ErrorMessage": message})


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()

"""Small questions: ids in other formats, when a password expires."""

from __future__ import annotations

import base64
import binascii
from urllib.parse import quote, unquote

from postern.frontends.ews.call import Call
from postern.model.refusal import Reason, Refusal
from postern.protocols.ews import ids, responses
from postern.protocols.ews.lookup_requests import AlternateId, ConvertId, GetPasswordExpirationDate
from postern.protocols.ews.message_facts import instant
from postern.protocols.ews.names import DECLARED, TYPES
from postern.protocols.ews.violation import EwsViolation
from postern.protocols.soap.writing import attribute

NEVER = "9999-12-31T23:59:59Z"
_XSI = "http://www.w3.org/2001/XMLSchema-instance"


async def convert_id(call: Call, request: ConvertId) -> str:
    """ConvertId (MS-OXWSCVTID 3.1.4.1): every format is another spelling of the one id there is."""

    async def one(source: AlternateId) -> str:
        if source.element != "AlternateId":
            raise EwsViolation("ErrorUnsupportedTypeForConversion", "There are no public folders.")
        canonical = _canonical(source)
        ids.read(canonical)
        address = attribute(source.mailbox or call.principal.address)
        return (
            f'<m:AlternateId xmlns:xsi="{_XSI}" xmlns:t="{TYPES}" xsi:type="t:AlternateIdType" Format="{request.to}"'
            f' Id="{attribute(_spelled(canonical, request.to))}" Mailbox="{address}"/>'
        )

    return responses.response("ConvertId", await call.each("ConvertIdResponseMessage", request.ids, one))


def _canonical(source: AlternateId) -> str:
    """Raises EwsViolation(ErrorInvalidIdMalformed)."""
    try:
        if source.format == "HexEntryId":
            return base64.b64encode(bytes.fromhex(source.id)).decode()
        text = unquote(source.id) if source.format == "OwaId" else source.id
        return base64.b64encode(base64.b64decode(text, validate=True)).decode()
    except (ValueError, binascii.Error):
        raise EwsViolation("ErrorInvalidIdMalformed", "The id is none of this server's.") from None


def _spelled(canonical: str, to: str) -> str:
    if to == "HexEntryId":
        return base64.b64decode(canonical).hex().upper()
    return quote(canonical, safe="") if to == "OwaId" else canonical


async def get_password_expiration_date(call: Call, request: GetPasswordExpirationDate) -> str:
    """GetPasswordExpirationDate (MS-OXWSPED 3.1.4.1)."""
    try:
        ends = await call.services.identities.password_expires_at(call.principal, request.address)
    except Refusal as refusal:
        if refusal.reason in (Reason.NO_SUCH_RECIPIENT, Reason.NOT_PERMITTED):
            raise EwsViolation("ErrorNonExistentMailbox", "Only one's own password can be asked for.") from refusal
        raise
    when = NEVER if ends is None else instant(int(ends))
    return (
        f'<m:GetPasswordExpirationDateResponse {DECLARED} ResponseClass="Success"><m:ResponseCode>NoError'
        f"</m:ResponseCode><m:PasswordExpirationDate>{when}</m:PasswordExpirationDate>"
        "</m:GetPasswordExpirationDateResponse>"
    )

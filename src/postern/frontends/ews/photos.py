"""GetUserPhoto, SetUserPhoto (MS-OXWSCONT 3.1.4): the pictures of the address book, in the one size that there is."""

from __future__ import annotations

import base64

from postern.frontends.ews.call import Call
from postern.model.filters import Equal
from postern.model.refusal import Reason, Refusal
from postern.protocols.ews import responses
from postern.protocols.ews.lookup_requests import GetUserPhoto, SetUserPhoto
from postern.protocols.ews.names import DECLARED
from postern.protocols.ews.violation import EwsViolation

_UNCHANGED = "<m:HasChanged>false</m:HasChanged>"


async def get_user_photo(call: Call, request: GetUserPhoto) -> str:
    """GetUserPhoto. Who is hidden, who has no picture and who is not there get the same answer."""
    try:
        picture = await _picture(call, request.address)
    except EwsViolation as violation:
        answer = responses.error("GetUserPhotoResponse", violation.code, violation.text, _UNCHANGED)
    else:
        data = base64.b64encode(picture).decode()
        answer = responses.success(
            "GetUserPhotoResponse", f"<m:HasChanged>true</m:HasChanged><m:PictureData>{data}</m:PictureData>"
        )
    return answer.replace("<m:GetUserPhotoResponse ", f"<m:GetUserPhotoResponse {DECLARED} ", 1)


async def set_user_photo(call: Call, request: SetUserPhoto) -> str:
    """SetUserPhoto, for oneself. The schema has no message of its own for the answer; GetUserPhoto's says the same."""
    message = "GetUserPhotoResponseMessage"

    async def one(picture: bytes) -> str:
        try:
            await call.services.identities.set_photo(call.principal, request.address, picture)
        except Refusal as refusal:
            if refusal.reason is Reason.TOO_LARGE:
                raise EwsViolation("ErrorInvalidPhotoSize", "The picture is too large.") from refusal
            raise
        return "<m:HasChanged>true</m:HasChanged>"

    return responses.response("SetUserPhoto", await call.each(message, [request.picture], one, empty=_UNCHANGED))


async def _picture(call: Call, address: str) -> bytes:
    """Raises EwsViolation."""
    book = call.services.address_book
    if address:
        async for piece in (await book.search(Equal("mail", address))).pieces():
            for _, entry in piece:
                picture = await book.photo(entry.id) if entry.photo else None
                if picture:
                    return picture
    raise EwsViolation("ErrorItemNotFound", "There is no picture of that person.")

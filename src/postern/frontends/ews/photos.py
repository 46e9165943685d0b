"""GetUserPhoto and SetUserPhoto (MS-OXWSCONT 3.1.4): the pictures of the address book, each in the one size it has."""

from __future__ import annotations

import base64

from postern.frontends.ews.call import Call
from postern.model.filters import Equal
from postern.model.refusal import Reason, Refusal
from postern.protocols.ews import responses
from postern.protocols.ews.lookup_requests import GetUserPhoto
from postern.protocols.ews.people_requests import SetUserPhoto
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
    return responses.alone(answer)


async def set_user_photo(call: Call, request: SetUserPhoto) -> str:
    """SetUserPhoto: one's own, JPEG or PNG; whoever asks for one gets it as it is."""

    async def one(given: SetUserPhoto) -> str:
        try:
            await call.services.address_book.set_photo(call.principal, given.address, given.picture)
        except Refusal as refusal:
            if refusal.reason is Reason.TOO_LARGE:
                raise EwsViolation("ErrorInvalidPhotoSize", "A picture has 100 KiB at most.") from refusal
            if refusal.reason is Reason.BAD_VALUE:
                raise EwsViolation("ErrorInvalidRequest", "A picture is JPEG or PNG.") from refusal
            if refusal.reason is Reason.CONFLICT:
                said = "The picture comes from another directory, and is changed there."
                raise EwsViolation("ErrorAccessDenied", said) from refusal
            raise
        return ""

    return responses.alone(await call.each("SetUserPhotoResponse", [request], one))


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

"""GetUserPhoto (MS-OXWSCONT 3.1.4): the pictures of the address book, in the one size that there is."""

from __future__ import annotations

import base64

from postern.frontends.ews.call import Call
from postern.model.filters import Equal
from postern.protocols.ews import responses
from postern.protocols.ews.lookup_requests import GetUserPhoto
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

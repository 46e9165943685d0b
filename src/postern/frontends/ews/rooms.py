"""GetRoomLists and GetRooms (MS-OXWSGTRM 3.1.4)."""

from __future__ import annotations

from postern.frontends.ews.call import Call
from postern.model.refusal import Reason, Refusal
from postern.protocols.ews import responses
from postern.protocols.ews.violation import EwsViolation
from postern.protocols.soap.writing import text
from postern.services.rooms import Named


async def get_room_lists(call: Call, request: None) -> str:
    """GetRoomLists."""

    async def one(_: None) -> str:
        rows = "".join(
            f"<t:Address>{_address(each, 'PublicDL')}</t:Address>" for each in await call.services.rooms.lists()
        )
        return f"<m:RoomLists>{rows}</m:RoomLists>"

    return responses.alone(await call.each("GetRoomListsResponse", [request], one))


async def get_rooms(call: Call, address: str) -> str:
    """GetRooms."""

    async def one(address: str) -> str:
        try:
            found = await call.services.rooms.rooms(address)
        except Refusal as refusal:
            if refusal.reason is not Reason.NO_SUCH_RECIPIENT:
                raise
            raise EwsViolation("ErrorNameResolutionNoResults", "There is no such list of rooms.") from refusal
        rows = "".join(f"<t:Room><t:Id>{_address(each, 'Mailbox')}</t:Id></t:Room>" for each in found)
        return f"<m:Rooms>{rows}</m:Rooms>"

    return responses.alone(await call.each("GetRoomsResponse", [address], one))


def _address(one: Named, kind: str) -> str:
    return (
        f"<t:Name>{text(one.name)}</t:Name><t:EmailAddress>{text(one.address)}</t:EmailAddress>"
        f"<t:RoutingType>SMTP</t:RoutingType><t:MailboxType>{kind}</t:MailboxType>"
    )

"""GetDelegate, AddDelegate, UpdateDelegate, RemoveDelegate (MS-OXWSDLGM 3.1.4), over services.delegation."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from postern.frontends.ews.call import Call
from postern.frontends.ews.permission_xml import level
from postern.model.items import SpecialUse
from postern.model.refusal import Reason, Refusal
from postern.model.rights import ROLES
from postern.protocols.ews import responses
from postern.protocols.ews.delegate_requests import (
    FOLDERS,
    LEVELS,
    ChangeDelegates,
    DelegateUser,
    GetDelegate,
    RemoveDelegate,
)
from postern.protocols.ews.violation import EwsViolation
from postern.protocols.soap.writing import text
from postern.services.delegation import Acting, Change, Delegates, Delivery

T = TypeVar("T")
_USER = "DelegateUserResponseMessageType"
_USES = {
    "Calendar": SpecialUse.CALENDAR,
    "Tasks": SpecialUse.TASKS,
    "Inbox": SpecialUse.INBOX,
    "Contacts": SpecialUse.CONTACTS,
    "Notes": SpecialUse.NOTES,
    "Journal": SpecialUse.JOURNAL,
}
_CODES = {
    Reason.NO_SUCH_RECIPIENT: ("ErrorDelegateNoUser", "Nobody with an account here has that address."),
    Reason.BAD_VALUE: ("ErrorDelegateCannotAddOwner", "The owner of a mailbox is not a delegate of their own."),
    Reason.ALREADY_EXISTS: ("ErrorDelegateAlreadyExists", "That one is a delegate already."),
    Reason.NO_SUCH_ITEM: ("ErrorNotDelegate", "That one is no delegate."),
    Reason.TOO_MANY: ("ErrorDelegateValidationFailed", "A mailbox cannot have so many delegates."),
}
_BOOL = {True: "true", False: "false"}


async def get_delegate(call: Call, request: GetDelegate) -> str:
    """GetDelegate."""

    async def work(delegates: Delegates) -> str:
        if request.addresses is None:
            rows = [
                responses.success(_USER, _delegate(one, permissions=request.permissions))
                for one in await delegates.all()
            ]
            told = "".join(rows)
        else:

            async def one(address: str) -> str:
                return _delegate(await delegates.get(address), permissions=request.permissions)

            told = await _each(call, request.addresses, one)
        delivery = (await delegates.delivery()).value
        listed = f"<m:ResponseMessages>{told}</m:ResponseMessages>" if told else ""
        return f"{listed}<m:DeliverMeetingRequests>{delivery}</m:DeliverMeetingRequests>"

    return await _answer(call, "GetDelegateResponse", request.owner, work)


async def add_delegate(call: Call, request: ChangeDelegates) -> str:
    """AddDelegate; durable."""

    async def work(delegates: Delegates) -> str:
        async def one(user: DelegateUser) -> str:
            return _delegate(await delegates.add(user.address, _change(user)))

        return await _changed(call, delegates, request, one)

    return await _answer(call, "AddDelegateResponse", request.owner, work)


async def update_delegate(call: Call, request: ChangeDelegates) -> str:
    """UpdateDelegate; durable."""

    async def work(delegates: Delegates) -> str:
        async def one(user: DelegateUser) -> str:
            return _delegate(await delegates.update(user.address, _change(user)))

        return await _changed(call, delegates, request, one)

    return await _answer(call, "UpdateDelegateResponse", request.owner, work)


async def remove_delegate(call: Call, request: RemoveDelegate) -> str:
    """RemoveDelegate; durable."""

    async def work(delegates: Delegates) -> str:
        async def one(address: str) -> str:
            await delegates.remove(address)
            return ""

        return f"<m:ResponseMessages>{await _each(call, request.addresses, one)}</m:ResponseMessages>"

    return await _answer(call, "RemoveDelegateResponse", request.owner, work)


async def _answer(call: Call, name: str, owner: str, work: Callable[[Delegates], Awaitable[str]]) -> str:
    async def one(owner: str) -> str:
        box = await call.box_of(owner)
        return await work(await call.services.delegation.open(call.principal, box.id))

    return responses.alone(await call.each(name, [owner], one))


async def _changed(
    call: Call, delegates: Delegates, request: ChangeDelegates, one: Callable[[DelegateUser], Awaitable[str]]
) -> str:
    told = await _each(call, request.users, one)
    if request.delivery:
        await delegates.set_delivery(Delivery(request.delivery))
    return f"<m:ResponseMessages>{told}</m:ResponseMessages>" if told else ""


async def _each(call: Call, things: Sequence[T], work: Callable[[T], Awaitable[str]]) -> str:
    async def one(thing: T) -> str:
        try:
            return await work(thing)
        except Refusal as refusal:
            if refusal.reason in _CODES:
                raise EwsViolation(*_CODES[refusal.reason]) from refusal
            raise

    return await call.each(_USER, things, one)


def _change(user: DelegateUser) -> Change:
    """Raises EwsViolation for a level that is only told, not set (MS-OXWSDLGM 2.2.5.1)."""
    if "Custom" in user.levels.values():
        raise EwsViolation("ErrorDelegateValidationFailed", "Custom is no level that can be given.")
    rights = {_USES[folder]: ROLES[named.lower()] for folder, named in user.levels.items()}
    return Change(rights, user.receives_copies, user.sees_private)


def _delegate(one: Acting, *, permissions: bool = True) -> str:
    levels = ""
    for folder in FOLDERS if permissions else ():
        named = level(one.rights[_USES[folder]])
        shown = named if named in LEVELS else "Custom"
        levels += f"<t:{folder}FolderPermissionLevel>{shown}</t:{folder}FolderPermissionLevel>"
    listed = f"<t:DelegatePermissions>{levels}</t:DelegatePermissions>" if permissions else ""
    return (
        f"<m:DelegateUser><t:UserId><t:PrimarySmtpAddress>{text(one.address)}</t:PrimarySmtpAddress>"
        f"<t:DisplayName>{text(one.name)}</t:DisplayName></t:UserId>{listed}"
        f"<t:ReceiveCopiesOfMeetingMessages>{_BOOL[one.receives_copies]}</t:ReceiveCopiesOfMeetingMessages>"
        f"<t:ViewPrivateItems>{_BOOL[one.sees_private]}</t:ViewPrivateItems></m:DelegateUser>"
    )

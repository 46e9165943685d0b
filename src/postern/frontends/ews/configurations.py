"""GetUserConfiguration and its kin (MS-OXWSUSRCFG 3.1.4): kept as given, in the settings of the mailbox."""

from __future__ import annotations

import base64

import msgspec

from postern.frontends.ews import places
from postern.frontends.ews.box import Box
from postern.frontends.ews.call import Call
from postern.protocols.ews import ids, responses
from postern.protocols.ews.configuration_requests import (
    Configuration,
    GetConfiguration,
    Name,
    Value,
    dictionary_xml,
)
from postern.protocols.ews.folder_xml import identity
from postern.protocols.ews.places import DistinguishedRef
from postern.protocols.ews.violation import EwsViolation
from postern.protocols.soap.writing import attribute

SETTING = "ews.configuration"
MAX_CONFIGURATIONS = 500


class Stored(msgspec.Struct, frozen=True, array_like=True):
    """One configuration."""

    dictionary: tuple[tuple[Value, Value | None], ...] = ()
    xml: bytes | None = None
    binary: bytes | None = None


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Stored).decode


async def _found(call: Call, name: Name) -> tuple[Box, str, dict[str, bytes]]:
    """The mailbox, the setting's key and all that there are."""
    place = await places.folder(call, name.folder)
    known = {one.key: one.value for one in await place.box.items.settings(SETTING)}
    return place.box, f"{int(place.folder)}/{name.name.lower()}", known


async def get_user_configuration(call: Call, request: GetConfiguration) -> str:
    """GetUserConfiguration."""

    async def one(asked: GetConfiguration) -> str:
        _, key, known = await _found(call, asked.name)
        if key not in known:
            raise EwsViolation("ErrorItemNotFound", "There is no configuration of that name.")
        stored = _decode(known[key])
        wanted = asked.properties
        parts = [f'<t:UserConfigurationName Name="{attribute(asked.name.name)}">{_folder(asked.name)}']
        parts.append("</t:UserConfigurationName>")
        if wanted & {"Dictionary", "All"}:
            parts.append(dictionary_xml(stored.dictionary))
        for name, data in (("XmlData", stored.xml), ("BinaryData", stored.binary)):
            if data is not None and wanted & {name, "All"}:
                parts.append(f"<t:{name}>{base64.b64encode(data).decode()}</t:{name}>")
        return f"<m:UserConfiguration>{''.join(parts)}</m:UserConfiguration>"

    message = "GetUserConfigurationResponseMessage"
    return responses.response("GetUserConfiguration", await call.each(message, [request], one))


def _folder(name: Name) -> str:
    if isinstance(name.folder, DistinguishedRef):
        return f'<t:DistinguishedFolderId Id="{name.folder.name}"/>'
    ids.read_folder(name.folder.id)
    return identity("FolderId", name.folder.id, "")


async def create_user_configuration(call: Call, request: Configuration) -> str:
    """CreateUserConfiguration."""

    async def one(given: Configuration) -> str:
        box, key, known = await _found(call, given.name)
        if key in known:
            raise EwsViolation("ErrorItemSave", "There is a configuration of that name already.")
        if len(known) >= MAX_CONFIGURATIONS:
            raise EwsViolation("ErrorQuotaExceeded", f"A mailbox has {MAX_CONFIGURATIONS} configurations at most.")
        await _put(box, key, Stored(given.dictionary or (), given.xml, given.binary))
        return ""

    message = "CreateUserConfigurationResponseMessage"
    return responses.response("CreateUserConfiguration", await call.each(message, [request], one))


async def update_user_configuration(call: Call, request: Configuration) -> str:
    """UpdateUserConfiguration: what is not given stays."""

    async def one(given: Configuration) -> str:
        box, key, known = await _found(call, given.name)
        if key not in known:
            raise EwsViolation("ErrorItemNotFound", "There is no configuration of that name.")
        old = _decode(known[key])
        dictionary = old.dictionary if given.dictionary is None else given.dictionary
        xml = old.xml if given.xml is None else given.xml
        await _put(box, key, Stored(dictionary, xml, old.binary if given.binary is None else given.binary))
        return ""

    message = "UpdateUserConfigurationResponseMessage"
    return responses.response("UpdateUserConfiguration", await call.each(message, [request], one))


async def delete_user_configuration(call: Call, request: Name) -> str:
    """DeleteUserConfiguration."""

    async def one(name: Name) -> str:
        box, key, known = await _found(call, name)
        if key not in known:
            raise EwsViolation("ErrorItemNotFound", "There is no configuration of that name.")
        await _put(box, key, None)
        return ""

    message = "DeleteUserConfigurationResponseMessage"
    return responses.response("DeleteUserConfiguration", await call.each(message, [request], one))


async def _put(box: Box, key: str, value: Stored | None) -> None:
    await box.items.set_settings(SETTING, {key: None if value is None else _encode(value)})
    box.wrote()

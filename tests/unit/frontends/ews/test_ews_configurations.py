"""User configuration (MS-OXWSUSRCFG)."""

from __future__ import annotations

import pytest
from ews_world import World

NAME = '<{0}:UserConfigurationName Name="{1}"><t:DistinguishedFolderId Id="inbox"/></{0}:UserConfigurationName>'


def entry(key: str, value: str, kind: str = "String") -> str:
    return (
        f"<t:DictionaryEntry><t:DictionaryKey><t:Type>String</t:Type><t:Value>{key}</t:Value></t:DictionaryKey>"
        f"<t:DictionaryValue><t:Type>{kind}</t:Type><t:Value>{value}</t:Value></t:DictionaryValue></t:DictionaryEntry>"
    )


def put(operation: str, inner: str, name: str = "Some.Name") -> str:
    return (
        f"<m:{operation}UserConfiguration><m:UserConfiguration>{NAME.format('t', name)}{inner}"
        f"</m:UserConfiguration></m:{operation}UserConfiguration>"
    )


def get(wanted: str = "All", name: str = "Some.Name") -> str:
    return (
        f"<m:GetUserConfiguration>{NAME.format('m', name)}<m:UserConfigurationProperties>{wanted}"
        "</m:UserConfigurationProperties></m:GetUserConfiguration>"
    )


def delete(name: str = "Some.Name") -> str:
    return f"<m:DeleteUserConfiguration>{NAME.format('m', name)}</m:DeleteUserConfiguration>"


async def test_what_is_kept_comes_back(anna, world):
    values = entry("a", "&lt;1&gt;") + entry("b", "7", "Integer32")
    inner = f"<t:Dictionary>{values}</t:Dictionary><t:XmlData>PGE+</t:XmlData>"
    (await anna.ask(put("Create", inner))).ok()
    assert (await anna.ask(put("Create", inner))).codes == ["ErrorItemSave"]
    await world.close()
    again = World(world.data)
    await again.start()
    reply = (await again.client("anna").ask(get())).ok()
    await again.close()
    await world.start()
    assert reply.texts("//t:DictionaryValue/t:Value") == ["<1>", "7"]
    assert reply.texts("//t:DictionaryValue/t:Type") == ["String", "Integer32"]
    assert reply.text("//t:XmlData") == "PGE+" and not reply.all("//t:BinaryData")
    (await anna.ask(put("Update", "<t:BinaryData>AAE=</t:BinaryData>"))).ok()
    reply = (await anna.ask(get("Dictionary BinaryData"))).ok()
    assert reply.text("//t:BinaryData") == "AAE=" and len(reply.all("//t:DictionaryEntry")) == 2
    (await anna.ask(delete())).ok()
    for gone in (get(), delete(), put("Update", "")):
        assert (await anna.ask(gone)).codes == ["ErrorItemNotFound"]


@pytest.mark.parametrize("inner", ["<t:XmlData>%</t:XmlData>", f"<t:Dictionary>{entry('a', '1', 'X')}</t:Dictionary>"])
async def test_values_that_are_none(anna, inner):
    assert (await anna.ask(put("Create", inner))).codes == ["ErrorSchemaValidation"]


async def test_keys_twice_and_names_that_are_none(anna):
    twice = f"<t:Dictionary>{entry('a', '1')}{entry('a', '2')}</t:Dictionary>"
    assert (await anna.ask(put("Create", twice))).codes == ["ErrorInvalidValueForProperty"]
    assert (await anna.ask(get(name="a/b"))).codes == ["ErrorInvalidValueForProperty"]


async def test_somebody_elses_are_not_to_be_had(boris):
    name = (
        '<m:UserConfigurationName Name="A"><t:DistinguishedFolderId Id="inbox"><t:Mailbox><t:EmailAddress>'
        "anna@example.org</t:EmailAddress></t:Mailbox></t:DistinguishedFolderId></m:UserConfigurationName>"
    )
    body = get().replace(NAME.format("m", "Some.Name"), name)
    assert (await boris.ask(body)).codes == ["ErrorAccessDenied"]

"""The schema that answers are held against: what it cannot say, and that it does refuse what is wrong."""

from __future__ import annotations

import re

import pytest
from lxml import etree
from test_ews_notifications import Connection, stream
from tests import ews_schema
from tests.ews_schema import AMENDED, XS, M, T
from tests.published import ROOT

pytestmark = pytest.mark.skipif(ews_schema.place() is None, reason="the schema is not at hand")


def messages() -> etree._Element:
    return etree.parse(str(ews_schema.place() / "ews" / "messages.xsd")).getroot()


def elements() -> set[str]:
    return {one.get("name") for one in messages().findall(f"{XS}element")}


def test_no_answer_to_set_user_photo_can_be_valid_by_the_copy():
    """`SetUserPhotoResponseMessageType` extends `BaseResponseMessageType`, whose one element is the list
    `ResponseMessages` of `ArrayOfResponseMessagesType`; that takes no message of this operation."""
    root = messages()
    kind = root.find(f"{XS}element[@name='SetUserPhotoResponse']").get("type").partition(":")[2]
    assert kind == "SetUserPhotoResponseMessageType"
    extended = root.find(f"{XS}complexType[@name='{kind}']/{XS}complexContent/{XS}extension")
    assert extended.get("base") == "m:BaseResponseMessageType" and len(extended) == 0
    (listed,) = root.find(f"{XS}complexType[@name='BaseResponseMessageType']").iter(f"{XS}element")
    assert (listed.get("name"), listed.get("type")) == ("ResponseMessages", "m:ArrayOfResponseMessagesType")
    assert listed.get("minOccurs") is None  # it has to be there
    array = root.find(f"{XS}complexType[@name='ArrayOfResponseMessagesType']")
    assert not [one.get("name") for one in array.iter(f"{XS}element") if one.get("name").startswith("SetUserPhoto")]


def test_the_copy_knows_no_groups_settings():
    """No element of the schema is about unified groups: those came after it."""
    assert not [one for one in elements() if "UnifiedGroup" in one]


def test_streamed_notifications_are_among_the_types_in_the_copy():
    """`NonEmptyArrayOfNotificationsType` and `NonEmptyArrayOfSubscriptionIdsType` are types.xsd's, and so are their
    elements' names."""
    root = etree.parse(str(ews_schema.place() / "ews" / "types.xsd")).getroot()
    assert root.get("elementFormDefault") == "qualified"
    for kind, name in (
        ("NonEmptyArrayOfNotificationsType", "Notification"),
        ("NonEmptyArrayOfSubscriptionIdsType", "SubscriptionId"),
    ):
        (one,) = root.find(f"{XS}complexType[@name='{kind}']").iter(f"{XS}element")
        assert one.get("name") == name


def test_the_amended_schema_differs_in_two_answers_alone():
    for name in elements():
        body = etree.fromstring(f'<{name} xmlns="{M[1:-1]}"/>')
        if name not in AMENDED:
            assert ews_schema.schema().validate(body) == ews_schema.amended().validate(body), name


@pytest.mark.parametrize("name", sorted(AMENDED))
def test_the_two_answers_are_held_to_their_form(name):
    good = f'<m:{name} xmlns:m="{M[1:-1]}" ResponseClass="Success"><m:ResponseCode>NoError</m:ResponseCode></m:{name}>'
    assert not ews_schema.schema().validate(etree.fromstring(good))
    ews_schema.check(etree.fromstring(good))
    for bad in (
        good.replace(' ResponseClass="Success"', ""),
        good.replace("NoError", "Nothing"),
        good.replace("</m:ResponseCode>", "</m:ResponseCode><m:More/>"),
        good.replace("Success", "Perhaps"),
    ):
        with pytest.raises(AssertionError):
            ews_schema.check(etree.fromstring(bad))


async def test_streams_are_held_to_the_rest_of_the_schema(anna):
    """Nothing but the namespace of two elements is let pass, and they have to be where clients look for them."""
    connection = Connection(anna, [await stream(anna)])
    await connection.next()
    await anna.deliver(b"Subject: x\r\n\r\nx\r\n")
    body = (await connection.next()).ok().body
    await connection.leave()
    ews_schema.check(body)
    assert not ews_schema.schema().validate(body)
    (told,) = body.iter(f"{M}Notification")
    for element, tag in ((told, f"{T}Notification"), (told[0], f"{M}SubscriptionId"), (told[1], f"{T}OtherEvent")):
        kept, element.tag = element.tag, tag
        with pytest.raises(AssertionError):
            ews_schema.check(body)
        element.tag = kept
    ews_schema.check(body)


async def test_headers_and_faults_are_held_too(anna):
    raw = (await anna.post(anna.envelope("<m:Nothing/>")))[1]
    ews_schema.check_envelope(etree.fromstring(raw), 500)
    for old, new in (
        (b"ErrorInvalidOperation", b"ErrorOfMyOwn"),
        (b"MajorVersion", b"Major"),
        (b"ServerVersionInfo", b"ServerVersion"),
    ):
        with pytest.raises(AssertionError):
            ews_schema.check_envelope(etree.fromstring(raw.replace(old, new)), 500)


def test_every_code_that_is_told_is_a_published_one():
    source = ROOT / "src" / "postern"
    files = [*(source / "frontends" / "ews").glob("*.py"), *(source / "protocols" / "ews").glob("*.py")]
    told = {code for file in files for code in re.findall(r'"(Error[A-Z]\w+)"', file.read_text())}
    assert len(told) > 100 and told <= ews_schema.codes()

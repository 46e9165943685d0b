"""What nobody should send: each is told so in SOAP, and nothing else happens."""

from __future__ import annotations

import base64
import time

import pytest
from ews_world import M, Reply, S, T
from lxml import etree
from test_ews_folders import get, named
from test_ews_following import compare, restriction
from test_ews_messages import MIME, create, set_, update

from postern.frontends.ews import codes
from postern.frontends.ews.frontend import busy
from postern.model.refusal import Reason
from postern.model.rights import AdminRole

INBOX = get(named("inbox"))


async def fault(client, data: bytes) -> str:
    status, raw = await client.post(data)
    assert status == 500
    reply = Reply(status, raw)
    assert reply.body.tag == f"{{{S}}}Fault" and reply.version == "Exchange2013_SP1"
    assert not [1 for event, _ in client.world.log.lines if event == "ews.failed"]
    return reply.codes[0]


def document(prolog: str, text: str = "&x;") -> bytes:
    return f'{prolog}<s:Envelope xmlns:s="{S}"><s:Body><m:GetFolder xmlns:m="{M}">{text}</m:GetFolder></s:Body></s:Envelope>'.encode()


ENTITIES = "".join(f"<!ENTITY a{n} '{f'&a{n - 1};' * 10}'>" for n in range(1, 12))
LAUGHS = f"<!DOCTYPE x [<!ENTITY a0 'ha'>{ENTITIES}]>"


@pytest.mark.parametrize(
    "data",
    [
        document(LAUGHS, "&a11;"),
        document('<!DOCTYPE x [<!ENTITY x SYSTEM "file:///etc/passwd">]>'),
        document('<!DOCTYPE x SYSTEM "http://127.0.0.1:1/x.dtd">', ""),
        document('<?xml version="1.0"?> <!-- x --> <!DOCTYPE x [<!ENTITY % x SYSTEM "http://127.0.0.1:1/">%x;]>', ""),
        document("").decode().replace("&x;", "").encode("utf-16"),
        document('<?xml version="1.0" encoding="utf-7"?>', ""),
        document("", "&x;"),
        b"",
        b"<",
        b"GET / HTTP/1.1",
        b"\xff\xfe\x00",
        b"<a/>",
        document("", "<x>" * 5000 + "</x>" * 5000),
        f'<s:Envelope xmlns:s="{S}"/>'.encode(),
        f'<s:Envelope xmlns:s="{S}"><s:Body/></s:Envelope>'.encode(),
        b'<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body><x/></s:Body></s:Envelope>',
        document("", "<x " + " ".join(f'a{n}="1"' for n in range(50)) + "/>"),
    ],
    ids=str,
)
async def test_xml_that_is_an_attack_or_none(anna, data):
    began = time.process_time()
    assert await fault(anna, data) == "ErrorInvalidRequest"
    assert time.process_time() - began < 2


async def test_requests_of_another_world(anna):
    assert await fault(anna, anna.envelope('<x xmlns="urn:other"/>')) == "ErrorInvalidRequest"
    assert await fault(anna, anna.envelope("<m:MakeCoffee/>")) == "ErrorInvalidOperation"
    wrong = INBOX.replace("m:FolderShape", "x:FolderShape").replace("<m:GetFolder>", '<m:GetFolder xmlns:x="urn:x">')
    assert await fault(anna, anna.envelope(wrong)) == "ErrorSchemaValidation"
    assert await fault(anna, anna.envelope("<m:GetFolder/>")) == "ErrorSchemaValidation"
    anna.version = "Exchange1999"
    assert await fault(anna, anna.envelope(INBOX)) == "ErrorInvalidServerVersion"


@pytest.mark.parametrize("probe", ["GetImItemList", "StartSearchSession", "SetOMEConfiguration", "NobodyHasHeardOf"])
async def test_probes_get_a_fault_and_no_password_prompt(anna, probe):
    assert await fault(anna, anna.envelope(f"<m:{probe}/>")) == "ErrorInvalidOperation"


async def test_a_page_for_browsers_and_nothing_beside_it(anna):
    status, page = await anna.post(b"", "GET")
    assert status == 200 and b"Exchange Web Services" in page
    assert (await anna.post(b"", "GET", "/ews/EXCHANGE.ASMX"))[0] == 200
    assert (await anna.post(b"", "GET", "/EWS/other"))[0] == 404
    assert (await anna.post(b"", "DELETE"))[0] == 405


async def test_too_much_at_once(anna):
    many = "".join(f'<t:FolderId Id="x{n}"/>' for n in range(1001))
    assert await fault(anna, anna.envelope(get(many))) == "ErrorInvalidRequest"


@pytest.mark.parametrize("depth", [20, 40])
async def test_restrictions_nested_deep(anna, depth):
    inner = "<t:Not>" * depth + compare("IsEqualTo", "message:IsRead", "true") + "</t:Not>" * depth
    codes_ = (await anna.find(more=restriction(inner))).codes
    assert codes_ == (["NoError"] if depth == 20 else ["ErrorRestrictionTooComplex"])


async def test_restrictions_a_thousand_deep_or_wide(anna):
    deep = "<t:Not>" * 1000 + compare("IsEqualTo", "message:IsRead", "true") + "</t:Not>" * 1000
    whole = anna.envelope(
        '<m:FindItem Traversal="Shallow"><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape></m:ItemShape>'
        f"{restriction(deep)}<m:ParentFolderIds>{named('inbox')}</m:ParentFolderIds></m:FindItem>"
    )
    assert await fault(anna, whole) == "ErrorInvalidRequest"
    wide = f"<t:Or>{compare('IsEqualTo', 'item:Size', '1') * 1000}</t:Or>"
    assert (await anna.find(more=restriction(wide))).codes == ["ErrorRestrictionTooComplex"]


async def test_constants_of_a_restriction_are_not_endless(anna):
    for size, wanted in ((30_000, "NoError"), (40_000, "ErrorRestrictionTooComplex")):
        both = "".join(compare("IsEqualTo", "item:Subject", letter * size) for letter in "ab")
        assert (await anna.find(more=restriction(f"<t:Or>{both}</t:Or>"))).codes == [wanted]


async def test_properties_that_nobody_has(anna):
    for path, code in (
        ('<t:FieldURI FieldURI="nonsense:Thing"/>', "ErrorSchemaValidation"),
        ('<t:FieldURI FieldURI="item:Nothing"/>', "ErrorSchemaValidation"),
        ('<t:FieldURI FieldURI="item:subject"/>', "ErrorSchemaValidation"),
        ('<t:FieldURI FieldURI="message:IsSigned"/>', "ErrorSchemaValidation"),
        ('<t:IndexedFieldURI FieldURI="item:Subject" FieldIndex="x"/>', "ErrorSchemaValidation"),
        (
            '<t:ExtendedFieldURI PropertyTag="0x3613" PropertyName="x" PropertyType="String"/>',
            "ErrorInvalidExtendedProperty",
        ),
        ('<t:ExtendedFieldURI PropertyName="x" PropertyType="String"/>', "ErrorInvalidExtendedProperty"),
        ('<t:ExtendedFieldURI PropertyTag="0x9000" PropertyType="String"/>', "ErrorInvalidExtendedProperty"),
        ('<t:ExtendedFieldURI PropertyTag="zero" PropertyType="String"/>', "ErrorSchemaValidation"),
        ('<t:ExtendedFieldURI PropertyTag="0x3613" PropertyType="Object"/>', "ErrorUnsupportedMapiPropertyType"),
    ):
        extra = f"<t:AdditionalProperties>{path}</t:AdditionalProperties>"
        assert (await anna.find(extra=extra)).codes == [code], path
        assert (await anna.ask(get(named("inbox"), extra=extra))).codes == [code], path


async def test_nothing_is_searched_or_changed_by_a_name_that_is_none(anna):
    item = await anna.save("<t:Subject>x</t:Subject>")
    for more in (
        restriction(compare("IsEqualTo", "item:Nothing", "x")),
        '<m:SortOrder><t:FieldOrder Order="Ascending"><t:FieldURI FieldURI="item:Nothing"/></t:FieldOrder></m:SortOrder>',
    ):
        assert (await anna.find(more=more)).codes == ["ErrorSchemaValidation"], more
    assert (await anna.ask(update(item, set_("item:Nothing", "<t:Subject>y</t:Subject>")))).codes == [
        "ErrorSchemaValidation"
    ]
    assert (await anna.get(item[0])).text("//t:Subject") == "x"


async def test_values_of_other_types(anna):
    item = await anna.save("<t:Subject>x</t:Subject>")
    uri = '<t:ExtendedFieldURI PropertyTag="0x6001" PropertyType="{}"/>'
    for kind, value in (
        ("Integer", "many"),
        ("Boolean", "perhaps"),
        ("Binary", "%%%"),
        ("SystemTime", "soon"),
        ("Long", "9" * 40),
    ):
        inner = f"<t:ExtendedProperty>{uri.format(kind)}<t:Value>{value}</t:Value></t:ExtendedProperty>"
        assert (await anna.ask(create(inner))).codes == ["ErrorInvalidExtendedPropertyValue"], kind
    for year in ("0000-01-01T00:00:00Z", "9999-12-31T23:59:59-14:00", "10000-01-01T00:00:00Z"):
        flag = f"<t:Flag><t:FlagStatus>Flagged</t:FlagStatus><t:DueDate>{year}</t:DueDate></t:Flag>"
        assert (await anna.ask(update(item, set_("item:Flag", flag)))).codes == ["ErrorSchemaValidation"], year
    dates = "<t:StartDate>0001-01-01T00:00:00Z</t:StartDate><t:DueDate>0001-01-01T00:00:00Z</t:DueDate>"
    flag = f"<t:Flag><t:FlagStatus>Flagged</t:FlagStatus>{dates}</t:Flag>"
    assert (await anna.ask(update(item, set_("item:Flag", flag)))).codes == ["NoError"]
    assert (await anna.get(item[0])).codes == ["NoError"]


async def test_texts_that_xml_cannot_carry_come_back_without_harm(anna):
    await anna.deliver(b"From: \x00\x01<x@example.net>\r\nSubject: a\x08b ]]> & <c>\r\n\r\nbody \x0b\x00 end ]]>\r\n")
    (item,) = (await anna.find()).ids()
    reply = (await anna.get(item[0])).ok()
    assert reply.text("//t:Message/t:Subject") == "a\ufffdb ]]> & <c>"
    assert reply.text("//t:Body").startswith("body \ufffd\ufffd end ]]>")


async def test_header_fields_cannot_be_broken_out_of(anna):
    item = await anna.save("<t:Subject>x&#13;&#10;Bcc: y@example.net&#13;&#10;&#13;&#10;body</t:Subject>")
    reply = await anna.get(item[0], extra="<t:IncludeMimeContent>true</t:IncludeMimeContent>")
    mime = base64.b64decode(reply.ok().text("//t:MimeContent"))
    assert b"\nBcc:" not in mime and reply.text("//t:Message/t:Subject").startswith("x Bcc: y@example.net")


async def test_html_that_never_closes_costs_no_time(anna):
    for text in (b"<a" * 200_000, b"<script" * 50_000, b"<!--" * 100_000, b"<style>" + b"</styl" * 100_000):
        await anna.deliver(b"Subject: x\r\nContent-Type: text/html\r\n\r\n" + text)
    began = time.process_time()
    for item, _ in (await anna.find()).ids():
        (await anna.get(item, extra="<t:BodyType>Text</t:BodyType>")).ok()
    assert time.process_time() - began < 8


def impersonation(kind: str, name: str) -> str:
    return f"<t:ExchangeImpersonation><t:ConnectingSID><t:{kind}>{name}</t:{kind}></t:ConnectingSID></t:ExchangeImpersonation>"


async def test_acting_as_somebody_needs_the_right_to(world, anna, boris):
    await boris.deliver(MIME)
    header = impersonation("PrimarySmtpAddress", "boris@example.org")
    assert (await anna.ask(INBOX, header)).codes == ["ErrorImpersonateUserDenied"]
    await world.parts.directory.assign_role(AdminRole.IMPERSONATION, "anna@example.org")
    for kind in ("PrimarySmtpAddress", "PrincipalName", "SmtpAddress"):
        reply = (await anna.ask(INBOX, impersonation(kind, "boris@example.org"))).ok()
        assert reply.text("//t:TotalCount") == "1"
    assert (await anna.ask(INBOX, impersonation("PrincipalName", "nobody@example.org"))).codes == [
        "ErrorInvalidUserPrincipalName"
    ]
    assert (await anna.ask(INBOX, impersonation("PrimarySmtpAddress", "nobody@example.org"))).codes == [
        "ErrorNonExistentMailbox"
    ]
    assert (await anna.ask(INBOX, impersonation("SID", "S-1-5-21-1"))).codes == ["ErrorInvalidUserSid"]
    empty = "<t:ExchangeImpersonation><t:ConnectingSID/></t:ExchangeImpersonation>"
    assert (await anna.ask(INBOX, empty)).codes == ["ErrorInvalidExchangeImpersonationHeaderData"]


def test_every_refusal_has_a_code():
    assert set(codes.CODES) == set(Reason)
    assert T


async def test_who_asks_too_much_is_told_when_to_come_again():
    answer = busy(2.5)
    fault = etree.fromstring(answer.body)
    assert answer.status == 500 and (b"retry-after", b"3") in answer.fields
    assert fault.xpath("string(//*[local-name()='ResponseCode'])") == "ErrorServerBusy"
    assert fault.xpath("string(//*[local-name()='Value'][@Name='BackOffMilliseconds'])") == "2500"

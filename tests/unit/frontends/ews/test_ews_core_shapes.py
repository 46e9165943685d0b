"""What of an item is told, and how its text is written (MS-OXWSCDATA 2.2.4.44 ItemResponseShapeType)."""

from __future__ import annotations

import base64

import pytest
from ews_kinds import CONTACT, HTML, ITEM, LIST, MEETING, MESSAGE, POST, TASK, body, get, getting, make, names, path

RICH = f"<t:Subject>one</t:Subject>{body(HTML, 'HTML')}"
_IMAGES = path("item:BlockStatus") + path("item:HasBlockedImages")


def option(name: str, value: object) -> str:
    return f"<t:{name}>{str(value).lower()}</t:{name}>"


@pytest.mark.parametrize("kind", [
    pytest.param(ITEM, id="item", marks=pytest.mark.conformance(
        "MSOXWSCORE_S01_TC14_GetItemWithItemResponseShapeType",
        "MSOXWSCORE_S01_TC18_GetItemWithDefaultShapeNamesTypeEnum",
        "MSOXWSCORE_S01_TC19_GetItemWithBodyTypeResponseTypeEnum")),
    pytest.param(CONTACT, id="contact", marks=pytest.mark.conformance(
        "MSOXWSCORE_S02_TC10_GetContactItemWithItemResponseShapeType",
        "MSOXWSCORE_S02_TC14_GetContactItemWithDefaultShapeNamesTypeEnum",
        "MSOXWSCORE_S02_TC15_GetContactItemWithBodyTypeResponseTypeEnum")),
    pytest.param(LIST, id="list", marks=pytest.mark.conformance(
        "MSOXWSCORE_S03_TC10_GetDistributionListsItemWithItemResponseShapeType",
        "MSOXWSCORE_S03_TC14_GetDistributionListsItemWithDefaultShapeNamesTypeEnum",
        "MSOXWSCORE_S03_TC15_GetDistributionListsItemWithBodyTypeResponseTypeEnum")),
    pytest.param(MESSAGE, id="message"),
    pytest.param(MEETING, id="meeting", marks=pytest.mark.conformance(
        "MSOXWSCORE_S05_TC10_GetMeetingItemWithItemResponseShapeType",
        "MSOXWSCORE_S05_TC15_GetMeetingItemWithDefaultShapeNamesTypeEnum",
        "MSOXWSCORE_S05_TC16_GetMeetingItemWithBodyTypeResponseTypeEnum")),
    pytest.param(POST, id="post", marks=pytest.mark.conformance("MSOXWSCORE_S06_TC10_GetPostItemWithItemResponseShapeType", "MSOXWSCORE_S06_TC15_GetPostItemWithDefaultShapeNamesTypeEnum", "MSOXWSCORE_S06_TC16_GetPostItemWithBodyTypeResponseTypeEnum")),
    pytest.param(TASK, id="task", marks=pytest.mark.conformance(
        "MSOXWSCORE_S07_TC10_GetTaskItemWithItemResponseShapeType",
        "MSOXWSCORE_S07_TC14_GetTaskItemWithDefaultShapeNamesTypeEnum",
        "MSOXWSCORE_S07_TC15_GetTaskItemWithBodyTypeResponseTypeEnum")),
])  # fmt: skip
async def test_shapes_and_body_types(anna, kind):
    made, _ = await make(anna, kind, RICH)
    only, usual, everything = [
        names((await get(anna, made, shape=shape)).ok()) for shape in ("IdOnly", "Default", "AllProperties")
    ]
    assert only == ["ItemId"]
    assert set(only) < set(usual) < set(everything) and {"Subject", "ItemClass", "Body"} <= set(everything)
    settings = (
        option("IncludeMimeContent", False) + option("BodyType", "") + option("ConvertHtmlCodePageToUTF8", False)
        + "<t:InlineImageUrlTemplate>InlineImageUrlTemplate</t:InlineImageUrlTemplate>"
        + option("BlockExternalImages", False) + option("AddBlankTargetToLinks", False)
    ).replace("<t:BodyType></t:BodyType>", "<t:BodyType>Best</t:BodyType>")  # fmt: skip
    reply = (await get(anna, made, shape="IdOnly", options=settings, paths=path("item:Body"))).ok()
    assert names(reply) == ["ItemId", "Body"] and reply.text("//t:Body") == HTML
    for wanted, told, begin in (("HTML", "HTML", "<html>"), ("Text", "Text", "Привет"), ("Best", "HTML", "<html>")):
        reply = (await get(anna, made, options=f"<t:BodyType>{wanted}</t:BodyType>")).ok()
        assert reply.one("//t:Body").get("BodyType") == told and reply.text("//t:Body").startswith(begin)
    assert "<" not in (await get(anna, made, options="<t:BodyType>Text</t:BodyType>")).text("//t:Body")


@pytest.mark.parametrize("kind", [
    pytest.param(ITEM, id="item", marks=pytest.mark.conformance(
        "MSOXWSCORE_S01_TC15_GetItemWithConvertHtmlCodePageToUTF8", "MSOXWSCORE_S01_TC16_GetItemWithAddBlankTargetToLinks",
        "MSOXWSCORE_S01_TC17_GetItemWithBlockExternalImages", "MSOXWSCORE_S01_TC44_GetItemWithFilterHtmlContent")),
    pytest.param(CONTACT, id="contact", marks=pytest.mark.conformance(
        "MSOXWSCORE_S02_TC11_GetContactItemWithConvertHtmlCodePageToUTF8",
        "MSOXWSCORE_S02_TC12_GetContactItemWithAddBlankTargetToLinks",
        "MSOXWSCORE_S02_TC13_GetContactItemWithBlockExternalImages")),
    pytest.param(LIST, id="list", marks=pytest.mark.conformance(
        "MSOXWSCORE_S03_TC11_GetDistributionListsItemWithConvertHtmlCodePageToUTF8",
        "MSOXWSCORE_S03_TC12_GetDistributionListsItemWithAddBlankTargetToLinks",
        "MSOXWSCORE_S03_TC13_GetDistributionListsItemWithBlockExternalImages")),
    pytest.param(MESSAGE, id="message", marks=pytest.mark.conformance(
        "MSOXWSCORE_S04_TC12_GetEmailItemWithConvertHtmlCodePageToUTF8",
        "MSOXWSCORE_S04_TC13_GetEmailItemWithAddBlankTargetToLinks",
        "MSOXWSCORE_S04_TC14_GetEmailItemWithBlockExternalImages",
        "MSOXWSMSG_S01_TC07_GetMessageWithFilterHtmlContent")),
    pytest.param(MEETING, id="meeting", marks=pytest.mark.conformance(
        "MSOXWSCORE_S05_TC12_GetMeetingItemWithConvertHtmlCodePageToUTF8",
        "MSOXWSCORE_S05_TC13_GetMeetingItemWithAddBlankTargetToLinks",
        "MSOXWSCORE_S05_TC14_GetMeetingItemWithBlockExternalImages")),
    pytest.param(POST, id="post", marks=pytest.mark.conformance("MSOXWSCORE_S06_TC12_GetPostItemWithConvertHtmlCodePageToUTF8", "MSOXWSCORE_S06_TC13_GetPostItemWithAddBlankTargetToLinks", "MSOXWSCORE_S06_TC14_GetPostItemWithBlockExternalImages")),
    pytest.param(TASK, id="task", marks=pytest.mark.conformance(
        "MSOXWSCORE_S07_TC11_GetTaskItemWithConvertHtmlCodePageToUTF8",
        "MSOXWSCORE_S07_TC12_GetTaskItemWithAddBlankTargetToLinks",
        "MSOXWSCORE_S07_TC13_GetTaskItemWithBlockExternalImages")),
])  # fmt: skip
async def test_how_html_is_written(anna, kind):
    made, _ = await make(anna, kind, RICH)

    async def shown(name: str, value: bool) -> str:
        return (await get(anna, made, options=option(name, value))).ok().text("//t:Body")

    assert "charset=utf-8" in (await get(anna, made)).ok().text("//t:Body")
    assert "charset=utf-8" in await shown("ConvertHtmlCodePageToUTF8", True)
    assert "charset=koi8-r" in await shown("ConvertHtmlCodePageToUTF8", False)
    for wish in (True, False):
        link = await shown("AddBlankTargetToLinks", wish)
        assert ('target="_blank"' in link, 'target="_top"' in link) == (wish, not wish) and "Привет, мир" in link
        assert ("</script>" in await shown("FilterHtmlContent", wish)) is not wish
        reply = (await get(anna, made, options=option("BlockExternalImages", wish), paths=_IMAGES)).ok()
        assert (' src="http://example.net/logo.png"' in reply.text("//t:Body")) is not wish
        assert [reply.text(f"//t:{name}") for name in ("BlockStatus", "HasBlockedImages")] == [str(wish).lower()] * 2


@pytest.mark.parametrize(("kind", "begins", "has"), [
    pytest.param(CONTACT, "BEGIN:VCARD", "FN:one", id="contact", marks=pytest.mark.conformance(
        "MSOXWSCORE_S02_TC17_VerifyGetItemWithItemResponseShapeType_IncludeMimeContentBoolean")),
    pytest.param(LIST, "BEGIN:VCARD", "KIND:group", id="list", marks=pytest.mark.conformance(
        "MSOXWSCORE_S03_TC17_VerifyGetItemWithItemResponseShapeType_IncludeMimeContentBoolean")),
    pytest.param(MEETING, "BEGIN:VCALENDAR", "SUMMARY:one", id="meeting", marks=pytest.mark.conformance(
        "MSOXWSCORE_S05_TC11_GetMeetingItemWithIncludeMimeContent")),
    pytest.param(TASK, "BEGIN:VCALENDAR", "SUMMARY:one", id="task", marks=pytest.mark.conformance(
        "MSOXWSCORE_S07_TC19_VerifyGetItemWithItemResponseShapeType_IncludeMimeContentBoolean")),
])  # fmt: skip
async def test_mime_of_what_has_none(anna, kind, begins, has):
    """MS-OXWSCORE 2.2.4.24, appendix C: of every kind since Exchange 2010 SP3."""
    name = "<t:DisplayName>one</t:DisplayName>" if kind in (CONTACT, LIST) else ""
    made, _ = await make(anna, kind, f"<t:Subject>one</t:Subject>{name}")
    reply = (await get(anna, made, options=option("IncludeMimeContent", True))).ok()
    assert reply.one("//t:MimeContent").get("CharacterSet") == "UTF-8"
    lines = base64.b64decode(reply.text("//t:MimeContent"), validate=True).decode().split("\r\n")
    assert lines[0] == begins and has in lines and lines[-1] == ""
    reply = (await get(anna, made, options=option("IncludeMimeContent", False))).ok()
    assert not reply.all("//t:MimeContent")


@pytest.mark.conformance("MSOXWSCORE_S06_TC11_GetPostItemWithIncludeMimeContent")
async def test_mime_of_a_post(anna):
    made, _ = await make(anna, POST, f"<t:Subject>one</t:Subject>{body('words')}")
    reply = (await get(anna, made, options=option("IncludeMimeContent", True))).ok()
    head, _, text = base64.b64decode(reply.text("//t:MimeContent"), validate=True).partition(b"\r\n\r\n")
    assert b"Subject: one" in head.split(b"\r\n") and text.strip() == b"words"
    reply = (await get(anna, made, options=option("IncludeMimeContent", False))).ok()
    assert not reply.all("//t:MimeContent")


@pytest.mark.conformance(
    "MSOXWSCORE_S01_TC21_GetItemWithNormalizedBodyEnums", "MSOXWSCORE_S01_TC25_GetItemWithUniqueBodyEnums"
)
async def test_other_bodies_are_of_the_type_of_the_body(anna):
    made, _ = await make(anna, ITEM, RICH)
    for name in ("NormalizedBody", "UniqueBody"):
        for wanted in ("HTML", "Text"):
            own = f"<t:BodyType>HTML</t:BodyType><t:{name}Type>{wanted}</t:{name}Type>"
            for options in (f"<t:BodyType>{wanted}</t:BodyType>", own):
                reply = await get(anna, made, options=options, paths=path(f"item:{name}"))
                assert reply.ok().one(f"//t:{name}").get("BodyType") == wanted


@pytest.mark.conformance("MSOXWSCORE_S01_TC13_VerifyItemWithDateTimePrecisionEnums")
async def test_precision_of_times(anna):
    """MS-OXWSCORE 3.1.4.4.1.1."""
    flag = (
        "<t:Subject>2026-01-01T00:00:00Z</t:Subject><t:Flag><t:FlagStatus>Flagged</t:FlagStatus><t:StartDate>"
        "2026-11-02T09:00:00Z</t:StartDate><t:DueDate>2026-11-03T09:00:00Z</t:DueDate></t:Flag>"
    )
    made, _ = await make(anna, ITEM, flag)
    request = getting(f'<t:ItemId Id="{made}"/>')
    for wish, end in (("Seconds", ":00Z"), ("Milliseconds", ":00.000Z"), ("", ":00Z")):
        header = f"<t:DateTimePrecision>{wish}</t:DateTimePrecision>" if wish else ""
        reply = (await anna.ask(request, header)).ok()
        assert reply.text("//t:Flag/t:DueDate") == f"2026-11-03T09:00{end}"
        times = [reply.text(f"//t:{name}") for name in ("DateTimeReceived", "DateTimeCreated", "LastModifiedTime")]
        assert all(("." in one) == (wish == "Milliseconds") for one in times)
        assert reply.text("//t:Message/t:Subject") == "2026-01-01T00:00:00Z"  # what somebody wrote stays


async def test_a_precision_that_is_none(anna):
    header = "<t:DateTimePrecision>Hours</t:DateTimePrecision>"
    assert (await anna.ask("<m:GetItem/>", header)).codes == ["ErrorSchemaValidation"]

"""Out of office by EWS: what is set is told again, and senders are answered by it."""

from __future__ import annotations

import pytest

CODE = "//m:ResponseMessage/m:ResponseCode"


def get(address: str = "anna@example.org") -> str:
    return (
        f"<m:GetUserOofSettingsRequest><t:Mailbox><t:Address>{address}</t:Address></t:Mailbox>"
        "</m:GetUserOofSettingsRequest>"
    )


def put(
    state: str, duration: str = "", address: str = "anna@example.org", reply: str = "Back on Monday &amp; well"
) -> str:
    return (
        f"<m:SetUserOofSettingsRequest><t:Mailbox><t:Address>{address}</t:Address></t:Mailbox><t:UserOofSettings>"
        f"<t:OofState>{state}</t:OofState><t:ExternalAudience>Known</t:ExternalAudience>{duration}"
        f"<t:InternalReply><t:Message>{reply}</t:Message></t:InternalReply>"
        "<t:ExternalReply><t:Message>Away</t:Message></t:ExternalReply>"
        "</t:UserOofSettings></m:SetUserOofSettingsRequest>"
    )


def lasting(start: str, end: str) -> str:
    return f"<t:Duration><t:StartTime>{start}</t:StartTime><t:EndTime>{end}</t:EndTime></t:Duration>"


async def test_nobody_is_away_at_first(anna):
    reply = await anna.ask(get())
    assert reply.text(CODE) == "NoError"
    assert reply.text("//t:OofState") == "Disabled"
    assert len(reply.all("//t:Duration")) == 1  # clients read it whatever the state


async def test_what_is_set_is_told_again(anna):
    reply = await anna.ask(put("Scheduled", lasting("2026-12-01T08:00:00Z", "2026-12-05T17:00:00+01:00")))
    assert reply.text(CODE) == "NoError"
    told = await anna.ask(get())
    assert (told.text("//t:OofState"), told.text("//t:ExternalAudience")) == ("Scheduled", "Known")
    assert told.text("//t:Duration/t:StartTime") == "2026-12-01T08:00:00Z"
    assert told.text("//t:Duration/t:EndTime") == "2026-12-05T16:00:00Z"
    assert told.text("//t:InternalReply/t:Message") == "Back on Monday & well"
    assert told.text("//t:ExternalReply/t:Message") == "Away"
    await anna.ask(put("Disabled"))
    assert (await anna.ask(get())).text("//t:OofState") == "Disabled"


@pytest.mark.parametrize("duration", ["", lasting("2026-12-05T08:00:00Z", "2026-12-01T08:00:00Z")])
async def test_a_schedule_that_is_none_is_refused(anna, duration):
    reply = await anna.ask(put("Scheduled", duration))
    assert "ErrorInvalidUserOofSettings" in reply.raw.decode()
    assert (await anna.ask(get())).text("//t:OofState") == "Disabled"


async def test_others_may_neither_see_nor_set_it(anna, boris):
    await anna.ask(put("Enabled"))
    assert (await boris.ask(get())).text(CODE) == "ErrorAccessDenied"
    assert (await boris.ask(put("Disabled"))).text(CODE) == "ErrorAccessDenied"
    assert (await anna.ask(get())).text("//t:OofState") == "Enabled"


async def test_senders_are_answered_by_it(world, anna):
    await anna.ask(put("Enabled"))
    book = await world.services.rules.open(anna.principal)
    assert (await book.oof()).active(world.parts.clock.timestamp())

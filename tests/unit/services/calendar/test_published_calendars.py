"""Published calendars: off by default, by an address that nobody guesses, and no more than was allowed."""

from __future__ import annotations

from datetime import timedelta

import pytest

from postern.frontends.calendar.application import PublishedCalendars
from postern.model.calendar.appointment import Appointment
from postern.services.calendar.publications import Publications
from postern.services.calendar.publishing import Level
from postern.services.calendar.settings import Published
from unit.services.calendar.agenda_world import World


@pytest.fixture
async def world(tmp_path):
    one = World(tmp_path)
    await one.open()
    await one.fill()
    yield one
    await one.close()
    await one.directory.close()


async def get(world, path, method="GET", **fields):
    """Status, fields and content of an answer."""
    application = PublishedCalendars(Publications(world.store, world.directory, world.clock))
    sent = []

    async def send(message):
        sent.append(message)

    headers = [(name.replace("_", "-").encode(), value) for name, value in fields.items()]
    scope = {"type": "http", "method": method, "path": path, "headers": headers, "state": {}}
    await application(scope, None, send)
    content = b"".join(each.get("body", b"") for each in sent[1:])
    return sent[0]["status"], dict(sent[0]["headers"]), content


async def test_a_calendar_is_published_as_its_owner_wants(world):
    anna = await world.agenda("anna")
    start = world.clock.now().replace(microsecond=0) + timedelta(days=1)
    await anna.create(
        Appointment(uid="", start=start, end=start + timedelta(hours=1), subject="<b>Plan", location="Hall")
    )
    path = "/calendar/anna@example.org"
    assert (await get(world, f"{path}/calendar.ics"))[0] == 404, "off by default"
    await world.set("anna", published=Published(enabled=True))
    status, fields, content = await get(world, f"{path}/calendar.ics")
    assert (status, fields[b"content-type"]) == (200, b"text/calendar; charset=utf-8")
    assert b"BEGIN:VEVENT" in content
    assert b"Plan" not in content
    assert (await get(world, f"{path}/calendar.ics", if_none_match=fields[b"etag"]))[0] == 304
    await world.set("anna", published=Published(enabled=True, secret="x" * 32, level=Level.LIMITED))
    assert (await get(world, f"{path}/calendar.ics"))[0] == 404
    status, fields, content = await get(world, f"{path}/{'x' * 32}.html", accept_language=b"ru")
    assert status == 200
    assert b"&lt;b&gt;Plan" in content
    assert b'lang="ru"' in content
    assert b"default-src 'none'" in fields[b"content-security-policy"]


async def test_nobody_learns_who_is_here(world):
    await world.set("anna", published=Published(enabled=True, secret="s" * 32))
    wrong = ("anna@example.org/wrong.ics", "nobody@example.org/calendar.ics", "boris@example.org/calendar.ics")
    answers = [await get(world, f"/calendar/{path}") for path in (*wrong, "x", "", "a/b/c.txt", "..%2f/\0.ics")]
    assert {(status, content) for status, _, content in answers} == {(404, b"Nothing is here.\n")}
    assert (await get(world, "/calendar/anna@example.org/x.ics", "POST"))[0] == 405

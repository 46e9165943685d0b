"""`postern queue` and `postern trace` on a data directory without a server."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from postern.cli import language
from postern.config.loading import load
from postern.model.envelope import Envelope, Peer, Recipient
from postern.roles.context import accepting, open_organisation

MESSAGE = b"From: anna@example.org\r\nMessage-ID: <m1@example.org>\r\nSubject: x\r\n\r\nHello\r\n"
PEER = Peer("192.0.2.1", 1234, "127.0.0.1", 25, "submission", principal="anna@example.org")


@pytest.fixture
def admin(postern, tmp_path, monkeypatch):
    """Three messages wait: two for far.example, one for near.example."""
    config = tmp_path / "postern.toml"
    config.write_text('[server]\ndata = "data"\nhostname = "mail.example.org"\n')
    monkeypatch.setenv("POSTERN_CONFIG", str(config))

    async def fill() -> list[str]:
        async with open_organisation(load(config)) as parts, accepting(parts) as mailflow:
            ids = []
            for sender, recipients in (
                ("anna@example.org", ("x@far.example", "y@far.example")),
                ("boris@example.org", ("z@far.example",)),
                ("anna@example.org", ("w@near.example",)),
            ):
                envelope = Envelope(sender, tuple(Recipient(r) for r in recipients))
                routes = [await mailflow.check_recipient(r, None, PEER, 0, may_relay=True) for r in recipients]
                ids.append(await mailflow.submit(envelope, PEER, routes, MESSAGE))
            return ids

    postern.ids = asyncio.run(fill())
    return postern


def addresses(found) -> list[str]:
    return [r["address"] for m in found for r in m["recipients"]]


def test_list_and_show(admin):
    found = admin("queue", "list", "--json").json
    assert [m["queue_id"] for m in found] == admin.ids
    assert found[0]["message_id"] == "m1@example.org" and found[0]["sender"] == "anna@example.org"
    assert {r["state"] for m in found for r in m["recipients"]} == {"waiting"}
    assert addresses(admin("queue", "list", "--domain", "NEAR.example", "--json").json) == ["w@near.example"]
    assert addresses(admin("queue", "list", "--recipient", "y@far.example", "--json").json) == ["y@far.example"]
    assert len(admin("queue", "list", "--sender", "anna@example.org", "--limit", "1", "--json").json) == 1
    totals = admin("queue", "list", "--domains", "--json").json
    assert [(t["target"], t["recipients"]) for t in totals] == [("far.example", 3), ("near.example", 1)]
    table = admin("queue", "list").out
    assert "x@far.example +1" in table and "waiting" in table
    assert "x@far.example" in admin("queue", "show", admin.ids[0].lower()).out
    assert len(admin("queue", "show", admin.ids[0], "--json").json["recipients"]) == 2
    missing = admin("queue", "show", "P0-0")
    assert (missing.status, "P0-0" in missing.err) == (1, True)


@pytest.mark.parametrize("command", ["retry", "suspend", "resume", "remove", "show", "export"])
def test_an_unknown_id_is_an_error_and_says_where_to_look(admin, command):
    """What is known is done all the same, and told."""
    alone = admin("queue", command, "P0-0")
    assert (alone.status, "P0-0" in alone.err, "postern trace" in alone.err) == (1, True, True)
    assert "очеред" in admin("--lang", "ru", "queue", command, "P0-0").err
    language.use("en")
    if command in ("show", "export"):
        return
    if command == "resume":
        admin("queue", "suspend", admin.ids[0])
    both = admin("queue", command, admin.ids[0].lower(), "P0-0", "P0-0", "--json")
    assert both.status == 1
    assert both.json["recipients"] == 2
    assert admin.ids[0] not in both.err and both.err.count("P0-0") == 1


def test_suspend_resume_retry(admin):
    assert admin("queue", "suspend").status == 2, "nothing given is not everything"
    assert admin("queue", "suspend", "--domain", "far.example", "--json").json == {"recipients": 3}
    assert admin("queue", "suspend", "--domain", "far.example", "--json").json == {"recipients": 0}
    states = {r["address"]: r["state"] for m in admin("queue", "list", "--json").json for r in m["recipients"]}
    assert states["x@far.example"] == "suspended" and states["w@near.example"] == "waiting"
    assert admin("queue", "retry", "--all", "--json").json == {"recipients": 1, "suspended": 3}
    assert admin("queue", "resume", admin.ids[1], "--json").json == {"recipients": 1}
    assert admin("queue", "resume", "--all", "--json").json == {"recipients": 2}
    events = [e["event"] for e in admin("trace", "--queue-id", admin.ids[1], "--json").json]
    assert events == ["RECEIVE", "SUSPEND", "RESUME"]


def test_retry_of_suspended_mail_says_what_is_wanted(admin):
    admin("queue", "suspend", "--domain", "far.example")
    alone = admin("queue", "retry", admin.ids[0])
    assert (alone.status, "2 recipients are suspended" in alone.err, "queue resume" in alone.err) == (1, True, True)
    assert "Приостановлено" in admin("--lang", "ru", "queue", "retry", admin.ids[0]).err
    language.use("en")
    # what waits is tried, so the command has done something
    some = admin("queue", "retry", "--all", "--json")
    assert (some.status, some.json, "3 recipients" in some.err) == (0, {"recipients": 1, "suspended": 3}, True)
    assert admin("queue", "retry", admin.ids[2]).err == ""
    admin("queue", "resume", "--all")
    assert (admin("queue", "retry", admin.ids[0]).status, admin("queue", "retry", admin.ids[0]).err) == (0, "")


def test_remove_tells_the_sender_unless_silent(admin, tmp_path: Path):
    assert admin("queue", "remove", admin.ids[0], "--json").json == {"recipients": 2, "messages": [admin.ids[0]]}
    assert admin("queue", "remove", "--domain", "near.example", "--silent").status == 0
    assert [m["queue_id"] for m in admin("queue", "list", "--json").json] == [admin.ids[1]]

    async def owed() -> list[str]:
        async with open_organisation(load(tmp_path / "postern.toml")) as parts:
            return [o.report.to for o in await parts.queue.claim_reports("test", 10)]

    assert asyncio.run(owed()) == ["anna@example.org"]


def test_export(admin, tmp_path: Path):
    assert admin("queue", "export", admin.ids[0], "--to", str(tmp_path / "m.eml")).status == 0
    message = (tmp_path / "m.eml").read_bytes()
    assert message.startswith(b"Received: ") and message.endswith(MESSAGE)
    assert admin("queue", "export", admin.ids[0], "--to", str(tmp_path / "no" / "m.eml")).status == 1
    assert admin("queue", "export", "nothing").status == 1


def test_trace(admin):
    assert [e["queue_id"] for e in admin("trace", "--recipient", "W@near.example", "--json").json] == [admin.ids[2]]
    found = admin("trace", "--sender", "anna@example.org", "--since", "1h", "--json").json
    assert {e["queue_id"] for e in found} == {admin.ids[0], admin.ids[2]}
    assert admin("trace", "--until", "2d", "--json").json == []
    assert admin("trace", "--since", "someday").status == 2
    assert "No message fits" in admin("trace", "--sender", "nobody@example.org").out
    text = admin("trace", "--queue-id", admin.ids[0]).out
    assert text.startswith(admin.ids[0]) and "x@far.example, y@far.example" in text


def test_russian(admin, monkeypatch):
    monkeypatch.setattr(language, "_chosen", "ru")
    assert "СЛЕДУЮЩАЯ ПОПЫТКА" in admin("--lang", "ru", "queue", "list").out
    assert "Приостановлено, получателей: 4." in admin("--lang", "ru", "queue", "suspend", "--all").out
    assert "приостановлено" in admin("--lang", "ru", "queue", "list").out

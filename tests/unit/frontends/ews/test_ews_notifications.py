"""Subscriptions: pull and streaming (MS-OXWSNTIF)."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from ews_world import Client, Reply, World
from test_ews_folders import by_id, get, named
from test_ews_messages import MIME, set_, update

from postern.frontends.ews import happening, streaming, subscribing
from postern.frontends.http.asgi import Admission, Surroundings

EVENTS = ("CreatedEvent", "DeletedEvent", "ModifiedEvent", "NewMailEvent")


def subscribe(kind="Pull", folders=("inbox",), events=EVENTS, extra="<t:Timeout>10</t:Timeout>") -> str:
    where = "".join(named(one) for one in folders)
    listed = f"<t:FolderIds>{where}</t:FolderIds>" if where else ""
    everything = "" if where else ' SubscribeToAllFolders="true"'
    wanted = "".join(f"<t:EventType>{one}</t:EventType>" for one in events)
    return (
        f"<m:Subscribe><m:{kind}SubscriptionRequest{everything}>{listed}<t:EventTypes>{wanted}</t:EventTypes>{extra}"
        f"</m:{kind}SubscriptionRequest></m:Subscribe>"
    )


def get_events(subscription: str, mark: str) -> str:
    return f"<m:GetEvents><m:SubscriptionId>{subscription}</m:SubscriptionId><m:Watermark>{mark}</m:Watermark></m:GetEvents>"


def unsubscribe(subscription: str) -> str:
    return f"<m:Unsubscribe><m:SubscriptionId>{subscription}</m:SubscriptionId></m:Unsubscribe>"


async def pull(client: Client, **how) -> tuple[str, str]:
    reply = (await client.ask(subscribe(**how))).ok()
    return reply.text("//m:SubscriptionId"), reply.text("//m:Watermark")


def kinds(reply: Reply) -> list[str]:
    return [one.tag.rpartition("}")[2] for one in reply.all("//*[t:TimeStamp]")]


async def test_pulling_what_happens_to_a_message(anna):
    subscription, mark = await pull(anna)
    idle = (await anna.ask(get_events(subscription, mark))).ok()
    assert len(idle.all("//t:StatusEvent")) == 1 and not kinds(idle)
    await anna.deliver(MIME)
    ((item, key),) = (await anna.find()).ids()
    first = (await anna.ask(get_events(subscription, mark))).ok()
    assert kinds(first) == ["CreatedEvent", "NewMailEvent", "ModifiedEvent"]
    assert first.text("//m:Notification/t:PreviousWatermark") == mark
    assert [one.get("Id") for one in first.all("//t:NewMailEvent/t:ItemId")] == [item]
    assert first.texts("//t:ModifiedEvent/t:UnreadCount") == ["1"]
    # whoever stops in the middle is told again, whoever has read to the end is not
    assert kinds((await anna.ask(get_events(subscription, first.texts("//t:Watermark")[0]))).ok()) == kinds(first)
    mark = first.texts("//t:Watermark")[-1]
    assert not kinds((await anna.ask(get_events(subscription, mark))).ok())
    (await anna.ask(update((item, key), set_("message:IsRead", "<t:IsRead>true</t:IsRead>")))).ok()
    second = (await anna.ask(get_events(subscription, mark))).ok()
    assert kinds(second) == ["ModifiedEvent", "ModifiedEvent"]
    mark = second.texts("//t:Watermark")[-1]
    (
        await anna.ask(
            f'<m:DeleteItem DeleteType="HardDelete"><m:ItemIds><t:ItemId Id="{item}"/></m:ItemIds></m:DeleteItem>'
        )
    ).ok()
    third = (await anna.ask(get_events(subscription, mark))).ok()
    assert [one.get("Id") for one in third.all("//t:DeletedEvent/t:ItemId")] == [item]


async def test_all_folders_and_folders_themselves(anna):
    subscription, mark = await pull(anna, folders=())
    made = await anna.folder("New")
    await anna.save("<t:Subject>x</t:Subject>")
    reply = (await anna.ask(get_events(subscription, mark))).ok()
    assert made in [one.get("Id") for one in reply.all("//t:CreatedEvent/t:FolderId")]
    assert len(reply.all("//t:CreatedEvent/t:ItemId")) == 1


async def test_long_lists_come_in_pieces(anna, monkeypatch):
    monkeypatch.setattr(happening, "LIMIT", 3)
    subscription, mark = await pull(anna, folders=(), events=("CreatedEvent",))
    for _ in range(5):
        await anna.deliver(MIME)
        await anna.save("<t:Subject>x</t:Subject>")
    found: list[str] = []
    for _ in range(10):
        reply = (await anna.ask(get_events(subscription, mark))).ok()
        found += [one.get("Id") for one in reply.all("//t:CreatedEvent/t:ItemId")]
        mark = reply.texts("//t:Watermark")[-1]
        if reply.text("//t:MoreEvents") == "false":
            break
    assert len(found) == len(set(found)) == 10


async def test_subscriptions_survive_a_restart(anna, world):
    subscription, mark = await pull(anna)
    await anna.deliver(MIME)
    await world.close()
    again = World(world.data)
    await again.start()
    try:
        reply = (await again.client("anna").ask(get_events(subscription, mark))).ok()
        assert "NewMailEvent" in kinds(reply)
    finally:
        await again.close()
        await world.start()


async def test_ending_and_expiring(anna, boris, monkeypatch):
    subscription, mark = await pull(anna)
    assert (await boris.ask(get_events(subscription, mark))).codes == ["ErrorSubscriptionAccessDenied"]
    assert (await boris.ask(unsubscribe(subscription))).codes == ["ErrorSubscriptionAccessDenied"]
    (await anna.ask(unsubscribe(subscription))).ok()
    assert (await anna.ask(unsubscribe(subscription))).codes == ["ErrorSubscriptionNotFound"]
    assert (await anna.ask(get_events(subscription, mark))).codes == ["ErrorSubscriptionNotFound"]
    assert (await anna.ask(get_events("rubbish", mark))).codes == ["ErrorInvalidSubscription"]
    subscription, _ = await pull(anna)
    for bad in ("x", "AAAA", "%%%"):
        assert (await anna.ask(get_events(subscription, bad))).codes == ["ErrorInvalidWatermark"]
    monkeypatch.setattr(subscribing, "MAX_SUBSCRIPTIONS", 1)
    assert (await anna.ask(subscribe())).codes == ["ErrorExceededSubscriptionCount"]


async def test_what_cannot_be_subscribed_to(anna, boris):
    assert (await anna.ask(subscribe(extra="<t:Timeout>0</t:Timeout>"))).codes == ["ErrorSchemaValidation"]
    assert (await anna.ask(subscribe(events=("OtherEvent",)))).codes == ["ErrorSchemaValidation"]
    other = '<t:DistinguishedFolderId Id="inbox"><t:Mailbox><t:EmailAddress>boris@example.org</t:EmailAddress>'
    body = subscribe().replace(named("inbox"), f"{other}</t:Mailbox></t:DistinguishedFolderId>")
    assert (await anna.ask(body)).codes == ["ErrorAccessDenied"]


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1/x", "http://[::1]/", "http://169.254.169.254/", "file:///etc/passwd"]
)
async def test_no_request_is_ever_forged_by_a_push_subscription(anna, url):
    body = subscribe("Push", extra=f"<t:StatusFrequency>1</t:StatusFrequency><t:URL>{url}</t:URL>")
    assert (await anna.ask(body)).codes == ["ErrorInvalidPushSubscriptionUrl"]


class Connection:
    """A stream's envelopes as they come."""

    def __init__(self, client: Client, subscriptions: list[str]) -> None:
        inner = "".join(f"<t:SubscriptionId>{one}</t:SubscriptionId>" for one in subscriptions)
        body = (
            f"<m:GetStreamingEvents><m:SubscriptionIds>{inner}</m:SubscriptionIds><m:ConnectionTimeout>1"
            "</m:ConnectionTimeout></m:GetStreamingEvents>"
        )
        self._queue = [{"type": "http.request", "body": client.envelope(body), "more_body": False}]
        self._gone = asyncio.Event()
        self.came: asyncio.Queue[bytes | None] = asyncio.Queue()
        near = Surroundings("https", "mail.example.org", ("127.0.0.1", 1), ("127.0.0.1", 443), None, "session")
        state = {"admission": Admission(client.principal, "Basic"), "surroundings": near}
        self.fields = [(b"authorization", b"Basic c2VjcmV0")]
        scope = {"type": "http", "method": "POST", "path": "/EWS/Exchange.asmx", "headers": self.fields, "state": state}
        self.task = asyncio.ensure_future(client.world.application(scope, self._receive, self._send))

    async def _receive(self) -> dict:
        if self._queue:
            return self._queue.pop()
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: dict) -> None:
        if message["type"] == "http.response.body":
            await self.came.put(message["body"] if message["body"] else None)

    async def next(self) -> Reply | None:
        raw = await asyncio.wait_for(self.came.get(), 30)
        if raw is None:
            return None
        return Reply(200, raw)

    async def leave(self) -> None:
        self._gone.set()
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self.task, 30)


async def stream(client: Client, **how) -> str:
    return (await client.ask(subscribe("Streaming", extra="", **how))).ok().text("//m:SubscriptionId")


async def test_a_stream_tells_what_happens(anna):
    first, second = await stream(anna), await stream(anna, folders=("drafts",))
    connection = Connection(anna, [first, second])
    assert (await connection.next()).text("//m:ConnectionStatus") == "OK"
    assert connection.fields == [], "a password is not kept for as long as a stream goes on"
    await anna.deliver(MIME)
    news = (await connection.next()).ok()
    assert news.texts("//m:Notifications/*/t:SubscriptionId") == [first] and "NewMailEvent" in kinds(news)
    await anna.save("<t:Subject>x</t:Subject>")
    assert (await connection.next()).ok().texts("//m:Notifications/*/t:SubscriptionId") == [second]
    await connection.leave()
    # what happens while nobody listens is told to the next connection
    await anna.deliver(MIME)
    again = Connection(anna, [first])
    assert (await again.next()).text("//m:ConnectionStatus") == "OK"
    assert kinds(await again.next()).count("NewMailEvent") == 1
    await again.leave()


async def test_a_stream_shows_that_it_lives_and_ends(anna, monkeypatch):
    monkeypatch.setattr(streaming, "BEAT_S", 0.05)
    subscription = await stream(anna)
    connection = Connection(anna, [subscription])
    assert (await connection.next()).text("//m:ConnectionStatus") == "OK"
    assert len((await connection.next()).all("//t:StatusEvent")) == 1
    await connection.leave()
    monkeypatch.setattr(streaming, "MINUTE_S", 0.2)
    last = Connection(anna, [subscription])
    while (reply := await last.next()) is not None:
        ended = reply.texts("//m:ConnectionStatus") == ["Closed"]
    assert ended


async def test_a_sign_of_life_opens_no_mailbox(anna, monkeypatch):
    monkeypatch.setattr(streaming, "BEAT_S", 0.05)
    connection = Connection(anna, [await stream(anna)])
    assert (await connection.next()).text("//m:ConnectionStatus") == "OK"
    await connection.next()
    looks = []
    since = streaming.happening.since

    async def looked(*given):
        looks.append(given)
        return await since(*given)

    monkeypatch.setattr(streaming.happening, "since", looked)
    for _ in range(3):
        assert len((await connection.next()).all("//t:StatusEvent")) == 1
    assert not looks
    await anna.deliver(MIME)
    while "NewMailEvent" not in kinds(await connection.next()):
        pass
    assert looks
    await connection.leave()


async def test_streams_of_what_is_not_there(anna, boris):
    subscription = await stream(anna)
    refused = Connection(boris, [subscription])
    reply = await refused.next()
    assert reply.codes == ["ErrorSubscriptionAccessDenied"]
    assert reply.texts("//m:ErrorSubscriptionIds/*") == [subscription]
    await refused.leave()


def transfer(operation: str, folder: str, *items: str) -> str:
    inner = "".join(f'<t:ItemId Id="{one}"/>' for one in items)
    return f"<m:{operation}><m:ToFolderId>{named(folder)}</m:ToFolderId><m:ItemIds>{inner}</m:ItemIds></m:{operation}>"


ALL = (*EVENTS, "MovedEvent", "CopiedEvent", "FreeBusyChangedEvent")


@pytest.mark.parametrize("folders", [(), ("inbox", "drafts"), ("drafts",), ("inbox",)])
async def test_a_move_is_one_event(anna, folders):
    await anna.deliver(MIME)
    await anna.deliver(MIME)
    (old, _), _ = (await anna.find()).ids()
    subscription, mark = await pull(anna, folders=folders, events=ALL)
    new = (await anna.ask(transfer("MoveItem", "drafts", old))).ok().ids()[0][0]
    reply = (await anna.ask(get_events(subscription, mark))).ok()
    assert [kind for kind in kinds(reply) if kind != "ModifiedEvent"] == ["MovedEvent"]
    assert reply.one("//t:MovedEvent/t:ItemId").get("Id") == new
    assert reply.one("//t:MovedEvent/t:OldItemId").get("Id") == old
    parents = [reply.one(f"//t:MovedEvent/t:{name}").get("Id") for name in ("ParentFolderId", "OldParentFolderId")]
    assert len(set(parents)) == 2


async def test_a_copy_names_its_original(anna):
    await anna.deliver(MIME)
    ((old, _),) = (await anna.find()).ids()
    subscription, mark = await pull(anna, folders=(), events=ALL)
    new = (await anna.ask(transfer("CopyItem", "drafts", old))).ok().ids()[0][0]
    reply = (await anna.ask(get_events(subscription, mark))).ok()
    assert [kind for kind in kinds(reply) if kind != "ModifiedEvent"] == ["CopiedEvent"]
    assert reply.one("//t:CopiedEvent/t:ItemId").get("Id") == new
    assert reply.one("//t:CopiedEvent/t:OldItemId").get("Id") == old


async def test_what_was_moved_on_is_told_as_far_as_it_can_be(anna):
    for _ in range(2):
        await anna.deliver(MIME)
    ids = [one for one, _ in (await anna.find()).ids()]
    subscription, mark = await pull(anna, folders=(), events=ALL)
    moved = [one for one, _ in (await anna.ask(transfer("MoveItem", "drafts", *ids))).ok().ids()]
    (await anna.ask(transfer("MoveItem", "sentitems", moved[0]))).ok()
    reply = (await anna.ask(get_events(subscription, mark))).ok()
    told = [kind for kind in kinds(reply) if kind != "ModifiedEvent"]
    # each of the two that left the inbox is told once, and both are told where they are now
    assert told.count("MovedEvent") >= 1 and "NewMailEvent" not in told


async def test_without_moved_events_a_move_is_two(anna):
    await anna.deliver(MIME)
    ((old, _),) = (await anna.find()).ids()
    subscription, mark = await pull(anna, folders=())
    (await anna.ask(transfer("MoveItem", "drafts", old))).ok()
    reply = (await anna.ask(get_events(subscription, mark))).ok()
    assert sorted(kind for kind in kinds(reply) if kind != "ModifiedEvent") == ["CreatedEvent", "DeletedEvent"]


async def test_the_calendar_tells_that_free_and_busy_have_changed(anna):
    subscription, mark = await pull(anna, folders=("calendar", "inbox"), events=("FreeBusyChangedEvent",))
    reply = await anna.ask(
        '<m:CreateItem SendMeetingInvitations="SendToNone"><m:Items><t:CalendarItem><t:Subject>x</t:Subject>'
        "<t:Start>2026-11-02T09:00:00Z</t:Start><t:End>2026-11-02T10:00:00Z</t:End></t:CalendarItem></m:Items>"
        "</m:CreateItem>"
    )
    item = reply.ok().ids()[0][0]
    await anna.deliver(MIME)
    events = (await anna.ask(get_events(subscription, mark))).ok()
    assert kinds(events) == ["FreeBusyChangedEvent"]
    assert events.one("//t:FreeBusyChangedEvent/t:ItemId").get("Id") == item


def move_folder(folder: str, target: str) -> str:
    return (
        f'<m:MoveFolder><m:ToFolderId>{target}</m:ToFolderId><m:FolderIds><t:FolderId Id="{folder}"/></m:FolderIds>'
        "</m:MoveFolder>"
    )


@pytest.mark.parametrize("watched", ["all", "old parent", "new parent", "itself"])
async def test_a_moved_folder_tells_both_parents(anna, watched):
    """MS-OXWSNTIF 2.2.4.6 MovedCopiedEventType, and the id stays."""
    one, two = await anna.folder("One"), await anna.folder("Two")
    moved = await anna.folder("Moved", by_id(one))
    body = subscribe(folders=() if watched == "all" else ("inbox",), events=ALL)
    place = {"old parent": one, "new parent": two, "itself": moved}.get(watched, "")
    told = (await anna.ask(body.replace(named("inbox"), by_id(place)))).ok()
    subscription, mark = told.text("//m:SubscriptionId"), told.text("//m:Watermark")
    (await anna.ask(move_folder(moved, by_id(two)))).ok()
    reply = (await anna.ask(get_events(subscription, mark))).ok()
    assert kinds(reply) == ["MovedEvent"]
    found = {each.tag.rpartition("}")[2]: each.get("Id") for each in reply.one("//t:MovedEvent")}
    assert (found["FolderId"], found["ParentFolderId"]) == (moved, two)
    assert (found["OldFolderId"], found["OldParentFolderId"]) == (moved, one)
    # another name, later, is no move
    mark = reply.texts("//t:Watermark")[-1]
    renamed = "<t:Folder><t:DisplayName>New</t:DisplayName></t:Folder>"
    (
        await anna.ask(
            f"<m:UpdateFolder><m:FolderChanges><t:FolderChange>{by_id(moved)}<t:Updates><t:SetFolderField>"
            f'<t:FieldURI FieldURI="folder:DisplayName"/>{renamed}</t:SetFolderField></t:Updates></t:FolderChange>'
            "</m:FolderChanges></m:UpdateFolder>"
        )
    ).ok()
    reply = (await anna.ask(get_events(subscription, mark))).ok()
    assert kinds(reply) == ([] if watched == "old parent" else ["ModifiedEvent"])


async def test_a_folder_moved_to_the_top_and_elsewhere(anna):
    one = await anna.folder("One")
    moved = await anna.folder("Moved", by_id(one))
    subscription, mark = await pull(anna, folders=("inbox", "drafts"), events=ALL)
    (await anna.ask(move_folder(moved, named("msgfolderroot")))).ok()
    assert not kinds((await anna.ask(get_events(subscription, mark))).ok())  # neither parent is watched
    subscription, mark = await pull(anna, folders=("msgfolderroot",), events=ALL)
    (await anna.ask(move_folder(moved, by_id(one)))).ok()
    reply = (await anna.ask(get_events(subscription, mark))).ok()
    top = (await anna.ask(get(named("msgfolderroot")))).ok().one("//t:FolderId").get("Id")
    assert reply.one("//t:MovedEvent/t:OldParentFolderId").get("Id") == top
    subscription, mark = await pull(anna, folders=())  # who does not ask for moves
    (await anna.ask(move_folder(moved, named("inbox")))).ok()
    assert kinds((await anna.ask(get_events(subscription, mark))).ok()) == ["ModifiedEvent"]


async def test_a_removed_folder_tells_its_parent(anna):
    one = await anna.folder("One")
    gone = await anna.folder("Gone", by_id(one))
    body = subscribe(folders=("inbox",), events=ALL).replace(named("inbox"), by_id(one))
    told = (await anna.ask(body)).ok()
    (
        await anna.ask(
            f'<m:DeleteFolder DeleteType="HardDelete"><m:FolderIds>{by_id(gone)}</m:FolderIds></m:DeleteFolder>'
        )
    ).ok()
    reply = (await anna.ask(get_events(told.text("//m:SubscriptionId"), told.text("//m:Watermark")))).ok()
    assert [each.get("Id") for each in reply.one("//t:DeletedEvent")[2:]] == [gone, one]

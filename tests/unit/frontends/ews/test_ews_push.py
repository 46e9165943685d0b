"""Push notifications, sent to a real listener: what it is told, its answers, failures, restarts, and whom not to call."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from ews_world import NS, World
from lxml import etree
from tests.ews_schema import check

from postern.frontends.ews import pushing, subscribing
from postern.frontends.ews.push_places import PushPlaces
from postern.frontends.ews.pushing import Pushing
from postern.net.posting import Poster
from postern.protocols.ews import push_xml
from postern.store.sqlite.claims import Claims

MESSAGES = NS["m"]
MAIL = b"Subject: news\r\n\r\ntext\r\n"


def result(status: str) -> bytes:
    return (
        f'<s:Envelope xmlns:s="{NS["s"]}"><s:Body><m:SendNotificationResult xmlns:m="{MESSAGES}">'
        f"<m:SubscriptionStatus>{status}</m:SubscriptionStatus></m:SendNotificationResult></s:Body></s:Envelope>"
    ).encode()


class Listener:
    """A client's server: keeps what it is sent, answers as it is told to."""

    def __init__(self) -> None:
        self.heads: list[bytes] = []
        self.bodies: list[etree._Element] = []
        self.came = asyncio.Event()
        self.answer: bytes | None = result("OK")
        self.status = "200 OK"
        self.fields = ""

    async def start(self) -> Listener:
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
            body = etree.fromstring(await reader.readexactly(length))
            self.heads.append(head)
            self.bodies.append(body)
            self.came.set()
            if self.answer is not None:
                start = f"HTTP/1.1 {self.status}\r\nContent-Length: {len(self.answer)}\r\n{self.fields}\r\n"
                writer.write(start.encode() + self.answer)
                await writer.drain()
        writer.close()

    async def stop(self) -> None:
        self.server.close()
        await self.server.wait_closed()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/push"

    async def until(self, wanted, seconds: float = 20.0) -> None:
        """Wait for something to be true of what has come."""
        async with asyncio.timeout(seconds):
            while not wanted():
                self.came.clear()
                # not wait_for: in Python 3.11 it may lose the cancellation by which the timeout ends this
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.05):
                        await self.came.wait()

    def events(self) -> list[str]:
        return [
            event.tag.rpartition("}")[2]
            for body in self.bodies
            for event in body.iterfind(".//{*}Notification/*")
            if event.tag.endswith("Event")
        ]

    def texts(self, name: str) -> list[str]:
        return [found.text or "" for body in self.bodies for found in body.iterfind(f".//{{*}}{name}")]


@pytest.fixture
async def listener():
    made = await Listener().start()
    yield made
    await made.stop()


@contextlib.asynccontextmanager
async def sending(world: World):
    """The process that sends."""
    claims = Claims(world.data / "push.lock")
    work = Pushing(world.services, world.services.push.register, claims, Poster())
    task = asyncio.create_task(work.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        claims.close()


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(pushing, "LOOK_S", 0.02)
    monkeypatch.setattr(pushing, "FIRST_PAUSE_S", 0.05)


@pytest.fixture
def calling(world):
    """A server that may call any port of this machine."""
    world.services.push.__init__(("http://127.0.0.1:*/",), world.services.push.register)
    return world


def subscribe(url: str, *, minutes: int = 1, mark: str = "", folders: str = "") -> str:
    where = folders or '<t:FolderIds><t:DistinguishedFolderId Id="inbox"/></t:FolderIds>'
    watermark = f"<t:Watermark>{mark}</t:Watermark>" if mark else ""
    return (
        f"<m:Subscribe><m:PushSubscriptionRequest>{where}<t:EventTypes><t:EventType>NewMailEvent</t:EventType>"
        f"</t:EventTypes>{watermark}<t:StatusFrequency>{minutes}</t:StatusFrequency><t:URL>{url}</t:URL>"
        "</m:PushSubscriptionRequest></m:Subscribe>"
    )


async def count(client) -> int:
    call = client.world.services
    items = await call.mailboxes.items(client.principal)
    return len(await items.settings(subscribing.SETTING))


async def mark(client) -> str:
    """Where the only subscription has got to, as it is stored."""
    items = await client.world.services.mailboxes.items(client.principal)
    (found,) = await items.settings(subscribing.SETTING)
    return subscribing._decode(found.value).mark


async def test_nobody_is_called_unless_it_is_allowed(anna, listener):
    assert (await anna.ask(subscribe(listener.url))).codes == ["ErrorInvalidPushSubscriptionUrl"]
    assert await count(anna) == 0


async def test_a_first_sign_of_life_then_news_with_watermarks(anna, calling, listener):
    async with sending(calling):
        told = (await anna.ask(subscribe(listener.url))).ok()
        await listener.until(lambda: listener.events())
        assert listener.events() == ["StatusEvent"]
        await anna.deliver(MAIL)
        await listener.until(lambda: "NewMailEvent" in listener.events())
    head, body = listener.heads[-1].decode().lower(), listener.bodies[-1]
    assert head.startswith("post /push http/1.1\r\n") and "sendnotification" in head
    assert "authorization" not in head and "cookie" not in head
    check(body.find("{*}Body")[0])
    assert set(listener.texts("SubscriptionId")) == {told.text("//m:SubscriptionId")}
    marks = listener.texts("PreviousWatermark")
    assert marks[0] == told.text("//m:Watermark") and marks[1] == listener.texts("Watermark")[0]
    assert listener.texts("MoreEvents") == ["false", "false"]


async def test_watermarks_hang_together_over_what_is_not_told(anna, calling, listener):
    folder = (
        '<m:CreateFolder><m:ParentFolderId><t:DistinguishedFolderId Id="msgfolderroot"/></m:ParentFolderId><m:Folders>'
        "<t:Folder><t:DisplayName>Other</t:DisplayName></t:Folder></m:Folders></m:CreateFolder>"
    )
    async with sending(calling):
        (await anna.ask(subscribe(listener.url))).ok()
        await listener.until(lambda: listener.events())
        (await anna.ask(folder)).ok()
        await asyncio.sleep(0.3)  # looked at, and nothing of it to tell
        await anna.deliver(MAIL)
        await listener.until(lambda: "NewMailEvent" in listener.events())
    first, second = listener.bodies
    assert second.findtext(".//{*}PreviousWatermark") == first.findtext(".//{*}Watermark")


async def test_exchangelib_reads_what_is_sent(anna, calling, listener):
    services = pytest.importorskip(
        "exchangelib.services", reason="exchangelib cannot be imported: make .venv/.installed-dev", exc_type=ImportError
    )
    await anna.ask(subscribe(listener.url))
    async with sending(calling):
        await listener.until(lambda: listener.events())
        await anna.deliver(MAIL)
        await listener.until(lambda: "NewMailEvent" in listener.events())
    reader = services.SendNotification(protocol=None)
    (told,) = reader.parse(etree.tostring(listener.bodies[-1]))
    assert [type(one).__name__ for one in told.events] == ["NewMailEvent"]
    assert told.subscription_id and told.previous_watermark and told.more_events is False


async def test_an_answer_may_end_it(anna, calling, listener):
    listener.answer = result("Unsubscribe")
    async with sending(calling):
        (await anna.ask(subscribe(listener.url))).ok()
        await listener.until(lambda: listener.bodies)
        for _ in range(400):
            if not await count(anna) and not await calling.services.push.register.all():
                break
            await asyncio.sleep(0.02)
    assert await count(anna) == 0 and await calling.services.push.register.all() == []
    assert len(listener.bodies) == 1


async def test_unsubscribe_ends_it(anna, calling, listener):
    async with sending(calling):
        told = (await anna.ask(subscribe(listener.url))).ok()
        await listener.until(lambda: listener.bodies)
        id_ = told.text("//m:SubscriptionId")
        (await anna.ask(f"<m:Unsubscribe><m:SubscriptionId>{id_}</m:SubscriptionId></m:Unsubscribe>")).ok()
        for _ in range(400):
            if not await calling.services.push.register.all():
                break
            await asyncio.sleep(0.02)
        await anna.deliver(MAIL)
        await asyncio.sleep(0.2)
    assert listener.events() == ["StatusEvent"] and await calling.services.push.register.all() == []


NO_ANSWERS = (
    ("500 No", b"", ""),
    ("302 Found", b"", "Location: http://127.0.0.1:1/\r\n"),
    ("200 OK", b"hello", ""),
    ("200 OK", result("Perhaps"), ""),
    ("200 OK", b"<!DOCTYPE x [<!ENTITY a 'b'>]><x/>", ""),
    ("200 OK", b"x" * 70_000, ""),
    ("200 OK", None, ""),
)


async def test_who_gives_no_proper_answer_is_asked_again_and_given_up(anna, calling, listener, monkeypatch):
    monkeypatch.setattr(pushing, "MINUTE_S", 0.2)
    async with sending(calling):
        for listener.status, listener.answer, listener.fields in NO_ANSWERS:
            listener.bodies.clear()
            (await anna.ask(subscribe(listener.url))).ok()
            await listener.until(lambda: len(listener.bodies) == 3)  # after 0, 0.05, 0.15; the next pause is too long
            async with asyncio.timeout(60):
                while await count(anna):
                    await asyncio.sleep(0.01)
            assert len(listener.bodies) == 3
    ended = [said.get("reason") for name, said in calling.log.lines if name == "ews.push_ended"]
    assert ended == ["no answer"] * len(NO_ANSWERS)


async def test_what_failed_once_is_told_when_it_goes_again(anna, calling, listener):
    listener.status = "503 Later"
    async with sending(calling):
        (await anna.ask(subscribe(listener.url))).ok()
        await listener.until(lambda: len(listener.bodies) == 2)
        listener.status = "200 OK"
        await anna.deliver(MAIL)
        await listener.until(lambda: "NewMailEvent" in listener.events())
    assert await count(anna) == 1


async def test_signs_of_life_come_while_nothing_happens(anna, calling, listener, monkeypatch):
    monkeypatch.setattr(pushing, "MINUTE_S", 0.1)
    async with sending(calling):
        (await anna.ask(subscribe(listener.url))).ok()
        await listener.until(lambda: len(listener.bodies) >= 3)
    assert set(listener.events()) == {"StatusEvent"}


async def test_it_goes_on_after_a_restart_and_tells_what_came_meanwhile(anna, calling, listener):
    async with sending(calling):
        (await anna.ask(subscribe(listener.url))).ok()
        await anna.deliver(MAIL)
        await listener.until(lambda: "NewMailEvent" in listener.events())
        # until it is remembered: a notification whose answer was not yet seen is sent again
        async with asyncio.timeout(60):
            while await mark(anna) != listener.texts("Watermark")[-1]:
                await asyncio.sleep(0.01)
    before = len(listener.events())
    await anna.deliver(MAIL)
    async with sending(calling):
        await listener.until(lambda: listener.events()[before:].count("NewMailEvent") == 1)
        assert listener.events().count("NewMailEvent") == 2


async def test_one_process_sends(anna, calling, listener):
    first = Claims(calling.data / "push.lock")
    assert first.take(pushing._ELECTION)
    # locks belong to processes: another one of this process would be let in, so the claim itself is held here

    class Taken:
        def take(self, mailbox) -> bool:
            return False

        def give(self, mailbox) -> None:
            raise AssertionError("it was never taken")

    work = Pushing(calling.services, calling.services.push.register, Taken(), Poster())
    task = asyncio.create_task(work.run())
    (await anna.ask(subscribe(listener.url))).ok()
    await asyncio.sleep(0.2)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    first.close()
    assert not listener.bodies


async def test_a_right_that_is_gone_ends_it(anna, boris, calling, listener):
    from postern.model.items import SpecialUse
    from postern.model.rights import ROLES

    mailbox = await calling.parts.store.mailbox(anna.principal.mailbox)
    inbox = (await mailbox.special(SpecialUse.INBOX)).id
    directory = calling.parts.directory
    await directory.set_folder_rights(mailbox.id, inbox, "boris@example.org", ROLES["reviewer"])
    shared = (
        '<t:FolderIds><t:DistinguishedFolderId Id="inbox"><t:Mailbox><t:EmailAddress>anna@example.org'
        "</t:EmailAddress></t:Mailbox></t:DistinguishedFolderId></t:FolderIds>"
    )
    async with sending(calling):
        (await boris.ask(subscribe(listener.url, folders=shared))).ok()
        await anna.deliver(MAIL)
        await listener.until(lambda: "NewMailEvent" in listener.events())
        await directory.set_folder_rights(mailbox.id, inbox, "boris@example.org", None)
        await anna.deliver(MAIL)
        for _ in range(400):
            if not await count(boris):
                break
            await asyncio.sleep(0.02)
    assert await count(boris) == 0 and listener.events().count("NewMailEvent") == 1


async def test_a_disabled_account_is_told_nothing_until_it_comes_back(anna, calling, listener, monkeypatch):
    from postern.directory.interface import AccountChange

    monkeypatch.setattr(pushing, "AGAIN_S", 0.05)
    directory = calling.parts.directory
    (await anna.ask(subscribe(listener.url))).ok()
    await directory.change_account("anna@example.org", AccountChange(enabled=False))
    async with sending(calling):
        await asyncio.sleep(0.3)
        assert not listener.bodies
        await directory.change_account("anna@example.org", AccountChange(enabled=True))
        await listener.until(lambda: listener.bodies)
    await directory.delete_account("anna@example.org")
    async with sending(calling), asyncio.timeout(60):
        while await calling.services.push.register.all():
            await asyncio.sleep(0.02)


async def test_there_are_not_too_many(anna, calling, listener, monkeypatch):
    monkeypatch.setattr(subscribing, "MAX_PUSHED", 1)
    (await anna.ask(subscribe(listener.url))).ok()
    assert (await anna.ask(subscribe(listener.url))).codes == ["ErrorExceededSubscriptionCount"]


PLACES = ("https://client.example.org/hooks/", "http://127.0.0.1:*", "http://other.example.org:8080/a")


@pytest.mark.parametrize(
    ("url", "may"),
    [
        ("https://client.example.org/hooks/one?x=1", True),
        ("https://CLIENT.example.org:443/hooks/one", True),
        ("https://client.example.org/hooks", False),
        ("https://client.example.org/hooksome", False),
        ("https://client.example.org/hooks/../admin", False),
        ("https://client.example.org/hooks/%2e%2E/admin", False),
        ("https://client.example.org:444/hooks/x", False),
        ("http://client.example.org/hooks/x", False),
        ("https://client.example.org@evil.example.net/hooks/x", False),
        ("https://user:secret@client.example.org/hooks/x", False),
        ("https://client.example.org.evil.example.net/hooks/x", False),
        ("http://127.0.0.1:9999/any/where", True),
        ("http://127.0.0.2/", False),
        ("http://other.example.org:8080/a", True),
        ("http://other.example.org:8080/a/b", True),
        ("http://other.example.org:8080/ab", False),
        ("http://other.example.org/a", False),
        ("file:///etc/passwd", False),
        ("gopher://127.0.0.1:25/", False),
        ("http://127.0.0.1:80/a\r\nX: y", False),
        ("http://127.0.0.1:99999/", False),
        ("http://127.0.0.1/#x", False),
        ("", False),
        ("http://127.0.0.1/" + "x" * 2000, False),
    ],
)
def test_where_it_may_call(url, may):
    assert push_xml.may_be_called(url, tuple(map(push_xml.allowed, PLACES))) is may


def test_places_of_the_setting_that_are_none():
    for wrong in ("https://", "ftp://x/", "https://user@x/", "https://x/?y"):
        with pytest.raises(ValueError):
            PushPlaces((wrong,), None)  # type: ignore[arg-type]

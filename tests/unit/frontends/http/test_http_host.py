"""The host itself: requests and answers on the wire, limits, and what attackers try."""

from __future__ import annotations

import asyncio

import pytest
from tests.stopwatch import stopwatch
from tests.unit.frontends.http.conftest import HOST, World

from postern.frontends.http.asgi import Answer as Reply
from postern.frontends.http.asgi import body_of
from postern.frontends.http.site import ANYBODY, Mount, Site
from postern.frontends.http.statuses import PHRASES, STATUSES
from postern.model.refusal import Reason, Refusal


async def echo(scope, receive, send):
    body = await body_of(receive, 1 << 30)
    await Reply(200, scope["path"].encode() + b" " + (body or b""))(scope, receive, send)


async def stream(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    for number in range(3):
        await send({"type": "http.response.body", "body": b"%d" % number, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def open_to_all(application, prefix: str = "") -> Mount:
    return Mount(prefix, application, ANYBODY)


async def reached(world: World, *mounts: Mount, **limits):
    return await world.connect(await world.site(*mounts, **limits))


# --- manners


async def test_requests_one_after_the_other_and_all_at_once(world):
    client = await reached(world, open_to_all(echo))
    for number in range(3):
        assert (await client.ask("POST", f"/{number}", body=b"x" * number)).body == b"/%d " % number + b"x" * number
    one = b"POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab"
    await client.send(one * 50)
    assert [(await client.answer()).body for _ in range(50)] == [b"/p ab"] * 50


async def test_an_answer_that_grows_is_sent_in_chunks_and_to_old_clients_to_the_end(world):
    port = await world.site(open_to_all(stream))
    client = await world.connect(port)
    for _ in range(2):
        answer = await client.ask("GET", "/")
        assert (answer.body, answer.get("transfer-encoding")) == (b"012", "chunked")
    old = await world.connect(port)
    await old.send(b"GET / HTTP/1.0\r\n\r\n")
    text = await old.reader.read()
    assert text.endswith(b"\r\n\r\n012") and b"chunked" not in text and b"Connection: close" in text


async def test_head_has_the_fields_and_no_content(world):
    client = await reached(world, open_to_all(Reply(200, b"12345"), "/a"), open_to_all(stream, "/b"))
    for path in ("/a", "/b", "/a"):
        answer = await client.ask("HEAD", path)
        assert answer.status == 200 and answer.body == b""
    assert (await client.ask("HEAD", "/a")).get("content-length") == "5"
    assert (await client.ask("GET", "/a")).body == b"12345"


async def test_continue_is_sent_when_the_body_is_wanted(world):
    client = await reached(world, open_to_all(echo, "/a"), open_to_all(Reply(403), "/b"))
    head = "POST {} HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"
    await client.send(head.format("/a").encode())
    assert (await client.answer()).status == 100
    await client.send(b"abc")
    assert (await client.answer()).body == b"/a abc"
    await client.send(head.format("/b").encode())
    refused = await client.answer()
    assert (refused.status, refused.get("connection")) == (403, "close"), "whether the body still comes is in doubt"
    assert await client.ended()


async def test_a_body_that_nobody_reads_does_not_become_the_next_request(world):
    client = await reached(world, open_to_all(Reply(200, b"first"), "/first"), open_to_all(Reply(200, b"no"), "/x"))
    inner = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"
    await client.send(b"POST /first HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(inner) + inner)
    assert (await client.answer()).body == b"first"
    assert (await client.ask("GET", "/first")).body == b"first"


async def test_a_large_body_that_nobody_reads_ends_the_connection(world):
    client = await reached(world, open_to_all(Reply(403)))
    await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\n" + b"x" * 100_000)
    answer = await client.answer()
    assert (answer.status, answer.get("connection")) == (403, "close")


@pytest.mark.parametrize("by_state", [False, True])
async def test_an_application_learns_that_its_client_is_gone(world, by_state):
    seen = asyncio.Event()

    async def wait(scope, receive, send):
        await receive()
        if by_state:
            await scope["state"]["closing"]()
        assert (await receive())["type"] == "http.disconnect"
        seen.set()
        await Reply(200)(scope, receive, send)

    client = await reached(world, open_to_all(wait))
    await client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    await asyncio.sleep(0.05)
    await client.close()
    await asyncio.wait_for(seen.wait(), 60)


@pytest.mark.parametrize("by_state", [False, True])
async def test_requests_that_come_while_an_application_waits_are_kept(world, by_state):
    release = asyncio.Event()

    async def wait(scope, receive, send):
        await receive()
        listening = scope["state"]["closing"]() if by_state else asyncio.ensure_future(receive())
        await release.wait()
        listening.cancel()
        await Reply(200, b"waited")(scope, receive, send)

    client = await reached(world, open_to_all(wait, "/wait"), open_to_all(echo))
    await client.send(b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
    await asyncio.sleep(0.05)
    await client.send(b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n")
    await asyncio.sleep(0.05)
    release.set()
    assert (await client.answer()).body == b"waited"
    assert (await client.answer()).body == b"/next "


async def test_every_answer_protects_the_browser(world):
    client = await world.connect(await world.host())
    for path in ("/", "/whoami", "/auth/sign-in", "/auth/style.css", "/health", "/nothing"):
        answer = await client.ask("GET", path)
        assert answer.get("x-content-type-options") == "nosniff"
        assert answer.get("x-frame-options") == "DENY"
        assert "default-src 'none'" in answer.get("content-security-policy")
        assert "script-src" not in answer.get("content-security-policy")
        assert answer.get("strict-transport-security") == "max-age=31536000"
        assert answer.get("referrer-policy") == "same-origin"
        assert answer.get("cache-control") == ("public, max-age=3600" if "css" in path else "no-store")
        assert not answer.get("server")


@pytest.mark.parametrize(
    ("path", "status"), [("/health", 200), ("/HEALTH", 200), ("/health/x", 404), ("/healthy", 404)]
)
async def test_prefixes_end_at_slashes_and_have_no_case(world, path, status):
    client = await world.connect(await world.host())
    answer = await client.ask("GET", path)
    assert (503 if status == 200 else status) == answer.status, "no process serves here: degraded"


def test_the_longest_prefix_counts():
    site = Site([Mount("", "root"), Mount("/EWS", "ews"), Mount("/ews/ping", "ping", exact=True)])
    found = {path: site.find(path).application for path in ("/", "/x", "/ews", "/Ews/a/b", "/ews/PING/", "/ews/ping/a")}
    assert found == {
        "/": "root", "/x": "root", "/ews": "ews", "/Ews/a/b": "ews", "/ews/PING/": "ping", "/ews/ping/a": "ews",
    }  # fmt: skip
    assert Site([Mount("/a", "a")]).find("/") is None


# --- attacks


async def test_request_smuggling_is_answered_once(world):
    asked = []

    async def note(scope, receive, send):
        asked.append(scope["path"])
        await Reply(200)(scope, receive, send)

    client = await reached(world, open_to_all(note))
    await client.send(
        b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
    )
    answer = await client.answer()
    assert (answer.status, answer.get("connection")) == (400, "close")
    assert await client.ended() and asked == []


async def test_slow_loris(world):
    """Heads that trickle: each octet in time, the whole never."""
    client = await reached(world, open_to_all(echo), head_timeout_s=0.5)
    await client.send(b"GET / HTTP/1.1\r\nHost: a\r\n")

    async def trickle():
        while True:
            await client.send(b"X: y\r\n")
            await asyncio.sleep(0.02)

    task = asyncio.ensure_future(trickle())
    with stopwatch() as took:
        answer = await client.answer()
    assert answer.status == 408 and took.seconds < 2
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_slow_bodies(world):
    client = await reached(world, open_to_all(echo), body_timeout_s=0.5, body_rate=1_000_000)
    await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n")
    with stopwatch() as took:
        for _ in range(100):
            await client.send(b"x")
            await asyncio.sleep(0.02)
            if client.reader.at_eof():
                break
    assert took.seconds < 1.5 and await client.ended()


async def test_slow_readers(world):
    done = asyncio.Event()

    async def endless(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        try:
            while True:
                await send({"type": "http.response.body", "body": b"x" * 1_000_000, "more_body": True})
        finally:
            done.set()

    client = await reached(world, open_to_all(endless), write_timeout_s=0.3)
    await client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    await asyncio.wait_for(done.wait(), 60)


async def test_idle_connections_end(world):
    client = await reached(world, open_to_all(echo), idle_timeout_s=0.2)
    assert (await client.ask("GET", "/")).status == 200
    assert await client.ended()


async def test_oversized_headers(world):
    client = await reached(world, open_to_all(echo), head_bytes=8192)
    await client.send(b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 20_000)
    assert (await client.answer()).status == 431
    assert await client.ended()


async def test_a_kerberos_ticket_of_many_groups_fits(world):
    client = await reached(world, open_to_all(echo))
    assert (await client.ask("GET", "/", {"Authorization": "Negotiate " + "A" * 60_000})).status == 200


@pytest.mark.parametrize("chunked", [False, True])
async def test_oversized_bodies(world, chunked):
    client = await reached(world, open_to_all(echo), body_bytes=100_000)
    if chunked:
        await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        await client.send(b"10000\r\n" + b"x" * 65536 + b"\r\n10000\r\n" + b"x" * 65536 + b"\r\n")
    else:
        await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100001\r\n\r\n")
    assert (await client.answer()).status == 413


async def test_connections_of_one_address_are_limited(world):
    port = await world.site(open_to_all(echo), max_connections_per_address=2)
    clients = [await world.connect(port) for _ in range(2)]
    for client in clients:
        assert (await client.ask("GET", "/")).status == 200
    third = await world.connect(port)
    assert await third.ended()
    await clients[0].close()
    await asyncio.sleep(0.1)
    assert (await (await world.connect(port)).ask("GET", "/")).status == 200


@pytest.mark.parametrize("value", [b"a\r\nSet-Cookie: x=y", b"a\nSet-Cookie: x=y", b"a\rb", b"a\0b"])
async def test_header_injection(world, value):
    """An application that repeats what somebody sent cannot be made to say more."""
    client = await reached(world, open_to_all(Reply(303, fields=((b"location", value),))))
    answer = await client.ask("GET", "/")
    assert answer.status == 500 and not answer.all("set-cookie")
    assert "octets that no field may have" in str(world.log.of("http.failed")[0]["exc_info"])


@pytest.mark.parametrize(
    ("host", "status"),
    [
        (HOST, 303),
        ("MAIL.example.org.:8443", 303),
        ("mail", 303),
        ("example.org", 303),
        ("autodiscover.example.org", 303),
        ("127.0.0.1", 303),
        ("localhost", 303),
        ("evil.example", 421),
        ("example.org.evil.example", 421),
        ("evilexample.org", 421),
        ("192.0.2.1", 421),
        ("[::1]", 421),
        ("", 400),
        ("a, b", 400),
        ("mail.example.org@evil.example", 400),
        ("mail.example.org/evil", 400),
    ],
)
async def test_host_header_attacks(world, host, status):
    client = await world.connect(await world.host())
    answer = await client.ask("GET", "/", {"Host": host})
    assert answer.status == status
    assert "evil" not in str(answer.fields) + str(answer.body)


async def test_the_listener_without_tls_only_redirects(world, tmp_path):
    port = await world.host("http")
    client = await world.connect(port, tls=False)
    for host, location in (
        ("autodiscover.example.org", "https://autodiscover.example.org:8443/owa?a=b"),
        ("evil.example", f"https://{HOST}:8443/owa?a=b"),
        ("127.0.0.1:80", "https://127.0.0.1:8443/owa?a=b"),
    ):
        answer = await client.ask("GET", "/owa?a=b", {"Host": host})
        assert (answer.status, answer.get("location")) == (308, location)
        assert not answer.get("strict-transport-security")
    absolute = await client.ask("GET", "http://evil.example//evil.example/%2F")
    assert absolute.get("location") == f"https://{HOST}:8443//evil.example/%2F"
    assert (await client.ask("POST", "/owa", body=b"password=x")).status == 403


async def test_answers_for_acme_and_no_other_files(world):
    place = world.settings.data_dir / "acme-challenge"
    place.mkdir()
    (place / ("t" * 20)).write_bytes(b"proof")
    (place.parent / "secret-secret-secret").write_bytes(b"x")
    client = await world.connect(await world.host("http"), tls=False)
    base = "/.well-known/acme-challenge/"
    assert (await client.ask("GET", base + "t" * 20, {"Host": "not-yet-ours.example"})).body == b"proof"
    for path in ("u" * 20, "x", "", "%2e%2e%2fsecret-secret-secret", "..%2fsecret-secret-secret"):
        assert (await client.ask("GET", base + path)).status in (400, 404)
        client = await world.connect(await world.host("http"), tls=False)


async def test_trace_does_not_show_credentials(world):
    client = await reached(world, open_to_all(echo))
    answer = await client.ask("TRACE", "/", {"Cookie": "secret"})
    assert answer.status == 405 and b"secret" not in answer.body


# --- applications that fail


@pytest.mark.parametrize("reason", list(Reason))
def test_every_refusal_has_a_status(reason):
    assert STATUSES[reason] in PHRASES


async def test_failing_applications(world):
    async def refuse(scope, receive, send):
        raise Refusal(Reason.CONFLICT, "internal detail")

    async def fail(scope, receive, send):
        raise RuntimeError("internal detail")

    async def silent(scope, receive, send):
        pass

    async def half(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"10")]})
        await send({"type": "http.response.body", "body": b"12345", "more_body": True})
        raise RuntimeError("internal detail")

    async def short(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"10")]})
        await send({"type": "http.response.body", "body": b"12345"})

    mounts = {"/refuse": refuse, "/fail": fail, "/silent": silent, "/half": half, "/short": short}
    port = await world.site(*(open_to_all(application, path) for path, application in mounts.items()))
    for path, status in (("/refuse", 409), ("/fail", 500), ("/silent", 500)):
        client = await world.connect(port)
        answer = await client.ask("GET", path)
        assert answer.status == status and b"internal" not in answer.body
    for path in ("/half", "/short"):
        client = await world.connect(port)
        with pytest.raises((EOFError, ConnectionError, AssertionError)):
            answer = await client.ask("GET", path)
            assert answer.status == 200
    assert len(world.log.of("http.failed")) == 4

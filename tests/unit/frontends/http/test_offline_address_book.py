"""/OAB over the product's own host, as Outlook's BITS and Evolution fetch it."""

from __future__ import annotations

import re

import pytest
from tests.unit.frontends.http.test_http_sign_in import basic

from postern.services.address_book import AddressBook
from postern.services.offline_books import OfflineBooks


@pytest.fixture
async def client(world):
    client = await world.connect(await world.host())
    assert (await client.ask("GET", "/OAB/oab.xml")).status == 401
    waiting = await client.ask("GET", "/OAB/oab.xml", basic())
    assert (waiting.status, waiting.get("retry-after")) == (503, "60")
    book = AddressBook(world.parts.directory, world.parts.clock)
    await OfflineBooks(world.parts.directory, book, world.parts.data / "oab").make()
    return client


async def test_the_manifest_and_its_files_whole_and_in_ranges(client):
    manifest = await client.ask("GET", "/oab/11111111-2222-3333-4444-555555555555/OAB.XML", basic())
    assert (manifest.status, manifest.get("content-type")) == (200, "text/xml; charset=utf-8")
    name = re.search(rb">([^<]+)</Full>", manifest.body)[1].decode()
    path = f"/OAB/{name}"
    head = await client.ask("HEAD", path, basic())
    whole = await client.ask("GET", path, basic())
    assert (head.status, whole.status, head.get("accept-ranges")) == (200, 200, "bytes")
    assert int(head.get("content-length")) == len(whole.body)
    tag, size = whole.get("etag"), len(whole.body)

    async def part(wanted: str, **fields: str):
        answer = await client.ask("GET", path, {**basic(), "Range": wanted, **fields})
        return answer.status, answer.get("content-range"), answer.body

    assert await part("bytes=0-9") == (206, f"bytes 0-9/{size}", whole.body[:10])
    assert await part("bytes=10-") == (206, f"bytes 10-{size - 1}/{size}", whole.body[10:])
    assert await part("bytes=-5") == (206, f"bytes {size - 5}-{size - 1}/{size}", whole.body[-5:])
    assert (await part(f"bytes={size}-"))[:2] == (416, f"bytes */{size}")
    assert (await part("bytes=5-2"))[0] == 416
    assert (await part("bytes=0-9", **{"If-Range": '"other"'}))[0] == 200
    assert (await part("bytes=0-9", **{"If-Range": tag}))[0] == 206
    for unknown in ("bytes=0-1,3-4", "lines=1-2", "bytes=-", "bytes=x-y"):
        assert (await part(unknown))[0] in (200, 416)
    assert (await client.ask("GET", path, {**basic(), "If-None-Match": tag})).status == 304


@pytest.mark.parametrize("path", ["/OAB/", "/OAB/index.json", "/OAB/x/y.lzx"])
async def test_nothing_else_is_there(client, path):
    assert (await client.ask("GET", path, basic())).status == 404
    assert (await client.ask("POST", path, basic(), b"")).status == 405

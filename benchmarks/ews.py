"""Exchange Web Services without network: items a second of one core, and what a synchronisation without changes costs.

`python -m benchmarks.ews [COUNT]` fills a mailbox with COUNT messages and asks for all of them in the usual ways.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path += [str(ROOT), str(ROOT / "tests" / "unit" / "frontends" / "ews")]
sys.modules["ews_schema"] = type(sys)("ews_schema")
sys.modules["ews_schema"].check = lambda body: None  # type: ignore[attr-defined]

from ews_world import World  # noqa: E402

MESSAGE = (
    b"From: Sender %d <sender%d@example.net>\r\nTo: Anna <anna@example.org>, b@example.net\r\nSubject: Number %d\r\n"
    b"Date: Mon, 23 Nov 2026 11:12:34 +0100\r\nMessage-ID: <%d@example.net>\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\n\r\n%b"
)
BODY = b"A line of text as people write them, not very long.\r\n" * 60


async def run(count: int, data: Path) -> None:
    world = World(data)
    await world.start()
    anna = world.client("anna")
    await asyncio.gather(*(anna.deliver(MESSAGE % (n % 50, n % 50, n, n, BODY)) for n in range(count)))
    ids: list[str] = []

    async def timed(name: str, body: list[str], items: int) -> list[bytes]:
        began = time.process_time()
        answers = [(await anna.post(anna.envelope(one)))[1] for one in body]
        spent = time.process_time() - began
        print(f"{name:44} {items / spent:10,.0f} items/s   {1000 * spent / len(body):8.2f} ms a request", flush=True)
        return answers

    def sync(state: str, shape: str = "IdOnly") -> str:
        given = f"<m:SyncState>{state}</m:SyncState>" if state else ""
        return (
            f"<m:SyncFolderItems><m:ItemShape><t:BaseShape>{shape}</t:BaseShape></m:ItemShape><m:SyncFolderId>"
            f'<t:DistinguishedFolderId Id="inbox"/></m:SyncFolderId>{given}<m:MaxChangesReturned>512'
            "</m:MaxChangesReturned></m:SyncFolderItems>"
        )

    def cut(raw: bytes, opening: bytes, closing: bytes) -> list[str]:
        return [part.partition(closing)[0].decode() for part in raw.split(opening)[1:]]

    state = ""
    began = time.process_time()
    while True:
        raw = (await anna.post(anna.envelope(sync(state))))[1]
        ids += cut(raw, b'<t:ItemId Id="', b'"')
        (state,) = cut(raw, b"<m:SyncState>", b"</m:SyncState>")
        if b"<m:IncludesLastItemInRange>true" in raw:
            break
    spent = time.process_time() - began
    print(f"{'SyncFolderItems IdOnly, all':44} {len(ids) / spent:10,.0f} items/s")
    assert len(ids) == count
    await timed("SyncFolderItems, nothing new", [sync(state)] * 200, 200)

    def find(shape: str, offset: int) -> str:
        return (
            f'<m:FindItem Traversal="Shallow"><m:ItemShape><t:BaseShape>{shape}</t:BaseShape></m:ItemShape>'
            f'<m:IndexedPageItemView MaxEntriesReturned="1000" Offset="{offset}" BasePoint="Beginning"/>'
            '<m:ParentFolderIds><t:DistinguishedFolderId Id="inbox"/></m:ParentFolderIds></m:FindItem>'
        )

    for shape in ("IdOnly", "Default", "AllProperties"):
        await timed(f"FindItem {shape}", [find(shape, at) for at in range(0, count, 1000)], count)

    def get(shape: str, wanted: list[str], more: str = "") -> str:
        inner = "".join(f'<t:ItemId Id="{one}"/>' for one in wanted)
        return (
            f"<m:GetItem><m:ItemShape><t:BaseShape>{shape}</t:BaseShape>{more}</m:ItemShape><m:ItemIds>{inner}"
            "</m:ItemIds></m:GetItem>"
        )

    mime = "<t:IncludeMimeContent>true</t:IncludeMimeContent>"
    for name, shape, more in (
        ("IdOnly", "IdOnly", ""),
        ("Default with bodies", "Default", ""),
        ("MimeContent", "IdOnly", mime),
    ):
        await timed(f"GetItem {name}", [get(shape, ids[at : at + 100], more) for at in range(0, count, 100)], count)
    await world.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000, Path(folder) / "data"))

"""How long synchronising a directory takes, from a checkout, as root (Samba's ports):

    python -m benchmarks.sources openldap --people 50000
    python -m benchmarks.sources samba --people 2000

The server runs on this machine too. Times are of one run each: everything, nothing changed, some changed and one
deleted; for Samba by DirSync and by update sequence numbers.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import ssl
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import trustme
from tests.interop import directory_servers as ds
from tests.interop import samba

from postern.ldapsource.connection import Controller, bound, opened
from postern.ldapsource.settings import SourceSettings
from postern.ldapsource.synchronising import Report, Synchroniser
from postern.protocols.ldap import operations as op

CHANGED = {"openldap": 100, "samba": 20}


async def measure(synchroniser: Synchroniser, change, name: str) -> None:
    await told(f"{name}: everything", synchroniser)
    await told(f"{name}: nothing changed", synchroniser)
    await asyncio.to_thread(change)
    await told(f"{name}: some changed, one deleted", synchroniser)


async def told(what: str, synchroniser: Synchroniser) -> None:
    report: Report = await synchroniser.run()
    sys.stdout.write(
        f"{what}: {report.seconds:.2f} s (read {report.read}, added {report.added}, changed {report.changed},"
        f" removed {report.removed}, dirsync {report.by_dirsync})\n"
    )
    sys.stdout.flush()


def openldap(people: int) -> None:
    with ds.slapd(trustme.CA(), ds.people(people), log=10_000) as (port, ca), tempfile.TemporaryDirectory() as data:

        async def run() -> None:
            settings = ds.reader_settings(Path(data), port, ca)
            async with ds.mirrored(Path(data), settings) as (_, synchroniser, _):
                await measure(synchroniser, lambda: ds.modify(port, changes()), "openldap")

        def changes() -> str:
            lines = [
                f"dn: uid=u{number},ou=people,{ds.BASE}\nchangetype: modify\nreplace: title\ntitle: New\n"
                for number in range(CHANGED["openldap"])
            ]
            gone = f"dn: uid=u{people - 1},ou=people,{ds.BASE}\nchangetype: delete\n"
            return "\n".join([*lines, gone])

        asyncio.run(run())


def domain(people: int) -> None:
    with tempfile.TemporaryDirectory() as place:
        controller = samba.start(Path(place) / "samba")
        try:
            fill(controller, people)
            for turn, dirsync in enumerate((True, False)):
                data = Path(place) / f"data{turn}"
                data.mkdir()
                (data / "secret").write_text(controller.password)
                settings = SourceSettings(
                    domain=controller.domain, trust=str(controller.authority),
                    user=f"Administrator@{controller.domain}", password_file=str(data / "secret"),
                    dirsync=dirsync, timeout_s=60.0,
                )  # fmt: skip

                async def run(data: Path = data, settings: SourceSettings = settings, turn: int = turn) -> None:
                    async with ds.mirrored(data, settings, kind="ad", nameserver=controller.address) as found:
                        await measure(found[1], lambda: change(controller, turn), "samba")

                asyncio.run(run())
        finally:
            samba.stop(controller)


async def told_to(
    controller: samba.DomainController, requests: Sequence[op.AddRequest | op.ModifyRequest | op.DeleteRequest]
) -> None:
    """Over LDAPS, as Administrator."""
    context = ssl.create_default_context(cafile=str(controller.authority))
    where = Controller(controller.host, 636)
    settings = SourceSettings(protection="ldaps", timeout_s=60.0)
    connection = await opened(where, controller.address, settings, context)
    try:
        await bound(connection, f"Administrator@{controller.domain}", controller.password)
        for request in requests:
            result = await connection.run(connection.session.change(request))
            assert result.ok, (request, result)
    finally:
        connection.close()


def dn(controller: samba.DomainController, number: int) -> str:
    return f"CN=p{number},CN=Users,{controller.base}"


def fill(controller: samba.DomainController, people: int) -> None:
    async def work() -> None:
        adds = [
            op.AddRequest(
                dn(controller, number),
                {
                    "objectClass": (b"user",),
                    "sAMAccountName": (b"p%d" % number,),
                    "mail": (b"p%d@corp.example.org" % number,),
                },
            )
            for number in range(people)
        ]
        await asyncio.gather(*(told_to(controller, adds[start::4]) for start in range(4)))

    asyncio.run(work())


def change(controller: samba.DomainController, turn: int) -> None:
    changes = [
        op.ModifyRequest(dn(controller, number), ((op.Change.REPLACE, "title", (b"New %d" % turn,)),))
        for number in range(CHANGED["samba"])
    ]
    asyncio.run(told_to(controller, [*changes, op.DeleteRequest(dn(controller, 100 + turn))]))


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.sources")
    parser.add_argument("server", choices=("openldap", "samba"))
    parser.add_argument("--people", type=int, default=2000)
    given = parser.parse_args()
    # told to end, it ends its servers too
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    (openldap if given.server == "openldap" else domain)(given.people)


if __name__ == "__main__":
    main()

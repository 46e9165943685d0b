"""`postern mailbox move`: what is in one mailbox into another, such as that of somebody who has left."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec
from cyclopts import Parameter

from postern.backup.returning import End, Returned, Returning, Wanted
from postern.cli.backup_parts import say
from postern.cli.language import _
from postern.cli.moving import Meter, moving, office
from postern.cli.organisation import Config, Json, load_settings
from postern.cli.output import fail
from postern.migration.copying import Progress
from postern.model.ids import FolderId, Uid
from postern.model.ranges import merged

Folders = Annotated[
    tuple[str, ...],
    Parameter(name="--folder", negative="", help=_("Only this folder and what is below it; may be repeated.")),
]
Into = Annotated[str, Parameter(help=_("Below this folder of the other mailbox instead of into folders of that name."))]


def move(  # noqa: D103
    source: str,
    target: str,
    /,
    *,
    folder: Folders = (),
    into: Into = "",
    config: Config = None,
    json: Json = False,
) -> None:
    settings = load_settings(config)

    async def work() -> tuple[str, str, Returned]:
        async with office(settings) as here:
            account, old = await here.open(source)
            other, new = await here.open(target)
            if old.id == new.id:
                fail(_("{address} is the same mailbox.", address=other.address))
            emptied = await here.parts.store.mailbox(old.id)

            async def arrived(where: FolderId, uids: Sequence[Uid]) -> None:
                await emptied.expunge(where, merged((uid, uid) for uid in uids), only_deleted=False)
                await emptied.durable()

            with Meter(account.address) as show:
                returned = await Returning(
                    End(emptied, here.parts.blobs),
                    End(await here.parts.store.mailbox(new.id), here.parts.blobs),
                    new.mailflow,
                    Wanted(folder),
                    into=into,
                    tell=lambda state: show(
                        Progress(state.folders, state.total, state.present, state.copied, state.copied_bytes)
                    ),
                    arrived=arrived,
                ).run()
            return account.address, other.address, returned

    name, where, returned = moving(work)
    facts = {"source": name, "target": where, **msgspec.to_builtins(returned)}
    text = _("{copied} items in {folders} folders of {source} are in {target} now.", **facts)
    say(text, facts, returned.trouble, json=json)

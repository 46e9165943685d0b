"""`postern mailbox verify|repair|compact|purge|undelete`: an administrator's care for single mailboxes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from postern.cli.backup_parts import say
from postern.cli.language import _
from postern.cli.moments import moment, parse_moment
from postern.cli.organisation import Config, Json, existing_account, load_settings, open_organisation, run
from postern.cli.output import done, fail, show_list, size
from postern.directory.interface import Account
from postern.formats.mime.scan import new_item, scan
from postern.model.ids import BlobRef, FolderId, MailboxId
from postern.model.items import Columns, FolderClass, SpecialUse
from postern.model.refusal import Reason, Refusal
from postern.roles.instance import is_served
from postern.roles.parts import Parts
from postern.store.blobs import SegmentBlobs
from postern.store.interface import Mailbox
from postern.store.journal.layout import journal_directory

Addresses = Annotated[tuple[str, ...], Parameter(help=_("Addresses of mailboxes."))]
All = Annotated[bool, Parameter(name="--all", negative="", help=_("All mailboxes."))]
DAY_S = 86400.0


async def _chosen(parts: Parts, addresses: Sequence[str], everybody: bool) -> list[tuple[Account, MailboxId]]:
    if everybody:
        accounts = await parts.directory.accounts()
    else:
        accounts = [await existing_account(parts.directory, address) for address in addresses]
    found = []
    for account in accounts:
        if account.mailbox is not None and parts.store.path(account.mailbox).exists():
            found.append((account, account.mailbox))
        elif not everybody:
            raise Refusal(Reason.NO_SUCH_RECIPIENT, _("{address} has no mailbox", address=account.address))
    return found


def _which(addresses: Sequence[str], everybody: bool) -> None:
    if bool(addresses) is everybody:
        fail(_("Say which mailboxes: addresses, or --all."), 2)


def verify(*addresses: str, everybody: All = False, config: Config = None, json: Json = False) -> None:  # noqa: D103
    _which(addresses, everybody)

    async def work() -> list[dict[str, Any]]:
        rows = []
        async with open_organisation(load_settings(config)) as parts:
            # in a thread, so not the loop's own
            bodies = SegmentBlobs(journal_directory(parts.data))
            try:
                for account, mailbox in await _chosen(parts, addresses, everybody):
                    verified = await parts.store.verify(mailbox, lambda *ref: bodies.holds(ref))
                    findings = [one._asdict() for one in verified.findings]
                    rows.append(
                        {
                            "address": account.address,
                            "mailbox": mailbox,
                            "items": verified.items,
                            "bodies": verified.bodies,
                            "sound": not findings,
                            "findings": findings,
                        }
                    )
            finally:
                bodies.close()
        return rows

    rows = run(work)
    columns = {"address": _("ADDRESS"), "items": _("ITEMS"), "bodies": _("BODIES"), "sound": _("SOUND")}
    show_list(rows, columns, json=json)
    wrong = [row for row in rows if not row["sound"]]
    if not json:
        for row in wrong:
            for one in row["findings"]:
                print(f"{row['address']}: {finding(one['kind'])}: {one['detail']}")
        if wrong:
            print(_("`postern mailbox repair` mends what can be mended; `postern restore` brings the rest back."))
    if wrong:
        raise SystemExit(1)


def finding(kind: str) -> str:
    """What is wrong, in words."""
    return {
        "unreadable": _("the file cannot be read"),
        "damaged": _("the file is damaged"),
        "counters": _("counters (noted / counted)"),
        "no-body": _("a body is missing"),
        "no-content": _("an item without content"),
        "no-item": _("something that belongs to no item"),
        "shares": _("a wrong number of shares"),
        "numbers": _("a number above its ceiling"),
    }.get(kind, kind)


def repair(address: str, /, *, config: Config = None, json: Json = False) -> None:  # noqa: D103
    settings = load_settings(config)

    async def work() -> tuple[Account, dict[str, Any]]:
        async with open_organisation(settings) as parts:
            ((account, mailbox),) = await _chosen(parts, [address], False)
            bodies = SegmentBlobs(journal_directory(parts.data))
            try:
                before = await parts.store.verify(mailbox, lambda *ref: bodies.holds(ref))
                kinds = {one.kind for one in before.findings}
                lost: list[str] = []
                kept: Path | None = None
                if kinds & {"unreadable", "damaged", "no-content", "numbers"}:
                    repaired = await parts.store.repair(
                        mailbox, lambda *ref: _rendered(bodies, ref), lambda: is_served(settings.data_dir)
                    )
                    lost, kept = list(repaired.lost), repaired.kept
                elif kinds - {"no-body"}:
                    await parts.store.recount(mailbox)
                after = await parts.store.verify(mailbox, lambda *ref: bodies.holds(ref))
            finally:
                bodies.close()
            left = [f"{finding(one.kind)}: {one.detail}" for one in after.findings]
            return account, {
                "address": account.address,
                "mailbox": mailbox,
                "mended": sorted(kinds - {one.kind for one in after.findings}),
                "items": after.items,
                "lost": lost,
                "left": left,
                "damaged_file": None if kept is None else str(kept),
            }

    account, facts = run(work)
    if not facts["mended"] and not facts["left"]:
        text = _("{address}: nothing was wrong.", address=account.address)
    else:
        text = _("{address}: mended, {items} items.", **facts)
    say(text, facts, [*facts["lost"], *facts["left"]], json=json)


def _rendered(bodies: SegmentBlobs, ref: tuple[int, int]) -> Sequence[object] | None:
    """Columns of a message's content made anew from its body. In a thread."""
    try:
        content = asyncio.run(bodies.read(BlobRef(*ref)))
    except Refusal:
        return None
    item = new_item(scan(content), BlobRef(*ref), len(content), b"", 0)
    return (
        item.body_size,
        item.sent_at,
        int(item.item_class),
        item.envelope,
        item.bodystructure,
        item.prefix,
        item.parts,
        item.subject,
        item.message_id,
        item.properties,
        item.header,
    )


def compact(*addresses: str, everybody: All = False, config: Config = None, json: Json = False) -> None:  # noqa: D103
    _which(addresses, everybody)

    async def work() -> list[dict[str, Any]]:
        async with open_organisation(load_settings(config)) as parts:
            return [
                {"address": account.address, **(await parts.store.compact(mailbox))._asdict()}
                for account, mailbox in await _chosen(parts, addresses, everybody)
            ]

    rows = run(work)
    if not json:
        rows = [{**row, "was": size(row["before"]), "is": size(row["after"])} for row in rows]
    show_list(rows, {"address": _("ADDRESS"), "was": _("BEFORE"), "is": _("AFTER")}, json=json)


def purge(  # noqa: D103
    *addresses: str,
    everybody: All = False,
    older: Annotated[str, Parameter(name="--older", help=_("Only what was deleted longer ago: 30d, 2w; 0s is all."))],
    config: Config = None,
    json: Json = False,
) -> None:
    _which(addresses, everybody)
    before = _moment(older)

    async def work() -> list[dict[str, Any]]:
        rows = []
        async with open_organisation(load_settings(config)) as parts:
            for account, name in await _chosen(parts, addresses, everybody):
                mailbox = await parts.store.mailbox(name)
                # the store compares whole seconds
                purged = await mailbox.purge_recoverable(before + 1)
                await mailbox.durable()
                rows.append({"address": account.address, "purged": purged})
        return rows

    rows = run(work)
    show_list(rows, {"address": _("ADDRESS"), "purged": _("PURGED")}, json=json)


def undelete(  # noqa: D103, PLR0913 - one option for each way to choose
    address: str,
    /,
    *,
    subject: Annotated[str, Parameter(help=_("Only items with this in their subject."))] = "",
    uid: Annotated[tuple[int, ...], Parameter(negative="", help=_("Only this item, as the list shows it."))] = (),
    since: Annotated[str | None, Parameter(help=_("Only what was deleted at or after this time: 2h, 3d."))] = None,
    until: Annotated[str | None, Parameter(help=_("Only what was deleted before this time."))] = None,
    folder: Annotated[
        str, Parameter(name="--folder", help=_("Where it goes, levels apart by `/`; made if need be."))
    ] = "INBOX",
    restore: Annotated[bool, Parameter(negative="", help=_("Bring it back; without this it is listed only."))] = False,
    config: Config = None,
    json: Json = False,
) -> None:
    low = _moment(since) if since else None
    high = _moment(until) if until else None
    columns = Columns.UID | Columns.RECEIVED_AT | Columns.SIZE | Columns.SUBJECT | Columns.SAVED_AT

    async def work() -> list[dict[str, Any]]:
        async with open_organisation(load_settings(config)) as parts:
            ((_account, name),) = await _chosen(parts, [address], False)
            mailbox = await parts.store.mailbox(name)
            recoverable = (await mailbox.special(SpecialUse.RECOVERABLE)).id
            rows = [
                {"uid": number, "received_at": received, "bytes": octets, "subject": text, "deleted_at": deleted}
                async for part in mailbox.items(recoverable, columns)
                for number, received, octets, text, deleted in part
                if subject.lower() in text.lower()
                and (not uid or number in uid)
                and (low is None or deleted >= low)
                and (high is None or deleted < high)
            ]
            if restore and rows:
                target = await _folder(mailbox, folder)
                await mailbox.move(recoverable, [(row["uid"], row["uid"]) for row in rows], target)
                await mailbox.durable()
            return rows

    rows = run(work)
    if restore:
        text = _("{count} items of {address} are in {folder}.", count=len(rows), address=address, folder=folder)
        done(text, {"address": address, "folder": folder, "restored": rows}, json=json)
        return
    if not json:
        rows = [{**row, "when": moment(row["deleted_at"]), "octets": size(row["bytes"])} for row in rows]
    columns_shown = {"uid": "UID", "when": _("DELETED"), "octets": _("SIZE"), "subject": _("SUBJECT")}
    show_list(rows, columns_shown, json=json)


async def _folder(mailbox: Mailbox, path: str) -> FolderId:
    """A folder by its path, made if need be."""
    parent: FolderId | None = None
    for name in (part for part in path.split("/") if part):
        for one in await mailbox.folders():
            if one.parent == parent and (one.name == name or (parent is None and one.name.upper() == name.upper())):
                parent = one.id
                break
        else:
            parent = (await mailbox.create_folder(parent, name, FolderClass.MAIL)).id
    if parent is None:
        raise Refusal(Reason.BAD_NAME, _("Say a folder."))
    return parent


def _moment(text: str) -> float:
    try:
        return parse_moment(text)
    except ValueError:
        fail(_("{text} is no time: say 2h, 3d, 2026-01-31 or 2026-01-31T12:00.", text=text), 2)

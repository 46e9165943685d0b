"""`postern mailbox import-users`: accounts of another server, with their hashes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from postern.cli.account_values import parse_quota
from postern.cli.files import explain_file
from postern.cli.language import _
from postern.cli.organisation import Config, Json, load_settings, open_organisation, run
from postern.cli.output import done, fail
from postern.directory.interface import NewAccount
from postern.directory.passwords import check_hash
from postern.model.items import Quota
from postern.model.refusal import Reason, Refusal


def import_users(file: Path, /, *, config: Config = None, json: Json = False) -> None:  # noqa: D103
    settings = load_settings(config)
    try:
        new = list(parse_users(file.read_text("utf-8"), parse_quota(None, settings)))
    except OSError as problem:
        fail(explain_file(problem))
    except UnicodeDecodeError:
        fail(_("{file} is no text in UTF-8: a line `address:{{SCHEME}}hash` each.", file=file))
    except Refusal as refusal:
        fail(f"{file}: {refusal.detail}")

    async def work() -> dict[str, Any]:
        async with open_organisation(settings) as organisation:
            missing, changed = [], 0
            for account in new:
                existing = await organisation.directory.login(account.address)
                if existing is None:
                    missing.append(account)
                else:
                    await organisation.directory.set_password(existing.id, account.password_hash, None)
                    changed += 1
            accounts = await organisation.directory.create_accounts(missing)
            for made in accounts:
                if made.mailbox:
                    await organisation.store.create_mailbox(made.mailbox, made.slot, made.quota)
            return {"added": len(accounts), "changed": changed}

    counts = run(work)
    done(_("{added} mailboxes added, {changed} passwords changed.", **counts), counts, json=json)


def parse_users(text: str, quota: Quota) -> list[NewAccount]:
    """Lines of an import file; empty lines and `#` are left out. Raises Refusal with the line's number."""
    found: dict[str, NewAccount] = {}
    for number, line in enumerate(text.splitlines(), 1):
        entry = line.strip()
        if not entry or entry.startswith("#"):
            continue
        address, colon, hashed = entry.partition(":")
        if not colon:
            raise Refusal(Reason.BAD_VALUE, _("line {number}: not `address:{{SCHEME}}hash`", number=number))
        try:
            # Dovecot's passwd-file has more fields after the hash
            stored = check_hash(hashed.split(":")[0])
        except Refusal as refusal:
            raise Refusal(
                refusal.reason, _("line {number}: {problem}", number=number, problem=refusal.detail)
            ) from None
        found[address.strip().lower()] = NewAccount(address.strip(), password_hash=stored, quota=quota)
    return list(found.values())

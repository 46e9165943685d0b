"""What every administrative command starts with: the settings file, and the organisation's directory and store."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from postern.cli.files import explain_file, is_of_the_disk
from postern.cli.language import _
from postern.cli.options import Config as Config
from postern.cli.options import Json as Json
from postern.cli.output import fail
from postern.cli.refusal_texts import said, shows
from postern.cli.serve import EX_CONFIG, config_path
from postern.config.loading import SettingsError, load
from postern.config.settings import Settings
from postern.directory.failures import FailureLog
from postern.directory.interface import Account, Directory, Entry, Policy
from postern.directory.passwords import HashCost, new_credentials
from postern.directory.policies import check_password
from postern.directory.sqlite import SqliteDirectory
from postern.model.credentials import ScramCredentials
from postern.model.refusal import Reason, Refusal
from postern.net.clock import SystemClock, SystemEntropy
from postern.protocols.http import digest
from postern.roles.bus import SharedBus

if TYPE_CHECKING:
    from postern.roles.parts import Parts

T = TypeVar("T")


def load_settings(given: Path | None) -> Settings:
    """Read the settings or end with what is wrong with them."""
    try:
        return load(config_path(given))
    except SettingsError as problem:
        fail(str(problem), EX_CONFIG)


def become_owner(data: Path) -> None:
    """As root, act as the owner of the data directory: files made by root would be closed to the server."""
    if os.geteuid() != 0 or not data.exists():
        return
    owner = data.stat()
    if owner.st_uid != 0:
        os.setegid(owner.st_gid)
        os.seteuid(owner.st_uid)


def hash_cost(settings: Settings) -> HashCost:
    """Cost of new passwords."""
    own = settings.authentication
    return HashCost(own.argon2_passes, own.argon2_memory_kib, own.scram_iterations)


def require_organisation(settings: Settings) -> None:
    """Refuse to make an empty organisation where a wrong path was given. Raises Refusal."""
    if not (settings.data_dir / "directory.db").exists():
        raise Refusal(
            Reason.NO_SUCH_RECIPIENT,
            _("there is no organisation in {data}; `postern quickstart` makes one", data=settings.data_dir),
        )
    become_owner(settings.data_dir)


@asynccontextmanager
async def open_directory(settings: Settings) -> AsyncIterator[SqliteDirectory]:
    """The directory of an organisation that exists. Raises Refusal."""
    require_organisation(settings)
    bus = SharedBus(settings.data_dir / "bus", None)
    directory = SqliteDirectory(
        settings.data_dir / "directory.db",
        SystemEntropy(),
        SystemClock(),
        lambda number: bus.publish(0, number),
        settings.server.hostname,
    )
    try:
        yield directory
    finally:
        await directory.close()
        bus.close()


@asynccontextmanager
async def open_organisation(settings: Settings) -> AsyncIterator[Parts]:
    """Directory and store of an organisation that exists, beside a running server or without one. Raises Refusal."""
    from postern.roles.context import open_organisation as open_parts  # the store is loaded where it is needed only

    require_organisation(settings)
    async with open_parts(settings) as parts:
        yield parts


def open_failures(settings: Settings) -> FailureLog:
    """Counters of failed logins."""
    return FailureLog(settings.data_dir / "failures.db")


def run(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a command; a refusal ends it with its text, and so does a disk that cannot be used."""
    try:
        return asyncio.run(work())
    except Refusal as refusal:
        fail(said(refusal))
    except OSError as problem:
        if not is_of_the_disk(problem):
            raise
        fail(explain_file(problem))


async def existing_account(directory: SqliteDirectory, address: str) -> Account:
    """The account with an address or alias. Raises Refusal(NO_SUCH_RECIPIENT) with the nearest ones."""
    account = await directory.login(address)
    if account is None:
        known = [account.address for account in await directory.accounts()]
        raise _unknown(_("no such mailbox: {address}", address=address), address, known)
    return account


async def existing_entry(directory: SqliteDirectory, address: str) -> Entry:
    """The recipient with an address. Raises Refusal(NO_SUCH_RECIPIENT) with the nearest ones."""
    entry = await directory.entry(address)
    if entry is None:
        known = [entry.address for entry in await directory.entries(hidden=True)]
        raise _unknown(_("no such recipient: {address}", address=address), address, known)
    return entry


def _unknown(text: str, wanted: str, known: Sequence[str]) -> Refusal:
    near = get_close_matches(wanted.lower(), known, n=3, cutoff=0.7)
    hint = "; " + (_("nearest: {near}", near=", ".join(near)) if near else shows("postern mailbox list"))
    return Refusal(Reason.NO_SUCH_RECIPIENT, text + hint)


def checked_credentials(
    settings: Settings, password: str, address: str, policy: Policy, old: Sequence[str] = ()
) -> tuple[str, ScramCredentials]:
    """What is stored of a new password. Raises Refusal(BAD_VALUE) for one that the policy does not allow."""
    check_password(policy, password, address, old)
    return new_credentials(password, SystemEntropy(), hash_cost(settings))


async def keep_keys(directory: Directory, settings: Settings, account: Account, password: str) -> None:
    """Keep of a new password what mechanisms need that its hash does not serve, where settings say so."""
    if not settings.authentication.keep_digest:
        return
    realm = settings.http.realm or settings.server.hostname
    keys = {
        digest.kind(algorithm, realm): digest.key(algorithm, account.address, realm, password).encode()
        for algorithm in digest.ALGORITHMS
    }
    await directory.put_derived_keys(account.id, keys)

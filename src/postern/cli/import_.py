"""`postern import`: mail of other servers and files into mailboxes."""

from __future__ import annotations

import asyncio
import ssl
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
from cyclopts import App, Parameter

from postern.cli.account_values import read_password
from postern.cli.files import explain_file
from postern.cli.language import _
from postern.cli.moving import Meter, Office, moving, office
from postern.cli.organisation import Config, Json, load_settings
from postern.cli.output import done, fail, parse_size, print_json
from postern.config.settings import Settings
from postern.migration.copying import Copying, CopySettings
from postern.migration.ledger import Ledger
from postern.migration.sources import dovecot as dovecots
from postern.migration.sources.archive import ArchiveSource
from postern.migration.sources.imap import ImapSource, Server
from postern.migration.sources.maildir import Maildir
from postern.migration.sources.mbox import Mbox
from postern.migration.values import Source, SourceError
from postern.services.rules.rulebook import RuleBook

app = App(
    name="import",
    help=_("Bring mail from another server or from files. What was cut off goes on when it is run again."),
)
LEDGERS = "imports"
"""In the data directory."""
SHOWN_TROUBLE = 20

Only = Annotated[
    tuple[str, ...], Parameter(name="--folder", help=_("Only this folder and those below it; may be repeated."))
]
Into = Annotated[
    str, Parameter(help=_("Below this folder instead of into folders of the same names; levels apart by `/`."))
]
Rate = Annotated[str | None, Parameter(help=_("At most so much a second, such as 2M."))]
Verify = Annotated[
    bool, Parameter(negative="", help=_("Afterwards read everything again and compare it with the source by digest."))
]
ImapPassword = Annotated[
    str | None,
    Parameter(allow_leading_hyphen=True, help=_("Password there; without it, it is asked for; `-` reads it.")),
]


@app.command(
    help=_(
        "From any IMAP server.\n\nExample: postern import imap anna@example.org --host old.example.org --verify",
    )
)
def imap(  # noqa: D103, PLR0913 - one option for each thing that can be said
    address: Annotated[str | None, Parameter(help=_("The mailbox here; not with --list."))] = None,
    /,
    *,
    host: Annotated[str, Parameter(help=_("The server there."))],
    port: Annotated[int | None, Parameter(help=_("Its port; 993, or 143 with --tls starttls."))] = None,
    tls: Annotated[str, Parameter(help=_("implicit, starttls, or none (this machine only)."))] = "implicit",
    ca: Annotated[Path | None, Parameter(help=_("Certificate of the authority to trust (PEM)."))] = None,
    user: Annotated[str | None, Parameter(help=_("Name there, if it is not the address."))] = None,
    password: ImapPassword = None,
    master_user: Annotated[str, Parameter(help=_("Sign in as this master user, for the user."))] = "",
    token: Annotated[bool, Parameter(negative="", help=_("The password is an access token (XOAUTH2)."))] = False,
    sieve_port: Annotated[
        int, Parameter(help=_("Bring Sieve scripts too, by ManageSieve from this port there (mostly 4190)."))
    ] = 0,
    list: Annotated[
        Path | None,
        Parameter(help=_("A file with a line `address user password` for each mailbox; the last two may be missing.")),
    ] = None,
    folder: Only = (),
    into: Into = "",
    rate: Rate = None,
    verify: Verify = False,
    config: Config = None,
    json: Json = False,
) -> None:
    if tls not in {"implicit", "starttls", "none"}:
        fail(_("--tls must be implicit, starttls or none"))
    if (address is None) == (list is None):
        fail(_("give one address, or --list FILE"))
    context = _trust(ca)
    secret = ""
    rows = _listed(list) if list is not None else [(address or "", user or address or "", "")]
    if any(not row[2] for row in rows):
        secret, _made = read_password("-" if password is None else password)

    def source(row: tuple[str, str, str]) -> Callable[[], Source]:
        server = Server(
            host,
            port or (993 if tls == "implicit" else 143),
            tls,
            context,
            row[1],
            row[2] or secret,
            master_user,
            token,
            sieve_port,
        )
        return lambda: ImapSource(server)

    _bring(load_settings(config), [(row[0], source(row)) for row in rows], _settings(rate, folder, into), verify, json)


@app.command(help=_("From a Maildir.\n\nExample: postern import maildir anna@example.org /home/anna/Maildir"))
def maildir(  # noqa: D103
    address: str,
    path: Path,
    /,
    *,
    folder: Only = (),
    into: Into = "",
    rate: Rate = None,
    verify: Verify = False,
    config: Config = None,
    json: Json = False,
) -> None:
    _bring(load_settings(config), [(address, lambda: Maildir(path))], _settings(rate, folder, into), verify, json)


@app.command(
    help=_(
        "From an mbox file, or a directory of them (Thunderbird, Takeout)."
        "\n\nExample: postern import mbox anna@example.org archive.mbox --into Old"
    )
)
def mbox(  # noqa: D103
    address: str,
    path: Path,
    /,
    *,
    into: Annotated[
        str,
        Parameter(help=_("The folder for a single file, or the one above those of a directory; levels apart by `/`.")),
    ] = "",
    folder: Only = (),
    rate: Rate = None,
    verify: Verify = False,
    config: Config = None,
    json: Json = False,
) -> None:
    how = _settings(rate, folder, into if path.is_dir() else "")
    _bring(load_settings(config), [(address, lambda: Mbox(path, into))], how, verify, json)


@app.command(
    help=_(
        "From an archive file of `postern export archive`."
        "\n\nExample: postern import archive anna@example.org anna.tar.gz"
    )
)
def archive(  # noqa: D103
    address: str,
    path: Path,
    /,
    *,
    folder: Only = (),
    into: Into = "",
    rate: Rate = None,
    verify: Verify = False,
    config: Config = None,
    json: Json = False,
) -> None:
    _bring(load_settings(config), [(address, lambda: ArchiveSource(path))], _settings(rate, folder, into), verify, json)


@app.command(
    help=_(
        "From a Dovecot on this machine, in whatever format it keeps mail."
        "\n\nExample: postern import dovecot --users '*@example.org' --verify"
    )
)
def dovecot(  # noqa: D103, PLR0913
    address: Annotated[str | None, Parameter(help=_("The mailbox here; not with --users."))] = None,
    /,
    *,
    user: Annotated[str | None, Parameter(help=_("Name there, if it is not the address."))] = None,
    users: Annotated[
        str | None, Parameter(help=_("All users there that fit, into the mailboxes of the same addresses."))
    ] = None,
    dovecot_config: Annotated[Path | None, Parameter(help=_("Its dovecot.conf."))] = None,
    folder: Only = (),
    into: Into = "",
    rate: Rate = None,
    verify: Verify = False,
    config: Config = None,
    json: Json = False,
) -> None:
    if (address is None) == (users is None):
        fail(_("give one address, or --users PATTERN"))
    settings = load_settings(config)
    try:
        names = dovecots.accounts(users, dovecot_config) if users is not None else [user or address or ""]
    except SourceError as problem:
        fail(str(problem))
    if not names:
        fail(_("no user there fits {pattern}", pattern=users))

    def source(name: str) -> Callable[[], Source]:
        return lambda: dovecots.Dovecot(name, dovecot_config)

    rows = [(address or name, source(name)) for name in names]
    _bring(settings, rows, _settings(rate, folder, into), verify, json)


def _bring(
    settings: Settings,
    rows: Sequence[tuple[str, Callable[[], Source]]],
    how: CopySettings,
    verify: bool,
    json: bool,
) -> None:
    results: list[dict[str, Any]] = []

    async def work() -> None:
        async with office(settings) as here:
            for address, opened in rows:
                try:
                    source = opened()
                    # of several people some may lack it
                    known = await asyncio.to_thread(source.folders) if how.only and len(rows) == 1 else []
                    results.append(await _one(here, address, source, how, verify))
                    if known and not results[-1]["folders"]:
                        names = ", ".join("/".join(one.path) for one in known)
                        text = _(
                            "no such folder there: {names}; there are: {known}", names=", ".join(how.only), known=names
                        )
                        results[-1]["trouble"].append(text)
                except SourceError as problem:
                    if len(rows) == 1:
                        raise
                    results.append({"address": address, "trouble": [str(problem)]})

    moving(work)
    if json:
        print_json(results if len(rows) > 1 else results[0])
    else:
        for facts in results:
            _tell(facts)
    if any(facts.get("trouble") or facts.get("wrong") for facts in results):
        raise SystemExit(1)


async def _one(here: Office, address: str, source: Source, how: CopySettings, verify: bool) -> dict[str, Any]:
    try:
        account, access = await here.open(address)
        # the same source into another folder is brought anew
        name = f"{source.name} into {'/'.join(how.into)}" if how.into else source.name
        ledger = Ledger(here.parts.data / LEDGERS, access.id, name)
        try:
            with Meter(account.address) as show:
                book = RuleBook(await here.parts.store.mailbox(access.id), here.parts.bus)
                copying = Copying(source, access, ledger, here.parts.clock, how, show, book)
                progress = await copying.run()
            facts: dict[str, Any] = {"address": account.address, **msgspec.to_builtins(progress)}
            damage = getattr(source, "damage", "")
            if damage:
                facts["trouble"].append(damage)
            if verify:
                facts["wrong"] = await copying.verify()
            return facts
        finally:
            ledger.close()
    finally:
        source.close()


def _tell(facts: dict[str, Any]) -> None:
    if "copied" in facts:
        text = _(
            "{address}: {copied} messages brought, {present} were here already, {folders} folders.",
            address=facts["address"],
            copied=facts["copied"],
            present=facts["present"],
            folders=facts["folders"],
        )
        if facts.get("scripts"):
            text += " " + _("Sieve scripts brought: {count}.", count=facts["scripts"])
        if facts.get("wrong") == []:
            text += " " + _("Everything was compared with the source and is the same.")
        done(text, facts, json=False)
    trouble = [*facts.get("trouble", ()), *facts.get("wrong", ())]
    for line in trouble[:SHOWN_TROUBLE]:
        sys.stderr.write(f"  {line}\n")
    if len(trouble) > SHOWN_TROUBLE:
        sys.stderr.write("  " + _("and {count} more; --json lists them all", count=len(trouble) - SHOWN_TROUBLE) + "\n")


def _settings(rate: str | None, only: Sequence[str], into: str) -> CopySettings:
    try:
        below = tuple(part for part in into.split("/") if part)
        return CopySettings((rate and parse_size(rate)) or 0, tuple(only), below)
    except ValueError:
        fail(_("not a size: {text}; examples: 500M, 2G, none", text=rate))


def _trust(ca: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=None if ca is None else str(ca))
    except (OSError, ssl.SSLError) as problem:
        fail(_("{file} holds no certificate: {problem}", file=ca, problem=problem))


def _listed(file: Path) -> list[tuple[str, str, str]]:
    """`address user password` a line; `#` begins a remark."""
    rows = []
    try:
        lines = file.read_text("utf-8").splitlines()
    except OSError as problem:
        fail(explain_file(problem))
    except UnicodeDecodeError:
        fail(_("{file} is no text in UTF-8: a line `address user password` each.", file=file))
    for line in lines:
        words = line.split(None, 2)
        if words and not words[0].startswith("#"):
            rows.append(
                (words[0], words[1] if len(words) > 1 else words[0], words[2].strip() if len(words) > 2 else "")
            )
    if not rows:
        fail(_("{file} lists nobody", file=file))
    return rows

"""`postern directory`: directories elsewhere (Active Directory, LDAP) whose accounts and groups are ours too."""

from __future__ import annotations

import difflib
import getpass
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from cyclopts import App, Parameter

from postern.cli.files import explain_file
from postern.cli.language import _
from postern.cli.moments import ago
from postern.cli.organisation import Config, Json, load_settings, open_directory, require_organisation, run
from postern.cli.output import done, fail, print_json, show_list
from postern.cli.refusal_texts import shows
from postern.config.settings import Settings
from postern.directory.interface import Source
from postern.directory.sqlite import SqliteDirectory
from postern.ldapsource.controllers import Controllers, Finding
from postern.ldapsource.failures import SourceFailure
from postern.ldapsource.reading import parse_filter
from postern.ldapsource.settings import Protection, SourceSettings, read, state_of, written
from postern.ldapsource.synchronising import Report, Synchroniser, lock_name
from postern.model.addresses import split
from postern.model.refusal import Reason, Refusal
from postern.net.clock import SystemClock, SystemEntropy
from postern.net.dns import DnsResolver

app = App(name="directory", help=_("Directories elsewhere: Active Directory and LDAP."))

SECRETS = "sources"
"""Directory in the data directory with the passwords and authorities of sources."""

Name = Annotated[str | None, Parameter(help=_("What the source is called here; else its domain."))]
Kind = Annotated[Literal["ad", "ldap"], Parameter(help=_("Active Directory, or another LDAP server."))]
Servers = Annotated[
    list[str] | None, Parameter(name="--server", help=_("HOST or HOST:PORT, the best one first; without: by DNS."))
]
Site = Annotated[str, Parameter(help=_("Site whose controllers come first; without: the one we are in."))]
User = Annotated[str, Parameter(help=_("Service account: DN, user@domain or DOMAIN\\user."))]
PasswordFile = Annotated[Path | None, Parameter(help=_("File that holds its password; without: you are asked."))]
Keytab = Annotated[Path | None, Parameter(help=_("Its keytab, for --protection gssapi."))]
Guard = Annotated[
    Protection, Parameter(help=_("starttls (389), ldaps (636), gssapi (389, signed and sealed by Kerberos)."))
]
Trust = Annotated[Path | None, Parameter(help=_("PEM file of the authority of the servers' certificates."))]
Base = Annotated[str, Parameter(help=_("Read only what is at or below this DN."))]
Fit = Annotated[str, Parameter(name="--filter", help=_("RFC 4515 filter that people have to fit too."))]
MailDomain = Annotated[str, Parameter(help=_("People without an address get their login name at this domain."))]
Groups = Annotated[Literal["all", "mail"], Parameter(help=_("Groups without an address too, or not."))]
Catalog = Annotated[bool, Parameter(negative="", help=_("Ask the global catalogue (3268, 3269): the whole forest."))]
Precedence = Annotated[int, Parameter(help=_("Of two sources that claim an address the lower number has it."))]
Adopt = Annotated[bool, Parameter(negative="", help=_("Accounts made here become those of the source's entries."))]
Interval = Annotated[float, Parameter(help=_("Seconds between two synchronisations."))]
NoSync = Annotated[bool, Parameter(negative="", help=_("Leave the first synchronisation to the server."))]
Full = Annotated[bool, Parameter(negative="", help=_("Read everything again."))]
Force = Annotated[bool, Parameter(negative="", help=_("Believe even that most entries are gone."))]
Which = Annotated[str | None, Parameter(help=_("Source; without: all."))]


@app.command(
    help=_(
        "Join a directory: find its servers, try the service account, read everything."
        "\n\nExample: postern directory join corp.example.org --user svc-postern@corp.example.org --trust ca.pem"
    )
)
def join(  # noqa: D103, PLR0913 - one option for each thing that differs between directories
    domain: str,
    /,
    *,
    name: Name = None,
    kind: Kind = "ad",
    server: Servers = None,
    site: Site = "",
    user: User = "",
    password_file: PasswordFile = None,
    keytab: Keytab = None,
    protection: Guard = "starttls",
    trust: Trust = None,
    base: Base = "",
    filter: Fit = "",
    mail_domain: MailDomain = "",
    groups: Groups = "all",
    global_catalog: Catalog = False,
    precedence: Precedence = 10,
    adopt: Adopt = False,
    interval: Interval = 60.0,
    no_sync: NoSync = False,
    config: Config = None,
    json: Json = False,
) -> None:
    settings = load_settings(config)
    try:
        parse_filter(filter)
    except ValueError as problem:
        fail(str(problem))
    called = name or domain
    secret = _secret(user, password_file, keytab)
    authority = _octets(trust) if trust is not None else b""
    ticket = _octets(keytab) if keytab is not None else b""

    async def work() -> dict[str, Any]:
        require_organisation(settings)
        facts = SourceSettings(
            domain=domain,
            servers=tuple(server or ()),
            site=site,
            protection=protection,
            trust=_kept(settings, called, "pem", authority),
            user=user,
            password_file=_kept(settings, called, "password", secret.encode()),
            keytab=_kept(settings, called, "keytab", ticket),
            base=base,
            filter=filter,
            global_catalog=global_catalog,
            mail_domain=mail_domain,
            groups=groups,
            interval_s=interval,
        )
        try:
            read(written(facts))
            findings = await _survey(settings, facts)
            if all(finding.error for finding in findings):
                raise SourceFailure("; ".join(finding.error for finding in findings))
        except BaseException:
            await _forget_files(settings, called)
            raise
        async with open_directory(settings) as directory:
            await directory.put_source(Source(called, kind, precedence, adopt, written(facts)))
            found: dict[str, Any] = {"source": called, "kind": kind, "controllers": msgspec.to_builtins(findings)}
            if not no_sync:
                found["report"] = msgspec.to_builtins(await _synchronise(settings, directory, called, json=json))
                found["unaccepted_domains"] = await _unaccepted(directory, called)
            return found

    found = _run(work)
    text = _("{source} is joined.", source=called)
    if "report" in found:
        text += "\n" + _told(found["report"])
    if found.get("unaccepted_domains"):
        names = ", ".join(found["unaccepted_domains"])
        text += "\n" + _("Mail for {domains} is not accepted yet: `postern domain add`.", domains=names)
    done(text, found, json=json)


@app.command(help=_("Synchronise now.\n\nExample: postern directory sync corp.example.org --full"))
def sync(  # noqa: D103 - help is above
    source: Which = None,
    /,
    *,
    full: Full = False,
    force: Force = False,
    config: Config = None,
    json: Json = False,
) -> None:
    settings = load_settings(config)

    async def work() -> list[Report]:
        async with open_directory(settings) as directory:
            chosen = await _chosen(directory, source)
            return [
                await _synchronise(settings, directory, one.name, full=full, force=force, json=json) for one in chosen
            ]

    reports = [msgspec.to_builtins(report) for report in _run(work)]
    if json:
        print_json(reports)
        return
    for report in reports:
        sys.stdout.write(f"{report['source']}: {_told(report)}\n")


@app.command(
    help=_(
        "Show the directories, whether their controllers answer, and what stands in the way."
        "\n\nExample: postern directory status"
    )
)
def status(source: Which = None, /, *, config: Config = None, json: Json = False) -> None:  # noqa: D103
    settings = load_settings(config)

    async def work() -> list[dict[str, Any]]:
        async with open_directory(settings) as directory:
            return [await _status(settings, directory, one) for one in await _chosen(directory, source)]

    found = _run(work)
    if json:
        print_json(found)
        return
    for row in found:
        row["synchronised"] = _("never") if row["synchronised_at"] is None else ago(row["synchronised_at"])
    columns = {
        "source": _("SOURCE"),
        "kind": _("KIND"),
        "entries": _("ENTRIES"),
        "synchronised": _("SYNCHRONISED"),
        "controller": _("CONTROLLER"),
        "conflict_count": _("CONFLICTS"),
        "error": _("PROBLEM"),
    }
    show_list(found, columns, json=False)
    for row in found:
        sys.stdout.write("\n")
        show_list(
            row["controllers"],
            {"controller": _("CONTROLLER"), "milliseconds": _("MS"), "site": _("SITE"), "error": _("PROBLEM")},
            json=False,
        )
        for conflict in row["conflicts"]:
            text = _("{address} belongs to {holder} already: the source's entry goes without it.", **conflict)
            sys.stdout.write(text + "\n")


@app.command(
    help=_(
        "Leave a directory. Its accounts, contacts and groups stay as our own; accounts need new passwords."
        "\n\nExample: postern directory leave corp.example.org"
    )
)
def leave(source: str, /, *, config: Config = None, json: Json = False) -> None:  # noqa: D103
    settings = load_settings(config)

    async def work() -> int:
        async with open_directory(settings) as directory:
            (chosen,) = await _chosen(directory, source)
            kept = await directory.delete_source(chosen.name)
            await _forget_files(settings, chosen.name)
            return kept

    kept = _run(work)
    text = _("{source} is left; {count} entries are our own now.", source=source, count=kept)
    done(text, {"source": source, "kept": kept}, json=json)


# --- steps


def _run(work: Callable[[], Any]) -> Any:
    try:
        return run(work)
    except SourceFailure as failure:
        fail(str(failure))


def _resolver(settings: Settings, clock: SystemClock) -> DnsResolver:
    return DnsResolver(clock, settings.network.nameservers, settings.network.nameserver_port)


async def _survey(settings: Settings, facts: SourceSettings) -> list[Finding]:
    clock = SystemClock()
    return await Controllers(facts, _resolver(settings, clock), clock, SystemEntropy()).survey()


async def _synchronise(
    settings: Settings,
    directory: SqliteDirectory,
    name: str,
    *,
    full: bool = False,
    force: bool = False,
    json: bool = False,
) -> Report:
    source = next(one for one in await directory.sources() if one.name == name)
    clock = SystemClock()
    controllers = Controllers(read(source.settings), _resolver(settings, clock), clock, SystemEntropy())
    synchroniser = Synchroniser(directory, source, controllers, clock, settings.data_dir)
    with _progress(show=not json) as progress:
        return await synchroniser.run(full=full, force=force, progress=progress)


async def _status(settings: Settings, directory: SqliteDirectory, source: Source) -> dict[str, Any]:
    facts = read(source.settings)
    state = state_of(source.state, facts)
    error = state.error
    findings: list[Finding] = []
    try:
        findings = await _survey(settings, facts)
    except SourceFailure as failure:
        error = error or str(failure)
    conflicts = [one for one in await directory.conflicts() if one.source == source.name]
    disconnected = [account for account, _at in await directory.disconnected() if account.source == source.name]
    return {
        "source": source.name,
        "kind": source.kind,
        "precedence": source.precedence,
        "domain": facts.domain,
        "protection": facts.protection,
        "entries": len(await directory.anchors(source.name)),
        "synchronised_at": source.synchronised_at,
        "full_at": state.full_at or None,
        "controller": state.controller,
        "conflicts": [{"address": one.address, "holder": one.holder, "anchor": one.anchor} for one in conflicts],
        "conflict_count": len(conflicts),
        "disconnected": [account.address for account in disconnected],
        "error": error,
        "controllers": [
            {
                "controller": one.controller,
                "milliseconds": round(one.seconds * 1000),
                "site": one.site,
                "error": one.error,
            }
            for one in findings
        ],
    }


async def _chosen(directory: SqliteDirectory, name: str | None) -> list[Source]:
    """The sources meant. Raises Refusal(NO_SUCH_RECIPIENT) with the nearest names."""
    sources = list(await directory.sources())
    if name is None:
        return sources
    found = [source for source in sources if source.name.lower() == name.lower()]
    if not found:
        near = difflib.get_close_matches(name, [source.name for source in sources], 3, 0.4)
        text = _("no such directory: {name}", name=name)
        text += "; " + (
            _("did you mean {names}?", names=", ".join(near)) if near else shows("postern directory status")
        )
        raise Refusal(Reason.NO_SUCH_RECIPIENT, text)
    return found


async def _unaccepted(directory: SqliteDirectory, source: str) -> list[str]:
    accepted = {domain.name for domain in await directory.domains()}
    mirrored = {split(account.address)[1] for account in await directory.accounts() if account.source == source}
    return sorted(domain for domain in mirrored - accepted if not domain.endswith(".invalid"))


def _told(report: dict[str, Any]) -> str:
    text = _(
        "{read} entries read of {controller} in {seconds} s: {added} new accounts, {changed} changed, {removed} gone.",
        **{**report, "seconds": f"{report['seconds']:.1f}"},
    )
    if report["conflicts"]:
        text += " " + _("{count} addresses belong to others already.", count=len(report["conflicts"]))
    if report["faulty"]:
        text += " " + _("{count} entries could not be taken in, see the log.", count=report["faulty"])
    return text


def _secret(user: str, file: Path | None, keytab: Path | None) -> str:
    if not user or keytab is not None:
        return ""
    if file is not None:
        return _octets(file).decode("utf-8", "surrogateescape").rstrip("\r\n")
    if not sys.stdin.isatty():
        fail(_("the password of {user} is needed: --password-file FILE", user=user))
    return getpass.getpass(_("Password of {user}: ", user=user))


def _octets(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as problem:
        fail(explain_file(problem))


def _place(settings: Settings, name: str, ending: str) -> Path:
    return settings.data_dir.absolute() / SECRETS / f"{lock_name(name)}.{ending}"


async def _forget_files(settings: Settings, name: str) -> None:
    """Those of a source that there is not (any more)."""
    async with open_directory(settings) as directory:
        if name in {source.name for source in await directory.sources()}:
            return
    for ending in ("pem", "password", "keytab"):
        _place(settings, name, ending).unlink(missing_ok=True)


def _kept(settings: Settings, name: str, ending: str, octets: bytes) -> str:
    """A copy that the server may read and nobody else; empty for nothing."""
    if not octets:
        return ""
    place = _place(settings, name, ending)
    place.parent.mkdir(mode=0o700, exist_ok=True)
    new = place.with_name(place.name + ".new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as written_to:
        written_to.write(octets)
    new.replace(place)
    return str(place)


@contextmanager
def _progress(*, show: bool) -> Iterator[Callable[[int, int], None]]:
    """A bar on standard error while people look on; nothing in pipes."""
    if not show or not sys.stderr.isatty():
        yield lambda _read, _about: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(_("Reading"), total=None)

        def tell(read_so_far: int, about: int) -> None:
            bar.update(task, completed=read_so_far, total=max(about, read_so_far) if about else None)

        yield tell

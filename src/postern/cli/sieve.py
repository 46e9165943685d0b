"""`postern mailbox sieve`: Sieve scripts of a mailbox."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

from cyclopts import App, Parameter

from postern.cli.files import explain_file
from postern.cli.language import _
from postern.cli.organisation import Config, Json, existing_account, load_settings, open_organisation, run
from postern.cli.output import done, fail, print_json, show_list
from postern.cli.output import size as size_text
from postern.formats.sieve.checker import compile_script
from postern.formats.sieve.syntax import LIMITS, SieveError
from postern.model.refusal import Reason, Refusal
from postern.services.rules.rulebook import RuleBook

T = TypeVar("T")
app = App(name="sieve", help=_("Sieve scripts: what happens to mail when it arrives."))
File = Annotated[str, Parameter(allow_leading_hyphen=True, help=_("A file; `-` is standard input."))]
ScriptName = Annotated[str, Parameter(help=_("Name of the script."))]


def with_book(address: str, config: Path | None, work: Callable[[RuleBook], Awaitable[T]]) -> T:
    """Do something with the rules of a mailbox; refusals end the command."""

    async def opened() -> T:
        async with open_organisation(load_settings(config)) as organisation:
            account = await existing_account(organisation.directory, address)
            if account.mailbox is None:
                raise Refusal(Reason.NO_SUCH_RECIPIENT, _("{address} has no mailbox", address=account.address))
            mailbox = await organisation.store.mailbox(account.mailbox)
            return await work(RuleBook(mailbox, organisation.bus))

    return run(opened)


def read_file(file: str) -> bytes:
    """A file's octets, or those of standard input; what cannot be read ends the command."""
    try:
        return sys.stdin.buffer.read(LIMITS.script_bytes + 1) if file == "-" else Path(file).read_bytes()
    except OSError as problem:
        fail(explain_file(problem, file))


@app.command(name="list", help=_("List the scripts.\n\nExample: postern mailbox sieve list anna@example.org"))
def list_(address: str, /, *, config: Config = None, json: Json = False) -> None:  # noqa: D103 - help is above
    found = with_book(address, config, lambda book: book.scripts())
    rows: list[dict[str, Any]] = [{"name": one.name, "active": one.active, "octets": one.octets} for one in found]
    if not json:
        rows = [{**row, "size": size_text(row["octets"])} for row in rows]
    show_list(rows, {"name": _("NAME"), "active": _("ACTIVE"), "size": _("SIZE")}, json=json)


@app.command(help=_("Print a script.\n\nExample: postern mailbox sieve get anna@example.org holidays"))
def get(address: str, name: ScriptName, /, *, config: Config = None, json: Json = False) -> None:  # noqa: D103
    content = with_book(address, config, lambda book: book.script(name))
    if json:
        print_json({"name": name, "script": content.decode("utf-8", "replace")})
    else:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()


@app.command(
    help=_(
        "Keep a script, checked; an active one of the name is replaced at once."
        "\n\nExample: postern mailbox sieve put anna@example.org main filter.sieve --activate"
    )
)
def put(  # noqa: D103
    address: str,
    name: ScriptName,
    file: File,
    /,
    *,
    activate: Annotated[bool, Parameter(negative="", help=_("Make it the active script."))] = False,
    config: Config = None,
    json: Json = False,
) -> None:
    content = read_file(file)

    async def work(book: RuleBook) -> None:
        await book.put(name, content)
        if activate:
            await book.activate(name)

    with_book(address, config, work)
    done(_("The script {name} is kept.", name=name), {"name": name, "octets": len(content)}, json=json)


@app.command(
    help=_(
        "Make a script the active one; `--none` switches Sieve off."
        "\n\nExample: postern mailbox sieve activate anna@example.org main"
    )
)
def activate(  # noqa: D103
    address: str,
    name: Annotated[str, Parameter(help=_("Name of the script."))] = "",
    /,
    *,
    none: Annotated[bool, Parameter(negative="", help=_("No script is active any more."))] = False,
    config: Config = None,
    json: Json = False,
) -> None:
    if bool(name) is none:
        fail(_("give the name of a script, or --none"), 2)
    with_book(address, config, lambda book: book.activate(name))
    text = _("The script {name} is active.", name=name) if name else _("No script is active any more.")
    done(text, {"active": name or None}, json=json)


@app.command(help=_("Remove a script.\n\nExample: postern mailbox sieve remove anna@example.org old"))
def remove(address: str, name: ScriptName, /, *, config: Config = None, json: Json = False) -> None:  # noqa: D103
    with_book(address, config, lambda book: book.remove(name))
    done(_("The script {name} is removed.", name=name), {"name": name, "removed": True}, json=json)


@app.command(
    help=_("Say what is wrong with a script, without keeping it.\n\nExample: postern mailbox sieve check filter.sieve")
)
def check(file: File, /, *, json: Json = False) -> None:  # noqa: D103
    problems: list[dict[str, Any]] = []
    try:
        compile_script(read_file(file))
    except SieveError as wrong:
        problems = [{"line": p.line, "column": p.column, "text": p.text} for p in wrong.problems]
        if not json:
            for problem in wrong.problems:
                sys.stderr.write(f"{file}:{problem.line}:{problem.column}: {problem.text}\n")
    if json:
        print_json({"valid": not problems, "problems": problems})
    elif not problems:
        done(_("The script is valid."), {}, json=False)
    if problems:
        raise SystemExit(1)

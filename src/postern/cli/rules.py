"""`postern mailbox rules`: inbox rules and junk lists of a mailbox, as JSON."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import msgspec
from cyclopts import App, Parameter

from postern.cli.language import _
from postern.cli.organisation import Config, Json
from postern.cli.output import done, fail, print_json, show_list
from postern.cli.sieve import File, read_file, with_book
from postern.model.refusal import Refusal
from postern.model.rules import InboxRule, Junk
from postern.services.rules.rulebook import RuleBook, check_rule

app = App(name="rules", help=_("Inbox rules, as Outlook has them, and junk mail lists."))
RuleId = Annotated[str, Parameter(help=_("Id of the rule."))]
Entries = Annotated[tuple[str, ...], Parameter(help=_("Addresses or domains; may be repeated."))]


def _builtins(value: InboxRule | Junk) -> dict[str, Any]:
    """All fields, also those at their defaults: whoever reads them need not know those."""
    return {name: msgspec.to_builtins(getattr(value, name)) for name in value.__struct_fields__}


@app.command(name="list", help=_("List the rules.\n\nExample: postern mailbox rules list anna@example.org"))
def list_(address: str, /, *, config: Config = None, json: Json = False) -> None:  # noqa: D103 - help is above
    found = with_book(address, config, lambda book: book.rules())
    if json:
        print_json([{"id": name, **_builtins(rule)} for name, rule in found.items()])
        return
    rows = [{"id": key, "name": r.name, "priority": r.priority, "enabled": r.enabled} for key, r in found.items()]
    columns = {"id": _("ID"), "name": _("NAME"), "priority": _("PRIORITY"), "enabled": _("ENABLED")}
    show_list(rows, columns, json=False)


@app.command(help=_("Print a rule as JSON.\n\nExample: postern mailbox rules get anna@example.org lists"))
def get(address: str, identity: RuleId, /, *, config: Config = None) -> None:  # noqa: D103
    rule = with_book(address, config, lambda book: book.rules()).get(identity)
    if rule is None:
        fail(_("there is no rule {id}", id=identity))
    print_json(_builtins(rule))


@app.command(
    help=_(
        "Set a rule from a JSON file as `get` prints it."
        "\n\nExample: postern mailbox rules put anna@example.org lists rule.json"
    )
)
def put(address: str, identity: RuleId, file: File, /, *, config: Config = None, json: Json = False) -> None:  # noqa: D103
    rule = _parsed(file)
    with_book(address, config, lambda book: book.change_rules({identity: rule}))
    done(_("The rule {id} is set.", id=identity), {"id": identity, **_builtins(rule)}, json=json)


@app.command(help=_("Switch a rule on or off.\n\nExample: postern mailbox rules activate anna@example.org lists --off"))
def activate(  # noqa: D103
    address: str,
    identity: RuleId,
    /,
    *,
    off: Annotated[bool, Parameter(negative="", help=_("Off instead of on."))] = False,
    config: Config = None,
    json: Json = False,
) -> None:
    async def work(book: RuleBook) -> bool:
        rule = (await book.rules()).get(identity)
        if rule is not None:
            await book.change_rules({identity: msgspec.structs.replace(rule, enabled=not off)})
        return rule is not None

    if not with_book(address, config, work):
        fail(_("there is no rule {id}", id=identity))
    done(_("The rule {id} is set.", id=identity), {"id": identity, "enabled": not off}, json=json)


@app.command(help=_("Remove a rule.\n\nExample: postern mailbox rules remove anna@example.org lists"))
def remove(address: str, identity: RuleId, /, *, config: Config = None, json: Json = False) -> None:  # noqa: D103
    async def work(book: RuleBook) -> bool:
        present = identity in await book.rules()
        await book.change_rules({identity: None})
        return present

    if not with_book(address, config, work):
        fail(_("there is no rule {id}", id=identity))
    done(_("The rule {id} is removed.", id=identity), {"id": identity, "removed": True}, json=json)


@app.command(
    help=_("Say what is wrong with a rule, without setting it.\n\nExample: postern mailbox rules check rule.json")
)
def check(file: File, /, *, json: Json = False) -> None:  # noqa: D103
    rule = _parsed(file)
    done(_("The rule is valid."), _builtins(rule), json=json)


@app.command(
    help=_(
        "Show or change the junk mail lists."
        "\n\nExample: postern mailbox rules junk anna@example.org --on --block spam.example"
    )
)
def junk(  # noqa: D103
    address: str,
    /,
    *,
    on: Annotated[bool | None, Parameter(negative="--off", help=_("Whether junk mail is sorted out."))] = None,
    block: Entries = (),
    safe: Entries = (),
    forget: Entries = (),
    only_safe: Annotated[bool | None, Parameter(help=_("Everything from others is junk."))] = None,
    config: Config = None,
    json: Json = False,
) -> None:
    async def work(book: RuleBook) -> Junk | None:
        before = await book.junk()
        if on is None and only_safe is None and not (block or safe or forget):
            return before
        kept = before or Junk()
        gone = {one.lower() for one in (*forget, *block, *safe)}
        blocked = tuple(one for one in kept.blocked_senders if one.lower() not in gone)
        known = tuple(one for one in kept.safe_senders if one.lower() not in gone)
        after = msgspec.structs.replace(
            kept,
            enabled=kept.enabled if on is None else on,
            only_safe=kept.only_safe if only_safe is None else only_safe,
            blocked_senders=(*blocked, *block),
            safe_senders=(*known, *safe),
        )
        await book.set_junk(after)
        return after

    found = with_book(address, config, work)
    if json:
        print_json(None if found is None else _builtins(found))
        return
    if found is None:
        sys.stdout.write(_("Junk mail is not sorted out.") + "\n")
        return
    rows = [{"list": _("blocked"), "entry": one} for one in found.blocked_senders]
    rows += [{"list": _("safe"), "entry": one} for one in (*found.safe_senders, *found.safe_recipients)]
    show_list(rows, {"list": _("LIST"), "entry": _("ENTRY")}, json=False)
    text = _("Junk mail is sorted out.") if found.enabled else _("Junk mail is not sorted out.")
    sys.stdout.write(text + "\n")


def _parsed(file: str) -> InboxRule:
    """A rule out of a file; a wrong one ends the command."""
    try:
        rule = msgspec.json.decode(read_file(file), type=InboxRule, strict=True)
        check_rule(rule)
    except (msgspec.MsgspecError, UnicodeDecodeError) as problem:
        fail(f"{file}: {problem}")
    except Refusal as refusal:
        fail(f"{file}: {refusal.detail}")
    return rule

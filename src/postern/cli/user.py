"""`postern user`: people as the address book shows them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec
from cyclopts import App, Parameter

from postern.cli.files import explain_file
from postern.cli.language import _
from postern.cli.moments import moment
from postern.cli.organisation import Config, Json, existing_entry, load_settings, open_directory, run
from postern.cli.output import done, expect_change, fail, show_list, show_one
from postern.directory.interface import GLOBAL, Account, AccountChange, Details, Entry

app = App(name="user", help=_("People and their details in the address book."))

FIELDS = tuple(field for field in Details.__struct_fields__ if field != "custom")

Within = Annotated[str, Parameter(name="--list", help=_("Only of this address list."))]
Limit = Annotated[int, Parameter(help=_("At most so many."))]
Custom = Annotated[list[str] | None, Parameter(help=_("Custom attribute, such as 1=gold; 1 to 15."))]
Photo = Annotated[
    Path | None, Parameter(help=_("JPEG or PNG file, at most 100 KiB; an empty file removes the picture."))
]


def facts(entry: Entry) -> dict[str, Any]:
    """An entry as JSON has it."""
    return {
        "address": entry.address,
        "name": entry.display_name,
        "kind": entry.kind.value,
        "addresses": list(entry.proxies),
        "target": entry.target,
        "hidden": entry.hidden,
        "photo": entry.photo,
        "source": entry.source,
        **{field: getattr(entry.details, field) for field in FIELDS},
        "custom": entry.details.custom,
    }


def show_entries(entries: list[dict[str, Any]], *, json: bool) -> None:
    """A listing of the address book."""
    columns = {
        "name": _("NAME"),
        "address": _("ADDRESS"),
        "kind": _("KIND"),
        "department": _("DEPARTMENT"),
        "phone": _("TELEPHONE"),
    }
    show_list(entries, columns, json=json)


@app.command(
    help=_(
        "Look somebody up: each word begins a name, an address or a department.\n\nExample: postern user find 'ann sal'"
    )
)
def find(  # noqa: D103 - help is above
    text: str = "", /, *, within: Within = GLOBAL, limit: Limit = 50, config: Config = None, json: Json = False
) -> None:
    async def work() -> list[dict[str, Any]]:
        async with open_directory(load_settings(config)) as directory:
            return [facts(entry) for entry in await directory.entries(within=within, search=text, limit=limit)]

    show_entries(run(work), json=json)


@app.command(help=_("Show what is known of somebody.\n\nExample: postern user show anna@example.org"))
def show(address: str, /, *, config: Config = None, json: Json = False) -> None:  # noqa: D103
    async def work() -> dict[str, Any]:
        async with open_directory(load_settings(config)) as directory:
            entry = await existing_entry(directory, address)
            found = facts(entry)
            found["groups"] = sorted((await directory.groups_of(entry.id)).values())
            roles = await directory.role_assignments()
            held = {entry.address, *found["groups"]}
            found["roles"] = [f"{row.role.value} {row.scope}".strip() for row in roles if row.address in held]
            account = await directory.account(entry.id)
            if account is not None:
                found |= sign_in_facts(account)
            return found

    found = run(work)
    labels = {
        "address": _("Address"),
        "name": _("Name"),
        "kind": _("Kind"),
        "addresses": _("Further addresses"),
        "target": _("Mail goes to"),
        **{field: _(label) for field, label in _LABELS.items()},
        "groups": _("Groups"),
        "roles": _("Roles"),
        "source": _("Comes from"),
        "enabled": _("Enabled"),
        "expires": _("Expires"),
        "policy": _("Policy"),
    }
    if not json:
        found["expires"] = moment(found.get("expires_at"))
        labels = {key: label for key, label in labels.items() if found.get(key) not in ("", None, [])}
    show_one(found, labels, json=json)


def sign_in_facts(account: Account) -> dict[str, Any]:
    """What decides whether somebody may sign in."""
    return {
        "enabled": account.enabled,
        "expires_at": account.expires_at,
        "password_at": account.password_at,
        "password_expires_at": account.password_expires_at,
        "policy": account.policy or "default",
        "protocols": sorted(account.protocols),
    }


@app.command(
    name="set",
    help=_(
        "Change what the address book says; an empty text removes it."
        "\n\nExample: postern user set anna@example.org --department Sales --phone '+49 30 1234'"
    ),
)
def set_(  # noqa: D103, PLR0913 - one option for each thing that can change
    address: str,
    /,
    *,
    given_name: str | None = None,
    surname: str | None = None,
    initials: str | None = None,
    title: str | None = None,
    department: str | None = None,
    company: str | None = None,
    office: str | None = None,
    phone: str | None = None,
    mobile: str | None = None,
    home_phone: str | None = None,
    fax: str | None = None,
    street: str | None = None,
    city: str | None = None,
    state: str | None = None,
    postal_code: str | None = None,
    country: str | None = None,
    manager: str | None = None,
    notes: str | None = None,
    web_page: str | None = None,
    capacity: str | None = None,
    custom: Custom = None,
    photo: Photo = None,
    config: Config = None,
    json: Json = False,
) -> None:
    given = locals()
    changes: dict[str, Any] = {field: given[field] for field in FIELDS if given[field] is not None}
    numbered = dict(_custom(text) for text in custom or ())
    picture = _read(photo)
    expect_change(given=bool(changes or numbered) or photo is not None)

    async def work() -> dict[str, Any]:
        async with open_directory(load_settings(config)) as directory:
            entry = await existing_entry(directory, address)
            if changes or numbered:
                merged = {key: text for key, text in {**entry.details.custom, **numbered}.items() if text}
                details = msgspec.structs.replace(entry.details, **changes, custom=merged)
                await directory.set_details(entry.address, details)
            if photo is not None:
                await directory.set_photo(entry.address, picture or None)
            return facts(await existing_entry(directory, entry.address))

    found = run(work)
    done(_("{address} is changed.", address=found["address"]), found, json=json)


def _custom(text: str) -> tuple[str, str]:
    number, sign, value = text.partition("=")
    if not sign or not number.isdigit():
        fail(_("not a custom attribute: {text}; example: 1=gold", text=text))
    return number, value


def _read(photo: Path | None) -> bytes:
    if photo is None:
        return b""
    try:
        return photo.read_bytes()
    except OSError as problem:
        fail(explain_file(problem))


@app.command(
    help=_("Let somebody sign in again.\n\nExample: postern user enable anna@example.org"),
)
def enable(address: str, /, *, config: Config = None, json: Json = False) -> None:  # noqa: D103
    _switch(address, True, config, json)


@app.command(
    help=_(
        "Nobody signs in to this account any more; what is signed in ends at once. Mail still arrives."
        "\n\nExample: postern user disable anna@example.org"
    ),
)
def disable(address: str, /, *, config: Config = None, json: Json = False) -> None:  # noqa: D103
    _switch(address, False, config, json)


def _switch(address: str, enabled: bool, config: Config, json: bool) -> None:
    async def work() -> Account:
        async with open_directory(load_settings(config)) as directory:
            return await directory.change_account(address, AccountChange(enabled=enabled))

    account = run(work)
    text = _("{address} may sign in.") if enabled else _("{address} may not sign in.")
    done(text.format(address=account.address), {"address": account.address, "enabled": account.enabled}, json=json)


_LABELS = {
    "given_name": "Given name",
    "surname": "Surname",
    "initials": "Initials",
    "title": "Title",
    "department": "Department",
    "company": "Company",
    "office": "Office",
    "phone": "Telephone",
    "mobile": "Mobile",
    "home_phone": "Telephone at home",
    "fax": "Fax",
    "street": "Street",
    "city": "City",
    "state": "State",
    "postal_code": "Postal code",
    "country": "Country",
    "manager": "Manager",
    "notes": "Notes",
    "web_page": "Web page",
    "capacity": "Seats",
}

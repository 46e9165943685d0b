"""`postern role`: administrators."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Annotated, Any

from cyclopts import App, Parameter

from postern.cli.language import _
from postern.cli.organisation import Config, Json, load_settings, open_directory, run
from postern.cli.output import done, fail, show_list
from postern.model.rights import ADMIN_ROLES, AdminRole

app = App(name="role", help=_("Administrators and what they may do."))

Scope = Annotated[
    str, Parameter(help=_("RFC 4515 filter of the recipients that the role covers, such as '(department=Sales)'."))
]


def known_role(text: str) -> AdminRole:
    """A role by name, or the end with the nearest ones."""
    names = {role.value.replace("_", "-"): role for role in AdminRole}
    wanted = text.lower().replace("_", "-")
    if wanted not in names:
        near = get_close_matches(wanted, names, n=2) or list(names)
        fail(_("not a role: {text}; known: {known}", text=text, known=", ".join(near)))
    return names[wanted]


@app.command(name="list", help=_("List who has which role.\n\nExample: postern role list"))
def list_(*, config: Config = None, json: Json = False) -> None:  # noqa: D103 - help is above
    async def work() -> list[dict[str, Any]]:
        async with open_directory(load_settings(config)) as directory:
            return [
                {"role": row.role.value.replace("_", "-"), "who": row.address, "scope": row.scope}
                for row in await directory.role_assignments()
            ]

    show_list(run(work), {"role": _("ROLE"), "who": _("WHO"), "scope": _("SCOPE")}, json=json)


@app.command(help=_("Show what each role may do.\n\nExample: postern role show help-desk"))
def show(role: str = "", /, *, json: Json = False) -> None:  # noqa: D103
    wanted = [known_role(role)] if role else list(AdminRole)
    rows = [
        {
            "role": one.value.replace("_", "-"),
            "rights": sorted(right.value.replace("_", "-") for right in ADMIN_ROLES[one]),
        }
        for one in wanted
    ]
    show_list(rows, {"role": _("ROLE"), "rights": _("RIGHTS")}, json=json)


@app.command(help=_("Give somebody a role.\n\nExample: postern role add help-desk bert@example.org"))
def add(  # noqa: D103
    role: str, who: str, /, *, scope: Scope = "", config: Config = None, json: Json = False
) -> None:
    _assign(role, who, scope, True, config, json)


@app.command(help=_("Take a role away.\n\nExample: postern role remove help-desk bert@example.org"))
def remove(  # noqa: D103
    role: str, who: str, /, *, scope: Scope = "", config: Config = None, json: Json = False
) -> None:
    _assign(role, who, scope, False, config, json)


def _assign(role: str, who: str, scope: str, assigned: bool, config: Config, json: bool) -> None:
    wanted = known_role(role)

    async def work() -> None:
        async with open_directory(load_settings(config)) as directory:
            await directory.assign_role(wanted, who, scope=scope, assigned=assigned)

    run(work)
    text = _("{who} has the role {role}.") if assigned else _("{who} does not have the role {role} any more.")
    found = {"role": role, "who": who, "scope": scope, "assigned": assigned}
    done(text.format(who=who, role=role), found, json=json)

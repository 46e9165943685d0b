"""Whether a new password is one that an account's policy allows."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from postern.directory import passwords
from postern.directory.interface import Policy
from postern.model.refusal import Reason, Refusal


def check_password(policy: Policy, password: str, address: str, old_hashes: Sequence[str] = ()) -> None:
    """Costs a verification for each old hash: call it in a thread. Raises Refusal(BAD_VALUE) that says what to do."""
    if len(password) < policy.password_min_length:
        raise Refusal(Reason.BAD_VALUE, f"the password needs at least {policy.password_min_length} characters")
    kinds = {_kind(char) for char in password}
    if len(kinds) < policy.password_classes:
        raise Refusal(
            Reason.BAD_VALUE,
            f"the password needs {policy.password_classes} kinds of characters"
            " of lower case, upper case, digits and others",
        )
    local = address.partition("@")[0]
    strict = policy.password_min_length or policy.password_classes
    if strict and len(local) > 2 and local.lower() in password.lower():
        raise Refusal(Reason.BAD_VALUE, "the password may not contain the user's name")
    for old in old_hashes[: policy.password_history]:
        if passwords.verify(password, old):
            raise Refusal(Reason.BAD_VALUE, f"the last {policy.password_history} passwords may not be used again")


def _kind(char: str) -> str:
    category = unicodedata.category(char)
    return {"Ll": "lower", "Lu": "upper", "Nd": "digit"}.get(category, "other")

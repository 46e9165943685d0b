"""Annotations of folders and of a mailbox: texts by name, everybody's (`/shared/`) or a reader's own (`/private/`).

Kept among the mailbox's settings under `FOLDER/shared/NAME` and `FOLDER/private/ACCOUNT/NAME`; folder 0 is the mailbox.
Names are lower case and begin with `/shared/` or `/private/` (RFC 5464 3).
"""

from __future__ import annotations

from collections.abc import Mapping

from postern.model.ids import AccountId, FolderId
from postern.model.refusal import Reason, Refusal
from postern.store.interface import Mailbox

KIND = "metadata"
PRIVATE, SHARED = "/private/", "/shared/"
MAX_VALUE_BYTES = 16384
MAX_ENTRIES = 100
"""Of a folder that one reader sees."""
WHOLE = FolderId(0)


async def every(mailbox: Mailbox, reader: AccountId) -> dict[FolderId, dict[str, bytes]]:
    """All that a reader sees, by folder and name."""
    own = f"{PRIVATE}{reader}/"
    found: dict[FolderId, dict[str, bytes]] = {}
    for key, value, _ in await mailbox.settings(KIND):
        number, slash, rest = key.partition("/")
        name = slash + rest
        if name.startswith(own):
            name = PRIVATE + name.removeprefix(own)
        elif not name.startswith(SHARED):
            continue
        found.setdefault(FolderId(int(number)), {})[name] = value
    return found


async def change(mailbox: Mailbox, reader: AccountId, folder: FolderId, values: Mapping[str, bytes | None]) -> None:
    """Set values, None removes. Raises Refusal(TOO_MANY, TOO_LARGE, BAD_NAME)."""
    if any(value is not None and len(value) > MAX_VALUE_BYTES for value in values.values()):
        raise Refusal(Reason.TOO_LARGE, f"an annotation over {MAX_VALUE_BYTES} octets")
    held = (await every(mailbox, reader)).get(folder, {}).keys()
    after = (held | {name for name, value in values.items() if value is not None}) - {
        name for name, value in values.items() if value is None
    }
    if len(after) > MAX_ENTRIES:
        raise Refusal(Reason.TOO_MANY, f"{len(after)} annotations")
    await mailbox.set_settings(KIND, {_key(reader, folder, name): value for name, value in values.items()})


async def forget(mailbox: Mailbox, folder: FolderId) -> None:
    """The folder is gone."""
    head = f"{folder}/"
    gone = [one.key for one in await mailbox.settings(KIND) if one.key.startswith(head)]
    if gone:
        await mailbox.set_settings(KIND, dict.fromkeys(gone))


def _key(reader: AccountId, folder: FolderId, name: str) -> str:
    if name.startswith(PRIVATE):
        return f"{folder}{PRIVATE}{reader}/{name.removeprefix(PRIVATE)}"
    return f"{folder}{name}"

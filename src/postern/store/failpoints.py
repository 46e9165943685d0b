"""Places where a crash test may stop the program. Without POSTERN_FAILPOINTS a hit costs one dictionary test.

`POSTERN_FAILPOINTS="journal.synced=kill:0.01,gc.copied=raise:1"`: action and probability by name. `kill` is SIGKILL
to the own process, `raise` raises `FailpointError`.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping

NAMES = (
    "journal.before-write",
    "journal.written",
    "journal.synced",
    "journal.sealing",
    "journal.sealed",
    "body.spooled",
    "mailflow.accepted",
    "mailflow.outcome",
    "mailflow.delivering",
    "mailflow.delivered",
    "mailflow.queued",
    "append.applied",
    "append.assigned",
    "mark.synced",
    "mark.written",
    "mark.forgotten",
    "replay.tail-sealed",
    "replay.applied",
    "replay.closed",
    "gc.nominated",
    "gc.copied",
    "gc.replaced",
    "gc.removed",
)
"""Every failpoint of the journal, the mail flow and garbage collection, for tests that hit them all."""
BACKUP_NAMES = (
    "backup.packing",
    "backup.packed",
    "backup.copied",
    "backup.segments",
    "backup.snapshot",
    "backup.snapshot-written",
    "backup.pruning",
    "backup.repacked",
    "restore.file",
)
"""Those of backup and restore."""
RULES = ("rules.sending", "rules.submitted")
"""Between a delivery and the letters that its rules set off."""


class FailpointError(Exception):
    """The action `raise`."""


_actions: dict[str, Callable[[], None]] = {}


def hit(name: str) -> None:
    """Do what was configured for the place, if anything."""
    if _actions:
        action = _actions.get(name)
        if action is not None:
            action()


def configure(actions: Mapping[str, Callable[[], None]]) -> None:
    """Replace all actions; an empty mapping switches failpoints off."""
    _actions.clear()
    _actions.update(actions)


def configure_from_environment(environment: Mapping[str, str] = os.environ) -> None:
    """Read POSTERN_FAILPOINTS. Raises ValueError for an unknown action or probability."""
    text = environment.get("POSTERN_FAILPOINTS", "")
    configure(dict(_parse(entry) for entry in text.split(",") if entry))


def _parse(entry: str) -> tuple[str, Callable[[], None]]:
    name, _, rest = entry.partition("=")
    kind, _, chance = rest.partition(":")
    threshold = int(float(chance or "1") * 0xFFFFFFFF)
    effects: dict[str, Callable[[], None]] = {"kill": _kill, "raise": _raise}
    if kind not in effects:
        raise ValueError(f"POSTERN_FAILPOINTS: {entry!r}: the action must be kill or raise")
    effect = effects[kind]

    def action() -> None:
        if int.from_bytes(os.urandom(4)) <= threshold:
            effect()

    return name, action


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _raise() -> None:
    raise FailpointError

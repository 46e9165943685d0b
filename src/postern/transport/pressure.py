"""Back pressure: when the queue, the disk or the event loop is at its limit, new mail is put off (452, 421).

Each limit has a level at which refusing begins and a lower one at which it ends, so that it does not flap.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from postern.model.refusal import Reason, Refusal


class Limits(msgspec.Struct, frozen=True):
    """Where refusing begins; it ends below 80 % (above 125 % for free space)."""

    queue_recipients: int = 200_000
    free_bytes: int = 200 << 20
    loop_lag_s: float = 2.0


class Pressure:
    """One per worker. `check` is asked for every MAIL FROM and costs nothing."""

    def __init__(self, limits: Limits, report: Callable[[str, bool], None] | None = None) -> None:
        """`report` hears (why, whether it is too much) at each change, for the log."""
        self._limits = limits
        self._report = report or (lambda why, on: None)
        self._reasons: dict[str, Refusal] = {}
        self.queue_recipients = 0
        self.free_bytes = 0
        self.loop_lag_s = 0.0

    def check(self) -> None:
        """Raise Refusal(DISK_FULL, TRY_LATER) while a limit is passed."""
        if self._reasons:
            refusal = next(iter(self._reasons.values()))
            raise Refusal(refusal.reason, refusal.detail)

    def update(
        self, *, queue_recipients: int | None = None, free_bytes: int | None = None, loop_lag_s: float | None = None
    ) -> None:
        """New measurements; what is not given stays as it was."""
        limits = self._limits
        if queue_recipients is not None:
            self.queue_recipients = queue_recipients
            self._judge(
                Reason.TRY_LATER,
                "queue",
                queue_recipients > limits.queue_recipients,
                queue_recipients < limits.queue_recipients * 0.8,
                f"{queue_recipients} recipients wait, {limits.queue_recipients} are allowed",
            )
        if free_bytes is not None:
            self.free_bytes = free_bytes
            self._judge(
                Reason.DISK_FULL,
                "disk",
                free_bytes < limits.free_bytes,
                free_bytes > limits.free_bytes * 1.25,
                f"{free_bytes >> 20} MiB of disk are free, {limits.free_bytes >> 20} are kept free",
            )
        if loop_lag_s is not None:
            self.loop_lag_s = loop_lag_s
            self._judge(
                Reason.TRY_LATER,
                "load",
                loop_lag_s > limits.loop_lag_s,
                loop_lag_s < limits.loop_lag_s * 0.8,
                f"the worker is {loop_lag_s:.1f} s behind, {limits.loop_lag_s:.1f} are allowed",
            )

    def _judge(self, reason: Reason, name: str, too_much: bool, well: bool, why: str) -> None:
        if too_much:
            if name not in self._reasons:
                self._report(why, True)
            self._reasons[name] = Refusal(reason, why)
        elif well and self._reasons.pop(name, None) is not None:
            self._report(why, False)

    async def watch(
        self,
        data: Path,
        length: Callable[[], Awaitable[int]],
        lag: Callable[[], float],
        interval_s: float = 2.0,
    ) -> None:
        """Measure for ever. `length`: recipients in the queue; `lag`: the loop's delay in seconds."""
        while True:
            try:
                queued: int | None = await length()
            except Refusal:
                queued = None
            self.update(queue_recipients=queued, free_bytes=shutil.disk_usage(data).free, loop_lag_s=lag())
            await asyncio.sleep(interval_s)

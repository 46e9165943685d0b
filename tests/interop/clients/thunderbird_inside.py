"""Runs inside the mail network: Thunderbird without a screen, accounts by address and password, one start.

    python -m tests.interop.clients.thunderbird_inside PROGRAM HOME CERTIFICATE PLAN

PLAN is JSON, a list of accounts: `address`, `password`, `other` (whom mail is sent to and comes from) and `kind`: `ews`
or `imap`. Prints JSON: by kind, what each step saw. Screenshots go to HOME. The mailbox is looked into by IMAP, so that
what Thunderbird did is seen from outside.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.interop.clients import letters
from tests.interop.ldap.thunderbird import Marionette
from tests.ports import free_port

QUIET = {
    "mail.provider.suppress_dialog_on_startup": True,
    "mail.spotlight.firstRunDone": True,
    "mailnews.start_page.enabled": False,
    "mail.rights.version": 1,
    "mail.shell.checkDefaultClient": False,
    "mail.winsearch.firstRunDone": True,
    "app.donation.eoy.version.viewed": 999,
    "datareporting.policy.dataSubmissionEnabled": False,
    "toolkit.telemetry.enabled": False,
    "app.update.enabled": False,
    "extensions.update.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "mailnews.auto_config_url": "",
    "mail.biff.show_alert": False,
}

PRELUDE = (Path(__file__).with_name("thunderbird_steps.js")).read_text()


class Thunderbird:
    """One start."""

    def __init__(self, program: str, home: Path) -> None:
        port = free_port()
        profile = home / "profile"
        profile.mkdir(parents=True)
        preferences = {**QUIET, "marionette.port": port}
        lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in preferences.items()]
        (profile / "user.js").write_text("\n".join(lines))
        self.home = home
        with (home / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [program, "--headless", "--marionette", "--remote-allow-system-access", "--no-remote", "--profile",
                 str(profile)],
                stdout=log, stderr=log, env={**os.environ, "HOME": str(home), "MOZ_HEADLESS": "1"},
                start_new_session=True,
            )  # fmt: skip
        self.client = Marionette(port, self.process)
        self.client.ask("WebDriver:NewSession", capabilities={})
        self.client.ask("Marionette:SetContext", value="chrome")
        self.client.ask("WebDriver:SetTimeouts", script=60000)

    def do(self, step: str, *arguments: Any) -> Any:
        """One function of the steps; what it answers."""
        script = f"""{PRELUDE}
const [given, resolve] = arguments;
steps.{step}(...given).then(value => resolve(JSON.stringify({{ value }})),
    problem => resolve(JSON.stringify({{ problem: String(problem) + " " + (problem?.stack ?? "") }})));"""
        answer = self.client.ask("WebDriver:ExecuteAsyncScript", script=script, args=[arguments], newSandbox=True)
        found = json.loads(answer["value"])
        assert "problem" not in found, f"{step}: {found['problem']}"
        return found.get("value")

    def picture(self, name: str) -> None:
        data = self.client.ask("WebDriver:TakeScreenshot", full=False)["value"]
        (self.home / f"{name}.png").write_bytes(base64.b64decode(data))

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.client.close()


@contextlib.contextmanager
def started(program: str, home: Path) -> Iterator[Thunderbird]:
    one = Thunderbird(program, home)
    try:
        yield one
    finally:
        one.close()


def all_steps(bird: Thunderbird, plan: dict[str, str]) -> dict[str, Any]:
    address, password, other, kind = plan["address"], plan["password"], plan["other"], plan["kind"]
    seen: dict[str, Any] = {}
    times = seen["seconds"] = {}

    def step(name: str, *arguments: Any, said: str = "") -> Any:
        began = time.monotonic()
        seen[said or name] = bird.do(name, *arguments)
        times[said or name] = round(time.monotonic() - began, 1)
        return seen[said or name]

    own = letters.Mailbox(address, password)
    own.add("INBOX", "First letter", "The words of the first letter.", other, address)
    own.add("INBOX", "Second letter", "The words of the second letter.", other, address)
    step("find", address, password)
    step("create", kind)
    step("folders", "Inbox")
    step("subjects", "Inbox", ["First letter", "Second letter"], said="inbox")
    step("text", "Inbox", "First letter")
    step("show", "Inbox", "First letter", "The words of")
    bird.picture(f"{kind}-reading")
    step("mark", "Inbox", "First letter")
    seen["marked"] = own.wait("INBOX", "First letter", lambda flags: {"\\Seen", "\\Flagged"} <= flags)
    own.flag("INBOX", "Second letter", "(\\Seen \\Flagged)")
    step("flags", "Inbox", "Second letter", {"isRead": True, "isFlagged": True})
    own.flag("INBOX", "Second letter", "(\\Seen)", "-")
    step("flags", "Inbox", "Second letter", {"isRead": False, "isFlagged": True}, said="unread again")
    letters.send(other, password, address, "Third letter", "It came later.")
    step("subjects", "Inbox", ["Third letter"], said="new mail")
    step("make", "Work")
    step("move", "Inbox", "Second letter", "Work")
    seen["moved"] = own.wait("Work", "Second letter", lambda flags: True)
    own.move("Work", "Second letter", "INBOX")
    step("subjects", "Inbox", ["Second letter"], said="moved back")
    step("delete", "Inbox", "Third letter")
    seen["deleted"] = own.wait(own.special("\\Trash"), "Third letter", lambda flags: True)
    step("send", other, "From Thunderbird", "Written with Thunderbird: äöü.")
    step("subjects", "SentMail", ["From Thunderbird"], said="sent")
    there = letters.Mailbox(other, password)
    seen["arrived"] = there.wait("INBOX", "From Thunderbird", lambda flags: True)
    seen["received"] = there.text("INBOX", "From Thunderbird")
    there.close()
    seen["copies"] = own.count(own.special("\\Sent"), "From Thunderbird")
    own.close()
    step("show", "SentMail", "From Thunderbird", "Written with", said="show sent")
    bird.picture(f"{kind}-sent")
    return seen


def main() -> None:
    program, home, certificate, plan = sys.argv[1:]
    with started(program, Path(home)) as bird:
        bird.do("trust", letters.pem_body(Path(certificate)))
        print(json.dumps({one["kind"]: all_steps(bird, one) for one in json.loads(plan)}))


if __name__ == "__main__":
    main()

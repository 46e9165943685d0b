"""An account of a Dovecot on this machine, whatever format its mail has: `doveadm` copies it to a Maildir.

Works on a running Dovecot and on a stopped one; needs `doveadm` and the right to read the mail (root).
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from postern.migration.sources.maildir import Maildir
from postern.migration.values import SourceError

TIMEOUT_S = 6 * 3600


class Dovecot(Maildir):
    """Implements migration.values.Source; keys are Dovecot's UIDs, which its copies keep."""

    def __init__(self, user: str, config: Path | None = None) -> None:
        """`config`: its dovecot.conf, if that is not the usual one. Raises SourceError."""
        self._copy = Path(tempfile.mkdtemp(prefix="postern-dovecot-"))
        try:
            known = fields(user, config)
            # everything is readable and writable for the mail's own user while dsync writes
            shutil.chown(self._copy, int(known["uid"]), int(known["gid"]))
            doveadm(["backup", "-u", user, f"maildir:{self._copy}/mail"], config)
            home = Path(known["home"]) if known.get("home") else None
            super().__init__(self._copy / "mail", name=f"dovecot {user}", home=home, by_uid=True)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Remove the copy."""
        shutil.rmtree(self._copy, ignore_errors=True)


def accounts(pattern: str = "*", config: Path | None = None) -> Sequence[str]:
    """Users that Dovecot can list. Raises SourceError."""
    return doveadm(["user", pattern], config).split()


def fields(user: str, config: Path | None = None) -> dict[str, str]:
    """What Dovecot's user database says of one: uid, gid, home, mail ... Raises SourceError."""
    lines = doveadm(["user", user], config).splitlines()
    known = dict(line.split("\t", 1) for line in lines if "\t" in line)
    if missing := [name for name in ("uid", "gid") if not known.get(name, "").isdigit()]:
        raise SourceError(f"doveadm user {user}: no {' and no '.join(missing)} in what it says")
    return known


def doveadm(arguments: Sequence[str], config: Path | None = None) -> str:
    """What it prints. Raises SourceError."""
    program = shutil.which("doveadm")
    if program is None:
        raise SourceError("doveadm is not installed here: run this on Dovecot's machine, or use `postern import imap`")
    command = [program, *(["-c", str(config)] if config else []), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)  # noqa: S603
    except subprocess.TimeoutExpired as slow:
        raise SourceError(f"doveadm {arguments[0]} did not end within {TIMEOUT_S // 3600} hours") from slow
    # dsync says 2 when mail came in while it ran: the next run brings that
    if done.returncode not in ((0, 2) if arguments[0] == "backup" else (0,)):
        # the first line says why; what a panic adds is for Dovecot's developers
        why = (done.stderr or done.stdout).strip().partition("\n")[0][:1000]
        raise SourceError(f"doveadm {arguments[0]}: {why}. Is Dovecot there, and is --dovecot-config the file it uses?")
    return done.stdout

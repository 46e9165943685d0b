"""Debian's Postfix with a configuration, spool and port of its own; mail goes to a Maildir."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
from tests.ports import free_port

MAIN = """\
compatibility_level = 3.6
queue_directory = {spool}
data_directory = {lib}
config_directory = {etc}
multi_instance_name = postfix-outbound
multi_instance_enable = yes
maillog_file = {log}/maillog
maillog_file_prefixes = {log}
myhostname = mx.far.example
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks =
alias_maps =
alias_database =
smtpd_peername_lookup = no
biff = no
virtual_mailbox_domains = far.example
virtual_mailbox_base = {mail}
virtual_mailbox_maps = texthash:{etc}/boxes
virtual_minimum_uid = 1
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
smtpd_relay_restrictions = reject_unauth_destination
smtpd_tls_cert_file = {etc}/cert.pem
smtpd_tls_key_file = {etc}/key.pem
smtpd_tls_security_level = {tls}
smtpd_tls_received_header = yes
smtpd_discard_ehlo_keywords = {discard}
smtputf8_enable = yes
"""
MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
error unix - - n - - error
retry unix - - n - - error
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"""


class PostfixPeer:
    """Takes mail for anna@far.example and boris@far.example."""

    def __init__(self, *, tls: str = "may", discard: str = "") -> None:
        # not below pytest's directory, which is closed to Postfix's own users
        root = self.root = Path(tempfile.mkdtemp(prefix="postern-postfix-"))
        self.port = free_port()
        self._places: dict[str, Path] = {name: root / name for name in ("etc", "spool", "lib", "log", "mail")}
        for place in self._places.values():
            place.mkdir(parents=True)
        root.chmod(0o755)
        shutil.chown(self._places["lib"], "postfix")
        shutil.chown(self._places["mail"], 65534, 65534)
        etc = self._places["etc"]
        (etc / "main.cf").write_text(MAIN.format(**self._places, tls=tls, discard=discard))
        (etc / "master.cf").write_text(MASTER.format(port=self.port))
        (etc / "dynamicmaps.cf").write_text("")
        (etc / "boxes").write_text("anna@far.example anna/\nboris@far.example boris/\n")
        request = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=mx.far.example"
        subprocess.run(
            ["openssl", *request.split(), "-keyout", etc / "key.pem", "-out", etc / "cert.pem"],
            check=True,
            capture_output=True,
        )

    def configure(self, **parameters: str) -> None:
        """Sets parameters of main.cf; one that is there already is replaced."""
        self._run("/usr/sbin/postconf", "-e", *(f"{name}={value}" for name, value in parameters.items()))

    def start(self) -> None:
        """Starts it with a configuration that warns of nothing.

        Each of its processes warns of main.cf (a parameter that is there twice) into the socket that postlogd reads,
        and so does postlogd itself before it reads. Ten messages fit (net.unix.max_dgram_qlen). When the others were
        faster, postlogd waits for itself, and so does all that logs, as smtpd before its greeting: for ever.
        """
        warned = self._run("/usr/sbin/postconf", "-n").stderr
        assert not warned, warned
        for file in self._places["etc"].iterdir():
            os.utime(file, (1_700_000_000, 1_700_000_000))  # it waits until what it reads is two seconds old
        self._run("/usr/sbin/postfix", "start")
        until = time.monotonic() + 60
        while time.monotonic() < until:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.03)
        raise RuntimeError(f"Postfix did not start\n{self.log()}")

    def stop(self) -> None:
        """All its processes at once: `postfix stop` looks once a second whether they have ended."""
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            os.killpg(int((self._places["spool"] / "pid" / "master.pid").read_text()), signal.SIGKILL)
        shutil.rmtree(self.root, ignore_errors=True)

    def _run(self, program: str, *words: str) -> subprocess.CompletedProcess[str]:
        etc = str(self._places["etc"])
        done = subprocess.run([program, "-c", etc, *words], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"{words}: {done.stderr}\n{self.log()}"
        return done

    def log(self) -> str:
        log = self._places["log"] / "maillog"
        return log.read_text() if log.exists() else ""

    def received(self, user: str, count: int, having: bytes = b"", timeout_s: float = 60) -> list[bytes]:
        """Messages in a Maildir with some text in them, once there are so many: Postfix delivers after its 250."""
        box = self._places["mail"] / user / "new"
        until = time.monotonic() + timeout_s
        while time.monotonic() < until:
            found = [path.read_bytes() for path in sorted(box.iterdir())] if box.exists() else []
            found = [message for message in found if having in message]
            if len(found) >= count:
                return found
            time.sleep(0.03)
        raise AssertionError(f"{user} has not got {count} messages\n{self.log()[-3000:]}")


def need_postfix() -> None:
    if os.geteuid() != 0 or not Path("/usr/sbin/postfix").exists():
        pytest.skip("needs Postfix, and root to start it: run scripts/install-test-parts as root")

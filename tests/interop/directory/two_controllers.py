"""Two directory servers, each in a network namespace of its own, and a running Postern that is mirrored from them.

    unshare --net python -m tests.interop.directory.two_controllers DIRECTORY

Prints what happened to sign-ins, {step: [outcome, seconds]}, while one server, the other, or both were gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import imaplib
import json
import os
import signal
import ssl
import subprocess
import sys
import time
from pathlib import Path

import trustme
from tests.integration.organisation import Running, make_organisation, make_settings
from tests.interop import directory_servers as ds
from tests.interop.check.peers import need, place

from postern.cli.organisation import open_directory
from postern.directory.interface import Source
from postern.ldapsource.settings import written

COUNT = 40


def run(*words):
    subprocess.run(words, check=True, capture_output=True, timeout=60)


class Cable:
    """A computer (network namespace) behind a cable."""

    def __init__(self, number):
        self.number = number
        self.address = f"10.77.{number}.2"
        self.holder = subprocess.Popen(["unshare", "--net", "sleep", "600"])
        self.inside = ("nsenter", "--net", f"--target={self.holder.pid}")
        time.sleep(0.3)
        run("ip", "link", "add", f"dc{number}", "type", "veth", "peer", "name", "eth0", "netns", str(self.holder.pid))
        run("ip", "addr", "add", f"10.77.{number}.1/24", "dev", f"dc{number}")
        run("ip", "link", "set", f"dc{number}", "up")
        run(*self.inside, "ip", "link", "set", "lo", "up")
        run(*self.inside, "ip", "addr", "add", f"{self.address}/24", "dev", "eth0")
        run(*self.inside, "ip", "link", "set", "eth0", "up")

    def cable(self, state):
        run("ip", "link", "set", f"dc{self.number}", state)

    def end(self):
        self.holder.kill()
        self.holder.wait(60)


class Namespace(Cable):
    """With a directory server on it."""

    def __init__(self, number, authority, root):
        super().__init__(number)
        self.root = root
        self.config = ds.prepare(root, authority, ds.people(COUNT), log=100, names=(self.address,))
        self.slapd = None

    def start(self):
        command = [need("slapd"), "-h", f"ldap://{self.address}/", "-f", str(self.config), "-d", "0"]
        self.slapd = subprocess.Popen([*self.inside, *command])
        end = time.monotonic() + 60
        import socket

        while True:
            with contextlib.suppress(OSError):
                socket.create_connection((self.address, 389), 1).close()
                return
            assert time.monotonic() < end, "slapd does not listen"
            time.sleep(0.05)

    def stop(self):
        if self.slapd is not None:
            self.slapd.send_signal(signal.SIGKILL)
            self.slapd.wait(60)
            self.slapd = None

    def end(self):
        self.stop()
        super().end()


def sign_in(port, user, password):
    """`OK`, `NO` or what the server said of itself, and how long it took."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    begun = time.monotonic()
    client = imaplib.IMAP4_SSL("127.0.0.1", port, ssl_context=context, timeout=40)
    try:
        client.login(user, password)
        client.select("INBOX")
        outcome = "OK"
    except imaplib.IMAP4.error as refused:
        outcome = str(refused)
    finally:
        client.shutdown()
    return [outcome, round(time.monotonic() - begun, 2)]


async def join(settings, source_settings):
    async with open_directory(settings) as directory:
        await directory.put_source(Source("elsewhere", "ldap", settings=written(source_settings)))


async def wait_for(settings, login, seconds=60):
    async with open_directory(settings) as directory:
        end = time.monotonic() + seconds
        while await directory.login(login) is None:
            assert time.monotonic() < end, f"{login} did not come"
            await asyncio.sleep(0.1)


def main():
    data = Path(sys.argv[1])
    run("ip", "link", "set", "lo", "up")
    authority = trustme.CA()
    said = {}
    with contextlib.ExitStack() as stack:
        near, far = (Namespace(n, authority, stack.enter_context(place())) for n in (1, 2))
        stack.callback(near.end)
        stack.callback(far.end)
        near.start()
        far.start()
        settings = make_settings(data)
        make_organisation(settings)
        servers = (near.address, far.address)
        own = ds.reader_settings(data, 389, near.root / "ca.pem", servers=servers, timeout_s=3.0, connect_timeout_s=1.0)
        import msgspec

        asyncio.run(join(settings, msgspec.structs.replace(own, interval_s=1.0)))
        server = Running(settings)
        stack.callback(server.stop)
        server.wait_ready()
        asyncio.run(wait_for(settings, "u39"))
        port = server.ports["imaps"]

        said["both, u1"] = sign_in(port, "u1", "pw-1")
        said["both, wrong"] = sign_in(port, "u1", "pw-2")
        near.stop()
        said["near stopped, u2"] = sign_in(port, "u2", "pw-2")
        said["near stopped, u2 wrong"] = sign_in(port, "u2", "pw-3")
        # what changes meanwhile comes from the other one
        change = f"dn: uid=late,ou=people,{ds.BASE}\nchangetype: add\nobjectClass: inetOrgPerson\nuid: late\ncn: Late\n"
        change += "sn: x\nmail: late@example.org\nuserPassword: pw-late\n"
        command = ["ldapmodify", "-x", "-H", f"ldap://{far.address}", "-D", ds.ADMIN, "-w", ds.PASSWORD]
        subprocess.run(command, input=change, text=True, check=True, capture_output=True, timeout=60)
        asyncio.run(wait_for(settings, "late"))
        said["near stopped, late"] = sign_in(port, "late", "pw-late")
        near.start()
        far.stop()
        said["near restarted, far stopped, u3"] = sign_in(port, "u3", "pw-3")
        far.start()
        near.cable("down")
        said["near cut off, u4"] = sign_in(port, "u4", "pw-4")
        near.cable("up")
        said["both again, u5"] = [sign_in(port, "u5", "pw-5") for _ in range(30)][
            -1
        ]  # in every worker, whichever takes the next
        near.stop()
        far.stop()
        said["none, u5 remembered"] = sign_in(port, "u5", "pw-5")
        said["none, u6 never seen"] = sign_in(port, "u6", "pw-6")
        far.start()
        time.sleep(0.5)
        said["far back, u6"] = sign_in(port, "u6", "pw-6")
    print(json.dumps(said))


if __name__ == "__main__":
    os.environ.setdefault("PYTHONPATH", "src:.")
    main()

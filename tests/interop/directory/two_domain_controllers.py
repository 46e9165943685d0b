"""Two domain controllers (Samba) of one domain, each in a network namespace, and a Postern that has joined the domain.

    unshare --net --mount python -m tests.interop.directory.two_domain_controllers DIRECTORY

Somebody who has never signed in before does so all the time, every fifth with a wrong password. Prints {"controllers":
what `join` found, "steps": {step: [outcome, seconds]}, "stream": {phase: {outcome: [how many, slowest in seconds]}},
"took": seconds of each part, "log": what the server said of controllers}. A sign-in that began in one phase and ended
in another is in "one > other".
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import msgspec
from tests.integration.organisation import Running, make_organisation, make_settings
from tests.interop import samba
from tests.interop.check.peers import place
from tests.interop.directory.two_controllers import Cable, run, sign_in, wait_for

from postern.cli.organisation import open_directory
from postern.config.settings import Network
from postern.directory.interface import Domain

COUNT = 120
IN_EACH = 5
"""Sign-ins that a phase lasts at least, one of them with a wrong password."""
BASE = ",".join(f"DC={part}" for part in samba.DOMAIN.split("."))
PEOPLE = f"CN=Users,{BASE}"
RESOLVING = {"name_resolve_order": "host", "disable_netbios": "yes"}
TIMEOUT_S = 60


def secret(name):
    return f"Secret-{name}-1"


class Computer(Cable):
    """A computer behind a cable, with a domain controller on it."""

    def __init__(self, number, root):
        super().__init__(number)
        run(*self.inside, "ip", "route", "add", "default", "via", f"10.77.{number}.1")
        self.root = root
        self.name = f"dc{number}"
        self.host = f"{self.name}.{samba.DOMAIN}"
        self.process = None

    def make(self, *words):
        """samba-tool domain WORDS, into the root."""
        command = [
            *self.inside, "samba-tool", "domain", *words, f"--realm={samba.REALM}", "--dns-backend=SAMBA_INTERNAL",
            f"--targetdir={self.root}", "--option=interfaces=eth0", f"--option=netbios name={self.name}",
            *(f"--option={name.replace('_', ' ')}={value}" for name, value in RESOLVING.items()),
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S)
        assert done.returncode == 0, done.stdout + done.stderr
        self.authority = samba.certificate(self.root, self.address, self.host)
        # names that it does not know are nobody's: waiting for another server's answer took most of a minute
        samba.configure(self.root, f"{samba.SERVICES}, drepl, kcc", dns_forwarder="", **RESOLVING)

    def start(self):
        self.process = samba.launch(self.root, self.inside)
        samba.wait_ready(self.address, self.root, self.process)

    def stop(self):
        if self.process is not None:
            samba.end(self.process)
            self.process = None

    def end(self):
        self.stop()
        super().end()

    def add(self, *names):
        """People, over LDAPS."""
        entries = []
        for name in names:
            word = base64.b64encode(f'"{secret(name)}"'.encode("utf-16-le")).decode()
            entries.append(
                f"dn: CN={name},{PEOPLE}\nchangetype: add\nobjectClass: user\nsAMAccountName: {name}\n"
                f"mail: {name}@{samba.DOMAIN}\nuserAccountControl: 512\nunicodePwd:: {word}\n"
            )
        self.ldap("ldapmodify", text="\n".join(entries))

    def has(self, name):
        return f"CN={name}," in self.ldap("ldapsearch", "-LLL", "-b", PEOPLE, f"(sAMAccountName={name})", "1.1")

    def ldap(self, program, *words, text=""):
        who = ("-D", f"Administrator@{samba.DOMAIN}", "-w", samba.PASSWORD)
        command = [program, "-x", "-H", f"ldaps://{self.address}", *who, *words]
        environment = {**os.environ, "LDAPTLS_CACERT": str(self.authority)}
        done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=30, env=environment)
        assert done.returncode == 0, done.stderr
        return done.stdout


class Stream:
    """Sign-ins of one person after the other, each for the first time, until it is ended."""

    def __init__(self, port):
        self.port = port
        self.phase = "both"
        self.seen = {}
        self.in_phase = 0
        self.right_in_a_row = 0
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.work)
        self.thread.start()

    def work(self):
        for number in range(COUNT):
            if self.ended.is_set():
                return
            phase, name = self.phase, f"u{number}"
            wrong = number % 5 == 4
            try:
                outcome, seconds = sign_in(self.port, name, "Wrong-1" if wrong else secret(name))
            except OSError as problem:
                outcome, seconds = repr(problem), 0.0
            key = "wrong: " * wrong + outcome
            right = "AUTHENTICATIONFAILED" in outcome if wrong else outcome == "OK"
            self.right_in_a_row = self.right_in_a_row + 1 if right else 0
            if self.phase == phase:
                self.in_phase += 1
            else:
                phase = f"{phase} > {self.phase}"
            many, slowest = self.seen.setdefault(phase, {}).get(key, (0, 0.0))
            self.seen[phase][key] = (many + 1, max(slowest, seconds))
            self.ended.wait(0.15)

    def enter(self, phase):
        self.phase, self.in_phase = phase, 0

    def end(self):
        self.ended.set()
        self.thread.join()


def joined(settings, data, authorities):
    """`postern directory join`, the controllers by DNS."""
    (data / "trust.pem").write_text("".join(one.read_text() for one in authorities))
    (data / "secret").write_text(secret("svc-postern") + "\n")
    servers = ", ".join(f'"{one}"' for one in settings.network.nameservers)
    config = data / "postern.toml"
    config.write_text(f'[server]\ndata = "{data}"\n[network]\nnameservers = [{servers}]\n')
    command = [
        sys.executable, "-m", "postern", "directory", "join", samba.DOMAIN, "--user", f"svc-postern@{samba.DOMAIN}",
        "--password-file", str(data / "secret"), "--trust", str(data / "trust.pem"), "--interval", "1", "--json",
        "--config", str(config),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


async def accept(settings):
    async with open_directory(settings) as directory:
        await directory.put_domain(Domain(samba.DOMAIN))


def until(what, seconds=30):
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def as_administrator(*words):
    done = subprocess.run(
        ["samba-tool", *words, f"-UAdministrator%{samba.PASSWORD}"], capture_output=True, text=True, timeout=TIMEOUT_S
    )
    assert done.returncode == 0, done.stdout + done.stderr


def names_of(first, directory):
    """In this mount namespace names are asked of the first controller only."""
    for target, text in (
        ("/etc/resolv.conf", f"search {samba.DOMAIN}\nnameserver {first.address}\noptions timeout:1 attempts:1\n"),
        ("/etc/hosts", f"127.0.0.1 localhost\n10.77.1.2 dc1.{samba.DOMAIN} dc1\n10.77.2.2 dc2.{samba.DOMAIN} dc2\n"),
    ):
        file = directory / Path(target).name
        file.write_text(text)
        run("mount", "--bind", str(file), target)


def main():
    data = Path(sys.argv[1])
    run("ip", "link", "set", "lo", "up")
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    said, took, begun = {}, {}, time.monotonic()

    def lap(what):
        nonlocal begun
        took[what], begun = round(time.monotonic() - begun, 2), time.monotonic()

    with contextlib.ExitStack() as stack:
        near, far = (Computer(n, stack.enter_context(place())) for n in (1, 2))
        stack.callback(near.end)
        stack.callback(far.end)
        names_of(near, data)
        near.make(
            "provision", f"--domain={samba.NETBIOS}", "--server-role=dc", f"--adminpass={samba.PASSWORD}",
            f"--host-name={near.name}", f"--host-ip={near.address}",
        )  # fmt: skip
        os.environ["KRB5_CONFIG"] = str(samba.krb5(data, near.address))
        near.start()
        lap("provisioned")
        near.add("svc-postern", *(f"u{number}" for number in range(COUNT)))
        lap("people")
        for name in ("_ldap._tcp.dc", "_ldap._tcp.default-first-site-name._sites.dc"):
            record = (f"_msdcs.{samba.DOMAIN}", name, "SRV", f"{far.host} 389 0 100")
            as_administrator("dns", "add", near.host, *record)
        lap("records")
        far.make("join", samba.DOMAIN, "DC", f"--server={near.host}", f"-UAdministrator%{samba.PASSWORD}")
        lap("join")
        far.start()
        lap("second joined")
        assert far.has("u1")

        own = Network(addresses=("127.0.0.1",), nameservers=(near.address, far.address))
        settings = msgspec.structs.replace(make_settings(data), network=own)
        make_organisation(settings)
        asyncio.run(accept(settings))
        said["controllers"] = joined(settings, data, (near.authority, far.authority))["controllers"]
        server = Running(settings)
        stack.callback(server.kill)
        server.wait_ready()
        port = server.ports["imaps"]
        lap("postern joined")
        steps = {}
        stream = Stream(port)
        stack.callback(stream.end)

        def try_it(step, name, word=None):
            steps[step] = sign_in(port, name, word or secret(name))

        def phase(name):
            stream.enter(name)
            until(lambda: stream.in_phase >= IN_EACH, 60)

        phase("both")
        stream.enter("first stopped")
        near.stop()
        phase("first stopped")
        far.add("late", "later")
        asyncio.run(wait_for(settings, "later", 30))
        try_it("first stopped, late", "late")
        lap("first stopped")
        stream.enter("first restarted")
        near.start()
        phase("first restarted")
        lap("first restarted")
        as_administrator("drs", "kcc", near.host)
        as_administrator("drs", "replicate", near.host, far.host, BASE)
        until(lambda: near.has("later"))
        lap("replicated")
        stream.enter("second stopped")
        far.stop()
        phase("second stopped")
        try_it("second stopped, later", "later")
        for _ in range(8):  # in every worker
            try_it("second stopped, late", "late")
        lap("second stopped")
        stream.enter("going")
        near.stop()
        phase("none")
        try_it("none, late remembered", "late")
        try_it("none, never seen", f"u{COUNT - 1}")
        lap("none")
        stream.enter("coming")
        far.start()
        until(lambda: stream.right_in_a_row >= 8, 60)  # in every worker
        phase("second back")
        try_it("second back, never seen", f"u{COUNT - 1}")
        lap("second back")
        stream.end()
        log = [line for line in server.lines() if "ldapsource" in line.get("logger", "") or "source" in line]
        said |= {"steps": steps, "stream": stream.seen, "took": took, "log": log[-60:]}
    print(json.dumps(said))


if __name__ == "__main__":
    os.environ.setdefault("PYTHONPATH", "src:.")
    main()

"""An Active Directory domain controller (Samba) of a test session: provisioned once, on a loopback address of its own.

Everything is on the well-known ports of that address (53, 88, 135, 389, 445 unless left out, 464, 636, 3268, 3269), as
clients expect of a domain controller; Kerberos, LDAP, NTLM and RPC tests share it. It needs root.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import trustme

REALM = "CORP.EXAMPLE.ORG"
DOMAIN = REALM.lower()
NETBIOS = "CORP"
HOST = f"dc1.{DOMAIN}"
PASSWORD = "Start-1234x"
READY_PORTS = (53, 88, 135, 389, 636, 3268)
SERVICES = "rpc, ldap, cldap, kdc, dns, ntp_signd, winbindd"


@dataclass
class DomainController:
    """A running domain controller."""

    address: str
    root: Path
    authority: Path
    """PEM of the authority that its certificate is of."""
    krb5_conf: Path
    """For KRB5_CONFIG: finds the KDC by address, asks no DNS."""
    process: subprocess.Popen[bytes]
    lock: BinaryIO
    realm: str = REALM
    domain: str = DOMAIN
    netbios: str = NETBIOS
    host: str = HOST
    password: str = PASSWORD
    """Of Administrator."""

    @property
    def base(self) -> str:
        return ",".join(f"DC={part}" for part in self.domain.split("."))

    def tool(self, *arguments: str) -> str:
        """samba-tool on its database: user create, group addmembers, domain exportkeytab, ..."""
        config = self.root / "etc" / "smb.conf"
        command = ["samba-tool", *arguments, "-s", str(config)]
        result = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
        return result.stdout


def missing() -> str:
    """Why it cannot run here; empty if it can."""
    if os.geteuid() != 0:
        return "Samba needs root for its ports"
    if not all(shutil.which(name, path="/usr/sbin:/usr/bin") for name in ("samba", "samba-tool")):
        return "samba is not installed: run scripts/install-test-parts as root"
    return ""


def free_address() -> tuple[str, BinaryIO]:
    """A loopback address whose well-known ports are free, and the lock that keeps it ours until it is closed.

    Several test runs may share a machine, and a controller takes its ports ten seconds after it took its address.
    """
    for last in range(1, 250):
        address = f"127.77.0.{last}"
        lock = (Path(tempfile.gettempdir()) / f"postern-samba-{address}.lock").open("ab")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for port in READY_PORTS:
                with socket.socket() as probe:
                    probe.bind((address, port))
        except OSError:
            lock.close()
            continue
        return address, lock
    raise RuntimeError("no free loopback address for a domain controller")


def own_run(root: Path) -> list[str]:
    """Before a command: /run/samba, where everybody looks for winbind, is this controller's own for it."""
    script = f'mkdir -p /run/samba {root}/winbind && mount --bind {root}/winbind /run/samba && exec "$0" "$@"'
    return ["unshare", "--mount", "sh", "-c", script]


def start(root: Path) -> DomainController:
    """Provision and start; about ten seconds."""
    address, lock = free_address()
    provision = subprocess.run(
        [
            "samba-tool", "domain", "provision", f"--realm={REALM}", f"--domain={NETBIOS}", "--server-role=dc",
            "--dns-backend=SAMBA_INTERNAL", f"--adminpass={PASSWORD}", f"--host-name={HOST.split('.')[0]}",
            f"--host-ip={address}", f"--targetdir={root}", f"--option=interfaces={address}/8",
            "--option=bind interfaces only=yes",
        ],
        capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert provision.returncode == 0, provision.stdout + provision.stderr
    authority = certificate(root, address)
    configure(root)
    process = launch(root)
    controller = DomainController(address, root, authority, krb5(root, address), process, lock)
    try:
        wait_ready(address, root, process)
    except BaseException:
        stop(controller)
        raise
    return controller


def launch(root: Path, inside: tuple[str, ...] = ()) -> subprocess.Popen[bytes]:
    """Start the controller of this root; `inside` is put before the command."""
    with (root / "samba.log").open("ab") as log:
        return subprocess.Popen(
            [
                *inside, *own_run(root), "/usr/sbin/samba", "--foreground", "--debug-stdout",
                "-s", str(root / "etc" / "smb.conf"),
            ],
            stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip


def stop(controller: DomainController) -> None:
    """End it and all its children."""
    try:
        end(controller.process)
    finally:
        controller.lock.close()


def end(process: subprocess.Popen[bytes]) -> None:
    """End a controller and all its children."""
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        pass
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(60)


def certificate(root: Path, address: str, host: str = HOST) -> Path:
    """Give it a certificate of an authority of its own, whose PEM is returned."""
    authority = trustme.CA()
    leaf = authority.issue_cert(host, DOMAIN, address)
    place = root / "private" / "tls"
    place.mkdir(exist_ok=True)
    leaf.private_key_pem.write_to_path(place / "key.pem")
    (place / "key.pem").chmod(0o600)
    leaf.cert_chain_pems[0].write_to_path(place / "cert.pem")
    authority.cert_pem.write_to_path(place / "ca.pem")
    return place / "ca.pem"


def configure(root: Path, services: str = SERVICES, **more: str) -> None:
    """Keep it to its root, and to what tests need."""
    config = root / "etc" / "smb.conf"
    options = {
        "server services": services,
        "pid directory": root / "run",
        "ncalrpc dir": root / "ncalrpc",
        "log file": root / "log.%m",
        "max log size": 0,
        "prefork children": 1,
        "tls enabled": "yes",
        "tls keyfile": root / "private/tls/key.pem",
        "tls certfile": root / "private/tls/cert.pem",
        "tls cafile": root / "private/tls/ca.pem",
        "tls priority": "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2",
        # simple binds are tried on the clear port too
        "ldap server require strong auth": "no",
        "ntlm auth": "ntlmv2-only",
        "rpc server dynamic port range": "49152-49400",
        "dns update command": "/bin/true",
        "spn update command": "/bin/true",
        **{name.replace("_", " "): value for name, value in more.items()},
    }
    lines = [line for line in config.read_text().splitlines() if line.split("=")[0].strip() not in options]
    at = lines.index("[global]") + 1
    lines[at:at] = [f"\t{key} = {value}" for key, value in options.items()]
    config.write_text("\n".join(lines) + "\n")
    (root / "run").mkdir()


def krb5(root: Path, address: str) -> Path:
    """A krb5.conf that finds the KDC by address."""
    path = root / "krb5.conf"
    path.write_text(
        f"[libdefaults]\n default_realm = {REALM}\n dns_lookup_kdc = false\n dns_lookup_realm = false\n rdns = false\n"
        f" dns_canonicalize_hostname = false\n"
        f"[realms]\n {REALM} = {{\n  kdc = {address}\n  kpasswd_server = {address}\n }}\n"
        f"[domain_realm]\n .{DOMAIN} = {REALM}\n {DOMAIN} = {REALM}\n"
    )
    return path


def wait_ready(address: str, root: Path, process: subprocess.Popen[bytes]) -> None:
    """Until all its ports take connections."""
    end = time.monotonic() + 60
    for port in READY_PORTS:
        while True:
            try:
                socket.create_connection((address, port), 1).close()
                break
            except OSError:
                log = (root / "samba.log").read_text(errors="replace")[-3000:]
                assert process.poll() is None, f"samba ended:\n{log}"
                assert time.monotonic() < end, f"nothing on {port} after a minute:\n{log}"
                time.sleep(0.1)

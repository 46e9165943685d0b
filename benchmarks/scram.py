"""SCRAM-SHA-256 logins over TLS beside Dovecot, which the load generator lacks.

    python -m benchmarks.scram [--rounds 3] [--logins 3000]

Starts a Dovecot as the load generator sets it up, with SCRAM keys instead of password hashes, and Postern with the same
users. As mail programs do, the clients keep the salted password of a user (RFC 5802 5.1), so that its thousands of
rounds are not part of what is measured. Prints one JSON object a server, with the medians.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import hmac
import json
import multiprocessing
import os
import secrets
import shutil
import signal
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.run import bench_tools, start_postern, wait_ready

USERS = 20
PASSWORD = "benchpass"
CLIENTS = 8


def start_dovecot(work: Path, base: int) -> Path:
    """A peer with SCRAM keys; its folder."""
    folder = work / "peer"
    tool = [str(bench_tools() / "peers.sh")]
    environment = {**os.environ, "STORE": "mdbox", "BASE": str(base), "USERS": str(USERS)}
    subprocess.run([*tool, "setup", folder], check=True, env=environment, stdout=subprocess.DEVNULL)
    key = subprocess.run(
        ["doveadm", "pw", "-s", "SCRAM-SHA-256", "-p", PASSWORD], check=True, capture_output=True, text=True
    ).stdout.strip()
    users = folder / "etc" / "users"
    lines = [line.split(":") for line in users.read_text().splitlines()]
    users.write_text("\n".join(":".join([line[0], key, *line[2:]]) for line in lines) + "\n")
    config = folder / "etc" / "dovecot" / "dovecot.conf"
    config.write_text(
        config.read_text().replace("auth_mechanisms = plain login", "auth_mechanisms = plain login scram-sha-256")
    )
    subprocess.run([*tool, "start", folder], check=True, env=environment, stdout=subprocess.DEVNULL)
    return folder


class Client:
    """Logs in over and over."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.context = ssl.create_default_context()
        self.context.check_hostname = False
        self.context.verify_mode = ssl.CERT_NONE
        self.salted: dict[tuple[bytes, int], bytes] = {}

    def login(self, user: str) -> float:
        """Seconds from connect to the tagged OK."""
        started = time.perf_counter()
        with (
            socket.create_connection(("127.0.0.1", self.port), 20) as plain,
            self.context.wrap_socket(plain) as stream,
            stream.makefile("rwb", buffering=0) as lines,
        ):
            lines.readline()
            nonce = secrets.token_urlsafe(18)
            bare = f"n={user},r={nonce}"
            lines.write(b"a AUTHENTICATE SCRAM-SHA-256 " + base64.b64encode(f"n,,{bare}".encode()) + b"\r\n")
            first = base64.b64decode(lines.readline()[2:]).decode()
            fields = dict(part.split("=", 1) for part in first.split(","))
            if not fields["r"].startswith(nonce):
                raise RuntimeError("the server's nonce does not continue ours")
            final = f"c=biws,r={fields['r']}"
            message = f"{bare},{first},{final}".encode()
            key = self.key(base64.b64decode(fields["s"]), int(fields["i"]))
            client_key = hmac.digest(key, b"Client Key", "sha256")
            signature = hmac.digest(hashlib.sha256(client_key).digest(), message, "sha256")
            proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
            answer = f"{final},p={base64.b64encode(proof).decode()}".encode()
            lines.write(base64.b64encode(answer) + b"\r\n")
            verifier = hmac.digest(hmac.digest(key, b"Server Key", "sha256"), message, "sha256")
            if base64.b64decode(lines.readline()[2:]) != b"v=" + base64.b64encode(verifier):
                raise RuntimeError("the server does not know the password")
            lines.write(b"\r\n")
            while not (line := lines.readline()).startswith(b"a "):
                if not line:
                    raise RuntimeError("closed")
            if not line.startswith(b"a OK"):
                raise RuntimeError(line.decode())
            taken = time.perf_counter() - started
            lines.write(b"b LOGOUT\r\n")
            while lines.readline():
                pass
        return taken

    def key(self, salt: bytes, iterations: int) -> bytes:
        known = self.salted.get((salt, iterations))
        if known is None:
            known = hashlib.pbkdf2_hmac("sha256", PASSWORD.encode(), salt, iterations)
            self.salted[salt, iterations] = known
        return known


def storm(port: int, index: int, logins: int, ready, start, results) -> None:  # type: ignore[no-untyped-def]
    client = Client(port)
    users = [f"u{n:03d}@bench.example" for n in range(1, USERS + 1)]
    for user in users:
        client.login(user)
    ready.release()
    start.wait()
    results.put([client.login(users[(n * CLIENTS + index) % USERS]) for n in range(logins)])


def cpu_seconds(root: int) -> float:
    """CPU of a process, its living descendants and the dead ones they waited for."""
    children: dict[int, list[int]] = {}
    used: dict[int, float] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            children.setdefault(int(fields[1]), []).append(int(entry.name))
            used[int(entry.name)] = sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    total, todo = 0.0, [root]
    while todo:
        pid = todo.pop()
        total += used.get(pid, 0.0)
        todo += children.get(pid, [])
    return total


def measure(port: int, root: int, logins: int) -> dict[str, float]:
    context = multiprocessing.get_context("spawn")
    ready, start, results = context.Semaphore(0), context.Event(), context.Queue()
    share = logins // CLIENTS
    clients = [
        context.Process(target=storm, args=(port, index, share, ready, start, results)) for index in range(CLIENTS)
    ]
    for client in clients:
        client.start()
    for _ in clients:
        ready.acquire()
    before, began = cpu_seconds(root), time.perf_counter()
    start.set()
    times = [taken for _ in clients for taken in results.get(timeout=300)]
    seconds = time.perf_counter() - began
    used = cpu_seconds(root) - before
    for client in clients:
        client.join()
    return {
        "logins_per_s": len(times) / seconds,
        "p50_ms": statistics.median(times) * 1000,
        "p99_ms": statistics.quantiles(times, n=100)[98] * 1000,
        "server_cpu_ms": used / len(times) * 1000,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--logins", type=int, default=3000)
    args = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="postern-scram-"))
    work.chmod(0o755)
    peer = server = None
    try:
        peer = start_dovecot(work, 14000)
        users = work / "users"
        users.write_text("".join(f"u{n:03d}@bench.example:{{PLAIN}}{PASSWORD}\n" for n in range(1, USERS + 1)))
        server, _target = start_postern(work, users, 22000)
        wait_ready(22993, server)
        for n in range(1, USERS + 1):  # an imported hash gives no SCRAM keys, a password does
            command = [sys.executable, "-m", "postern", "mailbox", "password", f"u{n:03d}@bench.example"]
            command += ["--password", PASSWORD, "--config", str(work / "postern.toml")]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        root = int((peer / "run" / "dovecot" / "master.pid").read_text())
        rounds: dict[str, list[dict[str, float]]] = {"dovecot": [], "postern": []}
        for _ in range(args.rounds):
            rounds["dovecot"].append(measure(14993, root, args.logins))
            rounds["postern"].append(measure(22993, server.pid, args.logins))
        for name, taken in rounds.items():
            medians = {key: round(statistics.median(one[key] for one in taken), 3) for key in taken[0]}
            print(json.dumps({"target": name, "scram-sha-256 over TLS": medians}))
    finally:
        if server is not None:
            server.send_signal(signal.SIGTERM)
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()
        if peer is not None:
            subprocess.run([bench_tools() / "peers.sh", "stop", peer], check=False, stdout=subprocess.DEVNULL)
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())

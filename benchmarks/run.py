"""`make bench`: set up the peer and Postern with the same users, run `compare`, print and keep the table.

    make bench ARGS="--scale 2 --rounds 3 --only inject-4k,deliver-20k"

The load generator (`mailbench.py`, `peers.sh`) is looked for in $POSTERN_BENCH, or in ../shared/bench.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
USERS = 200
PORTS = {"smtp": 25, "submission": 587, "submissions": 465, "imap": 143, "imaps": 993, "pop3": 110, "pop3s": 995}


def bench_tools() -> Path:
    folder = Path(os.environ.get("POSTERN_BENCH", ROOT.parent / "shared" / "bench"))
    if not (folder / "mailbench.py").exists():
        sys.exit(f"The load generator is not in {folder}; name its folder in POSTERN_BENCH.")
    return folder


def start_postern(work: Path, users_file: Path, base: int) -> tuple[subprocess.Popen[bytes], Path]:
    """A fresh organisation with the peer's users and hashes; returns the server and its target file."""
    data = work / "postern"
    config = work / "postern.toml"
    postern = [sys.executable, "-m", "postern"]
    subprocess.run(
        [
            *postern,
            "quickstart",
            "admin@bench.example",
            "--hostname",
            "localhost",
            "-c",
            str(config),
            "--data",
            str(data),
        ],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    with config.open("a") as file:
        # as the peer is set up: clear text on loopback, no cache of passwords, no limits that a load generator meets
        file.write(
            '\n[network]\naddresses = ["127.0.0.1"]\n[authentication]\ncleartext_login = "loopback"\ncache_s = 0\n'
            "upgrade_hashes = false\n"
        )
        file.write("[smtp]\nmax_connections_per_address = 0\n")
        # the peer lets a user send as anybody, and the generator does
        file.write('[[receive_connector]]\nname = "internet"\nlisteners = ["smtp"]\nanonymous = true\n')
        file.write('[[receive_connector]]\nname = "clients"\nlisteners = ["submission", "submissions"]\n')
        file.write("authenticated = true\ncheck_sender = false\nrequire_tls = true\n")
        for name, port in PORTS.items():
            file.write(f"[listen.{name}]\nport = {base + port}\n")
    subprocess.run(
        [*postern, "mailbox", "import-users", str(users_file), "--config", str(config)],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    with (work / "postern.log").open("wb") as log:
        server = subprocess.Popen([*postern, "serve", "--config", str(config)], stdout=log, stderr=log)
    target = work / "postern.json"
    target.write_text(
        json.dumps(
            {
                "name": "postern",
                "host": "127.0.0.1",
                "smtp_port": base + 25,
                "submission_port": base + 587,
                "smtps_port": base + 465,
                "imap_port": base + 143,
                "imaps_port": base + 993,
                "pop3_port": base + 110,
                "pop3s_port": base + 995,
                "user": "u{:03d}@bench.example",
                "users": USERS,
                "password": "benchpass",
                "server_pid": [str(server.pid)],
            }
        )
    )
    return server, target


def wait_ready(port: int, server: subprocess.Popen[bytes]) -> None:
    import socket

    for _ in range(300):
        if server.poll() is not None:
            sys.exit("postern stopped; see its log")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.1)
    sys.exit("postern did not open its ports")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", default="3")
    parser.add_argument("--scale", default="2")
    parser.add_argument("--only", default="")
    parser.add_argument(
        "--store", default="mdbox", help="the peer's mailbox format; a comma-separated list runs several"
    )
    parser.add_argument("--md", default="bench-table.md")
    parser.add_argument("--keep", action="store_true")
    args = parser.parse_args()
    tools = bench_tools()
    work = Path(tempfile.mkdtemp(prefix="postern-bench-"))
    work.chmod(0o755)
    peers = []
    server = None
    try:
        for number, store in enumerate(args.store.split(",")):
            folder = work / f"peer-{store}"
            environment = {**os.environ, "STORE": store, "BASE": str(14000 + number * 2000)}
            subprocess.run(
                [tools / "peers.sh", "start", folder], check=True, env=environment, stdout=subprocess.DEVNULL
            )
            peers.append(folder)
        users = work / "users"
        lines = (peers[0] / "etc" / "users").read_text().splitlines()
        users.write_text("\n".join(":".join(line.split(":")[:2]) for line in lines) + "\n")
        server, target = start_postern(work, users, 22000)
        wait_ready(22143, server)
        targets = [str(p / "target.json") for p in peers] + [str(target)]
        command = [sys.executable, str(tools / "mailbench.py"), "compare", *targets, "--rounds", args.rounds]
        command += ["--scale", args.scale, "--md", args.md, "--raw", str(work / "raw.json"), "--pretty"]
        if args.only:
            command += ["--only", args.only]
        subprocess.run(command, check=False)
        subprocess.run([sys.executable, "-m", "benchmarks.pipelined", *targets], check=False, cwd=ROOT)
        print(f"table: {args.md}")
    finally:
        if server:
            server.send_signal(signal.SIGTERM)
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()
        for folder in peers:
            subprocess.run([tools / "peers.sh", "stop", folder], check=False, stdout=subprocess.DEVNULL)
        if args.keep:
            print(f"kept: {work}")
        else:
            shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()

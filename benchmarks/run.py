"""`make bench`: set up the peer and Postern with the same users, run every scenario, print and keep one table.

    make bench ARGS="--rounds 3"
    make bench ARGS="--rounds 1 --scale 0.3 --only inject-4k,bodies"
    make bench ARGS="--set mailbox"

The load generator (`mailbench.py`, `peers.sh`) is looked for in $POSTERN_BENCH, or in ../shared/bench. Its scenarios
come first, each in a `compare` of its own with as much work as keeps Postern busy for about five seconds, then the
project's own: `bodies` (benchmarks/bodies.py), `pipelined` (benchmarks/pipelined.py), benchmarks/mailbox.py.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import bodies, mailbox, pipelined
from benchmarks.places import bench_tools
from postern.catalogue.load import load as load_catalogue

USERS = 200
SCALES = {
    "inject-4k": 8.0,
    "inject-20k-10rcpt": 14.0,
    "deliver-20k": 12.0,
    "fetch": 5.0,
    "append": 6.0,
    "login-imaps": 5.0,
    "mixed": 1.0,
}
"""The generator's scenarios that the goals name, and how much work each gets at `--scale 1`. `fetch` reads its one
folder in a fraction of a second, whatever its size; `bodies` repeats that for long enough."""
OWN = ("bodies", "pipelined", *mailbox.SCENARIOS)
SETS = {
    "default": [name for name in SCALES if name != "mixed"] + ["bodies", "pipelined"],
    "mailbox": ["append", "mixed", *mailbox.SCENARIOS],
}
"""What is run without `--only`; `mailbox` takes about six minutes at one round."""
LOWER_IS_BETTER = ("_us", "_ms", "_mb", "_per_connection", "_per_message")


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
        for path in load_catalogue().listeners:
            file.write(f"[listen.{path.id}]\nport = {base + path.port % 1000}\n")
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


def compared(tools: Path, work: Path, name: str, targets: list[str], rounds: int, scale: float) -> list[str]:
    """The table's rows of one of the generator's scenarios."""
    table = work / "table.md"
    command = [sys.executable, str(tools / "mailbench.py"), "compare", *targets, "--only", name]
    command += ["--rounds", str(rounds), "--scale", str(scale), "--md", str(table)]
    command += ["--raw", str(work / f"raw-{name}.json")]
    subprocess.run(command, check=False, stdout=subprocess.DEVNULL)
    return table.read_text().splitlines()[2:]


def own_rows(name: str, targets: list[str], rounds: int, scale: float) -> list[str]:
    """The table's rows of one of the project's own scenarios; the first target is what the others are compared with."""
    if name == "bodies":
        found = bodies.measure(targets, messages=10_000, seconds=5.0 * scale, rounds=rounds)
    elif name in mailbox.SCENARIOS:
        found = mailbox.measure(name, targets, rounds)
    else:
        found = {}
        for path in targets:
            conf = json.loads(Path(path).read_text())
            found[conf["name"]] = pipelined.measure(conf, int(80_000 * scale), 1000, rounds)
    names = [str(json.loads(Path(target).read_text())["name"]) for target in targets]
    rows = []
    for metric in next(iter(found.values())):
        better = "lower" if metric.endswith(LOWER_IS_BETTER) else "higher"
        values = [found[target][metric] if target in found else None for target in names]
        base = values[0]
        cells = ["-" if base is None else f"{base:g}"]
        for value in values[1:]:
            ratio = f" (x{value / base:.2f})" if base and value is not None else ""
            cells.append("-" if value is None else f"{value:g}{ratio}")
        rows.append(f"| {name} | {metric} | {better} | {' | '.join(cells)} |")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies the work of every scenario")
    parser.add_argument(
        "--only", default="", help="names separated by commas: the generator's scenarios, " + ", ".join(OWN)
    )
    parser.add_argument("--set", default="default", choices=sorted(SETS), help="which scenarios, without --only")
    parser.add_argument(
        "--store", default="mdbox", help="the peer's mailbox format; a comma-separated list runs several"
    )
    parser.add_argument(
        "--scheme",
        default="SHA512-CRYPT",
        help="both sides' password hash; SHA512 shows what a sign-in costs without it",
    )
    parser.add_argument("--md", default="bench-table.md")
    parser.add_argument("--keep", action="store_true")
    args = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # the servers are stopped all the same
    tools = bench_tools()
    work = Path(tempfile.mkdtemp(prefix="postern-bench-"))
    work.chmod(0o755)
    peers = []
    server = None
    try:
        for number, store in enumerate(args.store.split(",")):
            folder = work / f"peer-{store}"
            environment = {**os.environ, "STORE": store, "SCHEME": args.scheme, "BASE": str(14000 + number * 2000)}
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
        only = args.only.split(",") if args.only else SETS[args.set]
        rows: list[str] = []
        for name in only:
            began = time.monotonic()
            if name in OWN:
                rows += own_rows(name, targets, args.rounds, args.scale)
            else:
                rows += compared(tools, work, name, targets, args.rounds, SCALES.get(name, 2.0) * args.scale)
            print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
        names = [str(json.loads(Path(target).read_text())["name"]) for target in targets]
        head = ["| scenario | metric | better | " + " | ".join(names) + " |", "|---|---|---|" + "---|" * len(names)]
        Path(args.md).write_text("\n".join([*head, *rows]) + "\n")
        print(Path(args.md).read_text())
        print(f"Python {sys.version.split()[0]}: {Path(sys.executable).resolve()}; table: {args.md}")
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

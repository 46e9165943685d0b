"""What people do with folders: searching, ordering, copying, a very large folder, many idle clients.

    python -m benchmarks.mailbox TARGET.json... [--only searching,ordering,copying,large,idle]

Every scenario is a function from a target to its figures; targets take turns, figures are medians. *First* is the first
time in a folder just filled, *again* the median of several; *indexed* is measured when the server has stopped working
by itself. Answers are counted, so that a wrong one stops the run.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable

from benchmarks.bodies import Reader, Target, generator
from benchmarks.pipelined import Client
from benchmarks.places import bench_tools

SEARCHED = 3000
AGAIN = 5
COPIED = 10_000
LARGE = 250_000
IDLE = 5000
_NUMBER = re.compile(rb"\d+")


def timed(client: Client, command: str) -> tuple[float, bytes]:
    """Milliseconds, and the answer."""
    began = time.perf_counter()
    answer = client.call(command)
    return (time.perf_counter() - began) * 1000, answer


def hits(answer: bytes) -> int:
    """How many numbers a SEARCH, SORT or THREAD answered."""
    found = 0
    for line in answer.split(b"\r\n"):
        if line.startswith((b"* SEARCH", b"* SORT", b"* THREAD")):
            found += len(_NUMBER.findall(line))
    return found


def first_and_again(target: Target, client: Client, name: str, command: str, expected: int) -> None:
    first, answer = timed(client, command)
    if hits(answer) != expected:
        raise RuntimeError(f"{target.name}: {command}: {hits(answer)} instead of {expected}")
    target.note(f"{name}_first_ms", first)
    target.note(f"{name}_again_ms", statistics.median(timed(client, command)[0] for _ in range(AGAIN)))


def settled(target: Target, quiet_s: float = 2.5, limit_s: float = 30.0) -> float:
    """Wait until the server works no more by itself; its CPU seconds in the meantime."""
    began = last = target.cpu()
    quiet = time.monotonic()
    end = quiet + limit_s
    while time.monotonic() < min(quiet + quiet_s, end):
        time.sleep(0.25)
        used = target.cpu()
        if used - last > 0.03:
            quiet = time.monotonic()
        last = used
    return last - began


def searching(target: Target, turn: int) -> None:
    """SEARCH in 3000 messages of 10 KB: headers, then bodies, then once more when they are indexed."""
    messages = target.mailbench.Messages(target.mailbench.parse_sizes("10k"), 1, "search")
    folder = f"mbsearching{turn}"
    target.fill(folder, [messages.make(n) for n in range(SEARCHED)])
    client = target.client()
    client.call(f"SELECT {folder}")
    count = {
        "from": len(range(7, SEARCHED, messages.SENDERS)),
        "subject": len(range(11, SEARCHED, messages.TOPICS)),
        "body": len(range(42, SEARCHED, messages.NEEDLES)),
        "text": len(range(13, SEARCHED, messages.NEEDLES)),
    }
    text = (
        ("body", 'UID SEARCH BODY "needle042"', count["body"]),
        ("text", 'UID SEARCH TEXT "needle013"', count["text"]),
        ("body_miss", 'UID SEARCH BODY "xqzzyvorpal"', 0),
    )
    first_and_again(target, client, "from", 'UID SEARCH FROM "sender07"', count["from"])
    first_and_again(target, client, "subject", 'UID SEARCH SUBJECT "topic11"', count["subject"])
    first_and_again(target, client, "header", f'UID SEARCH HEADER X-Bench-Id "search-{SEARCHED - 1}"', 1)
    first_and_again(target, client, "unseen", "UID SEARCH UNSEEN", SEARCHED)
    for case in text:
        first_and_again(target, client, *case)
    target.note("index_cpu_us_per_message", settled(target) / SEARCHED * 1e6)
    for name, command, expected in text:
        times = [timed(client, command) for _ in range(AGAIN)]
        assert all(hits(answer) == expected for _, answer in times)
        target.note(f"{name}_indexed_ms", statistics.median(one for one, _ in times))
    client.sock.close()
    target.remove(folder)


def ordering(target: Target, turn: int) -> None:
    """SORT and THREAD of 3000 messages, and pages of 50."""
    messages = target.mailbench.Messages(target.mailbench.parse_sizes("4k"), 1, "order")
    folder = f"mbordering{turn}"
    target.fill(folder, [messages.make(n) for n in range(SEARCHED)])
    client = target.client()
    client.call(f"SELECT {folder}")
    for name, keys in (("subject", "SUBJECT"), ("from", "FROM DATE"), ("date", "REVERSE DATE"), ("arrival", "ARRIVAL")):
        first_and_again(target, client, f"sort_{name}", f"UID SORT ({keys}) UTF-8 ALL", SEARCHED)
    first_and_again(target, client, "thread", "UID THREAD REFERENCES UTF-8 ALL", SEARCHED)
    client.sock.close()
    reader = Reader(target, folder)
    pages = []
    for start in range(1, SEARCHED - 50, 59):
        began = time.perf_counter()
        reader.octets(b"FETCH %d:%d (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE)" % (start, start + 49))
        pages.append((time.perf_counter() - began) * 1000)
    reader.sock.close()
    target.note("page_of_50_ms", statistics.median(pages))
    target.remove(folder)


def doubled(client: Client, folder: str, count: int) -> None:
    """Copy a folder's messages into itself until there are so many."""
    have = int(re.findall(rb"MESSAGES (\d+)", client.call(f"STATUS {folder} (MESSAGES)"))[0])
    while have < count:
        step = min(have, count - have)
        client.call(f"COPY 1:{step} {folder}")
        have += step


def copying(target: Target, turn: int) -> None:
    """COPY, MOVE, STORE and EXPUNGE of 10 000 messages."""
    messages = target.mailbench.Messages(target.mailbench.parse_sizes("2k"), 1, "copy")
    names = [f"mbcopying{turn}{letter}" for letter in "abc"]
    target.fill(names[0], [messages.make(n) for n in range(1000)])
    client = target.client()
    for name in names[1:]:
        client.call(f"CREATE {name}")
    client.call(f"SELECT {names[0]}")
    doubled(client, names[0], COPIED)
    for name, command in (
        ("copy", f"COPY 1:* {names[1]}"),
        ("move", f"MOVE 1:* {names[2]}"),
    ):
        client.call("NOOP")
        took, _ = timed(client, command)
        target.note(f"{name}_10000_ms", took)
    client.call(f"SELECT {names[2]}")
    for name, command in (("store", "STORE 1:* +FLAGS.SILENT (\\Deleted)"), ("expunge", "EXPUNGE")):
        took, _ = timed(client, command)
        target.note(f"{name}_10000_ms", took)
    client.sock.close()
    for name in names:
        target.remove(name)


class Peak:
    """The most memory that a server's processes have while something runs, in MB above what they had."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._start = self._most = self._now()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def _now(self) -> float:
        return float(self._target.mailbench.tree_pss(self._target.roots)[0]) / 1000

    def _watch(self) -> None:
        while not self._end.wait(0.02):
            self._most = max(self._most, self._now())

    def __enter__(self) -> Peak:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    @property
    def growth_mb(self) -> float:
        return max(self._most, self._now()) - self._start


def large(target: Target, turn: int) -> None:
    """A folder of 250 000 messages beside one of 1000: quick resynchronisation, one STORE, all flags."""
    messages = target.mailbench.Messages(target.mailbench.parse_sizes("1k"), 1, "large")
    names = {"small": f"mblarge{turn}s", "large": f"mblarge{turn}l"}
    client = target.client()
    client.call("ENABLE QRESYNC")
    for size, folder in names.items():
        target.fill(folder, [messages.make(n) for n in range(1000)])
        client.call(f"SELECT {folder}")
        if size == "large":
            doubled(client, folder, LARGE)
        settled(target, 1.5)
        answer = client.call(f"SELECT {folder}")
        validity = re.findall(rb"UIDVALIDITY (\d+)", answer)[0].decode()
        number = re.findall(rb"HIGHESTMODSEQ (\d+)", answer)[0].decode()
        again = f"SELECT {folder} (QRESYNC ({validity} {number}))"
        other = target.client()
        other.call("ENABLE QRESYNC")
        took, _ = timed(other, again)
        other.sock.close()
        target.note(f"{size}_qresync_new_session_ms", took)
        target.note(f"{size}_qresync_ms", statistics.median(timed(client, again)[0] for _ in range(9)))
        signs = ["+-"[n % 2] for n in range(20)]
        target.note(
            f"{size}_store_ms",
            statistics.median(timed(client, f"STORE 500 {sign}FLAGS (\\Flagged)")[0] for sign in signs),
        )
    reader = Reader(target, names["large"])
    with Peak(target) as peak:
        began = time.perf_counter()
        reader.octets(b"FETCH 1:* FLAGS")
        target.note("fetch_flags_ms", (time.perf_counter() - began) * 1000)
    target.note("fetch_flags_growth_mb", peak.growth_mb)
    reader.sock.close()
    client.sock.close()
    for folder in names.values():
        target.remove(folder)


def idle(target: Target, turn: int) -> None:
    """5000 clients over TLS that wait in IDLE for a while: the memory of all processes. One process a client needs
    gigabytes. Once: what the allocator keeps from the first time would hide what a connection takes."""
    if turn:
        return
    command = [sys.executable, str(bench_tools() / "mailbench.py"), "imap-idle", "--target", target.path]
    command += ["--connections", str(IDLE), "--tls", "implicit", "--pushes", "0", "--parallel", "40", "--hold", "40"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = json.loads(done.stdout)
    if found.get("errors") or found.get("up") != IDLE:
        raise RuntimeError(f"{target.name}: {found.get('up')} connections, {found.get('error_samples')}")
    target.note("tls_5000_pss_mb", found["pss_mib"]["idle"] * 1.048576)
    target.note("tls_5000_kib_per_connection", found["pss_kib_per_connection"])


SCENARIOS: dict[str, Callable[[Target, int], None]] = {
    "searching": searching,
    "ordering": ordering,
    "copying": copying,
    "large": large,
    "idle": idle,
}
ONLY_OURS = frozenset({"idle"})
"""Scenarios in which the peer takes more memory than a small machine has."""


def measure(name: str, paths: list[str], rounds: int) -> dict[str, dict[str, float]]:
    """Medians by target and metric."""
    mailbench = generator()
    targets = [Target(path, mailbench) for path in paths]
    if name in ONLY_OURS:
        targets = [target for target in targets if target.name == "postern"]
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    for turn in range(rounds):
        for target in targets if turn % 2 == 0 else targets[::-1]:
            SCENARIOS[name](target, turn)
            os.sync()
    return {
        target.name: {metric: round(statistics.median(values), 2) for metric, values in target.samples.items()}
        for target in targets
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("targets", nargs="+")
    parser.add_argument("--only", default=",".join(SCENARIOS))
    parser.add_argument("--rounds", type=int, default=1)
    args = parser.parse_args()
    for name in args.only.split(","):
        for target, found in measure(name, args.targets, args.rounds).items():
            print(json.dumps({"scenario": name, "target": target, **found}), flush=True)


if __name__ == "__main__":
    main()

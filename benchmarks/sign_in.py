"""What a sign-in costs inside a worker: remembered passwords, and a loop that hashes thirty a second.

    python -m benchmarks.sign_in [--seconds 10] [--rate 30]

The hash cost is chosen so that one takes about 24 ms on the machine. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from pathlib import Path

from postern.directory.failures import FailureLog
from postern.directory.interface import Domain, NewAccount
from postern.directory.passwords import CHEAP, HashCost, hash_password, new_credentials, verify
from postern.directory.sqlite import SqliteDirectory
from postern.model.refusal import Refusal
from postern.net.clock import SystemClock, SystemEntropy
from postern.services.authentication import Authentication, AuthenticationSettings
from postern.services.limits import LimitSettings

PASSWORD = "correct horse"
WANTED_MS = 24.0


def cost_of(wanted_ms: float) -> tuple[HashCost, float]:
    """A cost that takes about so long here, and how long it takes."""
    entropy = SystemEntropy()
    memory_kib = 8192
    while True:
        cost = HashCost(2, memory_kib, CHEAP.scram_iterations)
        stored = hash_password(PASSWORD, entropy, cost)
        taken = []
        for _ in range(9):
            began = time.perf_counter()
            verify(PASSWORD, stored)
            taken.append((time.perf_counter() - began) * 1000)
        if statistics.median(taken) >= wanted_ms * 0.9:
            return cost, statistics.median(taken)
        memory_kib = int(memory_kib * min(2.0, wanted_ms / statistics.median(taken))) + 256


async def measure(data: Path, seconds: float, rate: int) -> dict[str, object]:
    clock, entropy = SystemClock(), SystemEntropy()
    cost, hash_ms = cost_of(WANTED_MS)
    directory = SqliteDirectory(data / "directory.db", entropy, clock)
    await directory.put_domain(Domain("example.org"))
    hashed, keys = new_credentials(PASSWORD, entropy, cost)
    count = int(seconds * rate)
    users = [f"u{n}@example.org" for n in range(count)]
    await directory.create_accounts([NewAccount(user, password_hash=hashed, scram=keys) for user in users])

    def service_with(cache_s: int) -> Authentication:
        settings = AuthenticationSettings(LimitSettings(), threads=2, cost=cost, cache_s=cache_s)
        return Authentication(directory, FailureLog(data / "failures.db"), clock, entropy, settings)

    service = service_with(0)
    lags: list[float] = []

    async def watch() -> None:
        while True:
            before = time.perf_counter()
            await asyncio.sleep(0.001)
            lags.append(time.perf_counter() - before - 0.001)

    times: list[float] = []
    refused = 0

    async def sign_in(number: int) -> None:
        nonlocal refused
        began = time.perf_counter()
        try:
            await service.verify_password(users[number], PASSWORD, f"10.0.{number // 250}.{number % 250}", "imap")
            times.append(time.perf_counter() - began)
        except Refusal:
            refused += 1

    watching = asyncio.create_task(watch())
    began, running = time.perf_counter(), []
    for number in range(count):
        running.append(asyncio.create_task(sign_in(number)))
        await asyncio.sleep(max(0.0, began + (number + 1) / rate - time.perf_counter()))
    await asyncio.gather(*running)
    watching.cancel()
    service.close()
    service = service_with(300)
    await service.verify_password(users[0], PASSWORD, "10.0.0.0", "imap")
    remembered = []
    for _ in range(40):
        started = time.perf_counter()
        for _ in range(50):
            await service.verify_password(users[0], PASSWORD, "10.0.0.0", "imap")
        remembered.append((time.perf_counter() - started) / 50 * 1e6)
    service.close()
    await directory.close()
    return {
        "hash_ms": round(hash_ms, 1),
        "attempts": count,
        "per_s": rate,
        "verified": len(times),
        "refused_as_temporary": refused,
        "answer_p50_ms": round(statistics.median(times) * 1000, 1),
        "loop_lag_p99_ms": round(statistics.quantiles(lags, n=100)[98] * 1000, 2),
        "loop_lag_max_ms": round(max(lags) * 1000, 2),
        "remembered_p50_us": round(statistics.median(remembered), 1),
        "remembered_best_us": round(min(remembered), 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rate", type=int, default=30)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as data:
        print(json.dumps(asyncio.run(measure(Path(data), args.seconds, args.rate))))


if __name__ == "__main__":
    main()

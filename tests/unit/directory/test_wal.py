"""Workers that start at the same time all get the small databases open."""

from __future__ import annotations

import multiprocessing
import traceback

import pytest

from postern.directory.failures import FailureLog
from postern.directory.sqlite import SqliteDirectory
from postern.net.clock import SystemEntropy
from postern.transport.queue_file import QueueFile

PROCESSES = 6
ROUNDS = 25


def open_files(folder, starts, failures):
    for number in range(ROUNDS):
        starts.wait(30)
        try:
            place = folder / str(number)
            FailureLog(place / "failures.db").close()
            SqliteDirectory(place / "directory.db", SystemEntropy())
            QueueFile(place / "queue.db").connection()
        except BaseException:
            failures.put(traceback.format_exc())


@pytest.mark.slow(6)
@pytest.mark.timeout(120)
def test_new_files_are_opened_by_all_processes_at_once(tmp_path):
    for number in range(ROUNDS):
        (tmp_path / str(number)).mkdir()
    context = multiprocessing.get_context("spawn")
    starts, failures = context.Barrier(PROCESSES), context.Queue()
    processes = [context.Process(target=open_files, args=(tmp_path, starts, failures)) for _ in range(PROCESSES)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert failures.empty(), failures.get()
    failures.close()
    failures.join_thread()

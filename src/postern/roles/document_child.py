"""The process that reads attachments for the index: `python -m postern.roles.document_child`, for `DocumentReader`.

It may be made to loop, to eat memory or to crash by what it reads; so it has hard limits, no file to write to, and no
more of Postern than the readers. It reads requests from standard input and writes answers to standard output:

    request   length of the kind (1 octet), length of the content (4), kind, content
    answer    1 or 0 (1 octet), length of the text (4), text in UTF-8: what was read, or why it could not be
"""

from __future__ import annotations

import contextlib
import logging
import os
import resource
import signal
import struct
import sys
from typing import BinaryIO

from postern.formats.documents.kinds import MAX_DOCUMENT_BYTES
from postern.formats.documents.reading import read

REQUEST = struct.Struct(">BI")
ANSWER = struct.Struct(">BI")
MEMORY_BYTES = 768 << 20
"""Of address space."""
CPU_S = 10
"""A document; the kernel ends the process when it is over."""
FILES = 64


def main() -> None:
    """Answer until standard input ends."""
    source, target = sys.stdin.buffer, sys.stdout.buffer
    limit()
    logging.disable()  # readers complain of every fault of a document
    while True:
        request = _request(source)
        if request is None:
            return
        _more_time()
        good, text = answer(*request)
        target.write(ANSWER.pack(good, len(text)) + text)
        target.flush()


def answer(kind: str, content: bytes) -> tuple[bool, bytes]:
    """(whether it could be read, text in UTF-8)."""
    try:
        return True, read(kind, content).encode("utf-8", "replace")
    except MemoryError:
        os._exit(1)  # nothing can be relied on any more
    except Exception as error:  # a hostile document may raise anything from its reader
        return False, f"{type(error).__name__}: {error}"[:500].encode("utf-8", "replace")


def limit() -> None:
    """Take from this process what it does not need. Raises OSError, ValueError."""
    os.nice(19)
    # died of a signal is what the parent has to see, and no core file is to be written
    signal.signal(signal.SIGXCPU, signal.SIG_DFL)
    for kind, value in (
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, FILES),
    ):
        resource.setrlimit(kind, (value, value))
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))


def _more_time() -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = int(used.ru_utime + used.ru_stime) + 1 + CPU_S
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.RLIM_INFINITY))


def _request(source: BinaryIO) -> tuple[str, bytes] | None:
    head = source.read(REQUEST.size)
    if len(head) < REQUEST.size:
        return None
    kind_length, length = REQUEST.unpack(head)
    if length > MAX_DOCUMENT_BYTES:
        return None
    kind = source.read(kind_length).decode("ascii")
    content = source.read(length)
    return (kind, content) if len(content) == length else None


if __name__ == "__main__":
    main()

"""What is to be done about a file or folder that cannot be used."""

from __future__ import annotations

import errno
from collections.abc import Sequence

from postern.cli.language import _

_NOT_ALLOWED = (errno.EACCES, errno.EPERM)
_FULL = (errno.ENOSPC, errno.EDQUOT)
_WRONG_PATH = (errno.ENOENT, errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ELOOP, errno.ENAMETOOLONG)


def explain_file(problem: OSError, file: object = None) -> str:
    """`file`: what was named, where the problem does not say."""
    where = problem.filename or file or ""
    if problem.errno in _NOT_ALLOWED:
        return _(
            "{file}: permission denied. Run this as root or as the owner of the data directory, such as"
            " sudo -u postern postern ...",
            file=where,
        )
    if problem.errno == errno.EROFS:
        return _("{file} is on a read-only file system: remount it writable.", file=where)
    if problem.errno in _FULL:
        if not where:
            return _("no space left on the disk. Make room and say it again.")
        return _("{file}: no space left on the disk. Make room and say it again.", file=where)
    if problem.errno == errno.ENOENT:
        return _("{file}: there is no such file or folder. Look at how it is written.", file=where)
    if problem.errno == errno.EISDIR:
        return _("{file} is a folder: name a file.", file=where)
    if problem.errno in (errno.ENOTDIR, errno.EEXIST):
        return _("{file}: there is a file where a folder has to be. Name a folder.", file=where)
    reason = problem.strerror or str(problem)
    return f"{where}: {reason}" if where else reason


def is_of_the_disk(problem: OSError) -> bool:
    """Whether any command may meet it: the disk is full or read-only, or a file belongs to somebody else."""
    return problem.errno in (*_FULL, errno.EROFS) or (problem.errno in _NOT_ALLOWED and bool(problem.filename))


def is_of_the_words(problem: OSError, words: Sequence[str]) -> bool:
    """Whether it is about a path that was given on the command line, or one in it."""
    path = str(problem.filename or "")
    return problem.errno in _WRONG_PATH and any(
        word and (path == word or path.startswith(word.rstrip("/") + "/")) for word in words
    )

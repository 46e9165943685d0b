"""The program `postern`: chooses the language, then the command."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from postern.cli import language, launch
from postern.model.refusal import Refusal

if TYPE_CHECKING:
    from cyclopts import App

UNIX_ONLY = frozenset({"fcntl", "grp", "pwd", "resource", "termios", "uvloop"})
"""Modules that other systems lack; commands that work with an organisation's files need them."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command line; ends the process with its status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    given, chosen = take_language(given)
    language.use(chosen or language.from_environment(dict(os.environ)))
    with explained(given):
        wanted = launch.recognise(given)
        if wanted is not None:
            raise SystemExit(launch.start(wanted))
        from postern.cli.commands import build

        run(build(), given)


def run(app: App, given: Sequence[str]) -> None:
    """Run a command of the library."""
    try:
        app(given)
    except ImportError as problem:
        # the library wraps what a command's module raises
        missing = problem.__cause__ or problem
        if not isinstance(missing, ModuleNotFoundError) or missing.name not in UNIX_ONLY:
            raise
        from postern.cli.output import fail

        fail(language._("this command runs on Unix systems only: there is no {module} here", module=missing.name))


@contextmanager
def explained(given: Sequence[str]) -> Iterator[None]:
    """What no command has explained: refusals, disks, wrong paths. A broken pipe and Ctrl-C end it in silence."""
    try:
        yield
    except Refusal as refusal:
        from postern.cli.output import fail
        from postern.cli.refusal_texts import said

        fail(said(refusal))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(141) from None
    except OSError as problem:
        from postern.cli.files import explain_file, is_of_the_disk, is_of_the_words
        from postern.cli.output import fail

        if not is_of_the_disk(problem) and not is_of_the_words(problem, given):
            raise
        fail(explain_file(problem))
    except KeyboardInterrupt:
        raise SystemExit(130) from None


def take_language(arguments: list[str]) -> tuple[list[str], str]:
    """`--lang ru` or `--lang=ru`, anywhere: it must be known before any help text is made."""
    for index, word in enumerate(arguments):
        if word == "--":
            break
        if word.startswith("--lang="):
            return arguments[:index] + arguments[index + 1 :], word[7:]
        if word == "--lang" and index + 1 < len(arguments):
            return arguments[:index] + arguments[index + 2 :], arguments[index + 1]
    return arguments, ""

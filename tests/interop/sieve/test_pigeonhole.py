"""Pigeonhole as oracle: its sieve-test and our engine do the same with every script and message of a corpus."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from interop.sieve import awkward
from interop.sieve.corpus import EXPLAINED, INVALID, MESSAGES, SCRIPTS
from postern.formats.mime.scan import scan
from postern.formats.sieve.checker import compile_script
from postern.formats.sieve.evaluator import evaluate
from postern.formats.sieve.message import Message
from postern.formats.sieve.syntax import SieveError
from postern.model.actions import Redirect, Reject, Store, Vacation

CONFIG = """
base_dir = {base}/run
log_path = /dev/stderr
ssl = no
mail_uid = nobody
mail_gid = nogroup
first_valid_uid = 1
mail_location = maildir:{base}/mail
postmaster_address = postmaster@example.org
plugin {{
  sieve = file:{base}/scripts;active={base}/active.sieve
  sieve_extensions = +editheader +special-use
}}
namespace inbox {{
  inbox = yes
  separator = /
}}
"""


EVERY = {**MESSAGES, **awkward.MESSAGES}


@pytest.fixture(scope="module")
def oracle():
    if shutil.which("sieve-test") is None:
        pytest.skip("sieve-test is not installed: scripts/install-test-parts")
    # not below pytest's directory: as root it runs as nobody
    with tempfile.TemporaryDirectory(prefix="postern-sieve-") as made:
        base = Path(made)
        base.chmod(0o777)
        (base / "dovecot.conf").write_text(CONFIG.format(base=base))
        for name, text in EVERY.items():
            (base / f"{name}.eml").write_text(text)
        (base / "scripts").mkdir()
        for name, text in awkward.INCLUDED.items():
            (base / "scripts" / f"{name}.sieve").write_text(text)
        yield base


def theirs(base, script, name):
    """Sorted actions as text; `invalid`, or `failed` for what went wrong at run time."""
    path = base / "script.sieve"
    path.write_text(script)
    done = subprocess.run(
        ["sieve-test", "-c", str(base / "dovecot.conf"), "-f", "bob@example.net", "-a", "anna+lists@example.org",
         "-r", "anna+lists@example.org", str(path), str(base / f"{name}.eml")],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    path.with_suffix(".svbin").unlink(missing_ok=True)
    output = done.stdout
    if "Performed actions" not in output:
        return ["invalid" if "failed to compile" in done.stderr else "failed"]
    found = []
    for line in output.splitlines():
        if match := re.match(r" \* store message in folder: (.*)", line):
            found.append(f"store {match.group(1).strip()}")
        elif match := re.match(r"\s+\+ add IMAP flags:(.*)", line):
            found[-1] += " " + " ".join(sorted(match.group(1).lower().split()))
        elif match := re.match(r" \* redirect message to: <?([^>]*)>?", line):
            found.append(f"redirect {match.group(1).lower()}")
        elif line.startswith(" * send vacation message"):
            found.append("vacation")
        elif line.startswith(" * reject message"):
            found.append("reject")
    return sorted(found)


class Around:
    now = datetime.now(UTC).astimezone()
    reverse_path = "bob@example.net"
    recipient = "anna+lists@example.org"

    def folder_exists(self, name):
        return name.upper() == "INBOX"

    def special_use_exists(self, use, name):
        return False

    def script(self, name):
        text = awkward.INCLUDED.get(name)
        return None if text is None else compile_script(text.encode())

    def seen(self, name):
        return False


def ours(script, name):
    try:
        program = compile_script(script.encode())
    except SieveError:
        return ["invalid"]
    content = EVERY[name].encode().replace(b"\n", b"\r\n")
    scanned = scan(content)
    decision = evaluate(program, Message(content, scanned.parts, scanned.header_end), Around())
    if decision.problem:
        return ["failed"]
    found = []
    for action in decision.actions:
        match action:
            case Store(target, flags):
                found.append(" ".join([f"store {target.name}", *sorted(flag.lower() for flag in flags)]))
            case Redirect(address):
                found.append(f"redirect {address.lower()}")
            case Vacation():
                found.append("vacation")
            case Reject():
                found.append("reject")
    return sorted(found)


def test_both_do_the_same_with_every_message(oracle):
    found = [
        (script, name, theirs_, ours_)
        for script, text in SCRIPTS.items()
        for name in MESSAGES
        if (theirs_ := theirs(oracle, text, name)) != (ours_ := ours(text, name))
    ]
    unexplained = [one for one in found if one[0] not in EXPLAINED]
    assert unexplained == [], "\n" + "\n".join(map(repr, unexplained))
    assert {one[0] for one in found} == set(EXPLAINED) - set(INVALID), "what is explained has to be different"


def test_both_refuse_what_is_no_script(oracle):
    wrong = {
        name
        for name, text in INVALID.items()
        if (theirs(oracle, text, "plain") == ["invalid"]) != (ours(text, "plain") == ["invalid"])
    }
    assert wrong == set(EXPLAINED) & set(INVALID)


def test_both_do_the_same_with_what_is_seldom_written(oracle):
    cases = [(script, name) for script in awkward.TESTS for name in awkward.MESSAGES]
    cases += [(script, awkward.BEST_WITH.get(script, "folded")) for script in awkward.SCRIPTS]
    every = {**awkward.TESTS, **awkward.SCRIPTS}
    found = [
        (script, name, theirs_, ours_)
        for script, name in cases
        if (theirs_ := theirs(oracle, every[script], name)) != (ours_ := ours(every[script], name))
    ]
    unexplained = [one for one in found if one[0] not in awkward.EXPLAINED]
    assert unexplained == [], "\n" + "\n".join(map(repr, unexplained))
    assert {one[0] for one in found} == set(awkward.EXPLAINED) - set(awkward.INVALID)


def test_both_refuse_what_is_seldom_written_and_wrong(oracle):
    wrong = {
        name
        for name, text in awkward.INVALID.items()
        if (theirs(oracle, text, "bare") == ["invalid"]) != (ours(text, "bare") == ["invalid"])
    }
    assert wrong == set(awkward.EXPLAINED) & set(awkward.INVALID)


def test_both_include_alike(oracle):
    """Pigeonhole looks at included scripts when it compiles, we when they run."""
    found = {}
    for name, text in awkward.INCLUDING.items():
        did = ours(awkward.INCLUDE + text, "nested")
        expected = theirs(oracle, awkward.INCLUDE + text, "nested")
        if did != (["failed"] if expected == ["invalid"] and did == ["failed"] else expected):
            found[name] = (expected, did)
    assert found == {}

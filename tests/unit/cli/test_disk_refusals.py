"""What commands say about a data directory that they may not use, or whose disk cannot be written."""

from __future__ import annotations

import errno
import subprocess
import sys

import pytest

from postern.cli import language, serve
from postern.cli.main import main
from postern.cli.organisation import run


@pytest.mark.parametrize(
    ("code", "english", "russian"),
    [
        (errno.EACCES, "as root", "от имени root"),
        (errno.EROFS, "remount", "только для чтения"),
        (errno.ENOSPC, "Make room", "Освободите место"),
    ],
)
def test_a_disk_that_cannot_be_used_is_explained(capsys, code, english, russian):
    async def work() -> None:
        raise OSError(code, "x", "/srv/mail/bus")

    for chosen, needle in (("en", english), ("ru", russian)):
        language.use(chosen)
        with pytest.raises(SystemExit) as ended:
            run(work)
        said = capsys.readouterr().err
        assert (ended.value.code, needle in said, "/srv/mail/bus" in said) == (1, True, True), said
    language.use("en")


def test_other_errors_are_mistakes_of_ours_and_keep_their_trace():
    async def work() -> None:
        raise OSError(errno.EBADF, "x", "/srv/mail/bus")

    with pytest.raises(OSError, match="x"):
        run(work)


def test_a_full_disk_that_does_not_say_where_is_explained(capsys):
    """`posix_fallocate` knows no file."""

    async def work() -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(SystemExit):
        run(work)
    assert capsys.readouterr().err == "postern: no space left on the disk. Make room and say it again.\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["mailbox", "import-users", "/etc"], "/etc is a folder: name a file."),
        (["mailbox", "import-users", "/etc/nowhere"], "/etc/nowhere: there is no such file or folder."),
        (["mailbox", "sieve", "check", "/etc"], "/etc is a folder: name a file."),
        (["demo", "--data", "/etc/passwd"], "/etc/passwd: there is a file where a folder has to be."),
        (["backup", "list", "/etc/passwd"], "there is a file where a folder has to be."),
        (["quickstart", "a@example.org", "--config", "/etc"], "/etc is a folder: name a file."),
        (["quickstart", "a@example.org", "--address", "here"], "not an IP address: here. One looks like 203.0.113.7"),
        (["mailbox", "list", "--config", "/etc"], "/etc: is a folder. name the file in it"),
        (["import", "archive", "a@example.org", "/etc/passwd"], "`postern export archive` makes one"),
        (["cert", "import", "/etc/passwd"], "neither a certificate in PEM nor a PKCS #12 file"),
        (["room", "set", "anna@example.org", "--seats", "3"], "anna@example.org is no room and no equipment"),
        (["room", "remove", "anna@example.org", "--yes"], "anna@example.org is no room and no equipment"),
        (["permission", "revoke", "anna@example.org", "anna@example.org"], "say which right: full-access"),
        (["public", "add", "Inbox"], "a public folder cannot be named 'Inbox'"),
        (["mailbox", "show", "who@else.example"], "no such mailbox: who@else.example; `postern mailbox list` shows"),
        (["directory", "status", "corp"], "no such directory: corp; `postern directory status` shows"),
    ],
    ids=lambda given: " ".join(given) if isinstance(given, list) else "",
)
def test_wrong_words_are_told_what_is_right(organisation, postern, words, said):
    own = "--config" in words or words[0] in {"quickstart", "backup", "demo"} or "check" in words
    told = postern(*words, *(() if own else ("--config", str(organisation))))
    assert told.status and said in told.err and "Errno" not in told.err, told


def test_a_folder_that_is_not_there_is_no_success(organisation, postern, tmp_path):
    """The example of the documentation brought nothing, and said that all was well."""
    mbox = tmp_path / "Work"
    mbox.write_text("From a@b Thu Jan  1 00:00:00 2026\nSubject: x\n\nbody\n")
    words = ["import", "mbox", "anna@example.org", str(tmp_path), "--config", str(organisation)]
    told = postern(*words, "--folder", "Old")
    assert told.status == 1 and "no such folder there: Old; there are: Work" in told.err, told
    told = postern(*words, "--folder", "work", "--json")
    assert (told.status, told.json["copied"]) == (0, 1)


def test_hashes_that_nobody_could_sign_in_with_are_not_imported(organisation, postern, tmp_path):
    users = tmp_path / "users"
    users.write_text("one@example.org:{PLAIN}secret\ntwo@example.org:{SSHA}c2hvcnQ=\n")
    told = postern("mailbox", "import-users", str(users), "--config", str(organisation))
    assert told.status == 1 and "line 2: that is no SSHA hash" in told.err, told
    assert "two@" not in postern("mailbox", "list", "--config", str(organisation)).out


@pytest.fixture(scope="module")
def organisation(tmp_path_factory):
    """Its settings file."""
    place = tmp_path_factory.mktemp("words")
    config = place / "postern.toml"
    words = ["quickstart", "anna@example.org", "--address", "192.0.2.1", "--json"]
    with pytest.raises(SystemExit):
        main([*words, "--config", str(config), "--data", str(place / "data")])
    return config


ON_A_FULL_DISK = """
set -e
mount -t tmpfs -o size=4m none "$1"
cp -a "$2" "$1/data"
dd if=/dev/zero of="$1/film" bs=4k 2>/dev/null || true
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
printf '[server]\\ndata = "%s/data"\\n' "$1" > "$3"
for words in "mailbox list" "mailbox add x@example.org" "auth locks" "auth totp show anna@example.org" "queue list"; do
    "$4" -m postern $words --config "$3" 2>&1 && echo "done: $words" || true
done
"""


def test_commands_on_a_full_disk_say_that_it_is_full(organisation, tmp_path):
    """The index of a log has no room: SQLite says "disk I/O error" only."""
    (tmp_path / "disk").mkdir()
    ended = subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", ON_A_FULL_DISK, "sh", str(tmp_path / "disk"),
         str(organisation.parent / "data"), str(tmp_path / "postern.toml"), sys.executable],
        capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    assert len(lines) >= 5
    for line in lines:
        assert "no space left" in line and "ake room" in line, ended.stdout


def test_serving_what_belongs_to_somebody_else_is_explained(tmp_path, monkeypatch, capsys):
    config = tmp_path / "postern.toml"
    config.write_text('[server]\ndata = "data"\n')

    def denied(*_given: object, **_named: object) -> bool:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("pathlib.Path.exists", denied)
    with pytest.raises(SystemExit) as ended:
        serve.serve(config)
    assert ended.value.code == 1
    assert "chown" in capsys.readouterr().err

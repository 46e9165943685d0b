"""What commands say about a data directory that they may not use, or whose disk cannot be written."""

from __future__ import annotations

import errno

import pytest

from postern.cli import language, serve
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

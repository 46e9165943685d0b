from __future__ import annotations

import contextlib
import socket

import pytest

from postern.cli import demo
from postern.cli.demo_people import users
from postern.config.listeners import listeners
from postern.config.loading import parse
from postern.model.refusal import Reason, Refusal


def test_the_ports_of_a_base():
    opened = {one.path.id: (one.addresses, one.port) for one in listeners(parse(demo.render_config(9000, 2)))}
    assert opened["smtp"] == (("127.0.0.1",), 9025)
    assert opened["imaps"] == (("127.0.0.1",), 9993)
    assert len({port for _, port in opened.values()}) == len(opened)
    assert all(addresses == ("127.0.0.1",) for addresses, _ in opened.values())


@pytest.mark.parametrize("base", [64600, -1])
def test_a_base_that_leaves_the_range(base, capsys):
    with pytest.raises(SystemExit):
        demo.render_config(base, 2)
    assert "64540" in capsys.readouterr().err


def test_ports_in_use_are_not_free():
    with socket.socket() as taken:
        # as our own listeners do: a second one could bind beside it
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert not demo.is_free(taken.getsockname()[1])


def test_a_base_is_kept_until_its_server_listens():
    with contextlib.ExitStack() as one, contextlib.ExitStack() as other:
        assert demo.free_base(one) != (kept := demo.free_base(other))
        one.close()
        assert demo.free_base(one) != kept


def test_ten_users_in_two_domains():
    assert len(users()) == 10
    assert len({user["address"].split("@")[1] for user in users()}) == 2


def test_a_real_organisation_is_no_demonstration(tmp_path, capsys):
    (tmp_path / "directory.db").touch()
    with pytest.raises(SystemExit):
        demo.prepare(tmp_path, 9000, 1)
    assert "no demonstration" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["directory.db"]


def test_a_full_disk_is_told_in_a_line(tmp_path, monkeypatch, capfd):
    def full(settings):
        raise Refusal(Reason.DISK_FULL, "no space left")

    monkeypatch.setattr(demo, "fill", full)
    with pytest.raises(SystemExit) as ended:
        demo.prepare(tmp_path / "data", 20000, 1)
    assert ended.value.code == 1
    assert capfd.readouterr().err.splitlines() == [
        "postern: disk_full: no space left",
        "postern: the demonstration could not be set up",
    ]

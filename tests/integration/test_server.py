"""A whole server in real processes: mail in by SMTP, out by IMAP and POP3; stop, crash, reload, second instance."""

from __future__ import annotations

import contextlib
import imaplib
import json
import os
import poplib
import signal
import smtplib
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import msgspec
import pytest
from tests.integration.organisation import PASSWORD, Running, make_organisation, make_settings
from tests.ports import free_ports
from tests.stopwatch import stopwatch

pytestmark = pytest.mark.integration


def insecure() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    settings = make_settings(tmp_path_factory.mktemp("data"))
    make_organisation(settings)
    running = Running(settings)
    running.wait_ready()
    yield running
    assert running.stop() == 0


@pytest.fixture
def own_server(tmp_path):
    settings = make_settings(tmp_path)
    make_organisation(settings)
    running = Running(settings)
    running.wait_ready()
    yield running
    running.kill()


def send(server: Running, subject: str, *recipients: str) -> None:
    with smtplib.SMTP("127.0.0.1", server.ports["smtp"], timeout=60) as smtp:
        smtp.sendmail(
            "stranger@example.net", recipients or ("anna@example.org",), f"Subject: {subject}\r\n\r\n.body\r\n"
        )


@contextlib.contextmanager
def imap(server: Running, user: str = "anna"):
    with imaplib.IMAP4_SSL("127.0.0.1", server.ports["imaps"], ssl_context=insecure(), timeout=60) as client:
        client.login(f"{user}@example.org", PASSWORD)
        yield client


def subjects(server: Running, user: str = "anna") -> list[str]:
    with imap(server, user) as client:
        if client.select("INBOX", readonly=True)[1] == [b"0"]:
            return []
        _, data = client.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
        return [part[1].decode().strip().removeprefix("Subject: ") for part in data if isinstance(part, tuple)]


def wait_for(condition, timeout=60):
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.05)
    assert condition()


def test_mail_goes_in_and_comes_out(server):
    send(server, "hello", "boris@example.org", "chen@example.org")
    wait_for(lambda: "hello" in subjects(server, "boris"))
    pop = poplib.POP3_SSL("127.0.0.1", server.ports["pop3s"], context=insecure(), timeout=60)
    pop.user("chen@example.org")
    pop.pass_(PASSWORD)
    assert pop.stat()[0] == 1
    lines = pop.retr(1)[1]
    assert b"Subject: hello" in lines and lines[-1] == b".body" and any(li.startswith(b"Received:") for li in lines)
    assert len(pop.uidl()[1]) == 1
    pop.dele(1)
    pop.quit()
    assert subjects(server, "chen") == []


def test_stls_and_starttls(server):
    pop = poplib.POP3("127.0.0.1", server.ports["pop3"], timeout=60)
    assert "USER" not in pop.capa()
    pop.stls(insecure())
    pop.user("boris@example.org")
    pop.pass_(PASSWORD)
    second = poplib.POP3_SSL("127.0.0.1", server.ports["pop3s"], context=insecure(), timeout=60)
    second.user("boris@example.org")
    with pytest.raises(poplib.error_proto, match="IN-USE"):
        second.pass_(PASSWORD)
    second.close()
    pop.quit()
    with smtplib.SMTP("127.0.0.1", server.ports["submission"], timeout=60) as smtp:
        smtp.starttls(context=insecure())
        smtp.login("boris@example.org", PASSWORD)
        smtp.sendmail("boris@example.org", ["anna@example.org"], "Subject: submitted\r\n\r\n")
    wait_for(lambda: "submitted" in subjects(server))


def test_strangers_do_not_relay(server):
    with smtplib.SMTP("127.0.0.1", server.ports["smtp"], timeout=60) as smtp:
        smtp.ehlo()
        smtp.mail("a@example.net")
        assert smtp.rcpt("b@example.com")[0] == 550
        assert smtp.rcpt("nobody@example.org")[0] == 550


def test_every_worker_tells_an_idle_client(server):
    with imap(server) as client:
        client.select("INBOX")
        client.send(b"x IDLE\r\n")
        assert client.readline().startswith(b"+")
        for number in range(4):  # connections land on either worker
            with stopwatch() as took:
                send(server, f"wake {number}")
                while b"EXISTS" not in client.readline():
                    pass
            assert took.seconds < 1
        client.send(b"DONE\r\n")
        while not client.readline().startswith(b"x OK"):
            pass


def test_metrics_and_health(server):
    base = f"http://127.0.0.1:{server.ports['metrics']}"
    send(server, "counted")
    with imap(server):
        pass
    with urllib.request.urlopen(f"{base}/health", timeout=60) as response:
        report = json.load(response)
        assert report["status"] == "ok" and report["serving"] == 3

    def values() -> dict[str, float]:
        with urllib.request.urlopen(f"{base}/metrics", timeout=60) as response:
            text = response.read().decode()
        rows = (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
        return {name: float(value) for name, value in rows}

    wait_for(lambda: values()["postern_messages_accepted_total"] >= 1)
    wait_for(lambda: values()['postern_connections_total{listener="imaps"}'] >= 1)
    assert values()["postern_processes"] == 3
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"{base}/other", timeout=60)


def test_logs_are_json_with_a_correlation_id(server):
    send(server, "logged")
    assert all("time" in line and "event" in line for line in server.lines())


def test_a_second_instance_is_refused(server):
    second = Running(server.settings)
    assert second.process.wait(60) == 1
    second.kill()
    assert f"another Postern (process {server.process.pid}) already uses the data directory" in server.log.read_text()


def test_another_organisation_does_not_share_our_ports(server, tmp_path):
    """SO_REUSEPORT would give it half of our connections, and its users' passwords would be wrong half of the time."""
    settings = msgspec.structs.replace(make_settings(tmp_path), listen=server.settings.listen)
    make_organisation(settings)
    other = Running(settings)
    assert other.process.wait(60) == 1
    other.kill()
    assert "another program already listens on 127.0.0.1 port" in other.log.read_text()
    with imap(server):
        pass


def test_a_stop_finishes_commands_in_flight(own_server):
    send(own_server, "before")
    with socket.create_connection(("127.0.0.1", own_server.ports["smtp"]), timeout=60) as sock:
        file = sock.makefile("rwb")
        for command in (
            b"",
            b"EHLO x\r\n",
            b"MAIL FROM:<a@example.net>\r\n",
            b"RCPT TO:<anna@example.org>\r\n",
            b"DATA\r\n",
        ):
            sock.sendall(command)
            while file.readline()[3:4] == b"-":
                pass
        sock.sendall(b"Subject: in flight\r\n\r\n")
        own_server.process.send_signal(signal.SIGTERM)
        for _ in range(10):
            time.sleep(0.1)
            sock.sendall(b"line\r\n")
        sock.sendall(b".\r\n")
        assert file.readline().startswith(b"250")
        assert file.readline().startswith(b"421")
    assert own_server.process.wait(60) == 0
    assert own_server.wait_line("server.stopped")["clean"]
    again = Running(own_server.settings)
    again.wait_ready()
    assert subjects(again) == ["before", "in flight"]
    assert again.stop() == 0


def test_a_crashed_worker_comes_back_with_its_mail(own_server):
    for number in range(20):
        send(own_server, f"{number}")
        if number % 5 == 4:
            mark = len(own_server.lines())
            victim = own_server.children()[f"worker-{number % 2}"]
            os.kill(victim, signal.SIGKILL)
            assert own_server.wait_line("process.died", after=mark)["pid"] == victim
            wait_for(lambda victim=victim: victim not in own_server.children().values())
    wait_for(lambda: sorted(subjects(own_server), key=int) == [str(n) for n in range(20)])
    assert own_server.stop() == 0


def test_a_connection_too_many_is_told_so(tmp_path):
    from postern.config.settings import Imap, Pop3

    settings = make_settings(tmp_path, workers=1, imap=Imap(max_connections=1), pop3=Pop3(max_connections=1))
    make_organisation(settings)
    running = Running(settings)
    try:
        running.wait_ready()
        for path, welcome, refusal in (
            ("imap", b"* OK", b"* BYE [UNAVAILABLE] Too many"),
            ("pop3", b"+OK", b"-ERR [SYS/TEMP] too many"),
        ):
            where = ("127.0.0.1", running.ports[path])
            with socket.create_connection(where, 10) as first, socket.create_connection(where, 10) as second:
                assert first.recv(500).startswith(welcome)
                told = b"".join(iter(lambda second=second: second.recv(500), b""))
                assert told.startswith(refusal)
                assert told.endswith(b"try again later\r\n")

            def accepts(where=where, welcome=welcome) -> bool:
                with socket.create_connection(where, 10) as third:
                    return third.recv(500).startswith(welcome)

            wait_for(accepts)
    finally:
        running.kill()


def test_files_that_garbage_collection_replaced_are_let_go(own_server):
    """Otherwise their space is free only after a restart."""
    send(own_server, "read by a worker")
    wait_for(lambda: "read by a worker" in subjects(own_server))
    with imap(own_server) as client:
        client.select("INBOX")
        assert b"read by a worker" in client.fetch("1", "(BODY.PEEK[])")[1][0][1]

        def held() -> list[str]:
            files = []
            for pid in own_server.children().values():
                for link in Path(f"/proc/{pid}/fd").iterdir():
                    with contextlib.suppress(FileNotFoundError):
                        files.append(str(link.readlink()))
            return [file for file in files if ".seg" in file]

        segments = list((own_server.settings.data_dir / "journal").glob("*.seg"))
        for segment in segments:  # as the collector replaces one: a new file under the name
            copy = segment.with_suffix(".new")
            copy.write_bytes(segment.read_bytes())
            copy.rename(segment)
        before = sum("(deleted)" in file for file in held())
        # the writer of an active segment keeps its own; the readers let go
        wait_for(lambda: sum("(deleted)" in file for file in held()) < before, timeout=60)
        assert b"read by a worker" in client.fetch("1", "(BODY.PEEK[])")[1][0][1]


def test_a_killed_supervisor_takes_its_workers_along(own_server):
    send(own_server, "kept")
    os.kill(own_server.process.pid, signal.SIGKILL)
    own_server.process.wait()
    again = Running(own_server.settings)
    again.wait_ready()
    assert subjects(again) == ["kept"]
    assert again.stop() == 0


def test_a_reload_leaves_no_socket_that_nobody_serves(own_server):
    """A port that the settings name no more is closed, and so is a worker's own socket when there are fewer workers."""
    settings, old_port = own_server.settings, own_server.ports["pop3s"]

    def reload(changed) -> None:
        before = own_server.children()
        own_server.file.write_bytes(msgspec.json.encode(changed))
        own_server.process.send_signal(signal.SIGHUP)
        wait_for(lambda: set(before.values()) <= ended(), 30.0)

    def ended() -> set[int]:
        return {line["pid"] for line in own_server.lines() if line["event"] == "process.ended"}

    def refused(port: int) -> bool:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=60).close()
        except ConnectionRefusedError:
            return True
        return False

    moved = msgspec.structs.replace(settings.listen["pop3s"], port=free_ports(1)[0])
    fewer = msgspec.structs.replace(settings.server, workers=1)
    reload(msgspec.structs.replace(settings, server=fewer, listen=settings.listen | {"pop3s": moved}))
    assert refused(old_port)
    for _ in range(12):  # half of them would have gone to the socket of the second worker, and waited there
        with socket.create_connection(("127.0.0.1", own_server.ports["smtp"]), timeout=60) as sock:
            assert sock.recv(200).startswith(b"220")
    reload(settings)
    wait_for(lambda: not refused(old_port))
    assert own_server.stop() == 0


def test_reload_keeps_open_sessions_and_refuses_bad_settings(own_server):
    with imap(own_server) as client:
        client.select("INBOX")
        own_server.file.write_text("rubbish")
        own_server.process.send_signal(signal.SIGHUP)
        own_server.wait_line("reload.refused")
        assert client.noop()[0] == "OK"
        changed = msgspec.structs.replace(
            own_server.settings, server=msgspec.structs.replace(own_server.settings.server, hostname="new.example.org")
        )
        own_server.file.write_bytes(msgspec.json.encode(changed))
        old = own_server.children()
        own_server.process.send_signal(signal.SIGHUP)
        own_server.wait_line("reload.done")
        wait_for(lambda: not set(old.values()) & set(own_server.children().values()))

        def greeting() -> bytes:
            with socket.create_connection(("127.0.0.1", own_server.ports["smtp"]), timeout=60) as sock:
                return sock.recv(200)

        wait_for(lambda: all(b"new.example.org" in greeting() for _ in range(6)))
        assert client.noop()[0] == "OK"
        send(own_server, "after")
        wait_for(lambda: (b"1" in client.noop() and client.response("EXISTS")[1] == [b"1"]) or True)
    assert subjects(own_server) == ["after"]
    assert own_server.stop() == 0


def test_a_taken_port_and_a_missing_certificate_are_explained(tmp_path):
    settings = make_settings(tmp_path)
    failing = Running(settings)
    assert failing.process.wait(60) == 1
    assert "there is no TLS certificate" in failing.log.read_text()
    failing.kill()
    make_organisation(settings)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", settings.listen["pop3"].port))
        taken.listen()
        failing = Running(settings)
        assert failing.process.wait(60) == 1
        failing.kill()
    assert "another program already listens on 127.0.0.1 port" in failing.log.read_text()


def test_servers_do_not_load_command_line_libraries():
    code = "import sys, postern.roles.supervisor; print([m for m in ('rich', 'cyclopts', 'babel') if m in sys.modules])"
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ | {"PYTHONPATH": "src"}
    )
    assert out.stdout.strip() == "[]"

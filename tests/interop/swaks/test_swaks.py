"""swaks: STARTTLS, implicit TLS, every offered mechanism, refusals."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.interop


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize(("port", "tls"), [("submission", "--tls"), ("submissions", "--tls-on-connect")])
def test_submission(demo, program, run, port, tls, mechanism):
    sender, password = demo.user(0)
    arguments = ["--server", f"{demo.host}:{demo.ports[port]}", tls, "--from", sender, "--to", demo.user(1)[0]]
    result = run(program("swaks"), *arguments, "--auth", mechanism, "--auth-user", sender, "--auth-password", password)
    assert "250 2." in result.stdout
    assert "=== Connected" in result.stdout


def test_wrong_password(demo, program, run):
    sender, _ = demo.user(8)
    arguments = ["--server", f"{demo.host}:{demo.ports['submission']}", "--tls", "--from", sender, "--to", sender]
    command = [program("swaks"), *arguments, "--auth", "PLAIN", "--auth-user", sender, "--auth-password", "no"]
    assert "535 5.7.8" in run(*command, check=False).stdout


def test_someone_elses_address(demo, program, run):
    sender, password = demo.user(0)
    other = demo.user(1)[0]
    arguments = ["--server", f"{demo.host}:{demo.ports['submission']}", "--tls", "--from", other, "--to", sender]
    result = run(program("swaks"), *arguments, "--auth-user", sender, "--auth-password", password, check=False)
    assert result.returncode != 0
    assert "550 5.7.1" in result.stdout or "553 5.7.1" in result.stdout or "550 5.7." in result.stdout


def test_eight_bit_and_anonymous(demo, program, run):
    arguments = ["--server", f"{demo.host}:{demo.ports['smtp']}", "--from", "x@elsewhere.example"]
    result = run(program("swaks"), *arguments, "--to", demo.user(1)[0], "--header", "Subject: Привет", "--body", "Тело")
    assert "250 2." in result.stdout

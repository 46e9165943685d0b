"""fetchmail and getmail collect mail by POP3 and IMAP."""

from __future__ import annotations

import smtplib

import pytest

pytestmark = pytest.mark.interop


def put(demo, number: int, count: int) -> None:
    with smtplib.SMTP(demo.host, demo.ports["smtp"]) as smtp:
        for n in range(count):
            message = f"From: x@elsewhere.example\r\nSubject: collect {n}\r\n\r\nbody {n}\r\n"
            smtp.sendmail("x@elsewhere.example", [demo.user(number)[0]], message)


@pytest.mark.parametrize(("protocol", "port"), [("pop3", "pop3s"), ("imap", "imaps")])
def test_fetchmail(demo, program, run, tmp_path, protocol, port):
    put(demo, 7, 3)
    address, password = demo.user(7)
    mda = tmp_path / "mda"
    mda.write_text(f"#!/bin/sh\ncat >> {tmp_path}/got; echo >> {tmp_path}/got\n")
    mda.chmod(0o755)
    control = tmp_path / "fetchmailrc"
    control.write_text(
        f"poll {demo.host} protocol {protocol} port {demo.ports[port]} user '{address}' password '{password}' "
        f"ssl sslcertck sslcertfile {demo.data}/tls/certificate.pem sslcommonname localhost mda {mda} fetchall keep\n"
    )
    control.chmod(0o600)
    result = run(
        program("fetchmail"),
        "-f",
        str(control),
        "--pidfile",
        str(tmp_path / "pid"),
        "-i",
        str(tmp_path / "ids"),
        check=False,
        LC_ALL="C",
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert (tmp_path / "got").read_text(errors="replace").count("body 2") >= 1


def test_getmail(demo, program, run, tmp_path):
    put(demo, 7, 2)
    address, password = demo.user(7)
    mda = tmp_path / "mda"
    mda.write_text(f"#!/bin/sh\ncat >> {tmp_path}/got\n")
    mda.chmod(0o755)
    (tmp_path / "getmailrc").write_text(
        f"""[retriever]
type = SimplePOP3SSLRetriever
server = {demo.host}
port = {demo.ports["pop3s"]}
username = {address}
password = {password}
[destination]
type = MDA_external
path = {tmp_path}/mda
allow_root_commands = true
[options]
delete = false
read_all = true
"""
    )
    run(program("getmail"), f"--getmaildir={tmp_path}", "--rcfile=getmailrc")
    assert (tmp_path / "got").read_text(errors="replace").count("collect 1") >= 1

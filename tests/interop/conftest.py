"""A running demo for real mail programs, shared by all interop tests of a session."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest
from tests.interop import samba
from tests.interop.demo import start_demo, stop_demo
from tests.interop.mail_network import MailNetwork

IMPATIENT = """
from postern.cli import demo, main
demo.CONFIG = demo.CONFIG.replace("[authentication]", "[authentication]\\nfailure_delay_s = 0.0")
main.main()
"""
"""`postern`, whose demo refuses wrong passwords without the delay that grows up to eight seconds."""


@pytest.fixture(scope="session")
def demo(tmp_path_factory):
    process, facts = start_demo(tmp_path_factory.mktemp("demo") / "data", program=IMPATIENT)
    yield facts
    stop_demo(process)


@pytest.fixture(scope="session")
def domain_controller(tmp_path_factory):
    """An Active Directory domain controller, shared by all tests of a session."""
    if why := samba.missing():
        pytest.skip(why)
    controller = samba.start(tmp_path_factory.mktemp("samba"))
    yield controller
    samba.stop(controller)


@pytest.fixture
def program():
    def find(name: str) -> str:
        path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/bin")
        if not path:
            pytest.skip(f"{name} is not installed: run scripts/install-test-parts as root")
        return path

    return find


@pytest.fixture
def run(tmp_path):
    def call(*command: str, input: str | None = None, timeout: float = 60, check: bool = True, **environment: str):
        result = subprocess.run(
            command,
            input=input,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            cwd=tmp_path,
            env={**os.environ, "HOME": str(tmp_path), **environment},
        )
        if check:
            assert result.returncode == 0, f"{command}\n{result.stdout[-3000:]}\n{result.stderr[-3000:]}"
        return result

    return call


@pytest.fixture(scope="session")
def mail_network(tmp_path_factory):
    """A network with a DNS zone, an authority and the product on its standard ports; see `mail_network.MailNetwork`."""
    for name in ("unshare", "nsenter", "ip", "mount"):
        if shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is None:
            pytest.skip(f"{name} is not installed: run scripts/install-test-parts as root")
    network = MailNetwork(tmp_path_factory.mktemp("network"))
    try:
        network.start()
        yield network
    finally:
        network.stop()

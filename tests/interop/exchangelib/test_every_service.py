"""Every service class of exchangelib, for an account found by Autodiscover, by Basic and by NTLM.

The steps lie in `every_service_steps.py`. Which classes there are is asked of the package, so that none is forgotten.
"""

from __future__ import annotations

import re
from pathlib import Path

import exchangelib
import pytest

pytestmark = pytest.mark.interop
STEPS = Path(__file__).with_name("every_service_steps.py")
USERS = {"basic": "boris@example.org", "NTLM": "ACME\\boris"}


@pytest.fixture(scope="module", params=sorted(USERS))
def seen(request, mail_network):
    person = mail_network.person("boris")
    return mail_network.python(
        STEPS, request.param, USERS[request.param], person.password, person.address, "anna@example.org", timeout=120
    )


def test_each_step_succeeds(seen):
    assert seen["problems"] == {}, "\n".join(f"{name}: {text}" for name, text in seen["problems"].items())


def test_no_service_class_is_forgotten(seen):
    folder = Path(exchangelib.__file__).parent / "services"
    written = {name for file in folder.glob("*.py") for name in re.findall(r'SERVICE_NAME = "(\w+)"', file.read_text())}
    assert len(written) >= 50 and written == set(seen["names"])
    assert set(seen["services"]) - set(seen["answered"]) == set()

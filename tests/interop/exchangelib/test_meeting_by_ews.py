"""A meeting from invitation to cancellation: people and a delegate by exchangelib, a room, an outsider by SMTP alone.

The steps lie in `meeting_steps.py`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

pytestmark = pytest.mark.interop
STEPS = Path(__file__).with_name("meeting_steps.py")


def test_all_calendars_agree_at_each_step(mail_network):
    seen = mail_network.python(STEPS, "correct horse", timeout=180)
    assert seen["problems"] == {}, "\n".join(f"{name}: {text}" for name, text in seen["problems"].items())

"""Setting one-time codes up, using them and removing them, in a real browser and in both languages."""

from __future__ import annotations

import base64
import re
import time

import pytest
from tests.interop.browser.test_sign_in_page import base, browser, submit, where  # noqa: F401 - fixtures

from postern.directory import totp

pytestmark = pytest.mark.interop


@pytest.fixture
def told(browser):  # noqa: F811
    return lambda selector="main": browser.run(f"document.querySelector('{selector}').textContent").strip()


def code_of(secret: str) -> str:
    raw = base64.b32decode(secret + "=" * (-len(secret) % 8))
    return totp.code(raw, int(time.time() // totp.STEP_S))


def sign_in(browser, base, address, password, code=""):  # noqa: F811
    browser.visit(f"{base}/auth/sign-in?next=/auth/codes")
    browser.type("#user", address)
    browser.type("#password", password)
    submit(browser)
    if code:
        browser.type("#code", code)
        submit(browser)


def test_from_setting_up_to_removing(browser, demo, base, told, tmp_path):  # noqa: F811
    address, password = demo.user(1)
    browser.visit(f"{base}/auth/codes")
    assert where(browser).startswith("/auth/sign-in?next=")
    sign_in(browser, base, address, password)
    assert where(browser) == "/auth/codes"
    assert "Your password alone lets you in" in told("#standing")
    browser.screenshot(tmp_path / "off.png")
    browser.type("#password", "wrong")
    submit(browser)
    assert told("[role=alert]") == "The password is wrong."
    assert "Your password alone" in told("#standing")
    browser.type("#password", password)
    submit(browser)
    secret = told(".secret").replace(" ", "")
    assert re.fullmatch(r"[A-Z2-7]{32}", secret)
    assert browser.run("document.querySelector('.picture svg').getBoundingClientRect().width") > 150
    browser.screenshot(tmp_path / "begun.png")
    browser.type("#code", "000000" if code_of(secret) != "000000" else "000001")
    submit(browser)
    assert told("[role=alert]").startswith("That is not the code of this moment")
    assert told(".secret").replace(" ", "") == secret, "the same secret, to try again"
    browser.type("#code", code_of(secret))
    submit(browser)
    recovery = browser.run("[...document.querySelectorAll('.recovery code')].map(one => one.textContent)")
    assert len(recovery) == totp.RECOVERY_CODES
    browser.screenshot(tmp_path / "confirmed.png")
    assert browser.complaints() == [], "all of it obeys the policy"
    browser.visit(f"{base}/auth/codes")
    assert where(browser) == "/auth/codes", "this browser stays signed in"
    assert "asked for a code" in told("#standing")
    assert recovery[0] not in browser.run("document.documentElement.outerHTML"), "shown once"

    browser.call("Network.clearBrowserCookies")
    sign_in(browser, base, address, password)
    assert "Code of the telephone" in told()
    sign_in(browser, base, address, password, code=recovery[0])
    assert where(browser) == "/auth/codes"
    assert "Recovery codes left: 9" in told()
    browser.screenshot(tmp_path / "on.png")
    browser.type("#password", "wrong")
    submit(browser)
    assert "asked for a code" in told("#standing"), "not without the password"
    browser.type("#password", password)
    submit(browser)
    assert "Your password alone" in told("#standing")
    browser.call("Network.clearBrowserCookies")
    sign_in(browser, base, address, password)
    assert where(browser) == "/auth/codes"


def test_a_forged_form_changes_nothing(browser, demo, base, told):  # noqa: F811
    address, password = demo.user(1)
    sign_in(browser, base, address, password)
    browser.run("document.querySelector('[name=key]').value = 'forged'")
    browser.type("#password", password)
    submit(browser)
    assert told("[role=alert]").startswith("The page was open for too long")
    assert "Your password alone" in told("#standing")


def test_in_russian(browser, demo, base, told, tmp_path):  # noqa: F811
    address, password = demo.user(1)
    browser.call("Network.setExtraHTTPHeaders", headers={"Accept-Language": "ru"})
    try:
        sign_in(browser, base, address, password)
        assert told("h1") == "Одноразовые коды"
        browser.type("#password", password)
        submit(browser)
        assert told("label") == "Код, который сейчас показывает телефон"
        assert not re.search(r"[A-Za-z]{5,}", re.sub(r"[A-Z2-7 ]{30,}|\S+\.\S+", "", told()))
        browser.screenshot(tmp_path / "begun-ru.png")
    finally:
        browser.call("Network.setExtraHTTPHeaders", headers={})

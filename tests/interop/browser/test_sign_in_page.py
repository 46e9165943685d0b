"""The sign-in page in a real browser, in both languages, obeying its own policy; and sign-out in every worker."""

from __future__ import annotations

import shutil

import pytest
from tests.interop.browser.chromium import Chromium

pytestmark = pytest.mark.interop


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    program = shutil.which("chromium")
    if not program:
        pytest.skip("chromium is not installed: run scripts/install-test-parts as root")
    one = Chromium(program, tmp_path_factory.mktemp("profile"), "--ignore-certificate-errors")
    yield one
    one.close()


def where(browser) -> str:
    return browser.run("location.pathname + location.search")


def submit(browser, selector: str = "button[type=submit]") -> None:
    browser.events.clear()
    browser.click(selector)
    browser.wait_loaded()


@pytest.fixture
def base(demo, browser):
    browser.call("Network.enable")
    browser.call("Network.clearBrowserCookies")
    return f"https://{demo.host}:{demo.ports['https']}"


def test_signing_in_and_out(browser, demo, base):
    address, password = demo.user(0)
    browser.visit(f"{base}/whoami?a=b")
    assert where(browser) == "/auth/sign-in?next=%2Fwhoami%3Fa%3Db"
    browser.type("#user", address)
    browser.type("#password", "wrong")
    submit(browser)
    assert browser.run("document.querySelector('[role=alert]').textContent").startswith("The user name or the password")
    assert browser.run("document.querySelector('#user').value") == address
    browser.type("#password", password)
    submit(browser)
    assert where(browser) == "/whoami?a=b"
    assert address in browser.run("document.body.textContent")
    for _ in range(4):  # whichever worker it is
        browser.visit(f"{base}/whoami")
        assert address in browser.run("document.body.textContent")
    assert browser.run("document.cookie") == "", "no script sees the session"
    submit(browser)
    assert where(browser) == "/auth/sign-in"
    for _ in range(4):
        browser.visit(f"{base}/whoami")
        assert where(browser).startswith("/auth/sign-in")


def test_the_page_obeys_its_policy_and_looks_as_it_should(browser, base):
    browser.visit(f"{base}/auth/sign-in")
    assert browser.complaints() == []
    assert browser.run("getComputedStyle(document.querySelector('main')).width") != "auto"
    assert browser.run("document.styleSheets.length") == 1
    browser.run("document.body.insertAdjacentHTML('beforeend', '<p style=\"color:red\" onclick=\"a()\">x</p>')")
    browser.run("new Promise(done => setTimeout(done, 50))")
    assert any("Content Security Policy" in text for text in browser.complaints())


@pytest.mark.parametrize(("language", "title"), [("ru", "Вход"), ("en", "Sign in")])
def test_the_browsers_language(browser, base, language, title):
    browser.call("Network.setExtraHTTPHeaders", headers={"Accept-Language": language})
    try:
        browser.visit(f"{base}/auth/sign-in")
        assert browser.run("document.querySelector('h1').textContent") == title
        assert browser.run("document.documentElement.lang") == language
        assert browser.run("document.activeElement.id") == "user"
    finally:
        browser.call("Network.setExtraHTTPHeaders", headers={})

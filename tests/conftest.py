"""Shared fixtures and how tests are put together. A skipped test says so aloud; with POSTERN_NO_SKIP=1 (CI) it fails.

Tests run in several workers (`make test`). A worker makes module- and session-wide fixtures for itself, so tests that
share one stay in one worker; all others go wherever there is room.
"""

from __future__ import annotations

import gc
import os
from collections import Counter
from pathlib import Path

import hypothesis
import pytest
from tests.rewriting import rewrite_all

# a busy machine is no fault of an example
hypothesis.settings.register_profile("suite", deadline=None)
hypothesis.settings.load_profile("suite")

HERE = Path(__file__).parent
DEAR = ("domain_controller", "demo")
"""Fixtures of a session that take longest, the longest first: who uses several stays with the others of the first."""
CHEAP = frozenset({"organisation"})
"""Fixtures of a session that each worker may as well make for itself: hundreds of tests use them."""
TAKES = {
    "domain_controller": 60,
    "mail_network": 40,
    "demo": 25,
    "interop/acme/test_acme.py": 12,
    "integration/test_certificate_replacement.py": 12,
    "interop/trust/test_sending.py": 10,
    "interop/ldap/test_address_books.py": 9,
    "integration/test_rights_matrix.py": 8,
    "interop/directory/test_directory_command.py": 5,
    "integration/test_check_program.py": 5,
    "integration/test_life_cycle.py": 4,
    "interop/sieve/test_pigeonhole.py": 3,
    "integration/test_front_ends.py": 3,
    "integration/test_server.py": 3,
}
"""Seconds of groups that are long because of many tests, none of which is slow."""


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session):
    if session.config.getoption("numprocesses", None) and not hasattr(session.config, "workerinput"):
        rewrite_all(HERE, session.config)


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Nothing of what is collected is garbage: looking for some in it took almost half of the time, then and later."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


def refuse_skip(report):
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("POSTERN_NO_SKIP"):
        report.outcome = "failed"
        report.longrepr = f"skipped where nothing may be skipped: {report.longrepr}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    return refuse_skip((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    return refuse_skip((yield))


def shared_fixtures(item):
    """(scope, name) of what an item shares with others of its module or session, of fixtures made here."""
    for name, definitions in item._fixtureinfo.name2fixturedefs.items():
        scope = definitions[-1].scope
        if (
            scope in ("module", "package", "session")
            and definitions[-1].baseid.startswith("tests")
            and name not in CHEAP
        ):
            yield scope, name


def group_of(path, shared):
    """The dearest thing that a test shares, or its module if it is only theirs."""
    names = {name for scope, name in shared if scope == "session"}
    for name in (*DEAR, *sorted(names)):
        if name in names:
            return name
    return str(path.relative_to(HERE)) if shared else None


def pytest_itemcollected(item):
    """Groups are there before xdist asks for them."""
    if group := group_of(item.path, set(shared_fixtures(item))):
        item.add_marker(pytest.mark.xdist_group(group))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    """The longest first, after pytest-randomly has shuffled: one that begins last is waited for alone."""
    seconds: Counter[object] = Counter(TAKES)
    for item in items:
        if mark := item.get_closest_marker("slow"):
            seconds[name_of(item)] += mark.args[0]
    items.sort(key=lambda item: -seconds[name_of(item)])


def name_of(item):
    """What it waits with: its group, or it alone."""
    mark = item.get_closest_marker("xdist_group")
    return mark.args[0] if mark else item

"""Shared fixtures and how tests are put together. A skipped test says so aloud; with POSTERN_NO_SKIP=1 (CI) it fails.

Tests run in several workers (`make test`). A worker makes module- and session-wide fixtures for itself, so tests that
share one stay in one worker; all others go wherever there is room.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

HERE = Path(__file__).parent
DEAR = ("domain_controller", "demo")
"""Fixtures of a session that take longest, the longest first: who uses several stays with the others of the first."""


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
        if scope in ("module", "package", "session") and definitions[-1].baseid.startswith("tests"):
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
    """Long ones first, after pytest-randomly has shuffled."""
    slow = {name for item in items if item.get_closest_marker("slow") for name in names_of(item)}
    items.sort(key=lambda item: slow.isdisjoint(names_of(item)))


def names_of(item):
    """What it waits with: its group, or it alone."""
    return [mark.args[0] for mark in item.iter_markers("xdist_group")] or [item]

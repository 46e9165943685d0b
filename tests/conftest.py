"""Shared fixtures and how tests are put together. A skipped test says so aloud; with POSTERN_NO_SKIP=1 (CI) it fails.

Tests run in several workers (`make test`). A worker makes module- and session-wide fixtures for itself, so tests that
share one stay in one worker; all others go wherever there is room.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

HERE = Path(__file__).parent


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


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    modules = {}
    for item in items:
        modules.setdefault(item.path, []).append(item)
    order = {}
    for path, members in modules.items():
        marked = {mark.args[0] for item in members for mark in item.iter_markers("xdist_group")}
        shared = sorted({entry for item in members for entry in shared_fixtures(item)}, reverse=True)
        group = str(path.relative_to(HERE)) if shared else None
        if shared and shared[0][0] == "session":
            group = shared[0][1]
        if group and not marked:
            for item in members:
                item.add_marker(pytest.mark.xdist_group(group))
        slow = any(item.get_closest_marker("slow") for item in members)
        order |= dict.fromkeys(members, not slow)
    items.sort(key=order.__getitem__)

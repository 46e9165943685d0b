"""Tests that share something stay in one worker: a newer pytest and pytest-xdist may part without a word."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="module")
def shared():
    return object()


def test_a_group_is_seen_by_the_workers(shared, request):
    assert [mark.args for mark in request.node.iter_markers("xdist_group")] == [("architecture/test_groups.py",)]
    if hasattr(request.config, "workerinput"):
        assert request.node.nodeid.endswith("@architecture/test_groups.py")

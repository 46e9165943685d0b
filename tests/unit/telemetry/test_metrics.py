"""Metrics of several processes add up on one page that Prometheus' own parser reads."""

from __future__ import annotations

import os

import pytest
from prometheus_client.parser import text_string_to_metric_families

from postern.telemetry.metrics import SERIES, Registry


def page(registry):
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(registry.render())
        for sample in family.samples
    }


def test_rows_add_up_and_survive_their_process():
    registry = Registry()
    counter = registry.counter("postern_things_total", "Things.", {"kind": 'a "b"\\'})
    gauge = registry.gauge("postern_open", "Open.")
    high = registry.gauge("postern_lag_seconds", "Lag.", highest=True)
    counter.add()
    for process in (1, 2):
        pid = os.fork()
        if not pid:
            registry.activate(process)
            counter.add(10)
            gauge.set(5)
            high.set(process)
            os._exit(0)
        os.waitpid(pid, 0)
    assert page(registry) == {
        ("postern_things_total", (("kind", 'a "b"\\'),)): 21.0,
        ("postern_open", ()): 10.0,
        ("postern_lag_seconds", ()): 2.0,
    }
    registry.forget(1)
    assert registry.value("postern_open") == 5
    assert registry.value("postern_things_total", {"kind": 'a "b"\\'}) == 21


def test_histograms_are_cumulative():
    registry = Registry()
    histogram = registry.histogram("postern_lag", "Lag.", bounds=(0.1, 1.0))
    for value in (0.05, 0.1, 0.5, 7):
        histogram.observe(value)
    samples = page(registry)
    assert samples["postern_lag_bucket", (("le", "0.1"),)] == 2
    assert samples["postern_lag_bucket", (("le", "1.0"),)] == 3
    assert samples["postern_lag_bucket", (("le", "+Inf"),)] == samples["postern_lag_count", ()] == 4
    assert samples["postern_lag_sum", ()] == pytest.approx(7.65)


def test_declaring_twice_is_the_same_series_and_the_table_has_an_end():
    registry = Registry()
    one, two = registry.counter("a_total", "A."), registry.counter("a_total", "A.")
    one.add()
    two.add()
    assert registry.value("a_total") == 2
    with pytest.raises(ValueError, match="series"):
        for number in range(SERIES):
            registry.counter("b_total", "B.", {"n": str(number)})

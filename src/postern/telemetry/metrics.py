"""Counters, gauges and histograms of all processes in one shared table, and their text for Prometheus.

The table is anonymous shared memory made before the fork: a row for each process, a column for each series. A process
writes to its own row, so nothing is locked and nothing is lost when it dies; whoever serves the page adds the rows up.
Series are declared before the fork and only then.
"""

from __future__ import annotations

import mmap
from bisect import bisect_left
from collections.abc import Mapping, Sequence

PROCESSES = 64
SERIES = 1024
LATENCY_BUCKETS_S = (0.001, 0.004, 0.016, 0.064, 0.256, 1.0, 4.0)


class Counter:
    """Only grows."""

    __slots__ = ("_column", "_registry")

    def __init__(self, registry: Registry, column: int) -> None:
        self._registry = registry
        self._column = column

    def add(self, amount: float = 1.0) -> None:
        """Count."""
        self._registry.row[self._column] += amount


class Gauge:
    """A state; the processes' values are added up, or the highest is taken."""

    __slots__ = ("_column", "_registry")

    def __init__(self, registry: Registry, column: int) -> None:
        self._registry = registry
        self._column = column

    def set(self, value: float) -> None:
        """Replace this process's value."""
        self._registry.row[self._column] = value


class Histogram:
    """How often which size, in buckets."""

    __slots__ = ("_bounds", "_column", "_registry")

    def __init__(self, registry: Registry, column: int, bounds: Sequence[float]) -> None:
        self._registry = registry
        self._column = column
        self._bounds = bounds

    def observe(self, value: float) -> None:
        """Count a value."""
        row = self._registry.row
        row[self._column + bisect_left(self._bounds, value)] += 1
        row[self._column + len(self._bounds) + 1] += value


class _Family:
    """A metric name with its series by labels."""

    __slots__ = ("bounds", "help", "highest", "kind", "series")

    def __init__(self, kind: str, help_: str, bounds: Sequence[float], highest: bool) -> None:
        self.kind = kind
        self.help = help_
        self.bounds = bounds
        self.highest = highest
        self.series: list[tuple[Mapping[str, str], int]] = []


class Registry:
    """All series of a server."""

    def __init__(self) -> None:
        self._table = memoryview(mmap.mmap(-1, PROCESSES * SERIES * 8)).cast("d")
        self._families: dict[str, _Family] = {}
        self._used = 0
        self._process = 0
        self.row: memoryview[float] = self._table[:SERIES]

    def activate(self, process: int) -> None:
        """In a forked process: write to this row from now on; gauges of a predecessor fall to 0."""
        self._process = process
        self.row = self._table[process * SERIES : (process + 1) * SERIES]
        self.forget(process)

    def forget(self, process: int) -> None:
        """The process died: its gauges no longer hold. Its counters stay."""
        for family in self._families.values():
            if family.kind == "gauge":
                for _, column in family.series:
                    self._table[process * SERIES + column] = 0.0

    def counter(self, name: str, help_: str, labels: Mapping[str, str] | None = None) -> Counter:
        """Declare. `name` ends with `_total`."""
        return Counter(self, self._declare(name, _Family("counter", help_, (), False), labels or {}, 1))

    def gauge(self, name: str, help_: str, labels: Mapping[str, str] | None = None, *, highest: bool = False) -> Gauge:
        """Declare."""
        return Gauge(self, self._declare(name, _Family("gauge", help_, (), highest), labels or {}, 1))

    def histogram(
        self,
        name: str,
        help_: str,
        labels: Mapping[str, str] | None = None,
        bounds: Sequence[float] = LATENCY_BUCKETS_S,
    ) -> Histogram:
        """Declare; `bounds` are the buckets' upper bounds, ascending."""
        family = _Family("histogram", help_, bounds, False)
        return Histogram(self, self._declare(name, family, labels or {}, len(bounds) + 2), bounds)

    def _declare(self, name: str, family: _Family, labels: Mapping[str, str], columns: int) -> int:
        known = self._families.setdefault(name, family)
        for having, column in known.series:
            if having == labels:
                return column
        if self._used + columns > SERIES:
            raise ValueError(f"more than {SERIES} series of metrics")
        column = self._used
        self._used += columns
        known.series.append((dict(labels), column))
        return column

    def value(self, name: str, labels: Mapping[str, str] | None = None) -> float:
        """A counter's or gauge's value over all processes. Raises KeyError."""
        family = self._families[name]
        for having, column in family.series:
            if having == (labels or {}):
                return self._over_all(family, column)
        raise KeyError(labels)

    def values(self, name: str) -> list[float]:
        """A series without labels, by process. Raises KeyError."""
        column = self._families[name].series[0][1]
        return [float(value) for value in self._table[column::SERIES].tolist()]

    def _over_all(self, family: _Family, column: int) -> float:
        values = self._table[column::SERIES].tolist()
        return float(max(values) if family.highest else sum(values))

    def render(self) -> str:
        """The page in Prometheus' text format 0.0.4."""
        lines: list[str] = []
        for name, family in self._families.items():
            lines += (f"# HELP {name} {family.help}", f"# TYPE {name} {family.kind}")
            for labels, column in family.series:
                if family.kind == "histogram":
                    lines += self._render_histogram(name, family, labels, column)
                else:
                    lines.append(f"{name}{_labels(labels)} {_number(self._over_all(family, column))}")
        return "\n".join(lines) + "\n"

    def _render_histogram(self, name: str, family: _Family, labels: Mapping[str, str], column: int) -> list[str]:
        lines = []
        count = 0.0
        for index, bound in enumerate((*family.bounds, "+Inf")):
            count += self._over_all(family, column + index)
            lines.append(f"{name}_bucket{_labels({**labels, 'le': str(bound)})} {_number(count)}")
        total = self._over_all(family, column + len(family.bounds) + 1)
        lines += (f"{name}_sum{_labels(labels)} {_number(total)}", f"{name}_count{_labels(labels)} {_number(count)}")
        return lines


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    escaped = (
        (key, value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")) for key, value in labels.items()
    )
    return "{" + ",".join(f'{key}="{value}"' for key, value in escaped) + "}"


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)

"""How `postern check` shows what it found."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from postern.checks import report
from postern.checks.model import Outcome, Severity, Skipped, State
from postern.cli.language import _, language
from postern.cli.output import show_list
from postern.topology.drawing import draw
from postern.topology.flows import required_flows
from postern.topology.model import Topology
from postern.topology.report import BAD, FAIR, GOOD, html_page


def _states() -> dict[State, str]:
    return {
        State.ERROR: _("ERROR"),
        State.WARNING: _("WARNING"),
        State.OK: _("OK"),
        State.SKIPPED: _("NOT ASKED"),
    }


def _columns() -> dict[str, str]:
    return {
        "state": _("STATE"),
        "host": _("HOST"),
        "port": _("PORT"),
        "expected": _("CATALOGUED"),
        "found": _("FOUND"),
    }


def _row(outcome: Outcome) -> dict[str, Any]:
    service = outcome.service
    return {
        "state": _states()[outcome.state],
        "host": service.host,
        "address": service.address,
        "port": f"{service.port}/{service.transport}",
        "expected": report.expected(service),
        "found": printable(report.found(service, outcome.seen)),
        "paths": [one.path for one in service.expectations],
        "findings": [printable(one.text.of(language())) for one in outcome.findings],
        "advice": [printable(one.advice.of(language())) for one in outcome.findings],
    }


def printable(text: str, limit: int = 100) -> str:
    """What a stranger's server said, safe for a terminal, and not longer than a line."""
    clean = "".join(c if c.isprintable() else "\ufffd" for c in text)
    return clean if len(clean) <= limit * 3 else clean[: limit * 3 - 1] + "\u2026"


def show(outcomes: Sequence[Outcome], skipped: Sequence[Skipped]) -> None:
    """Differences with what to do, then the table, then the sums."""
    marks = {Severity.ERROR: "✗", Severity.WARNING: "!", Severity.NOTICE: "·"}
    told: dict[tuple[str, str, str], list[str]] = {}
    for outcome in outcomes:
        for one in outcome.findings:
            text, advice = printable(one.text.of(language())), printable(one.advice.of(language()))
            where = f"{outcome.service.port}/{outcome.service.transport}"
            told.setdefault((f"{marks[one.severity]} {outcome.service.host}", text, advice), []).append(where)
    # what all services of a host have in common is told once
    for (who, text, advice), ports in told.items():
        sys.stdout.write(f"{who} {', '.join(ports)}: {text}\n    {advice}\n")
    if told:
        sys.stdout.write("\n")
    show_list([_row(one) for one in outcomes], _columns(), json=False)
    counts = {state: sum(one.state is state for one in outcomes) for state in State}
    sys.stdout.write(
        "\n"
        + _(
            "{asked} services: {good} as catalogued, {warnings} with warnings, {errors} with errors;"
            " {skipped} data paths cannot be asked.",
            asked=len(outcomes),
            good=counts[State.OK],
            warnings=counts[State.WARNING],
            errors=counts[State.ERROR],
            skipped=len(skipped),
        )
        + "\n"
    )


def html(title: str, topology: Topology | None, outcomes: Sequence[Outcome], skipped: Sequence[Skipped]) -> str:
    """One HTML file with the picture of the topology, if there is one, and everything found."""
    states = _states()
    rows = [_row(one) for one in outcomes]
    rows += [
        {
            "state": states[State.SKIPPED],
            "host": one.host,
            "port": one.ports,
            "paths": [one.path],
            "found": one.reason.of(language()),
        }
        for one in skipped
    ]
    columns = {
        **_columns(),
        "findings": _("DIFFERENCES"),
        "advice": _("WHAT TO DO"),
        "paths": _("DATA PATHS"),
    }
    picture = draw(topology, required_flows(topology), language()) if topology is not None else ""
    tones = {states[State.OK]: GOOD, states[State.WARNING]: FAIR, states[State.ERROR]: BAD}
    heading = _("Check of the data paths: {title}", title=title)
    return html_page(heading, picture, columns, rows, language(), tones=tones)


@contextmanager
def progress(total: int) -> Iterator[Callable[[], None]]:
    """A bar on standard error while people look on; nothing in pipes."""
    if not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(_("Asking"), total=total)
        yield lambda: bar.advance(task)

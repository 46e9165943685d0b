"""Questions to a topology: the answer has what was asked for and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from postern.catalogue.query import rows
from postern.catalogue.schema import Level
from postern.topology.flows import required_flows
from postern.topology.loading import load
from postern.topology.model import Flow
from postern.topology.selecting import Question, narrowed_zones, roles_of, select

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
MIGRATION = load(EXAMPLES / "migration.toml")
FLOWS = required_flows(MIGRATION)
ALL = rows("all")


def ask(**question: object) -> tuple[Flow, ...]:
    return select(MIGRATION, FLOWS, Question(rows=question.pop("rows", ALL), **question))  # type: ignore[arg-type]


def test_a_question_without_conditions_leaves_every_flow_of_the_catalogue():
    answer = ask()
    assert {(f.source.name, f.destination.name, f.port_text) for f in answer} == {
        (f.source.name, f.destination.name, f.port_text) for f in FLOWS if f.path_ids != ("ground-rule",)
    }


def test_a_source_is_a_role_at_that_end_of_the_flow():
    answer = ask(rows=rows("all", source="outlook"), source="outlook")
    assert answer
    assert all("outlook" in roles_of(MIGRATION, flow.source) for flow in answer)
    assert {flow.source.name for flow in answer} == {"Internet", "Offices"}
    assert not any(flow.destination.name.startswith(("edge", "dc")) for flow in answer)


def test_what_other_programs_need_of_the_same_port_is_left_out():
    whole = next(f for f in FLOWS if (f.source.name, f.destination.name, f.first) == ("Offices", "ex1", 443))
    answer = ask(rows=rows("all", source="web-client"), source="web-client")
    part = next(f for f in answer if (f.source.name, f.destination.name, f.first) == ("Offices", "ex1", 443))
    assert set(part.path_ids) < set(whole.path_ids)


def test_a_port_is_asked_for_alone_even_where_its_data_path_has_more():
    answer = ask(rows=rows("all", port=993), port=993)
    assert {flow.port_text for flow in answer if not flow.unfiltered} == {"993/tcp"}
    assert ask(rows=rows("all", port=53), port=53, transport="udp")
    assert all(f.transport in ("udp", "any") for f in ask(rows=rows("all", port=53), port=53, transport="udp"))


def test_encryption_is_that_of_what_is_left():
    answer = ask(level=Level.NONE)
    assert answer
    assert {flow.encryption for flow in answer} == {"none"}


@pytest.mark.parametrize("pair", [("outlook", "mailbox"), ("mailbox", "outlook")])
def test_between_two_roles_either_way(pair):
    answer = ask(between=pair)
    assert answer
    for flow in answer:
        ends = roles_of(MIGRATION, flow.source), roles_of(MIGRATION, flow.destination)
        assert ("outlook" in ends[0] and "mailbox" in ends[1]) or ("mailbox" in ends[0] and "outlook" in ends[1])


def test_a_picture_names_only_those_who_take_part():
    question = Question(rows=rows("all", source="outlook"), source="outlook")
    answer = select(MIGRATION, FLOWS, question)
    shown = narrowed_zones(MIGRATION, answer, question)
    assert shown.zone("Internet").roles == ("outlook",)
    assert shown.zone("Perimeter") == MIGRATION.zone("Perimeter")


def test_the_edge_speaks_with_those_inside_servers_that_transport_mail_in_their_own_edition():
    """A Hub Transport of 2010 sends to an Edge of 2016; a Mailbox of 2010 does not, one of 2016 does."""
    to_edge = {(f.source.name, f.first) for f in FLOWS if f.destination.name == "edge1" and f.source.name != "Internet"}
    expected = {(name, port) for name in ("cas1", "cas2", "ex1", "ex2") for port in (25, 50636)}
    assert to_edge == expected | {("postern1", 25), ("postern2", 25)}
    from_edge = {f.destination.name for f in FLOWS if f.source.name == "edge1" and f.first == 25}
    assert from_edge == {"Internet", "cas1", "cas2", "ex1", "ex2", "postern1", "postern2"}

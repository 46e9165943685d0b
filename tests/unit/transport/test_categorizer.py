from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from transport_doubles import TinyDirectory

from postern.model.envelope import Envelope, Recipient
from postern.model.ids import DeliveryKey
from postern.transport import outcomes
from postern.transport.categorizer import categorize, plain_delivery
from postern.transport.outcomes import Defer, Deliver, Expand, Fail, Relay

SENDER = "sender@else.example"


def envelope(*recipients: str | Recipient, sender: str = SENDER) -> Envelope:
    return Envelope(sender, tuple(r if isinstance(r, Recipient) else Recipient(r) for r in recipients))


def of(kind, found):
    return [o for o in found if isinstance(o, kind)]


async def test_a_mailbox_gets_one_copy_however_many_ways_lead_there(directory: TinyDirectory) -> None:
    directory.account("anna")
    directory.aliases["a@here.example"] = ("anna@here.example",)
    directory.group("staff", "anna@here.example", "team@here.example")
    directory.group("team", "anna@here.example", "a@here.example")
    found = await categorize(
        envelope("staff@here.example", "Anna@here.example", "anna+x@here.example", "a@here.example"), directory
    )
    assert len(of(Deliver, found)) == 1
    assert not of(Fail, found)


async def test_plus_address_keeps_its_tag(directory: TinyDirectory) -> None:
    directory.account("anna")
    (found,) = await categorize(envelope("anna+shop@here.example"), directory)
    assert isinstance(found, Deliver)
    assert (found.tag, found.asked) == ("shop", "anna+shop@here.example")


async def test_unknown_recipient_fails_and_outside_is_relayed_once(directory: TinyDirectory) -> None:
    found = await categorize(envelope("no@here.example", "x@far.example", "X@far.example"), directory)
    assert [f.status for f in of(Fail, found)] == ["5.1.1"]
    assert [(r.recipient.address, r.domain) for r in of(Relay, found)] == [("x@far.example", "far.example")]


async def test_loop_of_aliases_fails_for_every_recipient_in_it(directory: TinyDirectory) -> None:
    directory.aliases["a@here.example"] = ("b@here.example",)
    directory.aliases["b@here.example"] = ("a@here.example",)
    found = await categorize(envelope("a@here.example", "b@here.example"), directory)
    assert [(f.recipient.address, f.status) for f in of(Fail, found)] == [
        ("a@here.example", "5.4.6"),
        ("b@here.example", "5.4.6"),
    ]


async def test_nested_groups_that_contain_each_other_reach_everybody(directory: TinyDirectory) -> None:
    directory.account("anna")
    directory.account("boris")
    directory.group("one", "anna@here.example", "two@here.example")
    directory.group("two", "boris@here.example", "one@here.example")
    found = await categorize(envelope("one@here.example"), directory)
    assert sorted(d.recipient.address for d in of(Deliver, found)) == ["anna@here.example", "boris@here.example"]
    assert not of(Fail, found)
    assert [e.members for e in of(Expand, found)] == [2, 2]


async def test_forwarding_with_and_without_keeping(directory: TinyDirectory) -> None:
    directory.account("keep", ("out@far.example",), keep=True)
    directory.account("send", ("out2@far.example",), keep=False)
    found = await categorize(envelope("keep@here.example", "send@here.example"), directory)
    assert [d.recipient.address for d in of(Deliver, found)] == ["keep@here.example"]
    assert [(r.recipient.address, r.asked) for r in of(Relay, found)] == [
        ("out@far.example", "keep@here.example"),
        ("out2@far.example", "send@here.example"),
    ]


async def test_accounts_that_forward_to_each_other_fail_instead_of_losing(directory: TinyDirectory) -> None:
    directory.account("a", ("b@here.example",), keep=False)
    directory.account("b", ("a@here.example",), keep=False)
    found = await categorize(envelope("a@here.example"), directory)
    assert [f.status for f in of(Fail, found)] == ["5.4.6"]


async def test_dsn_parameters_follow_rfc_3461(directory: TinyDirectory) -> None:
    directory.account("anna")
    directory.aliases["one@here.example"] = ("x@far.example",)
    directory.group("many", "y@far.example", "anna@here.example")
    asked = "SUCCESS,FAILURE"
    found = await categorize(
        envelope(Recipient("one@here.example", asked), Recipient("many@here.example", asked)), directory
    )
    relays = {r.recipient.address: r.recipient for r in of(Relay, found)}
    assert relays["x@far.example"].notify == asked
    assert relays["x@far.example"].original == "rfc822;one@here.example"
    assert relays["y@far.example"].notify == "FAILURE"
    assert [(e.recipient.address, e.final) for e in of(Expand, found)] == [
        ("one@here.example", False),
        ("many@here.example", True),
    ]


async def test_group_owner_gets_the_bounces_but_never_those_of_bounces(directory: TinyDirectory) -> None:
    directory.group("list", "x@far.example", owner="boss@here.example")
    (_, relay) = await categorize(envelope("list@here.example"), directory)
    assert relay.reverse_path == "boss@here.example"
    (_, relay) = await categorize(envelope("list@here.example", sender=""), directory)
    assert relay.reverse_path == ""


async def test_group_for_authenticated_senders(directory: TinyDirectory) -> None:
    directory.account("anna")
    directory.group("staff", "anna@here.example", authenticated_only=True)
    (found,) = await categorize(envelope("staff@here.example"), directory)
    assert isinstance(found, Fail)
    assert found.status == "5.7.1"
    found = await categorize(envelope("staff@here.example"), directory, authenticated=True)
    assert len(of(Deliver, found)) == 1


async def test_a_directory_that_does_not_answer_defers(directory: TinyDirectory) -> None:
    directory.account("anna")
    directory.broken.add("boris@here.example")
    found = await categorize(envelope("anna@here.example", "boris@here.example"), directory)
    assert [type(o) for o in found] == [Deliver, Defer]


async def test_depth_is_bounded(directory: TinyDirectory) -> None:
    for n in range(60):
        directory.aliases[f"a{n}@here.example"] = (f"a{n + 1}@here.example",)
    found = await categorize(envelope("a0@here.example"), directory)
    assert [f.status for f in of(Fail, found)] == ["5.4.6"]
    assert directory.asked < 40


async def test_plain_delivery_is_the_same_as_the_long_way(directory: TinyDirectory) -> None:
    directory.account("anna")
    directory.account("away", ("x@far.example",))
    for name in ("anna@here.example", "anna+t@here.example"):
        resolution = await directory.resolve(name)
        assert [plain_delivery(Recipient(name), resolution, SENDER)] == await categorize(envelope(name), directory)
    for name in ("away@here.example", "no@here.example", "x@far.example"):
        assert plain_delivery(Recipient(name), await directory.resolve(name), SENDER) is None


def test_outcomes_survive_the_journal() -> None:
    who = Recipient("x@far.example", "FAILURE", "rfc822;y@here.example")
    some = [
        Deliver(who, SENDER, "0" * 32, "y@here.example", "tag"),
        Relay(who, "", "far.example"),
        Expand(who, SENDER, 7, True),
        Fail(who, SENDER, "5.1.1", "no"),
        Defer(who, SENDER, "later"),
    ]
    assert outcomes.decode(outcomes.encode(some)) == some


def test_queue_ids_differ() -> None:
    keys = [DeliveryKey(1, 2), DeliveryKey(12, 0), DeliveryKey(-1, 2), DeliveryKey(1, 0x20)]
    assert len({outcomes.queue_id(k) for k in keys}) == len(keys)


NAMES = [f"n{i}@here.example" for i in range(6)]


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(NAMES),
        st.tuples(st.sampled_from(["alias", "group", "account", "away"]), st.lists(st.sampled_from(NAMES), max_size=4)),
    ),
    st.lists(st.sampled_from(NAMES), min_size=1, max_size=3),
)
async def test_no_recipient_vanishes_and_no_mailbox_gets_two(graph, recipients) -> None:
    directory = TinyDirectory()
    for name, (kind, members) in graph.items():
        local = name.partition("@")[0]
        if kind == "group":
            directory.group(local, *members)
        elif kind == "alias" and members:
            directory.aliases[name] = tuple(members)
        elif kind == "account":
            directory.account(local)
        else:
            directory.account(local, tuple(members), keep=not members)
    found = await categorize(envelope(*recipients), directory)
    mailboxes = [d.mailbox for d in of(Deliver, found)]
    assert len(mailboxes) == len(set(mailboxes))
    assert found
    # a group without members is the only way to reach nobody without a failure
    if not of(Deliver, found) and not of(Fail, found):
        assert any(e.members == 0 for e in of(Expand, found))
    for recipient in recipients:
        alone = await categorize(envelope(recipient), directory)
        reached = {d.mailbox for d in of(Deliver, alone)}
        assert reached <= set(mailboxes)

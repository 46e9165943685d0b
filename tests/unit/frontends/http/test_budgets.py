"""How much one account may ask: in numbers, and over the wire."""

from __future__ import annotations

import asyncio

from tests.unit.frontends.http.test_http_sign_in import basic

from postern.frontends.http import budget
from postern.frontends.http.asgi import Answer
from postern.frontends.http.budget import BUSY_S, Budgets, Turn
from postern.frontends.http.site import Access, Mount


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_minute_of_requests_then_an_even_flow():
    clock = Clock()
    budgets = Budgets(0, 60, clock)
    assert all(isinstance(budgets.enter(1), Turn) for _ in range(60))
    assert budgets.enter(1) == 1.0
    clock.now += 0.5
    assert budgets.enter(1) == 0.5
    clock.now += 0.5
    assert isinstance(budgets.enter(1), Turn)
    assert budgets.enter(1) == 1.0
    assert isinstance(budgets.enter(2), Turn), "somebody else's budget"
    clock.now += 3600
    assert sum(isinstance(budgets.enter(1), Turn) for _ in range(100)) == 60, "an hour of silence is worth a minute"


def test_so_many_at_once_and_a_place_is_given_back_once():
    budgets = Budgets(2, 0, Clock())
    first, second = budgets.enter(1), budgets.enter(1)
    assert budgets.enter(1) == BUSY_S
    first.release()
    first.release()
    assert isinstance(budgets.enter(1), Turn)
    assert budgets.enter(1) == BUSY_S
    second.release()


def test_no_limit_keeps_nothing():
    budgets = Budgets(0, 0, Clock())
    for account in range(100):
        budgets.enter(account)
    assert not budgets._accounts


def test_memory_is_bounded_and_who_has_something_running_is_kept(monkeypatch):
    monkeypatch.setattr(budget, "MAX_ACCOUNTS", 10)
    budgets = Budgets(1, 10, Clock())
    budgets.enter(0)
    for account in range(1, 100):
        budgets.enter(account).release()
    assert len(budgets._accounts) == 10
    assert budgets.enter(0) == BUSY_S


async def test_over_budget_is_503_with_retry_after_and_the_connection_goes_on(world):
    port = await world.site(Mount("/x", Answer(200, b"here")), user_per_minute=3)
    client = await world.connect(port)
    assert [(await client.ask("GET", "/x", basic())).status for _ in range(5)] == [200, 200, 200, 503, 503]
    refused = await client.ask("GET", "/x", basic())
    assert 1 <= int(refused.get("retry-after")) <= 20
    assert (await client.ask("GET", "/x", basic("boris@example.org"))).status == 200
    assert world.log.of("http.over_budget")[0]["user"] == "anna@example.org"


async def test_requests_at_once_and_one_that_waits_for_long(world):
    waiting, gate = asyncio.Event(), asyncio.Event()
    parked = True

    async def slow(scope, receive, send):
        if parked:
            scope["state"]["turn"].release()
        waiting.set()
        await gate.wait()
        await Answer(200)(scope, receive, send)

    def busy(seconds: float) -> Answer:
        return Answer(500, b"<ErrorServerBusy>%d</ErrorServerBusy>" % (seconds * 1000))

    port = await world.site(
        Mount("/slow", slow, busy=busy), Mount("/free", Answer(200), Access(budgeted=False)), user_concurrency=1
    )
    for parked, status in ((True, 200), (False, 500)):
        waiting.clear()
        gate.clear()
        first, second = await world.connect(port), await world.connect(port)
        one = asyncio.create_task(first.ask("GET", "/slow", basic()))
        await asyncio.wait_for(waiting.wait(), 60)
        two = asyncio.create_task(second.ask("GET", "/slow", basic()))
        if not parked:
            answer = await asyncio.wait_for(two, 60)
            assert (answer.status, answer.body) == (500, b"<ErrorServerBusy>5000</ErrorServerBusy>")
            assert (await second.ask("GET", "/free", basic())).status == 200
        gate.set()
        assert (await one).status == 200
        assert (await two).status == status
        assert (await second.ask("GET", "/slow", basic())).status == 200, "its place was given back"

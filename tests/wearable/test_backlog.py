"""What waits, and what is dropped."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from clients.wearable.backlog import Backlog


@given(st.lists(st.integers()), st.integers(1, 5))
def test_of_more_than_it_holds_the_newest_stay_and_each_loss_is_told(items: list[int], longest: int) -> None:
    backlog: Backlog[int] = Backlog(longest)
    dropped = sum(backlog.put(item) for item in items)
    backlog.close()

    async def taken() -> list[int]:
        return [item async for item in backlog]

    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        assert runner.run(taken()) == items[-longest:]
    assert dropped == max(0, len(items) - longest)


async def test_who_takes_waits_until_something_is_there() -> None:
    backlog: Backlog[str] = Backlog(2)
    async with asyncio.TaskGroup() as tasks:
        taking = tasks.create_task(anext(backlog))
        await asyncio.sleep(0)
        assert not taking.done()
        backlog.put("beat")
    assert taking.result() == "beat"


async def test_a_cancelled_wait_loses_nothing() -> None:
    backlog: Backlog[str] = Backlog(2)
    waiting = asyncio.ensure_future(anext(backlog))
    await asyncio.sleep(0)
    backlog.put("beat")
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert await anext(backlog) == "beat"


async def test_it_ends_when_it_is_closed_and_empty() -> None:
    backlog: Backlog[str] = Backlog(2)
    backlog.put("beat")
    backlog.close()
    assert [item async for item in backlog] == ["beat"]

"""The queue that serves users in turn."""

import asyncio
from collections.abc import Callable
from typing import Any

from local.runtime.fair_queue import FairQueue
from local.runtime.invocation import Invocation


def in_loop(test: Callable[[], Any]) -> None:
    """Run a test in an event loop, which invocations need."""

    async def run() -> None:
        test()

    asyncio.run(run())


def filled(users: str) -> FairQueue:
    """Return a queue with an invocation for each letter, which names its user; a dash has none."""
    queue = FairQueue()
    for user in users:
        queue.put(Invocation(b"", user=user.strip("-")))
    return queue


def taken(queue: FairQueue, *, limit: int = 9) -> list[Invocation]:
    invocations = []
    while invocation := queue.take(limit=limit):
        invocations.append(invocation)
    return invocations


def users(invocations: list[Invocation]) -> str:
    return "".join(invocation.user or "-" for invocation in invocations)


def test_users_take_turns_however_many_one_of_them_sends() -> None:
    in_loop(lambda: check_order("aaaabbc", "abcabaa"))


def check_order(sent: str, served: str) -> None:
    assert users(taken(filled(sent))) == served


def test_the_user_with_the_fewest_running_invocations_is_next() -> None:
    def run() -> None:
        queue = filled("aaaa")
        running = [queue.take(limit=9), queue.take(limit=9)]
        for user in "ab":
            queue.put(Invocation(b"", user=user))

        assert users(taken(queue)[:2]) == "ba"
        assert all(running)

    in_loop(run)


def test_a_user_at_the_limit_waits_for_an_end() -> None:
    def run() -> None:
        queue = filled("aaaa")
        first, second = taken(queue, limit=2)
        assert queue.ready(limit=2) == 0

        second.answer(b"")
        assert not first.is_over
        assert queue.ready(limit=2) == 1
        assert len(taken(queue, limit=2)) == 1

    in_loop(run)


def test_invocations_without_a_user_have_no_limit_and_keep_their_order() -> None:
    def run() -> None:
        queue = filled("---")
        assert queue.ready(limit=1) == 3
        waiting = list(queue._waiting[""])

        assert taken(queue, limit=1) == waiting

    in_loop(run)

from __future__ import annotations

import threading

from mixminus.media.taping.aside import Aside


def test_everything_is_done_in_order_by_one_thread_that_gets_on_with_it() -> None:
    done: list[tuple[int, int]] = []
    with Aside("test") as aside:
        for number in range(200):
            aside.submit(lambda number=number: done.append((number, threading.get_ident())))  # type: ignore[misc]
    assert [number for number, _ in done] == list(range(200))


def test_what_is_stuck_holds_up_no_other_once_that_was_seen() -> None:
    stuck, reached, freed, other = (threading.Event() for _ in range(4))

    def wait() -> None:
        reached.set()
        assert stuck.wait(10)
        freed.set()

    with Aside("test") as aside:
        aside.submit(wait)
        assert reached.wait(10)
        aside.submit(other.set)
        assert not other.wait(0.02)
        aside.look()
        assert other.wait(10)
        assert not freed.is_set()
        stuck.set()
    assert freed.is_set()


def test_at_the_end_what_is_stuck_holds_up_no_other_either() -> None:
    stuck, reached, others = threading.Event(), threading.Event(), list[int]()

    def wait() -> None:
        reached.set()
        assert stuck.wait(10)

    def last() -> None:
        others.append(2)
        stuck.set()

    with Aside("test") as aside:
        aside.submit(wait)
        assert reached.wait(10)
        aside.submit(lambda: others.append(1))
        aside.submit(last)
    assert others == [1, 2]


def test_there_are_never_more_threads_than_allowed() -> None:
    stuck, names = threading.Event(), set[int]()

    def wait() -> None:
        names.add(threading.get_ident())
        assert stuck.wait(10)

    with Aside("test", most=2) as aside:
        for _ in range(5):
            aside.submit(wait)
            aside.look()
        stuck.set()
    assert len(names) <= 2

"""Nobody's slowness is anybody else's."""

from __future__ import annotations

import random

from mixminus.webhooks.fairness import Limits, Turns


def take_all(turns: Turns) -> list[str]:
    taken = []
    while (lane := turns.take()) is not None:
        taken.append(lane)
    return taken


def test_receivers_take_turns() -> None:
    turns = Turns()
    for i in range(3):
        turns.offer(f"a{i}", "http://a/")
    turns.offer("b0", "http://b/")
    turns.offer("c0", "http://c/")
    assert take_all(turns) == ["a0", "b0", "c0", "a1", "a2"]


def test_a_receiver_at_its_limit_waits_and_others_go() -> None:
    turns = Turns(Limits(per_receiver=2))
    for i in range(5):
        turns.offer(f"slow{i}", "http://h/slow?q=1")
    assert take_all(turns) == ["slow0", "slow1"]
    turns.offer("ok", "http://h/ok")
    assert take_all(turns) == ["ok"]
    turns.release("slow0", unreachable=False)
    assert take_all(turns) == ["slow2"]


def test_a_host_with_many_urls_keeps_to_its_share() -> None:
    turns = Turns(Limits(per_host=3))
    for i in range(10):
        turns.offer(f"h{i}", f"http://h/{i}")
    turns.offer("other", "http://other/")
    assert take_all(turns) == ["h0", "h1", "h2", "other"]
    turns.release("h1", unreachable=True)
    turns.release("h2", unreachable=True)
    assert take_all(turns) == ["h3", "h4"]


def test_one_that_does_not_answer_gets_one_try_at_a_time_until_it_does() -> None:
    turns = Turns(Limits(per_receiver=3))
    for i in range(8):
        turns.offer(f"{i}", "http://dead/")
    assert take_all(turns) == ["0", "1", "2"]
    for lane in "012":
        turns.release(lane, unreachable=True)
    assert take_all(turns) == ["3"]
    turns.release("3", unreachable=False)
    assert take_all(turns) == ["4", "5", "6"]


def test_the_total_holds() -> None:
    turns = Turns(Limits(total=4))
    for i in range(9):
        turns.offer(f"{i}", f"http://h{i}/")
    assert len(take_all(turns)) == 4
    turns.release("0", unreachable=False)
    assert take_all(turns) == ["4"]


def test_every_lane_gets_its_turn_and_no_limit_is_passed() -> None:
    """Random offers and endings: nothing is lost, nothing starves, nothing is left behind."""
    limits = Limits(total=20, per_host=6, per_receiver=3)
    for seed in range(30):
        source = random.Random(seed)
        turns = Turns(limits)
        under_way: dict[str, str] = {}
        done: set[str] = set()
        offered: dict[str, str] = {}
        for step in range(400):
            if step < 300 and source.random() < 0.7:
                url = f"http://h{source.randrange(5)}/{source.randrange(4)}"
                offered[f"l{step}"] = url
                turns.offer(f"l{step}", url)
            for lane in take_all(turns):
                under_way[lane] = offered[lane]
            hosts = [url.rpartition("/")[0] for url in under_way.values()]
            assert len(under_way) == turns.under_way <= 20
            assert all(hosts.count(host) <= 6 for host in set(hosts))
            assert all(list(under_way.values()).count(url) <= 3 for url in set(under_way.values()))
            if under_way and source.random() < 0.8:
                lane = source.choice(list(under_way))
                del under_way[lane]
                done.add(lane)
                turns.release(lane, unreachable=source.random() < 0.3)
        while under_way:
            lane = next(iter(under_way))
            del under_way[lane]
            done.add(lane)
            turns.release(lane, unreachable=False)
            under_way.update((lane, offered[lane]) for lane in take_all(turns))
        assert done == set(offered)
        assert not turns._receivers and not turns._hosts

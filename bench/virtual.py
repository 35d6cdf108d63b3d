"""Virtual time: seconds of calls per second of CPU, and what the fixture costs. ``python -m bench virtual``."""

from __future__ import annotations

import argparse
import logging
import shutil
import statistics
import tempfile
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import structlog

from mixminus.testing.sources import tone, voice
from mixminus.testing.virtual.phones import Phone
from mixminus.testing.virtual.world import World

ROLES = ("agent", "customer", "customer", "supervisor")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="bench virtual", description=__doc__)
    parser.add_argument("--seconds", type=float, default=3600.0, help="Length of the one call.")
    parser.add_argument("--calls", type=int, default=100, help="Calls at once in the second part.")
    parser.add_argument("--calls-seconds", type=float, default=600.0, help="Their length.")
    given = parser.parse_args(arguments)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    _starts()
    _typical()
    _one("tones, wav", "wav", given.seconds, speech=False)
    _one("tones, mp3", "mp3", given.seconds, speech=False)
    _one("speech, wav", "wav", given.seconds, speech=True)
    _many(given.calls, given.calls_seconds)


def _starts() -> None:
    wall, cpu = [], []
    for _ in range(6):
        folder = _folder()
        began, spent = time.perf_counter(), time.process_time()
        with World(folder):
            wall.append(1e3 * (time.perf_counter() - began))
            cpu.append(1e3 * (time.process_time() - spent))
        shutil.rmtree(folder)
    print(
        f"start of a world: first {wall[0]:.0f} ms ({cpu[0]:.0f} ms CPU), "
        f"then {statistics.median(wall[1:]):.0f} ms ({statistics.median(cpu[1:]):.0f} ms CPU; medians)"
    )


def _typical() -> None:
    """A test as they are: three phones in a call, one a coach, somebody speaks; who heard it, and what was recorded."""
    taken: dict[str, list[float]] = {"start": [], "body": [], "end": []}
    for _ in range(21):
        folder, marks = _folder(), [time.process_time()]
        with World(folder) as world:
            marks.append(time.process_time())
            _test(world)
            marks.append(time.process_time())
        marks.append(time.process_time())
        shutil.rmtree(folder)
        for name, begin, end in zip(taken, marks, marks[1:], strict=False):
            taken[name].append(end - begin)
    told = ", ".join(f"{name} {statistics.median(spent[1:]) * 1e3:.0f} ms" for name, spent in taken.items())
    print(f"a typical test (3 phones, a coach, a recording, 12 s): {told} of CPU (medians of 20)")


def _test(world: World) -> None:
    agent, customer, coach = _call(world, "room", "wav", speech=False, roles=("agent", "customer", "supervisor"))
    for phone in (agent, coach):
        phone.hushes()
    customer.say(voice("customer"))
    world.advance(11.5)
    world.client.multi_party_calls.stop(friendly_name="room")
    world.until("MPCRecordingCompleted")
    assert agent.heard(customer) and not customer.heard(coach) and world.recording().contains(customer)


def _one(title: str, file_format: str, seconds: float, *, speech: bool) -> None:
    folder = _folder()
    with World(folder) as world:
        _call(world, "room", file_format, speech=speech)
        wall, cpu = time.perf_counter(), time.process_time()
        world.advance(seconds)
        world.client.multi_party_calls.stop(friendly_name="room")
        world.until("MPCRecordingCompleted")
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    shutil.rmtree(folder)
    print(
        f"one 4-party call, recorded ({title}), {seconds:.0f} s with its file: "
        f"{wall:.2f} s wall ({seconds / wall:.0f} x), {cpu:.2f} s CPU ({seconds / cpu:.0f} x)"
    )


def _many(calls: int, seconds: float) -> None:
    folder = _folder()
    rooms = [f"room-{number}" for number in range(calls)]
    with World(folder) as world:
        phones = [phone for room in rooms for phone in _call(world, room, "wav", speech=False)]
        world.advance(40)  # the last timers of the set-up
        marks = [time.process_time()]
        world.advance(seconds)
        marks.append(time.process_time())
        for room in rooms:
            world.client.multi_party_calls.stop_recording(friendly_name=room)
        world.until("MPCRecordingCompleted", count=calls)
        marks.append(time.process_time())
        now = world.seconds
        assert all(phone.samples(since=now - 1).any() for phone in phones)
        marks.append(time.process_time())
    shutil.rmtree(folder)
    running, ending, listening = (end - begin for begin, end in pairwise(marks))
    rate, whole = calls * seconds / running, calls * seconds / (running + ending)
    print(
        f"{calls} such calls at once (tones, wav), {seconds:.0f} s, files made along the way: {running:.2f} s CPU, "
        f"{rate:.0f} call-seconds per CPU-second"
    )
    print(f"  stopping, finishing and announcing {calls} recordings: {ending:.2f} s CPU more ({whole:.0f} with it)")
    print(f"  a second of what each of {len(phones)} phones heard: {listening:.2f} s CPU")


def _call(world: World, name: str, file_format: str, *, speech: bool, roles: Sequence[str] = ROLES) -> list[Phone]:
    phones = [world.phone(f"{name}.{number}") for number in range(len(roles))]
    for number, (role, phone) in enumerate(zip(roles, phones, strict=True)):
        phone.say(voice("agent") if speech else tone(300 + 150 * number), loop=True)
        world.client.multi_party_calls.add_participant(
            friendly_name=name,
            role=role,
            from_="14155550100",
            to_=phone.address,
            enter_sound="none",
            exit_sound="none",
        )
    world.client.multi_party_calls.start_recording(
        friendly_name=name,
        file_format=file_format,
        recording_callback_url=world.app.url("/recording"),
        recording_callback_method="POST",
    )
    world.advance(0.5)
    return phones


def _folder() -> Path:
    memory = Path("/dev/shm")
    return Path(tempfile.mkdtemp(prefix="mixminus-bench-", dir=memory if memory.exists() else None))


if __name__ == "__main__":
    main()

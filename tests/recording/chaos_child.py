"""A recording server in a process of its own, to be killed: ``python -m recording.chaos_child FOLDER LIFE LAST``.

Real are the database, the spool writer's thread, the finisher's process and time. It settles what earlier lives left,
then, unless this is the last life, records one call after the other until it is killed. Samples mixed are noted in
``mixed/ID`` as they are mixed, callbacks in ``told.jsonl`` as they arrive.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from calls.kit import BY, REF
from calls.world import FakeDocuments, FakeLines, FakeSounds, ManualTimers
from mixminus.calls.commands import (
    AddParticipant,
    Callback,
    DialParameters,
    EndMpc,
    MpcParameters,
    ParticipantParameters,
    PauseRecording,
    ResumeRecording,
    StartRecording,
)
from mixminus.calls.model import Role
from mixminus.calls.recorder import CallRecorder
from mixminus.calls.service import Service
from mixminus.clock import ManualClock
from mixminus.ids import Mint
from mixminus.outbound.request import OutboundRequest, OutboundResponse
from mixminus.recording.archive import Archive
from mixminus.recording.client import Finisher
from mixminus.recording.keeper import Keeper
from mixminus.recording.storage import DiskStorage, KeyMaker
from mixminus.store.db import Store
from mixminus.webhooks.deliver import EVENT_ID_HEADER, Deliverer
from recording.chaos import FRAME, TICK, URL, Fate, Mixer


class ThreadedMixer(Mixer):
    """The mixer with its writer on the thread it has in a media worker."""

    def __init__(self, notes: Path, clock: ManualClock) -> None:
        super().__init__(Fate(None), clock, lambda: False)
        self._folder = notes
        self._notes: dict[str, int] = {}
        self.writer.pump = lambda *, sync=False: None  # type: ignore[method-assign]
        self.writer.start()

    def tick(self) -> list[Any]:
        for name, tap in self._taps.items():
            if not tap.paused:
                if name not in self._notes:
                    self._notes[name] = os.open(self._folder / name, os.O_WRONLY | os.O_CREAT, 0o600)
                os.pwrite(self._notes[name], f"{self.mixed[name] + FRAME:12}".encode(), 0)
        return super().tick()


class FileReceiver:
    """A customer's server that never forgets what it was told."""

    def __init__(self, file: Path, life: int) -> None:
        self._file = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._life = life

    async def fetch(self, request: OutboundRequest) -> OutboundResponse:
        fields = dict(parse_qsl(request.body.decode()))
        event_id = dict(request.headers)[EVENT_ID_HEADER]
        one = [
            event_id,
            fields["EventName"],
            fields.get("RecordingUUID", ""),
            int(fields["SequenceNumber"]),
            self._life,
        ]
        if request.url.startswith(URL):
            os.write(self._file, json.dumps(one).encode() + b"\n")
        return OutboundResponse(200, {}, b"", request.url)


async def live(folder: Path, life: int, last: bool) -> None:
    clock, mint, data = ManualClock(), Mint(), folder / "data"
    store, finisher, mixer = await Store.open(data), Finisher(), ThreadedMixer(folder / "mixed", clock)
    await finisher.start()
    local, spool = DiskStorage(data / "recordings"), data / "spool"
    keeper = Keeper(store, Archive(local), clock=clock, spool_root=spool)
    recorder = CallRecorder(finisher, local, spool, keeper, KeyMaker(), clock=clock)
    lines, timers = FakeLines(), ManualTimers()
    service = Service(
        store=store, media=mixer, lines=lines, recorder=recorder, documents=FakeDocuments(), sounds=FakeSounds(),
        timers=timers, clock=clock, mint=mint,
    )  # fmt: skip
    lines.tell = service.post_leg
    receiver = FileReceiver(folder / "told.jsonl", life)
    deliverer = Deliverer(store, receiver, clock=clock, mint=mint, public_url="http://pbx", retry_hours=24)

    async def tick() -> None:
        while True:
            clock.advance(TICK)
            for event in mixer.tick():
                recorder.tap_over(event)
            await asyncio.sleep(TICK)

    ticking, delivering = asyncio.create_task(tick()), asyncio.create_task(deliverer.run())
    print("up", flush=True)  # noqa: T201
    await service.recover()
    await recorder.tidy(store)
    while not last:
        await call(service)
    await service.settle()
    await recorder.tidy(store)
    while deliverer._outbox._early is not None or deliverer.lanes_pending:  # noqa: ASYNC110 - no event tells it
        await asyncio.sleep(0.05)
    for task in (ticking, delivering):
        task.cancel()
    await finisher.stop()
    await store.close()
    mixer.writer.stop()


async def call(service: Service) -> None:
    """One recorded call of at most two seconds, perhaps paused."""
    for number in range(2):
        await service.apply(
            AddParticipant(
                by=BY,
                mpc=REF,
                participant=ParticipantParameters(role=Role.AGENT),
                parameters=MpcParameters(stay_alone=True),
                dial=DialParameters(from_="100", to=(str(number),)),
            )
        )
    await service.settle()
    await service.apply(StartRecording(by=BY, mpc=REF, file_format="wav", callback=Callback(URL, "POST")))
    await asyncio.sleep(random.uniform(0.1, 1.2))
    if random.random() < 0.3:
        await service.apply(PauseRecording(by=BY, mpc=REF))
        await asyncio.sleep(random.uniform(0, 0.3))
        await service.apply(ResumeRecording(by=BY, mpc=REF))
        await asyncio.sleep(random.uniform(0.1, 0.5))
    await service.apply(EndMpc(by=BY, mpc=REF))
    await service.settle()


if __name__ == "__main__":
    asyncio.run(live(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "last"))

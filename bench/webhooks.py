"""How many callbacks a second, and what one costs: commit, sign, POST, record. ``python -m bench webhooks [COUNT]``.

The receiver is a process of its own, so that its CPU time is not counted. Every callback is committed to the outbox
and every attempt recorded with a full fsync, as in the server.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path

import msgspec
from aiohttp import web

from mixminus.calls.events import MemberSnapshot, MpcEvent
from mixminus.clock import SystemClock
from mixminus.ids import Mint
from mixminus.outbound.client import OutboundClient
from mixminus.store.db import Store
from mixminus.store.rows import AccountRow, OutboxRow
from mixminus.store.transaction import Transaction
from mixminus.webhooks.deliver import Deliverer

ACCOUNT = "MABENCHXXXXXXXXXXXXX"


def sink(pipe: Connection) -> None:
    """Counts what arrives; says its port, then ``True`` once as many came as were asked for."""

    async def serve() -> None:
        left = pipe.recv()
        done = asyncio.Event()

        async def receive(request: web.Request) -> web.Response:
            nonlocal left
            await request.read()
            left -= 1
            if not left:
                done.set()
            return web.Response(status=204)

        app = web.Application()
        app.router.add_post("/{tail:.*}", receive)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        pipe.send(runner.addresses[0][1])
        await done.wait()
        pipe.send(True)
        await runner.cleanup()

    asyncio.run(serve())


def rows(count: int, lanes: int, receivers: int, port: int) -> list[OutboxRow]:
    now = datetime.now(UTC)
    member = MemberSnapshot(member_id="123", role="agent", call_uuid="8742d531-292a-46aa-8754-836be1092885")
    return [
        OutboxRow(
            id=f"{number}",
            lane=f"mpc-{number % lanes}",
            account=ACCOUNT,
            url=f"http://127.0.0.1:{port}/{number % lanes % receivers}",
            method="POST",
            created_at=now,
            event=msgspec.json.encode(
                MpcEvent(name="ParticipantJoin", at=now, sequence=number, mpc_uuid="m", mpc_name="bench", member=member)
            ),
        )
        for number in range(count)
    ]


async def measure(count: int, lanes: int, receivers: int) -> tuple[float, float]:
    """(wall seconds, CPU seconds of this process) from the first commit to the last recorded attempt."""
    here, there = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=sink, args=(there,), daemon=True)
    process.start()
    here.send(count)
    port = await asyncio.to_thread(here.recv)
    owed = rows(count, lanes, receivers, port)
    with tempfile.TemporaryDirectory() as folder:
        store = await Store.open(Path(folder))
        await store.commit(Transaction(save=(AccountRow(id=ACCOUNT, token="t" * 40, created_at=datetime.now(UTC)),)))
        async with OutboundClient(allow_private=True) as client:
            deliverer = Deliverer(
                store, client, clock=SystemClock(), mint=Mint(), public_url="http://127.0.0.1", retry_hours=1
            )
            running = asyncio.create_task(deliverer.run())
            began, cpu = time.perf_counter(), time.process_time()
            await asyncio.gather(*(store.commit(Transaction(outbox=(row,))) for row in owed))
            await asyncio.to_thread(here.recv)
            await deliverer.drain(10)
            spent = time.perf_counter() - began, time.process_time() - cpu
            await running
        assert deliverer.counts.delivered == count, "some callbacks were not delivered at the first attempt"
        await store.close()
    process.join()
    return spent


def main(options: Sequence[str]) -> None:
    count = int(options[0]) if options else 5000
    print(f"{'lanes':>6} {'receivers':>9} {'callbacks':>9} {'per second':>10} {'CPU ms each':>11}")
    for lanes, receivers in ((1, 1), (50, 1), (500, 1), (500, 50)):
        amount = count if lanes > 1 else count // 5
        wall, cpu = asyncio.run(measure(amount, lanes, receivers))
        print(f"{lanes:>6} {receivers:>9} {amount:>9} {amount / wall:>10.0f} {1000 * cpu / amount:>11.3f}")

"""How long the REST API takes to answer while 100 calls are up: ``python -m bench api [--rooms 25] [--rounds 60]``.

A real server with rooms of four, everyone talking (real RTP, from ``bench/load.py``), ten of the rooms recorded. One
client asks one thing after another over one kept-alive connection; a time is from before the request is sent until the
whole answer is read.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
from bench.load import Plan, Result, peer_address
from bench.media import SEATS, Generator
from rich.console import Console
from rich.table import Table

from mixminus.clock import SystemClock
from mixminus.ids import Mint
from mixminus.sdp import make_answer
from mixminus.sip.endpoint import SipEndpoint
from mixminus.sip.events import Confirmed, IncomingCall, SipEvent
from mixminus.testing.server import ServerProcess

TARGET_MS = 50.0
"""p99 of every operation."""
RECORDED = 10
SETTLE = 2.0
"""Seconds of audio before the first measured request."""
SOUNDLESS = {"from": "14155550100", "enter_sound": "none", "exit_sound": "none"}


class Peers:
    """The called side's signalling. ``peer-N`` answers with the audio of the generator's peer N, ``busy`` refuses with
    486, ``brief`` answers and hangs up."""

    def __init__(self, audio_port: int) -> None:
        self.ports: dict[int, int] = {}
        """Peer → the server's RTP port."""
        self._audio_port = audio_port
        self._brief: set[str] = set()
        self._nowhere = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        """Takes the audio of the brief calls, unread."""
        self._sip = SipEndpoint(
            mint=Mint(), clock=SystemClock(), handler=self._happened, credentials=lambda username: None, realm="bench"
        )

    async def start(self) -> None:
        self._nowhere.bind(("127.0.0.1", 0))
        _, self._port = await self._sip.start("127.0.0.1", 0)

    async def stop(self) -> None:
        await self._sip.stop()
        self._nowhere.close()

    def address(self, name: str) -> str:
        return f"sip:{name}@127.0.0.1:{self._port}"

    def _happened(self, event: SipEvent) -> None:
        if isinstance(event, IncomingCall):
            self._called(event, event.request_uri.removeprefix("sip:").partition("@")[0])
        elif isinstance(event, Confirmed) and event.call in self._brief:
            self._brief.discard(event.call)
            self._sip.hangup(event.call)

    def _called(self, event: IncomingCall, name: str) -> None:
        if name == "busy":
            self._sip.reject(event.call, 486)
        elif name == "brief":
            self._brief.add(event.call)
            self._answer(event, *self._nowhere.getsockname())
        else:
            number = int(name.removeprefix("peer-"))
            self.ports[number] = self._answer(event, peer_address(number), self._audio_port)

    def _answer(self, event: IncomingCall, host: str, port: int) -> int:
        """Take the call, with our audio at ``host``; returns the server's port."""
        answer, plan = make_answer(event.sdp, host=host, port=port, session_id=2, version=1)
        assert plan.remote is not None, "the server calls nobody on hold"
        self._sip.answer(event.call, answer)
        return plan.remote[1]


class Api:
    """One connection to the server; keeps how long each named operation took."""

    def __init__(self, session: aiohttp.ClientSession, account: str) -> None:
        self._session = session
        self._account = account
        self.times_ms: dict[str, list[float]] = defaultdict(list)

    async def __call__(
        self, operation: str, method: str, path: str, body: Mapping[str, object] | None = None
    ) -> dict[str, Any]:
        """Ask; raises :class:`SystemExit` with the server's words if it refuses."""
        began = time.perf_counter()
        async with self._session.request(method, f"/v1/Account/{self._account}/{path}", json=body) as response:
            text = await response.text()
            self.times_ms[operation].append((time.perf_counter() - began) * 1e3)
            if not response.ok:
                raise SystemExit(f"{operation}: {response.status} {text}")
            return await response.json() if text else {}


async def fill(api: Api, peers: Peers, rooms: int) -> list[str]:
    """Put four talkers into every room, record the first ten; returns a member id per room."""
    for number in range(rooms * SEATS):
        role = ("agent", "customer")[number // rooms % 2]
        body = {**SOUNDLESS, "role": role, "to": peers.address(f"peer-{number}")}
        await api("set-up", "POST", f"MultiPartyCall/name_room-{number % rooms}/Participant/", body)
    members = []
    for room in range(rooms):
        path = f"MultiPartyCall/name_room-{room}/Participant/"
        members.append(await first_member(api, path))
    for room in range(min(RECORDED, rooms)):
        await api("set-up", "POST", f"MultiPartyCall/name_room-{room}/Record/", {"file_format": "wav"})
    return members


async def first_member(api: Api, path: str) -> str:
    """Its id, once the room is full."""
    for _ in range(100):
        found = (await api("set-up", "GET", path))["objects"]
        if len(found) == SEATS:
            return str(found[0]["member_id"])
        await asyncio.sleep(0.1)
    raise SystemExit(f"{path}: only {len(found)} of {SEATS} callers are there after 10 s")


async def ask_round(api: Api, peers: Peers, room: str, member: str, *, muted: bool) -> None:
    """Every operation once."""
    mpc = f"MultiPartyCall/name_{room}/"
    await api("get", "GET", mpc)
    await api("list", "GET", "MultiPartyCall/?status=active&limit=20")
    await api("list participants", "GET", f"{mpc}Participant/")
    await api("get participant", "GET", f"{mpc}Participant/{member}/")
    refusing = {**SOUNDLESS, "role": "customer", "to": peers.address("busy")}
    await api("add participant, who refuses", "POST", f"{mpc}Participant/", refusing)
    answering = {**SOUNDLESS, "role": "customer", "to": peers.address("brief")}
    await api("add participant, who answers", "POST", f"{mpc}Participant/", answering)
    await api("mute" if muted else "unmute", "POST", f"{mpc}Participant/{member}/", {"mute": muted})
    await api("start recording", "POST", f"{mpc}Record/", {"file_format": "wav"})
    await api("stop recording", "DELETE", f"{mpc}Record/")


async def measure(rooms: int, rounds: int, seconds: float, folder: Path) -> tuple[dict[str, list[float]], Result]:
    """Times in milliseconds by operation, and what the talkers sent and heard meanwhile."""
    generator = Generator()
    peers = Peers(generator.port)
    await peers.start()
    environment = {"MIXMINUS_RATE_LIMIT": "0"}
    try:
        async with ServerProcess(folder, environment=environment) as server:
            address = server.address
            login = {"Authorization": aiohttp.encode_basic_auth(address.auth_id, address.auth_token)}
            connector = aiohttp.TCPConnector(limit=1)
            async with aiohttp.ClientSession(address.api, headers=login, connector=connector) as session:
                api = Api(session, address.auth_id)
                members = await fill(api, peers, rooms)
                plan = Plan(ports=[peers.ports[n] for n in range(rooms * SEATS)], rooms=rooms, seconds=seconds)
                generator.start(plan)
                await asyncio.sleep(SETTLE)
                del api.times_ms["set-up"]
                await ask_rounds(api, peers, members, rounds, seconds - SETTLE - 1)
                return dict(api.times_ms), await asyncio.to_thread(generator.result)
    finally:
        await peers.stop()


async def ask_rounds(api: Api, peers: Peers, members: Sequence[str], rounds: int, seconds: float) -> None:
    """As many of ``rounds`` as there is audio for, evenly over rooms that are not recorded all the time."""
    free = list(range(min(RECORDED, len(members) - 1), len(members)))
    until = time.monotonic() + seconds
    for number in range(rounds):
        if time.monotonic() > until:
            return
        room = free[number % len(free)]
        muted = number // len(free) % 2 == 0
        await ask_round(api, peers, f"room-{room}", members[room], muted=muted)


def show(times_ms: Mapping[str, Sequence[float]], result: Result, rooms: int) -> bool:
    """Print the table; returns whether every p99 is within the target."""
    recorded = min(RECORDED, rooms)
    table = Table(title=f"API with {rooms * SEATS} live calls in rooms of {SEATS}, {recorded} rooms recorded; ms")
    table.add_column("operation")
    for heading in ("requests", "p50", "p99", "worst", f"p99 < {TARGET_MS:.0f}"):
        table.add_column(heading, justify="right")
    good = True
    for operation, times in times_ms.items():
        p50, p99 = np.percentile(times, (50, 99))
        good = good and p99 < TARGET_MS
        verdict = "yes" if p99 < TARGET_MS else "no"
        table.add_row(operation, str(len(times)), f"{p50:.1f}", f"{p99:.1f}", f"{max(times):.1f}", verdict)
    console = Console()
    console.print(table)
    console.print(
        f"meanwhile: {result.sent} packets sent, {result.received} heard, {result.lost} lost, "
        f"{result.silent_peers} callers heard nothing"
    )
    return good


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench api", description=__doc__)
    parser.add_argument("--rooms", type=int, default=25, help="of four callers each; at least 2")
    parser.add_argument("--rounds", type=int, default=60, help="requests of each kind, at most")
    parser.add_argument("--seconds", type=float, default=20.0, help="of audio; no request is made after")
    parser.add_argument("--check", action="store_true", help="fail if a p99 misses the target")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="mixminus-bench-") as folder:
        times_ms, result = asyncio.run(measure(options.rooms, options.rounds, options.seconds, Path(folder)))
    if not show(times_ms, result, options.rooms) and options.check:
        raise SystemExit(1)


if __name__ == "__main__":
    main()

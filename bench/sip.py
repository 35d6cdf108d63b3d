"""SIP: cost of parsing, and of calls over loopback against an agent of ours in another process.

``python -m bench sip [--rate 100] [--seconds 10]``, over UDP and TCP. CPU figures are of the called side, the
server's role.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import uvloop

from mixminus.clock import SystemClock
from mixminus.ids import Mint
from mixminus.sdp import make_answer, make_offer
from mixminus.server.run import calm_garbage_collector
from mixminus.sip.agent import SipAgent
from mixminus.sip.core import AgentConfig
from mixminus.sip.endpoint import SipEndpoint
from mixminus.sip.events import Answered, Confirmed, Ended, IncomingCall, Rejected, SipEvent
from mixminus.sip.message import parse_message, split_datagram
from mixminus.sip.transport import Flow

OFFER = make_offer(host="127.0.0.1", port=4000, session_id=1, version=1)
INVITE = (
    b"INVITE sip:777@192.0.2.1:5060;transport=udp SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bK776asdhds;rport\r\nMax-Forwards: 70\r\n"
    b'From: "Alice" <sip:alice@192.0.2.9>;tag=1928301774\r\nTo: <sip:777@192.0.2.1>\r\n'
    b"Call-ID: a84b4c76e66710@192.0.2.9\r\nCSeq: 314159 INVITE\r\nContact: <sip:alice@192.0.2.9:5060>\r\n"
    b"Allow: INVITE, ACK, CANCEL, BYE, OPTIONS\r\nSupported: timer, replaces\r\nSession-Expires: 1800\r\n"
    b"Min-SE: 90\r\nUser-Agent: bench\r\nX-PH-Order: 7\r\nContent-Type: application/sdp\r\n"
    b"Content-Length: " + str(len(OFFER)).encode() + b"\r\n\r\n" + OFFER
)


def parse_cost(count: int = 20_000) -> float:
    """Microseconds to parse a 15-header INVITE and read its typed headers."""
    begun = time.process_time()
    for _ in range(count):
        message = parse_message(*split_datagram(INVITE))
        _ = message.via, message.from_, message.to, message.cseq, message.call_id, message.contacts
    return (time.process_time() - begun) / count * 1e6


def bare_parse_cost(count: int = 20_000) -> float:
    """Microseconds to parse it without looking at any header."""
    begun = time.process_time()
    for _ in range(count):
        parse_message(*split_datagram(INVITE))
    return (time.process_time() - begun) / count * 1e6


def agent_cost(count: int = 3000) -> float:
    """Milliseconds of the called side for a call set up and torn down between two agents, without sockets; the better
    of two rounds.
    """
    return min(_calls_between_agents(count) for _ in range(2)) / count / 1e6


def _calls_between_agents(count: int) -> int:
    caller, callee, now, spent = make_agent(5061), make_agent(5062), 100.0, 0
    to_callee, to_caller = Flow("udp", "127.0.0.1", 5061), Flow("udp", "127.0.0.1", 5062)
    for _ in range(count):
        now += 0.003
        caller.invite("sip:777@127.0.0.1:5062", now, from_="555", sdp=OFFER)
        while sent := caller.datagrams_to_send():
            begun = time.process_time_ns()
            for data, _ in sent:
                callee.receive_datagram(data, to_callee, now)
                answer_all(callee, now)
            callee.handle_timer(now)
            answers = callee.datagrams_to_send()
            spent += time.process_time_ns() - begun
            for data, _ in answers:
                caller.receive_datagram(data, to_caller, now)
            caller.handle_timer(now)
            while (event := caller.next_event()) is not None:
                if isinstance(event, Answered):
                    caller.hangup(event.call, (), now)
    return spent


def make_agent(port: int) -> SipAgent:
    config = AgentConfig(
        realm="bench",
        user_agent="bench",
        address_for=lambda transport, host: ("127.0.0.1", port),
        credentials=lambda username: None,
    )
    return SipAgent(config, Mint())


def answer_all(agent: SipAgent, now: float) -> None:
    while (event := agent.next_event()) is not None:
        if isinstance(event, IncomingCall):
            agent.ring(event.call, None, now)
            answer, _ = make_answer(event.sdp, host="127.0.0.1", port=5000, session_id=2, version=1)
            agent.answer(event.call, answer, (), now)


class Callee:
    """Answers every call at once; counts what it saw."""

    def __init__(self) -> None:
        self.calls = self.confirmed = self.ended = 0
        self.endpoint = make_endpoint(self.handle)

    def handle(self, event: SipEvent) -> None:
        if isinstance(event, IncomingCall):
            self.calls += 1
            self.endpoint.ring(event.call)
            answer, _ = make_answer(event.sdp, host="127.0.0.1", port=5000, session_id=2, version=1)
            self.endpoint.answer(event.call, answer)
        elif isinstance(event, Confirmed):
            self.confirmed += 1
        elif isinstance(event, Ended):
            self.ended += 1


@dataclass
class Caller:
    """Makes calls at a rate, hangs up once they are answered."""

    answered: int = 0
    failed: int = 0
    asked: dict[str, float] = field(default_factory=dict)
    delays: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.endpoint = make_endpoint(self.handle)

    def handle(self, event: SipEvent) -> None:
        if isinstance(event, Answered):
            self.answered += 1
            self.delays.append(time.perf_counter() - self.asked[event.call])
            self.endpoint.hangup(event.call)
        elif isinstance(event, Rejected):
            self.failed += 1


def make_endpoint(handler: object) -> SipEndpoint:
    assert callable(handler)
    return SipEndpoint(
        mint=Mint(), clock=SystemClock(), handler=handler, credentials=lambda username: None, realm="bench"
    )


async def serve() -> None:
    """The called side, in a process of its own: ends with the line of figures when its standard input closes."""
    callee = Callee()
    _, port = await callee.endpoint.start("127.0.0.1", 0)
    print(port, flush=True)
    calm_garbage_collector()  # as the server does
    begun = time.process_time()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    print(time.process_time() - begun, callee.calls, callee.confirmed, callee.ended, flush=True)
    await callee.endpoint.stop()


async def load(rate: int, seconds: int, transport: str) -> None:
    command = [sys.executable, "-m", "bench.sip", "--serve"]
    process = await asyncio.create_subprocess_exec(*command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert process.stdin is not None and process.stdout is not None
        port = int(await process.stdout.readline())
        caller = Caller()
        await caller.endpoint.start("127.0.0.1", 0)
        total = rate * seconds
        begun = time.perf_counter()
        for number in range(total):
            await asyncio.sleep(max(0.0, begun + number / rate - time.perf_counter()))
            asked = time.perf_counter()
            call = caller.endpoint.invite(f"sip:777@127.0.0.1:{port};transport={transport}", from_="555", sdp=OFFER)
            caller.asked[call] = asked
        await asyncio.sleep(2)
        process.stdin.close()
        cpu, calls, confirmed, ended = (await process.stdout.readline()).decode().split()
        await caller.endpoint.stop()
        await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
    delays = sorted(caller.delays)
    repeats = caller.endpoint.counters().get("dropped: stray response", 0)
    print(
        f"| {transport} | {rate} | {total} | {caller.answered} | {calls} / {confirmed} / {ended} |"
        f" {float(cpu) / total * 1e3:.2f} | {delays[len(delays) // 2] * 1e3:.1f} |"
        f" {delays[int(len(delays) * 0.99)] * 1e3:.1f} | {repeats} |"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench sip", description=__doc__)
    parser.add_argument("--rate", type=int, nargs="+", default=[100, 300], help="calls per second")
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.serve:
        uvloop.run(serve())
        return
    print(f"parse, 15 headers: {bare_parse_cost():.1f} us; with six typed headers: {parse_cost():.1f} us")
    print(f"the agent without sockets: {agent_cost():.2f} ms of CPU per call")
    print(
        "| transport | calls/s | calls | answered | seen / confirmed / ended | CPU ms/call | p50 ms | p99 ms | stray |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for transport in ("udp", "tcp"):
        for rate in options.rate:
            uvloop.run(load(rate, options.seconds, transport))


if __name__ == "__main__":
    main()

"""A phone made of software: real SIP, real RTP, no hands needed.

::

    async with VirtualPhone("alice") as alice:
        alice.answers(after=0.2)
        client.multi_party_calls.add_participant(role="agent", to_=alice.address, ...)
        await alice.in_call()
        alice.says(sources.tone(440), loop=True)
        ...
        assert ear.tones(alice.heard.all(), [550]) == {550}
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Self

from mixminus.clock import Clock, SystemClock
from mixminus.ids import Mint
from mixminus.sdp.answer import Codec, MediaPlan, NoCommonCodec, make_answer, make_offer, read_answer
from mixminus.sdp.description import Direction
from mixminus.sip import events
from mixminus.sip.auth import DigestCredentials
from mixminus.sip.endpoint import SipEndpoint
from mixminus.testing.audio import PhoneAudio
from mixminus.testing.heard import Heard
from mixminus.testing.sources import Mouth, Samples

State = Literal["idle", "ringing", "calling", "talking"]


@dataclass(frozen=True)
class Answers:
    """Ring for ``after`` seconds, then answer."""

    after: float = 0.0


@dataclass(frozen=True)
class Rejects:
    """Refuse with a SIP status, after ringing ``after`` seconds (0: without ringing)."""

    status: int
    reason: str = ""
    after: float = 0.0


@dataclass(frozen=True)
class RingsOut:
    """Ring and never answer."""


class CallFailed(Exception):
    """Our call was not answered. ``status`` is SIP's."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"{status} {reason}")
        self.status = status


class VirtualPhone:
    """One line, one call at a time; a second caller gets 486. Answers at once unless told otherwise."""

    def __init__(
        self,
        name: str,
        *,
        host: str = "127.0.0.1",
        codecs: Sequence[Codec] = ("PCMU", "PCMA"),
        credentials: DigestCredentials | None = None,
        seed: int | None = None,
        clock: Clock | None = None,
        audio: PhoneAudio | None = None,
    ) -> None:
        self.name = name
        self.state: State = "idle"
        self.incoming: events.IncomingCall | None = None
        """The last call that came in, with its headers."""
        self.ended: events.Ended | events.Rejected | events.Cancelled | None = None
        """How the last call ended; ``None`` while there is one."""
        self.held_by_peer = False
        self._host = host
        self._codecs = tuple(codecs)
        self._credentials = credentials
        clock = clock or SystemClock()
        self._audio = audio or PhoneAudio(Mouth(), seed=seed, clock=clock)
        self._mouth = self._audio.mouth
        self._mint = Mint(seed)
        self._policy: Answers | Rejects | RingsOut = Answers()
        self._sip = SipEndpoint(
            mint=self._mint,
            clock=clock,
            handler=self._happened,
            credentials=lambda username: None,
            realm=name,
            user_agent="mixminus virtual phone",
        )
        self._identity = ""
        self._call = ""
        self._offer = b""
        self._version = 0
        self._session = int(self._mint.digits(9))
        self._timer: asyncio.TimerHandle | None = None
        self._wake = asyncio.Event()
        self._update: events.Updated | events.UpdateRefused | None = None
        self._registration: events.RegistrationSucceeded | events.RegistrationFailed | None = None
        self.port = 0

    async def start(self, port: int = 0) -> str:
        """Listen for calls; port 0 takes a free one. Returns :attr:`address`."""
        _, self.port = await self._sip.start(self._host, port)
        await self._audio.open(self._host)
        return self.address

    async def stop(self) -> None:
        """Hang up if in a call, and close the sockets."""
        if self.state != "idle":
            self.hangs_up()
            with contextlib.suppress(TimeoutError):
                await self.call_over(1.0)
        self._forget_timer()
        self._audio.close()
        await self._sip.stop()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def address(self) -> str:
        """Where the phone is called: ``sip:name@host:port``."""
        return f"sip:{self.name}@{self._host}:{self.port}"

    def answers(self, after: float = 0.0) -> None:
        """From now on ring for ``after`` seconds, then answer."""
        self._policy = Answers(after)

    def rejects(self, status: int = 603, reason: str = "", *, after: float = 0.0) -> None:
        """From now on refuse."""
        self._policy = Rejects(status, reason, after)

    def is_busy(self) -> None:
        """From now on answer 486 Busy Here."""
        self._policy = Rejects(486, "Busy Here")

    def rings_out(self) -> None:
        """From now on ring, and let it ring."""
        self._policy = RingsOut()

    def says(self, sound: Samples, *, loop: bool = False) -> None:
        """Say a sound after what is being said; with ``loop``, over and over whenever there is nothing else to say."""
        if loop:
            self._mouth.loop(sound)
        else:
            self._audio.say(sound)

    def hushes(self) -> None:
        """Say nothing any more."""
        self._mouth.hush()

    async def has_spoken(self, timeout: float = 60.0) -> None:
        """Wait until everything said once has been said."""
        async with asyncio.timeout(timeout):
            await self._audio.quiet.wait()

    @property
    def heard(self) -> Heard:
        """What came to this phone in its call, or in its last one."""
        return self._audio.heard

    @property
    def peer(self) -> tuple[str, int] | None:
        """Where this phone's sound goes, while in a call."""
        return self._audio.remote

    @property
    def codec(self) -> Codec:
        """What this phone says, or last said, in its call."""
        return self._audio.codec

    def presses(self, keys: str) -> None:
        """Send keys as telephone events (RFC 4733)."""
        self._audio.press(keys)

    async def calls(self, target: str, *, headers: Sequence[tuple[str, str]] = (), timeout: float = 30.0) -> None:
        """Call a SIP URI and wait for the answer. Raises :class:`CallFailed`, or cancels and raises TimeoutError."""
        if self.state != "idle":
            raise RuntimeError(f"{self.name} is {self.state}")
        self._offer = self._make_offer()
        self.state, self.ended = "calling", None
        self._call = self._sip.invite(
            target,
            from_=self._identity or self.address,
            display_name=self.name,
            sdp=self._offer,
            headers=headers,
            credentials=self._credentials,
        )
        try:
            await self._until(lambda: self.state != "calling", timeout)
        except TimeoutError:
            self.hangs_up()
            raise
        if isinstance(self.ended, events.Rejected):
            raise CallFailed(self.ended.status, self.ended.reason)

    async def in_call(self, timeout: float = 10.0) -> None:
        """Wait until the phone is in a call."""
        await self._until(lambda: self.state == "talking", timeout)

    async def call_over(self, timeout: float = 10.0) -> None:
        """Wait until the call has ended; :attr:`ended` says how."""
        await self._until(lambda: self.state == "idle" and self.ended is not None, timeout)

    def hangs_up(self) -> None:
        """End the call, or give up calling, or refuse what rings."""
        self._sip.hangup(self._call)

    async def holds(self) -> None:
        """Put the other end on hold by re-INVITE (``a=sendonly``). Raises :class:`CallFailed` if refused."""
        await self._reinvite("sendonly")

    async def speaks(self, *codecs: Codec) -> None:
        """Offer other codecs by re-INVITE, and answer with them from now on. Raises :class:`CallFailed` if refused."""
        self._codecs = codecs
        await self._reinvite("sendrecv")

    async def resumes(self) -> None:
        """Take it off hold again."""
        await self._reinvite("sendrecv")

    async def registers(self, domain: str, username: str, password: str, *, timeout: float = 5.0) -> None:
        """Register at ``domain`` (``HOST:PORT``), stay registered, and call under that name from now on.

        Raises :class:`CallFailed` with the refusal's status.
        """
        self._registration = None
        self._identity = f"sip:{username}@{domain}"
        self._credentials = DigestCredentials(username, password)
        self._sip.register(self._identity, credentials=self._credentials)
        await self._until(lambda: self._registration is not None, timeout)
        if isinstance(self._registration, events.RegistrationFailed):
            raise CallFailed(self._registration.status, self._registration.reason)

    def _happened(self, event: events.SipEvent) -> None:
        match event:
            case events.IncomingCall():
                self._incoming(event)
            case events.Answered(call=self._call):
                self._begin(event.sdp)
            case events.Confirmed(call=self._call) if event.sdp and self.state == "ringing":
                self._begin(event.sdp)
            case events.Reinvited(call=self._call):
                self._reinvited(event)
            case events.Updated(call=self._call):
                self._update = event
                self._audio.change(read_answer(self._offer, event.sdp))
            case events.UpdateRefused(call=self._call):
                self._update = event
            case events.Rejected(call=self._call) | events.Cancelled(call=self._call) | events.Ended(call=self._call):
                self._over(event)
            case events.RegistrationSucceeded() | events.RegistrationFailed():
                self._registration = event
            case _:
                return
        self._wake.set()

    def _incoming(self, event: events.IncomingCall) -> None:
        if self.state != "idle":
            self._sip.reject(event.call, 486, "Busy Here")
            return
        self.incoming, self._call, self.ended = event, event.call, None
        policy = self._policy
        match policy:
            case Rejects(after=0.0):
                self._sip.reject(event.call, policy.status, policy.reason)
                return
            case RingsOut():
                self._ring(event.call)
            case Rejects():
                self._ring(event.call)
                self._later(policy.after, lambda: self._sip.reject(event.call, policy.status, policy.reason))
            case Answers(after=0.0):
                self.state = "ringing"
                self._answer(event)
            case Answers():
                self._ring(event.call)
                self._later(policy.after, lambda: self._answer(event))

    def _ring(self, call: str) -> None:
        self.state = "ringing"
        self._sip.ring(call)

    def _answer(self, event: events.IncomingCall) -> None:
        if not event.sdp:
            self._offer = self._make_offer()
            self._sip.answer(event.call, self._offer)
            return
        try:
            answer, plan = self._make_answer(event.sdp)
        except NoCommonCodec:
            self._sip.reject(event.call, 488, "Not Acceptable Here")
            return
        self._sip.answer(event.call, answer)
        self.state = "talking"
        self._audio.begin(plan)
        self._wake.set()

    def _begin(self, answer: bytes) -> None:
        self.state = "talking"
        self._audio.begin(read_answer(self._offer, answer))

    def _reinvited(self, event: events.Reinvited) -> None:
        if not event.sdp:
            self._offer = self._make_offer()
            self._sip.accept_update(event.call, self._offer)
            return
        answer, plan = self._make_answer(event.sdp)
        self.held_by_peer = not plan.send
        self._sip.accept_update(event.call, answer)
        self._audio.change(plan)

    def _over(self, event: events.Ended | events.Rejected | events.Cancelled) -> None:
        self._forget_timer()
        self.state, self.ended = "idle", event
        self._audio.end()

    async def _reinvite(self, direction: Direction) -> None:
        self._offer, self._update = self._make_offer(direction), None
        self._sip.reinvite(self._call, self._offer)
        await self._until(lambda: self._update is not None or self.state == "idle", 10.0)
        if isinstance(self._update, events.UpdateRefused):
            raise CallFailed(self._update.status, self._update.reason)

    def _make_offer(self, direction: Direction = "sendrecv") -> bytes:
        self._version += 1
        host, port = self._audio.address
        return make_offer(
            host=host,
            port=port,
            session_id=self._session,
            version=self._version,
            codecs=self._codecs,
            direction=direction,
        )

    def _make_answer(self, offer: bytes) -> tuple[bytes, MediaPlan]:
        self._version += 1
        host, port = self._audio.address
        return make_answer(
            offer, host=host, port=port, session_id=self._session, version=self._version, codecs=self._codecs
        )

    def _later(self, seconds: float, act: Callable[[], None]) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, act)

    def _forget_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def _until(self, condition: Callable[[], bool], timeout: float) -> None:
        try:
            async with asyncio.timeout(timeout):
                while not condition():
                    self._wake.clear()
                    await self._wake.wait()
        except TimeoutError:
            raise TimeoutError(f"{self.name} is still {self.state} after {timeout:g} s") from None

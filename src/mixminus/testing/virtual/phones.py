"""A phone for tests that are not async: every method returns when the world is at rest again."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Concatenate, Literal, ParamSpec, TypeVar

from mixminus.sdp.answer import Codec
from mixminus.sip.events import IncomingCall
from mixminus.testing.phone import CallFailed, VirtualPhone
from mixminus.testing.sources import Samples, from_file
from mixminus.testing.speech import spoken
from mixminus.testing.virtual.audible import Audible, audible
from mixminus.testing.virtual.sound import PhoneSound
from mixminus.testing.virtual.tape import Tape

if TYPE_CHECKING:
    from mixminus.testing.virtual.loop import VirtualLoop
    from mixminus.testing.virtual.world import World

P = ParamSpec("P")
R = TypeVar("R")


def told(method: Callable[Concatenate[Phone, P], R]) -> Callable[..., R]:
    """A method of a phone that is something from outside. Its parameters are given by name in a replay."""
    names = method.__code__.co_varnames[1:]

    @functools.wraps(method)
    def telling(phone: Phone, *args: P.args, **kwargs: P.kwargs) -> R:
        given = {**dict(zip(names, args, strict=False)), **kwargs}
        phone.world.note("tell", phone.name, method.__name__, given)
        return method(phone, *args, **kwargs)

    return telling


class Line(VirtualPhone):
    """The virtual phone with its sound in the bank."""

    def __init__(self, world: World, loop: VirtualLoop, name: str, *, seed: int, **options: Any) -> None:
        self.sound = PhoneSound(world.server.bank, seed=seed, clock=loop.clock)
        super().__init__(name, seed=seed, clock=loop.clock, audio=self.sound, **options)

    @property
    def heard(self) -> Any:
        """What came to it, all calls: a :class:`~mixminus.testing.virtual.tape.Tape`."""
        return self.sound.ear

    def leave(self) -> None:
        """Fall silent and send nothing any more, as a phone whose cable is cut."""
        self._forget_timer()
        self.sound.close()


class Phone:
    """One line, one call at a time. Answers at once unless told otherwise."""

    def __init__(self, world: World, loop: VirtualLoop, name: str, *, seed: int, **options: Any) -> None:
        self.name = name
        self.world, self._loop = world, loop
        self.line = Line(world, loop, name, seed=seed, **options)
        self._asking: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<phone {self.name}: {self.state}>"

    @property
    def address(self) -> str:
        """Where the phone is called: ``sip:name@host:port``."""
        return self.line.address

    @property
    def state(self) -> Literal["idle", "ringing", "calling", "talking"]:
        return self.line.state

    @property
    def in_call(self) -> bool:
        return self.line.state == "talking"

    @property
    def incoming(self) -> IncomingCall | None:
        """The last call that came in, with its headers."""
        return self.line.incoming

    # -- how it meets a call

    @told
    def answers(self, after: float = 0.0) -> None:
        """From now on ring for ``after`` seconds, then answer."""
        self.world.do(lambda: self.line.answers(after))

    @told
    def rejects(self, status: int = 603, *, after: float = 0.0) -> None:
        """From now on refuse."""
        self.world.do(lambda: self.line.rejects(status, after=after))

    @told
    def is_busy(self) -> None:
        """From now on answer 486 Busy Here."""
        self.world.do(self.line.is_busy)

    @told
    def rings_out(self) -> None:
        """From now on ring, and let it ring."""
        self.world.do(self.line.rings_out)

    @told
    def calls(self, target: str) -> None:
        """Call a number or a user of this server, or a SIP URI. :attr:`state` and :attr:`refusal` say how it went."""
        uri = target if target.startswith("sip:") else f"sip:{target}@{self.world.server.sip_address}"

        self._asks(lambda: self.line.calls(uri, timeout=3600))

    @told
    def registers(self, username: str, password: str) -> None:
        """Register as an endpoint of this server, stay registered, and call under that name from now on."""
        self._asks(lambda: self.line.registers(self.world.server.sip_address, username, password))

    @told
    def holds(self) -> None:
        """Put the other end on hold, as the key of a desk phone does: re-INVITE with ``a=sendonly``."""
        self._asks(self.line.holds)

    @told
    def resumes(self) -> None:
        """Take it off hold again."""
        self._asks(self.line.resumes)

    @told
    def offers(self, codecs: Sequence[Codec]) -> None:
        """Offer other codecs by re-INVITE, and answer with them from now on."""
        self._asks(lambda: self.line.speaks(*codecs))

    @property
    def codec(self) -> Codec:
        """That of its call, or of the last one."""
        return self.line.codec

    def _asks(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Begin what the other end may refuse; it goes on while time does."""

        def begin() -> None:
            self._asking = asyncio.ensure_future(work())
            self._asking.add_done_callback(_seen)

        self.world.do(begin)

    @property
    def refusal(self) -> int:
        """SIP status with which the last of its calls, registrations and re-INVITEs was refused; 0: it was not."""
        task = self._asking
        failed = task.exception() if task is not None and task.done() and not task.cancelled() else None
        return failed.status if isinstance(failed, CallFailed) else 0

    @told
    def hangs_up(self) -> None:
        self.world.do(self.line.hangs_up)

    @told
    def loses(self, share: float) -> None:
        """From now on lose this share (0 to 1) of the packets it sends, at random, the same ones in every run."""
        if not 0 <= share <= 1:
            raise ValueError(f"share {share}: 0 to 1")
        self.world.do(lambda: setattr(self.line.sound, "loses", share))

    # -- sound and keys

    def says(self, sound: Samples | str, *, seconds: float | None = None, loop: bool = False) -> None:
        """Say samples (8 kHz, int16), a file, or ``seconds`` of a sound over and over; ``loop``: until it hushes."""
        samples = from_file(sound) if isinstance(sound, str) else sound
        if seconds is not None:
            wanted = round(seconds * 8000)
            samples = samples.repeat(1) if len(samples) >= wanted else _repeated(samples, wanted)
            samples = samples[:wanted]
        self.say(samples, loop=loop)

    def speaks(self, text: str, *, voice: str = "", language: str = "") -> None:
        """Say a text, SSML or not, with the voice that the world's server has: espeak-ng or piper.

        Raises :class:`~mixminus.errors.SoundError` if none is installed, or it has no such voice or language.
        """
        settings = self.world.server.settings
        engine, voices = settings.tts_engine, settings.tts_piper_voices
        self.say(spoken(text, voice=voice, language=language, engine=engine, piper_voices=voices))

    @told
    def say(self, samples: Samples, loop: bool = False) -> None:
        """Say samples as they are."""
        self.world.do(lambda: self.line.says(samples, loop=loop))

    @told
    def hushes(self) -> None:
        self.world.do(self.line.hushes)

    @told
    def presses(self, keys: str) -> None:
        """Press keys ``0-9*#A-D``, 100 ms each with 100 ms between (RFC 4733)."""
        self.world.do(lambda: self.line.presses(keys))

    def heard(self, other: Phone, *, since: float = 0.0, until: float | None = None, above: float = -60.0) -> Audible:
        """Whether, and when, what ``other`` said came to this phone. Times in virtual seconds, level in dBFS."""
        begin_ns, end_ns = self.world.span(since, until)
        said, came = other.line.sound.said.between, self.line.sound.ear.between
        return audible(said, came, begin_ns, end_ns, origin_ns=self.world.origin_ns, above=above)

    def samples(self, *, since: float = 0.0, until: float | None = None) -> Samples:
        """What came to this phone, (S,) int16 at 8 kHz."""
        tape: Tape = self.line.sound.ear
        return tape.between(*self.world.span(since, until))

    @property
    def keys(self) -> str:
        """Keys sent to this phone in its call."""
        return self.line.sound.heard.keys


def _repeated(samples: Samples, wanted: int) -> Samples:
    import numpy as np

    if not len(samples):
        raise ValueError("there is nothing to repeat")
    return np.resize(samples, wanted)


def _seen(task: asyncio.Task[None]) -> None:
    if not task.cancelled():
        task.exception()

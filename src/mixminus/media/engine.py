"""The media engine: one tick, its stages in order, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mixminus.errors import MediaError
from mixminus.media import level, protocol
from mixminus.media.batch import DatagramBatch, PacketBatch
from mixminus.media.control import Control
from mixminus.media.demux import Demux
from mixminus.media.jitter import ingest, playout
from mixminus.media.many_ticks import stretch, stretch_mix
from mixminus.media.many_ticks.stretch_heard import Played
from mixminus.media.many_ticks.stretch_mix import Sources, StretchMixer
from mixminus.media.mixing.layout import LAWS, lay_out
from mixminus.media.mixing.limiter import MOST, Limiter
from mixminus.media.mixing.matrix import Index, build_plan
from mixminus.media.mixing.mix import Mixer
from mixminus.media.packetise import Packetiser
from mixminus.media.reports import Datagram, Reports
from mixminus.media.sound.agc import GainControl
from mixminus.media.sound.comfort import ComfortNoise
from mixminus.media.sound.dtmf import KeyReaders, Press
from mixminus.media.sound.inband import InbandKeys
from mixminus.media.sound.offset import Offsets
from mixminus.media.sound.prompt import LoadPrompt, LoadWide, Players
from mixminus.media.state import FRAME, RATE, TICK_NS, MediaState
from mixminus.media.taping.tap import OpenTap, Taps, TapsByRate, TapSink
from mixminus.media.wide.bands import Bands
from mixminus.media.wide.streams import Run, on_this_thread
from mixminus.media.wide.wideband import Receivers, Sound
from mixminus.rtp.packet import parse_headers


def _no_taps(command: protocol.StartTap, now_ns: int) -> TapSink:
    raise MediaError(f"tap {command.tap!r}: this engine was given nowhere to record to")


def _no_prompts(path: str) -> NDArray[np.int16]:
    raise MediaError(f"source {path!r}: not a built-in sound, and this engine was given no way to load files")


def _nothing_wide(path: str, rate: int, samples: int) -> None:
    """Sounds are what they are at 8 kHz."""


class Engine:
    """Every call of one worker. Pure: packets and time go in, datagrams and events come out.

    Args:
        ports: the pool's local UDP port numbers; batches name them by their index here.
        capacity: rows (legs, players and taps) to begin with; doubled when they are used up.
        seed: makes SSRCs, first sequence numbers and timestamps repeat; None: unguessable (RFC 3550 §9.1).
        open_tap: makes the sink of each tap.
        load_prompt: path → (N,) int16 samples at 8 kHz.
        load_wide: what of it there is at other rates; called within a tick.
        run: does the work of codecs that hold no GIL, on as many threads as it likes.
    """

    def __init__(
        self,
        ports: Sequence[int],
        *,
        capacity: int = 256,
        seed: int | None = None,
        open_tap: OpenTap = _no_taps,
        load_prompt: LoadPrompt = _no_prompts,
        load_wide: LoadWide = _nothing_wide,
        run: Run = on_this_thread,
    ) -> None:
        state = self._state = MediaState(capacity)
        self._demux = Demux(state)
        self._readers = KeyReaders()
        self._players = Players(state, load_prompt, load_wide)
        self._taps = Taps(state)
        self._receivers = Receivers(state, run)
        self._bands = Bands(state, run, self._players.played)
        self._packetiser = Packetiser(state)
        self._offsets = Offsets(state)
        self._gains = GainControl(state)
        self._inband = InbandKeys()
        self._comfort = ComfortNoise(state)
        self._limiter = Limiter()
        self._mixer = Mixer(self._limiter, state.capacity)
        self._stretches = StretchMixer(self._limiter)
        token = np.random.default_rng(seed).integers(1 << 62)
        self._reports = Reports(state, f"{token:016x}")
        self._control = Control(
            state,
            self._demux,
            self._readers,
            self._inband,
            self._comfort,
            self._players,
            TapsByRate(state, {RATE: self._taps, **self._bands.taps}),
            self._packetiser,
            self._reports,
            self._receivers,
            self._bands,
            ports,
            open_tap,
            seed,
        )
        self._capacity = state.capacity
        self._events: list[protocol.Event] = []
        self._tick = 0
        self._due_ns: int | None = None
        """When the next tick is due, if none is left out."""
        self._sound = np.empty(0, np.int16)
        """Room for the sounds of one stretch."""
        self._strangers = 0
        self._malformed = 0
        self._plan = build_plan(state.room, state.talk, state.hear)
        self._heard_narrow = np.zeros(state.capacity, np.bool_)
        self._layout = lay_out(self._plan, state.active, self._packetiser.row, self._packetiser.law)
        self._was_active = state.active.copy()

    def apply(self, command: protocol.Command, now_ns: int) -> protocol.Stats | None:
        """Do one command; its effect begins with the next tick. ``GetStats`` is answered, others return None.

        Raises:
            MediaError: it cannot be done; nothing was changed.
        """
        self._events += self._control.apply(command, now_ns)
        return self._stats(command) if isinstance(command, protocol.GetStats) else None

    def tick(self, now_ns: int, packets: PacketBatch, *, late: bool = False) -> DatagramBatch:
        """20 ms of every call. The batch returned is valid until the next tick.

        Args:
            now_ns: the nominal time; where that leaps, ticks were left out, and what belonged into them is over.
            packets: what has come since the last tick.
            late: this is done so long after ``now_ns`` that ``packets`` say nothing of how even the network is.
        """
        self._tick += 1
        self._receive(now_ns, packets, late=late)
        self._leave_out(now_ns)
        self._plan_hearing()
        row, pcm = self._hear(now_ns)
        if self._comfort.any():
            quiet, noise = self._comfort.play(self._tick, row)
            row, pcm = np.concatenate((row, quiet)), np.concatenate((pcm, noise))
        level.gate(self._state, row, pcm)
        ended = self._players.play()
        self._arrange()
        self._mixer.run(self._plan, self._layout, self._state.frame, self._packetiser.batch.payload)
        self._taps.record(self._plan, self._layout, self._mixer.mix, now_ns)
        payload_row, length = self._layout.payload, None
        if not self._bands.idle:
            payload_row, length = self._mix_bands(now_ns)
        self._events += self._packetiser.write(payload_row, now_ns, length)
        self._events += self._reports.turn(self._tick, now_ns)
        for player in ended:
            self._events += self._control.stop_play(self._state.names[player], now_ns)
        return self._packetiser.batch

    def many_ticks(
        self, now_ns: int, packets: PacketBatch, sound: Sequence[NDArray[np.uint8]], most: int
    ) -> stretch.Sent | None:
        """Up to ``most`` ticks in one pass, the first at ``now_ns``; None if the next must be taken by :meth:`tick`.

        ``packets``: the next packet of every stream; ``sound``: the payload of that and of the ones that would follow,
        (most * S,) each. What is left of it is to be given again.
        """
        state, tick = self._state, self._tick + 1
        restless = state.masks_changed or state.routes_changed or state.capacity != self._capacity
        if (
            restless
            or not self._bands.idle
            or self._packetiser.sending_keys
            or self._readers.holding
            or self._inband
            or self._offsets.any()
            or self._gains.any()
            or self._packetiser.comfort is not None
            or not self._taps.steady(self._plan)
        ):
            return None
        heads = self._heads(now_ns, packets, sound)
        if heads is None or not stretch.is_regular(state, heads, tick):
            return None
        most = min(stretch.most_ticks(state, heads.row, tick, most), self._players.ticks_left())
        return self._go(heads, most, now_ns) if most > 0 else None

    def _heads(self, now_ns: int, packets: PacketBatch, sound: Sequence[NDArray[np.uint8]]) -> stretch.Heads | None:
        headers = parse_headers(packets.data[: packets.count], packets.length[: packets.count])
        row, latched = self._demux.find(packets, headers, now_ns)
        self._events += latched
        known, _ = ingest.sort_out(self._state, headers, row)
        usual = known.row.size == packets.count and known.audio.all() and (known.size == FRAME).all()
        if latched or not usual:
            return None
        return stretch.Heads(known.row, known.sequence, known.timestamp, known.ssrc, sound)

    def _go(self, heads: stretch.Heads, most: int, now_ns: int) -> stretch.Sent | None:
        state = self._state
        heard = np.flatnonzero(state.talk[heads.row] != 0)
        rows = heads.row[heard]
        if np.setdiff1d(np.flatnonzero(state.speaking), rows).size:
            return None
        size = (rows.size + self._players.sounding) * most * FRAME
        if self._sound.size < size:
            self._sound = np.empty(size, np.int16)
        sound = self._sound[:size].reshape(-1, most * FRAME)
        judged = stretch.listen(state, heads, heard, most, sound[: rows.size])
        ticks = stretch.quiet_ticks(state, rows, judged.loud)
        if not ticks:
            return None
        loudest, peak = self._loudest(rows, stretch.peaks(sound[: rows.size, : ticks * FRAME]))
        if self._limiter.turned_down or (loudest > MOST).any():
            ticks = stretch.alike_ticks(judged.active[:, :ticks])
        players = self._players.coming(ticks, sound[rows.size :])
        plays = np.ones((players.size, ticks), np.bool_)
        source = Sources(
            np.concatenate((rows, players)),
            sound[:, : ticks * FRAME],
            np.concatenate((judged.active[:, :ticks], plays)),
        )
        source.silence()
        sounding = np.zeros(state.capacity, np.bool_)
        sounding[source.row] = source.active.any(axis=1)
        layout = self._stretches.arrange(self._plan, self._packetiser.row, self._packetiser.law, source.row, sounding)
        coming = [heads.sound[at] for at in heard.tolist()]
        active = judged.active[:, :ticks]
        played = Played(rows, state.law[rows].tolist(), judged.waited, judged.lag, coming, active)
        sums, payload = self._stretches.run(source.sound, stretch_mix.bounds(layout, loudest, peak), played)
        stretch.count_speech(state, rows, judged.loud[:, :ticks])
        state.hangover[rows] = judged.hangover[:, ticks - 1]
        self._pass(heads, source, now_ns)
        self._taps.record_stretch(self._plan, layout, sums, source, now_ns)
        return stretch.Sent(ticks, self._packetiser.batch, payload, layout.payload)

    def _pass(self, heads: stretch.Heads, source: Sources, now_ns: int) -> None:
        """Bring everything but the recordings to the state after the ticks of ``source``."""
        state, tick, ticks = self._state, self._tick + 1, source.active.shape[1]
        stretch.go_on(state, heads, ticks, tick)
        state.active[:] = False
        state.active[source.row] = source.active[:, -1]
        state.frame[source.row] = source.sound[:, -FRAME:]
        self._players.skip(ticks)
        self._tick += ticks
        self._due_ns = now_ns + ticks * TICK_NS
        for passed in self._reports.turns(tick, ticks):
            self._events += self._reports.turn(tick + passed, now_ns + passed * TICK_NS)
        self._packetiser.skip(ticks)

    def _leave_out(self, now_ns: int) -> None:
        due_ns, self._due_ns = self._due_ns, now_ns + TICK_NS
        ticks = 0 if due_ns is None else (now_ns - due_ns) // TICK_NS
        if ticks > 0:
            self._tick += ticks
            playout.leave_out(self._state, ticks)
            self._packetiser.leave_out(ticks)

    def _loudest(self, row: Index, peak: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(buses,) what no sample of a bus can be beyond, these sources (N,) and what is played at their peaks; and all
        peaks, (R,).
        """
        peaks = np.zeros(self._state.capacity)
        peaks[row] = peak
        player, peak_played = self._players.peaks()
        peaks[player] = peak_played
        plan = self._plan
        loudest = np.bincount(plan.bus, peaks[plan.source], minlength=plan.buses)
        return np.asarray(loudest, np.float64), peaks

    def events(self) -> list[protocol.Event]:
        """What happened since the last call, in order."""
        drained, self._events = self._events, []
        return drained

    def reports(self) -> list[Datagram]:
        """RTCP packets to send, since the last call."""
        return self._reports.datagrams()

    def forget_reports(self) -> None:
        """In place of :meth:`reports`, where nobody reads RTCP."""
        self._reports.forget()

    def _receive(self, now_ns: int, packets: PacketBatch, *, late: bool) -> None:
        count = packets.count
        if count:
            data = packets.data[:count]
            headers = parse_headers(data, packets.length[:count])
            row, latched = self._demux.find(packets, headers, now_ns)
            self._events += latched
            if headers.rtcp.any():
                self._reports.receive(packets, np.flatnonzero(headers.rtcp), now_ns)
            headers = self._receivers.translate(headers, row, data)
            arrivals, malformed = ingest.sort_out(self._state, headers, row)
            self._malformed += malformed
            self._strangers += int(np.count_nonzero(headers.valid & (row < 0)))
            ingest.push(self._state, arrivals, data, self._tick, on_time=not late)
            self._tell(self._readers.receive(arrivals, data, self._tick), now_ns)
            if not arrivals.audio.all():
                self._comfort.receive(arrivals, data)
                self._state.inband[arrivals.row[arrivals.event]] = False
                self._inband.close(arrivals.row[arrivals.event])
        self._tell(self._readers.expire(self._tick), now_ns)

    def _hear(self, now_ns: int) -> tuple[NDArray[np.intp], NDArray[np.int16]]:
        """What legs send, at 8 kHz: rows (A,) that may be heard and have sound, and their samples (A, FRAME)."""
        state, tick = self._state, self._tick
        row, pcm = playout.pull(state, tick)
        self._offsets.take_out(RATE, row, pcm)
        sounds = self._receivers.pull(tick) if self._receivers else []
        if self._offsets.any() or self._gains.any():
            sounds = [sound if sound.pcm.flags.writeable else sound._replace(pcm=sound.pcm.copy()) for sound in sounds]
        for sound in sounds:
            self._offsets.take_out(*sound)
        if sounds:
            wide_row, wide_pcm = self._bands.narrow(tick, sounds, self._heard_narrow)
            row, pcm = np.concatenate((row, wide_row)), np.concatenate((pcm, wide_pcm))
        if self._inband:
            self._tell(self._inband.hear(row, pcm), now_ns)
            heard = state.talk[row] != 0
            row, pcm = row[heard], pcm[heard]
        floats = pcm.astype(np.float32)
        energy = np.einsum("as,as->a", floats, floats)
        self._offsets.look(tick, row, floats, energy)
        self._events += level.speaking(state, row, energy, now_ns)
        if self._gains.any():
            self._gains.run(row, energy, [Sound(RATE, row, pcm), *sounds])
        return row, pcm

    def _tell(self, presses: list[tuple[int, Press]], now_ns: int) -> None:
        for row, press in presses:
            self._events.append(protocol.Digit(self._state.names[row], press.key, press.duration_ms, now_ns))

    def _plan_hearing(self) -> None:
        """Bring the plan up to date with what changed since the last tick: who hears whom at 8 kHz."""
        state = self._state
        if state.masks_changed:
            self._plan = build_plan(state.room, state.talk, self._narrow_hearing())
            self._heard_narrow = np.zeros(state.capacity, np.bool_)
            self._heard_narrow[self._plan.source] = self._heard_narrow[self._taps.legs()] = True
            self._heard_narrow[self._inband.rows] = True
            self._bands.plan(self._tick)

    def _arrange(self) -> None:
        """Bring buffers and layout up to date with what changed since the last tick."""
        state = self._state
        if state.capacity != self._capacity:
            self._capacity = state.capacity
            self._mixer = Mixer(self._limiter, state.capacity)
            self._packetiser.grow()
        changed = state.masks_changed or state.routes_changed
        if state.routes_changed:
            self._packetiser.route()
        sounding = changed or not np.array_equal(state.active, self._was_active)
        if sounding:
            self._layout = lay_out(self._plan, state.active, self._packetiser.row, self._packetiser.law)
            self._was_active = state.active.copy()
        if changed or not self._bands.idle:
            self._bands.arrange(self._packetiser.row, layout=sounding)
        state.masks_changed = state.routes_changed = False

    def _narrow_hearing(self) -> NDArray[np.uint64]:
        """(R,) what is heard at 8 kHz: by legs and taps of that rate, and by legs that are recorded at it."""
        state = self._state
        narrow = state.rate == RATE
        if narrow.all():
            return state.hear
        narrow[self._taps.legs()] = True
        return np.where(narrow, state.hear, np.uint64(0))

    def _mix_bands(self, now_ns: int) -> tuple[NDArray[np.intp], NDArray[np.int32]]:
        """What is mixed above 8 kHz: to the recordings, and encoded; rows and lengths of all payloads, (L,) each."""
        begin = len(LAWS) + sum(mixes.size for _, mixes in self._layout.encode)
        self._bands.run(self._tick, self._packetiser.batch.payload, begin, self._packetiser.silences_at)
        self._bands.record(now_ns)
        payload_row = self._layout.payload.copy()
        return payload_row, self._bands.address(payload_row)

    def _stats(self, asked: protocol.GetStats) -> protocol.Stats:
        """Lateness is the clock's to know: the loop around the engine fills it in."""
        legs, rooms, taps = self._control.counts()
        return protocol.Stats(
            legs=legs,
            rooms=rooms,
            taps=taps,
            ticks=self._tick,
            late_ticks=0,
            skipped_ticks=0,
            stranger_packets=self._strangers,
            malformed_packets=self._malformed + self._reports.malformed,
            leg_stats=self._control.leg_stats(asked),
            poor_legs=self._reports.poor_legs,
            mean_mos=self._reports.mean_mos(),
        )

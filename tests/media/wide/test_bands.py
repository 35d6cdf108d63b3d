"""Calls of phones of different codecs: who hears whom, how wide, how late, and what is recorded."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from media.kit import RATES, SILENCE, TYPES, Studio, joined, strength, tone, voice
from mixminus.errors import MediaError
from mixminus.media import protocol
from mixminus.media.codecs import opus
from mixminus.media.state import TICK_NS
from mixminus.media.wide.resample import delay_seconds

TICKS = 60
CODECS: tuple[protocol.Codec, ...] = ("PCMU", "PCMA", "G722", "opus")
HERTZ = {"PCMU": 400, "PCMA": 700, "G722": 1100, "opus": 1700}


def talk(studio: Studio, hertz: dict[str, float], ticks: int = TICKS, peak: float = 3000) -> None:
    """Each leg named sends a tone of its own for a while, the others silence."""
    tones = {
        leg: tone(hertz.get(leg, 440), ticks, peak if leg in hertz else 0, RATES[peer.codec])
        for leg, peer in studio.peers.items()
    }
    for tick in range(ticks):
        studio.tick({leg: sound[tick] for leg, sound in tones.items()})


def heard(studio: Studio, leg: str, hertz: float, ticks: int = 25) -> float:
    """Amplitude of a tone in the last half second of what a leg heard."""
    peer = studio.peers[leg]
    return strength(joined(peer.heard[-ticks:]), hertz, RATES[peer.codec])


def test_everybody_hears_everybody_else_and_not_themself_whatever_the_codec() -> None:
    studio = Studio()
    for codec in CODECS:
        studio.join(codec, codec=codec)
    talk(studio, dict(HERTZ))
    for listener, speaker in itertools.product(CODECS, CODECS):
        level = heard(studio, listener, HERTZ[speaker])
        if listener == speaker:
            assert level < 60, f"{listener} hears itself"
        else:
            assert 2500 < level < 3500, f"{listener} hears {speaker} at {level:.0f}"


@pytest.mark.parametrize(("listener", "hears"), [("opus", True), ("G722", True), ("PCMU", False)])
def test_what_lies_above_the_telephone_band_reaches_who_can_hear_it(listener: protocol.Codec, hears: bool) -> None:
    studio = Studio()
    studio.join("speaker", codec="opus")
    studio.join("listener", codec=listener)
    talk(studio, {"speaker": 6000})
    pcm = joined(studio.peers["listener"].heard[-25:])
    if hears:
        assert strength(pcm, 6000, RATES[listener]) > 2000
    else:
        assert max(strength(pcm, hertz) for hertz in (2000, 3400)) < 3, "nothing folds back"
        assert np.abs(pcm).max() <= 32


def test_phones_of_g711_hear_each_other_bit_for_bit_as_without_wideband_in_the_call() -> None:
    streams = []
    for codecs in (("PCMU", "PCMA"), ("PCMU", "PCMA", "opus", "G722")):
        studio = Studio()
        for codec in codecs:
            studio.join(codec, codec=codec)
        talk(studio, {"PCMU": 400, "PCMA": 700})
        streams.append([studio.peers[leg].payloads for leg in ("PCMU", "PCMA")])
    assert streams[0] == streams[1]


def test_hearing_is_obeyed_across_rates() -> None:
    studio = Studio()
    studio.join("coach", codec="opus", talk=2, hear=1)
    studio.join("agent", codec="G722", talk=1, hear=3)
    studio.join("customer", codec="PCMU", talk=1, hear=1)
    studio.join("deaf", codec="opus", talk=0, hear=0)
    studio.join("elsewhere", "other room", codec="opus")
    talk(studio, {"coach": 1700, "agent": 1100, "customer": 400, "elsewhere": 900})
    assert heard(studio, "agent", 1700) > 2500
    for leg in ("customer", "deaf", "elsewhere"):
        assert heard(studio, leg, 1700) < 20
    assert heard(studio, "customer", 1100) > 2500
    assert max(np.abs(frame).max() for frame in studio.peers["deaf"].heard) <= 24
    assert heard(studio, "coach", 900) < 20


@pytest.mark.parametrize(
    ("codecs", "rate"), [(("PCMU", "PCMA"), 8000), (("PCMU", "G722"), 16000), (("PCMU", "G722", "opus"), 48000)]
)
def test_a_recording_takes_the_highest_rate_of_the_room(codecs: tuple[protocol.Codec, ...], rate: int) -> None:
    studio = Studio()
    for codec in codecs:
        studio.join(codec, codec=codec)
    studio.apply(protocol.StartTap("tap", "room", 1, "nowhere"))
    assert studio.opened["tap"].rate == rate
    talk(studio, {codec: HERTZ[codec] for codec in codecs})
    studio.apply(protocol.StopTap("tap"))
    pcm = studio.tapes["tap"].pcm
    assert pcm.size == TICKS * rate // 50
    for codec in codecs:
        assert 2500 < strength(pcm[-rate // 2 :], HERTZ[codec], rate) < 3500


def test_a_recording_keeps_its_rate_when_members_go() -> None:
    studio = Studio()
    studio.join("narrow")
    studio.apply(protocol.StartTap("narrow tap", "room", 1, "nowhere", rate=8000))
    wide = studio.join("wide", codec="opus")
    studio.apply(protocol.StartTap("wide tap", "room", 1, "nowhere"))
    talk(studio, {"narrow": 400, "wide": 1700})
    studio.leave(wide)
    talk(studio, {"narrow": 400})
    for tap, rate in (("narrow tap", 8000), ("wide tap", 48000)):
        studio.apply(protocol.StopTap(tap))
        pcm = studio.tapes[tap].pcm
        assert pcm.size == 2 * TICKS * rate // 50
        first, second = pcm[: pcm.size // 2], pcm[pcm.size // 2 :]
        assert strength(first[-rate // 2 :], 1700, rate) > 2500
        assert strength(second[-rate // 2 :], 1700, rate) < 20
        assert strength(second[-rate // 2 :], 400, rate) > 2500


def test_a_recording_goes_on_at_a_higher_rate_when_somebody_comes_who_can_use_it() -> None:
    studio = Studio()
    studio.join("narrow")
    studio.join("elsewhere", "other room")
    for tap in ("room", "own"):
        leg = "narrow" if tap == "own" else ""
        studio.apply(protocol.StartTap(tap, "room", 1, "nowhere", leg=leg, notes=True))
    studio.apply(protocol.StartTap("paused", "room", 1, "nowhere", paused=True))
    studio.apply(protocol.StartTap("fixed", "room", 1, "nowhere", rate=8000))
    studio.apply(protocol.StartTap("other", "other room", 1, "nowhere"))
    sound = tone(400, 3 * TICKS)
    for tick in range(3 * TICKS):
        if tick == TICKS:
            studio.join("middle", codec="G722")
        if tick == 2 * TICKS:
            studio.join("wide", codec="opus")
        studio.tick({"narrow": sound[tick]})
    told = [event for event in studio.told(protocol.TapOpened) if isinstance(event, protocol.TapOpened)]
    for tap in ("room", "own", "paused"):
        rates = [(event.rate, event.at_ns // TICK_NS) for event in told if event.tap == tap]
        assert rates == [(8000, 0), (16000, TICKS), (48000, 2 * TICKS)]
    assert {event.rate for event in told if event.tap in ("fixed", "other")} == {8000}
    studio.apply(protocol.ResumeTap("paused"))
    studio.tick()
    for tap in ("room", "own", "paused", "fixed"):
        studio.apply(protocol.StopTap(tap))
    assert studio.tapes["paused"].pcm.size == 960
    assert studio.tapes["fixed"].pcm.size == (3 * TICKS + 1) * 160
    for tap in ("room", "own"):
        tape = studio.tapes[tap]
        assert tape.rates == [(TICKS * 160, 16000), (TICKS * 480, 48000)]
        assert tape.pcm.size == TICKS * (160 + 320 + 960) + 960
        first, second, third = np.split(tape.pcm, [TICKS * 160, TICKS * 480])
        for pcm, rate in ((first, 8000), (second, 16000), (third[: TICKS * 960], 48000)):
            begin = rate // 50 * 2  # the jitter buffer's, in the first
            steady = pcm[begin if rate == 8000 else 0 :].astype(float)
            assert strength(steady[: rate // 2], 400, rate) == pytest.approx(3000, rel=0.02)
            steps = np.abs(np.diff(steady))
            assert steps.max() < 1.1 * 3000 * 2 * np.pi * 400 / rate, "no break, from the first sample on"


def test_tracks_and_taps_of_one_leg_are_recorded_at_the_rooms_rate() -> None:
    studio = Studio()
    studio.join("narrow")
    studio.join("wide", codec="opus")
    studio.apply(protocol.StartTap("tracks", "room", 1, "nowhere", tracks=True))
    studio.apply(protocol.StartTap("leg", "room", 0, "nowhere", leg="narrow", heard=True))
    studio.apply(protocol.StartTap("slow", "room", 0, "nowhere", leg="wide", heard=True, rate=8000))
    talk(studio, {"narrow": 400, "wide": 1700})
    for tap in ("tracks", "leg", "slow"):
        studio.apply(protocol.StopTap(tap))
    tracks, leg, slow = (studio.tapes[tap] for tap in ("tracks", "leg", "slow"))
    assert strength(tracks.track("wide")[-24000:], 1700, 48000) > 2500
    assert strength(tracks.track("narrow")[-24000:], 400, 48000) > 2500
    assert strength(tracks.track("narrow")[-24000:], 1700, 48000) < 20
    assert strength(leg.track("own")[-24000:], 400, 48000) > 2500
    assert strength(leg.track("heard")[-24000:], 1700, 48000) > 2500
    assert strength(slow.track("own")[-4000:], 1700) > 2500
    assert strength(slow.track("heard")[-4000:], 400) > 2500


def test_the_rate_of_a_recording_is_told_when_it_begins() -> None:
    studio = Studio()
    studio.join("wide", codec="G722")
    studio.apply(protocol.StartTap("tap", "room", 1, "nowhere"))
    studio.tick()
    assert studio.told(protocol.TapOpened) == [protocol.TapOpened("tap", 16000, 0)]


def test_a_rate_nobody_mixes_at_is_refused() -> None:
    studio = Studio()
    with pytest.raises(MediaError, match="rate 44100"):
        studio.apply(protocol.StartTap("tap", "room", 1, "nowhere", rate=44100))


def test_listeners_of_one_mix_share_one_encoding() -> None:
    studio = Studio()
    for number in range(6):
        studio.join(f"leg {number}", codec="opus")
    talk(studio, {"leg 0": 400})
    last = [studio.peers[f"leg {number}"].payloads[-1] for number in range(6)]
    assert len(set(last[1:])) == 1
    assert last[0] == opus.silence()
    studio.tick()


def test_silence_is_not_encoded() -> None:
    studio = Studio()
    legs = [studio.join(f"leg {number}", codec="opus") for number in range(3)]
    talk(studio, {}, 30)
    assert {payload for leg in legs for payload in leg.payloads[15:]} == {opus.silence()}


def test_a_listener_who_begins_and_stops_talking_hears_no_break() -> None:
    """They are moved from the shared stream to one of their own and back; what they hear is one long tone."""
    studio = Studio()
    for leg in ("speaker", "mover", "third"):
        studio.join(leg, codec="opus")
    ticks = 150
    tones = {"speaker": tone(440, ticks, rate=48000), "mover": tone(1250, ticks, rate=48000)}
    for tick in range(ticks):
        mover = tones["mover"][tick] * (40 <= tick < 80)
        studio.tick({"speaker": tones["speaker"][tick], "mover": mover, "third": np.zeros(960, np.int16)})
    levels = np.array([strength(frame, 450, 48000) for frame in studio.peers["mover"].heard[20:]])
    assert levels.min() > 0.8 * np.median(levels)
    assert levels.max() < 1.2 * np.median(levels)
    pcm = joined(studio.peers["mover"].heard[20:]).astype(int)
    assert np.abs(np.diff(pcm)).max() < 3 * 3000 * 2 * np.pi * 440 / 48000, "a click"
    assert heard(studio, "third", 1250) < 20


def loudness(pcm: NDArray[np.generic]) -> NDArray[np.float64]:
    """(T,) dB of frames (T, S)."""
    power: NDArray[np.float64] = 10 * np.log10(np.square(np.asarray(pcm, np.float64)).mean(axis=1) + 1)
    return power


def speech(codec: protocol.Codec, seconds: float, seed: int = 1, pitch: float = 140.0) -> NDArray[np.int16]:
    """(T, S) at the codec's rate."""
    return np.ascontiguousarray(voice(seconds, seed, pitch)[:, :: 48000 // RATES[codec]])


@pytest.mark.parametrize("codec", ["G722", "opus"])
def test_a_word_after_silence_is_as_loud_as_it_was_said(codec: protocol.Codec) -> None:
    """A decoder that was sent something else than its encoder thinks makes a burst of it."""
    studio = Studio()
    for leg in ("speaker", "listener"):
        studio.join(leg, codec=codec)
    studio.apply(protocol.StartTap("tap", "room", 1, "nowhere"))
    said, silence = speech(codec, 4.0), np.zeros(RATES[codec] // 50, np.int16)
    for tick in range(200):
        if tick == 20:
            studio.join("late", codec=codec)
        if tick in (45, 60):
            studio.apply(protocol.UpdateLeg("late", studio.peers["late"].address, codec, TYPES[codec], send=tick == 60))
        talks = 40 <= tick < 80 or tick >= 130
        studio.tick({"speaker": said[tick] if talks else silence, "listener": silence})
    studio.apply(protocol.StopTap("tap"))
    mix = studio.tapes["tap"].pcm.reshape(200, -1)
    for leg, begin in (("listener", 41), ("listener", 131), ("late", 61), ("late", 131)):
        heard = np.array(studio.peers[leg].heard)[begin - 200 :]
        assert (loudness(heard[:15]) < loudness(mix[begin : begin + 15]) + 4).all(), leg
        assert np.abs(heard[:15].astype(int)).max() < 1.3 * np.abs(mix[begin : begin + 15].astype(int)).max()


@pytest.mark.parametrize("codec", ["G722", "opus"])
def test_moving_between_the_shared_stream_and_an_own_one_is_40_db_below_what_is_heard(codec: protocol.Codec) -> None:
    heard = {}
    for moves in (False, True):
        studio = Studio()
        for leg in ("speaker", "mover", "third"):
            studio.join(leg, codec=codec)
        said, own = speech(codec, 6.0), speech(codec, 6.0, 5, 200)
        silence = np.zeros(RATES[codec] // 50, np.int16)
        for tick in range(300):
            talks = moves and (40 <= tick < 80 or 95 <= tick < 98 or 210 <= tick < 220)
            studio.tick({"speaker": said[tick], "mover": own[tick] if talks else silence, "third": silence})
        heard[moves] = np.array(studio.peers["mover"].heard[10:])
        if codec == "opus":
            assert studio.peers["mover"].payloads[200] == studio.peers["third"].payloads[200], "and they do share"
    difference = heard[True].astype(int) - heard[False]
    assert np.abs(difference).max() < 0.01 * np.abs(heard[False].astype(int)).max()
    assert loudness(difference).max() < loudness(heard[False]).max() - 40


@pytest.mark.parametrize("codec", ["G722", "opus"])
def test_time_stamps_follow_the_codecs_clock(codec: protocol.Codec) -> None:
    studio = Studio()
    leg = studio.join("leg", codec=codec)
    studio.run(5)
    steps = np.diff([header.timestamp for header in leg.headers]) % (1 << 32)
    assert set(steps.tolist()) == {960 if codec == "opus" else 160}
    assert {header.payload_type for header in leg.headers} == {111 if codec == "opus" else 9}


def test_keys_beside_opus_run_on_its_clock() -> None:
    studio = Studio()
    leg = studio.join("leg", codec="opus")
    studio.apply(protocol.SendDigits("leg", "5"))
    studio.run(20)
    events = [(h.timestamp, p) for h, p in zip(leg.headers, leg.payloads, strict=True) if h.payload_type == 101]
    assert len({timestamp for timestamp, _ in events}) == 1
    assert int.from_bytes(events[-1][1][2:4]) == 5 * 960
    for duration in (960, 1920, 4800, 4800, 4800):
        end = 0x80 if duration == 4800 else 0
        studio.deliver(leg, leg.raw(bytes((5, end | 10, duration >> 8, duration & 255)), payload_type=101))
        studio.tick()
    (digit,) = studio.told(protocol.Digit)
    assert isinstance(digit, protocol.Digit)
    assert (digit.key, digit.duration_ms) == ("5", 100)


def test_a_leg_may_change_its_codec() -> None:
    studio = Studio()
    studio.join("speaker", codec="PCMU")
    leg = studio.join("leg", codec="PCMU")
    talk(studio, {"speaker": 400, "leg": 700})
    for codec, payload_type in (("opus", 111), ("G722", 9), ("PCMA", 8)):
        studio.apply(protocol.UpdateLeg("leg", leg.address, codec, payload_type))  # type: ignore[arg-type]
        leg.codec = codec  # type: ignore[assignment]
        leg.__post_init__()
        talk(studio, {"speaker": 400, "leg": 700})
        assert 2500 < heard(studio, "leg", 400) < 3500, codec
        assert 2500 < heard(studio, "speaker", 700) < 3500, codec


def test_players_are_heard_at_every_rate() -> None:
    studio = Studio(prompts={"song": tone(500, 100).reshape(-1)})
    for codec in CODECS:
        studio.join(codec, codec=codec)
    studio.apply(protocol.Play("player", "room", "song", 1))
    talk(studio, {}, 50)
    for codec in CODECS:
        assert 2700 < heard(studio, codec, 500) < 3300


def test_lost_packets_of_opus_are_recovered_by_the_next_and_counted() -> None:
    """What is recorded is, to the sample, what a bare decoder makes that is told of each loss."""
    studio = Studio()
    speaker = studio.join("speaker", codec="opus")
    studio.apply(protocol.StartTap("tap", "room", 1, "nowhere"))
    lost = set(range(25, 100, 10))
    sent: list[bytes] = []
    for at, frame in enumerate(voice()):
        data = speaker.packet(frame)
        sent.append(data[12:])
        studio.deliver(speaker, *[data] * (at not in lost))
        studio.tick()
    studio.tick()
    studio.apply(protocol.StopTap("tap"))
    decoder, out = opus.Decoder(), np.zeros(5760, np.int16)
    expected = []
    for at, packet in enumerate(sent):
        if at in lost:
            decoder.recover(sent[at + 1], opus.FRAME, out)
        else:
            decoder.decode(packet, out)
        expected.append(out[: opus.FRAME].copy())
    recorded = studio.tapes["tap"].pcm[opus.FRAME :]
    assert np.array_equal(recorded, joined(expected))
    stats = studio.stats("speaker")
    assert (stats.lost, stats.concealed) == (len(lost), len(lost))


def test_who_is_silent_is_not_decoded_and_what_they_say_next_is_heard_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    studio = Studio()
    speaker = studio.join("speaker", codec="opus")
    studio.apply(protocol.StartTap("tap", "room", 1, "nowhere"))
    decoded: list[int] = []
    decode_each = opus.decode_each

    def counted(tasks: Iterator[opus.Decoding], results: list[int]) -> None:
        decoded.append(len(results))
        decode_each(tasks, results)

    monkeypatch.setattr(opus, "decode_each", counted)
    words = voice(0.6, seed=3) // 3
    noise = np.random.default_rng(2).normal(0, 2, (100, opus.FRAME)).astype(np.int16)
    sent: list[bytes] = []
    for frame in np.concatenate((words, noise, words)):
        data = speaker.packet(frame)
        sent.append(data[12:])
        studio.deliver(speaker, data)
        studio.tick()
    studio.tick()
    studio.apply(protocol.StopTap("tap"))
    decoder, out = opus.Decoder(), np.zeros(5760, np.int16)
    expected = joined(out[: decoder.decode(packet, out)].copy() for packet in sent)
    recorded = studio.tapes["tap"].pcm[opus.FRAME :].astype(float)
    assert sum(decoded[45:130]) < 10, "in two seconds of faint noise it was only looked in now and then"
    assert np.array_equal(recorded[: words.size], expected[: words.size])
    difference = recorded[-words.size :] - expected[-words.size :]
    assert np.std(difference) < 0.03 * np.std(expected[-words.size :])


@pytest.mark.parametrize("frames", [1, 3])
def test_packets_of_other_durations_are_played_whole(frames: int) -> None:
    """Packets of 60 ms, and of 20 ms, made by joining frames of one encoder (RFC 6716 §3.2.5)."""
    studio = Studio()
    speaker = studio.join("speaker", codec="opus")
    studio.join("listener", codec="opus")
    sound = tone(440, 120, rate=48000)
    for tick in range(120):
        speaker.voice.name = "opus"
        if tick % frames == 0:
            coded = [speaker.voice.encode(frame) for frame in sound[tick : tick + frames]]
            data = speaker.raw(_joined_packet(coded))
            speaker.timestamp += 960 * frames
            studio.deliver(speaker, data)
        studio.tick({"listener": np.zeros(960, np.int16)})
    levels = np.array([strength(frame, 450, 48000) for frame in studio.peers["listener"].heard[30:]])
    assert levels.min() > 0.9 * np.median(levels)


def _joined_packet(coded: list[bytes]) -> bytes:
    """A packet of code 3 with frames of different sizes."""
    if len(coded) == 1:
        return coded[0]
    sizes = b""
    for packet in coded[:-1]:
        size = len(packet) - 1
        sizes += bytes((size,)) if size < 252 else bytes((252 + (size & 3), (size - 252) >> 2))
    return bytes((coded[0][0] | 3, 0x80 | len(coded))) + sizes + b"".join(packet[1:] for packet in coded)


def test_rubbish_in_place_of_opus_is_counted_and_harms_nobody() -> None:
    studio = Studio()
    speaker = studio.join("speaker", codec="opus")
    studio.join("listener", codec="PCMU")
    random = np.random.default_rng(1)
    for _ in range(200):
        studio.deliver(speaker, speaker.raw(random.bytes(int(random.integers(0, 400)))))
        speaker.timestamp += 960
        studio.tick({"listener": SILENCE})
    stats = studio.apply(protocol.GetStats())
    assert stats is not None
    assert stats.malformed_packets > 0
    talk(studio, {"speaker": 440})
    assert heard(studio, "listener", 440) > 2500


@pytest.mark.parametrize(("source", "target"), [*itertools.permutations(("PCMU", "G722", "opus"), 2)])
def test_the_delay_between_codecs_is_the_filters_and_no_more(source: protocol.Codec, target: protocol.Codec) -> None:
    """Against two phones of G.711: the codecs' own look-ahead is allowed for, resampling may add 5 ms."""
    own = {"PCMU": 0.0, "G722": 0.0015, "opus": 0.0065}
    delays = {}
    for one, other in (("PCMU", "PCMU"), (source, target)):
        studio = Studio()
        studio.join("speaker", codec=one)  # type: ignore[arg-type]
        studio.join("listener", codec=other)  # type: ignore[arg-type]
        rate = RATES[one]
        burst = tone(1000, 40, rate=rate)
        for tick in range(40):
            sound = burst[tick] * (tick >= 20)
            studio.tick({"speaker": sound, "listener": np.zeros(RATES[other] // 50, np.int16)})
        pcm = np.abs(joined(studio.peers["listener"].heard).astype(int))
        delays[one, other] = np.flatnonzero(pcm > 1500)[0] / RATES[other]
    added = delays[source, target] - delays["PCMU", "PCMU"] - own[source] - own[target]
    assert added < 0.005
    assert delay_seconds(RATES[source], RATES[target]) < 0.005
    assert TICK_NS == 20_000_000


@pytest.mark.parametrize("codec", ["G722", "opus"])
def test_the_delay_of_wide_legs_follows_the_network(codec: protocol.Codec) -> None:
    """Ten seconds of jitter (40 ms on average, up to 200), then a quiet network."""
    studio = Studio()
    speaker = studio.join("speaker", codec=codec)
    studio.join("listener", codec=codec)
    random, said = np.random.default_rng(1), speech(codec, 4.0)
    due: dict[int, list[bytes]] = {}
    depth = []
    for tick in range(1000):
        late = min(10, int(random.exponential(40) / 20)) if tick < 500 else 0
        due.setdefault(tick + late, []).append(speaker.packet(said[tick % 200]))
        studio.deliver(speaker, *due.pop(tick, []))
        studio.tick()
        depth.append(studio.stats("speaker").delay_ms)
    stats = studio.stats("speaker")
    assert stats.late < 0.03 * 500
    assert 80 < float(np.mean(depth[200:500])) < 200
    assert depth[-1] < float(np.mean(depth[200:500])) - 30, "what is not needed any more is given back"

"""Offer and answer for one audio stream, with telephone events and comfort noise (RFC 3264, RFC 4733, RFC 3389,
RFC 7587). Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from mixminus.errors import MixminusError, ProtocolError
from mixminus.sdp.description import (
    Description,
    Direction,
    Media,
    format_description,
    is_unspecified,
    parse_description,
)

Codec: TypeAlias = Literal["PCMU", "PCMA", "G722", "opus"]
CODECS: tuple[Codec, ...] = ("PCMU", "PCMA")
"""Used where nothing else was asked for."""
SPOKEN: tuple[Codec, ...] = ("opus", "G722", "PCMU", "PCMA")
"""All that can be negotiated."""
STATIC_TYPES: dict[Codec, int] = {"PCMU": 0, "PCMA": 8, "G722": 9}
OPUS_TYPE = 111
COMFORT_NOISE_TYPE = 13
"""Static, of a clock of 8 kHz (RFC 3389 section 4): beside G.711. Opus has silence of its own, G.722 none."""
_OFFERED_TYPES: dict[Codec, int] = {**STATIC_TYPES, "opus": OPUS_TYPE}
ENCODINGS: dict[Codec, str] = {"PCMU": "PCMU/8000", "PCMA": "PCMA/8000", "G722": "G722/8000", "opus": "opus/48000/2"}
"""As in rtpmap. G.722 samples at 16 kHz, but its clock is 8 kHz (RFC 3551 section 4.5.2); Opus is always written so
(RFC 7587 section 7).
"""
OPUS_PARAMETERS = "minptime=10;useinbandfec=1;usedtx=1;maxaveragebitrate=32000"
"""What we want to be sent: one channel, redundancy against loss, nothing in silence."""
NARROW_CLOCK = 8000
OPUS_CLOCK = 48000
DTMF_TYPE = 101
OPUS_DTMF_TYPE = 110
DEFAULT_PTIME = 20
_PROTOCOLS = frozenset({"RTP/AVP", "RTP/AVPF"})
_REVERSED: dict[Direction, Direction] = {
    "sendrecv": "sendrecv",
    "sendonly": "recvonly",
    "recvonly": "sendonly",
    "inactive": "inactive",
}


class NoCommonCodec(MixminusError):
    """Nothing in the offer can be spoken here, or the answer refused our stream: 488."""


@dataclass(frozen=True)
class MediaPlan:
    """What both ends agreed on, as seen from here."""

    codec: Codec
    payload_type: int
    """Of the packets we send; those we receive carry our own offer's, or this one if the peer offered."""
    dtmf_payload_type: int | None
    """``None``: the peer takes no telephone events."""
    remote: tuple[str, int] | None
    """Where to send; ``None`` while the peer wants nothing (held with 0.0.0.0)."""
    send: bool
    """Whether the peer wants to hear us."""
    receive: bool
    """Whether the peer sends."""
    ptime: int
    """Milliseconds per packet that the peer asks for, 10-60 in steps of 10."""
    rtcp_mux: bool = False
    rtcp: tuple[str, int] | None = None
    """Where RTCP goes: ``a=rtcp``, the same port if muxed, else the next."""
    dtmf_clock: int = NARROW_CLOCK
    """Hz of the events' time stamps: the audio's (RFC 4733 section 2.1), or 8000 if the peer has no other."""


def make_offer(
    *,
    host: str,
    port: int,
    session_id: int | str,
    version: int,
    codecs: Sequence[Codec] = CODECS,
    direction: Direction = "sendrecv",
    ptime: int = DEFAULT_PTIME,
    comfort_noise: bool = False,
) -> bytes:
    """An offer in order of preference. ``version`` must rise whenever anything changes (section 8).

    ``comfort_noise``: with it, if G.711 is among ``codecs``.
    """
    formats = [(_OFFERED_TYPES[codec], codec) for codec in codecs]
    events = [(OPUS_DTMF_TYPE, OPUS_CLOCK)] if "opus" in codecs else []
    if set(codecs) != {"opus"}:
        events.append((DTMF_TYPE, NARROW_CLOCK))
    media = _stream(port, formats, events, "0-16", direction, ptime)
    if comfort_noise and not set(CODECS).isdisjoint(codecs):
        _add_comfort_noise(media)
    return format_description(Description(str(session_id), str(version), host, [media], origin_host=host))


def make_answer(
    offer: bytes,
    *,
    host: str,
    port: int,
    session_id: int | str,
    version: int,
    codecs: Sequence[Codec] = CODECS,
    direction: Direction = "sendrecv",
    comfort_noise: bool = False,
) -> tuple[bytes, MediaPlan]:
    """Answer the first audio stream that fits; refuse every other with port 0, in order (section 6).

    Of ``codecs`` the first that was offered is taken, in the offer's payload number; between the two laws of G.711,
    which are equally good, the offer's order decides. ``direction`` is our own wish, for a hold. ``comfort_noise`` is
    agreed to beside G.711, where it was offered.
    Raises :class:`NoCommonCodec` (488) and :class:`~mixminus.errors.ProtocolError` (400).
    """
    description = parse_description(offer)
    if not description.media:
        raise ProtocolError("SDP: the offer has no m= line")
    streams = []
    plan: MediaPlan | None = None
    for media in description.media:
        chosen = _choose(media, codecs) if plan is None else None
        if chosen is None:
            streams.append(Media(media.kind, 0, media.protocol, media.formats[:1] or ["0"]))
            continue
        ours = _narrow(_REVERSED[_peer_direction(description, media)], direction)
        plan = _plan(description, media, chosen, ours)
        dtmf = [] if plan.dtmf_payload_type is None else [(plan.dtmf_payload_type, plan.dtmf_clock)]
        events = _events_range(media, plan.dtmf_payload_type)
        stream = _stream(port, [chosen], dtmf, events, ours, plan.ptime, media.protocol)
        if plan.rtcp_mux:
            stream.attributes.append(("rtcp-mux", ""))
        if comfort_noise and plan.codec in CODECS and str(COMFORT_NOISE_TYPE) in media.formats:
            _add_comfort_noise(stream)
        streams.append(stream)
    if plan is None:
        raise NoCommonCodec(f"the offer has no audio stream over RTP/AVP with one of {', '.join(codecs)}")
    return format_description(Description(str(session_id), str(version), host, streams, origin_host=host)), plan


def read_answer(offer: bytes, answer: bytes) -> MediaPlan:
    """The plan that ``answer`` makes of our ``offer``.

    Raises :class:`NoCommonCodec` if our stream was refused, :class:`~mixminus.errors.ProtocolError` if the answer
    does not fit the offer.
    """
    offered, answered = parse_description(offer), parse_description(answer)
    if len(answered.media) != len(offered.media):
        raise ProtocolError("SDP: the answer must have as many m= lines as the offer")
    for asked, media in zip(offered.media, answered.media, strict=True):
        if asked.kind != "audio" or asked.port == 0:
            continue
        if media.port == 0:
            raise NoCommonCodec("the answer refused the audio stream")
        chosen = _choose(media, [codec for codec in SPOKEN if codec in _codecs(asked).values()], ours_first=False)
        if chosen is None:
            raise NoCommonCodec("the answer has none of the codecs offered")
        wish = offered.direction_of(asked)
        return _plan(answered, media, chosen, _narrow(_REVERSED[_peer_direction(answered, media)], wish))
    raise ProtocolError("SDP: no audio stream was offered")


def _stream(
    port: int,
    formats: Sequence[tuple[int, Codec]],
    dtmf: Sequence[tuple[int, int]],
    events: str,
    direction: Direction,
    ptime: int,
    protocol: str = "RTP/AVP",
) -> Media:
    media = Media("audio", port, protocol, [str(number) for number, _ in formats])
    for number, codec in formats:
        media.attributes.append(("rtpmap", f"{number} {ENCODINGS[codec]}"))
        if codec == "opus":
            media.attributes.append(("fmtp", f"{number} {OPUS_PARAMETERS}"))
    for number, clock in dtmf:
        media.formats.append(str(number))
        media.attributes += [("rtpmap", f"{number} telephone-event/{clock}"), ("fmtp", f"{number} {events}")]
    # Reports come to the port of the audio also from peers that do not multiplex (RFC 3605, RFC 5761).
    media.attributes += [("ptime", str(ptime)), (direction, ""), ("rtcp", str(port))]
    return media


def _add_comfort_noise(stream: Media) -> None:
    stream.formats.append(str(COMFORT_NOISE_TYPE))
    stream.attributes.insert(0, ("rtpmap", f"{COMFORT_NOISE_TYPE} CN/{NARROW_CLOCK}"))


def _codecs(media: Media) -> dict[str, Codec]:
    """Format → codec, in the order of the m= line; static types need no rtpmap (RFC 3551)."""
    maps = media.mapping("rtpmap")
    found: dict[str, Codec] = {}
    for number in media.formats:
        static = next((codec for codec, fixed in STATIC_TYPES.items() if str(fixed) == number), None)
        encoding = maps.get(number, ENCODINGS[static] if static else "").upper().removesuffix("/1")
        for codec in SPOKEN:
            if encoding == ENCODINGS[codec].upper():
                found[number] = codec
    return found


def _choose(media: Media, codecs: Sequence[Codec], *, ours_first: bool = True) -> tuple[int, Codec] | None:
    """The format of an audio stream that comes first in ``codecs``; not ``ours_first``: first in the stream."""
    if media.kind != "audio" or media.port == 0 or media.protocol not in _PROTOCOLS:
        return None
    spoken = [
        (int(number), codec)
        for number, codec in _codecs(media).items()
        if codec in codecs and _payload_type(number) is not None
    ]
    if not ours_first:
        return spoken[0] if spoken else None
    rank = {codec: place for place, codec in reversed(list(enumerate(codecs)))}
    laws = [rank[codec] for codec in CODECS if codec in rank]
    rank |= {codec: min(laws) for codec in CODECS if codec in rank}
    return min(spoken, key=lambda format: rank[format[1]], default=None)


def _payload_type(number: str) -> int | None:
    return int(number) if number.isascii() and number.isdigit() and len(number) <= 3 and int(number) < 128 else None


def _dtmf(media: Media, codec: Codec) -> tuple[int | None, int]:
    """Payload type and clock of telephone events: at the audio's clock, else at 8000 Hz."""
    maps = media.mapping("rtpmap")
    for clock in (OPUS_CLOCK, NARROW_CLOCK) if codec == "opus" else (NARROW_CLOCK,):
        for number in media.formats:
            if maps.get(number, "").lower().removesuffix("/1") == f"telephone-event/{clock}":
                return _payload_type(number), clock
    return None, NARROW_CLOCK


def _events_range(media: Media, dtmf: int | None) -> str:
    """The events we take: 0-15, and 16 (hook flash) if it was offered."""
    return "0-16" if media.mapping("fmtp").get(str(dtmf), "") == "0-16" else "0-15"


def _peer_direction(description: Description, media: Media) -> Direction:
    """The peer's direction; an address of 0.0.0.0 takes its wish to hear away (RFC 3264 section 8.4)."""
    direction = description.direction_of(media)
    return _narrow(direction, "sendonly") if is_unspecified(description.host_of(media)) else direction


def _narrow(direction: Direction, limit: Direction) -> Direction:
    """What both allow, as seen from one side."""
    send = direction in ("sendrecv", "sendonly") and limit in ("sendrecv", "sendonly")
    receive = direction in ("sendrecv", "recvonly") and limit in ("sendrecv", "recvonly")
    if send and receive:
        return "sendrecv"
    if send:
        return "sendonly"
    return "recvonly" if receive else "inactive"


def _plan(description: Description, media: Media, chosen: tuple[int, Codec], ours: Direction) -> MediaPlan:
    host = description.host_of(media)
    remote = None if is_unspecified(host) else (host, media.port)
    muxed = media.attribute("rtcp-mux") is not None
    dtmf, dtmf_clock = _dtmf(media, chosen[1])
    return MediaPlan(
        codec=chosen[1],
        payload_type=chosen[0],
        dtmf_payload_type=dtmf,
        dtmf_clock=dtmf_clock,
        remote=remote,
        send=remote is not None and ours in ("sendrecv", "sendonly"),
        receive=ours in ("sendrecv", "recvonly"),
        ptime=_ptime(media),
        rtcp_mux=muxed,
        rtcp=None if remote is None else _rtcp(media, remote, muxed),
    )


def _ptime(media: Media) -> int:
    wished = _milliseconds(media.attribute("ptime")) or DEFAULT_PTIME
    longest = _milliseconds(media.attribute("maxptime")) or 60
    return max(10, min(wished, longest, 60) // 10 * 10)


def _milliseconds(text: str | None) -> int:
    number = (text or "").partition(".")[0]
    return int(number) if number.isascii() and number.isdigit() and len(number) <= 4 else 0


def _rtcp(media: Media, remote: tuple[str, int], muxed: bool) -> tuple[str, int]:
    """RFC 3605: ``a=rtcp:port [IN IP4 address]``."""
    if muxed:
        return remote
    words = (media.attribute("rtcp") or "").split()
    if words and words[0].isascii() and words[0].isdigit() and 0 < int(words[0][:6]) <= 65535:
        return (words[3] if len(words) == 4 else remote[0], int(words[0]))
    return (remote[0], min(remote[1] + 1, 65535))

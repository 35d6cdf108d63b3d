"""RTCP sender and receiver reports (RFC 3550 §6), and what they say about how a call sounds (ITU-T G.107)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from mixminus.errors import ProtocolError

SENDER_REPORT, RECEIVER_REPORT, DESCRIPTION, GOODBYE = 200, 201, 202, 203
_NAME = 1
"""CNAME (RFC 3550 §6.5.1)."""
_SECOND_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Block:
    """What its author received from source ``ssrc`` (RFC 3550 §6.4.1)."""

    ssrc: int
    fraction_lost: float
    """Since the report before, 0 to 1."""
    lost: int
    """Packets since the start; negative when more came than were sent."""
    highest: int
    """Highest sequence number, with the wraps in the upper 16 bits."""
    jitter: int
    """In units of the RTP timestamp."""
    last_report: int = 0
    """Middle 32 bits of the NTP time in the last sender report from ``ssrc``; 0: none came."""
    delay: int = 0
    """Since that report came, 1/65536 s."""


@dataclass(frozen=True, slots=True)
class Report:
    """One report. A receiver report has no ``ntp``."""

    ssrc: int
    """Who reports."""
    blocks: tuple[Block, ...] = ()
    ntp: int | None = None
    """64-bit NTP time of sending; any clock will do (§6.4.1)."""
    timestamp: int = 0
    """RTP timestamp of the same moment."""
    packets: int = 0
    octets: int = 0
    """Sent so far, payload only."""


def ntp_time(now_ns: int) -> int:
    """Nanoseconds of any clock as 64-bit NTP time."""
    seconds, rest = divmod(now_ns, _SECOND_NS)
    return (seconds & 0xFFFFFFFF) << 32 | (rest << 32) // _SECOND_NS


def middle(ntp: int) -> int:
    """The middle 32 bits, in which reports refer to one another."""
    return ntp >> 16 & 0xFFFFFFFF


def pack_compound(report: Report, name: str, *, goodbye: bool = False) -> bytes:
    """A report, who sends it, and with ``goodbye`` that it was the last (§6.1)."""
    packet = _pack_report(report) + _pack_name(report.ssrc, name)
    return packet + struct.pack(">BBHI", 0x81, GOODBYE, 1, report.ssrc) if goodbye else packet


def _pack_report(report: Report) -> bytes:
    kind = RECEIVER_REPORT if report.ntp is None else SENDER_REPORT
    body = struct.pack(">I", report.ssrc)
    if report.ntp is not None:
        counts = (report.timestamp & 0xFFFFFFFF, report.packets & 0xFFFFFFFF, report.octets & 0xFFFFFFFF)
        body += struct.pack(">QIII", report.ntp, *counts)
    body += b"".join(_pack_block(block) for block in report.blocks)
    return struct.pack(">BBH", 0x80 | len(report.blocks), kind, len(body) // 4) + body


def _pack_block(block: Block) -> bytes:
    fraction = max(0, min(255, int(block.fraction_lost * 256)))
    lost = max(-0x800000, min(0x7FFFFF, block.lost)) & 0xFFFFFF
    head = struct.pack(">II", block.ssrc, fraction << 24 | lost)
    return head + struct.pack(
        ">IIII", block.highest & 0xFFFFFFFF, block.jitter & 0xFFFFFFFF, block.last_report, block.delay & 0xFFFFFFFF
    )


def _pack_name(ssrc: int, name: str) -> bytes:
    text = name.encode()[:255]
    chunk = struct.pack(">IBB", ssrc, _NAME, len(text)) + text
    chunk += bytes(4 - len(chunk) % 4)  # at least one zero ends the list (§6.5)
    return struct.pack(">BBH", 0x81, DESCRIPTION, len(chunk) // 4) + chunk


def parse_compound(data: bytes) -> tuple[Report, ...]:
    """The sender and receiver reports of one datagram; other packets in it are passed over.

    Raises:
        ProtocolError: a packet is not version 2, or longer than what is left of the datagram.
    """
    reports = []
    at = 0
    while at < len(data):
        if len(data) - at < 4:
            raise ProtocolError(f"RTCP: {len(data) - at} bytes after the last packet")
        first, kind, words = struct.unpack_from(">BBH", data, at)
        end = at + 4 + 4 * words
        if first >> 6 != 2:
            raise ProtocolError(f"RTCP version {first >> 6}: only 2 is known")
        if end > len(data):
            raise ProtocolError(f"RTCP: a packet of {end - at} bytes in the {len(data) - at} that are left")
        if kind in (SENDER_REPORT, RECEIVER_REPORT):
            reports.append(_parse_report(data[at + 4 : end], first & 31, kind))
        at = end
    return tuple(reports)


def _parse_report(body: bytes, count: int, kind: int) -> Report:
    head = 24 if kind == SENDER_REPORT else 4
    if len(body) < head + 24 * count:
        raise ProtocolError(f"RTCP: {count} report blocks do not fit into {len(body)} bytes")
    blocks = tuple(_parse_block(body[head + 24 * index :]) for index in range(count))
    if kind == RECEIVER_REPORT:
        return Report(int.from_bytes(body[:4]), blocks)
    ssrc, ntp, timestamp, packets, octets = struct.unpack_from(">IQIII", body)
    return Report(ssrc, blocks, ntp, timestamp, packets, octets)


def _parse_block(data: bytes) -> Block:
    ssrc, loss, highest, jitter, last_report, delay = struct.unpack_from(">IIIIII", data)
    lost = loss & 0xFFFFFF
    return Block(ssrc, (loss >> 24) / 256, lost - (lost >> 23 << 24), highest, jitter, last_report, delay)


def round_trip_ms(block: Block, now_ntp: int) -> float | None:
    """Time there and back (§6.4.1), milliseconds; None when the peer has had no report of ours, or claims nonsense."""
    if not block.last_report:
        return None
    spent = (middle(now_ntp) - block.last_report - block.delay) & 0xFFFFFFFF
    return None if spent > 60 << 16 else spent * 1000 / 65536


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """How a codec bears loss (ITU-T G.113 Appendix I): ``impairment`` Ie without any, ``robustness`` Bpl."""

    impairment: float
    robustness: float


G711: Sensitivity = Sensitivity(0.0, 25.1)
"""G.711 with concealment."""


def r_factor(loss: float, delay_ms: float, codec: Sensitivity = G711) -> float:
    """Transmission rating of ITU-T G.107 (narrowband), 0 to 93.2.

    Args:
        loss: share of frames never played, 0 to 1, taken as random.
        delay_ms: mouth to ear, one way.
    """
    percent = 100 * loss
    equipment = codec.impairment + (95 - codec.impairment) * percent / (percent + codec.robustness)
    late = 0.024 * delay_ms + (0.11 * (delay_ms - 177.3) if delay_ms > 177.3 else 0)
    return max(0.0, 93.2 - late - equipment)


def mos(rating: float) -> float:
    """Mean opinion score of a transmission rating (ITU-T G.107 Annex B), 1 to 4.5."""
    if rating <= 0:
        return 1.0
    return max(1.0, min(4.5, 1 + 0.035 * rating + rating * (rating - 60) * (100 - rating) * 7e-6))


def fraction_lost(expected: int, received: int) -> float:
    """Share of ``expected`` packets that did not come, 0 to 1."""
    return max(0.0, (expected - received) / expected) if expected > 0 else 0.0


def extend(highest: int, sequence: int) -> int:
    """A 16-bit sequence number with its wraps, nearest to an earlier ``highest``."""
    step = (sequence - highest) & 0xFFFF
    return highest + step - (0x10000 if step > 0x7FFF else 0)

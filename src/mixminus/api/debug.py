"""How a live participant's line is: counters, reports and score. Not one of the vendor's paths."""

from __future__ import annotations

import msgspec

from mixminus.api.multi_party_calls import find
from mixminus.api.operations import Answer, ApiRequest, Operation
from mixminus.api.paths import mpc_ref
from mixminus.api.ports import Ports
from mixminus.api.render import Body
from mixminus.errors import Conflict, NotFound


class ParticipantDebug(Body, frozen=True, kw_only=True):
    """Packets unless a unit is named; ``null``: not known yet (the peer has sent no RTCP)."""

    member_id: str
    call_uuid: str
    remote: str | None
    """Where its audio comes from and goes to, HOST:PORT."""
    received: int
    lost: int
    late: int
    duplicate: int
    concealed: int
    sent: int
    jitter_ms: float
    delay_ms: float
    """Depth of the jitter buffer."""
    round_trip_ms: float | None
    far_loss: float | None
    """Share of what we sent that it missed lately, by its own reports; 0 to 1."""
    far_jitter_ms: float | None
    r_factor: float | None
    """How others hear it: ITU-T G.107, 0 to 93; over the last five seconds."""
    mos: float | None
    far_mos: float | None
    """How it hears others."""
    agc: bool
    """Its voice is brought to the usual level..."""
    gain_db: float
    """... by so much now."""


async def debug_participant(ports: Ports, request: ApiRequest) -> Answer:
    ref, member_id = mpc_ref(request.segments["mpc"]), request.segments["member"]
    mpc = await find(ports, request.requester, ref)
    row = await ports.store.member(mpc.id, member_id)
    if row is None:
        raise NotFound(f"no participant {member_id[:100]!r} in this multiparty call")
    if row.left_at is not None:
        raise Conflict("this participant has left: only a live one has a line to look at")
    line = await ports.line_of(row.call_uuid)
    if line is None:
        raise Conflict("this participant has no media yet")
    fields = {name: value for name, value in msgspec.structs.asdict(line).items() if name not in ("leg", "remote")}
    remote = None if line.remote is None else f"{line.remote[0]}:{line.remote[1]}"
    return Answer(200, ParticipantDebug(member_id=row.id, call_uuid=row.call_uuid, remote=remote, **fields))


OPERATIONS = (
    Operation.get(
        "MultiPartyCall/{mpc}/Participant/{member}/debug",
        debug_participant,
        "How a live participant's line is: packets, loss, jitter, round trip, score",
        ParticipantDebug,
        asynchronous=False,
    ),
)

"""One leg's offers and answers (RFC 3264), and what the media worker must know of them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from mixminus.media import protocol as media
from mixminus.sdp.answer import Codec, MediaPlan, make_answer, make_offer, read_answer

NOWHERE = ("127.0.0.1", 9)
"""Stands for the local address while there is none yet, and an offer is only to be checked."""
PLAN_TO_COME = MediaPlan(
    codec="PCMU", payload_type=0, dtmf_payload_type=None, remote=None, send=False, receive=False, ptime=20
)
"""Until the ACK brings the answer to our offer."""


class Negotiation:
    """A session on its way through offers and answers, ours and the peer's, in one stream of versions (section 8).

    Its methods raise :class:`~mixminus.sdp.answer.NoCommonCodec` (488) and
    :class:`~mixminus.errors.ProtocolError` (400) for what the peer sent.
    """

    def __init__(
        self, session_id: int, codecs: Sequence[Codec], offer: bytes = b"", *, comfort_noise: bool = False
    ) -> None:
        """``codecs``: what is offered and taken, the best first. ``offer``: the peer's, if it came with the INVITE.
        ``comfort_noise``: the peer is told that it may send some beside G.711.
        """
        self._session_id = session_id
        self._codecs = codecs
        self._comfort_noise = comfort_noise
        self._version = 1
        self._checked: MediaPlan | None = None
        self.offer = offer
        """The last one, the peer's or ours; empty before any."""
        self.answer_expected = False
        """Our offer went out in a 200; the answer comes in the ACK."""

    def check(self) -> MediaPlan:
        """What would be agreed on the peer's offer; looked at once."""
        if self._checked is None:
            self._checked = self.answer(NOWHERE)[1]
        return self._checked

    def answer(self, local: media.Address) -> tuple[bytes, MediaPlan]:
        """Our answer to the peer's offer, and the plan it makes."""
        return self._answer(self.offer, local, self._version)

    def make_offer(self, local: media.Address) -> bytes:
        """Our offer in an INVITE of ours."""
        host, port = local
        self.offer = make_offer(
            host=host,
            port=port,
            session_id=self._session_id,
            version=self._version,
            codecs=self._codecs,
            comfort_noise=self._comfort_noise,
        )
        return self.offer

    def make_late_offer(self, local: media.Address) -> bytes:
        """Our offer in the 200 to an INVITE that brought none."""
        self.answer_expected = True
        return self.make_offer(local)

    def renew(self) -> None:
        """What we say next is a new version of the session."""
        self._version += 1

    def answer_again(self, offer: bytes, local: media.Address) -> tuple[bytes, MediaPlan]:
        """Our answer to a new offer. One that cannot be taken leaves all as it was (RFC 3261 section 14.1)."""
        answer = self._answer(offer, local, self._version + 1)
        self.renew()
        self.offer, self._checked = offer, answer[1]
        return answer

    def read_answer(self, answer: bytes) -> MediaPlan:
        """The plan that the peer's answer makes of our offer."""
        self.answer_expected = False
        return read_answer(self.offer, answer)

    def _answer(self, offer: bytes, local: media.Address, version: int) -> tuple[bytes, MediaPlan]:
        host, port = local
        return make_answer(
            offer,
            host=host,
            port=port,
            session_id=self._session_id,
            version=version,
            codecs=self._codecs,
            comfort_noise=self._comfort_noise,
        )


class Care(NamedTuple):
    """What is done for the sound of every leg."""

    agc: bool = False
    """Voices are brought to one level."""
    comfort_noise: bool = False
    """A little noise is sent instead of silence."""
    inband_dtmf: Literal["off", "auto", "always"] = "off"
    """Keys are looked for in the sound; ``auto``: of legs without telephone-event."""

    def listens(self, plan: MediaPlan) -> bool:
        """Whether to look for keys in the sound of a leg."""
        return self.inband_dtmf == "always" or (self.inband_dtmf == "auto" and plan.dtmf_payload_type is None)


NO_CARE = Care()


def signalled(leg: str, plan: MediaPlan, source: str, media_timeout: float, care: Care = NO_CARE) -> media.UpdateLeg:
    """What signalling says of a leg's media; a leg is opened with the same, and a place of its own.

    ``source``: the host that signals, or empty; besides the SDP's own, its first packet may claim the leg.
    """
    hosts = [*([plan.remote[0]] if plan.remote else []), *([source] if source else [])]
    return media.UpdateLeg(
        leg=leg,
        remote=plan.remote,
        codec=plan.codec,
        payload_type=plan.payload_type,
        dtmf_payload_type=plan.dtmf_payload_type,
        dtmf_clock=plan.dtmf_clock,
        latch_hosts=tuple(dict.fromkeys(hosts)),
        send=plan.send,
        receive=plan.receive,
        rtcp=plan.rtcp,
        media_timeout=media_timeout,
        inband_keys=care.listens(plan),
        comfort_noise=care.comfort_noise,
    )

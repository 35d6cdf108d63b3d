"""SDP (RFC 8866) and offer/answer (RFC 3264); pure, and a stranger to SIP."""

from mixminus.sdp.answer import Codec, MediaPlan, NoCommonCodec, make_answer, make_offer, read_answer

__all__ = ["Codec", "MediaPlan", "NoCommonCodec", "make_answer", "make_offer", "read_answer"]

"""How a call that came to nothing is reported: SIP status → Plivo's call status, hangup cause and source. Pure."""

from __future__ import annotations

import msgspec

from mixminus.calls.model import CallStatus, HangupCause, HangupSource


class Outcome(msgspec.Struct, frozen=True):
    """The end of a call as the API reports it."""

    status: CallStatus
    cause: HangupCause
    source: HangupSource


_REFUSALS: dict[int, tuple[CallStatus, HangupCause]] = {
    400: (CallStatus.FAILED, HangupCause.ROUTING_ERROR),
    401: (CallStatus.FAILED, HangupCause.FORBIDDEN),
    403: (CallStatus.FAILED, HangupCause.FORBIDDEN),
    404: (CallStatus.FAILED, HangupCause.UNALLOCATED_NUMBER),
    407: (CallStatus.FAILED, HangupCause.FORBIDDEN),
    408: (CallStatus.NO_ANSWER, HangupCause.REQUEST_TIMEOUT),
    410: (CallStatus.FAILED, HangupCause.DESTINATION_OUT_OF_SERVICE),
    480: (CallStatus.NO_ANSWER, HangupCause.NO_ANSWER),
    482: (CallStatus.FAILED, HangupCause.LOOP_DETECTED),
    483: (CallStatus.FAILED, HangupCause.LOOP_DETECTED),
    484: (CallStatus.FAILED, HangupCause.INVALID_DESTINATION),
    486: (CallStatus.BUSY, HangupCause.BUSY_LINE),
    487: (CallStatus.CANCEL, HangupCause.CANCELED),
    488: (CallStatus.FAILED, HangupCause.ROUTING_ERROR),
    500: (CallStatus.FAILED, HangupCause.CARRIER_SERVER_ERROR),
    503: (CallStatus.FAILED, HangupCause.CARRIER_CONGESTION),
    600: (CallStatus.BUSY, HangupCause.BUSY_EVERYWHERE),
    603: (CallStatus.FAILED, HangupCause.DECLINED),
    604: (CallStatus.FAILED, HangupCause.USER_DOES_NOT_EXIST),
}


def refusal(sip_status: int) -> Outcome:
    """What a final response to our INVITE means (API reference, "Hangup causes")."""
    if sip_status in _REFUSALS:
        status, cause = _REFUSALS[sip_status]
    elif sip_status < 400:
        status, cause = CallStatus.FAILED, HangupCause.ROUTING_ERROR
    elif sip_status < 500:
        status, cause = CallStatus.FAILED, HangupCause.REJECTED
    elif sip_status < 600:
        status, cause = CallStatus.FAILED, HangupCause.CARRIER_SERVER_ERROR
    else:
        status, cause = CallStatus.FAILED, HangupCause.REJECTED
    source = HangupSource.CARRIER if sip_status in (401, 403, 407, 408, 500, 503) else HangupSource.CALLEE
    return Outcome(status, cause, source)

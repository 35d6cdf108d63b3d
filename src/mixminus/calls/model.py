"""The words of the domain: roles, states and the catalogues of causes (API reference: causes of ends and hang-ups)."""

from __future__ import annotations

from enum import Enum, IntEnum, StrEnum


class Role(StrEnum):
    """What a participant is in a multiparty call; cannot change while it is in."""

    AGENT = "agent"
    CUSTOMER = "customer"
    SUPERVISOR = "supervisor"
    AI_AGENT = "ai-agent"
    """Heard and hearing as an agent."""


class MpcStatus(StrEnum):
    INITIALIZED = "Initialized"
    ACTIVE = "Active"
    ENDED = "Ended"


class Termination(IntEnum):
    """Why a multiparty call ended."""

    NO_ACTIVE_PARTICIPANTS = 1000
    STAY_ALONE_NOT_PERMITTED = 1010
    MAX_DURATION_REACHED = 2000
    HANGUP_API_TRIGGERED = 3000

    @property
    def text(self) -> str:
        return _TERMINATION_TEXT[self]


_TERMINATION_TEXT = {
    Termination.NO_ACTIVE_PARTICIPANTS: "No Active Participants",
    Termination.STAY_ALONE_NOT_PERMITTED: "Stay Alone Not Permitted",
    Termination.MAX_DURATION_REACHED: "Max Duration Reached",
    Termination.HANGUP_API_TRIGGERED: "Hangup API Triggered",
}


class ExitCause(StrEnum):
    """Why a participant left."""

    HANGUP = "Participant Call Hangup"
    KICKED = "Kicked Out of Multiparty Call"
    MPC_ENDED = "Multiparty Call Ended"
    TRANSFERRED = "Participant Call Transferred"


class CallStatus(StrEnum):
    QUEUED = "queued"
    RINGING = "ringing"
    IN_PROGRESS = "in-progress"
    COMPLETED = "completed"
    BUSY = "busy"
    FAILED = "failed"
    TIMEOUT = "timeout"
    NO_ANSWER = "no-answer"
    CANCEL = "cancel"


class HangupSource(StrEnum):
    CALLER = "Caller"
    CALLEE = "Callee"
    PLIVO = "Plivo"
    CARRIER = "Carrier"
    API_REQUEST = "API Request"
    ANSWER_XML = "Answer XML"
    ERROR = "Error"
    UNKNOWN = "Unknown"


class HangupCause(Enum):
    """Why a call leg ended: (code, name)."""

    UNKNOWN = (0, "Unknown")
    CANCELED = (1000, "Canceled")
    INVALID_DESTINATION = (2000, "Invalid Destination Address")
    DESTINATION_OUT_OF_SERVICE = (2010, "Destination Out Of Service")
    ENDPOINT_NOT_REGISTERED = (2020, "Endpoint Not Registered")
    LOOP_DETECTED = (2060, "Loop Detected")
    NO_ANSWER = (3000, "No Answer")
    BUSY_LINE = (3010, "Busy Line")
    REJECTED = (3020, "Rejected")
    UNKNOWN_CALLER_ID = (3030, "Unknown Caller ID")
    FORBIDDEN = (3040, "Forbidden")
    UNALLOCATED_NUMBER = (3050, "Unallocated number")
    REQUEST_TIMEOUT = (3070, "Request timeout")
    CARRIER_SERVER_ERROR = (3080, "Internal server error from carrier")
    CARRIER_CONGESTION = (3090, "Network congestion from carrier")
    BUSY_EVERYWHERE = (3100, "Busy everywhere")
    DECLINED = (3110, "Declined")
    USER_DOES_NOT_EXIST = (3120, "User does not exist anywhere")
    NORMAL_HANGUP = (4000, "Normal Hangup")
    END_OF_XML = (4010, "End Of XML Instructions")
    MPC_ENDED = (4020, "Multiparty Call Ended")
    KICKED = (4030, "Kicked Out Of Multiparty Call")
    NETWORK_ERROR = (5000, "Network Error")
    INTERNAL_ERROR = (5010, "Internal Error")
    ROUTING_ERROR = (5020, "Routing Error")
    SCHEDULED_HANGUP = (6000, "Scheduled Hangup")
    RING_TIMEOUT = (6010, "Ring Timeout Reached")
    MEDIA_TIMEOUT = (6020, "Media Timeout")
    ERROR_REACHING_ANSWER_URL = (7011, "Error Reaching Answer URL")
    ERROR_REACHING_ACTION_URL = (7012, "Error Reaching Action URL")
    ERROR_REACHING_TRANSFER_URL = (7013, "Error Reaching Transfer URL")
    ERROR_REACHING_REDIRECT_URL = (7014, "Error Reaching Redirect URL")
    INVALID_ANSWER_XML = (8011, "Invalid Answer XML")
    INVALID_ACTION_XML = (8012, "Invalid Action XML")
    INVALID_TRANSFER_XML = (8013, "Invalid Transfer XML")
    INVALID_REDIRECT_XML = (8014, "Invalid Redirect XML")
    LOST_RACE = (9000, "Lost Race")
    CONFIRM_KEY_FAILED = (9110, "Confirm Key Challenge Failed")

    @property
    def code(self) -> int:
        return self.value[0]

    @property
    def text(self) -> str:
        return self.value[1]

"""One call as the agent holds it: an INVITE, the dialog it made, and what is under way inside it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from mixminus.sip.dialog import Dialog
from mixminus.sip.session_timer import Terms
from mixminus.sip.timers import Alarm
from mixminus.sip.transaction import Transaction

if TYPE_CHECKING:
    from mixminus.sip.exchange import Exchange


class Phase(Enum):
    """Where a call is. ``CALLING`` and ``CANCELLING`` are a caller's, ``INCOMING`` and ``ANSWERED`` a callee's."""

    CALLING = "INVITE sent"
    CANCELLING = "CANCEL wanted or sent"
    INCOMING = "INVITE received"
    ANSWERED = "2xx sent, no ACK yet"
    ESTABLISHED = "established"
    CLOSED = "over"


@dataclass(slots=True, eq=False)
class Call:
    """``id`` is the handle of the application."""

    id: str
    phase: Phase
    local_tag: str
    dialog: Dialog | None = None
    """The confirmed dialog; a callee has it from the start."""
    early: dict[str, Dialog] = field(default_factory=dict)
    """A caller's early dialogs by remote tag: a forked INVITE has several."""
    early_sdp: bytes = b""
    exchange: Exchange | None = None
    """A caller's INVITE."""
    invite: Transaction | None = None
    """A callee's INVITE, or a re-INVITE or UPDATE of the peer's that is not answered, or not acknowledged yet."""
    pending: Exchange | None = None
    """A re-INVITE or UPDATE of ours under way."""
    local_sdp: bytes = b""
    cseq: int = 0
    """The last CSeq number we used in this call."""
    offered: bool = False
    """Our 2xx carried the offer, so the ACK must bring the answer."""
    bye_after_ack: bool = False
    told: bool = False
    """Whether the application heard the end."""
    peer_updates: bool = False
    """Whether the peer allows UPDATE."""
    terms: Terms | None = None
    refresh_alarm: Alarm | None = None
    lapse_alarm: Alarm | None = None
    retry_alarm: Alarm | None = None

    def next_cseq(self) -> int:
        self.cseq += 1
        return self.cseq

    def stop_alarms(self) -> None:
        for alarm in (self.refresh_alarm, self.lapse_alarm, self.retry_alarm):
            if alarm is not None:
                alarm.cancel()
        self.refresh_alarm = self.lapse_alarm = self.retry_alarm = None

"""After a crash: what the database says was live is not, and everybody who asked is told so. Pure.

The phones of a process that died are gone with it. Every multiparty call it had ends, every participant exits, and
every recording is finished from its spool; the events go out in the order in which they always go out.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import msgspec

from mixminus.calls import recording
from mixminus.calls.commands import MpcParameters, ParticipantParameters
from mixminus.calls.decision import Decision, Ledger
from mixminus.calls.model import CallStatus, HangupCause, HangupSource, Role, Termination
from mixminus.calls.mpc.draft import Context, Draft, MpcDecision, MultiPartyCall
from mixminus.calls.mpc.exits import end
from mixminus.calls.mpc.participant import Participant
from mixminus.ids import Mint
from mixminus.store.rows import CallRow, MemberRow, MpcRow, RecordingRow


def rebuild(row: MpcRow, members: Iterable[MemberRow], running: RecordingRow | None) -> MultiPartyCall:
    """The state that the rows tell of."""
    participants = {member.id: Participant(member, ParticipantParameters(role=Role(member.role))) for member in members}
    return MultiPartyCall(
        row=row,
        parameters=msgspec.convert(row.settings, MpcParameters),
        members=participants,
        recording=running,
        auto_recorded=True,
    )


def end_interrupted(state: MultiPartyCall, context: Context) -> MpcDecision:
    """End a multiparty call whose server died. Of its effects only the finishing of a recording means anything."""
    draft = Draft.of(state, context)
    end(draft, Termination.NO_ACTIVE_PARTICIPANTS, HangupSource.ERROR)
    return draft.finish()


def end_call(row: CallRow, now: datetime) -> CallRow:
    return msgspec.structs.replace(
        row,
        status=CallStatus.COMPLETED if row.answered_at else CallStatus.FAILED,
        ended_at=now,
        hangup_cause_code=HangupCause.INTERNAL_ERROR.code,
        hangup_cause_name=HangupCause.INTERNAL_ERROR.text,
        hangup_source=HangupSource.ERROR,
    )


def stop_orphan(row: RecordingRow, mint: Mint, now: datetime) -> tuple[RecordingRow, Decision[object, object]]:
    """A recording that was running in no live call: stopped, so that it can be finished."""
    ledger = Ledger(mint, now)
    stopped = recording.stop(row, ledger)
    return stopped, Decision(None, ledger.rows, ledger.outbox)

"""One recording's ladder: recording ⇄ paused → finishing → ready or failed. Pure; it only climbs.

Every step returns the new row and, where the API has one, the event that reports it. Sequence numbers rise by one per
event, so that a receiver can order what it gets.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec

from mixminus.calls.commands import Callback
from mixminus.calls.decision import Ledger
from mixminus.calls.effects import AbandonTap, EndTap
from mixminus.calls.events import RecordingEvent
from mixminus.store.rows import RecordingRow

LIVE = frozenset({"recording", "paused"})
"""States in which sound is, or may again be, taken."""
OVER = frozenset({"ready", "failed"})
"""States after the one terminal event."""

EventName = Literal["Initiated", "Paused", "Resumed", "Completed", "Failed"]


class FinishedFile(msgspec.Struct, frozen=True):
    """A verified file: ``samples`` at ``rate`` Hz, ``size`` in bytes, ``file`` its key in the store. ``report``: see
    :class:`~mixminus.store.rows.RecordingRow`.
    """

    samples: int
    rate: int
    size: int
    sha256: str
    file: str
    report: dict[str, Any] = {}


def begin(row: RecordingRow, ledger: Ledger) -> RecordingRow:
    """The first step: sound is being taken from now on."""
    return _step(msgspec.structs.replace(row, state="recording", started_at=ledger.at), "Initiated", ledger)


def pause(row: RecordingRow, ledger: Ledger) -> RecordingRow:
    assert row.state == "recording", row.state
    return _step(msgspec.structs.replace(row, state="paused"), "Paused", ledger)


def resume(row: RecordingRow, ledger: Ledger) -> RecordingRow:
    assert row.state == "paused", row.state
    return _step(msgspec.structs.replace(row, state="recording"), "Resumed", ledger)


def still(row: RecordingRow, state: Literal["recording", "paused"]) -> RecordingRow:
    """The state in which a recording that is only being announced will begin; nothing is reported."""
    return msgspec.structs.replace(row, state=state)


def stop(row: RecordingRow, ledger: Ledger) -> RecordingRow:
    """No more sound; the file is being finished. Nothing is reported until it is there."""
    assert row.state in LIVE, row.state
    row = msgspec.structs.replace(row, state="finishing", ended_at=ledger.at)
    ledger.save(row)
    return row


def broken(row: RecordingRow, reason: str, ledger: Ledger, *, begun: bool) -> EndTap | AbandonTap:
    """It cannot go on. If anything can have been recorded, that is finished and announced, with the reason; else it has
    failed.
    """
    if begun:
        return EndTap(stop(msgspec.structs.replace(row, failure=reason), ledger))
    fail(row, reason, ledger)
    return AbandonTap(row.id)


def complete(row: RecordingRow, file: FinishedFile, ledger: Ledger) -> RecordingRow:
    """The file is in place and verified. A ``failure`` of the row says why the recording ended too early."""
    assert row.state not in OVER, row.state
    row = msgspec.structs.replace(
        row,
        state="ready",
        ended_at=row.ended_at or ledger.at,
        samples=file.samples,
        rate=file.rate,
        size=file.size,
        sha256=file.sha256,
        file=file.file,
        verified=True,
        report=file.report,
    )
    return _step(row, "Completed", ledger)


def fail(row: RecordingRow, reason: str, ledger: Ledger) -> RecordingRow:
    """There will be no file; ``reason`` says what went wrong and whose fault it is."""
    assert row.state not in OVER, row.state
    row = msgspec.structs.replace(row, state="failed", ended_at=row.ended_at or ledger.at, failure=reason)
    return _step(row, "Failed", ledger)


def _step(row: RecordingRow, name: EventName, ledger: Ledger) -> RecordingRow:
    if row.source and name not in ("Completed", "Failed"):
        ledger.save(row)  # calls and conferences are told of the file only
        return row
    row = msgspec.structs.replace(row, sequence=row.sequence + 1)
    ledger.save(row)
    method: Literal["GET", "POST"] = "GET" if row.callback_method == "GET" else "POST"
    ledger.owe(
        Callback(row.callback_url, method),
        _event(row, name, ledger.at),
        subject=row.mpc_uuid or row.call_uuid,
        account=row.account,
        sub_account=row.sub_account,
    )
    return row


def _event(row: RecordingRow, name: EventName, at: datetime) -> RecordingEvent:
    return RecordingEvent(
        name=name,
        at=at,
        sequence=row.sequence,
        recording_id=row.id,
        account=row.account,
        mpc_uuid=row.mpc_uuid,
        mpc_name=row.mpc_name,
        format=row.format,
        started_at=row.started_at or at,
        member_id=row.member_id,
        ended_at=row.ended_at if name in ("Completed", "Failed") else None,
        samples=row.samples,
        rate=row.rate,
        reason=row.failure,
        source=row.source,
        call_uuid=row.call_uuid,
    )

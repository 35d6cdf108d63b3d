"""What mixminus adds to recordings: signed URLs, legal holds, receipts of deleted ones. Not the vendor's."""

from __future__ import annotations

from datetime import timedelta

from mixminus.api import parameters as p
from mixminus.api import render
from mixminus.api.operations import Answer, ApiRequest, Operation
from mixminus.api.ports import Ports
from mixminus.api.recordings import find_recording
from mixminus.api.visible import sees
from mixminus.errors import Conflict, NotFound
from mixminus.store.rows import HoldRow
from mixminus.store.transaction import Transaction


class SignedUrl(render.Body, frozen=True, kw_only=True):
    url: str
    expires_at: str


class LegalHold(render.Body, frozen=True, kw_only=True):
    """``since`` and ``by`` are empty when the recording is not held."""

    recording_id: str
    held: bool
    since: str = ""
    by: str = ""


class Receipt(render.Body, frozen=True, kw_only=True):
    """What is left of a deleted recording. ``removed_at`` is empty while one of its files may be left in a store."""

    recording_id: str
    recording_format: str
    recording_duration_ms: str
    size: int
    sha256: str
    recorded_at: str
    deleted_at: str
    reason: str
    deleted_by: str
    removed_at: str
    files_removed: int


async def sign_url(ports: Ports, request: ApiRequest) -> Answer:
    row, reader = await find_recording(ports, request), request.reader()
    lasting = timedelta(seconds=reader.take(p.EXPIRES_IN, 3600))
    reader.check()
    if row.state != "ready":
        raise Conflict(f"this recording has no file: its state is {row.state}")
    url = render.recording_url(ports.public_url, row.account, row.id, row.format)
    signed = ports.recording_urls.signer.sign(url, request.now, lasting)
    return Answer(201, SignedUrl(url=signed, expires_at=render.moment(request.now + lasting) or ""))


async def get_hold(ports: Ports, request: ApiRequest) -> Answer:
    row = await find_recording(ports, request)
    return Answer(200, _hold(row.id, await ports.store.hold(row.id)))


async def begin_hold(ports: Ports, request: ApiRequest) -> Answer:
    row = await find_recording(ports, request)
    hold = await ports.store.hold(row.id)
    if hold is None:
        by = request.requester.sub_account or request.requester.account
        hold = HoldRow(id=row.id, account=row.account, since=request.now, by=by)
        await ports.store.commit(Transaction(save=(hold,)))
    return Answer(200, _hold(row.id, hold))


async def end_hold(ports: Ports, request: ApiRequest) -> Answer:
    row = await find_recording(ports, request)
    if await ports.store.hold(row.id) is not None:
        if request.requester.sub_account:
            raise Conflict("a legal hold is released by the main account only")
        await ports.store.commit(Transaction(delete=((HoldRow, row.id),)))
    return Answer(204)


def _hold(recording_id: str, hold: HoldRow | None) -> LegalHold:
    if hold is None:
        return LegalHold(recording_id=recording_id, held=False)
    return LegalHold(recording_id=recording_id, held=True, since=render.moment(hold.since) or "", by=hold.by)


async def get_receipt(ports: Ports, request: ApiRequest) -> Answer:
    row = await ports.store.receipt(request.segments["recording_id"])
    if row is None or not sees(request.requester, row):
        raise NotFound("no recording of this id was deleted")
    return Answer(
        200,
        Receipt(
            recording_id=row.id,
            recording_format=row.format,
            recording_duration_ms=str(row.samples * 1000 / row.rate),
            size=row.size,
            sha256=row.sha256,
            recorded_at=render.moment(row.recorded_at) or "",
            deleted_at=render.moment(row.deleted_at) or "",
            reason=row.reason,
            deleted_by=row.by,
            removed_at=render.moment(row.removed_at) or "",
            files_removed=row.files,
        ),
    )


OPERATIONS = (
    Operation.post(
        "Recording/{recording_id}/SignedUrl",
        sign_url,
        "Make a URL that opens the recording's file for a while, without credentials",
        SignedUrl,
        status=201,
        parameters=(p.EXPIRES_IN,),
    ),
    Operation.get(
        "Recording/{recording_id}/LegalHold", get_hold, "Whether the recording is under legal hold", LegalHold
    ),
    Operation.post(
        "Recording/{recording_id}/LegalHold",
        begin_hold,
        "Put the recording under legal hold: it cannot be deleted",
        LegalHold,
        status=200,
    ),
    Operation.delete("Recording/{recording_id}/LegalHold", end_hold, "Release the recording from legal hold"),
    Operation.get("Recording/{recording_id}/Receipt", get_receipt, "The receipt of a deleted recording", Receipt),
)

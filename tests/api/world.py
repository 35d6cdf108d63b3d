"""A server in memory for the tests of the API: rows in dictionaries, commands that do the simplest thing, and a
browserless way to ask the ASGI application."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, TypeVar

import msgspec

from mixminus.api.app import create_app
from mixminus.api.limit import RateLimit
from mixminus.api.ports import Ports, Registration
from mixminus.calls.commands import (
    ActivateMpc,
    Added,
    AddedCall,
    AddParticipant,
    DeleteRecording,
    Done,
    EndMpc,
    KickParticipants,
    MpcRef,
    PauseRecording,
    RecordingStarted,
    Requester,
    ResumeRecording,
    SoundQueued,
    StartParticipantRecording,
    StartRecording,
    StartSound,
    StopRecording,
    StopSound,
    UpdateParticipants,
)
from mixminus.calls.conference.machine import Conference
from mixminus.calls.leg.door import CALL_COMMANDS, CallsCreated, CreateCalls, EndConferences
from mixminus.clock import ManualClock
from mixminus.errors import NotFound
from mixminus.ids import Mint
from mixminus.media.protocol import LegStats
from mixminus.recording.signed_urls import RecordingUrls, UrlSigner
from mixminus.settings import Number
from mixminus.store.lists import CallFilter, Found, MpcFilter, Page, RecordingFilter
from mixminus.store.rows import (
    AccountRow,
    ApplicationRow,
    CallRow,
    EndpointRow,
    HoldRow,
    MemberRow,
    MpcRow,
    NumberRow,
    ReceiptRow,
    RecordingRow,
    Row,
)
from mixminus.store.transaction import Transaction

FIRST_PAGE = Page()
MAIN = "MA" + "A" * 18
SUB = "SA" + "B" * 18
OTHER_SUB = "SA" + "C" * 18
STRANGER = "MA" + "Z" * 18
TOKENS = {MAIN: "main-token", SUB: "sub-token", OTHER_SUB: "other-token", STRANGER: "stranger-token"}
PUBLIC_URL = "https://calls.example.com"

NUMBER = Number(number="+15557654321", answer_url="https://app.example.com/answer", answer_method="POST", hangup_url="")

R = TypeVar("R", bound=Row)


@dataclass
class World:
    """Rows, the commands that came in, and what was delivered asynchronously."""

    clock: ManualClock = field(default_factory=ManualClock)
    mint: Mint = field(default_factory=lambda: Mint(7))
    rows: dict[type[Row], dict[str, Any]] = field(default_factory=dict)
    commands: list[Any] = field(default_factory=list)
    delivered: list[tuple[str, str, dict[str, Any], Requester]] = field(default_factory=list)
    lines: dict[str, LegStats] = field(default_factory=dict)
    registrations: dict[str, Registration] = field(default_factory=dict)
    contents: dict[str, bytes] = field(default_factory=dict)
    refuse: Exception | None = None
    """Raised by the next command or commit."""
    next_member: int = 1000
    urls: Literal["basic", "signed", "unguessable"] = "basic"
    """The setting recording_urls."""
    results: dict[type, Any] = field(default_factory=dict)
    """What commands of these types answer."""
    conferences: tuple[Conference, ...] = ()
    speech_missing: str = ""

    def __post_init__(self) -> None:
        now = self.clock.wall
        for auth_id, token in TOKENS.items():
            parent = MAIN if auth_id in (SUB, OTHER_SUB) else ""
            self.save(AccountRow(id=auth_id, token=token, parent=parent, created_at=now))

    # -- store -----------------------------------------------------------------------------------------------------

    def save(self, *rows: Row) -> None:
        for row in rows:
            self.rows.setdefault(type(row), {})[row.id] = row

    def all(self, kind: type[R], keep: Callable[[R], bool] = lambda row: True) -> list[R]:
        return [row for row in reversed(self.rows.get(kind, {}).values()) if keep(row)]

    def _page(self, rows: list[R], page: Page) -> Found[R]:
        return Found(tuple(rows[page.offset : page.offset + page.limit]), len(rows))

    def _get(self, kind: type[R], row_id: str) -> R | None:
        row: R | None = self.rows.get(kind, {}).get(row_id)
        return row

    async def commit(self, transaction: Transaction) -> None:
        self._maybe_refuse()
        self.save(*transaction.save)
        for kind, row_id in transaction.delete:
            del self.rows[kind][row_id]

    async def account(self, account_id: str) -> AccountRow | None:
        return self._get(AccountRow, account_id)

    async def sub_accounts(self, parent: str, page: Page = FIRST_PAGE) -> Found[AccountRow]:
        return self._page(self.all(AccountRow, lambda row: row.parent == parent), page)

    async def application(self, app_id: str) -> ApplicationRow | None:
        return self._get(ApplicationRow, app_id)

    async def applications(
        self, account: str, *, sub_account: str | None = None, app_name: str = "", page: Page
    ) -> Found[ApplicationRow]:
        mine = [row for row in self.all(ApplicationRow) if _is(row, account, sub_account)]
        return self._page([row for row in mine if row.app_name.startswith(app_name)], page)

    async def endpoint(self, endpoint_id: str) -> EndpointRow | None:
        return self._get(EndpointRow, endpoint_id)

    async def endpoint_by_username(self, username: str) -> EndpointRow | None:
        return next(iter(self.all(EndpointRow, lambda row: row.username == username)), None)

    async def endpoints(
        self, account: str, *, sub_account: str | None = None, app_id: str | None = None, page: Page
    ) -> Found[EndpointRow]:
        mine = [row for row in self.all(EndpointRow) if _is(row, account, sub_account)]
        return self._page([row for row in mine if app_id in (None, row.app_id)], page)

    async def call(self, call_uuid: str) -> CallRow | None:
        return self._get(CallRow, call_uuid)

    async def calls(
        self, account: str, *, sub_account: str | None = None, filters: CallFilter, page: Page
    ) -> Found[CallRow]:
        self.last_call_filter = filters
        mine = [row for row in self.all(CallRow) if _is(row, account, sub_account)]
        mine = [row for row in mine if filters.live is None or filters.live == (row.ended_at is None)]
        return self._page([row for row in mine if filters.status in (None, row.status)], page)

    async def number(self, digits: str) -> NumberRow | None:
        return self._get(NumberRow, digits)

    async def mpc(self, mpc_uuid: str) -> MpcRow | None:
        return self._get(MpcRow, mpc_uuid)

    async def live_mpc_by_name(self, account: str, name: str, *, sub_account: str | None = None) -> MpcRow | None:
        for row in self.all(MpcRow):
            if _is(row, account, sub_account) and row.friendly_name == name and row.ended_at is None:
                return row
        return None

    async def mpcs(self, account: str, now: datetime, filters: MpcFilter, page: Page) -> Found[MpcRow]:
        self.last_mpc_filter = filters
        mine = [row for row in self.all(MpcRow) if _is(row, account, filters.sub_account)]
        return self._page([row for row in mine if filters.status in (None, row.status)], page)

    async def member(self, mpc_uuid: str, member_id: str) -> MemberRow | None:
        row = self._get(MemberRow, member_id)
        return row if row is not None and row.mpc_uuid == mpc_uuid else None

    async def members(self, mpc_uuid: str, *, call_uuid: str | None = None, page: Page) -> Found[MemberRow]:
        rows = self.all(MemberRow, lambda row: row.mpc_uuid == mpc_uuid and call_uuid in (None, row.call_uuid))
        return self._page(rows, page)

    async def hold(self, recording_id: str) -> HoldRow | None:
        return self._get(HoldRow, recording_id)

    async def receipt(self, recording_id: str) -> ReceiptRow | None:
        return self._get(ReceiptRow, recording_id)

    async def recording(self, recording_id: str) -> RecordingRow | None:
        return self._get(RecordingRow, recording_id)

    async def recordings(
        self, account: str, now: datetime, filters: RecordingFilter, page: Page
    ) -> Found[RecordingRow]:
        self.last_recording_filter = filters
        rows = [row for row in self.all(RecordingRow) if _is(row, account, filters.sub_account)]
        rows = [row for row in rows if row.deleted_at is None and filters.mpc_uuid in (None, row.mpc_uuid)]
        return self._page(rows, page)

    # -- files -----------------------------------------------------------------------------------------------------

    def size(self, key: str) -> int | None:
        return len(self.contents[key]) if key in self.contents else None

    def read(self, key: str, start: int, length: int) -> Iterator[bytes]:
        data = self.contents[key][start : start + length]
        yield data[:5]
        yield data[5:]

    # -- commands --------------------------------------------------------------------------------------------------

    def _maybe_refuse(self) -> None:
        if self.refuse is not None:
            error, self.refuse = self.refuse, None
            raise error

    async def apply(self, command: Any) -> Any:
        self.commands.append(command)
        self._maybe_refuse()
        if type(command) in self.results:
            return self.results[type(command)]
        if isinstance(command, CreateCalls):
            return CallsCreated(tuple(self.mint.uuid() for _ in command.to))
        if isinstance(command, EndConferences):
            return None
        if isinstance(command, CALL_COMMANDS):
            raise NotFound("no such live call or conference")
        if isinstance(command, AddParticipant):
            return self._add(command)
        if isinstance(command, DeleteRecording):
            self._change(RecordingRow, command.recording_id, deleted_at=self.clock.wall)
            return Done()
        mpc = self._live(command.by, command.mpc)
        match command:
            case ActivateMpc():
                if mpc.status != "Initialized":
                    raise NotFound("no Initialized multiparty call")
                self._change(MpcRow, mpc.id, status="Active")
            case EndMpc():
                self._change(MpcRow, mpc.id, status="Ended", ended_at=self.clock.wall, termination_cause_code=3000)
            case UpdateParticipants() | KickParticipants():
                self._change_members(mpc, command)
            case StartSound():
                present = self.all(MemberRow, lambda row: row.mpc_uuid == mpc.id and row.left_at is None)
                members = command.members or tuple(row.id for row in present)
                return SoundQueued(members, mpc.id, mpc.friendly_name)
            case StopSound():
                pass
            case StartRecording():
                row = self.record(mpc, command.file_format)
                return RecordingStarted(row.id, row.format, mpc.id, mpc.friendly_name)
            case StartParticipantRecording():
                row = self.record(mpc, command.file_format, member_id=command.member, track_type=command.track_type)
                also = self.mint.uuid() if command.track_type == "both" else ""
                return RecordingStarted(row.id, row.format, mpc.id, mpc.friendly_name, also)
            case StopRecording():
                self._running(mpc)
                self._change(MpcRow, mpc.id, recording="not-recording")
            case PauseRecording():
                self._running(mpc)
                self._change(MpcRow, mpc.id, recording="paused")
            case ResumeRecording():
                self._running(mpc)
                self._change(MpcRow, mpc.id, recording="recording")
        return Done(mpc.id, mpc.friendly_name)

    def _change(self, kind: type[Row], row_id: str, **columns: Any) -> None:
        self.save(msgspec.structs.replace(self.rows[kind][row_id], **columns))

    def _live(self, by: Requester, ref: MpcRef) -> MpcRow:
        for row in self.all(MpcRow, lambda row: row.ended_at is None):
            named = (ref.name or ref.either) == row.friendly_name or (ref.uuid or ref.either) == row.id
            if named and row.account == by.account and by.sub_account in ("", row.sub_account):
                return row
        raise NotFound("no live multiparty call of that name or uuid")

    def _running(self, mpc: MpcRow) -> None:
        if mpc.recording == "not-recording":
            raise NotFound("no recording is running")

    def _add(self, command: AddParticipant) -> Added:
        try:
            mpc = self._live(command.by, command.mpc)
        except NotFound:
            if command.mpc.uuid:
                raise
            mpc = self.mpc_row(
                command.mpc.name or command.mpc.either, command.by, command.participant.start_mpc_on_enter
            )
        destinations = command.dial.to if command.dial else ("+15550000000",)
        from_ = command.dial.from_ if command.dial else "+15551111111"
        calls = tuple(AddedCall(to, from_, command.call_uuid or self.mint.uuid()) for to in destinations)
        self.member_row(mpc, calls[0].call_uuid, command.participant.role.value)
        return Added(calls[0].call_uuid, calls)

    def _change_members(self, mpc: MpcRow, command: UpdateParticipants | KickParticipants) -> None:
        present = self.all(MemberRow, lambda row: row.mpc_uuid == mpc.id and row.left_at is None)
        chosen = [row for row in present if not command.members or row.id in command.members]
        if not chosen or len(chosen) < len(command.members):
            raise NotFound("no such participant")
        for row in chosen:
            if isinstance(command, KickParticipants):
                columns: dict[str, Any] = {"left_at": self.clock.wall, "exit_cause": "Kicked Out of Multiparty Call"}
            else:
                flags = {"mute": command.mute, "hold": command.hold, "coach_mode": command.coach_mode}
                columns = {name: value for name, value in flags.items() if value is not None}
            self._change(MemberRow, row.id, **columns)

    # -- things to find --------------------------------------------------------------------------------------------

    def mpc_row(self, name: str = "room", by: Requester | None = None, active: bool = True, **columns: Any) -> MpcRow:
        by = by or Requester(MAIN)
        row = MpcRow(
            id=self.mint.uuid(),
            account=by.account,
            sub_account=by.sub_account,
            friendly_name=name,
            status="Active" if active else "Initialized",
            created_at=self.clock.wall,
            started_at=self.clock.wall if active else None,
            **columns,
        )
        self.save(row)
        return row

    def member_row(self, mpc: MpcRow, call_uuid: str = "", role: str = "agent", **columns: Any) -> MemberRow:
        self.next_member += 1
        row = MemberRow(
            id=str(self.next_member),
            account=mpc.account,
            mpc_uuid=mpc.id,
            call_uuid=call_uuid or self.mint.uuid(),
            role=role,
            address="+15552222222",
            joined_at=self.clock.wall,
            **columns,
        )
        self.save(row)
        return row

    def record(self, mpc: MpcRow, file_format: str = "mp3", **columns: Any) -> RecordingRow:
        given: dict[str, Any] = {
            "state": "recording",
            "started_at": self.clock.wall,
            "sub_account": mpc.sub_account,
            **columns,
        }
        row = RecordingRow(
            id=self.mint.uuid(),
            account=mpc.account,
            mpc_uuid=mpc.id,
            mpc_name=mpc.friendly_name,
            format=file_format,
            created_at=self.clock.wall,
            **given,
        )
        self.save(row)
        self._change(MpcRow, mpc.id, recording="recording")
        return row

    def ready(self, mpc: MpcRow, content: bytes, file_format: str = "mp3") -> RecordingRow:
        """A finished recording whose file is ``content``."""
        key = f"{file_format}-{len(self.contents)}"
        self.contents[key] = content
        return self.record(
            mpc, file_format, state="ready", file=key, sha256="ab" * 32, samples=8000 * 61 + 1, size=len(content)
        )

    async def deliver(self, url: str, method: str, body: dict[str, Any], by: Requester) -> None:
        self.delivered.append((url, method, body, by))

    async def line_of(self, call_uuid: str) -> LegStats | None:
        return self.lines.get(call_uuid)

    def app(self, rate_limit: RateLimit | None = None) -> Any:
        return create_app(
            Ports(
                apply=self.apply,
                store=self,
                files=self,
                deliver_async=self.deliver,
                public_url=PUBLIC_URL,
                sip_domain="sip.example.com",
                registration=self.registrations.get,
                line_of=self.line_of,
                speech_missing=lambda: self.speech_missing,
                numbers=(NUMBER,),
                conferences=lambda by: self.conferences,
                clock=self.clock,
                mint=self.mint,
                rate_limit=rate_limit or RateLimit(0),
                recording_urls=RecordingUrls(UrlSigner("00" * 32, lasting=timedelta(hours=24)), self.urls),
            )
        )


def _is(row: Any, account: str, sub_account: str | None) -> bool:
    return bool(row.account == account and sub_account in (None, row.sub_account))


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        value = self.json
        assert set(value) == {"api_id", "error"}
        return str(value["error"])


def basic(auth_id: str, token: str) -> str:
    return "Basic " + base64.b64encode(f"{auth_id}:{token}".encode()).decode()


@dataclass
class Browser:
    """Asks the application directly, with the credentials of ``auth_id``. Paths are relative to its account."""

    application: Any
    auth_id: str = MAIN

    async def __call__(
        self,
        method: str,
        path: str,
        fields: dict[str, Any] | None = None,
        *,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Reply:
        sent = {"authorization": basic(self.auth_id, TOKENS.get(self.auth_id, "")), **(headers or {})}
        if fields is not None:
            sent.setdefault("content-type", "application/json")
            body = json.dumps(fields).encode()
        target = path if path.startswith("/") else f"/v1/Account/{self.auth_id}/{path}"
        return await ask(self.application, method, target, sent, body or b"")


async def ask(application: Any, method: str, target: str, headers: dict[str, str], body: bytes = b"") -> Reply:
    """One request, as a web server would hand it over, the body in two pieces."""
    raw_path, _, query = target.encode().partition(b"?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": raw_path.decode(errors="replace"),
        "raw_path": raw_path,
        "query_string": query,
        "root_path": "",
        "headers": [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    half = len(body) // 2
    incoming = [
        {"type": "http.request", "body": body[:half], "more_body": True},
        {"type": "http.request", "body": body[half:], "more_body": False},
    ]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if not incoming:
            await asyncio.Event().wait()  # the client stays on the line
        return incoming.pop(0)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await application(scope, receive, send)
    assert sent[0]["type"] == "http.response.start"
    received = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return Reply(sent[0]["status"], received, b"".join(message.get("body", b"") for message in sent[1:]))

"""The first schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from mixminus.store.tables import UtcDateTime

revision = "0001"
down_revision = None


def _partial(name: str, table: str, columns: list[str], where: str) -> None:
    op.create_index(name, table, columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))


def upgrade() -> None:
    _accounts()
    _applications()
    _endpoints()
    _calls()
    _mpcs()
    _members()
    _recordings()
    _outbox()
    _attempts()
    _meta()


def _accounts() -> None:
    op.create_table(
        "accounts",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("parent", sa.Text(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
    )
    op.create_index("accounts_parent", "accounts", ["parent"])


def _applications() -> None:
    op.create_table(
        "applications",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("app_name", sa.Text(), nullable=False),
        sa.Column("answer_url", sa.Text(), nullable=False),
        sa.Column("answer_method", sa.Text(), nullable=False),
        sa.Column("hangup_url", sa.Text(), nullable=False),
        sa.Column("hangup_method", sa.Text(), nullable=False),
        sa.Column("fallback_answer_url", sa.Text(), nullable=False),
        sa.Column("fallback_method", sa.Text(), nullable=False),
        sa.Column("message_url", sa.Text(), nullable=False),
        sa.Column("message_method", sa.Text(), nullable=False),
        sa.Column("default_number_app", sa.Boolean(), nullable=False),
        sa.Column("default_endpoint_app", sa.Boolean(), nullable=False),
        sa.Column("log_incoming_messages", sa.Boolean(), nullable=False),
        sa.Column("public_uri", sa.Boolean(), nullable=False),
        sa.Column("sub_account", sa.Text(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
    )
    op.create_index("applications_account", "applications", ["account", "created_at"])


def _endpoints() -> None:
    op.create_table(
        "endpoints",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("username", sa.Text(), nullable=False),
        sa.Column("password", sa.Text(), nullable=False),
        sa.Column("alias", sa.Text(), nullable=False),
        sa.Column("app_id", sa.Text(), nullable=False),
        sa.Column("sub_account", sa.Text(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
    )
    op.create_index("endpoints_account", "endpoints", ["account", "created_at"])
    op.create_index("endpoints_username", "endpoints", ["username"])


def _calls() -> None:
    op.create_table(
        "calls",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("sub_account", sa.Text(), nullable=False),
        sa.Column("request_uuid", sa.Text(), nullable=False),
        sa.Column("direction", sa.Text(), nullable=False),
        sa.Column("from_number", sa.Text(), nullable=False),
        sa.Column("to_number", sa.Text(), nullable=False),
        sa.Column("caller_name", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("initiated_at", UtcDateTime(), nullable=False),
        sa.Column("answered_at", UtcDateTime(), nullable=True),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.Column("hangup_cause_code", sa.BigInteger(), nullable=True),
        sa.Column("hangup_cause_name", sa.Text(), nullable=False),
        sa.Column("hangup_source", sa.Text(), nullable=False),
        sa.Column("sip_call_id", sa.Text(), nullable=False),
    )
    op.create_index("calls_account", "calls", ["account", "initiated_at"])
    _partial("calls_live", "calls", ["initiated_at"], "ended_at IS NULL")


def _mpcs() -> None:
    op.create_table(
        "mpcs",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("sub_account", sa.Text(), nullable=False),
        sa.Column("friendly_name", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("started_at", UtcDateTime(), nullable=True),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.Column("recording", sa.Text(), nullable=False),
        sa.Column("stay_alone", sa.Boolean(), nullable=False),
        sa.Column("termination_cause_code", sa.BigInteger(), nullable=True),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("billed_duration", sa.BigInteger(), nullable=True),
        sa.Column("settings", sa.JSON(), nullable=False),
    )
    op.create_index("mpcs_account", "mpcs", ["account", "created_at"])
    op.create_index("mpcs_ended", "mpcs", ["account", "ended_at"])
    _partial("mpcs_live", "mpcs", ["created_at"], "ended_at IS NULL")
    op.create_index("mpcs_name", "mpcs", ["account", "friendly_name"])


def _members() -> None:
    op.create_table(
        "members",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("mpc_uuid", sa.Text(), nullable=False),
        sa.Column("call_uuid", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("call_from", sa.Text(), nullable=False),
        sa.Column("call_to", sa.Text(), nullable=False),
        sa.Column("call_direction", sa.Text(), nullable=False),
        sa.Column("coach_mode", sa.Boolean(), nullable=False),
        sa.Column("mute", sa.Boolean(), nullable=False),
        sa.Column("hold", sa.Boolean(), nullable=False),
        sa.Column("start_mpc_on_enter", sa.Boolean(), nullable=False),
        sa.Column("end_mpc_on_exit", sa.Boolean(), nullable=False),
        sa.Column("joined_at", UtcDateTime(), nullable=False),
        sa.Column("left_at", UtcDateTime(), nullable=True),
        sa.Column("exit_cause", sa.Text(), nullable=False),
        sa.Column("settings", sa.JSON(), nullable=False),
    )
    op.create_index("members_mpc", "members", ["mpc_uuid"])
    _partial("members_present", "members", ["joined_at"], "left_at IS NULL")


def _recordings() -> None:
    op.create_table(
        "recordings",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("sub_account", sa.Text(), nullable=False),
        sa.Column("mpc_uuid", sa.Text(), nullable=False),
        sa.Column("mpc_name", sa.Text(), nullable=False),
        sa.Column("call_uuid", sa.Text(), nullable=False),
        sa.Column("member_id", sa.Text(), nullable=False),
        sa.Column("track_type", sa.Text(), nullable=False),
        sa.Column("recording_type", sa.Text(), nullable=False),
        sa.Column("format", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("callback_url", sa.Text(), nullable=False),
        sa.Column("callback_method", sa.Text(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("from_number", sa.Text(), nullable=False),
        sa.Column("to_number", sa.Text(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("started_at", UtcDateTime(), nullable=True),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.Column("samples", sa.BigInteger(), nullable=False),
        sa.Column("rate", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("verified", sa.Boolean(), nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("failure", sa.Text(), nullable=False),
        sa.Column("deleted_at", UtcDateTime(), nullable=True),
    )
    op.create_index("recordings_account", "recordings", ["account", "created_at"])
    op.create_index("recordings_call", "recordings", ["call_uuid"])
    op.create_index("recordings_mpc", "recordings", ["mpc_uuid"])
    _partial("recordings_open", "recordings", ["created_at"], "state IN ('recording', 'paused', 'finishing')")


def _outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("lane", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("sub_account", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("event", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("next_at", UtcDateTime(), nullable=True),
        sa.Column("done_at", UtcDateTime(), nullable=True),
    )
    op.create_index("outbox_number", "outbox", ["number"], unique=True)
    _partial("outbox_pending", "outbox", ["lane", "number"], "state = 'pending'")


def _attempts() -> None:
    op.create_table(
        "attempts",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("outbox_id", sa.Text(), nullable=False),
        sa.Column("started_at", UtcDateTime(), nullable=False),
        sa.Column("duration_ms", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.BigInteger(), nullable=True),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("response", sa.Text(), nullable=False),
    )
    op.create_index("attempts_outbox", "attempts", ["outbox_id", "started_at"])


def _meta() -> None:
    op.create_table(
        "meta",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("value", sa.Text(), nullable=False),
    )

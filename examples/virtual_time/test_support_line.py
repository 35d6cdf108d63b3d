"""A support line tested in virtual time: a small Flask application, the ``mixminus`` fixture, no telephone.

Run it: ``pip install 'mixminus[testing]' flask`` and ``pytest examples/virtual_time``.
"""

from __future__ import annotations

import os

import plivo
import pytest
from flask import Flask, Response, request

from mixminus.testing.sources import tone, voice
from mixminus.testing.virtual.world import World

AGENT = "sip:agent@127.0.0.1:30002"


def add_support_line(app: Flask, client: plivo.RestClient, own_url: str) -> None:
    """The application: callers wait in a call of their own, an agent is dialled in, everything is recorded."""

    @app.post("/answer")
    def answer() -> Response:
        name = f"call-{request.form['CallUUID']}"
        xml = (
            f'<Response><MultiPartyCall role="customer" statusCallbackUrl="{own_url}/status">{name}'
            f"</MultiPartyCall></Response>"
        )
        return Response(xml, mimetype="application/xml")

    @app.post("/status")
    def status() -> Response:
        if request.form["EventName"] == "ParticipantJoin" and request.form["ParticipantRole"] == "customer":
            client.multi_party_calls.add_participant(
                friendly_name=request.form["MPCName"],
                role="agent",
                from_="14155550100",
                to_=os.environ.get("AGENT", AGENT),
                ring_timeout=20,
                status_callback_url=f"{own_url}/status",
                status_callback_method="POST",
            )
        if request.form["EventName"] == "ParticipantJoin" and request.form["ParticipantRole"] == "agent":
            client.multi_party_calls.start_recording(
                friendly_name=request.form["MPCName"],
                file_format="wav",
                recording_callback_url=f"{own_url}/recording",
                recording_callback_method="POST",
            )
        return Response("")

    @app.post("/recording")
    def recording() -> Response:
        return Response("")


@pytest.fixture
def number(mixminus: World) -> str:
    """The application, mounted; what callers dial."""
    app = Flask(__name__)
    base = mixminus.mount(app)
    add_support_line(app, mixminus.client, base)
    made = mixminus.client.applications.create("support", answer_url=f"{base}/answer")
    return str(made.app_id)


def test_a_caller_reaches_the_agent_and_is_recorded(mixminus: World, number: str) -> None:
    caller, agent = mixminus.phone("caller"), mixminus.phone("agent")
    assert agent.address == AGENT
    agent.answers(after=3)
    caller.calls(number)
    mixminus.until(lambda: agent.in_call)
    caller.says(voice("customer"))
    agent.says(tone(440), seconds=2)
    mixminus.advance(minutes=10)
    assert agent.heard(caller)
    assert caller.heard(agent).seconds == pytest.approx(2, abs=0.5)
    caller.hangs_up()
    agent.hangs_up()
    mixminus.until("MPCRecordingCompleted")
    assert mixminus.recording().contains(caller)


def test_nobody_answers(mixminus: World, number: str) -> None:
    caller, agent = mixminus.phone("caller"), mixminus.phone("agent")
    agent.rings_out()
    caller.calls(number)
    mixminus.advance(seconds=25)
    assert agent.state == "idle"
    assert caller.in_call

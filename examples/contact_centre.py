"""A contact centre: callers meet an agent, a supervisor coaches the agent unheard by the caller, all is recorded.

mixminus serve --dev     # with default_answer_url = "http://127.0.0.1:9000/answer" in mixminus.toml
mixminus exec -- python contact_centre.py sip:agent@192.0.2.10 sip:coach@192.0.2.11
"""

from __future__ import annotations

import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl

import plivo
from plivo import plivoxml
from plivo.utils import validate_v3_signature

HERE = f"http://127.0.0.1:{os.environ.get('PORT', '9000')}"


def answer(call: dict[str, str]) -> str:
    """A caller becomes the customer of a call of their own; it is recorded, and ends when they hang up."""
    callbacks = {"status_callback_url": f"{HERE}/status", "recording_callback_url": f"{HERE}/status"}
    customer = plivoxml.MultiPartyCallElement(
        call["CallUUID"], role="customer", record=True, end_mpc_on_exit=True, enter_sound="none", **callbacks
    )
    return str(plivoxml.ResponseElement().add(customer).to_string())


def status(event: dict[str, str]) -> None:
    """As soon as the customer is in, the agent and the coach are called; at the end the recording is announced."""
    if event["EventName"] == "ParticipantJoin" and event["ParticipantRole"] == "customer":
        calls = plivo.RestClient().multi_party_calls
        for role, phone in (("agent", sys.argv[1]), ("supervisor", sys.argv[2])):
            calls.add_participant(
                role, uuid=event["MPCUUID"], from_="14155550100", to_=phone, coach_mode=role == "supervisor"
            )
    print(event["EventName"], event.get("RecordingURL") or event.get("ParticipantRole", ""), flush=True)


class Application(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        form = dict(parse_qsl(body, keep_blank_values=True))
        nonce, signature = (self.headers[f"X-Plivo-Signature-V3{part}"] for part in ("-Nonce", ""))
        token = os.environ["PLIVO_AUTH_TOKEN"]
        if not validate_v3_signature("POST", HERE + self.path, nonce, token, signature, form):
            return self.send_error(403)
        document = answer(form) if self.path == "/answer" else status(form)
        self.send_response(200)
        self.end_headers()
        self.wfile.write((document or "").encode())


ThreadingHTTPServer(("127.0.0.1", int(HERE.rpartition(":")[2])), Application).serve_forever()

"""An application for inbound calls: callers join a call named after the number they dialled.

    python answer_app.py                                      # listens on 127.0.0.1:9000
    MIXMINUS_DEFAULT_ANSWER_URL=http://127.0.0.1:9000/answer mixminus serve --dev

Then call sip:5000@127.0.0.1 from any phone. Every callback is printed with the verdict on its signature.
"""

from __future__ import annotations

import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape, quoteattr

from plivo.utils import validate_v3_signature

TOKEN = os.environ["PLIVO_AUTH_TOKEN"]
HERE = "http://127.0.0.1:9000"


class Application(BaseHTTPRequestHandler):
    """``/answer`` gets call control, every other path is a callback."""

    def do_POST(self) -> None:
        size = int(self.headers.get("Content-Length", 0))
        parameters = dict(parse_qsl(self.rfile.read(size).decode(), keep_blank_values=True))
        signed = validate_v3_signature(
            "POST",
            HERE + self.path,
            self.headers.get("X-Plivo-Signature-V3-Nonce", ""),
            TOKEN,
            self.headers.get("X-Plivo-Signature-V3", ""),
            parameters,
        )
        event = parameters.get("EventName") or parameters.get("Event") or parameters.get("CallStatus", "")
        print(f"{self.path:<12} {event:<28} signature {'valid' if signed else 'INVALID'}")
        body = self._document(parameters["To"]) if self.path == "/answer" else ""
        self.send_response(200)
        self.send_header("Content-Type", "application/xml")
        self.end_headers()
        self.wfile.write(body.encode())

    def _document(self, dialled: str) -> str:
        attributes = {
            "role": "customer",
            "record": "true",
            "statusCallbackUrl": f"{HERE}/status",
            "recordingCallbackUrl": f"{HERE}/recording",
            "recordingCallbackMethod": "POST",
        }
        text = " ".join(f"{name}={quoteattr(value)}" for name, value in attributes.items())
        return f"<Response><MultiPartyCall {text}>{escape(dialled)}</MultiPartyCall></Response>"


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", 9000), Application).serve_forever()

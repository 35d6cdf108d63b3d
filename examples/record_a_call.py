"""Put two phones into a call and record it, pausing for five seconds.

    python record_a_call.py sip:alice@192.0.2.10 sip:bob@192.0.2.11

The server's address is read from MIXMINUS_API (default http://127.0.0.1:8080).
"""

from __future__ import annotations

import os
import sys
import time

import plivo
import plivo.rest.client

API = os.environ.get("MIXMINUS_API", "http://127.0.0.1:8080")

# The SDK can be pointed at another server only through its module's globals.
for name in (
    "PLIVO_API_BASE_URI",
    "API_VOICE_BASE_URI",
    "API_VOICE_BASE_URI_FALLBACK_1",
    "API_VOICE_BASE_URI_FALLBACK_2",
):
    setattr(plivo.rest.client, name, f"{API}/v1/Account")


def main() -> None:
    agent, customer = sys.argv[1:3]
    calls = plivo.RestClient().multi_party_calls
    room = {"friendly_name": "example"}
    calls.add_participant(role="agent", from_="14155550100", to_=agent, **room)
    calls.add_participant(role="customer", from_="14155550100", to_=customer, **room)
    input("Answer both phones, then press Enter to record. ")

    recording = calls.start_recording(file_format="mp3", **room)
    print("recording for ten seconds")
    time.sleep(10)
    calls.pause_recording(**room)
    print("paused for five: what is said now will not be in the file")
    time.sleep(5)
    calls.resume_recording(**room)
    print("recording for ten more")
    time.sleep(10)
    calls.stop_recording(**room)
    calls.stop(**room)
    print(f"curl -u $PLIVO_AUTH_ID:$PLIVO_AUTH_TOKEN -O {recording.recording_url}")


if __name__ == "__main__":
    main()

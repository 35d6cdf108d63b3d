"""baresip as a phone of another make: what it says is what is recorded."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import soundfile

from mixminus.testing import ear, sources
from mixminus.testing.multiparty import MultiPartyCall, eventually
from mixminus.testing.server import ServerProcess
from mixminus.testing.sink import CallbackSink
from slow.support import PhoneMaker, download, free_udp_port, program, start

pytestmark = pytest.mark.timeout(90)

CONFIG = """\
poll_method epoll
sip_listen 127.0.0.1:{port}
audio_source aufile,{source}
audio_player aufile,{heard}
audio_alert aufile,{heard}.alert
audio_level no
ausrc_srate 8000
auplay_srate 8000
ausrc_channels 1
auplay_channels 1
rtp_ports 40000-41000
jitter_buffer_type fixed
module_path /usr/lib/baresip/modules
module g711.so
module g722.so
module opus.so
opus_stereo no
opus_sprop_stereo no
opus_bitrate 32000
module aufile.so
module_tmp account.so
module_app menu.so
"""


@pytest.mark.parametrize("codec", ["pcmu/8000/1", "pcma/8000/1", "g722/16000/1", "opus/48000/1"])
async def test_what_baresip_says_is_recorded(
    server: ServerProcess, sink: CallbackSink, phone: PhoneMaker, tmp_path: Path, codec: str
) -> None:
    speech = sources.voice("customer")
    agent = await phone("agent", 440)
    agent.hushes()
    call = MultiPartyCall(server.plivo_client(), sink, "speech")
    await call.add("agent", agent)
    await call.record("wav")
    async with _baresip(tmp_path, speech, codec) as address:
        await call.dial("customer", address)
        await sink.wait_for("ParticipantJoin", count=2)
        await asyncio.sleep(len(speech) / sources.RATE + 0.5)
        await call("stop_recording")
        done = await sink.wait_for("MPCRecordingCompleted")
        await call("stop")
        await sink.wait_for("MPCEnd")
    assert ear.holds(speech, await download(server, done)) > 0.9
    assert ear.holds(speech, agent.heard.all()) > 0.9


@pytest.mark.parametrize(("codec", "rate"), [("g722/16000/1", 16000), ("opus/48000/1", 48000)])
async def test_a_recording_takes_the_rate_of_the_widest_phone(
    server: ServerProcess, sink: CallbackSink, phone: PhoneMaker, tmp_path: Path, codec: str, rate: int
) -> None:
    call = MultiPartyCall(server.plivo_client(), sink, "wide")
    await call.add("agent", await phone("agent", 440))
    async with _baresip(tmp_path, sources.voice("customer"), codec) as address:
        await call.dial("customer", address)
        await sink.wait_for("ParticipantJoin", count=2)
        await call.record("wav")
        await asyncio.sleep(1)
        await call("stop_recording")
        done = await sink.wait_for("MPCRecordingCompleted")
    file = io.BytesIO(await server.fetch(done.parameters["RecordingURL"]))
    info = soundfile.info(file)
    assert info.samplerate == rate
    assert 0.9 < info.frames / rate < 5


@asynccontextmanager
async def _baresip(folder: Path, speech: sources.Samples, codec: str) -> AsyncIterator[str]:
    """A running baresip that answers at once and says ``speech``; yields its SIP address."""
    source, port = folder / "speech.wav", free_udp_port()
    soundfile.write(source, speech, sources.RATE, subtype="PCM_16")
    (folder / "config").write_text(CONFIG.format(port=port, source=source, heard=folder / "heard.wav"))
    account = f"<sip:bare@127.0.0.1:{port}>;regint=0;answermode=auto;audio_codecs={codec}\n"
    (folder / "accounts").write_text(account)
    process = await start(folder, program("baresip"), "-f", str(folder))
    try:
        await eventually(lambda: _is_ready(folder / "baresip.log"), timeout=10, what="baresip's start")
        yield f"sip:bare@127.0.0.1:{port}"
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def _is_ready(log: Path) -> bool:
    return "baresip is ready" in log.read_text(errors="replace")

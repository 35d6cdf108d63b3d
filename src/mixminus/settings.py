"""The one table of settings: name, type, default, sentence.

Read once at start-up. Precedence: command line, environment (``MIXMINUS_…``), ``mixminus.toml``, default. Unknown keys
are refused by name. Nothing reads the environment after this.
"""

from __future__ import annotations

import os
import re
import string
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from mixminus.errors import ConfigurationError

ENVIRONMENT_PREFIX = "MIXMINUS_"
MOST_WORKERS = 64


def _endpoint(value: str) -> str:
    host, separator, port = value.rpartition(":")
    if not separator or not host or not port.isdigit() or not 0 <= int(port) <= 65535:
        raise ValueError(f"{value!r} is not HOST:PORT, for example 127.0.0.1:8080")
    return value


def _port_range(value: str) -> str:
    low, separator, high = value.partition("-")
    if not separator or not low.isdigit() or not high.isdigit() or not 1024 <= int(low) <= int(high) <= 65535:
        raise ValueError(f"{value!r} is not LOW-HIGH within 1024-65535, for example 20000-29999")
    return value


def _listed(value: object) -> object:
    """A list in one string, as the environment has it."""
    return [word.strip().lower() for word in value.split(",")] if isinstance(value, str) else value


def _each_once(value: tuple[str, ...]) -> tuple[str, ...]:
    if not value or len(set(value)) < len(value):
        raise ValueError("name at least one codec, and each once: opus, g722, pcmu, pcma")
    return value


_RENDERING = re.compile(r"(mp3|wav|flac|ogg):(mono|stereo|stems)(:nocoach)?")


def _renderings(value: tuple[str, ...]) -> tuple[str, ...]:
    for each in value:
        if not _RENDERING.fullmatch(each):
            raise ValueError(
                f"{each!r} is not FORMAT:LAYOUT or FORMAT:LAYOUT:nocoach, for example flac:stereo; formats are mp3, "
                "wav, flac and ogg, layouts mono, stereo and stems"
            )
    return value


PATH_SEGMENT = r"[A-Za-z0-9_][A-Za-z0-9._@+=-]*"
"""What a file or folder of a store may be called."""
DEFAULT_FILE_NAME = "{account}/{yyyy}/{mm}/{recording_id}.{format}"
_FILE_NAME_END = "{recording_id}.{format}"
_LONGEST_FILE_NAME = 500
"""With the longest names in it, and a prefix, it is still a key that every store takes."""
_LONGEST_PREFIX = 200
_FILE_NAME_FIELDS = ("account", "yyyy", "mm", "dd", "mpc_name", "recording_id", "format")
_FOLDERS = re.compile(rf"{PATH_SEGMENT}(/{PATH_SEGMENT})*", re.ASCII)


def _file_name(value: str) -> str:
    for _, field, how, conversion in string.Formatter().parse(value):
        if field is not None and field not in _FILE_NAME_FIELDS:
            raise ValueError(f"{{{field}}} is unknown; there are {', '.join(_FILE_NAME_FIELDS)}")
        if how or conversion:
            raise ValueError(f"{{{field}}} cannot be formatted: leave out what follows : or !")
    if len(value) > _LONGEST_FILE_NAME:
        raise ValueError(f"is {len(value)} characters long; {_LONGEST_FILE_NAME} are the most")
    if not value.endswith(_FILE_NAME_END):
        raise ValueError(f"must end in {_FILE_NAME_END}: no two recordings may share a file")
    sample = value.format(**dict.fromkeys(_FILE_NAME_FIELDS, "x"))
    if not _FOLDERS.fullmatch(sample):
        raise ValueError(f"makes {sample!r}; use letters, digits and . _ @ + = - between slashes")
    return value


def _prefixes(value: dict[str, str]) -> dict[str, str]:
    for account, prefix in value.items():
        if not _FOLDERS.fullmatch(prefix.strip("/")) or len(prefix) > _LONGEST_PREFIX:
            raise ValueError(
                f"{account}: {prefix!r} is no path of letters, digits and . _ @ + = -, {_LONGEST_PREFIX} at most"
            )
    return value


def _listed_if_any(value: object) -> object:
    """As :func:`_listed`, but of nothing an empty list."""
    return [] if value == "" else _listed(value)


HostPort = Annotated[str, AfterValidator(_endpoint)]
HostPortIfAny = Annotated[str, AfterValidator(lambda value: _endpoint(value) if value else value)]
PortRange = Annotated[str, AfterValidator(_port_range)]


def processors() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def split_host_port(value: str) -> tuple[str, int]:
    """``"127.0.0.1:8080"`` → ``("127.0.0.1", 8080)``; brackets around an IPv6 host are removed."""
    host, _, port = value.rpartition(":")
    return host.strip("[]"), int(port)


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Trunk(_Table):
    """``[[trunk]]``: where plain numbers are dialled. The first trunk whose ``prefix`` fits is taken."""

    name: str = Field(description="For logs and errors.")
    address: HostPort = Field(description="The carrier's SIP address, HOST:PORT.")
    transport: Literal["udp", "tcp", "tls"] = Field(
        "udp", description="How to reach it; over tls its certificate must be for the host of address."
    )
    prefix: str = Field("", description="Numbers beginning with this go here; empty takes all.")
    username: str = Field("", description="Digest user; empty means no authentication.")
    password: str = Field("", description="Digest password.")
    realm: str = Field("", description="Answer challenges of this realm only; empty answers any.")


class Number(_Table):
    """``[[number]]``: an inbound number and the application that answers it."""

    number: str = Field(description="Digits with country code, with or without +.")
    answer_url: str = Field(description="Fetched when the number is called; answers Plivo XML.")
    answer_method: Literal["GET", "POST"] = Field("POST", description="How it is fetched.")
    hangup_url: str = Field("", description="Told when the call ends; empty means the answer_url.")


class StorageTable(_Table):
    """``[storage]``: where finished recordings go, and how they are kept there."""

    url: str = Field(
        "",
        description="Store: s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, az://CONTAINER/PREFIX or file:///FOLDER. "
        "Empty: the data folder.",
    )
    options: dict[str, str] = Field(
        {},
        description="Credentials and the like: access_key_id, secret_access_key, region, endpoint, account_name, "
        "account_key, service_account, ... What is not here is looked for where the vendor's own tools look.",
    )
    file_name: Annotated[str, AfterValidator(_file_name)] = Field(
        DEFAULT_FILE_NAME,
        description="Names of files; ends in {recording_id}.{format}. Also {account}, {yyyy}, {mm}, {dd}, {mpc_name}.",
    )
    prefixes: Annotated[dict[str, str], AfterValidator(_prefixes)] = Field(
        {}, description="Folder put before the name, by auth id."
    )
    encryption_key_file: Path | None = Field(
        None, description="Key that finished files are sealed with (AES-256-GCM). Empty: they are not."
    )
    old_key_files: tuple[Path, ...] = Field((), description="Keys that older files were sealed with.")


class RetentionTable(_Table):
    """``[retention]``: how long recordings are kept."""

    days: int = Field(0, ge=0, description="Days until a recording is deleted; 0 keeps it for ever.")
    accounts: dict[str, int] = Field({}, description="Other days for some, by auth id; a sub-account's own goes first.")
    legal_hold: tuple[str, ...] = Field((), description="Auth ids whose recordings are not deleted, whoever asks.")


class Settings(_Table):
    """Everything an operator can set. See ``docs/configuration.md``, which a test holds against this table."""

    http: HostPort = Field("127.0.0.1:8080", description="Address of the REST API. Port 0 takes a free one.")
    sip: HostPort = Field(
        "127.0.0.1:5060", description="Address of SIP, UDP and TCP on the same port. Port 0 takes a free one."
    )
    rtp_ports: PortRange = Field("20000-29999", description="UDP ports media may use.")
    rtp_pool: int = Field(128, ge=1, le=512, description="UDP ports opened per media worker; many callers share each.")
    media_high_water: float = Field(
        0.8, gt=0, le=1, description="Share of its time from which a media worker is given no new calls."
    )
    media_timeout: float = Field(
        300.0, ge=0, description="Seconds without any packet from a phone after which its call is ended. 0: never."
    )
    agc: bool = Field(
        False, description="Bring all voices to one level; a participant's own `agc` can be changed in the call."
    )
    inband_dtmf: Literal["off", "auto", "always"] = Field(
        "auto",
        description="Look for keys in the sound: of phones that negotiated no telephone-event (auto), of all until "
        "they send the first telephone-event (always), of none (off).",
    )
    comfort_noise: bool = Field(
        False,
        description="Send phones of G.711 a little noise instead of silence, which some take for a dead line; and "
        "tell them that they may send comfort noise (RFC 3389) themselves.",
    )
    data: Path = Field(Path("./mixminus-data"), description="Folder of database, spool and recordings.")
    codecs: Annotated[
        tuple[Literal["opus", "g722", "pcmu", "pcma"], ...], BeforeValidator(_listed), AfterValidator(_each_once)
    ] = Field(
        ("opus", "g722", "pcmu", "pcma"),
        description="Codecs of calls, the best first; between pcmu and pcma the caller's own order decides.",
    )
    workers: int = Field(
        0, ge=0, le=MOST_WORKERS, description="Media worker processes. 0: one for each processor but one."
    )
    dev: bool = Field(False, description="Callbacks and fetches may go to loopback and private addresses.")
    auth_id: str = Field(
        "",
        pattern=r"^(MA[A-Z0-9]{18})?$",
        description="Main account id: MA and 18 of A-Z, 0-9. Empty: made at first start.",
    )
    auth_token: str = Field("", description="Main account token. Empty: made at first start.")
    public_url: str = Field(
        "",
        description="How the outside reaches the API, for URLs in answers and callbacks. Empty: http://HTTP address.",
    )
    tls: str = Field("", description="Host name to serve the API under over TLS, on the HTTP port. Empty: plain HTTP.")
    tls_cert: Path | None = Field(
        None, description="Certificate chain for tls, PEM. Empty: one is issued by the authority in the data folder."
    )
    tls_key: Path | None = Field(None, description="Private key of tls_cert, PEM. Empty: it is in tls_cert.")
    sip_tls: HostPortIfAny = Field(
        "", description="Address of SIP over TLS (sips), usually on port 5061. Empty: none is taken."
    )
    sip_tls_cert: Path | None = Field(
        None,
        description="Certificate chain for sip_tls, PEM, for sip_domain. Empty: one is issued by the authority in the "
        "data folder.",
    )
    sip_tls_key: Path | None = Field(None, description="Private key of sip_tls_cert, PEM. Empty: it is in that file.")
    sip_tls_ca: Path | None = Field(
        None,
        description="Authorities of the phones and trunks that are called over TLS, PEM. Empty: the system's.",
    )
    media_host: str = Field("", description="Address written into SDP, when it differs from the SIP host (NAT).")
    sip_domain: str = Field("", description="Realm and domain of registered endpoints. Empty: the SIP host.")
    default_answer_url: str = Field(
        "", description="Answers inbound calls to no known number or endpoint. Empty: those get 404."
    )
    default_answer_method: Literal["GET", "POST"] = Field("POST", description="How default_answer_url is fetched.")
    callback_retry_hours: float = Field(24.0, ge=0, description="How long an undelivered callback is tried again.")
    callback_log_days: int = Field(
        30, ge=0, description="Days for which the log knows a callback that was delivered or given up. 0: for ever."
    )
    record_tracks: Literal["mix", "all"] = Field(
        "mix",
        description="What multiparty recordings keep for other renderings: the mix, or also a track for each voice.",
    )
    renderings: Annotated[tuple[str, ...], BeforeValidator(_listed_if_any), AfterValidator(_renderings)] = Field(
        (),
        description="Files made of every recording once its own is announced: FORMAT:LAYOUT, such as flac:stereo or "
        "wav:stems:nocoach. All but mono with the coach need record_tracks = all.",
    )
    pause_as: Literal["cut", "silence", "tone"] = Field(
        "cut", description="What a pause is in the file: nothing, silence of its length, or a tone."
    )
    transcribe_model: str = Field(
        "",
        description="Model of the transcription engine; of faster-whisper a folder, of PocketSphinx en-us. "
        "Empty: nothing is transcribed.",
    )
    transcribe_engine: str = Field(
        "mixminus.recording.transcribe:faster_whisper",
        pattern=r"^[\w.]+:\w+$",
        description="module:callable that takes the model and makes an engine; see docs/recordings.md.",
    )
    master_days: int = Field(
        7,
        ge=0,
        description="Days for which a recording's master (58 MB an hour, and as much for each hour of a voice's track) "
        "is kept so that it can be rendered anew. 0: it is removed once its file is announced.",
    )
    session_expires: int = Field(1800, ge=90, description="SIP session timer, seconds (RFC 4028).")
    rate_limit: int = Field(
        300, ge=0, description="API requests an account may make in any 5 seconds; more get 429. 0: no limit."
    )
    recording_urls: Literal["basic", "signed", "unguessable"] = Field(
        "basic",
        description="Who may download a recording: basic, whoever has the credentials or a signed URL; signed, the "
        "same, and the URLs told are signed; unguessable, whoever has the URL, as with Plivo.",
    )
    recording_url_hours: float = Field(24.0, gt=0, description="How long a signed URL opens its recording.")
    storage: StorageTable = Field(StorageTable(), description="Where finished recordings go, a [storage] table.")
    retention: RetentionTable = Field(RetentionTable(), description="How long they are kept, a [retention] table.")
    drain_seconds: float = Field(30.0, ge=0, description="How long SIGTERM waits for calls before ending them.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least severe log line written."
    )
    sound_max_bytes: int = Field(20_000_000, ge=1000, description="Largest audio file fetched to be played.")
    sound_max_seconds: float = Field(
        600.0, gt=0, le=600, description="Longest audio played; a longer file is refused by name in the log."
    )
    sound_connect_seconds: float = Field(2.0, gt=0, description="How long an audio file's server may take to connect.")
    sound_read_seconds: float = Field(30.0, gt=0, description="How long it may be silent while it answers.")
    sound_fresh_seconds: float = Field(
        300.0, ge=0, description="How long a fetched audio file is played without asking whether it has changed."
    )
    sound_cache_bytes: int = Field(
        500_000_000, ge=0, description="Room for fetched audio and spoken prompts in the data folder; the oldest go."
    )
    tts_engine: Literal["auto", "piper", "espeak-ng", "none"] = Field(
        "auto", description="What speaks texts; auto is piper if it is installed and has voices, else espeak-ng."
    )
    tts_piper_voices: Path | None = Field(
        None, description="Folder of piper voices, such as en_US-lessac-medium.onnx with its .json beside it."
    )
    trunk: tuple[Trunk, ...] = Field((), description="Carriers for plain numbers, a [[trunk]] table each.")
    number: tuple[Number, ...] = Field((), description="Inbound numbers, a [[number]] table each.")

    @field_validator("renderings")
    @classmethod
    def _recorded(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        beyond = [each for each in value if not each.endswith(":mono")]
        if beyond and info.data.get("record_tracks") == "mix":
            raise ValueError(f'{beyond[0]} needs a track for each voice; set record_tracks = "all"')
        return value

    @property
    def media_workers(self) -> int:
        """Media worker processes there will be: those asked for, else one for each processor but one, at least one."""
        return self.workers or min(MOST_WORKERS, max(1, processors() - 1))

    @property
    def rtp_range(self) -> tuple[int, int]:
        low, _, high = self.rtp_ports.partition("-")
        return int(low), int(high)


def load(overrides: dict[str, Any], *, environ: dict[str, str] | None = None, file: Path | None = None) -> Settings:
    """Fill the table: ``overrides`` (command line; ``None`` means not given) over environment over file.

    Raises :class:`~mixminus.errors.ConfigurationError` naming the setting, where it came from, and the fix.
    """
    environ = dict(os.environ) if environ is None else environ
    path = Path("mixminus.toml") if file is None else file
    values: dict[str, Any] = {}
    origin: dict[str, str] = {}
    for source, table in (
        (str(path), _read_file(path, required=file is not None)),
        ("environment", _read_environment(environ)),
        ("command line", {key: value for key, value in overrides.items() if value is not None}),
    ):
        values.update(table)
        origin.update(dict.fromkeys(table, source))
    try:
        return Settings(**values)
    except ValidationError as error:
        raise ConfigurationError(_explain(error, origin)) from None


def _read_file(path: Path, *, required: bool) -> dict[str, Any]:
    if not path.exists() and not required:
        return {}
    try:
        return tomllib.loads(path.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"{path}: {error}") from None


def _read_environment(environ: dict[str, str]) -> dict[str, str]:
    tables = {"trunk", "number", "storage", "retention"}
    found = {}
    for key, value in environ.items():
        if not key.startswith(ENVIRONMENT_PREFIX):
            continue
        name = key.removeprefix(ENVIRONMENT_PREFIX).lower()
        if name in tables:
            raise ConfigurationError(f"{key}: tables are read from mixminus.toml only")
        found[name] = value
    return found


def _explain(error: ValidationError, origin: dict[str, str]) -> str:
    lines = []
    for problem in error.errors():
        name = ".".join(str(part) for part in problem["loc"])
        source = origin.get(str(problem["loc"][0]), "settings") if problem["loc"] else "settings"
        if problem["type"] == "extra_forbidden":
            known = ", ".join(Settings.model_fields)
            lines.append(f"{name} ({source}): no such setting; known are {known}")
        else:
            lines.append(f"{name} ({source}): {problem['msg'].removeprefix('Value error, ')}")
    return "\n".join(lines)

"""The commands for people: serve, exec, demo, calls, webhooks, recordings, doctor, version."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from mixminus import __version__
from mixminus.cli.recordings import recordings
from mixminus.errors import ConfigurationError
from mixminus.settings import MOST_WORKERS

app = typer.Typer(
    name="mixminus",
    help="Self-hosted multiparty calling with recordings that can be trusted, over Plivo's Multiparty Call API.",
    epilog="Try 'mixminus demo' first: a recorded three-party call in under a minute.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Http = Annotated[
    str | None,
    typer.Option(metavar="HOST:PORT", help="Address of the REST API. [127.0.0.1:8080] (MIXMINUS_HTTP)"),
]
Sip = Annotated[
    str | None,
    typer.Option(metavar="HOST:PORT", help="Address of SIP, UDP and TCP. [127.0.0.1:5060] (MIXMINUS_SIP)"),
]
RtpPorts = Annotated[
    str | None,
    typer.Option(metavar="LOW-HIGH", help="UDP ports media may use. [20000-29999] (MIXMINUS_RTP_PORTS)"),
]
Data = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Database, spool and recordings. [./mixminus-data] (MIXMINUS_DATA)"),
]
Workers = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Media worker processes; 0: one for each processor but one. [0] (MIXMINUS_WORKERS)",
        min=0,
        max=MOST_WORKERS,
    ),
]
Dev = Annotated[
    bool | None,
    typer.Option("--dev", help="Let callbacks and fetches go to loopback and private addresses. (MIXMINUS_DEV)"),
]
Config = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Settings file; without it, mixminus.toml here is read if there.")
]
Tls = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Serve the API over TLS under this host name. (MIXMINUS_TLS)"),
]
TlsCert = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Certificate for --tls, PEM. Without it one is made. (MIXMINUS_TLS_CERT)"),
]
TlsKey = Annotated[Path | None, typer.Option(metavar="FILE", help="Key of --tls-cert, PEM. (MIXMINUS_TLS_KEY)")]


@app.command()
def serve(
    http: Http = None,
    sip: Sip = None,
    rtp_ports: RtpPorts = None,
    data: Data = None,
    workers: Workers = None,
    dev: Dev = None,
    config: Config = None,
    tls: Tls = None,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    virtual_time: Annotated[
        bool,
        typer.Option(
            "--virtual-time",
            help="For tests: no SIP and no media on the network, a clock that moves when told to over /testing/.",
        ),
    ] = False,
) -> None:
    """Run the server: SIP, media, REST API and callbacks.

    Every option may also be set as the environment variable named beside it, or in mixminus.toml.

    Port 0 takes a free port. SIGTERM drains; a second one, or SIGINT, ends at once.
    """
    from mixminus.cli.serve import serve as run_server

    given = {"http": http, "sip": sip, "rtp_ports": rtp_ports, "data": data, "workers": workers, "dev": dev}
    if virtual_time:
        from mixminus.testing.virtual.serve import serve_virtual

        raise typer.Exit(serve_virtual(given, config))
    raise typer.Exit(run_server({**given, "tls": tls, "tls_cert": tls_cert, "tls_key": tls_key}, config))


@app.command("exec", context_settings={"allow_interspersed_args": False})
def execute(
    command: Annotated[list[str], typer.Argument(metavar="-- COMMAND...", help="What to run.")],
    data: Data = None,
    http: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="A server elsewhere, https:// before it for TLS; credentials from PLIVO_AUTH_ID, PLIVO_AUTH_TOKEN.",
        ),
    ] = None,
    serve: Annotated[
        bool, typer.Option("--serve", help="Start a server (--dev, free ports) for as long as the command runs.")
    ] = False,
    allow_other_hosts: Annotated[
        bool, typer.Option("--allow-other-hosts", help="Let https go to others than Plivo's hosts too.")
    ] = False,
    virtual_time: Annotated[
        bool,
        typer.Option("--virtual-time", help="As --serve, in virtual time: for tests, with controls under /testing/."),
    ] = False,
) -> None:
    """Run a command with its Plivo traffic sent here: mixminus exec -- python my_app.py

    The command sees api.plivo.com and media.plivo.com as always; a proxy on loopback ends their TLS with a certificate
    of this data folder's own authority, and variables make its language use the one and trust the other. The account's
    id and token are in PLIVO_AUTH_ID and PLIVO_AUTH_TOKEN. Nothing outside the command is changed.
    """
    from mixminus.cli.execute import execute as run_command

    raise typer.Exit(
        run_command(command, data, http, serve=serve, virtual_time=virtual_time, allow_other_hosts=allow_other_hosts)
    )


@app.command()
def demo(
    recordings: Annotated[Path, typer.Option(metavar="DIR", help="Where the recording is copied to.")] = Path(
        "demo-recordings"
    ),
) -> None:
    """Record a three-party call in under a minute and check what was recorded.

    Starts a server and three phones on this machine, drives them through the official Python SDK, prints every
    callback as it comes with the verdict on its signature, and shows who spoke when. Needs no account and no network.
    """
    from mixminus.cli.demo import demo as run_demo

    raise typer.Exit(run_demo(recordings))


Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Watch = Annotated[bool, typer.Option("--watch", help="Show it again every second, until interrupted.")]
Elsewhere = Annotated[
    str | None,
    typer.Option(
        "--http",
        metavar="HOST:PORT",
        help="A server elsewhere, https:// before it for TLS; credentials from PLIVO_AUTH_ID, PLIVO_AUTH_TOKEN.",
    ),
]
CallbackId = Annotated[str, typer.Argument(metavar="ID", help="As 'mixminus webhooks' shows it.")]


@app.command()
def calls(
    data: Data = None,
    http: Elsewhere = None,
    ended: Annotated[bool, typer.Option("--ended", help="The last 20 that have ended too.")] = False,
    as_json: Json = False,
    watch: Watch = False,
) -> None:
    """Show the multiparty calls that are live, who is in them, and whether they are recorded."""
    from mixminus.cli.calls import calls as show_calls

    raise typer.Exit(show_calls(data, http, ended=ended, as_json=as_json, watch=watch))


webhooks = typer.Typer(
    help="Show what was said to your application: attempts, latency, answers. Send one again, or check a signature.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(webhooks, name="webhooks")
app.add_typer(recordings, name="recordings")


@webhooks.callback(invoke_without_command=True)
def list_webhooks(
    context: typer.Context,
    data: Data = None,
    http: Elsewhere = None,
    state: Annotated[
        str | None, typer.Option(metavar="STATE", help="Only those: pending, delivered or gave_up.")
    ] = None,
    last: Annotated[int, typer.Option(metavar="N", help="How many.", min=1, max=1000)] = 20,
    as_json: Json = False,
    watch: Watch = False,
) -> None:
    """Show the last callbacks, newest first."""
    if context.invoked_subcommand is not None:  # what was said before its name is for it, too
        said = {"data": data and str(data), "http": http, "as_json": as_json or None}
        context.default_map = {context.invoked_subcommand: {name: one for name, one in said.items() if one is not None}}
        return
    from mixminus.cli.webhooks import webhooks as show_webhooks

    raise typer.Exit(show_webhooks(data, http, state=state, last=last, as_json=as_json, watch=watch))


@webhooks.command("show")
def show_webhook(callback_id: CallbackId, data: Data = None, http: Elsewhere = None, as_json: Json = False) -> None:
    """Show one callback, every attempt and what was answered."""
    from mixminus.cli.webhooks import callback

    raise typer.Exit(callback(data, http, callback_id, as_json=as_json))


@webhooks.command("redeliver")
def redeliver_webhook(callback_id: CallbackId, data: Data = None, http: Elsewhere = None) -> None:
    """Send one again, under its old X-Mixminus-Event-Id."""
    from mixminus.cli.webhooks import redeliver

    raise typer.Exit(redeliver(data, http, callback_id))


@webhooks.command("verify-signature")
def verify_signature(
    url: Annotated[str, typer.Argument(metavar="URL", help="Exactly as it was requested, query included.")],
    nonce: Annotated[str, typer.Option(help="X-Plivo-Signature-V3-Nonce of the request.")],
    signature: Annotated[str, typer.Option(help="X-Plivo-Signature-V3 of the request, or what your code made.")] = "",
    method: Annotated[str, typer.Option(help="GET or POST.")] = "POST",
    form: Annotated[
        list[str] | None, typer.Option(metavar="BODY", help="The POST body as sent, or NAME=VALUE; may be repeated.")
    ] = None,
    token: Annotated[
        str, typer.Option(envvar="PLIVO_AUTH_TOKEN", help="The account's token.", show_default=False)
    ] = "",
    data: Data = None,
) -> None:
    """Why does my signature not match? Shows the text that is signed, in every form an SDK may use."""
    from mixminus.cli.running import find
    from mixminus.cli.webhooks import verify_signature as verify

    raise typer.Exit(verify(method.upper(), url, form or [], nonce, signature, token or find(data).auth_token))


@app.command()
def replay(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What a failed test left under .mixminus/.")],
    picture: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the timeline as SVG.")] = None,
) -> None:
    """Run a frozen test again, without the test and without its application, and print its timeline.

    Fails if anything happens otherwise than it did then: another time, id, sound or callback.
    """
    from mixminus.cli.replay import replay as run_replay

    raise typer.Exit(run_replay(file, picture))


@app.command()
def doctor(
    http: Http = None, sip: Sip = None, rtp_ports: RtpPorts = None, data: Data = None, config: Config = None
) -> None:
    """Look whether a server could run here, and say what to do about what is in its way."""
    from mixminus.cli.doctor import doctor as run_doctor

    raise typer.Exit(run_doctor({"http": http, "sip": sip, "rtp_ports": rtp_ports, "data": data}, config))


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(f"mixminus {__version__}")


def run(words: list[str]) -> int:
    """Run a command line; returns the exit code: 0 done, 1 failed, 2 a wrong option or setting."""
    usage_error: type[Exception] = typer.BadParameter.__mro__[1]  # the base of all of them; not exported by name
    try:
        result = app(words, standalone_mode=False)
    except ConfigurationError as error:
        return _complain(str(error))
    except typer.Abort:
        return 130
    except usage_error as error:
        return _complain(getattr(error, "format_message", error.__str__)())
    return result if isinstance(result, int) else 0


def _complain(text: str) -> int:
    for line in text.splitlines():
        print(f"mixminus: {line}", file=sys.stderr)  # noqa: T201
    return 2

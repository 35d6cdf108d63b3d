"""The commands for people: serve, demo, doctor, version."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from mixminus import __version__
from mixminus.errors import ConfigurationError

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
    int | None, typer.Option(metavar="N", help="Media worker processes. [1] (MIXMINUS_WORKERS)", min=1, max=64)
]
Dev = Annotated[
    bool | None,
    typer.Option("--dev", help="Let callbacks and fetches go to loopback and private addresses. (MIXMINUS_DEV)"),
]
Config = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Settings file; without it, mixminus.toml here is read if there.")
]


@app.command()
def serve(
    http: Http = None,
    sip: Sip = None,
    rtp_ports: RtpPorts = None,
    data: Data = None,
    workers: Workers = None,
    dev: Dev = None,
    config: Config = None,
) -> None:
    """Run the server: SIP, media, REST API and callbacks.

    Every option may also be set as the environment variable named beside it, or in mixminus.toml.

    Port 0 takes a free port. SIGTERM drains; a second one, or SIGINT, ends at once.
    """
    from mixminus.cli.serve import serve as run_server

    raise typer.Exit(
        run_server(
            {"http": http, "sip": sip, "rtp_ports": rtp_ports, "data": data, "workers": workers, "dev": dev},
            config,
        )
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

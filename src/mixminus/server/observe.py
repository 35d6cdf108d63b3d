"""``/healthz`` and ``/metrics``: what a load balancer and Prometheus ask. Read-only views of the running parts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from mixminus.calls.service import Service
from mixminus.media.fleet.client import MediaClient
from mixminus.recording.keeper import Keeper
from mixminus.sip.endpoint import SipEndpoint
from mixminus.webhooks.deliver import Deliverer


class Running(Protocol):
    """The parts of a running server that are looked at."""

    service: Service
    media: MediaClient
    sip: SipEndpoint
    deliverer: Deliverer
    keeper: Keeper


@dataclass
class Observed:
    ready: bool = False
    """Calls can be taken."""


class _Parts(Collector):
    """Asks the parts for their figures when Prometheus asks us."""

    def __init__(self, server: Running) -> None:
        self._server = server

    def collect(self) -> Iterable[Metric]:
        service = self._server.service
        recordings = sum(1 for live in service.mpcs.values() if live.state and live.state.recording)
        yield _gauge("mixminus_multiparty_calls", "Live multiparty calls", len(service.mpcs))
        yield _gauge("mixminus_calls", "Live call legs", len(service.legs))
        yield _gauge("mixminus_recordings", "Recordings running or paused", recordings)
        yield _gauge("mixminus_changes_owed", "Changes the database would not take yet", service.books.owed)
        yield from self._callbacks()
        yield from self._keeping()
        yield from self._media()
        yield from self._sip()

    def _callbacks(self) -> Iterable[Metric]:
        deliverer = self._server.deliverer
        yield _gauge("mixminus_callback_lanes_pending", "Receivers that are owed callbacks", deliverer.lanes_pending)
        yield _counter("mixminus_callback_attempts", "Callback requests made", deliverer.counts.attempts)
        yield _counter("mixminus_callbacks_delivered", "Callbacks delivered", deliverer.counts.delivered)
        yield _counter("mixminus_callbacks_given_up", "Callbacks given up", deliverer.counts.gave_up)

    def _keeping(self) -> Iterable[Metric]:
        keeper = self._server.keeper
        yield _gauge("mixminus_files_pending", "Finished files not yet sealed or in the store", keeper.pending)
        yield _gauge("mixminus_files_in_trouble", "1 while the store or the disk refuses files", bool(keeper.trouble))
        yield _counter("mixminus_files_stored", "Files brought to the store and read back", keeper.stored)
        yield _counter("mixminus_file_failures", "Attempts to seal, store or delete that failed", keeper.failures)

    def _media(self) -> Iterable[Metric]:
        names = (
            "legs",
            "rooms",
            "taps",
            "ticks",
            "late_ticks",
            "skipped_ticks",
            "stranger_packets",
            "malformed_packets",
            "load",
            "poor_legs",
            "mean_mos",
        )
        for name in names:
            family = GaugeMetricFamily(f"mixminus_media_{name}", f"Media worker: {name}", labels=["worker"])
            for index, stats in enumerate(self._server.media.stats()):
                value = getattr(stats, name, None)
                if value is not None:
                    family.add_metric([str(index)], value)
            yield family
        crossings = self._server.media.counters.crossings
        yield _counter("mixminus_media_leg_crossings", "Legs that went from one media worker to another", crossings)
        yield _counter("mixminus_media_worker_restarts", "Media workers replaced", sum(self._server.media.restarts()))

    def _sip(self) -> Iterable[Metric]:
        family = GaugeMetricFamily("mixminus_sip", "SIP endpoint: live objects and drops", labels=["what"])
        for name, value in self._server.sip.counters().items():
            family.add_metric([name], value)
        yield family


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(name, text, value=value)


def routes(observed: Observed, server: Running) -> Sequence[BaseRoute]:
    registry = CollectorRegistry()
    registry.register(_Late(server, observed))

    async def healthz(request: Request) -> Response:
        if observed.ready:
            return PlainTextResponse("ok\n")
        return PlainTextResponse("calls cannot be taken now\n", status_code=503)

    async def metrics(request: Request) -> Response:
        return Response(generate_latest(registry), media_type="text/plain; version=0.0.4; charset=utf-8")

    return [Route("/healthz", healthz), Route("/metrics", metrics)]


class _Late(_Parts):
    """Registered before the server is up: says nothing until it is."""

    def __init__(self, server: Running, observed: Observed) -> None:
        super().__init__(server)
        self._observed = observed

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterable[Metric]:
        return super().collect() if self._observed.ready else []

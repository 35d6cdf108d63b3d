"""The tables of RFC 3261 section 17 and RFC 6026, timer by timer. Times are T1 = 0.5, T2 = 4, T4 = 5 s."""

from __future__ import annotations

import pytest

from mixminus.sip.message import Request
from mixminus.sip.transaction import TABLES, TIMERS, Do, Input, Kind, State, Transaction
from mixminus.sip.transport import Flow
from sip.kit import parse, request

UDP = Flow("udp", "10.0.0.9", 5060)
TCP = Flow("tcp", "10.0.0.9", 5060, 1)


def start(kind: Kind, flow: Flow = UDP) -> Transaction:
    message = parse(request("INVITE" if "INVITE" in kind.name else "OPTIONS"))
    assert isinstance(message, Request)
    return Transaction(kind, ("k",), message, flow, b"wire", 0.0)


def run(transaction: Transaction, until: float) -> list[tuple[float, Do]]:
    """Let timers fire; when what was to be done."""
    done = []
    while transaction.due <= until:
        now = transaction.due
        done += [(round(now, 3), do) for do in transaction.handle_timer(now)]
    return done


def sends(done: list[tuple[float, Do]]) -> list[float]:
    return [at for at, do in done if do is Do.SEND]


def test_timers_a_and_b() -> None:
    transaction = start(Kind.INVITE_CLIENT)
    done = run(transaction, 100)
    assert sends(done) == [0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
    assert done[-1] == (32.0, Do.TIMEOUT)
    assert transaction.is_terminated


def test_timer_b_alone_on_tcp() -> None:
    assert run(start(Kind.INVITE_CLIENT, TCP), 100) == [(32.0, Do.TIMEOUT)]


def test_a_ringing_call_has_no_timer() -> None:
    transaction = start(Kind.INVITE_CLIENT)
    assert transaction.handle(Input.PROVISIONAL, 1.0) == (Do.DELIVER,)
    assert run(transaction, 10_000) == []


def test_timer_d() -> None:
    transaction = start(Kind.INVITE_CLIENT)
    assert transaction.handle(Input.FAILURE, 1.0) == (Do.SEND_ACK, Do.DELIVER)
    assert transaction.handle(Input.FAILURE, 20.0) == (Do.SEND_ACK,)
    run(transaction, 32.9)
    assert transaction.state is State.COMPLETED
    run(transaction, 33.0)
    assert transaction.is_terminated


def test_timer_d_is_zero_on_tcp() -> None:
    transaction = start(Kind.INVITE_CLIENT, TCP)
    transaction.handle(Input.FAILURE, 1.0)
    run(transaction, 1.0)
    assert transaction.is_terminated


@pytest.mark.parametrize("flow", [UDP, TCP])
def test_timer_m_lets_every_2xx_through(flow: Flow) -> None:
    transaction = start(Kind.INVITE_CLIENT, flow)
    assert transaction.handle(Input.SUCCESS, 1.0) == (Do.DELIVER,)
    assert transaction.handle(Input.SUCCESS, 30.0) == (Do.DELIVER,)
    run(transaction, 33.0)
    assert transaction.is_terminated


def test_timers_e_and_f() -> None:
    done = run(start(Kind.CLIENT), 100)
    assert sends(done) == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert done[-1] == (32.0, Do.TIMEOUT)


def test_timer_e_is_t2_once_a_provisional_came_and_f_goes_on() -> None:
    transaction = start(Kind.CLIENT)
    transaction.handle(Input.PROVISIONAL, 0.2)
    done = run(transaction, 100)
    assert sends(done)[:3] == [4.2, 8.2, 12.2]
    assert done[-1] == (32.0, Do.TIMEOUT)


@pytest.mark.parametrize(("flow", "lasts"), [(UDP, 5.0), (TCP, 0.0)])
def test_timer_k(flow: Flow, lasts: float) -> None:
    transaction = start(Kind.CLIENT, flow)
    assert transaction.handle(Input.SUCCESS, 1.0) == (Do.DELIVER,)
    assert transaction.handle(Input.SUCCESS, 1.0) == ()
    assert transaction.due == 1.0 + lasts
    run(transaction, 1.0 + lasts)
    assert transaction.is_terminated


def test_timers_g_and_h() -> None:
    transaction = start(Kind.INVITE_SERVER)
    assert transaction.handle(Input.FAILURE, 0.0) == (Do.SEND,)
    assert sends(run(transaction, 100)) == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert transaction.is_terminated


@pytest.mark.parametrize(("flow", "lasts"), [(UDP, 5.0), (TCP, 0.0)])
def test_timer_i(flow: Flow, lasts: float) -> None:
    transaction = start(Kind.INVITE_SERVER, flow)
    transaction.handle(Input.FAILURE, 0.0)
    transaction.handle(Input.ACK, 1.0)
    assert transaction.state is State.CONFIRMED
    assert transaction.handle(Input.REQUEST, 1.0) == ()
    assert run(transaction, 1.0 + lasts) == []
    assert transaction.is_terminated


@pytest.mark.parametrize(("flow", "lasts"), [(UDP, 32.0), (TCP, 0.0)])
def test_timer_j_replays(flow: Flow, lasts: float) -> None:
    transaction = start(Kind.SERVER, flow)
    transaction.handle(Input.SUCCESS, 1.0)
    assert transaction.handle(Input.REQUEST, 1.0) == (Do.SEND,)
    assert transaction.due == 1.0 + lasts


@pytest.mark.parametrize("flow", [UDP, TCP])
def test_timer_l_and_the_2xx_again_until_the_ack(flow: Flow) -> None:
    transaction = start(Kind.INVITE_SERVER, flow)
    transaction.handle(Input.SUCCESS, 0.0)
    assert sends(run(transaction, 4.0)) == [0.5, 1.5, 3.5]
    transaction.handle(Input.ACK, 4.0)
    assert run(transaction, 31.9) == []
    assert not transaction.is_terminated
    run(transaction, 32.0)
    assert transaction.is_terminated


def test_timer_l_without_an_ack() -> None:
    transaction = start(Kind.INVITE_SERVER)
    transaction.handle(Input.SUCCESS, 0.0)
    assert run(transaction, 100)[-1] == (32.0, Do.TIMEOUT)


def test_an_unanswered_server_transaction_is_given_up() -> None:
    assert run(start(Kind.SERVER), 100) == [(32.0, Do.TIMEOUT)]


def test_a_late_wake_up_does_not_stretch_the_schedule() -> None:
    transaction = start(Kind.INVITE_CLIENT)
    assert transaction.handle_timer(0.9) == (Do.SEND,)
    assert transaction.due == 1.5


@pytest.mark.parametrize("kind", Kind)
def test_every_state_of_the_tables_is_reachable_and_ends(kind: Kind) -> None:
    states = set(TABLES[kind])
    targets = {step.state for row in TABLES[kind].values() for step in row.values()}
    assert targets - {State.TERMINATED} <= states
    assert State.TERMINATED in targets
    assert set(TIMERS[kind]) == states


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("what", Input)
def test_an_input_the_state_does_not_know_changes_nothing(kind: Kind, what: Input) -> None:
    transaction = start(kind)
    before = (transaction.state, transaction.due)
    if what not in TABLES[kind][transaction.state]:
        assert transaction.handle(what, 0.1) == ()
        assert (transaction.state, transaction.due) == before

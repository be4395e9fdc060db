"""Clients that misbehave: what the broker refuses, and that the others notice nothing."""
import os
import select
import signal
import socket
import struct
import time

import pytest

import granary_wire
import processes
from granary_wire import Closed, frame, header, pb


def refused(wire):
    """The Error that the broker closes the connection with; None when it closes without a word."""
    with pytest.raises(Closed) as closed:
        while True:
            wire.receive()
    return closed.value.error


def terms(**more):
    return pb().Terms(**{"label": "wire", "chunk_size": 10 << 20, "want": 1, "min": 1, **more})


def allocate(wire, **more):
    return wire.request(pb().TYPE_ALLOCATE, pb().Allocate(terms=terms(**more)))


@pytest.mark.parametrize("data", [
    header(0xFFFFFFFF, 1),
    header(5000, 1) + b"x" * 5000,
    header(0, 0),
    header(0, 2),
    header(0, 65),
    header(0, 160),
    header(0, 999),
    header(0, 1, flags=0x8000),
    frame(1) + b"\xff" * 200,
    header(3, 1) + b"\xff\xff\xff",
], ids=["huge", "long hello", "no type", "request first", "a reply", "an agent's", "unknown", "flags", "trailing", "malformed"])
def test_a_stranger_is_refused(broker, data):
    with broker.wire() as wire:
        wire.raw(data)
        error = refused(wire)
        assert error is not None and error.status == (-19 if data.startswith(frame(1)) and len(data) > 200 else -13), error
    broker.check()


def test_another_version_is_told_so(broker):
    with broker.wire() as wire, pytest.raises(Closed) as closed:
        wire.hello(version=99)
    assert closed.value.error.status == -19 and "version 1" in closed.value.error.text


@pytest.mark.parametrize("kind, body", [(2, b"\xff"), (64, b""), (128, b""), (161, b""), (17, b"\x08\x63\x20\x01\x28\x01" * 3), (1, b"")])
def test_a_client_is_refused(broker, kind, body):
    with broker.wire() as wire:
        wire.hello()
        wire.raw(header(len(body), kind, 1) + body)
        assert refused(wire).status == -13


def test_slow_strangers_are_closed_in_time(broker):
    wires = [broker.wire() for _ in range(20)]
    wires[0].raw(b"\x01")
    began = time.monotonic()
    for wire in wires:
        assert refused(wire).status == -6
    assert 3 < time.monotonic() - began < 9


def test_wrong_requests_are_answered(broker):
    with broker.wire() as wire:
        wire.hello()
        for wrong in [{"chunk_size": 0}, {"want": 0}, {"chunk_size": 1 << 62, "want": 1 << 30}, {"label": "a\nb"}, {"label": "x" * 100},
                      {"min": 2}, {"flags": 1 << 30}]:
            reply = allocate(wire, **wrong)
            assert reply.status == -1 and reply.text, wrong
        never = allocate(wire, chunk_size=1 << 40)
        assert never.status == -3 and never.most == 3 << 30 and "the most is 3.0G" in never.text
        assert wire.request(pb().TYPE_DRAIN, pb().Drain(host="nowhere")).status == -8
        assert allocate(wire).status == 0


def test_a_repeated_request_has_one_effect(broker):
    with broker.wire() as wire:
        wire.hello()
        first = wire.request(pb().TYPE_ALLOCATE, pb().Allocate(terms=terms()), number=1)
        wire.acked = 0
        again = wire.request(pb().TYPE_ALLOCATE, pb().Allocate(terms=terms()), number=1)
        assert first.allocation.id == again.allocation.id != 0
        assert broker.snapshot()["hosts"][0]["granted"] == 10 << 20


def test_a_session_comes_back_after_the_broker_died(broker):
    wire = broker.wire()
    welcome = wire.hello()
    got = allocate(wire)
    broker.kill("granary-broker")
    wire.close()
    broker.wait(lambda s: s["hosts"][0]["state"] == "up", what="a broker")
    again = broker.wire()
    back = again.hello(session=welcome.session, token=welcome.token)
    assert back.reattached and back.session == welcome.session and back.acked == 1
    assert [(a.id, a.extents[0].chunks) for a in back.allocations] == [(got.allocation.id, 1)]
    stranger = broker.wire()
    other = stranger.hello(session=welcome.session, token=b"0" * 16)
    assert not other.reattached and other.session > welcome.session
    again.send(pb().TYPE_GOODBYE, pb().Goodbye())
    broker.wait_idle()


def test_another_session_may_not_touch_it(broker):
    with broker.wire() as owner, broker.wire() as other:
        owner.hello(), other.hello()
        got = allocate(owner).allocation
        stolen = other.request(pb().TYPE_RELEASE, pb().Release(allocation=got.id, extents=got.extents))
        assert stolen.status in (-7, -8)
        assert broker.snapshot()["hosts"][0]["granted"] == 10 << 20
        twice = [owner.request(pb().TYPE_RELEASE, pb().Release(allocation=got.id, extents=got.extents)).status for _ in range(2)]
        assert twice[0] == 0 and twice[1] in (-8, -9, -18)
    broker.wait_idle()


def test_a_client_that_never_reads_is_not_read_from(broker):
    deaf = broker.wire()
    deaf.hello()
    deaf.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    query = frame(pb().TYPE_QUERY, pb().Query(what=pb().Query.LOG), number=0)
    for _ in range(200):  # something to tell: lines of the log
        with broker.wire() as other:
            other.hello()
            allocate(other)
    deaf.socket.settimeout(0.2)
    sent = 0
    with pytest.raises(TimeoutError):
        for _ in range(100000):
            deaf.raw(query)
            sent += 1
    with broker.wire() as other:
        began = time.monotonic()
        other.hello()
        assert allocate(other).status == 0 and time.monotonic() - began < 2
    pid, _ = broker.part("granary-broker")
    with open(f"/proc/{pid}/status") as f:
        rss = next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))
    assert rss < 300 << 10, f"{rss} KiB after {sent} unread answers"


def test_too_many_connections_of_one_user(make_broker):
    broker = make_broker(config="connections = 30\nconnections_per_user = 20\n")
    wires = [broker.wire() for _ in range(20)]
    for wire in wires:
        wire.hello()
    with broker.wire() as late:
        error = refused(late)
        assert error.status == -17 and "connections_per_user" in error.text
    wires.pop().close()

    def free():
        with broker.wire() as wire:
            try:
                wire.hello()
                return True
            except (Closed, OSError):
                return False

    processes.wait_for(free, 10, "a place")
    for wire in wires:
        wire.close()


def test_a_descriptor_that_was_not_announced(broker):
    with broker.wire() as wire:
        wire.hello()
        read, write = os.pipe()
        wire.raw(frame(pb().TYPE_CANCEL, pb().Cancel(allocation=1), number=1), (read,))
        os.close(read), os.close(write)
        assert refused(wire).status == -13
    pid, _ = broker.part("granary-broker")
    assert len(os.listdir(f"/proc/{pid}/fd")) < 60


def test_a_flood_does_not_starve_the_others(broker):
    with broker.wire() as flood, broker.wire() as other:
        flood.hello(), other.hello()
        one = frame(pb().TYPE_CANCEL, pb().Cancel(allocation=12345), number=1)
        flood.socket.setblocking(False)
        worst = 0.0
        for _ in range(50):
            try:
                flood.socket.send(one * 2000)
            except BlockingIOError:
                pass
            began = time.monotonic()
            got = allocate(other).allocation
            other.request(pb().TYPE_RELEASE, pb().Release(allocation=got.id, extents=got.extents))
            worst = max(worst, time.monotonic() - began)
        assert worst < 1, worst


def test_random_bytes_from_many(broker):
    import random

    rng = random.Random(7)
    for _ in range(150):
        with broker.wire() as wire:
            if rng.random() < 0.5:
                wire.hello()
            data = bytes(rng.randrange(256) for _ in range(rng.randrange(400)))
            if rng.random() < 0.7:
                data = struct.pack("<IHHQQ", rng.randrange(200), rng.randrange(1, 22), 0, rng.randrange(5), 0) + data
            try:
                wire.raw(data)
            except OSError:
                pass
    broker.wait_idle()
    broker.check()


def test_a_goodbye_before_a_close_with_unread_answers_counts(broker):
    """The kernel reports an error on such a connection, but what was sent before it is still to be read."""
    wire = broker.wire()
    wire.hello()
    assert allocate(wire).status == 0
    wire.send(pb().TYPE_QUERY, pb().Query(what=0), number=0)
    assert select.select([wire.socket], [], [], 10)[0], "no answer came"
    pid = broker.part("granary-broker")[0]
    os.kill(pid, signal.SIGSTOP)
    try:
        wire.send(pb().TYPE_GOODBYE)
        wire.close()
    finally:
        os.kill(pid, signal.SIGCONT)
    broker.wait(lambda s: not s["allocations"], timeout=5, what="the end of the session")
    broker.check()

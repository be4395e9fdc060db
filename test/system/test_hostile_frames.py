"""Frames that no honest client sends. Each costs its sender the connection, and nobody else anything."""
import os
import random
import socket
import time

import pytest

import granary_wire
import processes
from broker import BROKER, Broker

PROTOCOL, BUSY, VERSION, NOT_FOUND, DENIED, STATE, STALE, INVALID = -13, -17, -19, -8, -7, -9, -10, -1
MIB = 1 << 20


@pytest.fixture(scope="module")
def victim():
    """One broker for all cases, with one honest client that holds 128 MiB throughout."""
    broker = Broker(memory="1G", config="grace = 500ms\n").start()
    bystander = broker.wire()
    bystander.hello()
    assert bystander.allocate(64 * MIB, 2).status == 0
    broker.bystander = bystander
    yield broker
    broker.finish()


@pytest.fixture(autouse=True)
def unharmed(victim):
    """The broker that served before the case serves after it, with the same books."""
    before = victim.part(BROKER)
    yield
    assert victim.part(BROKER) == before, "the broker died"
    held = victim.bystander.query().allocations
    assert [(a.chunk_size, a.chunks) for a in held] == [(64 * MIB, 2)]


def expect_refusal(wire, status=PROTOCOL):
    error = wire.until_closed()
    assert error is not None, "closed without saying why"
    assert error.status == status, error
    assert len(error.text) > 10, error


def pb(name):
    return getattr(granary_wire.pb(), "TYPE_" + name)


def hello_frame(**header):
    return granary_wire.frame(pb("HELLO"), granary_wire.pb().Hello(version=1, program="hostile"), **header)


@pytest.mark.parametrize("length", [4097, MIB, MIB + 1, 2**31, 2**32 - 1])
def test_a_stranger_may_not_announce_a_large_frame(victim, length):
    wire = victim.wire()
    wire.raw(granary_wire.header(length, pb("HELLO")))
    expect_refusal(wire)


@pytest.mark.parametrize("name", ["ALLOCATE", "QUERY", "GOODBYE", "CLAIM", "WELCOME", "REPLY", "ERROR", "AGENT_HELLO", "AGENT_SAMPLE",
                                  "AGENT_DRAINED", "AGENT_WELCOME", "AGENT_OPEN", "NONE"])
def test_only_hello_comes_first(victim, name):
    wire = victim.wire()
    wire.raw(granary_wire.header(0, pb(name), number=1))
    expect_refusal(wire)


@pytest.mark.parametrize("kind", [0, 21, 63, 255, 256, 999, 65535])
def test_unknown_types(victim, kind):
    wire = victim.wire()
    wire.hello()
    wire.raw(granary_wire.header(0, kind, number=1))
    expect_refusal(wire)


@pytest.mark.parametrize("name", ["HELLO", "WELCOME", "REPLY", "CHANGED", "RECALL", "AGENT_HELLO", "AGENT_SAMPLE", "AGENT_OPENED",
                                  "AGENT_DRAINED", "AGENT_NOTICE", "AGENT_OPEN", "AGENT_CLOSE"])
def test_types_of_others(victim, name):
    wire = victim.wire()
    wire.hello()
    wire.raw(granary_wire.header(0, pb(name), number=1))
    expect_refusal(wire)


def test_a_lie_about_a_drained_claim_is_refused_unread(victim):
    wire = victim.wire()
    wire.hello()
    drained = granary_wire.pb().AgentClaimUse(claim=1, used=0)
    wire.send(pb("AGENT_DRAINED"), drained, number=1)
    expect_refusal(wire)


@pytest.mark.parametrize("flags", [2, 0x8000, 0xFFFE])
@pytest.mark.parametrize("greeted", [False, True])
def test_reserved_flags(victim, flags, greeted):
    wire = victim.wire()
    if greeted:
        wire.hello()
    wire.raw(granary_wire.header(0, pb("QUERY" if greeted else "HELLO"), number=1, flags=flags))
    expect_refusal(wire)


def test_other_version(victim):
    wire = victim.wire()
    wire.send(pb("HELLO"), granary_wire.pb().Hello(version=77, program="future"))
    expect_refusal(wire, VERSION)


@pytest.mark.parametrize("tail", [b"\0", b"\xff", b"\x48\x01", b"\x0a\x05ab"])
def test_bytes_after_the_last_field(victim, tail):
    body = granary_wire.pb().Hello(version=1, program="hostile").SerializeToString() + tail
    wire = victim.wire()
    wire.raw(granary_wire.header(len(body), pb("HELLO")) + body)
    expect_refusal(wire)


@pytest.mark.parametrize("tail", [b"\0", b"\xff", b"\x50\x01"])
def test_bytes_after_a_request(victim, tail):
    wire = victim.wire()
    wire.hello()
    body = granary_wire.pb().Cancel(allocation=1).SerializeToString() + tail
    wire.raw(granary_wire.header(len(body), pb("CANCEL"), number=1) + body)
    expect_refusal(wire)


def test_a_frame_above_one_mebibyte(victim):
    wire = victim.wire()
    wire.hello()
    wire.raw(granary_wire.header(MIB + 1, pb("RELEASE"), number=1))
    expect_refusal(wire)


def test_too_many_extents_in_a_frame_that_is_small_enough(victim):
    pbm, wire = granary_wire.pb(), victim.wire()
    wire.hello()
    extents = [pbm.Extent(host=i, chunks=1) for i in range(5000)]
    message = pbm.Release(allocation=1, recall=0, extents=extents)
    wire.number += 1
    wire.send(pb("RELEASE"), message, number=wire.number)
    try:
        assert wire.reply(wire.number).status < 0
    except granary_wire.Closed as closed:
        assert closed.error is not None and closed.error.status == PROTOCOL


@pytest.mark.parametrize("part", [1, 23, 24, 25, 30])
def test_cut_off(victim, part):
    whole = hello_frame()
    assert part < len(whole)
    wire = victim.wire()
    wire.raw(whole[:part])
    wire.socket.shutdown(socket.SHUT_WR)
    wire.until_closed()


def test_one_byte_at_a_time(victim):
    wire = victim.wire()
    for byte in hello_frame():
        wire.raw(bytes([byte]))
    kind, _, _ = wire.receive()
    assert kind == pb("WELCOME")
    request = granary_wire.frame(pb("CANCEL"), granary_wire.pb().Cancel(allocation=99999), number=1)
    for byte in request:
        wire.raw(bytes([byte]))
    assert wire.reply(1).status == NOT_FOUND


def test_who_never_finishes_the_hello_is_sent_away(victim):
    wire = victim.wire(timeout=15)
    wire.raw(hello_frame()[:7])
    started = time.monotonic()
    wire.until_closed()
    assert 2 < time.monotonic() - started < 12


@pytest.mark.parametrize("name", ["ALLOCATE", "CANCEL", "RELEASE", "QUERY"])
def test_a_descriptor_where_none_belongs(victim, name):
    wire = victim.wire()
    wire.hello()
    fds = count_descriptors(victim)
    read, write = os.pipe()
    wire.send(pb(name), None, number=1, fd=read)
    expect_refusal(wire)
    os.close(read)
    with pytest.raises(BrokenPipeError):
        wait_for_reader_gone(write)
    os.close(write)
    processes.wait_for(lambda: count_descriptors(victim) <= fds, 5, "no descriptor leaked")


def wait_for_reader_gone(write):
    """Raises BrokenPipeError once nobody else holds the reading end."""
    deadline = time.monotonic() + 5
    os.set_blocking(write, False)
    while time.monotonic() < deadline:
        os.write(write, b"x")
        time.sleep(0.01)


def count_descriptors(victim):
    return len(os.listdir(f"/proc/{victim.part(BROKER)[0]}/fd"))


def test_a_descriptor_with_the_hello(victim):
    wire = victim.wire()
    with open("/dev/null") as f:
        wire.raw(hello_frame(flags=granary_wire.HAS_FD), [f.fileno()])
    expect_refusal(wire)


def test_many_descriptors_at_once_leak_nothing(victim):
    fds = count_descriptors(victim)
    for _ in range(5):
        wire = victim.wire()
        wire.hello()
        with open("/dev/null") as f:
            claim = granary_wire.pb().Claim(allocation=99999, host=0, chunks=1)
            wire.raw(granary_wire.frame(pb("CLAIM"), claim, number=1, flags=granary_wire.HAS_FD), [f.fileno()] * 20)
        try:
            assert wire.reply(1).status < 0
        except granary_wire.Closed:
            pass
        wire.close()
    processes.wait_for(lambda: count_descriptors(victim) <= fds, 5, "no descriptor leaked")


def test_a_descriptor_that_is_no_process(victim):
    wire = victim.wire()
    wire.hello()
    own = wire.allocate(16 * MIB, 1)
    assert own.status == 0
    with open("/dev/null") as f:
        claim = granary_wire.pb().Claim(allocation=own.allocation.id, host=own.allocation.extents[0].host, chunks=1)
        assert wire.request(pb("CLAIM"), claim, fd=f.fileno()).status < 0
    wire.send(pb("GOODBYE"), granary_wire.pb().Goodbye())
    wire.until_closed()
    victim.wait(lambda s: len(s["allocations"]) == 1, what="only the bystander's allocation")


@pytest.mark.parametrize("seed", range(20))
def test_random_bytes(victim, seed):
    dice = random.Random(seed)
    wire = victim.wire(timeout=8)
    if seed % 2:
        wire.hello()
    try:
        for _ in range(20):
            kind = dice.choice([dice.randrange(1, 21), dice.randrange(64, 75), dice.randrange(256), dice.randrange(65536)])
            body = dice.randbytes(dice.choice([0, 1, 7, 40, 300, 3000]))
            flags = dice.choice([0, 0, 0, 1, dice.randrange(65536)])
            wire.raw(granary_wire.header(len(body), kind, dice.randrange(2**64), dice.randrange(2**64), flags) + body)
        wire.socket.shutdown(socket.SHUT_WR)
    except (BrokenPipeError, ConnectionResetError):
        pass
    wire.until_closed()


@pytest.mark.parametrize("seed", range(10))
def test_random_changes_of_honest_requests(victim, seed):
    """One byte of a good conversation is flipped: any answer will do, but no harm to others."""
    dice, pbm = random.Random(1000 + seed), granary_wire.pb()
    terms = pbm.Terms(label="flip", chunk_size=MIB, want=2, min=1, flags=0x70 | 0x100)
    stream = bytearray(
        hello_frame()
        + granary_wire.frame(pb("ALLOCATE"), pbm.Allocate(terms=terms), number=1)
        + granary_wire.frame(pb("RELEASE_N"), pbm.ReleaseN(allocation=2, count=1), number=2, acked=1)
        + granary_wire.frame(pb("GOODBYE"), pbm.Goodbye(), number=3))
    for _ in range(15):
        changed = bytearray(stream)
        changed[dice.randrange(len(changed))] ^= 1 << dice.randrange(8)
        wire = victim.wire(timeout=8)
        try:
            wire.raw(bytes(changed))
            wire.socket.shutdown(socket.SHUT_WR)
        except (BrokenPipeError, ConnectionResetError):
            pass
        wire.until_closed()
        wire.close()
    victim.wait(lambda s: len(s["allocations"]) == 1, what="only the bystander's allocation")


def test_a_repeated_request_has_one_effect(victim):
    pbm, wire = granary_wire.pb(), victim.wire()
    wire.hello()
    message = pbm.Allocate(terms=pbm.Terms(label="repeat", chunk_size=MIB, want=1))
    answers = []
    for _ in range(2):
        wire.send(pb("ALLOCATE"), message, number=1, acked=0)
        answers.append(wire.reply(1))
    assert answers[0].status == 0
    assert answers[0].allocation == answers[1].allocation and answers[1].status == 0
    assert len([a for a in wire.query().allocations if a.label == "repeat"]) == 1
    wire.send(pb("GOODBYE"), pbm.Goodbye())
    wire.until_closed()
    victim.wait(lambda s: len(s["allocations"]) == 1, what="only the bystander's allocation")


def test_what_is_not_held_is_not_released(victim):
    pbm, wire = granary_wire.pb(), victim.wire()
    wire.hello()
    own = wire.allocate(MIB, 2).allocation
    host = own.extents[0].host

    def release(allocation, chunks, on=host):
        return wire.request(pb("RELEASE"), pbm.Release(allocation=allocation, extents=[pbm.Extent(host=on, chunks=chunks)])).status

    assert release(own.id, 3) == STATE
    assert release(own.id, 1, on=host + 7) in (STATE, NOT_FOUND)
    assert release(99999, 1) == NOT_FOUND
    assert release(own.id, 2) == 0
    assert release(own.id, 2) in (STATE, NOT_FOUND, -18)


def test_sizes_that_overflow(victim):
    wire = victim.wire()
    wire.hello()
    for chunk_size, want, minimum in [(0, 1, 0), (MIB, 0, 0), (2**64 - 1, 1, 0), (2**63, 2, 0), (2**40, 2**32 - 1, 0), (MIB, 1, 2)]:
        reply = wire.allocate(chunk_size, want, minimum)
        assert reply.status in (INVALID, -3), (chunk_size, want, minimum, reply)
        assert reply.text, "a refusal says what was wrong"


def test_too_many_connections(make_broker):
    broker = make_broker(memory="256M", config="connections = 12\nconnections_per_user = 8\n")
    wires = []
    for _ in range(8):
        wires.append(broker.wire())
        wires[-1].hello()
    error = broker.wire().until_closed()  # told without being asked: a hello might cross the close
    assert error is not None and error.status == BUSY, error
    for wire in wires[:4]:
        wire.close()
    processes.wait_for(lambda: can_greet(broker), 5, "a place that was left is given again")


def can_greet(broker):
    wire = broker.wire()
    try:
        wire.hello()
        return True
    except (granary_wire.Closed, OSError):
        return False
    finally:
        wire.close()


def resident(pid):
    with open(f"/proc/{pid}/status") as f:
        return next(int(line.split()[1]) * 1024 for line in f if line.startswith("VmRSS"))


def test_a_client_that_never_reads(victim):
    pid = victim.part(BROKER)[0]
    before = resident(pid)
    wire = victim.wire(timeout=2)
    wire.hello()
    request = granary_wire.frame(pb("QUERY"), granary_wire.pb().Query(what=0), number=0)
    sent = 0
    try:
        for _ in range(4000):
            wire.raw(request * 50)
            sent += 50
    except (BrokenPipeError, ConnectionResetError, socket.timeout):
        pass
    assert sent >= 50
    started = time.monotonic()
    victim.bystander.query()
    assert time.monotonic() - started < 5, "others wait for the one who does not read"
    assert resident(pid) - before < 96 * MIB, "memory is spent on who does not read"

"""Periodic collection: a leak of each kind is planted; it is found and put right, or reported and left alone."""
import os
import signal
import subprocess
import sys

import pytest

import granary_wire
import processes

MIB = 1 << 20
COLLECT = "collect = 200ms\nsample_ms = 50\n"

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="limits groups need root here")

HOLDER = """
import os, sys, time
sys.path.insert(0, {tests!r})
import granary_wire
wire = granary_wire.Wire({socket!r})
wire.hello()
print(wire.allocate(1 << 20, 3).allocation.id, flush=True)
child = os.fork()
if child:
    print(child, flush=True)
    os._exit(0)
time.sleep(1000)
"""


def claimed(broker, chunks=1):
    """A wire with an allocation, and an idle claim in it: (wire, allocation, claim, folder of the claim's group)."""
    pb = granary_wire.pb()
    wire = broker.wire()
    wire.hello()
    own = wire.allocate(64 * MIB, chunks).allocation
    reply = wire.request(pb.TYPE_CLAIM, pb.Claim(allocation=own.id, host=own.extents[0].host, chunks=1, command="idle"))
    assert reply.status == 0, reply
    (books,) = processes.groups_named(broker.identity)
    folder = f"{books}/c{reply.claim}"
    assert os.path.isdir(folder)
    return wire, own, reply.claim, folder


def goodbye(broker, wire):
    wire.send(granary_wire.pb().TYPE_GOODBYE, granary_wire.pb().Goodbye())
    broker.wait_idle()


def members(folder):
    with open(f"{folder}/cgroup.procs") as f:
        return [int(line) for line in f]


def limit_of(folder):
    for name in ("memory.max", "memory.limit_in_bytes"):
        if os.path.exists(f"{folder}/{name}"):
            with open(f"{folder}/{name}") as f:
                return int(f.read())
    return None


def test_a_group_that_vanished_is_made_again(make_broker):
    broker = make_broker(config=COLLECT)
    pb = granary_wire.pb()
    wire, _, claim, folder = claimed(broker)
    os.rmdir(folder)
    processes.wait_for(lambda: os.path.isdir(folder), 5, "the group, made again")
    processes.wait_for(lambda: limit_of(folder) == 64 * MIB, 5, "its limit")
    assert f"claim {claim}: its group had vanished; it was made again" in broker.text()
    task = subprocess.Popen(["sleep", "1000"])
    assert wire.request(pb.TYPE_ENTER, pb.Enter(claim=claim), fd=os.pidfd_open(task.pid)).status == 0
    assert members(folder) == [task.pid]
    broker.wait(lambda s: any(c["pids"] == [task.pid] for a in s["allocations"] for c in a["claims"]), what="the task is measured")
    broker.check()
    task.kill()
    task.wait()
    goodbye(broker, wire)


def test_the_folder_of_the_books_vanished_too(make_broker):
    broker = make_broker(config=COLLECT)
    pb = granary_wire.pb()
    wire, own, claim, folder = claimed(broker, 2)
    os.rmdir(folder)
    os.rmdir(os.path.dirname(folder))
    processes.wait_for(lambda: os.path.isdir(folder) and limit_of(folder) == 64 * MIB, 5, "the group, made again")
    reply = wire.request(pb.TYPE_CLAIM, pb.Claim(allocation=own.id, host=own.extents[0].host, chunks=1, command="later"))
    assert reply.status == 0 and os.path.isdir(f"{os.path.dirname(folder)}/c{reply.claim}"), reply
    broker.check()
    assert wire.request(pb.TYPE_CLOSE, pb.Close(claim=claim)).status == 0
    processes.wait_for(lambda: not os.path.exists(folder), 5, "the group's removal, after the commit")
    goodbye(broker, wire)


def test_a_group_that_nobody_knows_is_reported_and_left_alone(make_broker):
    broker = make_broker(config=COLLECT)
    wire, _, claim, folder = claimed(broker)
    planted = os.path.join(os.path.dirname(folder), "c4000000")
    other = os.path.join(os.path.dirname(folder), "mine")
    task = subprocess.Popen(["sleep", "1000"])
    try:
        os.mkdir(planted)
        os.mkdir(other)
        with open(f"{planted}/cgroup.procs", "w") as f:
            f.write(str(task.pid))
        words = "claim 4000000: its group exists, but the books do not know it; left alone"
        processes.wait_for(lambda: words in broker.text(), 5, "the report")
        done = broker.run("check")
        assert done.returncode == 1
        assert done.stdout == (
            f"group granary.{broker.identity}/c4000000: no claim in the books\n"
            f"group granary.{broker.identity}/mine: not made by Granary, which never touches it; remove it when it is empty\n")
        assert broker.text().count(f"agent: {words}") == 1, "told once, not at every comparison"
        assert members(planted) == [task.pid] and os.path.isdir(other) and task.poll() is None
    finally:
        task.kill()
        task.wait()
        processes.wait_for(lambda: not members(planted), 5, "an empty group")
        os.rmdir(planted)
        os.rmdir(other)
    broker.check()
    goodbye(broker, wire)


def test_a_death_while_the_agent_is_stopped(make_broker):
    broker = make_broker(config=COLLECT)
    pb = granary_wire.pb()
    wire, own, claim, folder = claimed(broker)
    task = subprocess.Popen(["sleep", "1000"])
    assert wire.request(pb.TYPE_ENTER, pb.Enter(claim=claim), fd=os.pidfd_open(task.pid)).status == 0
    agent, _ = broker.part("granary-agent")
    os.kill(agent, signal.SIGSTOP)
    try:
        wire.send(pb.TYPE_GOODBYE, pb.Goodbye())  # the owner goes; the claim holds its chunk until it is empty
        task.kill()
        task.wait()
        held = broker.snapshot()
        assert [(a["id"], a["claims"][0]["chunks"]) for a in held["allocations"]] == [(own.id, 1)], "nobody saw it end yet"
    finally:
        os.kill(agent, signal.SIGCONT)
    broker.wait_idle()
    processes.wait_for(lambda: not os.path.exists(folder), 5, "the group's removal, which comes after the books are idle")
    broker.check()


def test_a_dead_owner_whose_connection_is_held_open(make_broker):
    broker = make_broker(config=COLLECT)
    script = HOLDER.format(tests=os.path.dirname(os.path.abspath(__file__)), socket=broker.socket)
    owner = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=broker.env)
    allocation, child = int(owner.stdout.readline()), int(owner.stdout.readline())
    started = processes.start_time(child)
    broker.started[child] = started
    try:
        owner.wait(10)
        broker.wait_idle()
        assert f"pid={owner.pid} the process is dead, but its connection is held open" in broker.text()
        assert processes.start_time(child) == started, f"the child that held allocation {allocation} open is not ours to end"
        broker.check()
    finally:
        processes.kill(child, started, signal.SIGKILL)


def test_the_period_is_read_again(make_broker):
    broker = make_broker(config="collect = 1h\nsample_ms = 50\n")
    script = HOLDER.format(tests=os.path.dirname(os.path.abspath(__file__)), socket=broker.socket)
    owner = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=broker.env)
    allocation, child = int(owner.stdout.readline()), int(owner.stdout.readline())
    broker.started[child] = started = processes.start_time(child)
    try:
        owner.wait(10)
        done = broker.run("check")
        assert done.returncode == 1
        assert done.stdout == f"allocation {allocation} (test): its owner (pid {owner.pid}) is dead, and nothing runs in it\n"
        with open(os.path.join(broker.folder, "granary.conf"), "w") as f:
            f.write(COLLECT)
        broker.process.send_signal(signal.SIGHUP)
        broker.wait_idle()
    finally:
        processes.kill(child, started, signal.SIGKILL)

"""Clients that err: that confirm too early, touch what is not theirs, or name a process that is no more."""
import contextlib
import os
import select
import subprocess

import pytest

import granary_wire
import processes
from broker import AGENT, BIN
from test_other_users import as_stranger

MIB, GIB = 1 << 20, 1 << 30
OK, WAITING, DENIED, STATE, BUSY, DEAD = 0, 1, -7, -9, -17, -20
KILLED = 2
LIVE = 2
AT_PID = os.path.join(os.path.dirname(BIN), "test", "system", "programs", "at_pid")
AT_PID_REFUSED, AT_PID_IN_USE = 77, 78
USES = "import sys; sys.stdin.readline(); x = bytearray(256 << 20); print('uses it', flush=True); sys.stdin.read()"


@contextlib.contextmanager
def pidfd_of(pid):
    fd = os.pidfd_open(pid)
    try:
        yield fd
    finally:
        os.close(fd)


def task(broker, *words):
    job = subprocess.Popen(words, env=broker.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    started = processes.start_time(job.pid)
    if started is not None:  # it may have ended by now
        broker.started[job.pid] = started
    broker.jobs.append(job)
    return job


def say(job, line):
    job.stdin.write(f"{line}\n")
    job.stdin.flush()


def hang_up(job):
    """The end of its input, which ends it."""
    job.stdin.close()
    job.stdin = None


def session(broker):
    wire = broker.wire()
    wire.hello()
    return wire


def goodbye(wire):
    wire.send(granary_wire.pb().TYPE_GOODBYE, granary_wire.pb().Goodbye())
    wire.until_closed()


def open_claim(wire, own, chunks=1, pid=None):
    """Claims chunks of an allocation, for a process or for none yet; its number."""
    pb = granary_wire.pb()
    message = pb.Claim(allocation=own.id, host=own.extents[0].host, chunks=chunks, command="test")
    with contextlib.ExitStack() as stack:
        reply = wire.request(pb.TYPE_CLAIM, message, fd=stack.enter_context(pidfd_of(pid)) if pid else None)
    assert reply.status == OK, reply
    return reply.claim


def enter(wire, claim, fd):
    pb = granary_wire.pb()
    return wire.request(pb.TYPE_ENTER, pb.Enter(claim=claim), fd=fd).status


def group_of(pid):
    with open(f"/proc/{pid}/cgroup") as f:
        return f.read()


def claims(snapshot):
    return {c["id"]: c for a in snapshot["allocations"] for c in a["claims"]}


def state_of(wire, allocation):
    """The next pushed state of an allocation that is live."""
    pb = granary_wire.pb()
    while True:
        state = wire.push(pb.TYPE_CHANGED, pb.AllocationState)
        if state.id == allocation and state.state == LIVE:
            return state


def test_a_client_that_confirms_too_early(broker):
    """It gives back 2 of 3 GiB while its task still uses them: nobody gets them before the task has ended."""
    pb = granary_wire.pb()
    hasty, patient = session(broker), session(broker)
    own = hasty.allocate(2 * GIB, 1).allocation
    running = task(broker, "/usr/bin/python3", "-c", USES)
    claim = open_claim(hasty, own, pid=running.pid)
    say(running, "go")  # what it uses is charged to its group from the first byte on
    assert running.stdout.readline() == "uses it\n"

    released = hasty.request(pb.TYPE_RELEASE, pb.Release(allocation=own.id, extents=own.extents))
    assert (released.status, released.chunks) == (OK, 1), released
    second = patient.allocate(2 * GIB, 1)
    assert second.status == WAITING, second
    assert patient.allocate(1 * GIB, 1).status == OK, "what is really free is granted past it"

    # The agent has measured the task after the release, and still no byte of it is free.
    books = broker.wait(lambda s: s["hosts"][0]["used"] >= 256 * MIB, what="the task's memory is seen")
    host = books["hosts"][0]
    assert (host["granted"], host["returning"], host["free"]) == (GIB, 2 * GIB, 0), host
    assert [waiter["id"] for waiter in books["queue"]] == [second.allocation.id]
    assert running.poll() is None
    broker.check()
    # It asks to close the claim, too, without killing: the answer comes when the task has ended, not before.
    hasty.number += 1
    closing = hasty.number
    hasty.send(pb.TYPE_CLOSE, pb.Close(claim=claim, kill=False), number=closing, acked=hasty.acked)
    for wire in (hasty, patient):
        wire.query()  # what was pushed until now has arrived
    assert not [body for kind, body in patient.pushes if kind == pb.TYPE_CHANGED and
                pb.AllocationState.FromString(body).id == second.allocation.id], "it was granted too early"

    hang_up(running)
    granted = state_of(patient, second.allocation.id)
    assert processes.start_time(running.pid) is None, "it was granted while the task ran"
    assert [extent.chunks for extent in granted.extents] == [1]
    closed = hasty.reply(closing)
    assert (closed.status, closed.cause) == (OK, 0) and closed.peak >= 256 * MIB, closed
    assert running.wait(20) == 0, "it was not killed"
    broker.check()
    goodbye(hasty)
    goodbye(patient)
    broker.wait_idle()


def test_a_close_that_kills_after_a_polite_one(broker):
    """A task that heeds no signal outlasts a polite close; the one that kills ends it, and both are answered."""
    pb = granary_wire.pb()
    wire = session(broker)
    own = wire.allocate(64 * MIB, 1).allocation
    deaf = task(broker, "bash", "-c", "trap '' TERM INT HUP; echo deaf; while :; do read -r _ || kill -STOP $$; done")
    claim = open_claim(wire, own, pid=deaf.pid)
    assert deaf.stdout.readline() == "deaf\n"

    def close(kill):
        wire.number += 1
        wire.send(pb.TYPE_CLOSE, pb.Close(claim=claim, kill=kill), number=wire.number, acked=wire.acked)
        return wire.number

    polite = close(False)
    assert wire.reply(close(False)).status == BUSY
    deaf.terminate()
    broker.wait(lambda s: claims(s)[claim]["state"] == "closing" and claims(s)[claim]["pids"] == [deaf.pid],
                what="the claim that closes around its task")
    assert deaf.poll() is None
    killing = close(True)
    assert deaf.wait(20) == -9
    first, second = wire.reply(polite), wire.reply(killing)
    assert [(r.status, r.cause) for r in (first, second)] == [(OK, KILLED), (OK, KILLED)]
    goodbye(wire)
    broker.wait_idle()
    broker.check()


def test_a_client_that_never_closes_what_it_gave_back(make_broker):
    """When `returning` has passed the broker ends the claim by itself: without killing, and only once the task has ended."""
    pb = granary_wire.pb()
    broker = make_broker(config="returning = 200ms\n")
    hasty, patient = session(broker), session(broker)
    own = hasty.allocate(2 * GIB, 1).allocation
    running = task(broker, "cat")
    claim = open_claim(hasty, own, pid=running.pid)
    assert hasty.request(pb.TYPE_RELEASE, pb.Release(allocation=own.id, extents=own.extents)).status == OK
    second = patient.allocate(2 * GIB, 1)
    assert second.status == WAITING, second
    books = broker.wait(lambda s: claims(s)[claim]["state"] == "closing", what="the claim is ordered to end")
    assert books["hosts"][0]["returning"] == 2 * GIB and books["queue"][0]["id"] == second.allocation.id
    say(running, "alive")
    assert running.stdout.readline() == "alive\n"
    hang_up(running)
    state_of(patient, second.allocation.id)
    assert processes.start_time(running.pid) is None, "it was granted while the task ran"
    assert running.wait(20) == 0, "it was not killed"
    broker.check()
    goodbye(hasty)
    goodbye(patient)
    broker.wait_idle()


def misdeeds(broker, root_task):
    """What one user's sessions may not do to each other, and to another user's process; run as that user."""
    pb = granary_wire.pb()
    with granary_wire.Wire(broker.socket) as owner, granary_wire.Wire(broker.socket) as other:
        owner.hello()
        other.hello()
        own = owner.allocate(MIB, 3).allocation
        host = own.extents[0].host
        claim = open_claim(owner, own)

        def ask(wire, kind, message):
            return wire.request(getattr(pb, "TYPE_" + kind), message).status

        with pidfd_of(root_task) as fd:
            entered = enter(owner, claim, fd)
        answers = {
            "release of another's": ask(other, "RELEASE", pb.Release(allocation=own.id, extents=[pb.Extent(host=host, chunks=1)])),
            "claim of more": ask(owner, "CLAIM", pb.Claim(allocation=own.id, host=host, chunks=3)),
            "release of more": ask(owner, "RELEASE", pb.Release(allocation=own.id, extents=[pb.Extent(host=host, chunks=4)])),
            "shrink to more": ask(owner, "SHRINK", pb.Shrink(claim=claim, chunks=4)),
            "enter": entered,
            "all that is left": ask(owner, "CLAIM", pb.Claim(allocation=own.id, host=host, chunks=2)),
        }
        (now,) = [a for a in owner.query().allocations if a.id == own.id]
        answers["chunks"] = now.chunks
        goodbye(other)
        goodbye(owner)
    return answers


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user needs root")
def test_sessions_of_one_user_and_the_process_of_another(broker):
    victim = task(broker, "cat")
    group = group_of(victim.pid)
    assert as_stranger(lambda: misdeeds(broker, victim.pid)) == {
        "release of another's": DENIED, "claim of more": STATE, "release of more": STATE, "shrink to more": STATE,
        "enter": DENIED, "all that is left": OK, "chunks": 3}
    assert (group_of(victim.pid), victim.poll()) == (group, None)
    broker.wait_idle()
    broker.check()


def test_even_the_operator_releases_through_a_recall_only(broker):
    """The plain release belongs to the session that holds the lease, whoever asks."""
    pb = granary_wire.pb()
    owner, other = session(broker), session(broker)
    own = owner.allocate(MIB, 2).allocation
    message = pb.Release(allocation=own.id, extents=own.extents)
    assert other.request(pb.TYPE_RELEASE, message).status == DENIED
    assert other.request(pb.TYPE_RELEASE_N, pb.ReleaseN(allocation=own.id, count=1)).status == DENIED
    assert [a["chunks"] for a in broker.snapshot()["allocations"]] == [2]
    broker.check()
    goodbye(owner)
    goodbye(other)
    broker.wait_idle()


def still_serves(broker, wire, claim):
    """The claim takes a living process, after all that was refused."""
    alive = task(broker, "cat")
    with pidfd_of(alive.pid) as fd:
        assert enter(wire, claim, fd) == OK
    broker.wait(lambda s: claims(s)[claim]["pids"] == [alive.pid], what="the living process alone in the claim")
    broker.check()
    hang_up(alive)
    goodbye(wire)
    assert alive.wait(20) == 0
    broker.wait_idle()


def test_a_process_that_has_been_reaped(broker):
    wire = session(broker)
    own = wire.allocate(64 * MIB, 2).allocation
    claim = open_claim(wire, own)
    gone = task(broker, "true")
    with pidfd_of(gone.pid) as fd:
        assert gone.wait(20) == 0
        assert enter(wire, claim, fd) == DEAD
        again = granary_wire.pb().Claim(allocation=own.id, host=own.extents[0].host, chunks=1, command="dead")
        assert wire.request(granary_wire.pb().TYPE_CLAIM, again, fd=fd).status == DEAD
    still_serves(broker, wire, claim)


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user is told of the owner first")
def test_the_agents_reason_reaches_who_asked(broker):
    """Not only that the agent could not: why."""
    pb = granary_wire.pb()
    wire = session(broker)
    own = wire.allocate(64 * MIB, 2).allocation
    claim = open_claim(wire, own)
    agent, _ = broker.part(AGENT)
    why = "neither the agent nor init may enter a claim"
    with pidfd_of(agent) as fd:
        entered = wire.request(pb.TYPE_ENTER, pb.Enter(claim=claim), fd=fd)
        taken = wire.request(pb.TYPE_CLAIM, pb.Claim(allocation=own.id, host=own.extents[0].host, chunks=1), fd=fd)
    assert entered.status < 0 and taken.status == entered.status
    assert (entered.text, taken.text) == (why, why)
    done = broker.run("claim", "--pid", str(agent), "-m", "64M")
    assert done.returncode == 77 and f"process {agent} may not be claimed: {why}" in done.stderr, done
    still_serves(broker, wire, claim)


def test_a_process_that_nobody_has_reaped_yet(broker):
    """A zombie keeps its number and its pidfd; it is dead all the same."""
    wire = session(broker)
    own = wire.allocate(64 * MIB, 1).allocation
    claim = open_claim(wire, own)
    gone = task(broker, "true")
    with pidfd_of(gone.pid) as fd:
        assert select.select([fd], [], [], 20)[0], "it did not end"
        assert enter(wire, claim, fd) == DEAD
    assert gone.wait(20) == 0
    still_serves(broker, wire, claim)


def run_at(broker, pid):
    """A process that has this number; skips where the kernel gives no numbers on demand."""
    job = task(broker, AT_PID, str(pid), "cat")
    with contextlib.suppress(BrokenPipeError):
        say(job, "here")
    if job.stdout.readline() == "here\n":  # cat itself answers
        return job
    status = job.wait(20)
    if status == AT_PID_REFUSED:
        pytest.skip("this kernel lets nobody choose a pid: neither clone3 with set_tid nor ns_last_pid")
    assert status == AT_PID_IN_USE, f"at_pid ended with {status}"
    return None


@pytest.mark.skipif(os.geteuid() != 0, reason="choosing a pid needs root")
def test_a_pid_that_is_in_use_again(broker):
    """The descriptor names the process that died, not the one that has its number now."""
    wire = session(broker)
    own = wire.allocate(64 * MIB, 1).allocation
    claim = open_claim(wire, own)
    for _ in range(10):  # somebody else may have taken the number in between
        gone = task(broker, "true")
        with contextlib.ExitStack() as stack:
            fd = stack.enter_context(pidfd_of(gone.pid))
            assert gone.wait(20) == 0
            double = run_at(broker, gone.pid)
            if double is None:
                continue
            with pidfd_of(gone.pid) as now:  # it lives, under the same number, and is another process
                assert not select.select([now], [], [], 0)[0] and select.select([fd], [], [], 0)[0]
            before = (group_of(gone.pid), processes.start_time(gone.pid))
            assert processes.program(gone.pid) == "cat"
            assert enter(wire, claim, fd) == DEAD
            books = broker.snapshot()
            assert claims(books)[claim]["pids"] == []
            assert (group_of(gone.pid), processes.start_time(gone.pid)) == before, "the new process was moved"
            assert f"granary.{broker.identity}" not in before[0]
            wire.request(granary_wire.pb().TYPE_CLOSE, granary_wire.pb().Close(claim=claim, kill=True))
            hang_up(double)  # it was not signalled either: it ends as it likes
            assert double.stdout.read() == "" and double.wait(20) == 0
            broker.check()
            goodbye(wire)
            broker.wait_idle()
            return
    raise AssertionError("ten numbers in a row were taken at once")

"""A waiting `granary run` has its gated child under a limit while it queues; the grant only sets the limit."""
import os
import select
import signal
import subprocess
import time

import pytest

import granary_wire
import processes
from broker import AGENT, BIN, BROKER

MIB = 1 << 20
GIB = 1 << 30
WAITING, INVALID, DENIED, STATE = 1, -1, -7, -9
TOLERANCE = 8 * MIB  # of chunks of 2 GiB: a 256th part


def limited(broker):
    return broker.snapshot()["hosts"][0]["enforcement"].startswith("cgroup")


def begin(broker, *words):
    """As whom the broker runs as."""
    job = subprocess.Popen([*broker.prefix, os.path.join(BIN, "granary"), *words], env=broker.env, cwd=broker.folder,
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    broker.jobs.append(job)
    return job


def hold(broker, size="2G"):
    job = begin(broker, "run", "-m", size, "--label", "holder", "--", "sleep", "100")
    broker.wait(lambda s: any(a["pid"] == job.pid and a["claims"] and a["claims"][0]["pids"] for a in s["allocations"]))
    return job


def waiter(broker, *options, command=("sleep", "100")):
    """A run that waits with its child attached: (the job, its claim's entry in the books)."""
    job = begin(broker, "run", "-m", "2G", "--label", "waiter", *options, "--", *command)
    return job, attached(broker, job)


def attached(broker, job):
    s = broker.wait(lambda s: [q for q in s["queue"] if q["pid"] == job.pid and q["claims"] and q["claims"][0]["pids"]],
                    what="an attached child")
    return next(q for q in s["queue"] if q["pid"] == job.pid)["claims"][0]


def groups(broker):
    return [f"{books}/{name}" for books in processes.groups_named(broker.identity) for name in os.listdir(books)
            if os.path.isdir(f"{books}/{name}")]


def group_of(broker, claim):
    return next(folder for folder in groups(broker) if folder.endswith(f"/c{claim['id']}"))


def inside(group):
    with open(f"{group}/cgroup.procs") as f:
        return [int(line) for line in f]


def limit_of(group):
    v2 = os.path.exists(f"{group}/memory.max")
    with open(f"{group}/memory.{'max' if v2 else 'limit_in_bytes'}") as f:
        return int(f.read())


def line_of(broker, job, timeout=20):
    ready, _, _ = select.select([job.stdout], [], [], timeout)
    assert ready, f"the command has not run\n{broker.run('snapshot').stdout}\n{broker.text()[-3000:]}"
    return job.stdout.readline()


def child_of(job):
    return next(iter(processes.children(job.pid)))


def nothing_left(broker, holder, child):
    """Only the holder is left, in the books and in reality."""
    broker.wait(lambda s: not s["queue"] and [a["pid"] for a in s["allocations"]] == [holder.pid], what="only the holder")
    processes.wait_for(lambda: not processes.command_line(child), 10, "the waiting child is gone")
    processes.wait_for(lambda: len(groups(broker)) == limited(broker), 10, "only the holder's group is left")
    broker.check()


def test_attached_while_it_waits_limited_when_it_is_granted(broker):
    holder = hold(broker)
    job, claim = waiter(broker, command=("sh", "-c", "echo ran; exec sleep 100"))
    child = child_of(job)
    assert claim["pids"] == [child] and (claim["chunks"], claim["state"]) == (0, "open")
    assert broker.snapshot()["hosts"][0]["granted"] == 2 * GIB
    broker.check()
    group = group_of(broker, claim) if limited(broker) else None
    if group:
        assert inside(group) == [child] and limit_of(group) == TOLERANCE
    holder.send_signal(signal.SIGTERM)
    assert line_of(broker, job) == "ran\n"
    if group:
        assert limit_of(group) == 2 * GIB and child in inside(group)
    s = broker.wait(lambda s: not s["queue"] and s["allocations"])
    mine = next(a for a in s["allocations"] if a["pid"] == job.pid)
    assert [(c["id"], c["chunks"]) for c in mine["claims"]] == [(claim["id"], 1)]
    broker.check()


def test_it_runs_under_its_limit_not_under_that_of_the_wait(broker):
    """A program that uses far more than a waiting child may, and one that uses more than its lease."""
    if not limited(broker):
        pytest.skip("limits are not enforced here")
    holder = hold(broker)
    job, _ = waiter(broker, command=("python3", "-c", "x = bytearray(300 << 20); print(len(x))"))
    holder.send_signal(signal.SIGTERM)
    out, err = job.communicate(timeout=20)
    assert (job.returncode, out, err) == (0, f"{300 << 20}\n", "")
    broker.wait_idle()
    holder = hold(broker, "2900M")
    job = broker.begin("run", "-m", "200M", "--", "python3", "-c", "x = bytearray(300 << 20); print(len(x))")
    attached(broker, job)
    holder.send_signal(signal.SIGTERM)
    out, err = job.communicate(timeout=20)
    assert (job.returncode, out) == (-signal.SIGKILL, "") and "out of memory: its limit was 200M" in err
    broker.wait_idle()


def test_timeout_while_it_waits(broker):
    holder = hold(broker)
    job, claim = waiter(broker, "--timeout", "2s")
    child = child_of(job)
    out, err = job.communicate(timeout=20)
    assert job.returncode == 124 and "no memory within the time given" in err
    nothing_left(broker, holder, child)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_ended_by_a_signal_while_it_waits(broker, number):
    holder = hold(broker)
    job, claim = waiter(broker, command=("touch", "ran"))
    child = child_of(job)
    job.send_signal(number)
    assert job.wait(20) == -number
    nothing_left(broker, holder, child)
    assert not os.path.exists(os.path.join(broker.folder, "ran"))


def test_release_by_somebody_else_while_it_waits(broker):
    holder = hold(broker)
    job, claim = waiter(broker)
    child = child_of(job)
    mine = next(q["id"] for q in broker.snapshot()["queue"])
    broker.run("release", str(mine), check=True)
    assert job.wait(20) not in (0, 100)
    nothing_left(broker, holder, child)


@pytest.mark.parametrize("part", [BROKER, AGENT])
def test_a_part_dies_while_it_waits(broker, part):
    """The child stays attached, the request waits on, and is granted."""
    holder = hold(broker)
    job, claim = waiter(broker, command=("sh", "-c", "echo ran; exec sleep 100"))
    child = child_of(job)
    broker.kill(part)
    again = attached(broker, job)
    assert (again["id"], again["pids"], again["chunks"]) == (claim["id"], [child], 0)
    broker.wait(lambda s: s["hosts"][0]["state"] == "up")
    if limited(broker):
        assert inside(group_of(broker, claim)) == [child] and limit_of(group_of(broker, claim)) == TOLERANCE
    broker.check()
    holder.send_signal(signal.SIGTERM)
    assert line_of(broker, job) == "ran\n"
    if limited(broker):
        assert child in inside(group_of(broker, claim)) and limit_of(group_of(broker, claim)) == 2 * GIB
    job.send_signal(signal.SIGTERM)
    job.communicate(timeout=20)
    broker.wait_idle()
    broker.check()


@pytest.mark.parametrize("part", [BROKER, AGENT])
def test_a_part_and_the_waiter_die_at_once(broker, part):
    holder = hold(broker)
    job, claim = waiter(broker)
    child = child_of(job)
    broker.kill(part)
    job.kill()
    job.wait(20)
    nothing_left(broker, holder, child)


def test_a_part_dies_at_the_grant(broker):
    """Whatever was under way at that moment: the command runs, under its limit, once."""
    for delay in (0, 0.002, 0.005, 0.01, 0.03):
        holder = hold(broker)
        job, claim = waiter(broker, command=("sh", "-c", "echo ran; exec sleep 100"))
        child = child_of(job)
        pid, started = broker.part(BROKER)
        holder.send_signal(signal.SIGTERM)
        time.sleep(delay)  # the moment that is tried, not an event that is awaited
        processes.kill(pid, started, signal.SIGKILL)
        assert line_of(broker, job) == "ran\n"
        if limited(broker):
            group = next(folder for folder in groups(broker) if child in inside(folder))
            assert limit_of(group) == 2 * GIB
        job.send_signal(signal.SIGTERM)
        out, err = job.communicate(timeout=20)
        assert (out, err) == ("", "")
        broker.wait_idle()
        broker.check()


def test_without_room_for_its_claim_it_is_attached_after_the_grant(make_broker):
    broker = make_broker(config="max_claims = 1\n")
    holder = hold(broker)
    job = begin(broker, "run", "-m", "2G", "--", "echo", "ran")
    s = broker.wait(lambda s: s["queue"])
    assert s["queue"][0]["claims"] == []
    holder.send_signal(signal.SIGTERM)
    out, err = job.communicate(timeout=20)
    assert (job.returncode, out, err) == (0, "ran\n", "")
    broker.wait_idle()


def test_many_wait_and_all_run(broker):
    holder = hold(broker)
    jobs = [waiter(broker, command=("echo", str(i)))[0] for i in range(6)]
    broker.check()
    holder.send_signal(signal.SIGTERM)
    for i, job in enumerate(jobs):
        out, err = job.communicate(timeout=30)
        assert (job.returncode, out, err) == (0, f"{i}\n", "")
    broker.wait_idle()
    broker.check()


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes an ordinary user")
def test_without_limits_it_waits_attached_too(make_broker):
    broker = make_broker(start=False, prefix=("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"))
    os.chmod(broker.folder, 0o777)
    broker.start()
    holder = hold(broker)
    job, claim = waiter(broker, command=("echo", "ran"))
    child = child_of(job)
    assert claim["pids"] == [child]
    assert broker.snapshot()["hosts"][0]["enforcement"] == "watch"
    broker.check()
    holder.send_signal(signal.SIGTERM)
    out, err = job.communicate(timeout=20)
    assert (job.returncode, out, err) == (0, "ran\n", "")
    broker.wait_idle()
    holder = hold(broker)
    job, claim = waiter(broker)
    child = child_of(job)
    job.kill()
    job.wait(20)
    nothing_left(broker, holder, child)


def test_claims_of_nothing_that_are_refused(broker):
    """Raw frames: a claim of 0 chunks is for a waiting request of one's own, with a process, once."""
    pb = granary_wire.pb()
    holder = hold(broker)
    idle = subprocess.Popen(["sleep", "100"], env=broker.env)
    fd = os.pidfd_open(idle.pid)
    with broker.wire() as wire, broker.wire() as other:
        other.hello()
        welcome = wire.hello()
        host = next(h.id for h in welcome.hosts if h.name == welcome.local_host)
        waits = wire.allocate(2 * GIB, 1)
        assert waits.status == WAITING

        def claim(by, chunks, pidfd):
            message = pb.Claim(allocation=waits.allocation.id, host=host, chunks=chunks, command="x")
            return by.request(pb.TYPE_CLAIM, message, fd=pidfd)

        assert claim(wire, 0, None).status == INVALID
        assert claim(wire, 1, fd).status == STATE
        assert claim(other, 0, fd).status == DENIED
        opened = claim(wire, 0, fd)
        assert opened.status == 0 and opened.claim
        assert claim(wire, 0, fd).status == STATE
        for chunks, status in ((1, STATE), (0, INVALID)):
            shrink = pb.Shrink(claim=opened.claim, chunks=chunks)
            assert wire.request(pb.TYPE_SHRINK, shrink).status == status
        broker.check()
        cancelled = wire.request(pb.TYPE_CANCEL, pb.Cancel(allocation=waits.allocation.id))
        assert cancelled.status == 0
        ended = wire.push(pb.TYPE_ENDED, pb.AllocationEnded)
        assert ended.allocation.id == waits.allocation.id
        assert wire.push(pb.TYPE_CLAIM_ENDED, pb.ClaimEnded).claim == opened.claim
        assert idle.wait(10) == -signal.SIGKILL
        wire.send(pb.TYPE_GOODBYE, pb.Goodbye())
    os.close(fd)
    nothing_left(broker, holder, idle.pid)

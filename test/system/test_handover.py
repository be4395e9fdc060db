"""An allocation changes hands: to another process of the same user, not to another user, and to a child for claiming."""
import os
import subprocess

import granary_wire
import processes
from broker import BIN

EXAMPLE = os.path.join(os.path.dirname(BIN), "examples", "example_handover")
STRANGER = 65534
MIB = 1 << 20


def example(broker, *words, **more):
    job = subprocess.Popen([EXAMPLE, *words], env={**broker.env, "HOME": "/"}, cwd="/", stdin=subprocess.PIPE,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)
    broker.started[job.pid] = processes.start_time(job.pid)
    return job


def say(job, text):
    job.stdin.write(f"{text}\n")
    job.stdin.flush()


def number(job, word):
    line = job.stdout.readline().split()
    assert line[:1] == [word], (line, job.poll(), job.stderr.read() if job.poll() is not None else "")
    return int(line[1])


def end(job, status=0):
    out, err = job.communicate(timeout=20)
    assert job.returncode == status, (job.returncode, out, err)
    return out, err


def test_the_new_owner_holds_it_after_the_old_one_is_gone(broker):
    taker = example(broker, "take")
    session = number(taker, "session")
    giver = example(broker, "give", str(session))
    allocation = number(giver, "allocation")
    end(giver)  # its connection ended, and with it every lease that it had
    say(taker, allocation)
    assert taker.stdout.readline() == f"holds {allocation} chunks 2\n"
    books = broker.snapshot()
    assert [(a["id"], a["pid"], a["chunks"]) for a in books["allocations"]] == [(allocation, taker.pid, 2)]
    broker.kill("granary-broker")  # also across a restart of the broker
    broker.wait(lambda s: [a["chunks"] for a in s["allocations"]] == [2], what="the lease after a restart")
    broker.check()
    end(taker)
    broker.wait_idle()


def test_a_receiver_that_asks_first_waits(broker):
    taker = example(broker, "take")
    session = number(taker, "session")
    giver = example(broker, "give")
    allocation = number(giver, "allocation")
    say(taker, allocation)
    broker.wait(lambda s: [(a["id"], a["pid"]) for a in s["allocations"]] == [(allocation, giver.pid)], what="the old owner")
    say(giver, session)
    end(giver)
    assert taker.stdout.readline() == f"holds {allocation} chunks 2\n"
    taker.kill()  # its death ends what it was given, as if it had always been its own
    taker.communicate(timeout=20)
    broker.wait_idle()


def test_another_user_is_refused(broker):
    taker = example(broker, "take", user=STRANGER, group=STRANGER, extra_groups=[])
    session = number(taker, "session")
    giver = example(broker, "give", str(session))
    allocation = number(giver, "allocation")
    _, err = end(giver, 1)
    assert err.startswith("handover: transfer: only the owner or the operator may do this"), err
    broker.wait_idle()
    taker.kill()
    taker.communicate(timeout=20)


def test_nobody_takes_what_was_not_given(broker):
    wire = broker.wire()
    wire.hello()
    own = wire.allocate(MIB, 1).allocation
    taker = example(broker, "take", str(own.id))
    number(taker, "session")
    _, err = end(taker, 1)
    assert err.startswith("handover: nothing was handed over: only the owner or the operator may do this"), err
    pb = granary_wire.pb()
    wire.send(pb.TYPE_GOODBYE, pb.Goodbye())
    broker.wait_idle()


def test_a_child_claims_in_its_parents_allocation(broker):
    job = example(broker, "parent", EXAMPLE, "child", "sh", "-c", "echo $$; read line; exit 3")
    task = int(job.stdout.readline())
    books = broker.wait(lambda s: any(c["pids"] == [task] for a in s["allocations"] for c in a["claims"]), what="the child's claim")
    (allocation,) = books["allocations"]
    assert allocation["pid"] == job.pid and allocation["chunks"] == 2
    assert [(c["chunks"], c["command"]) for c in allocation["claims"]] == [(1, "sh")]
    broker.kill("granary-broker")  # the child's claim is its own also when it attaches again
    broker.wait(lambda s: any(c["pids"] == [task] for a in s["allocations"] for c in a["claims"]), what="the claim after a restart")
    broker.check()
    out, _ = end(job, 3)
    assert out.startswith("claim 1 cause 0 peak "), out
    broker.wait_idle()


def test_a_child_of_run_finds_all_chunks_claimed(broker):
    done = broker.run("run", "-m", "16M", "--", EXAMPLE, "child", "true")
    assert done.returncode == 1
    assert "handover: claim: " in done.stderr and "claimed" in done.stderr, done.stderr
    broker.wait_idle()


def test_an_orphan_has_nothing_to_claim(broker):
    done = subprocess.run([EXAMPLE, "child", "true"], env={**broker.env, "GRANARY_ALLOCATION": "12x"}, capture_output=True, text=True, timeout=20)
    assert (done.returncode, done.stderr) == (1, "handover: no GRANARY_ALLOCATION: nobody lets this program claim\n")

"""A client that is stopped through a recall and its deadline, and goes on later."""
import os
import signal
import subprocess

import pytest

import granary_wire
import processes

MIB = 1 << 20
GROWABLE, RECALLABLE, SHRINKABLE, REVOCABLE = 1 << 5, 1 << 6, 1 << 4, 1 << 7


@pytest.fixture
def quick(make_broker):
    """Recalls are due soon, and a stopped client is not taken for gone."""
    return make_broker(memory="256M", config="notice = 500ms\nsample_ms = 100\n")


def test_the_recall_of_a_stopped_harvest_is_overdue_and_answered_later(quick):
    harvest = quick.begin("harvest", "-m", "64M", "-j", "4", "--", "sleep", "1", ":::", *"12345678")
    quick.wait(lambda s: s["allocations"] and len(s["allocations"][0]["claims"]) == 4, what="four tasks run")
    os.kill(harvest.pid, signal.SIGSTOP)
    firm = quick.begin("run", "-m", "128M", "--", "true")
    try:
        quick.wait(lambda s: s["recalls"] and s["recalls"][0]["deadline_ms"] == 0 and s["recalls"][0]["released"] == 0,
                   what="the recall is overdue, and still open")
        assert firm.poll() is None, "memory was given out that somebody holds"
        assert "overdue" in quick.run("log").stdout + quick.text(), "nobody is told"
        quick.check()
    finally:
        os.kill(harvest.pid, signal.SIGCONT)
    assert firm.wait(30) == 0
    assert harvest.wait(30) == 0, "a task was lost"
    quick.wait_idle()
    quick.check()


def test_who_may_be_revoked_is_after_the_notice(quick):
    pb, wire = granary_wire.pb(), quick.wire()
    wire.hello()
    pool = wire.allocate(64 * MIB, 4, 1, GROWABLE | RECALLABLE | SHRINKABLE | REVOCABLE).allocation
    host, tasks = pool.extents[0].host, []
    for _ in range(4):
        tasks.append(subprocess.Popen(["sleep", "1000"]))
        fd = os.pidfd_open(tasks[-1].pid)
        claim = wire.request(pb.TYPE_CLAIM, pb.Claim(allocation=pool.id, host=host, chunks=1, command="sleep"), fd=fd)
        os.close(fd)
        assert claim.status == 0, claim
    try:
        firm = quick.begin("run", "-m", "128M", "--", "true")
        assert firm.wait(30) == 0  # the wire above reads nothing, as if it were stopped
        dead = [task for task in tasks if task.poll() is not None]
        assert len(dead) == 2, "as many as were needed, no more"
        outcome = wire.push(pb.TYPE_RECALL, pb.Recall)
        told = [wire.push(pb.TYPE_CLAIM_ENDED, pb.ClaimEnded) for _ in dead]
        assert all(t.cause == 2 for t in told), "killed by Granary"
        record = wire.request(pb.TYPE_RECALL_OUTCOME, pb.RecallOutcome(recall=outcome.recall)).outcome
        assert (record.asked, record.revoked, record.released) == (2, 2, 0), record
        assert "by force" in quick.text() or "revoked" in quick.text() or "killed" in quick.text(), quick.text()
    finally:
        for task in tasks:
            task.kill()
            task.wait()
    wire.send(pb.TYPE_GOODBYE, pb.Goodbye())
    quick.wait_idle()
    quick.check()

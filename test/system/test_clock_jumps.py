"""The wall clock jumps, an hour back or ten years ahead: waits, notices and the grace time take as long as they should."""
import time

import pytest

import granary_wire
from broker import Broker
from faults import ASAN, Faults

pytestmark = pytest.mark.plain  # faults.so stands between the programs and malloc

MIB = 1 << 20
GROWABLE, RECALLABLE, SHRINKABLE = 1 << 5, 1 << 6, 1 << 4
HOUR, TEN_YEARS = 3600, 10 * 365 * 86400


@pytest.fixture
def jumping(tmp_path):
    """A broker, an agent and clients whose wall clock is the plan's."""
    faults = Faults(tmp_path)
    broker = Broker(memory="256M", env=faults.environment(), asan=ASAN, config="notice = 1s\ngrace = 1500ms\nsample_ms = 100\n")
    broker.start()
    broker.faults = faults
    yield broker
    broker.finish()


def allocate(wire, want, minimum=0, flags=0, wait_ms=0):
    reply = wire.allocate(64 * MIB, want, minimum, flags, wait_ms=wait_ms)
    assert reply.status in (0, 1), reply
    return reply


@pytest.mark.parametrize("seconds", [-HOUR, TEN_YEARS])
def test_times_are_kept(jumping, seconds):
    pb = granary_wire.pb()
    holder, waiter = jumping.wire(), jumping.wire()
    session = holder.hello()
    waiter.hello()
    pool = allocate(holder, 4, 1, GROWABLE | RECALLABLE | SHRINKABLE).allocation
    began = time.monotonic()
    allocate(waiter, 2, wait_ms=3000)
    recall = holder.push(pb.TYPE_RECALL, pb.Recall)
    assert 0 < recall.notice_ms <= 1000
    jumping.faults.jump(seconds)
    whole = jumping.wait(lambda s: s["recalls"] and s["recalls"][0]["deadline_ms"] == 0, what="the recall is overdue")
    assert 0.9 < time.monotonic() - began < 2.5, "the notice took as long as it should"
    assert whole["queue"], "the waiter waits on"
    ended = waiter.push(pb.TYPE_ENDED, pb.AllocationEnded, timeout=10)
    assert ended.status == -6 and 2.9 < time.monotonic() - began < 4.5, "the wait took as long as it should"

    began = time.monotonic()
    holder.close()
    with jumping.wire() as again:  # within the grace time
        assert again.hello(session=session.session, token=session.token).reattached
        jumping.faults.jump(-seconds)
    began = time.monotonic()
    jumping.wait(lambda s: not any(a["id"] == pool.id for a in s["allocations"]), what="the session is over")
    assert 1.4 < time.monotonic() - began < 3.0, "the grace time took as long as it should"
    waiter.send(pb.TYPE_GOODBYE, pb.Goodbye())
    jumping.wait_idle()
    jumping.check()
    assert jumping.faults.asked > 0, "nobody looked at the clock that jumped"


@pytest.mark.parametrize("seconds", [-HOUR, TEN_YEARS])
def test_commands_wait_as_long_as_they_say(jumping, seconds):
    holder = jumping.wire()
    holder.hello()
    allocate(holder, 4)
    began = time.monotonic()
    job = jumping.begin("run", "-m", "64M", "--timeout", "2", "--", "true")
    jumping.wait(lambda s: s["queue"], what="the command waits")
    jumping.faults.jump(seconds)
    assert job.wait(20) != 0
    assert 1.9 < time.monotonic() - began < 4
    holder.send(granary_wire.pb().TYPE_GOODBYE, granary_wire.pb().Goodbye())
    holder.until_closed()
    done = jumping.run("harvest", "-m", "64M", "-j", "2", "--timeout", "1", "--joblog", "joblog", "--", "sleep", "{}", ":::", "0", "100", "0.1")
    assert done.returncode != 0 and "sleep 100" in open(f"{jumping.folder}/joblog").read()
    jumping.faults.jump(0)
    jumping.wait_idle()
    jumping.check()

"""The judge of what a broker leaves behind must not be wrong itself: broker.Broker.leftovers()."""
import subprocess

import processes


def test_a_process_that_ended_is_no_leftover_and_one_that_lives_is(make_broker):
    broker = make_broker(start=False)
    child = subprocess.Popen(["sleep", "600"])  # not known by its environment
    try:
        broker.started[child.pid] = processes.start_time(child.pid)
        processes.wait_for(lambda: broker.leftovers() == [f"process {child.pid}: sleep 600"], what="it is told")
        child.kill()
        processes.wait_gone(child.pid, 10)
        assert broker.leftovers() == []  # a zombie
        broker.started[child.pid] = processes.start_time(child.pid)  # noted too late
        assert broker.started[child.pid] is None
        assert broker.leftovers() == []
    finally:
        child.kill()
        child.wait()
    assert broker.leftovers() == []
    known = subprocess.Popen(["sleep", "600"], env=broker.env)
    try:
        processes.wait_for(lambda: broker.leftovers() == [f"process {known.pid}: sleep 600"], what="it is told")
    finally:
        known.kill()
        known.wait()
    assert broker.leftovers() == []

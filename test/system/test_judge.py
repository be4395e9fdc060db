"""The judge of what a broker leaves behind must not be wrong itself: broker.Broker.leftovers()."""
import os
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


def test_a_search_for_leaks_that_was_killed_is_no_report_and_any_other_word_is(make_broker):
    broker = make_broker(start=False)
    report = os.path.join(broker.reports, "asan.1")
    with open(report, "w", encoding="ascii") as file:
        file.write("==812==Unable to get registers from thread 811.\n")
    assert broker.sanitizer_reports() == []
    with open(report, "a", encoding="ascii") as file:
        file.write("==812==ERROR: LeakSanitizer: detected memory leaks\n")
    assert "detected memory leaks" in broker.sanitizer_reports()[0]
    os.unlink(report)

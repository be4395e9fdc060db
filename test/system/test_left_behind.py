"""What tasks leave behind when they end: processes, whole storms of them, and files that are memory."""
import os
import signal
import subprocess
import uuid

import pytest

import processes

MIB = 1 << 20


def test_a_daemon_of_a_single_command_lives_in_the_books(broker):
    """`granary run` is as if the command had been typed alone: what it leaves lives on, and its memory stays leased."""
    done = broker.run("run", "-m", "64M", "--", "sh", "-c", "setsid sleep 1000 >/dev/null 2>&1 & echo $!")
    assert done.returncode == 0, done.stderr
    pid = int(done.stdout)
    assert "64M" in done.stderr, "the user is told what keeps the memory"
    broker.note()
    snapshot = broker.wait(lambda s: sum(len(a["claims"]) for a in s["allocations"]) == 1 and s["allocations"][0]["claims"][0]["pids"] == [pid],
                           what="the daemon is in the books")
    assert not_free(snapshot) == 64 * MIB
    processes.kill(pid, processes.start_time(pid), signal.SIGKILL)
    broker.wait_idle()
    broker.check()


def test_a_daemon_of_a_harvested_task_is_ended(broker):
    done = broker.run("harvest", "-m", "64M", "-j", "2", "--", "sh", "-c", "setsid sleep 1000 >/dev/null 2>&1 & echo $!", ":::", "1", "2", "3", "4")
    assert done.returncode == 0, done.stderr
    pids = [int(line) for line in done.stdout.split()]
    assert len(pids) == 4
    for pid in pids:
        assert processes.wait_gone(pid, 10), "the daemon lives on"
    broker.wait_idle()
    broker.check()


STORM = """
import os, sys, time
for i in range(150):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(1000)
        os._exit(0)
print("stormed", flush=True)
"""  # its processes hold the task's output open, too


def test_a_storm_of_processes_ends_with_its_task(broker):
    done = broker.run("harvest", "-m", "512M", "--", "/usr/bin/python3", "-c", STORM, ":::", "1", "2")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "stormed\nstormed\n"
    broker.wait_idle()
    assert processes.with_environment(broker.folder).keys() <= broker_pids(broker), "some escaped"
    broker.check()


def broker_pids(broker):
    broker.note()
    return set(broker.started)


def test_a_storm_beyond_its_limit_stays_inside(broker):
    """Processes multiply until the limit ends them; the machine and the books do not notice."""
    code = "import os\nx = bytearray(4 << 20)\nwhile True:\n    if os.fork() == 0: x = bytearray(4 << 20)\n    elif len(os.listdir('/proc')) > 4000: break"
    done = broker.run("harvest", "-m", "128M", "--", "/usr/bin/python3", "-c", code, ":::", "1", timeout=60)
    assert done.returncode != 0
    broker.wait_idle()
    assert processes.with_environment(broker.folder).keys() <= broker_pids(broker), "some escaped"
    broker.check()


@pytest.fixture
def shared_file():
    path = f"/dev/shm/granary-test-{uuid.uuid4().hex}"
    yield path
    if os.path.exists(path):
        os.unlink(path)


def not_free(snapshot):
    host = snapshot["hosts"][0]
    return host["granted"] + host["returning"] + host["quarantine"]


def test_files_in_shared_memory_are_not_sold(broker, shared_file):
    """The task is gone, its file is not: those bytes stay off the market until it is."""
    done = broker.run("run", "-m", "64M", "--", "dd", "if=/dev/zero", f"of={shared_file}", "bs=1M", "count=32")
    assert done.returncode == 0, done.stderr
    snapshot = broker.wait(lambda s: not_free(s) == 64 * MIB, what="the chunk is kept back")
    assert snapshot["hosts"][0]["free"] <= (3 << 30) - 64 * MIB
    never = broker.run("run", "--now", "-m", "3G", "--", "true")
    assert never.returncode == 75, "the whole pool cannot be granted now"
    os.unlink(shared_file)
    broker.wait(lambda s: not_free(s) == 0, timeout=60, what="the chunk is free again")
    broker.check()


def test_ctrl_c_leaves_nothing(broker):
    job = broker.begin("harvest", "-m", "64M", "-j", "4", "--", "sleep", "1000", ":::", *map(str, range(20)))
    broker.wait(lambda s: sum(len(a["claims"]) for a in s["allocations"]) == 4, what="four tasks run")
    for _ in range(200):  # two of them are needed, and two that arrive together count as one
        job.send_signal(signal.SIGINT)
        try:
            job.wait(0.1)
            break
        except subprocess.TimeoutExpired:
            pass
    assert job.poll() not in (None, 0)
    broker.wait_idle()
    assert processes.with_environment(broker.folder).keys() <= broker_pids(broker)
    broker.check()

"""The example programs do what their heads say, on a real broker, and leave nothing behind."""
import os
import subprocess

import pytest

import processes
from broker import BIN

MIB = 1 << 20


def begin(broker, name, *words):
    job = subprocess.Popen([os.path.join(os.path.dirname(BIN), "examples", f"example_{name}"), *words],
                           env={**broker.env, "HOME": "/"}, cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, text=True)
    broker.started[job.pid] = processes.start_time(job.pid)
    return job


@pytest.mark.parametrize("name", ["pool", "event_loop"])
def test_every_command_runs_once_in_a_slot(broker, name):
    job = begin(broker, name, *[f"echo task {n}" for n in range(20)])
    out, err = job.communicate(timeout=60)
    assert job.returncode == 0, err
    assert sorted(out.splitlines()) == sorted(f"task {n}" for n in range(20))
    broker.wait_idle()
    broker.check()


@pytest.mark.parametrize("name", ["pool", "event_loop"])
def test_a_failed_command_is_told(broker, name):
    job = begin(broker, name, "true", "exit 3", "true")
    job.communicate(timeout=60)
    assert job.returncode == 1
    broker.wait_idle()


@pytest.mark.parametrize("name", ["pool", "event_loop"])
def test_a_slot_is_a_limit(broker, name):
    job = begin(broker, name, "true",
                "x=$(head -c 200M /dev/zero | tr '\\0' x); echo survived")
    out, _ = job.communicate(timeout=60)
    if not broker.snapshot()["hosts"][0]["enforcement"].startswith("cgroup"):
        pytest.skip("no limits groups here")
    assert job.returncode == 1 and "survived" not in out
    broker.wait_idle()


def test_the_cache_shrinks_for_a_firm_request_and_lives(broker):
    job = begin(broker, "cache", "2560", "8")
    broker.wait(lambda s: s["allocations"] and s["allocations"][0]["chunks"] * s["allocations"][0]["chunk_size"] == 2560 * MIB)
    broker.run("run", "-m", "2G", "--", "true", check=True, timeout=30)
    out, err = job.communicate(timeout=60)
    assert job.returncode == 0, err
    assert "shrunk to " in out and "entries at the end" in out
    broker.wait_idle()
    broker.check()

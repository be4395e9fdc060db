"""The programs in examples/ do what they are there to show, with a real broker."""
import os
import re
import signal
import subprocess
import threading

import pytest

import processes
from broker import BIN

FOLDER = os.path.join(os.path.dirname(BIN), "examples")
MIB = 1 << 20


def example(broker, name, *words):
    path = os.path.join(FOLDER, f"example_{name}")
    job = subprocess.Popen([path, *words], env=broker.env, cwd=broker.folder, stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    started = processes.start_time(job.pid)
    if started is not None:  # it may have ended by now
        broker.started[job.pid] = started
    broker.jobs.append(job)
    return job


def end(job, status=0):
    out, err = job.communicate(timeout=30)
    assert job.returncode == status, (job.returncode, out, err)
    return out, err


def lines_until(job, wanted, timeout=20):
    """Reads its lines up to the wanted one; returns them all. A program that stays silent is ended."""
    seen, alarm = [], threading.Timer(timeout, job.kill)
    alarm.start()
    try:
        for line in iter(job.stdout.readline, ""):
            seen.append(line.rstrip("\n"))
            if seen[-1] == wanted:
                return seen
    finally:
        alarm.cancel()
    raise AssertionError(f"it never said {wanted!r}: {seen}, status {job.wait(20)}, {job.stderr.read()}")


def task_runner_ends_well(broker, name):
    """More tasks than its 8 slots; each says in which group it runs, which is one of this broker's."""
    group = "grep -o 'granary[.][^/]*/c[0-9]*' /proc/self/cgroup"
    tasks = [f"echo task {n} in $({group})" for n in range(20)]
    out, err = end(example(broker, name, *tasks))
    assert err == ""
    said = sorted(re.findall(rf"^task (\d+) in granary\.{broker.identity}/c\d+$", out, re.M), key=int)
    assert said == [str(n) for n in range(20)], out
    broker.wait_idle()
    broker.check()


def task_runner_tells_failures(broker, name):
    """One task of three fails: the others ran, and the exit status tells."""
    out, _ = end(example(broker, name, "echo one", "exit 3", "echo three"), 1)
    assert sorted(out.split()) == ["one", "three"]
    broker.wait_idle()
    broker.check()


def task_runner_overlaps(broker, name, folder):
    """Two tasks that wait for each other: they run at the same time, each in a slot of 64 MiB."""
    ways = [os.path.join(str(folder), way) for way in ("a", "b")]
    for way in ways:
        os.mkfifo(way)
    a, b = ways
    out, err = end(example(broker, name, f"echo ping > {a}; read x < {b}; echo $x", f"read x < {a}; echo pong > {b}; echo $x"))
    assert (sorted(out.split()), err) == (["ping", "pong"], "")
    broker.wait_idle()
    broker.check()


def test_pool_runs_every_task(broker):
    task_runner_ends_well(broker, "pool")


def test_pool_tells_failures(broker):
    task_runner_tells_failures(broker, "pool")


def test_pool_runs_tasks_side_by_side(broker, tmp_path):
    task_runner_overlaps(broker, "pool", tmp_path)


def test_event_loop_runs_every_task(broker):
    task_runner_ends_well(broker, "event_loop")


def test_event_loop_tells_failures(broker):
    task_runner_tells_failures(broker, "event_loop")


def test_event_loop_runs_tasks_side_by_side(broker, tmp_path):
    task_runner_overlaps(broker, "event_loop", tmp_path)


@pytest.mark.parametrize("name", ["pool", "event_loop"])
def test_a_slot_is_a_limit(broker, name):
    if not broker.snapshot()["hosts"][0]["enforcement"].startswith("cgroup"):
        pytest.skip("no limits groups here")
    out, _ = end(example(broker, name, "true", "x=$(head -c 200M /dev/zero | tr '\\0' x); echo survived"), 1)
    assert "survived" not in out
    broker.wait_idle()
    broker.check()


def leases(snapshot, label):
    return [a for a in snapshot["allocations"] if a["label"] == label]


def cache_uses(snapshot, chunks, at_least):
    """Whether the cache holds so many chunks, all in its one claim, and really uses their memory, not more."""
    for cache in leases(snapshot, "cache"):
        (claim,) = cache["claims"] or [None]
        return cache["chunks"] == chunks and claim and claim["chunks"] == chunks and at_least <= claim["used"] <= chunks * 16 * MIB
    return False


def test_a_cache_makes_room_and_grows_again(make_broker):
    """12 chunks of 16 MiB of a host of 256 MiB; then somebody needs 128 MiB for certain."""
    broker = make_broker(memory="256M")
    cache = example(broker, "cache", "192", "600")
    lines_until(cache, "may use 192 MiB")
    broker.wait(lambda s: cache_uses(s, 12, 184 * MIB), what="a full cache")

    firm = broker.begin("run", "-m", "128M", "--", "sh", "-c", "echo started; cat", stdin=subprocess.PIPE)
    said = lines_until(cache, "shrunk to 128 MiB: 120 entries")
    assert all(re.fullmatch(r"shrunk to \d+ MiB: \d+ entries", line) for line in said), said
    assert lines_until(firm, "started") == ["started"]
    books = broker.wait(lambda s: cache_uses(s, 8, 120 * MIB), what="a smaller cache")
    (claim,) = leases(books, "cache")[0]["claims"]
    assert claim["pids"] == [cache.pid]
    assert sum(a["chunks"] * a["chunk_size"] for a in books["allocations"]) == 256 * MIB, "nothing stays unused"
    assert books["queue"] == [] and [(r["asked"], r["released"]) for r in books["recalls"]] == [(4, 4)], books
    broker.check()

    out, err = firm.communicate("", timeout=20)
    assert (firm.returncode, out) == (0, ""), err
    lines_until(cache, "may use 192 MiB")
    broker.wait(lambda s: cache_uses(s, 12, 184 * MIB), what="a full cache again")
    broker.check()

    cache.send_signal(signal.SIGTERM)  # it has no handler: its death gives everything back
    assert end(cache, -signal.SIGTERM) == ("", "")
    broker.wait_idle()
    broker.check()


def test_a_cache_ends_by_itself(make_broker):
    broker = make_broker(memory="256M")
    out, err = end(example(broker, "cache", "64", "2"))
    said = out.splitlines()
    assert (said[-2:], err) == (["may use 64 MiB", "56 entries at the end"], "")
    broker.wait_idle()
    broker.check()

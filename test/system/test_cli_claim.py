"""`granary claim`: a program that runs already, in the books as long as it lives. Its own session is over at once."""
import os
import random
import subprocess
import time

import pytest

import processes
from broker import AGENT, BIN, BROKER, SUPERVISOR

MIB = 1 << 20
PYTHON = "/usr/bin/python3"
GRANARY = os.path.join(BIN, "granary")


@pytest.fixture
def program(broker):
    """A program that uses 40 MiB before anybody asks, and runs on; started through nobody."""
    started = []

    def start(*argv):
        argv = argv or (PYTHON, "-c", "import time; b = bytearray(40 << 20); print('ready', flush=True); time.sleep(600)")
        child = subprocess.Popen(argv, env=broker.env, stdout=subprocess.PIPE, text=True)
        started.append(child)
        if argv[0] == PYTHON:
            assert child.stdout.readline() == "ready\n"
        return child

    yield start
    for child in started:
        child.kill()
        child.wait()


def claim(broker, child, *options):
    return broker.run("claim", "--pid", str(child.pid), "-m", "100M", *options)


def held_by(s, child):
    """The allocation whose claim has the program, or None."""
    return next((a for a in s["allocations"] for c in a["claims"] if child.pid in c["pids"]), None)


def wait_held(broker, child, what="the program is in the books"):
    return held_by(broker.wait(lambda s: held_by(s, child), what=what), child)


def end(broker, child):
    child.kill()
    child.wait()
    broker.wait_idle()
    broker.check()


def test_the_books_show_it_as_long_as_it_lives(broker, program):
    child = program()
    done = claim(broker, child, "-n", "3", "--label", "taken")
    assert done.returncode == 0, done
    assert f"Process {child.pid} (python3) holds 3 x 100M: allocation 1, claim " in done.stdout
    a = wait_held(broker, child)
    assert (a["label"], a["state"], a["chunks"], a["want"], a["min"], a["pid"]) == ("taken", "live", 3, 3, 3, child.pid)
    (c,) = a["claims"]
    assert (c["state"], c["chunks"], c["command"], c["pids"]) == ("open", 3, "python3", [child.pid])
    assert 40 * MIB < c["used"] < 100 * MIB and c["peak"] >= c["used"]
    (host,) = broker.snapshot()["hosts"]
    assert (host["granted"], host["returning"]) == (300 * MIB, 0)
    for words in (["status"], ["allocations"]):
        (row,) = [line.split() for line in broker.run(*words, check=True).stdout.splitlines() if " taken " in line]
        assert row[:8] == ["1", "taken", "root", str(child.pid), "100M", "3", "3", "3"] and "(ending)" not in row
    broker.check()
    end(broker, child)
    assert broker.snapshot()["hosts"][0]["granted"] == 0


def test_its_children_count_and_keep_it(broker, program):
    shell = program("/bin/sh", "-c", "sleep 600 & echo $!; exec sleep 600")
    child = int(shell.stdout.readline())
    assert claim(broker, shell).returncode == 0
    s = broker.wait(lambda s: held_by(s, shell) and len(held_by(s, shell)["claims"][0]["pids"]) == 2)
    assert set(s["allocations"][0]["claims"][0]["pids"]) == {shell.pid, child}
    started = processes.start_time(child)
    shell.kill()
    shell.wait()
    s = broker.wait(lambda s: s["allocations"][0]["claims"][0]["pids"] == [child])
    assert s["allocations"][0]["chunks"] == 1
    broker.check()
    processes.kill(child, started, 9)
    broker.wait_idle()
    broker.check()


@pytest.mark.parametrize("part", [BROKER, AGENT, SUPERVISOR])
def test_it_stays_in_the_books_when_a_daemon_is_killed(broker, program, part):
    child = program()
    assert claim(broker, child).returncode == 0
    before = wait_held(broker, child)
    broker.kill(part)
    if part == SUPERVISOR:
        broker.restart()
    s = broker.wait(lambda s: held_by(s, child) and s["hosts"][0]["state"] == "up", what="the program after a restart")
    after = held_by(s, child)
    for name in ("id", "label", "chunks", "want", "pid", "state"):
        assert after[name] == before[name], name
    assert after["claims"][0]["id"] == before["claims"][0]["id"]
    broker.wait(lambda s: held_by(s, child)["claims"][0]["used"] > 40 * MIB, what="what it used before is still measured")
    assert s["hosts"][0]["granted"] == 100 * MIB
    broker.check()
    end(broker, child)


@pytest.fixture
def ordinary(make_broker):
    """A broker of an ordinary user, who can limit nothing here, and that user's program, which runs already."""
    plain = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    broker = make_broker(start=False, prefix=plain)
    os.chmod(broker.folder, 0o777)
    broker.start()
    assert broker.snapshot()["hosts"][0]["enforcement"] == "watch"
    clean = {name: value for name, value in broker.env.items() if name != "GRANARY_CLAIM"}
    child = subprocess.Popen([*plain, PYTHON, "-c", "import time; b = bytearray(40 << 20); print('ready', flush=True); time.sleep(600)"],
                             env=clean, stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "ready\n"
    subprocess.run([*plain, GRANARY, "claim", "--pid", str(child.pid), "-m", "100M"], env=broker.env, check=True,
                   timeout=60, capture_output=True)
    wait_held(broker, child)
    yield broker, child
    child.kill()
    child.wait()


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes an ordinary user")
@pytest.mark.parametrize("parts", [[AGENT], [BROKER], [AGENT, BROKER], [SUPERVISOR], [AGENT, AGENT]], ids="+".join)
def test_it_stays_where_only_names_tell_who_belongs(ordinary, parts):
    """It carries no name: the books know its number and its start."""
    broker, child = ordinary
    before = held_by(broker.snapshot(), child)
    for part in parts:
        broker.kill(part)
    if parts == [SUPERVISOR]:
        broker.restart()
    s = broker.wait(lambda s: held_by(s, child) and s["hosts"][0]["state"] == "up", what="the program after a restart")
    after = held_by(s, child)
    assert (after["id"], after["claims"][0]["id"], after["chunks"]) == (before["id"], before["claims"][0]["id"], 1)
    sequence = s["sequence"]
    s = broker.wait(lambda s: s["sequence"] > sequence + 2, what="more samples")
    assert held_by(s, child)["claims"][0]["used"] > 40 * MIB and s["hosts"][0]["granted"] == 100 * MIB
    broker.check()
    end(broker, child)
    assert broker.snapshot()["hosts"][0]["granted"] == 0


def test_it_ends_in_the_books_though_it_ended_while_nobody_looked(broker, program):
    child = program()
    assert claim(broker, child).returncode == 0
    wait_held(broker, child)
    broker.kill(SUPERVISOR)
    child.kill()
    child.wait()
    broker.restart()
    broker.wait_idle()
    broker.check()


def test_a_claim_that_dies_at_any_moment_leaves_all_or_nothing(broker, program):
    """The seed moves the moment through connecting, asking, claiming and saying goodbye."""
    draw = random.Random(int(os.environ.get("GRANARY_SEED", "0")))
    for _ in range(12):
        child = program("sleep", "600")
        job = broker.begin("claim", "--pid", str(child.pid), "-m", "100M")
        time.sleep(draw.random() * 0.05)  # a moment, not a wait
        job.kill()
        job.wait()
        s = broker.wait(lambda s: not s["allocations"] or held_by(s, child), what="all or nothing")
        if held_by(s, child):
            assert held_by(s, child)["chunks"] == 1 and s["hosts"][0]["granted"] == 100 * MIB
            broker.check()
        child.kill()
        child.wait()
        broker.wait_idle()
    broker.check()


def test_its_release_waits_for_its_end(broker, program):
    child = program()
    assert claim(broker, child).returncode == 0
    a = wait_held(broker, child)
    done = broker.run("release", str(a["id"]), check=True)
    assert f"Allocation {a['id']} is asked for 1 chunk " in done.stdout
    s = broker.snapshot()
    (recall,) = s["recalls"]
    assert (recall["allocation"], recall["asked"], recall["released"]) == (a["id"], 1, 0)
    assert held_by(s, child)["chunks"] == 1 and child.poll() is None
    broker.check()
    end(broker, child)


def test_a_draining_host_is_empty_when_it_ends(broker, program):
    child = program()
    assert claim(broker, child).returncode == 0
    wait_held(broker, child)
    host = broker.snapshot()["hosts"][0]["name"]
    broker.run("drain", host, check=True)
    s = broker.snapshot()
    assert s["hosts"][0]["state"] == "draining" and held_by(s, child)["chunks"] == 1
    broker.check()
    end(broker, child)
    assert "the host is empty" in broker.run("log", check=True).stdout
    broker.run("undrain", host, check=True)


def test_who_asks_for_memory_waits_for_its_end(broker, program):
    child = program()
    assert claim(broker, child, "-n", "25").returncode == 0
    a = wait_held(broker, child)
    assert a["chunks"] == 25
    waiter = broker.begin("run", "-m", "1G", "--", "true")
    broker.wait(lambda s: s["queue"])
    child.kill()
    assert waiter.wait(20) == 0
    broker.wait_idle()


def test_a_program_is_claimed_once(broker, program):
    child = program()
    assert claim(broker, child, "--label", "first").returncode == 0
    a = wait_held(broker, child)
    done = claim(broker, child)
    expected = f"process {child.pid}: it is in claim {a['claims'][0]['id']} of allocation {a['id']} (first) already"
    assert done.returncode == 1 and expected in done.stderr, done
    s = broker.wait(lambda s: len(s["allocations"]) == 1)
    assert held_by(s, child)["id"] == a["id"] and s["hosts"][0]["granted"] == 100 * MIB
    broker.check()
    end(broker, child)


def test_a_task_of_a_lease_is_not_claimed_once_more(broker):
    job = broker.begin("harvest", "-m", "100M", "-j", "1", "--", "sh", "-c", "sleep 600; exit {}", ":::", "0")
    s = broker.wait(lambda s: s["allocations"] and s["allocations"][0]["claims"]
                    and len(s["allocations"][0]["claims"][0]["pids"]) == 2)
    a = s["allocations"][0]
    for pid in a["claims"][0]["pids"]:
        done = broker.run("claim", "--pid", str(pid), "-m", "100M")
        assert done.returncode == 1 and f"of allocation {a['id']} (sh) already" in done.stderr, done
    # The harvest itself is in no claim; its task stays where it is.
    assert broker.run("claim", "--pid", str(job.pid), "-m", "100M", "--label", "parent").returncode == 0
    s = broker.wait(lambda s: len(s["allocations"]) == 2 and all(a["claims"] and a["claims"][0]["pids"] for a in s["allocations"]))
    found = {a["label"]: a["claims"][0]["pids"] for a in s["allocations"]}
    assert found["parent"] == [job.pid] and found["sh"] == a["claims"][0]["pids"]
    broker.check()
    job.terminate()
    job.wait(20)
    broker.wait_idle()
    broker.check()


def test_a_lease_inside_a_lease_takes_its_children_along(broker):
    """The gated child of the inner one is born in the outer one's group, and must be let into its own."""
    done = broker.run("run", "-m", "200M", "--", GRANARY, "harvest", "-m", "100M", "-j", "2", "--", "echo", "{}", ":::", "a", "b",
                      check=True)
    assert sorted(done.stdout.split()) == ["a", "b"]
    broker.wait_idle()


def test_refusals(broker, program):
    child = program("sleep", "600")
    assert claim(broker, child, "-n", "300").returncode == 122
    done = broker.run("claim", "--pid", "1", "-m", "100M")
    assert done.returncode == 77 and "process 1 may not be claimed" in done.stderr, done
    broker.wait_idle()
    child.kill()
    child.wait()
    done = claim(broker, child)
    assert done.returncode == 1 and "no such process" in done.stderr
    broker.check()


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes an ordinary user")
def test_where_nothing_is_limited_it_is_the_same(make_broker):
    plain = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    broker = make_broker(start=False, prefix=plain)
    os.chmod(broker.folder, 0o777)
    broker.start()
    assert broker.snapshot()["hosts"][0]["enforcement"] == "watch"

    def run(*words):
        return subprocess.run([*plain, *words], env=broker.env, capture_output=True, text=True, timeout=60)

    child = subprocess.Popen([*plain, PYTHON, "-c", "import time; b = bytearray(40 << 20); print('ready', flush=True); time.sleep(600)"],
                             env=broker.env, stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout.readline() == "ready\n"
        done = run(GRANARY, "claim", "--pid", str(child.pid), "-m", "100M")
        assert done.returncode == 0, done
        a = wait_held(broker, child)
        assert (a["state"], a["chunks"], a["pid"], a["claims"][0]["pids"]) == ("live", 1, child.pid, [child.pid])
        assert 40 * MIB < a["claims"][0]["used"] < 100 * MIB
        done = run(GRANARY, "claim", "--pid", str(child.pid), "-m", "100M")
        assert done.returncode == 1 and f"of allocation {a['id']} (python3) already" in done.stderr, done
        broker.check()
        broker.kill(BROKER)
        assert wait_held(broker, child)["chunks"] == 1
        broker.check()
    finally:
        child.kill()
        child.wait()
    broker.wait_idle()
    broker.check()

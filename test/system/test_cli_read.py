"""The commands that look at the books or operate them, on a real broker."""
import json
import os
import signal
import subprocess

import pytest

import processes
from broker import BIN

GRANARY = os.path.join(BIN, "granary")
HOST = ["name", "state", "enforcement", "cores", "total", "set_aside", "foreign", "granted", "returning", "held", "quarantine",
        "free", "overdraft", "used"]
ALLOCATION = ["id", "label", "user", "pid", "chunk_size", "min", "want", "chunks", "hosts", "claims"]
CLAIM = ["pids", "host", "chunks", "used", "peak", "command"]
WAITER = ["id", "label", "user", "chunk_size", "min", "want", "waiting_ms", "reason"]


def hold(broker, size, *options):
    job = broker.begin("run", "-m", size, *options, "--", "sleep", "60")
    broker.wait(lambda s: any(a["pid"] == job.pid and a["claims"] and a["claims"][0]["pids"] for a in s["allocations"]))
    return job


def group_of(pid):
    """The folder of the process's memory group, in whichever version limits it."""
    with open(f"/proc/{pid}/cgroup") as f:
        rows = [line.rstrip("\n").split(":", 2) for line in f]
    path = next(path for _, controllers, path in rows if "/granary." in path and (controllers in ("", "memory")))
    v1 = any(controllers == "memory" and p == path for _, controllers, p in rows)
    return ("/sys/fs/cgroup/memory" if v1 else "/sys/fs/cgroup") + path


def test_the_members_that_scripts_rely_on(broker):
    hold(broker, "2G", "--label", "first")
    broker.begin("run", "-m", "2G", "--label", "second", "--", "true")
    s = broker.wait(lambda s: s["queue"])
    assert isinstance(s["sequence"], int)
    (host,) = s["hosts"]
    assert all(name in host for name in HOST)
    assert all(isinstance(host[name], int) for name in HOST[3:])
    assert host["total"] == 3 << 30 and host["set_aside"] == 0 and host["granted"] == 2 << 30
    assert sum(host[c] for c in ["set_aside", "foreign", "granted", "returning", "held", "quarantine", "free"]) \
        - host["overdraft"] == host["total"]
    (allocation,) = s["allocations"]
    assert all(name in allocation for name in ALLOCATION)
    assert (allocation["label"], allocation["chunk_size"], allocation["chunks"]) == ("first", 2 << 30, 1)
    assert allocation["hosts"] == [{"host": host["name"], "chunks": 1, "returning": 0, "claimed": 1}]
    (claim,) = allocation["claims"]
    assert all(name in claim for name in CLAIM)
    assert claim["command"] == "sleep 60" and claim["chunks"] == 1
    (waiter,) = s["queue"]
    assert all(name in waiter for name in WAITER)
    assert (waiter["label"], waiter["want"], waiter["chunk_size"]) == ("second", 1, 2 << 30)
    assert s["recalls"] == []
    for command, member in [("hosts", "hosts"), ("allocations", "allocations"), ("queue", "queue")]:
        part = broker.json(command)
        assert member in part and len(part[member]) == 1
    assert len(broker.json("status")["allocations"]) == 1


def test_one_screen_tells_where_the_memory_is_and_why_a_job_waits(broker):
    hold(broker, "2G", "--label", "first")
    broker.begin("run", "-m", "2G", "--label", "second", "--", "true")
    s = broker.wait(lambda s: s["queue"])
    text = broker.run("status", check=True).stdout
    assert "first" in text and "second" in text
    assert s["queue"][0]["reason"] in text
    assert "2.0G  of 3.0G" in text
    assert s["hosts"][0]["enforcement"] in text
    assert len(text.splitlines()) <= 24
    text = broker.run("hosts", check=True).stdout
    assert s["hosts"][0]["name"] in text and "3.0G" in text
    text = broker.run("allocations", "--claims", check=True).stdout
    assert "first" in text and "sleep 60" in text


def test_hostile_names_never_reach_the_terminal(broker):
    evil = "evil\x1b[2J\x07\n\u202e"
    done = broker.run("run", "-m", "50M", "--label", evil, "--", "true")
    assert done.returncode == 2 and "label" in done.stderr and "\x1b" not in done.stderr
    job = broker.begin("run", "-m", "50M", "--", "sh", "-c", "exec sleep 60", evil)
    broker.wait(lambda s: any(a["pid"] == job.pid and a["claims"] and a["claims"][0]["pids"] for a in s["allocations"]))
    for words in [["status"], ["allocations", "--claims"], ["log"], ["snapshot"]]:
        text = broker.run(*words, check=True).stdout
        for raw in ["\x1b", "\x07", "\u202e"]:
            assert raw not in text
    assert "sleep 60 evil" in broker.run("allocations", "--claims", check=True).stdout


def test_plan_tells_without_doing(broker):
    host = broker.snapshot()["hosts"][0]["name"]
    done = broker.run("plan", "-m", "1G", "-n", "2")
    assert done.returncode == 0 and done.stdout == f"Would be granted now: 2 x 1.0G on {host}\n"
    assert broker.snapshot()["allocations"] == []
    hold(broker, "2G")
    done = broker.run("plan", "-m", "2G")
    assert done.returncode == 75 and "would wait" in done.stdout
    assert "at place 1: the most that is free on one host is 1.0G" in done.stdout
    assert "Nobody would be asked to give back" in done.stdout
    plan = json.loads(broker.run("plan", "-m", "2G", "--json").stdout)
    assert (plan["now"], plan["want"], plan["place"], plan["asks"]) == (False, 1, 1, [])
    done = broker.run("plan", "-m", "8G")
    assert done.returncode == 122
    assert broker.snapshot()["queue"] == []


def test_log_tells_decisions(broker):
    broker.run("run", "-m", "50M", "--label", "logged", "--", "true", check=True)
    broker.wait_idle()
    text = broker.run("log", "-n", "100", check=True).stdout
    assert "granted" in text.lower()
    lines = [json.loads(line) for line in broker.run("log", "--json", check=True).stdout.splitlines()]
    assert lines and all(line["wall_ms"] > 0 and line["level"] and line["text"] for line in lines)


def test_log_follows(broker):
    follower = broker.begin("log", "-n", "0", "--follow")
    broker.run("run", "-m", "50M", "--", "true", check=True)
    assert follower.stdout.readline()
    follower.send_signal(signal.SIGTERM)
    assert follower.wait(10) == -signal.SIGTERM


def test_drain_and_undrain(broker):
    host = broker.snapshot()["hosts"][0]["name"]
    broker.run("drain", host, check=True)
    broker.wait(lambda s: s["hosts"][0]["state"] == "draining")
    assert broker.run("run", "-m", "50M", "--now", "--", "true").returncode != 0
    broker.run("undrain", host, check=True)
    broker.wait(lambda s: s["hosts"][0]["state"] == "up")
    broker.run("run", "-m", "50M", "--now", "--", "true", check=True)
    done = broker.run("drain", "no-such-host")
    assert done.returncode == 1 and "no-such-host" in done.stderr


def test_release_of_what_is_not_there(broker):
    done = broker.run("release", "4711")
    assert done.returncode == 1 and "4711" in done.stderr


def test_release_asks_a_holder_and_takes_a_waiter_out(broker):
    hold(broker, "2G", "--label", "first")
    first = broker.snapshot()["allocations"][0]["id"]
    done = broker.run("release", str(first), check=True)
    (recall,) = broker.snapshot()["recalls"]
    assert (recall["allocation"], recall["reason"], recall["asked"]) == (first, "operator", 1)
    assert f"Allocation {first} is asked for 1 chunk (recall {recall['id']})" in done.stdout
    broker.check()
    waiter = broker.begin("run", "-m", "2G", "--", "true")
    second = broker.wait(lambda s: s["queue"])["queue"][0]["id"]
    done = broker.run("release", str(second), check=True)
    assert "taken back" in done.stdout
    assert waiter.wait(20) == 1
    broker.check()


def test_check_agrees_on_an_idle_and_on_a_busy_broker(broker):
    assert broker.run("check", check=True).stdout == "Books and reality agree.\n"
    hold(broker, "1G")
    assert broker.json("check") == {"agree": True, "differences": []}


def test_check_tells_an_unknown_group(broker):
    hold(broker, "1G")
    s = broker.snapshot()
    if not s["hosts"][0]["enforcement"].startswith("cgroup"):
        pytest.skip("no limits groups here")
    pid = s["allocations"][0]["claims"][0]["pids"][0]
    stray = os.path.join(os.path.dirname(group_of(pid)), "c999999")
    os.mkdir(stray)
    try:
        done = broker.run("check")
        assert done.returncode == 1
        assert "c999999: no claim in the books" in done.stdout and len(done.stdout.splitlines()) == 1
    finally:
        os.rmdir(stray)
    broker.check()


def test_check_tells_a_group_with_a_strange_name_and_leaves_it_alone(broker):
    hold(broker, "1G")
    s = broker.snapshot()
    if not s["hosts"][0]["enforcement"].startswith("cgroup"):
        pytest.skip("no limits groups here")
    folder = os.path.dirname(group_of(s["allocations"][0]["claims"][0]["pids"][0]))
    stray = os.path.join(folder, "somebody's")
    os.mkdir(stray)
    try:
        done = broker.run("check")
        expected = f"group {os.path.basename(folder)}/somebody's: not made by Granary, which never touches it"
        assert done.returncode == 1 and expected in done.stdout and len(done.stdout.splitlines()) == 1, done
        assert os.path.isdir(stray)
    finally:
        os.rmdir(stray)
    broker.check()


def test_no_broker(tmp_path):
    for words in [["status"], ["run", "-m", "1M", "--", "true"], ["check"], ["claim", "--pid", "1", "-m", "1M"]]:
        done = subprocess.run([GRANARY, "--socket", str(tmp_path / "none"), *words], capture_output=True, text=True, timeout=30)
        assert done.returncode == 69 and "granary up" in done.stderr


def test_up_detached_says_when_it_is_ready_or_why_not(make_broker, tmp_path):
    other = make_broker(start=False)  # for its folder and its judgement
    words = ["up", "--memory", "1G", "--set-aside", "0", "--state", other.state, "--socket", other.socket, "--detach"]
    done = other.run(*words)
    assert done.returncode == 0, done.stderr
    ready, stop, end = done.stdout.split("\n")
    assert ready.startswith("granary: ready, pid ") and ready.endswith(f", socket {other.socket}") and end == ""
    pid = int(ready.split("pid ")[1].split(",")[0])
    assert stop == f"It goes on in the background; kill {pid} stops it. Its log: {other.state}/granaryd.log"
    try:
        assert other.run("status").stdout.startswith(f"Broker: pid {pid}, state {other.state}\n")  # the one to be ended
        assert other.snapshot()["hosts"][0]["total"] == 1 << 30
        again = other.run(*words)
        assert again.returncode == 3
        assert "did not start (exit status 3)" in again.stderr and str(pid) in again.stderr
        assert os.path.getsize(os.path.join(other.state, "granaryd.log")) > 0
    finally:
        os.kill(pid, signal.SIGTERM)
        assert processes.wait_gone(pid, 20)


def test_a_nested_command_uses_the_same_broker(broker):
    env = {k: v for k, v in broker.env.items() if k != "GRANARY_SOCKET"}
    done = subprocess.run([GRANARY, "--socket", broker.socket, "run", "-m", "50M", "--", GRANARY, "snapshot"], env=env,
                          capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(done.stdout)["allocations"][0]["label"] == "granary"
    done = subprocess.run([GRANARY, "--socket", broker.socket, "harvest", "-q", "-m", "50M", "--shell", "--",
                           GRANARY, "snapshot", "#", ":::", "1"], env=env, capture_output=True, text=True, timeout=60,
                          check=True)
    assert json.loads(done.stdout)["allocations"][0]["claims"][0]["chunks"] == 1




@pytest.mark.parametrize("words", [["log"], ["status"], ["help"], ["run", "--help"], ["version"]])
def test_output_that_cannot_be_written_is_told(broker, words):
    """The broker's socket once took the place of a standard output that was closed, and was sent the log."""
    for where in (">&-", ">/dev/full"):
        done = subprocess.run(["sh", "-c", f'exec "$@" {where}', "sh", GRANARY, *words], env=broker.env, text=True,
                              capture_output=True, timeout=60)
        why = "Bad file descriptor" if where == ">&-" else "No space left on device"
        assert done.returncode == 125 and done.stderr.endswith(f": cannot write the output: {why}\n"), (where, done)
    broker.check()


def test_a_command_gets_the_streams_that_it_would_have_got(broker):
    done = subprocess.run(["sh", "-c", 'exec "$@" >&- <&-', "sh", GRANARY, "run", "-m", "64M", "--", "sh", "-c",
                           "[ -e /proc/$$/fd/0 ] || [ -e /proc/$$/fd/1 ] || echo closed >&2"], env=broker.env, text=True, capture_output=True, timeout=60)
    assert done.returncode == 0 and done.stderr == "closed\n", done
    broker.check()


def test_priority_and_unknown_allocations_are_explained(broker):
    user = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    for words in (["run", "-m", "64M", "-p", "1", "--", "true"], ["plan", "-m", "64M", "-p", "1"]):
        done = subprocess.run([*user, GRANARY, *words], env=broker.env, text=True, capture_output=True, timeout=60)
        assert done.returncode == 77 and "a --priority above 0 is for the operator" in done.stderr, done
    done = broker.run("release", "4711")
    assert done.returncode == 1
    assert "there is no allocation 4711: it may have ended; 'granary allocations' lists them" in done.stderr


def test_completion_knows_the_commands():
    script = os.path.join(os.path.dirname(__file__), "../../contrib/granary.bash")
    ask = 'source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _granary; echo "${COMPREPLY[*]}"'
    env = {**os.environ, "PATH": os.path.dirname(GRANARY) + ":" + os.environ["PATH"]}
    for words, expected in ((["granary", "ha"], "harvest"), (["granary", "help", "qu"], "queue"),
                            (["granary", "harvest", "--tag"], "--tag"), (["granary", "run", "--", "granary-ag"], "granary-agent")):
        done = subprocess.run(["bash", "-c", ask, script, *words], env=env, text=True, capture_output=True, timeout=60)
        assert done.stdout == expected + "\n" and done.stderr == "", (words, done)

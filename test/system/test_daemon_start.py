"""granaryd on a real machine: locks, settings, whom the broker runs as, how it ends."""
import os
import re
import shutil
import signal
import socket
import subprocess
import time

import pytest

import processes
from broker import AGENT, BIN, BROKER, SUPERVISOR

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
ALONE = ("unshare", "--net", "--kill-child")  # a machine lock of its own: abstract sockets belong to a network namespace


def uid_of(pid):
    with open(f"/proc/{pid}/status") as f:
        return {line.split(":")[0]: line.split()[1:] for line in f if line[:3] in ("Uid", "Gid", "Gro", "NoN")}


def test_two_brokers_on_one_machine(make_broker):
    first = make_broker()
    second = make_broker(start=False, memory=None)
    status, said = second.refused()
    assert status == 3
    assert "another broker of this machine runs already: pid " in said and "--memory SIZE" in said


@root_only
def test_the_machine_lock_names_the_first(make_broker, tmp_path):
    first = make_broker(start=False)
    second = make_broker(start=False, memory=None)
    script = tmp_path / "both"
    script.write_text(
        f"""mkfifo {tmp_path}/ready; exec 8<>{tmp_path}/ready
{BIN}/granaryd --memory 1G --set-aside 0 --state {first.state} --socket {first.socket} --ready-fd 8 & first=$!
head -c 1 <&8 >/dev/null
{BIN}/granaryd --state {second.state} --socket {second.socket}; echo "status $? first $first"
kill $first; wait $first; echo "end $?"
""")
    done = subprocess.run([*ALONE, "sh", str(script)], env=first.env, capture_output=True, text=True, timeout=30)
    pid = re.search(r"first (\d+)", done.stdout).group(1)
    assert f"status 3 first {pid}" in done.stdout and "end 0" in done.stdout
    assert f"another broker of this machine runs already: pid {pid}, socket {first.socket}: use that one" in done.stderr


@pytest.mark.parametrize("fd", [0, 1, 2])
def test_ready_fd_is_no_standard_stream(make_broker, fd):
    broker = make_broker(start=False)
    done = subprocess.run([f"{BIN}/granaryd", *broker.arguments, "--ready-fd", str(fd)], env=broker.env,
                          capture_output=True, text=True, timeout=20)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"--ready-fd: {fd} is a standard stream: give the descriptor of a pipe, 3 or above" in done.stderr


def test_a_start_without_standard_streams(make_broker):
    """What is opened first would stand in their place, and be written to, or closed, as if it were one of them."""
    broker = make_broker(start=False, prefix=("sh", "-c", "exec \"$@\" <&- >&- 2>&-", "closed"))
    broker.start()
    assert broker.run("run", "-m", "64M", "--", "true").returncode == 0
    broker.check()
    assert broker.stop() == 0


def test_more_memory_than_there_is(make_broker, tmp_path):
    broker = make_broker(memory="100T")
    total = broker.snapshot()["hosts"][0]["total"]
    assert total < 100 << 40
    assert re.search(r"warning .*100T of memory were given to lease, and this machine .* has [0-9.]+G: the smaller figure "
                     r"counts", broker.text())
    other = make_broker(start=False)
    other.socket = str(tmp_path / "socket")
    done = other.run("up", "--detach", "--memory", "100T", "--set-aside", "0", "--state", str(tmp_path / "state"),
                     "--socket", other.socket)
    pid = re.search(r"ready, pid (\d+)", done.stdout)
    assert pid, done
    processes.kill(int(pid[1]), processes.start_time(int(pid[1])), signal.SIGTERM)
    assert re.search(r"--memory 100T is more than the [0-9.]+G that this machine has: the smaller figure counts", done.stderr)
    assert processes.wait_gone(int(pid[1]), 20)


@pytest.mark.parametrize("aside, memory, said", [
    ("1G", "1G", "keeps all of the memory (1.0G, given by --memory)"),
    ("90T", "100T", "all that this machine has): nothing would be left to lease; give less"),
])
def test_all_of_it_set_aside(make_broker, aside, memory, said):
    status, log = make_broker(start=False, memory=memory, set_aside=aside).refused()
    assert status == 2 and said in log, log


def test_one_state_directory(make_broker):
    first = make_broker()
    status, said = make_broker(start=False, state=first.state).refused()
    assert status == 3
    assert f"another broker (pid {first.process.pid}) uses the state directory {first.state}" in said


def test_one_socket(make_broker):
    first, second = make_broker(), make_broker(start=False)
    second.arguments[second.arguments.index("--socket") + 1] = first.socket
    status, said = second.refused()
    assert status == 3
    assert f"is there already at {first.socket}: use it, or give another --socket PATH" in said
    first.check()


def test_a_stale_socket_is_replaced(make_broker):
    broker = make_broker(start=False)
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(broker.socket)
    stale.close()
    broker.start().check()


@pytest.mark.parametrize("text, said", [
    ("memry = 1G\n", ":1: the key \"memry\" is not known"),
    ("[host a]\ntotal = -1\n", ":2: total: "),
    ("ask = 50s\n", "ask must be shorter than notice"),
    ("user = no-such-user-here\n", "there is no such user; make it"),
])
def test_a_wrong_configuration(make_broker, text, said):
    status, words = make_broker(start=False, config=text).refused()
    assert status == 2 and said in words


def test_check_config_reads_what_it_prints(tmp_path):
    example = os.path.join(os.path.dirname(__file__), "..", "..", "docs", "granary.conf.example")
    first = subprocess.run([f"{BIN}/granaryd", "--config", example, "--check-config"], capture_output=True, text=True, timeout=10)
    assert first.returncode == 0, first.stderr
    (tmp_path / "printed").write_text(first.stdout)
    again = subprocess.run([f"{BIN}/granaryd", "--config", tmp_path / "printed", "--check-config"], capture_output=True, text=True,
                           timeout=10)
    assert again.stdout == first.stdout and "idle_exit = 1m\n" in first.stdout


def test_the_example_shows_the_defaults(tmp_path):
    """What the example gives as commented defaults is what a broker without a configuration has."""
    example = os.path.join(os.path.dirname(__file__), "..", "..", "docs", "granary.conf.example")
    with open(example) as f:
        text = f.read().split("# ---- hosts ----")[0]
    shown = dict(re.findall(r"^#?(\w+) = (.*)$", text, re.M))
    for machine in ("user", "state", "socket", "memory", "set_aside"):
        shown.pop(machine)  # depends on the machine
    (tmp_path / "empty").write_text("")
    printed = subprocess.run([f"{BIN}/granaryd", "--config", tmp_path / "empty", "--check-config"], capture_output=True, text=True,
                             timeout=10).stdout
    default = dict(re.findall(r"^(\w+) = (.*)$", printed, re.M))
    default.pop("state"), default.pop("socket")
    assert shown == default


def test_reload(make_broker):
    broker = make_broker(config="log_level = info\n")
    name = broker.snapshot()["hosts"][0]["name"]
    path = broker.arguments[broker.arguments.index("--config") + 1]

    def reload(text, until):
        with open(path, "w") as f:
            f.write(text)
        broker.process.send_signal(signal.SIGHUP)
        processes.wait_for(lambda: until in broker.text(), 10, until)

    reload(f"grace = 7s\n[host {name}]\nlabels = gpu\ncores = 3\n", "the configuration was read again")
    host = broker.snapshot()["hosts"][0]
    assert host["labels"] == "gpu" and host["cores"] == 3 and host["total"] == 3 << 30
    assert "are taken at the next start" in broker.text()
    reload("[host\n", "the configuration stays as it was")
    assert broker.snapshot()["hosts"][0]["labels"] == "gpu"
    reload("", "")
    broker.wait(lambda s: s["hosts"][0]["labels"] == "", what="no labels")


@root_only
def test_the_broker_drops_what_it_may_do(make_broker):
    broker = make_broker(config="user = nobody\n")
    pid, _ = broker.part(BROKER)
    who = uid_of(pid)
    assert who["Uid"] == ["65534"] * 4 and who["Gid"][:1] != ["0"] and who["Groups"] == [] and who["NoNewPrivs"] == ["1"]
    assert uid_of(broker.part(AGENT)[0])["Uid"] == ["0"] * 4
    assert os.stat(broker.state).st_uid == 65534
    assert "keeps root" not in broker.text()
    assert broker.run("run", "-m", "50M", "--", "echo", "served").stdout == "served\n"
    broker.kill(BROKER)
    broker.wait(lambda s: s["hosts"][0]["state"] == "up", what="served again")
    broker.check()


@root_only
def test_an_ordinary_user_is_a_client_not_the_operator(broker):
    name = broker.snapshot()["hosts"][0]["name"]
    as_nobody = {"user": 65534, "group": 65534, "extra_groups": []}
    assert broker.run("status", **as_nobody).returncode == 0
    done = broker.run("drain", name, **as_nobody)
    assert done.returncode != 0 and "only the owner or the operator" in done.stderr
    assert broker.snapshot()["hosts"][0]["state"] == "up"


def test_a_user_instance_goes_away_when_idle(make_broker):
    broker = make_broker(config="idle_exit = 1s\n", options=["--user-instance"])
    assert os.stat(broker.socket).st_mode & 0o777 == 0o600
    job = broker.begin("run", "-m", "10M", "--", "sleep", "2")
    assert job.wait(10) == 0
    assert broker.process.poll() is None, "it ended while it was used, or did not wait for a second"
    assert broker.process.wait(10) == 0
    assert not os.path.exists(broker.socket)


@pytest.mark.parametrize("spoil, words", [
    (lambda path: open(path, "r+b").write(b"this is no database at all......"), "journal.db"),
    (lambda path: os.truncate(path, 5000), "journal.db"),
])
def test_a_spoilt_journal_is_refused(make_broker, spoil, words):
    broker = make_broker()
    broker.run("run", "-m", "10M", "--", "true", check=True)
    assert broker.stop() == 0
    spoil(os.path.join(broker.state, "journal.db"))
    status, said = broker.refused()
    assert status == 4 and words in said
    shutil.rmtree(broker.state)


def test_a_state_directory_that_is_a_file(make_broker):
    broker = make_broker(start=False)
    open(broker.state, "w").close()
    status, said = broker.refused()
    assert status == 4 and f"the state directory {broker.state} cannot be" in said


def held(broker):
    """A job under a lease of 100 MiB that ends when its gate is opened, and what was leased: (job, gate, snapshot)."""
    gate = os.path.join(broker.folder, "gate")
    os.mkfifo(gate)
    job = broker.begin("run", "-m", "100M", "--label", "kept", "--", "cat", gate)
    return job, gate, broker.wait(lambda s: s["allocations"] and [c["state"] for c in s["allocations"][0]["claims"]] == ["open"]
                                  and s["allocations"][0]["claims"][0]["pids"], what="a claim")


def open_gate(gate, job):
    with open(gate, "w") as f:
        f.write("done\n")
    assert job.communicate(timeout=30)[0] == "done\n" and job.returncode == 0


@pytest.mark.parametrize("part", [BROKER, AGENT, SUPERVISOR])
def test_each_part_may_die_under_a_lease(broker, part):
    job, gate, before = held(broker)
    broker.kill(part)
    if part == SUPERVISOR:
        broker.restart()
    after = broker.wait(lambda s: s["hosts"][0]["state"] == "up", what="a host that is up")
    assert [a["id"] for a in after["allocations"]] == [a["id"] for a in before["allocations"]]
    assert [a["claims"][0]["id"] for a in after["allocations"]] == [a["claims"][0]["id"] for a in before["allocations"]]
    assert after["hosts"][0]["granted"] == 100 << 20
    open_gate(gate, job)
    broker.wait_idle()
    broker.check()


def test_an_orderly_end_keeps_the_leases(broker):
    job, gate, _ = held(broker)
    assert broker.stop() == 0
    assert not os.path.exists(broker.socket)
    broker.start()
    assert broker.snapshot()["hosts"][0]["granted"] == 100 << 20
    open_gate(gate, job)
    broker.wait_idle()


def test_a_child_that_cannot_live_is_not_started_for_ever(make_broker, tmp_path):
    for name in (SUPERVISOR, AGENT):
        shutil.copy(os.path.join(BIN, name), tmp_path / name)
    (tmp_path / BROKER).write_text("#!/bin/sh\nexit 1\n")
    os.chmod(tmp_path / BROKER, 0o755)
    done = subprocess.run([tmp_path / SUPERVISOR, "--memory", "1G", "--state", tmp_path / "state", "--socket", tmp_path / "socket"],
                          capture_output=True, text=True, timeout=30)
    assert done.returncode == 1 and "it dies whenever it is started: granaryd gives up" in done.stderr

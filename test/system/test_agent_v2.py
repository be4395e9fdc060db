"""What only cgroup v2 asks of the agent: a leaf of its own, delegation, limits as files. Runs in test/system/vm."""
import os
import signal
import subprocess
import sys
import time

import pytest

sys.path.insert(0, os.path.dirname(__file__))
from agent_link import CAUSE_KILLED, CAUSE_OOM, MIB, Agent, Gated, agent_program, groups, remove_books  # noqa: E402
from processes import wait_for  # noqa: E402

ROOT = "/sys/fs/cgroup"
NOBODY = 65534
PYTHON = "/usr/bin/python3"


def unified():
    try:
        with open(f"{ROOT}/cgroup.controllers") as f:
            return "memory" in f.read().split()
    except OSError:
        return False


pytestmark = pytest.mark.skipif(os.getuid() != 0 or not unified(), reason="needs cgroup v2 with the memory controller")


def write(path, text):
    with open(path, "w") as f:
        f.write(text)


def read(path):
    with open(path) as f:
        return f.read().strip()


@pytest.fixture
def service():
    """A group as a service manager makes one, with the memory controller handed to it."""
    write(f"{ROOT}/cgroup.subtree_control", "+memory")
    path = f"{ROOT}/service-{time.monotonic_ns()}"
    os.mkdir(path)
    yield path
    until = time.monotonic() + 5
    for folder, _, _ in os.walk(path, topdown=False):
        while True:
            try:
                os.rmdir(folder)
                break
            except OSError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.02)


@pytest.fixture
def books(service):
    name = f"test-{os.getpid()}-{time.monotonic_ns() % 1000000}"
    yield name
    remove_books(name)


def started_in(group, tmp_path, *more):
    """A program that joins a group and then becomes the agent; with `more` processes beside it in that group."""
    script = tmp_path / "agent"
    beside = "".join(f"{command} &\n" for command in more)
    script.write_text(f"#!/bin/bash\necho $$ >{group}/cgroup.procs\n{beside}exec {agent_program()} \"$@\"\n")
    script.chmod(0o755)
    return str(script)


def test_limits_are_set_and_read_back(service, books, tmp_path):
    agent = Agent(books, program=started_in(service, tmp_path)).begin()
    assert agent.hello.enforcement == "cgroup v2"
    assert agent.open(1, 48 * MIB).status == 0
    group = f"{service}/granary.{books}/c1"
    assert read(f"{group}/memory.max") == str(48 * MIB)
    assert read(f"{group}/memory.oom.group") == "1"
    if os.path.exists(f"{group}/memory.swap.max"):
        assert read(f"{group}/memory.swap.max") == "0"
    assert agent.limit(1, 32 * MIB).status == 0
    assert read(f"{group}/memory.max") == str(32 * MIB)
    agent.finish_claim(1)
    assert agent.stop() == 0


def test_the_agent_moves_itself_into_a_leaf(service, books, tmp_path):
    agent = Agent(books, program=started_in(service, tmp_path)).begin()
    assert read(f"/proc/{agent.process.pid}/cgroup") == f"0::{service[len(ROOT):]}/granary-agent"
    assert read(f"{service}/cgroup.procs") == ""
    # the next one is born in the leaf, as the child of a supervisor that was moved there
    again = Agent(books, program=started_in(f"{service}/granary-agent", tmp_path))
    assert again.hello.enforcement == "cgroup v2"
    assert read(f"/proc/{again.process.pid}/cgroup") == f"0::{service[len(ROOT):]}/granary-agent"
    assert again.stop() == 0
    assert agent.stop() == 0


def test_strangers_in_its_group_are_not_moved(service, books, tmp_path):
    agent = Agent(books, program=started_in(service, tmp_path, "sleep 300"))
    assert agent.hello.enforcement == "watch"
    assert "other processes" in agent.hello.enforcement_reason
    inside = [int(p) for p in read(f"{service}/cgroup.procs").split()]
    assert agent.process.pid in inside and len(inside) == 2
    assert not os.path.exists(f"{service}/granary-agent")
    for pid in inside:
        if pid != agent.process.pid:
            os.kill(pid, signal.SIGKILL)
    assert agent.stop() == 0


def test_a_delegated_subtree_serves_an_ordinary_user(service, books, tmp_path):
    for name in ("", "/cgroup.procs", "/cgroup.subtree_control", "/cgroup.threads"):
        os.chown(f"{service}{name}", NOBODY, NOBODY)
    code = f"import os,sys; os.setgid({NOBODY}); os.setuid({NOBODY}); os.execv(sys.argv[1], sys.argv[1:])"
    script = tmp_path / "as-nobody"
    script.write_text(f"#!/bin/bash\necho $$ >{service}/cgroup.procs\nexec {PYTHON} -c '{code}' {agent_program()} \"$@\"\n")
    script.chmod(0o755)
    agent = Agent(books, program=str(script)).begin()
    assert (agent.hello.enforcement, agent.hello.limited) == ("cgroup v2", True)
    assert agent.open(1, 32 * MIB, uid=NOBODY).status == 0
    # a process may be moved only inside the delegated subtree: the task starts there, as the client's does
    write(f"{service}/granary-agent/cgroup.procs", str(os.getpid()))
    try:
        task = Gated([PYTHON, "-c", "bytearray(64<<20)"], uid=NOBODY)
        assert agent.enter(1, task.pidfd, fresh=True).status == 0
        task.go()
        assert task.wait() == -9
        assert agent.empty(1).cause == CAUSE_OOM
        task.close()
    finally:
        write(f"{ROOT}/cgroup.procs", str(os.getpid()))
    agent.finish_claim(1)
    assert agent.stop() == 0


def test_a_subtree_that_is_not_delegated_gives_watch_mode(service, books, tmp_path):
    script = tmp_path / "as-nobody"
    code = f"import os,sys; os.setgid({NOBODY}); os.setuid({NOBODY}); os.execv(sys.argv[1], sys.argv[1:])"
    script.write_text(f"#!/bin/bash\necho $$ >{service}/cgroup.procs\nexec {PYTHON} -c '{code}' {agent_program()} \"$@\"\n")
    script.chmod(0o755)
    agent = Agent(books, program=str(script))
    assert agent.hello.enforcement == "watch"
    assert "not delegated" in agent.hello.enforcement_reason
    assert agent.stop() == 0


def test_the_limit_of_the_own_group_is_the_total(service, books, tmp_path):
    write(f"{service}/memory.max", str(200 * MIB))
    agent = Agent(books, program=started_in(service, tmp_path))
    assert agent.hello.total == 200 * MIB
    assert agent.hello.physical > 200 * MIB
    assert agent.stop() == 0


def test_groups_inside_a_claim_are_killed_too(service, books, tmp_path):
    agent = Agent(books, program=started_in(service, tmp_path)).begin()
    agent.open(1)
    group = f"{service}/granary.{books}/c1"
    task = Gated(["/bin/bash", "-c", f"mkdir {group}/inner && echo $$ >{group}/inner/cgroup.procs && exec sleep 300"])
    assert agent.enter(1, task.pidfd, fresh=True).status == 0
    task.go()
    until = time.monotonic() + 10
    while not (os.path.exists(f"{group}/inner") and read(f"{group}/inner/cgroup.procs")) and time.monotonic() < until:
        time.sleep(0.02)
    agent.end(1)
    assert agent.no_drained(1, 0.5)  # the inner group is not empty
    agent.end(1, kill=True)
    assert agent.drained(1).cause == CAUSE_KILLED
    assert task.wait() == -9
    task.close()
    agent.close_claim(1)
    agent.sample()
    assert agent.stop() == 0


def test_shared_memory_of_the_dead_is_not_free(service, books, tmp_path):
    agent = Agent(books, program=started_in(service, tmp_path)).begin()
    agent.open(1)
    name = f"/dev/shm/granary-v2-{os.getpid()}"
    task = Gated([PYTHON, "-c", f"open('{name}','wb').write(bytes(20<<20))"])
    try:
        agent.enter(1, task.pidfd, fresh=True)
        task.go()
        assert task.wait(60) == 0
        agent.end(1)
        assert agent.no_drained(1, 1.5)
    finally:
        os.unlink(name)
    agent.drained(1)
    agent.close_claim(1)
    task.close()
    agent.sample()
    assert agent.stop() == 0


@pytest.mark.parametrize("whole", [False, True], ids=["group", "folder_of_the_books"])
def test_a_group_that_vanished_is_made_again(service, books, tmp_path, whole):
    """Somebody removes an empty group of a living claim: it is there again, with its limit, which holds."""
    agent = Agent(books, program=started_in(service, tmp_path)).begin()
    assert agent.open(1, 48 * MIB).status == 0
    assert agent.limit(1, 32 * MIB).status == 0
    folder = f"{service}/granary.{books}"
    os.rmdir(f"{folder}/c1")
    if whole:
        os.rmdir(folder)
    agent.notice("claim 1: its group had vanished; it was made again")
    assert read(f"{folder}/cgroup.subtree_control") == "memory"
    assert read(f"{folder}/c1/memory.max") == str(32 * MIB)
    assert read(f"{folder}/c1/memory.oom.group") == "1"
    task = Gated([PYTHON, "-c", "bytearray(64<<20)"])
    assert agent.enter(1, task.pidfd, fresh=True).status == 0
    assert read(f"{folder}/c1/cgroup.procs") == str(task.pid)
    task.go()
    assert task.wait() == -9
    answer = agent.empty(1)
    assert (answer.cause, answer.peak) == (CAUSE_OOM, 32 * MIB)
    task.close()
    agent.finish_claim(1)
    wait_for(lambda: not os.path.exists(f"{folder}/c1"), 10, "its group is removed, a little later")
    assert agent.stop() == 0


def test_a_group_that_vanishes_while_its_claim_ends_has_drained(service, books, tmp_path):
    agent = Agent(books, program=started_in(service, tmp_path)).begin()
    assert agent.open(1, 48 * MIB).status == 0
    os.rmdir(f"{service}/granary.{books}/c1")
    agent.end(1)
    assert agent.drained(1).used == 0
    agent.close_claim(1)
    agent.sample(lambda s: not s.claims)
    assert not os.path.exists(f"{service}/granary.{books}/c1")
    assert agent.stop() == 0

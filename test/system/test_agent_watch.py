"""The agent where it can limit nothing: as an ordinary user, membership by process tree and environment."""
import os
import subprocess
import sys
import time

import pytest

sys.path.insert(0, os.path.dirname(__file__))
from agent_link import CAUSE_EXIT, CAUSE_KILLED, MIB, Agent, Gated, groups  # noqa: E402
from granary_wire import pb  # noqa: E402
from processes import start_time  # noqa: E402

PYTHON = "/usr/bin/python3"
NOBODY = 65534
DENIED = -7

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="becomes another user")


@pytest.fixture
def books():
    return f"watch-{os.getpid()}-{time.monotonic_ns() % 1000000}"


@pytest.fixture
def agent(books):
    agent = Agent(books, uid=NOBODY).begin()
    yield agent
    if agent.process.poll() is None:
        assert agent.stop() == 0
    assert groups(books) == {}


@pytest.fixture
def gated(books):
    made = []

    def make(gen, *argv, **more):
        named = ["/usr/bin/env", f"GRANARY_CLAIM={books}.{gen}", *argv]  # only the task carries it, not its gate
        made.append(Gated(named, uid=more.pop("uid", NOBODY), **more))
        return made[-1]

    yield make
    for g in made:
        g.close()


def claim(agent, gen, task, size=64 * MIB):
    assert agent.open(gen, size, uid=NOBODY).status == 0
    answer = agent.enter(gen, task.pidfd, fresh=True)
    assert answer.status == 0
    task.go()


def test_an_ordinary_user_gets_watch_mode_with_its_reason(agent):
    assert agent.hello.enforcement == "watch"
    assert not agent.hello.limited
    assert "version 1" in agent.hello.enforcement_reason and "version 2" in agent.hello.enforcement_reason


def test_watch_may_be_forced(books):
    agent = Agent(books, ["--watch"])
    assert (agent.hello.enforcement, agent.hello.limited) == ("watch", False)
    assert "--watch" in agent.hello.enforcement_reason
    assert agent.stop() == 0


def test_use_is_measured_and_told(agent, gated):
    task = gated(1, PYTHON, "-c", "import time; b=bytearray(40<<20); time.sleep(1)")
    claim(agent, 1, task)
    use = agent.use_of(1, lambda u: u.used > 40 * MIB)
    assert use.used < 70 * MIB and list(use.pids) == [task.pid]
    assert task.wait() == 0
    end = agent.empty(1)
    assert end.cause == CAUSE_EXIT and 40 * MIB < end.peak < 70 * MIB
    agent.end(1)
    agent.drained(1)
    agent.close_claim(1)


def test_use_above_the_claim_is_not_counted_as_the_claims(agent, gated):
    task = gated(1, PYTHON, "-c", "import time; b=bytearray(60<<20); time.sleep(30)")
    claim(agent, 1, task, 16 * MIB)
    sample = agent.sample(lambda s: any(u.used > 60 * MIB for u in s.claims))
    assert sample.claims_used == 16 * MIB
    assert agent.finish_claim(1).cause == CAUSE_KILLED
    assert task.wait() == -9


def test_daemons_are_found_by_their_environment_and_killed(agent, gated, tmp_path):
    task = gated(1, "/bin/sh", "-c", "(setsid sleep 300 &) ; (setsid setsid sleep 300 &) ; exit 0")
    claim(agent, 1, task)
    assert task.wait() == 0
    use = agent.use_of(1, lambda u: u.processes == 2)
    daemons = list(use.pids)
    assert agent.empty(1).status == 0
    for pid in daemons:
        assert not os.path.exists(f"/proc/{pid}") or "Z" in open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1][:3]
    agent.finish_claim(1)


def test_a_child_that_hides_its_environment_belongs_while_its_parent_lives(agent, gated):
    task = gated(1, "/bin/sh", "-c", "env -i /bin/sleep 300 & wait")
    claim(agent, 1, task)
    agent.use_of(1, lambda u: u.processes == 2)
    assert agent.finish_claim(1).cause == CAUSE_KILLED
    assert task.wait() == -9


def test_end_waits_for_the_last_of_the_tree(agent, gated):
    task = gated(1, "/bin/sh", "-c", "(sleep 0.8 &) ; sleep 0.2")
    claim(agent, 1, task)
    before = time.monotonic()
    agent.end(1)
    agent.drained(1)
    assert 0.5 < time.monotonic() - before < 5
    agent.close_claim(1)


def test_another_users_process_is_refused(agent, gated):
    agent.open(1, uid=NOBODY)
    other = gated(1, "/bin/sleep", "30", uid=0)
    assert agent.enter(1, other.pidfd).status < 0
    agent.finish_claim(1)
    assert other.process.poll() is None


def test_a_stranger_with_the_same_parent_is_left_alone(agent, gated):
    task, stranger = gated(1, "/bin/sleep", "30"), gated(2, "/bin/sleep", "30")
    claim(agent, 1, task)
    stranger.go()
    agent.finish_claim(1)
    assert task.wait() == -9
    assert stranger.process.poll() is None


def test_tasks_outlive_the_agent_and_are_found_again(books, gated):
    first = Agent(books, uid=NOBODY).begin()
    task = gated(7, "/bin/sleep", "30")
    claim(first, 7, task)
    until = time.monotonic() + 10
    while b"GRANARY_CLAIM" not in open(f"/proc/{task.pid}/environ", "rb").read() and time.monotonic() < until:
        time.sleep(0.01)
    first.kill()
    second = Agent(books, uid=NOBODY)
    assert list(second.hello.groups) == [7]
    second.begin(7, [second.claim(7, uid=NOBODY)])
    assert list(second.use_of(7, lambda u: u.processes == 1).pids) == [task.pid]
    assert second.finish_claim(7).cause == CAUSE_KILLED
    assert task.wait() == -9
    assert second.stop() == 0


@pytest.fixture
def nameless():
    """A program of an ordinary user that runs already."""
    child = subprocess.Popen(["/bin/sleep", "60"], user=NOBODY)
    yield child
    child.kill()
    child.wait()


def taken_in(books, gen, child):
    """An agent that took it in and was killed, and what it told of it."""
    first = Agent(books, uid=NOBODY).begin()
    pidfd = os.pidfd_open(child.pid)
    answer = first.open(gen, uid=NOBODY, fd=pidfd, running=True)
    os.close(pidfd)
    assert (answer.status, answer.root_pid, answer.root_start) == (0, child.pid, start_time(child.pid))
    first.kill()
    return answer


@pytest.mark.parametrize("ending", [False, True])
def test_a_program_without_a_name_is_taken_up_again(books, nameless, ending):
    told = taken_in(books, 7, nameless)
    second = Agent(books, uid=NOBODY)
    second.begin(7, [second.claim(7, uid=NOBODY, ending=ending, root_pid=told.root_pid, root_start=told.root_start)])
    assert list(second.use_of(7, lambda u: u.processes == 1).pids) == [nameless.pid]
    if not ending:
        second.end(7)
    assert second.no_drained(7, 0.5)
    nameless.kill()
    nameless.wait()
    second.drained(7)
    second.close_claim(7)
    assert second.stop() == 0


def test_another_process_of_the_same_number_is_left_alone(books, nameless):
    told = taken_in(books, 7, nameless)
    second = Agent(books, uid=NOBODY)
    second.begin(7, [second.claim(7, uid=NOBODY, kill=True, ending=True, root_pid=told.root_pid,
                                  root_start=told.root_start + 1)])
    second.drained(7)
    second.close_claim(7)
    assert second.stop() == 0
    assert nameless.poll() is None



@pytest.mark.parametrize("environment", [{}, {"HOME": "/"}], ids=["in the middle of it", "before it"])
def test_who_runs_exec_while_the_agent_starts_is_not_missed(books, environment):
    """It shows no environment, as in the middle of an exec; or that of the program before, without a name."""
    code = ("import os, time; print('on', flush=True); time.sleep(0.12); "
            f"os.execve('/bin/sleep', ['sleep', '60'], {{'GRANARY_CLAIM': '{books}.7'}})")
    second = Agent(books, uid=NOBODY)
    child = subprocess.Popen([PYTHON, "-S", "-c", code], user=NOBODY, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout.readline() == "on\n"
        second.begin(7, [second.claim(7, uid=NOBODY, ending=True)])
        assert list(second.use_of(7, lambda u: u.processes == 1).pids) == [child.pid]
        assert second.no_drained(7, 0.3)
    finally:
        child.kill()
        child.wait()
    second.drained(7)
    second.close_claim(7)
    assert second.stop() == 0

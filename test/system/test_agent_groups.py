"""The agent on real limits groups of this machine, as root: cgroup v1 or v2, whichever it chose."""
import errno
import os
import subprocess
import sys
import time

import pytest

sys.path.insert(0, os.path.dirname(__file__))
from agent_link import CAUSE_EXIT, CAUSE_KILLED, CAUSE_OOM, MIB, Agent, Gated, groups, remove_books  # noqa: E402
from granary_wire import pb  # noqa: E402
from processes import children, wait_for  # noqa: E402

DENIED, STALE, ENDED, DEAD, STATE, NOT_FOUND = -7, -10, -18, -20, -9, -8
PYTHON = "/usr/bin/python3"
ALLOCATE = "import sys,time; b=bytearray(int(sys.argv[1])<<20); time.sleep(float(sys.argv[2]))"

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="limits groups need root here")


@pytest.fixture
def books():
    name = f"test-{os.getpid()}-{time.monotonic_ns() % 1000000}"
    yield name
    remove_books(name)


@pytest.fixture
def agent(books):
    agent = Agent(books).begin()
    yield agent
    if agent.process.poll() is None:
        assert agent.stop() == 0


@pytest.fixture
def gated():
    made = []

    def make(*argv, **more):
        made.append(Gated(argv, **more))
        return made[-1]

    yield make
    for g in made:
        g.close()


def processes_of(books, gen):
    for path, names in groups(books).items():
        if f"c{gen}" in names:
            try:
                with open(f"{path}/c{gen}/cgroup.procs") as f:
                    return [int(p) for p in f.read().split()]
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.ENODEV):
                    raise
                return None  # removed after the look, or between opening and reading
    return None


def test_hello_tells_the_host(agent):
    with open("/proc/meminfo") as f:
        total = int(f.readline().split()[1]) * 1024
    with open("/proc/sys/kernel/random/boot_id") as f:
        assert agent.hello.boot_id == f.read().strip()
    assert agent.hello.host == "here"
    assert agent.hello.physical == total
    assert 0 < agent.hello.total <= total
    assert agent.hello.cores == os.cpu_count()
    assert agent.hello.enforcement in ("cgroup v1", "cgroup v2")
    assert agent.hello.limited
    assert agent.hello.enforcement_reason


def test_a_task_from_open_to_close(agent, books, gated):
    assert agent.open(1).status == 0
    task = gated("/bin/true")
    assert agent.enter(1, task.pidfd, fresh=True).status == 0
    assert processes_of(books, 1) == [task.pid]
    task.go()
    assert task.wait() == 0
    end = agent.empty(1)
    assert (end.status, end.cause) == (0, CAUSE_EXIT)
    assert 0 < end.peak < 16 * MIB
    agent.end(1)
    assert agent.drained(1).cause == CAUSE_EXIT
    assert groups(books) != {} and processes_of(books, 1) == []
    agent.close_claim(1)
    wait_for(lambda: processes_of(books, 1) is None, 10, "its group is removed, a little later")


def test_the_peak_of_a_task_is_told_and_page_cache_is_not_counted(agent, gated, tmp_path):
    agent.open(1, 128 * MIB)
    (tmp_path / "file").write_bytes(os.urandom(1 << 20) * 48)
    reader = "open(%r,'rb').read(1)\nf=open(%r,'rb')\nwhile f.read(1<<16): pass" % ((str(tmp_path / "file"),) * 2)
    task = gated(PYTHON, "-c", ALLOCATE + "\n" + reader, "40", "0.3")
    agent.enter(1, task.pidfd, fresh=True)
    task.go()
    assert task.wait() == 0
    end = agent.empty(1)
    assert end.cause == CAUSE_EXIT
    assert 40 * MIB <= end.peak <= 60 * MIB
    agent.finish_claim(1)


def test_the_peak_of_a_short_task_is_told_too(agent, gated):
    agent.open(1, 128 * MIB)
    task = gated(PYTHON, "-c", "b=bytearray(30<<20)")
    agent.enter(1, task.pidfd, fresh=True)
    task.go()
    task.wait()
    assert 30 * MIB <= agent.empty(1).peak <= 60 * MIB
    agent.finish_claim(1)


def test_an_out_of_memory_death_is_told_from_an_exit(agent, gated):
    agent.open(1, 32 * MIB)
    task = gated(PYTHON, "-c", ALLOCATE, "64", "0")
    agent.enter(1, task.pidfd, fresh=True)
    task.go()
    assert task.wait() == -9
    again = gated("/bin/true")
    told = agent.enter(1, again.pidfd, fresh=True)
    assert (told.status, told.cause, told.peak) == (0, CAUSE_OOM, 32 * MIB)
    again.go()
    assert again.wait() == 0
    end = agent.empty(1)
    assert end.cause == CAUSE_EXIT and end.peak < 32 * MIB
    failing = gated("/bin/sh", "-c", "kill -9 $$")
    agent.enter(1, failing.pidfd, fresh=True)
    failing.go()
    assert failing.wait() == -9
    assert agent.empty(1).cause == CAUSE_EXIT
    agent.finish_claim(1)


def test_out_of_memory_takes_the_whole_group(agent, books, gated):
    agent.open(1, 32 * MIB)
    task = gated("/bin/sh", "-c", f"sleep 60 & sleep 60 & {PYTHON} -c 'bytearray(64<<20)'; sleep 60")
    agent.enter(1, task.pidfd, fresh=True)
    task.go()
    assert task.wait() == -9
    wait_for(lambda: processes_of(books, 1) == [], 5, "the group is empty")
    assert agent.empty(1).cause == CAUSE_OOM
    agent.finish_claim(1)


def test_a_daemon_left_behind_is_killed_before_the_next_task(agent, books, gated):
    agent.open(1)
    task = gated("/bin/sh", "-c", "(setsid sleep 300 >/dev/null 2>&1 &) ; (setsid setsid sleep 300 &) ; exit 3")
    agent.enter(1, task.pidfd, fresh=True)
    task.go()
    assert task.wait() == 3
    wait_for(lambda: len(processes_of(books, 1)) == 2, 10, "the two daemons are left")
    following = gated("/bin/true")
    told = agent.enter(1, following.pidfd, fresh=True)
    assert (told.status, told.cause) == (0, CAUSE_EXIT)
    assert processes_of(books, 1) == [following.pid]
    following.go()
    following.wait()
    agent.finish_claim(1)


def test_a_repeated_entry_does_not_end_its_own_process(agent, books, gated):
    agent.open(1)
    task = gated("/bin/sleep", "60")
    agent.enter(1, task.pidfd, fresh=True)
    task.go()
    assert agent.enter(1, task.pidfd, fresh=True).status == 0
    assert task.process.poll() is None
    assert processes_of(books, 1) == [task.pid]
    assert agent.finish_claim(1).cause == CAUSE_KILLED
    assert task.wait() == -9


def test_end_without_kill_waits_for_the_task(agent, gated):
    agent.open(1)
    task = gated("/bin/sh", "-c", "(sleep 0.6 &) ; sleep 0.3")
    agent.enter(1, task.pidfd, fresh=True)
    task.go()
    agent.end(1)
    refused = gated("/bin/true")
    assert agent.enter(1, refused.pidfd).status == ENDED
    before = time.monotonic()
    assert agent.drained(1).cause == CAUSE_EXIT
    assert time.monotonic() - before > 0.3
    agent.close_claim(1)


def test_a_fork_storm_is_ended(agent, books, gated):
    agent.open(1, 64 * MIB)
    task = gated("/bin/sh", "-c", "f(){ sleep 30 & while :; do (sleep 30 & sleep 30) & done; }; f & f & f & wait")
    agent.enter(1, task.pidfd, fresh=True)
    task.go()
    wait_for(lambda: len(processes_of(books, 1)) >= 8, 30, "the storm blows")
    agent.end(1, kill=True)
    assert agent.drained(1, 30).cause in (CAUSE_KILLED, CAUSE_OOM)
    assert processes_of(books, 1) == []
    agent.close_claim(1)


def test_shared_memory_left_behind_withholds_drained(agent, gated):
    name = f"/dev/shm/granary-test-{os.getpid()}"
    agent.open(1, 64 * MIB)
    try:
        task = gated(PYTHON, "-c", f"open('{name}','wb').write(bytes(20<<20))")
        agent.enter(1, task.pidfd, fresh=True)
        task.go()
        assert task.wait() == 0
        agent.end(1)
        assert agent.no_drained(1, 1.5)
        use = agent.use_of(1)
        assert use.processes == 0
        assert 20 * MIB <= use.used <= 22 * MIB
    finally:
        os.unlink(name)
    use = agent.drained(1)
    assert use.cause == CAUSE_EXIT and use.peak >= 20 * MIB
    agent.close_claim(1)


def on_tmpfs(path):
    """Whether files at `path` are memory, not page cache."""
    kind = subprocess.run(["stat", "-f", "-c", "%T", path], capture_output=True, text=True, check=True).stdout.strip()
    return kind in ("tmpfs", "ramfs", "rootfs")


def test_page_cache_does_not_withhold_drained(agent, gated, tmp_path):
    if on_tmpfs(tmp_path):
        pytest.skip("there is no disk here")
    agent.open(1, 64 * MIB)
    task = gated(PYTHON, "-c", f"open('{tmp_path}/file','wb').write(bytes(20<<20))")
    agent.enter(1, task.pidfd, fresh=True)
    task.go()
    assert task.wait() == 0
    agent.end(1)
    before = time.monotonic()
    agent.drained(1)
    assert time.monotonic() - before < 1
    agent.close_claim(1)


def test_foreign_and_dead_processes_are_refused(agent, books, gated):
    agent.open(1, uid=65534)
    mine = gated("/bin/sleep", "60")
    told = agent.enter(1, mine.pidfd)
    assert told.status == DENIED and "another user" in told.text
    assert agent.enter(1, mine.pidfd, by_operator=True).status == 0
    his = gated("/bin/sleep", "60", uid=65534)
    assert agent.enter(1, his.pidfd).status == 0
    gone = subprocess.Popen(["/bin/true"])
    pidfd = os.pidfd_open(gone.pid)
    os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOWAIT)
    assert agent.enter(1, pidfd, by_operator=True).status == DEAD  # a zombie
    gone.wait()
    assert agent.enter(1, pidfd, by_operator=True).status == DEAD  # reaped
    os.close(pidfd)
    with open("/dev/null") as other:
        assert agent.enter(1, other.fileno(), by_operator=True).status < 0
    assert sorted(processes_of(books, 1)) == sorted([mine.pid, his.pid])
    agent.finish_claim(1)


def test_open_with_a_process_that_may_not_enter_leaves_no_group(agent, books, gated):
    mine = gated("/bin/sleep", "60")
    assert agent.open(1, fd=mine.pidfd, uid=65534).status == DENIED
    assert processes_of(books, 1) is None
    assert agent.open(2, fd=mine.pidfd).status == 0
    assert processes_of(books, 2) == [mine.pid]
    agent.finish_claim(2)


def test_a_running_tree_is_claimed_whole(agent, books, gated):
    tree = gated("/bin/sh", "-c", "sleep 60 & (sleep 60 & sleep 60) & wait")
    tree.go()
    wait_for(lambda: len(children(tree.pid)) == 3, 10, "the tree has grown")
    assert agent.open(1, fd=tree.pidfd).status == 0
    whole = [tree.pid, *children(tree.pid)]
    assert sorted(processes_of(books, 1)) == sorted(whole)
    agent.finish_claim(1)


def test_a_process_that_no_limit_could_end_is_refused(agent, gated):
    exempt = gated("/bin/sleep", "60")
    try:
        with open(f"/proc/{exempt.pid}/oom_score_adj", "w") as f:
            f.write("-1000")
    except PermissionError:
        pytest.skip("this machine lets nobody set oom_score_adj to -1000")
    agent.open(1)
    told = agent.enter(1, exempt.pidfd)
    assert told.status == DENIED and "oom_score_adj" in told.text
    agent.finish_claim(1)


def test_what_a_running_process_brings_is_measured(agent, gated):
    running = gated(PYTHON, "-c", ALLOCATE, "50", "60")
    running.go()

    def filled():
        with open(f"/proc/{running.pid}/statm") as f:
            return int(f.read().split()[1]) * 4096 > 50 * MIB

    wait_for(filled, 20, "it has filled its memory")
    assert agent.open(1, 128 * MIB, fd=running.pidfd).status == 0
    use = agent.use_of(1, lambda u: u.used > 50 * MIB)
    assert use.used < 80 * MIB
    assert agent.sample().claims_used >= 50 * MIB
    use = agent.finish_claim(1)
    assert use.cause == CAUSE_KILLED and use.peak >= 50 * MIB


def test_generations_open_once(agent):
    assert agent.open(5).status == 0
    assert agent.open(5).status == 0  # the order again: the group exists
    agent.finish_claim(5)
    agent.sample()
    assert agent.open(5).status == STALE
    assert agent.open(4).status == STALE
    assert agent.open(6).status == 0
    agent.finish_claim(6)
    assert agent.enter(77, os.pidfd_open(os.getpid())).status == NOT_FOUND


def test_a_limit_is_never_set_below_use(agent, gated):
    agent.open(1, 128 * MIB)
    task = gated(PYTHON, "-c", "import time; b=bytearray(60<<20); time.sleep(1.5); del b; time.sleep(60)")
    agent.enter(1, task.pidfd, fresh=True)
    task.go()
    agent.use_of(1, lambda use: use.used > 60 * MIB)
    before = time.monotonic()
    assert agent.limit(1, 32 * MIB).status == 0  # waits until the task freed
    assert time.monotonic() - before > 0.3
    assert task.process.poll() is None
    assert agent.limit(1, 256 * MIB).status == 0
    agent.finish_claim(1)


def test_a_process_that_waits_for_its_memory_has_its_limit_when_it_comes(agent, books, gated):
    task = gated(PYTHON, "-c", ALLOCATE, "40", "0")
    assert agent.open_waiting(1, 64 * MIB, task.pidfd).status == 0
    assert processes_of(books, 1) == [task.pid]
    agent.use_of(1, lambda use: list(use.pids) == [task.pid])  # it waits for a while, and lives
    assert task.process.poll() is None
    assert agent.limit(1, 64 * MIB).status == 0
    task.go()
    assert task.wait() == 0
    end = agent.empty(1)
    assert end.cause == CAUSE_EXIT and end.peak > 40 * MIB
    agent.finish_claim(1)


def test_a_process_that_waits_in_vain_is_ended(agent, books, gated):
    task = gated("true")
    assert agent.open_waiting(1, 64 * MIB, task.pidfd).status == 0
    agent.finish_claim(1)
    assert task.wait() == -9
    wait_for(lambda: processes_of(books, 1) is None, 10, "its group is removed")


def test_a_limit_that_use_stays_above_is_refused(agent, gated):
    agent.open(1, 128 * MIB)
    task = gated(PYTHON, "-c", ALLOCATE, "60", "60")
    agent.enter(1, task.pidfd, fresh=True)
    task.go()
    agent.use_of(1, lambda use: use.used > 60 * MIB)
    told = agent.limit(1, 32 * MIB, 15)
    assert told.status == STATE and "free memory" in told.text
    assert task.process.poll() is None
    agent.finish_claim(1)


def test_samples_tell_use_and_pids(agent, gated):
    agent.open(1, 128 * MIB)
    task = gated(PYTHON, "-c", ALLOCATE, "50", "60")
    agent.enter(1, task.pidfd, fresh=True)
    task.go()
    sample = agent.sample(lambda s: any(u.used > 50 * MIB for u in s.claims))
    use = sample.claims[0]
    assert (use.claim, use.processes, list(use.pids)) == (1, 1, [task.pid])
    assert use.used < 80 * MIB
    assert sample.in_use > sample.claims_used
    agent.finish_claim(1)


def test_tasks_outlive_the_agent_and_are_found_again(books, gated):
    first = Agent(books).begin()
    first.open(1)
    first.open(2)
    first.open(3)
    one, two = gated("/bin/sleep", "60"), gated("/bin/sleep", "60")
    for gen, task in ((1, one), (2, two)):
        first.enter(gen, task.pidfd, fresh=True)
        task.go()
    first.kill()
    assert one.process.poll() is None
    second = Agent(books)
    assert sorted(second.hello.groups) == [1, 2, 3]
    assert second.hello.broker_id == books
    # 3 was given by the books but is over, 4 is theirs but its group was never made, 5 ended and its group is gone
    second.begin(5, [second.claim(1), second.claim(2, ending=True), second.claim(4), second.claim(5, ending=True)])
    assert "its claim was over; its empty group was removed" in second.notice("claim 3").text
    second.drained(5)
    assert processes_of(books, 4) == []
    assert processes_of(books, 3) is None
    assert second.empty(1).status == 0
    assert one.wait() == -9
    assert second.no_drained(2, 0.3)
    two.process.kill()
    assert second.drained(2).peak > 0
    second.close_claim(2)
    second.finish_claim(1)
    second.finish_claim(4)
    second.sample()
    assert second.stop() == 0
    assert groups(books) == {}


def test_nothing_is_admitted_before_the_live_set(books, gated):
    agent = Agent(books)
    agent.send(pb().TYPE_AGENT_WELCOME, pb().AgentWelcome(broker_id=books, highest=1))
    assert agent.open(2).status == STATE
    assert groups(books) == {}
    assert agent.stop() == 0


def test_a_frame_that_is_not_allowed_ends_the_link(books):
    agent = Agent(books)
    agent.send(pb().TYPE_AGENT_OPEN, agent.claim(1))  # before the welcome
    with pytest.raises(EOFError):
        agent.next(5)
    assert agent.process.wait(5) == 0


def test_books_with_a_path_in_their_name_are_refused(books):
    agent = Agent(books)
    agent.send(pb().TYPE_AGENT_WELCOME, pb().AgentWelcome(broker_id="../x", highest=1))
    with pytest.raises(EOFError):
        agent.next(5)
    assert agent.process.wait(5) == 0


def test_a_stop_removes_what_has_drained(books, gated):
    """Its link ends with the broker, so that the word to close does not come."""
    agent = Agent(books).begin()
    agent.open(1)
    task = gated("/bin/true")
    agent.enter(1, task.pidfd, fresh=True)
    task.go()
    assert task.wait() == 0
    agent.end(1)
    agent.drained(1)
    assert agent.stop() == 0
    assert groups(books) == {}


def test_a_stop_leaves_what_lives(books, gated):
    agent = Agent(books).begin()
    agent.open(1)
    task = gated("/bin/sleep", "60")
    agent.enter(1, task.pidfd, fresh=True)
    task.go()
    agent.end(1)
    agent.sample()  # the order was carried out
    assert agent.stop() == 0
    assert [names for names in groups(books).values()] == [["c1"]] and task.process.poll() is None
    second = Agent(books).begin(1, [])  # the books know no such claim
    second.notice("its group exists, but the books do not know it; left alone")
    assert second.stop() == 0
    task.process.kill()
    assert task.wait() == -9
    third = Agent(books).begin(1, [])
    third.notice("its claim was over; its empty group was removed")
    assert third.stop() == 0
    assert groups(books) == {}

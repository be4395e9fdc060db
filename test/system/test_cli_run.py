"""granary run: a command in a lease behaves as if it had been typed alone."""
import os
import re
import pty
import select
import signal
import subprocess
import sys
import time

import pytest

import processes
from broker import BIN

GRANARY = os.path.join(BIN, "granary")
HOLD = ["sleep", "60"]


def hold(broker, size, *options):
    """A run that keeps `size`; returns once it holds it."""
    job = broker.begin("run", "-m", size, *options, "--", *HOLD)
    broker.wait(lambda s: any(a["pid"] == job.pid and a["claims"] and a["claims"][0]["pids"] for a in s["allocations"]))
    return job


@pytest.mark.parametrize("status", [0, 1, 7, 255])
def test_exit_status_is_that_of_the_command(broker, status):
    done = broker.run("run", "-m", "50M", "--", "sh", "-c", f"exit {status}")
    assert (done.returncode, done.stdout, done.stderr) == (status, "", "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGSEGV])
def test_death_by_a_signal_is_death_by_the_same_signal(broker, number):
    done = broker.run("run", "-m", "50M", "--", "sh", "-c", f"kill -{number.value} $$")
    assert done.returncode == -number
    assert not [f for f in os.listdir(broker.folder) if f.startswith("core")]


def test_streams_environment_and_directory_are_the_callers(broker):
    done = broker.run("run", "-m", "50M", "--", "sh", "-c", "cat; echo err >&2; pwd", input="a\nb\n")
    assert done.stdout == f"a\nb\n{broker.folder}\n"
    assert done.stderr == "err\n"
    done = broker.run("run", "-m", "50M", "--", "sh", "-c", "echo $GRANARY_ALLOCATION $GRANARY_CLAIM")
    allocation, claim = done.stdout.split()
    assert int(allocation) > 0 and len(claim.split(".")[0]) == 32 and int(claim.split(".")[1]) > 0


def test_granary_leaves_no_descriptors_in_the_command(broker):
    done = broker.run("run", "-m", "50M", "--", "ls", "/proc/self/fd")
    assert sorted(map(int, done.stdout.split())) == [0, 1, 2, 3]  # 3: the folder that ls reads


def test_signal_dispositions_and_mask_are_untouched(broker):
    plain = subprocess.run(["grep", "-E", "^Sig(Blk|Ign|Cgt)", "/proc/self/status"], capture_output=True, text=True,
                           check=True).stdout
    done = broker.run("run", "-m", "50M", "--", "grep", "-E", "^Sig(Blk|Ign|Cgt)", "/proc/self/status")
    assert done.stdout == plain


def test_commands_that_cannot_run(broker):
    done = broker.run("run", "-m", "50M", "--", "no-such-program")
    assert done.returncode == 127 and "command not found" in done.stderr
    done = broker.run("run", "-m", "50M", "--", "/nonexistent/x")
    assert done.returncode == 127 and "No such file" in done.stderr
    done = broker.run("run", "-m", "50M", "--", "/etc/passwd")
    assert done.returncode == 126 and "Permission denied" in done.stderr
    script = os.path.join(broker.folder, "script")
    with open(script, "w") as f:
        f.write("#!/nonexistent/interpreter\n")
    os.chmod(script, 0o755)
    done = broker.run("run", "-m", "50M", "--", script)
    assert done.returncode == 127
    broker.wait_idle()


def test_what_can_never_be_granted_fails_at_once_and_says_the_most(broker):
    began = time.monotonic()
    done = broker.run("run", "-m", "8G", "--", "true")
    assert done.returncode == 122, done.stderr
    assert "3" in done.stderr and "G" in done.stderr
    done = broker.run("run", "-m", "1G", "-n", "4", "--", "true")
    assert done.returncode == 122, done.stderr
    assert time.monotonic() - began < 5


def test_now_and_timeout(broker):
    holder = hold(broker, "2G")
    done = broker.run("run", "-m", "2G", "--now", "--", "true")
    assert done.returncode == 75, done.stderr
    began = time.monotonic()
    done = broker.run("run", "-m", "2G", "--timeout", "500ms", "--", "true")
    assert done.returncode == 124 and "no memory within the time given: " in done.stderr, done.stderr
    assert 0.4 < time.monotonic() - began < 5
    holder.send_signal(signal.SIGTERM)
    assert holder.wait(10) == -signal.SIGTERM
    broker.wait_idle()
    broker.check()


def test_waits_its_turn_and_says_why(broker):
    holder = hold(broker, "2G")
    waiter = broker.begin("run", "-m", "2G", "--verbose", "--label", "second", "--", "echo", "ran")
    s = broker.wait(lambda s: s["queue"])
    assert s["queue"][0]["label"] == "second" and s["queue"][0]["place"] == 1 and s["queue"][0]["reason"]
    text = broker.run("queue", check=True).stdout
    assert "second" in text and s["queue"][0]["reason"] in text
    holder.send_signal(signal.SIGTERM)
    out, err = waiter.communicate(timeout=20)
    assert waiter.returncode == 0 and out == "ran\n"
    assert "waiting, place 1" in err
    assert "used at most" in err
    broker.wait_idle()
    broker.check()


def test_a_waiter_that_is_killed_leaves_the_queue(broker):
    hold(broker, "2G")
    waiter = broker.begin("run", "-m", "2G", "--", "touch", os.path.join(broker.folder, "ran"))
    broker.wait(lambda s: s["queue"])
    waiter.kill()
    broker.wait(lambda s: not s["queue"])
    broker.check()
    assert not os.path.exists(os.path.join(broker.folder, "ran"))


def test_without_a_size_it_says_what_it_takes(broker):
    done = broker.run("run", "--", "true")
    assert done.returncode == 0
    assert "usable memory divided by the cores" in done.stderr


def test_a_command_that_reaches_its_limit_is_told_so(broker):
    if not broker.snapshot()["hosts"][0]["enforcement"].startswith("cgroup"):
        pytest.skip("limits are not enforced here")
    done = broker.run("run", "-m", "64M", "--", sys.executable, "-c", "x = bytearray(200 << 20); print(len(x))")
    assert done.returncode == -signal.SIGKILL
    assert "out of memory: its limit was 64M" in done.stderr and "try -m 128M" in done.stderr
    assert done.stdout == ""
    broker.wait_idle()


def test_what_the_command_leaves_behind_keeps_its_memory(broker):
    done = broker.run("run", "-m", "500M", "--label", "parent", "--", "sh", "-c", "setsid sleep 60 >/dev/null 2>&1 & echo $!")
    assert done.returncode == 0
    assert "processes that it started have not" in done.stderr
    left = int(done.stdout)
    s = broker.wait(lambda s: s["allocations"] and s["allocations"][0]["claims"] and s["allocations"][0]["claims"][0]["pids"])
    assert s["allocations"][0]["claims"][0]["pids"] == [left]
    assert s["hosts"][0]["granted"] + s["hosts"][0]["returning"] == 500 << 20
    broker.check()
    os.kill(left, signal.SIGKILL)
    broker.wait_idle()
    broker.check()


def test_signals_sent_to_granary_alone_reach_the_command(broker):
    script = "trap 'echo usr1; ' USR1; trap 'echo term; exit 5' TERM; echo ready; while :; do sleep 0.05; done"
    job = broker.begin("run", "-m", "50M", "--", "sh", "-c", script)
    assert job.stdout.readline() == "ready\n"
    job.send_signal(signal.SIGUSR1)
    assert job.stdout.readline() == "usr1\n"
    job.send_signal(signal.SIGTERM)
    assert job.stdout.readline() == "term\n"
    assert job.wait(10) == 5


def test_a_signal_to_the_whole_group_by_the_command_comes_once(broker):
    script = "n=0; trap 'n=$((n+1))' USR1; kill -USR1 0; sleep 0.3; echo $n"
    job = broker.begin("run", "-m", "50M", "--", "sh", "-c", script, start_new_session=True)
    out, _ = job.communicate(timeout=20)
    assert job.returncode == 0 and out == "1\n"


def test_a_stopped_command_stops_granary_and_both_go_on(broker):
    job = broker.begin("run", "-m", "50M", "--", "sh", "-c", "echo $$; while [ ! -e go ]; do sleep 0.05; done")
    child = int(job.stdout.readline())
    os.kill(child, signal.SIGSTOP)
    processes.wait_for(lambda: state(job.pid) == "T", 10, "granary stops")
    os.kill(job.pid, signal.SIGCONT)
    processes.wait_for(lambda: state(child) != "T", 10, "the command goes on")
    open(os.path.join(broker.folder, "go"), "w").close()
    assert job.wait(10) == 0


def state(pid):
    with open(f"/proc/{pid}/stat") as f:
        return f.read().rsplit(")", 1)[1].split()[0]


class Terminal:
    """An interactive bash on a pseudo-terminal."""

    def __init__(self, broker):
        pid, self.fd = pty.fork()
        if pid == 0:
            os.chdir(broker.folder)
            os.execvpe("bash", ["bash", "--norc", "--noprofile", "-i"], {**broker.env, "PS1": "$ ", "TERM": "dumb"})
        self.pid = pid
        self.text = ""

    def until(self, wanted, timeout=15):
        """Reads until `wanted` has come after what was seen before; returns what came."""
        deadline = time.monotonic() + timeout
        while wanted not in self.text:
            ready, _, _ = select.select([self.fd], [], [], max(0, deadline - time.monotonic()))
            assert ready, f"'{wanted}' did not come:\n{self.text}"
            self.text += os.read(self.fd, 4096).decode(errors="replace")
        before, _, self.text = self.text.partition(wanted)
        return before

    def type(self, text):
        os.write(self.fd, text.encode())

    def close(self):
        os.close(self.fd)
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


@pytest.fixture
def terminal(broker):
    t = Terminal(broker)
    yield t
    t.close()


def test_interrupt_from_the_terminal_comes_once_and_the_shell_sees_130(broker, terminal):
    count = os.path.join(broker.folder, "count.sh")
    with open(count, "w") as f:
        f.write("n=0\ntrap 'n=$((n+1))' INT\necho re''ady\nsleep 0.4\nsleep 0.4\necho interrupts=$n.\n")
    terminal.type("granary run -m 50M -- sh ./count.sh\n")
    terminal.until("ready")
    terminal.type("\x03")
    terminal.until("interrupts=1.")
    terminal.type("granary run -m 50M -- sleep 60\n")
    broker.wait(lambda s: any(c["command"] == "sleep 60" and c["pids"] for a in s["allocations"] for c in a["claims"]))
    terminal.type("\x03")
    terminal.type("echo status=$?.\n")
    terminal.until("status=130.")
    broker.wait_idle()


def test_stop_and_go_on_from_the_terminal(broker, terminal):
    terminal.type("granary run -m 50M -- sh -c 'echo st''arted; read line; echo got $line.'\n")
    terminal.until("started")
    terminal.type("\x1a")
    terminal.until("Stopped")
    terminal.type("fg\n")
    terminal.until("granary run")
    terminal.type("hello\n")
    terminal.until("got hello.")
    terminal.type("echo status=$?.\n")
    terminal.until("status=0.")
    broker.wait_idle()


def test_the_line_of_a_waiter_on_a_terminal(broker, terminal):
    holder = hold(broker, "2G")
    terminal.type("granary run -m 2G -- echo do''ne\n")
    terminal.until("granary: waiting, place 1")
    holder.send_signal(signal.SIGTERM)
    terminal.until("\r\x1b[K")
    terminal.until("done")
    broker.wait_idle()


def test_the_broker_may_restart_under_a_running_command(broker):
    job = broker.begin("run", "-m", "500M", "--", "sh", "-c", "echo on; while [ ! -e go ]; do sleep 0.05; done; exit 3")
    assert job.stdout.readline() == "on\n"
    broker.kill("granary-broker")
    broker.wait(lambda s: any(a["pid"] == job.pid for a in s["allocations"]))
    open(os.path.join(broker.folder, "go"), "w").close()
    assert job.wait(20) == 3
    broker.wait_idle()
    broker.check()


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes an ordinary user")
def test_what_an_ordinary_users_command_leaves_behind_is_known_by_its_environment(make_broker):
    plain = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    broker = make_broker(start=False, prefix=plain)
    os.chmod(broker.folder, 0o777)
    broker.start()
    (host,) = broker.snapshot()["hosts"]
    assert host["enforcement"] == "watch" and host["enforcement_reason"]
    done = subprocess.run([*plain, GRANARY, "run", "-m", "500M", "--", "sh", "-c", "setsid sleep 60 >/dev/null 2>&1 & echo $!"],
                          env=broker.env, capture_output=True, text=True, timeout=60, check=True)
    left = int(done.stdout)
    s = broker.wait(lambda s: s["allocations"] and s["allocations"][0]["claims"][0]["pids"])
    assert s["allocations"][0]["claims"][0]["pids"] == [left]
    broker.check()
    os.kill(left, signal.SIGKILL)
    broker.wait_idle()


@pytest.fixture
def ordinary(make_broker):
    """A broker of an ordinary user, who can limit nothing here; run(words) is that user's command."""
    plain = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    broker = make_broker(start=False, prefix=plain)
    os.chmod(broker.folder, 0o777)
    broker.start()
    assert broker.snapshot()["hosts"][0]["enforcement"] == "watch"

    def run(*words):
        return subprocess.Popen([*plain, GRANARY, *words], env=broker.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)

    broker.ordinary = run
    return broker


USES_60M = ["/usr/bin/python3", "-c", "import sys; b = bytearray(60 << 20); sys.stdin.readline()"]


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes an ordinary user")
def test_use_beyond_the_lease_is_told_once_during_and_once_after_the_run(ordinary):
    job = ordinary.ordinary("run", "-m", "16M", "--", *USES_60M)
    during = job.stderr.readline()  # comes while the command waits for its input
    assert job.poll() is None
    found = re.fullmatch(r"granary run: the command uses ([\d.]+)M, more than the 16M of its lease: this host only measures "
                         r"\('granary hosts' says why\), and what is beyond counts as foreign memory; ask for more with -m\n",
                         during)
    assert found and 60 <= float(found[1]) < 90, during
    sequence = ordinary.snapshot()["sequence"]
    ordinary.wait(lambda s: s["sequence"] > sequence + 2, what="more samples")  # nothing more is said meanwhile
    _, after = job.communicate("\n", timeout=20)
    assert job.returncode == 0
    assert re.fullmatch(r"granary run: the command used [\d.]+M, more than the 16M of its lease: .*\n", after), after
    assert "uses more than its lease" in ordinary.run("log", check=True).stdout
    ordinary.wait_idle()
    ordinary.check()


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes an ordinary user")
def test_use_beyond_the_lease_of_a_short_command_is_told_at_its_end(ordinary):
    job = ordinary.ordinary("run", "-m", "16M", "--", *USES_60M[:-1], "b = bytearray(60 << 20); import time; time.sleep(0.3)")
    _, said = job.communicate(timeout=20)
    assert job.returncode == 0 and "the command used 6" in said and "more than the 16M of its lease" in said, said
    job = ordinary.ordinary("run", "-m", "100M", "--", *USES_60M[:-1], "b = bytearray(60 << 20)")
    _, said = job.communicate(timeout=20)
    assert (job.returncode, said) == (0, "")
    ordinary.wait_idle()

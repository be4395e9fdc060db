"""A real granaryd with a private state directory and socket, and the proof that it left nothing behind."""
import json
import os
import re
import select
import shutil
import signal
import subprocess
import tempfile

import granary_wire
import processes
from programs import BIN

ROOT = granary_wire.ROOT
SUPERVISOR, BROKER, AGENT = "granaryd", "granary-broker", "granary-agent"

KILLED_IN_SEARCH = re.compile(r"^==\d+==(Unable to get registers from thread|Could not (at|de)tach (to|from) thread) ?\d+")


class Broker:
    """
    start() returns once the daemon says that it is ready. Everything that a test starts through it carries its
    folder's name in the environment, so that finish() can find what was left behind, and ends only that.
    """

    def __init__(self, memory="3G", set_aside="0", options=(), state=None, prefix=(), env=None, config=None, asan=""):
        self.folder = tempfile.mkdtemp(prefix="granary-test-")
        os.chmod(self.folder, 0o711)
        self.state = state or os.path.join(self.folder, "state")
        self.socket = os.path.join(self.folder, "socket")
        self.reports = os.path.join(self.folder, "reports")
        os.mkdir(self.reports)
        os.chmod(self.reports, 0o1777)
        self.log = os.path.join(self.folder, "log")
        self.arguments = ["--state", self.state, "--socket", self.socket]
        self.arguments += ["--memory", memory, "--set-aside", set_aside] if memory else []
        self.arguments += list(options)
        if config is not None:
            path = os.path.join(self.folder, "granary.conf")
            with open(path, "w") as f:
                f.write(config)
            self.arguments += ["--config", path]
        self.prefix = list(prefix)
        self.env = {
            **os.environ,
            "GRANARY_SOCKET": self.socket,
            "PATH": BIN + ":" + os.environ["PATH"],
            "ASAN_OPTIONS": f"log_path={self.reports}/asan:detect_leaks=1:exitcode=97:{asan}",
            "UBSAN_OPTIONS": f"log_path={self.reports}/ubsan:halt_on_error=1:exitcode=97:print_stacktrace=1",
            **(env or {}),
        }
        self.process = None
        self.identity = None  # names its groups: granary.<identity>
        self.started = {}  # pid -> start time, of every process seen
        self.jobs = []
        self.wires = []

    # ---- life ----

    def spawn(self):
        """Starts granaryd; returns the reading end of its ready pipe."""
        read, write = os.pipe()
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [*self.prefix, os.path.join(BIN, SUPERVISOR), *self.arguments, "--ready-fd", str(write)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.env, pass_fds=[write], cwd=self.folder)
        os.close(write)
        return read

    def start(self, timeout=20):
        read = self.spawn()
        ready = _read_within(read, timeout)
        os.close(read)
        if not ready:
            status = self.process.poll()
            self.kill_all()
            raise AssertionError(f"granaryd did not get ready (status {status}):\n{self.text()}")
        self.note()
        self.greet()
        return self

    def greet(self):
        """Asks it whose books it keeps."""
        with granary_wire.Wire(self.socket) as wire:
            wire.hello()
            self.identity = wire.query().broker_id
            wire.send(granary_wire.pb().TYPE_GOODBYE, granary_wire.pb().Goodbye())
            wire.until_closed()  # it is not counted among the test's own connections
        assert self.identity, "the broker does not say whose books it keeps"

    def refused(self, timeout=20):
        """Starts a granaryd that must refuse: returns (exit status, what it said)."""
        read = self.spawn()
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill_all()
            raise AssertionError(f"granaryd should have refused:\n{self.text()}") from None
        finally:
            os.close(read)
        return self.process.returncode, self.text()

    def stop(self, timeout=20):
        """Asks politely; returns the exit status."""
        self.note()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"granaryd did not end within {timeout} s of SIGTERM:\n{self.text()}") from None

    def restart(self):
        """After the supervisor has died: its children end by themselves, then a new one starts on the same state."""
        self.process.wait(20)
        for pid, started in list(self.started.items()):
            if processes.program(pid) in (BROKER, AGENT) and processes.start_time(pid) == started:
                assert processes.wait_gone(pid, 10), f"{processes.program(pid)} outlived its supervisor"
        return self.start()

    def note(self):
        """Remembers every process of ours that runs now."""
        if self.process is not None:
            own = processes.start_time(self.process.pid)
            if own is not None:
                self.started[self.process.pid] = own
            self.started.update(processes.children(self.process.pid))

    def part(self, name):
        """(pid, start time) of a living part: BROKER or AGENT; waits while it is being restarted."""
        if name == SUPERVISOR:
            return self.process.pid, processes.start_time(self.process.pid)

        def find():
            self.note()
            for pid, started in processes.children(self.process.pid).items():
                if processes.program(pid) == name:
                    return pid, started
            return None

        return processes.wait_for(find, 10, f"a running {name}")

    def kill(self, name):
        """kill -9 of one part."""
        pid, started = self.part(name)
        processes.kill(pid, started, signal.SIGKILL)
        if pid != self.process.pid:
            processes.wait_gone(pid, 10)

    def text(self):
        with open(self.log, errors="replace") as f:
            return f.read()

    # ---- use ----

    def run(self, *words, timeout=60, input=None, check=False, **more):
        """Runs `granary WORDS`, to its end."""
        done = subprocess.run([os.path.join(BIN, "granary"), *words], env=self.env, cwd=self.folder, timeout=timeout,
                              capture_output=True, text=True, input=input,
                              **({} if input is not None else {"stdin": subprocess.DEVNULL}), **more)
        assert not check or done.returncode == 0, f"granary {' '.join(words)}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def begin(self, *words, **more):
        """Starts `granary WORDS` in the background; a Popen that finish() looks after."""
        more = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **more}
        job = subprocess.Popen([os.path.join(BIN, "granary"), *words], env=self.env, cwd=self.folder, **more)
        started = processes.start_time(job.pid)
        if started is not None:
            self.started[job.pid] = started
        self.jobs.append(job)
        return job

    def json(self, *words):
        return json.loads(self.run(*words, "--json", check=True).stdout)

    def snapshot(self):
        return json.loads(self.run("snapshot", check=True).stdout)

    def wait(self, condition, timeout=20, what="the books"):
        """Waits until `condition(snapshot)` is true; returns that snapshot."""
        last = {}

        def look():
            done = self.run("snapshot")
            if done.returncode != 0:  # nobody serves just now
                return None
            last["snapshot"] = json.loads(done.stdout)
            return condition(last["snapshot"]) and last["snapshot"]

        try:
            return processes.wait_for(look, timeout, what)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{json.dumps(last.get('snapshot'), indent=1)}") from None

    def wait_idle(self, timeout=20):
        """Waits until nothing is leased, waiting or returning; returns the snapshot."""
        return self.wait(lambda s: not s["allocations"] and not s["queue"]
                         and all(h["granted"] == h["returning"] == h["quarantine"] == 0 for h in s["hosts"]),
                         timeout, "idle books")

    def check(self):
        done = self.run("check")
        assert done.returncode == 0, f"granary check: {done.returncode}\n{done.stdout}{done.stderr}\n{self.text()[-3000:]}"

    def wire(self, **more):
        wire = granary_wire.Wire(self.socket, **more)
        self.wires.append(wire)
        return wire

    # ---- the end ----

    def kill_all(self):
        self.note()
        for pid, started in {**self.started, **processes.with_environment(self.folder)}.items():
            processes.kill(pid, started, signal.SIGKILL)
        for job in [*self.jobs, self.process]:
            if job is not None:
                job.wait(20)

    def leftovers(self):
        """A line for everything that a finished broker has left behind."""
        found = []
        alive = {pid: started for pid, started in self.started.items()
                 if started is not None and processes.start_time(pid) == started}  # None: it had ended when it was noted
        alive.update(processes.with_environment(self.folder))
        found += [f"process {pid}: {processes.command_line(pid)}" for pid in alive]
        if self.identity:
            found += [f"group {folder}" for folder in processes.groups_named(self.identity)]
        if os.path.lexists(self.socket):
            found.append(f"socket {self.socket}")
        return found

    def sanitizer_reports(self):
        """But what the search for leaks says when its process is killed under it: that it is gone, and no more."""
        texts = []
        for name in sorted(os.listdir(self.reports)):
            with open(os.path.join(self.reports, name), errors="replace") as f:
                text = f.read()
            if any(line.strip() and not KILLED_IN_SEARCH.search(line) for line in text.splitlines()):
                texts.append(f"{name}:\n{text[:6000]}")
        return texts

    def finish(self):
        """Stops the daemon, judges what is left, then removes it. Raises AssertionError with every offence."""
        offences = []
        for wire in self.wires:
            wire.close()
        try:
            for job in self.jobs:
                if job.poll() is None:
                    job.send_signal(signal.SIGTERM)
            for job in self.jobs:
                try:
                    job.communicate(timeout=20)
                except subprocess.TimeoutExpired:
                    offences.append(f"granary (pid {job.pid}) did not end within 20 s of SIGTERM")
            if self.process is not None and self.process.poll() is None:
                status = self.stop()
                if status != 0:
                    offences.append(f"granaryd ended with {status}")
                try:
                    processes.wait_for(lambda: not self.leftovers(), 5)
                except AssertionError:
                    offences += self.leftovers()
        except AssertionError as error:
            offences.append(str(error))
        finally:
            self.kill_all()
            offences += self.sanitizer_reports()
            log = self.text() if os.path.exists(self.log) else ""
            shutil.rmtree(self.folder, ignore_errors=True)
        if offences:
            raise AssertionError("left behind:\n" + "\n".join(offences) + f"\n---- log:\n{log[-4000:]}")


def _read_within(fd, timeout):
    poll = select.poll()
    poll.register(fd, select.POLLIN | select.POLLHUP)
    return os.read(fd, 64) if poll.poll(timeout * 1000) else b""

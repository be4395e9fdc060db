"""An agent without supervisor and broker: the test speaks the broker's side over a socketpair."""
import array
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time

from granary_wire import HEADER, HAS_FD, frame, pb
from programs import BIN

MIB = 1 << 20
CAUSE_EXIT, CAUSE_OOM, CAUSE_KILLED = 0, 1, 2


def agent_program():
    return os.path.join(BIN, "granary-agent")


class Gated:
    """A child that waits before exec until it has been let in, as libgranary's children do."""

    def __init__(self, argv, uid=None, env=None, stdout=None):
        gate_read, self.gate = os.pipe()
        os.set_inheritable(gate_read, True)
        code = "read -r _ <&%d && exec %d<&- && exec \"$@\"" % (gate_read, gate_read)
        self.process = subprocess.Popen(["/bin/bash", "-c", code, "gated", *argv], pass_fds=(gate_read,), user=uid,
                                        env=env, stdout=stdout)
        os.close(gate_read)
        self.pid = self.process.pid
        self.pidfd = os.pidfd_open(self.pid)

    def go(self):
        os.write(self.gate, b"go\n")
        os.close(self.gate)
        self.gate = -1

    def wait(self, timeout=20):
        return self.process.wait(timeout)

    def close(self):
        if self.gate >= 0:
            os.close(self.gate)
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.pidfd)


class Agent:
    """One granary-agent; close() proves that nothing of its books is left."""

    def __init__(self, books, options=(), uid=None, program=None):
        self.books = books
        self.options = list(options)
        self.uid = uid
        self.program = program or agent_program()
        self.frames = []
        self.start()

    def start(self):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self.process = subprocess.Popen([self.program, "--link-fd", str(theirs.fileno()), "--host", "here",
                                         "--books", self.books, "--sample-ms", "200", *self.options],
                                        pass_fds=(theirs.fileno(),), user=self.uid)
        theirs.close()
        self.socket = ours
        self.frames = []
        kind, body = self.next(10)
        assert kind == pb().TYPE_AGENT_HELLO, kind
        self.hello = pb().AgentHello.FromString(body)

    def begin(self, highest=0, live=()):
        """Welcome, the live set, ready."""
        self.send(pb().TYPE_AGENT_WELCOME, pb().AgentWelcome(broker_id=self.books, highest=highest))
        for claim in live:
            self.send(pb().TYPE_AGENT_EXPECT, claim)
        self.send(pb().TYPE_AGENT_READY, pb().AgentReady(sample_ms=200))
        return self

    def send(self, kind, message, fd=None):
        data = frame(kind, message, flags=HAS_FD if fd is not None else 0)
        ancillary = [] if fd is None else [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))]
        sent = self.socket.sendmsg([data], ancillary)
        assert sent == len(data)

    def _exactly(self, n, until):
        data = b""
        while len(data) < n:
            left = until - time.monotonic()
            if left <= 0 or not select.select([self.socket], [], [], left)[0]:
                raise TimeoutError("no frame from the agent")
            part = self.socket.recv(n - len(data))
            if not part:
                raise EOFError("the agent closed its link")
            data += part
        return data

    def next(self, timeout):
        until = time.monotonic() + timeout
        length, kind, _, _, _ = HEADER.unpack(self._exactly(HEADER.size, until))
        return kind, self._exactly(length, until)

    def wait(self, kind, parse, match=lambda message: True, timeout=10.0):
        """The first message of this type that matches, among those kept and those to come."""
        until = time.monotonic() + timeout
        for index, (of, body) in enumerate(self.frames):
            if of == kind and match(parse.FromString(body)):
                del self.frames[index]
                return parse.FromString(body)
        while True:
            of, body = self.next(max(0.0, until - time.monotonic()))
            if of == kind and match(parse.FromString(body)):
                return parse.FromString(body)
            self.frames.append((of, body))

    def answer(self, kind, tag, timeout=10.0):
        return self.wait(kind, pb().AgentAnswer, lambda a: a.tag == tag, timeout)

    _tag = 0

    def tag(self):
        self._tag += 1
        return self._tag

    def claim(self, gen, size=64 * MIB, **more):
        return pb().AgentClaim(claim=gen, bytes=size, chunk_size=size, uid=more.pop("uid", os.getuid()), **more)

    def open(self, gen, size=64 * MIB, fd=None, **more):
        claim = self.claim(gen, size, tag=self.tag(), **more)
        self.send(pb().TYPE_AGENT_OPEN, claim, fd)
        return self.answer(pb().TYPE_AGENT_OPENED, claim.tag)

    def open_waiting(self, gen, size, fd):
        """A claim of 0 chunks of `size`, for a process that waits for its memory."""
        claim = self.claim(gen, size, tag=self.tag())
        claim.bytes = max(MIB, size // 256)
        self.send(pb().TYPE_AGENT_OPEN, claim, fd)
        return self.answer(pb().TYPE_AGENT_OPENED, claim.tag)

    def enter(self, gen, fd, **more):
        claim = pb().AgentClaim(claim=gen, tag=self.tag(), **more)
        self.send(pb().TYPE_AGENT_ENTER, claim, fd)
        return self.answer(pb().TYPE_AGENT_ENTERED, claim.tag)

    def empty(self, gen):
        claim = pb().AgentClaim(claim=gen, tag=self.tag())
        self.send(pb().TYPE_AGENT_EMPTY, claim)
        return self.answer(pb().TYPE_AGENT_EMPTIED, claim.tag)

    def limit(self, gen, size, timeout=10):
        claim = pb().AgentClaim(claim=gen, bytes=size, tag=self.tag())
        self.send(pb().TYPE_AGENT_LIMIT, claim)
        return self.answer(pb().TYPE_AGENT_LIMITED, claim.tag, timeout)

    def end(self, gen, kill=False, size=64 * MIB):
        self.send(pb().TYPE_AGENT_END, pb().AgentClaim(claim=gen, bytes=size, chunk_size=size, kill=kill))

    def drained(self, gen, timeout=10.0):
        return self.wait(pb().TYPE_AGENT_DRAINED, pb().AgentClaimUse, lambda use: use.claim == gen, timeout)

    def no_drained(self, gen, seconds):
        try:
            self.drained(gen, seconds)
        except TimeoutError:
            return True
        return False

    def close_claim(self, gen):
        self.send(pb().TYPE_AGENT_CLOSE, pb().AgentClaim(claim=gen))

    def finish_claim(self, gen, kill=True):
        self.end(gen, kill)
        use = self.drained(gen)
        self.close_claim(gen)
        return use

    def sample(self, match=lambda s: True, timeout=10.0):
        """A sample taken from now on."""
        self.frames = [f for f in self.frames if f[0] != pb().TYPE_AGENT_SAMPLE]
        return self.wait(pb().TYPE_AGENT_SAMPLE, pb().AgentSample, match, timeout)

    def use_of(self, gen, match=lambda use: True):
        sample = self.sample(lambda s: any(u.claim == gen and match(u) for u in s.claims))
        return next(u for u in sample.claims if u.claim == gen)

    def notice(self, text, timeout=10.0):
        return self.wait(pb().TYPE_AGENT_NOTICE, pb().AgentNotice, lambda n: text in n.text, timeout)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)
        self.socket.close()

    def stop(self):
        """The link ends, and so the agent does. Its exit status."""
        self.socket.close()
        try:
            return self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise


def groups(books):
    """Every group of these books in any tree of control groups: {path of the books' folder: [names]}."""
    found = {}
    for root in ("/sys/fs/cgroup",):
        for folder, names, _ in os.walk(root):
            if f"granary.{books}" in names:
                path = f"{folder}/granary.{books}"
                found[path] = sorted(os.listdir(path))
                found[path] = [n for n in found[path] if os.path.isdir(f"{path}/{n}")]
    return found


def remove_books(books):
    for path, names in groups(books).items():
        for name in names:
            with open(f"{path}/{name}/cgroup.procs") as f:
                for pid in f.read().split():
                    os.kill(int(pid), signal.SIGKILL)
            until = time.monotonic() + 5
            while True:
                try:
                    os.rmdir(f"{path}/{name}")
                    break
                except OSError:
                    if time.monotonic() > until:
                        raise
                    time.sleep(0.01)
        os.rmdir(path)

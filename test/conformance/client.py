#!/usr/bin/python3
"""A small client of Granary, from proto/granary.proto and the documents alone: it shares no code with libgranary.

    client.py [--claims]

Does what granary-conformance(1) asks of a client that it drives. With --claims every task is put under a claim before it
begins. The schema is compiled by protoc, or found compiled in the folder that GRANARY_PB names.
"""
import collections
import errno
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

HEADER = struct.Struct("<IHHQQ")
BODY_MAX = 1 << 20
HAS_FD = 1
WINDOW = 60  # the broker keeps 64 answers
SHRINKABLE, GROWABLE, RECALLABLE = 1 << 4, 1 << 5, 1 << 6
OFFER_NONE = 2


def schema():
    folder = os.environ.get("GRANARY_PB")
    if not folder:
        folder = tempfile.mkdtemp(prefix="granary-pb-")
        proto = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../proto")
        subprocess.run(["protoc", f"--python_out={folder}", f"-I{proto}", f"{proto}/granary.proto"], check=True)
    sys.path.insert(0, folder)
    import granary_pb2
    return granary_pb2


pb = schema()


class Failed(Exception):
    """The work cannot be done: exit status 1."""


class Broken(Exception):
    """The connection broke."""


class Request:
    def __init__(self, kind, message, done, fd):
        self.kind, self.message, self.done, self.fd = kind, message, done, fd
        self.body = message.SerializeToString()
        self.sent = False
        self.counted = False  # a release that the broker's set already leaves out


class Recall:
    def __init__(self, recall, count, host, notice_ms):
        self.id, self.open, self.host = recall, count, host  # host None: any
        self.overdue_at = time.monotonic() + notice_ms / 1000
        self.prefer = collections.Counter()

    def accepts(self, host):
        return self.host is None or self.host == host


class Task:
    def __init__(self, host):
        self.host, self.since = host, time.monotonic()
        self.gate = None  # of a task that waits for its claim
        self.claim = 0


class Client:
    def __init__(self, environ, claims=False):
        self.path = environ["GRANARY_SOCKET"]
        self.command = environ["GRANARY_KIT_TASK"]
        self.to_start = int(environ["GRANARY_KIT_TASKS"])
        self.want, self.min = int(environ["GRANARY_KIT_WANT"]), int(environ["GRANARY_KIT_MIN"])
        self.terms = pb.Terms(label=environ["GRANARY_KIT_LABEL"], chunk_size=int(environ["GRANARY_KIT_CHUNK"]),
                              want=self.want, min=self.min, flags=SHRINKABLE | GROWABLE | RECALLABLE)
        self.claims = claims
        self.socket, self.input = None, b""
        self.session, self.token = 0, b""
        self.requests, self.next_number = {}, 1  # unanswered, by number
        self.allocation, self.version, self.live, self.ended = 0, 0, False, None
        self.held = collections.Counter()
        self.tasks = {}  # by pid
        self.recalls, self.over = {}, set()
        self.durations = collections.deque(maxlen=32)
        self.wake, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    # ---- the connection ----

    def hello(self):
        return pb.Hello(version=1, program="client.py", session=self.session, token=self.token)

    def connect(self):
        """Says hello, and waits for the welcome. Broken, Failed."""
        self.socket, self.input = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM), b""
        try:
            self.socket.connect(self.path)
        except OSError as error:
            raise Broken(str(error)) from None
        self.write(pb.TYPE_HELLO, 0, 0, self.hello().SerializeToString())
        kind, _, body = self.receive()
        if kind == pb.TYPE_ERROR:
            raise (Broken if self.session else Failed)(pb.Error.FromString(body).text)
        if kind != pb.TYPE_WELCOME:
            raise Failed(f"type {kind} instead of a welcome")
        self.welcomed(pb.Welcome.FromString(body))

    def welcomed(self, welcome):
        if self.session and not welcome.reattached:
            raise Failed("the session is over")
        self.session, self.token = welcome.session, welcome.token
        for request in self.requests.values():
            request.sent = False
        if welcome.reattached:
            self.reattached(welcome)
        self.flush()

    def reattached(self, welcome):
        """The broker's word replaces ours, but for what it has not heard yet."""
        self.held.clear()
        self.recalls.clear()
        for state in welcome.allocations:
            if state.id == self.allocation:  # 0: the answer, which names it, is still to come
                self.adopt(state)
        if self.allocation and not welcome.allocations and self.live:
            self.ended = "it ended while the broker was away"
        for info in welcome.recalls:
            rest = info.asked - info.released - info.withdrawn - info.revoked
            self.recalls[info.id] = Recall(info.id, rest, None if info.any_host else info.host, info.deadline_ms)
        for number, request in self.requests.items():
            if request.kind == pb.TYPE_RELEASE:
                request.counted = number <= welcome.acked
                if not request.counted and request.message.recall in self.recalls:
                    self.recalls[request.message.recall].open -= sum(e.chunks for e in request.message.extents)

    def again(self):
        """Attaches again, for up to a minute."""
        self.socket.close()
        until = time.monotonic() + 60
        while True:
            try:
                self.connect()
                return
            except Broken as why:
                if not self.session or time.monotonic() > until:
                    raise Failed(f"no broker: {why}") from None
                self.socket.close()
                time.sleep(0.02)

    def write(self, kind, number, acked, body, fd=None):
        data = HEADER.pack(len(body), kind, HAS_FD if fd is not None else 0, number, acked) + body
        try:
            if fd is not None:
                data = data[socket.send_fds(self.socket, [data], [fd]):]
            self.socket.sendall(data)
        except OSError as error:
            if error.errno in (errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN):
                return  # what was said before is still to be read
            raise

    def read(self):
        try:
            data = self.socket.recv(1 << 16)
        except ConnectionError:
            data = b""
        if not data:
            raise Broken("closed")
        self.input += data

    def frame(self):
        """The next whole frame, or None."""
        if len(self.input) < HEADER.size:
            return None
        length, kind, _, number, _ = HEADER.unpack_from(self.input)
        if length > BODY_MAX:
            raise Failed("the broker announces too long a message")
        if len(self.input) < HEADER.size + length:
            return None
        body, self.input = self.input[HEADER.size:HEADER.size + length], self.input[HEADER.size + length:]
        return kind, number, body

    def receive(self):
        while (frame := self.frame()) is None:
            self.read()
        return frame

    # ---- requests ----

    def acked(self):
        return min(self.requests, default=self.next_number) - 1

    def request(self, kind, message, done=None, fd=None):
        self.requests[self.next_number] = Request(kind, message, done, fd)
        self.next_number += 1
        self.flush()

    def flush(self):
        for number in sorted(self.requests):
            request = self.requests[number]
            if not request.sent and number <= self.acked() + WINDOW:
                request.sent = True
                self.write(request.kind, number, self.acked(), request.body, request.fd)

    def replied(self, number, reply):
        request = self.requests.pop(number)
        if reply.HasField("allocation"):
            self.changed(reply.allocation)
        if request.done:
            request.done(request, reply)
        self.flush()

    # ---- what the broker says ----

    def handle(self, kind, number, body):
        if kind == pb.TYPE_REPLY:
            self.replied(number, pb.Reply.FromString(body))
        elif kind == pb.TYPE_CHANGED:
            self.changed(pb.AllocationState.FromString(body))
        elif kind == pb.TYPE_ENDED:
            ended = pb.AllocationEnded.FromString(body)
            if ended.allocation.id == self.allocation:
                self.ended = ended.text or f"status {ended.status}"
                self.held.clear()
        elif kind == pb.TYPE_ASK:
            self.asked(pb.Ask.FromString(body))
        elif kind == pb.TYPE_RECALL:
            self.recalled(pb.Recall.FromString(body))
        elif kind == pb.TYPE_PREFER:
            self.preferred(pb.Prefer.FromString(body))
        elif kind == pb.TYPE_WITHDRAW:
            self.withdrawn(pb.Withdraw.FromString(body).recall)
        elif kind == pb.TYPE_ERROR:
            raise Broken(pb.Error.FromString(body).text)

    def adopt(self, state):
        self.version, self.live = state.version, state.state >= 2
        self.held = collections.Counter({extent.host: extent.chunks for extent in state.extents})

    def changed(self, state):
        if state.id == self.allocation and state.version > self.version:
            self.adopt(state)

    def asked(self, ask):
        if ask.allocation == self.allocation:
            self.offer(0, None if ask.any_host else ask.host)

    def recalled(self, push):
        if push.allocation != self.allocation or push.recall in self.recalls or push.recall in self.over:
            return
        recall = Recall(push.recall, push.count, None if push.any_host else push.host, push.notice_ms)
        self.recalls[recall.id] = recall
        self.give()
        if recall.open > 0:
            self.offer(recall.id, recall.host)

    def preferred(self, prefer):
        if prefer.recall in self.recalls:
            self.recalls[prefer.recall].prefer = collections.Counter({e.host: e.chunks for e in prefer.extents})

    def withdrawn(self, recall):
        self.over.add(recall)
        self.recalls.pop(recall, None)

    # ---- what is held, and what goes ----

    def leaving(self, host):
        return sum(extent.chunks for request in self.requests.values()
                   if request.kind == pb.TYPE_RELEASE and not request.counted
                   for extent in request.message.extents if extent.host == host)

    def stays(self, host):
        return max(0, self.held[host] - self.leaving(host))

    def running(self, host):
        return sum(task.host == host for task in self.tasks.values())

    def idle(self, host):
        return max(0, self.stays(host) - self.running(host))

    def takes(self, recall, host):
        """How many chunks of this host the recall takes as they become idle."""
        if not recall.accepts(host) or recall.open <= 0:
            return 0
        if not recall.prefer or time.monotonic() >= recall.overdue_at:
            return recall.open
        elsewhere = sum(min(n, self.stays(h)) for h, n in recall.prefer.items() if h != host and recall.accepts(h))
        return max(min(recall.prefer[host], recall.open), recall.open - elsewhere)

    def release(self, recall, host, chunks):
        self.request(pb.TYPE_RELEASE, pb.Release(allocation=self.allocation, recall=recall.id,
                                                 extents=[pb.Extent(host=host, chunks=chunks)]), self.released)
        recall.open -= chunks
        recall.prefer[host] -= min(chunks, recall.prefer[host])
        if recall.open <= 0:
            self.withdrawn(recall.id)

    def released(self, request, reply):
        if reply.status < 0:
            self.withdrawn(request.message.recall)  # the broker asks again for what it wants

    def give(self):
        for recall in list(self.recalls.values()):
            for host in sorted(self.held, key=lambda h: (-recall.prefer[h], self.held[h], h)):
                chunks = min(self.idle(host), self.takes(recall, host))
                if chunks > 0:
                    self.release(recall, host, chunks)

    def expected_ms(self, task):
        """How long it will still run, from those that have ended; None: no idea."""
        age = time.monotonic() - task.since
        longer = sorted(d for d in self.durations if d > age)
        return max(1, int((longer[len(longer) // 2] - age) * 1000)) if longer else None

    def items(self, host):
        chunks = [(0, h) for h in self.held for _ in range(self.idle(h))]
        chunks += [(self.expected_ms(task), task.host) for task in self.tasks.values()]
        fits = [(ms, h) for ms, h in chunks if host is None or h == host]
        return sorted(fits, key=lambda item: (item[0] is None, item[0] or 0))

    def could_go(self):
        return max(0, sum(self.stays(h) for h in self.held) - self.min - sum(r.open for r in self.recalls.values()))

    def offer(self, recall, host):
        most = self.could_go() + (self.recalls[recall].open if recall else 0)
        if not recall and host is None:
            most += sum(r.open for r in self.recalls.values())
        items = [pb.OfferItem(host=h, known=ms is not None, free_in_ms=ms or 0) for ms, h in self.items(host)[:most]]
        self.request(pb.TYPE_OFFER, pb.Offer(allocation=self.allocation, recall=recall, items=items), self.offered)

    def offered(self, request, reply):
        if reply.status == OFFER_NONE:
            self.withdrawn(request.message.recall)

    # ---- tasks ----

    def begin(self, host):
        """A task in a chunk of this host; with claims, behind a gate until its claim is there."""
        task = Task(host)
        gate_out, gate_in = os.pipe2(os.O_CLOEXEC)
        pid = os.fork()
        if pid == 0:
            try:
                os.close(gate_in)
                if not self.claims or os.read(gate_out, 1):
                    os.execv(self.command, [self.command, str(host)])
            finally:
                os._exit(127)
        os.close(gate_out)
        self.tasks[pid] = task
        if not self.claims:
            os.close(gate_in)
            return
        task.gate = gate_in
        message = pb.Claim(allocation=self.allocation, host=host, chunks=1, command="task")
        self.request(pb.TYPE_CLAIM, message, lambda request, reply: self.claimed(request, reply, pid), os.pidfd_open(pid))

    def claimed(self, request, reply, pid):
        os.close(request.fd)
        task = self.tasks.get(pid)
        if reply.status < 0:
            self.ended = reply.text or "a claim failed"  # the child ends at its gate, which is closed with us
        elif task:
            task.claim = reply.claim
            os.write(task.gate, b"g")
        if task:
            os.close(task.gate)
            task.gate = None

    def start_tasks(self):
        for host in sorted(self.held):
            while self.may_start(host):
                self.to_start -= 1
                self.begin(host)

    def may_start(self, host):
        return (self.to_start > 0 and self.live and not self.ended and self.idle(host) > 0
                and not any(self.takes(recall, host) for recall in self.recalls.values()))

    def reap(self):
        while self.tasks:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            task = self.tasks.pop(pid)
            self.durations.append(time.monotonic() - task.since)
            if status and not self.ended:
                raise Failed(f"a task ended with status {status}")
            if task.claim:
                self.request(pb.TYPE_CLOSE, pb.Close(claim=task.claim, kill=True))
            self.task_ended()

    def task_ended(self):
        self.give()
        if self.recalls:
            self.offer(0, None)

    # ---- life ----

    def turn(self):
        try:
            if self.live and not self.ended:
                self.give()
                self.start_tasks()
            ready, _, _ = select.select([self.socket, self.wake], [], [])
            if self.wake in ready:
                os.read(self.wake, 512)
            if self.socket in ready:
                self.read()
                while (frame := self.frame()) is not None:
                    self.handle(*frame)
            self.reap()
        except Broken:
            self.again()
            self.reap()

    def allocated(self, _request, reply):
        if reply.status < 0:
            raise Failed(reply.text or f"refused with status {reply.status}")
        self.allocation = reply.allocation.id
        self.changed(reply.allocation)

    def done(self):
        return self.to_start == 0 and not self.tasks or self.ended and not self.tasks

    def leave(self):
        """Everything back, and goodbye."""
        rest = [pb.Extent(host=host, chunks=self.stays(host)) for host in self.held if self.stays(host) > 0]
        if self.live and not self.ended and rest:
            self.request(pb.TYPE_RELEASE, pb.Release(allocation=self.allocation, extents=rest))
        while self.requests and not (self.ended and not self.session):
            self.turn()
        self.goodbye()

    def goodbye(self):
        self.write(pb.TYPE_GOODBYE, 0, 0, b"")
        self.socket.close()

    def main(self):
        self.connect()
        self.request(pb.TYPE_ALLOCATE, pb.Allocate(terms=self.terms), self.allocated)
        while not self.done():
            self.turn()
        failed = self.ended if self.to_start > 0 else None
        self.leave()
        if failed:
            raise Failed(failed)

    def run(self):
        try:
            self.main()
        except (Failed, Broken) as why:
            print(f"client.py: {why}", file=sys.stderr)
            self.socket.close()
            while self.tasks:  # they run on; nothing is killed
                try:
                    self.tasks.pop(os.wait()[0], None)
                except ChildProcessError:
                    break
            return 1
        return 0


if __name__ == "__main__":
    sys.exit(Client(os.environ, claims="--claims" in sys.argv[1:]).run())

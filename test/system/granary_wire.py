"""Raw frames for tests that misbehave: the schema is compiled by protoc when it is first needed.

Nothing here is shared with the C code, so that the tests also judge the wire format itself.
"""
import array
import atexit
import importlib
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HEADER = struct.Struct("<IHHQQ")
HAS_FD = 1
VERSION = 1
BODY_MAX = 1 << 20
BODY_MAX_HELLO = 4 << 10

_pb = None


def pb():
    """The module that protoc makes of proto/granary.proto."""
    global _pb
    if _pb is None:
        folder = tempfile.mkdtemp(prefix="granary-wire-")
        atexit.register(shutil.rmtree, folder, True)
        subprocess.run(["protoc", f"--python_out={folder}", f"-I{ROOT}/proto", f"{ROOT}/proto/granary.proto"], check=True)
        sys.path.insert(0, folder)
        _pb = importlib.import_module("granary_pb2")
    return _pb


def header(length, kind, number=0, acked=0, flags=0):
    return HEADER.pack(length & 0xFFFFFFFF, kind, flags, number, acked)


def frame(kind, message=None, number=0, acked=0, flags=0):
    body = message.SerializeToString() if message is not None else b""
    return header(len(body), kind, number, acked, flags) + body


class Closed(Exception):
    """The broker closed the connection; `error` is its Error message, or None."""

    def __init__(self, error):
        super().__init__(error.text if error else "closed without an Error")
        self.error = error


class Wire:
    """One connection that speaks frames, for good or ill."""

    def __init__(self, path, timeout=10.0):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(timeout)
        self.timeout = timeout
        self.socket.connect(path)
        self.number = 0
        self.acked = 0
        self.pushes = []
        self.welcome = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def raw(self, data, fds=()):
        if fds:
            ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))]
            sent = self.socket.sendmsg([data], ancillary)
            data = data[sent:]
        if data:
            self.socket.sendall(data)

    def send(self, kind, message=None, number=0, acked=0, flags=0, fd=None):
        self.raw(frame(kind, message, number, acked, flags | (HAS_FD if fd is not None else 0)),
                 () if fd is None else (fd,))

    def _exactly(self, n):
        data = b""
        while len(data) < n:
            try:
                part = self.socket.recv(n - len(data))
            except ConnectionResetError:
                part = b""
            if not part:
                raise Closed(None)
            data += part
        return data

    def receive(self):
        """(type, number, body bytes) of the next frame; Closed at the end or on an Error."""
        length, kind, _, number, _ = HEADER.unpack(self._exactly(HEADER.size))
        assert length <= BODY_MAX, "the broker itself sent too large a frame"
        body = self._exactly(length)
        if kind == pb().TYPE_ERROR:
            error = pb().Error.FromString(body)
            raise Closed(error)
        return kind, number, body

    def hello(self, session=0, token=b"", version=VERSION):
        self.send(pb().TYPE_HELLO, pb().Hello(version=version, program="test", session=session, token=token))
        kind, _, body = self.receive()
        assert kind == pb().TYPE_WELCOME, kind
        self.welcome = pb().Welcome.FromString(body)
        self.number = self.welcome.acked
        self.acked = self.welcome.acked
        return self.welcome

    def request(self, kind, message, fd=None, number=None):
        """Sends a numbered request and waits for its Reply; pushes that come between are kept."""
        if number is None:
            self.number += 1
            number = self.number
        self.send(kind, message, number=number, acked=self.acked, fd=fd)
        return self.reply(number)

    def reply(self, number):
        while True:
            kind, of, body = self.receive()
            if kind == pb().TYPE_REPLY and of == number:
                self.acked = max(self.acked, number)
                return pb().Reply.FromString(body)
            self.pushes.append((kind, body))

    def push(self, kind, parse, timeout=10.0):
        """The next push of this type, among those kept and those to come."""
        deadline = time.monotonic() + timeout
        while True:
            for index, (of, body) in enumerate(self.pushes):
                if of == kind:
                    del self.pushes[index]
                    return parse.FromString(body)
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"no push of type {kind} in {timeout} s")
            self.socket.settimeout(left)
            try:
                of, _, body = self.receive()
            finally:
                self.socket.settimeout(self.timeout)
            self.pushes.append((of, body))

    def query(self):
        """A whole snapshot as one QueryReply."""
        self.send(pb().TYPE_QUERY, pb().Query(what=pb().Query.SNAPSHOT), number=self.number)
        whole = pb().QueryReply()
        while True:
            kind, _, body = self.receive()
            if kind != pb().TYPE_QUERY_REPLY:
                self.pushes.append((kind, body))
                continue
            part = pb().QueryReply.FromString(body)
            whole.MergeFrom(part)
            if not part.more:
                whole.more = False
                return whole

    def allocate(self, chunk_size, want, minimum=0, flags=0, label="test", wait_ms=0):
        terms = pb().Terms(label=label, chunk_size=chunk_size, want=want, min=minimum, flags=flags, wait_ms=wait_ms)
        return self.request(pb().TYPE_ALLOCATE, pb().Allocate(terms=terms))

    def until_closed(self, limit=200):
        """Reads to the end; returns the Error that came before it, or None. Fails when it stays open."""
        try:
            for _ in range(limit):
                self.receive()
        except Closed as closed:
            return closed.error
        raise AssertionError("the connection stayed open")

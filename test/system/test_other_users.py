"""What an ordinary user may not do to another's leases. Needs root, to become two users."""
import json
import os
import subprocess

import pytest

import granary_wire

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user needs root")
MIB = 1 << 20
STRANGER = 65534
DENIED, NOT_FOUND = -7, -8


def as_stranger(function):
    """What the function returns in a child process of another user (JSON). It needs no file of this clone."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(read)
            os.setgroups([])
            os.setresgid(STRANGER, STRANGER, STRANGER)
            os.setresuid(STRANGER, STRANGER, STRANGER)
            os.write(write, json.dumps(function()).encode())
            status = 0
        except BaseException as error:  # the test sees it as what came through the pipe
            os.write(write, json.dumps(repr(error)).encode())
        finally:
            os._exit(status)
    os.close(write)
    with os.fdopen(read) as f:
        said = json.load(f)
    assert os.waitpid(child, 0)[1] == 0, said
    return said


def trespass(broker, pb, welcome, own, claim, task, name):
    """Everything that a stranger might try; the status of each."""
    host = own.extents[0].host
    with granary_wire.Wire(broker.socket) as wire:
        session = wire.hello().session
        mine = wire.allocate(MIB, 1)

        told = {}

        def ask(kind, message, **more):
            reply = wire.request(getattr(pb, "TYPE_" + kind), message, **more)
            if reply.status == DENIED:
                told[kind] = [field.name for field, _ in reply.ListFields()]
            return reply.status

        answers = {
            "mine": mine.status,
            "release": ask("RELEASE", pb.Release(allocation=own.id, extents=[pb.Extent(host=host, chunks=1)])),
            "release_n": ask("RELEASE_N", pb.ReleaseN(allocation=own.id, count=1)),
            "claim": ask("CLAIM", pb.Claim(allocation=own.id, host=host, chunks=1)),
            "want": ask("WANT", pb.Want(allocation=own.id, want=9)),
            "transfer": ask("TRANSFER", pb.Transfer(allocation=own.id, session=session)),
            "cancel": ask("CANCEL", pb.Cancel(allocation=own.id)),
            "release_foreign": ask("RELEASE_FOREIGN", pb.ReleaseForeign(allocation=own.id)),
            "shrink": ask("SHRINK", pb.Shrink(claim=claim, chunks=1)),
            "empty": ask("EMPTY", pb.Empty(claim=claim)),
            "close": ask("CLOSE", pb.Close(claim=claim, kill=True)),
            "drain": ask("DRAIN", pb.Drain(host=name)),
            "priority": ask("ALLOCATE", pb.Allocate(terms=pb.Terms(label="x", chunk_size=MIB, want=1, priority=5))),
            "enter": ask("ENTER", pb.Enter(claim=claim), fd=os.pidfd_open(os.getpid())),
            "take_process": ask("CLAIM", pb.Claim(allocation=mine.allocation.id, host=host, chunks=1), fd=os.pidfd_open(task)),
        }
        answers["told"] = told
        wire.send(pb.TYPE_GOODBYE, pb.Goodbye())
        wire.until_closed()
    try:
        with granary_wire.Wire(broker.socket) as wire:
            answers["stolen"] = wire.hello(session=welcome.session, token=welcome.token).reattached
    except granary_wire.Closed:
        answers["stolen"] = False
    return answers


def test_a_stranger_touches_nothing(broker):
    pb = granary_wire.pb()
    wire = broker.wire()
    welcome = wire.hello()
    own = wire.allocate(64 * MIB, 2).allocation
    task = subprocess.Popen(["sleep", "1000"])
    message = pb.Claim(allocation=own.id, host=own.extents[0].host, chunks=1, command="sleep")
    claim = wire.request(pb.TYPE_CLAIM, message, fd=os.pidfd_open(task.pid))
    assert claim.status == 0, claim
    before = broker.wait(lambda s: any(c["pids"] == [task.pid] for a in s["allocations"] for c in a["claims"]), what="the task is seen")

    name = before["hosts"][0]["name"]
    answers = as_stranger(lambda: trespass(broker, pb, welcome, own, claim.claim, task.pid, name))
    assert answers.pop("stolen") is False, "another user's session was taken over with its token"
    told = answers.pop("told")
    assert {"RELEASE", "CLAIM", "WANT", "SHRINK", "CLOSE"} <= set(told)
    assert all(fields == ["status", "text"] for fields in told.values()), f"a refusal tells of another's lease: {told}"
    assert answers.pop("mine") == 0, "an ordinary user may lease memory"
    allowed = {what: status for what, status in answers.items() if status not in (DENIED, NOT_FOUND)}
    assert not allowed, f"should have been denied: {allowed}"

    after = broker.snapshot()
    mine = [next(a for a in s["allocations"] if a["id"] == own.id) for s in (before, after)]
    assert mine[0]["chunks"] == mine[1]["chunks"] == 2
    assert mine[1]["claims"][0]["pids"] == [task.pid]
    assert task.poll() is None
    task.kill()
    task.wait()
    wire.send(pb.TYPE_GOODBYE, pb.Goodbye())
    wire.until_closed()
    broker.wait_idle()

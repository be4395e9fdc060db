"""What an ordinary user may not do to another's leases. Needs root, to become two users."""
import json
import os
import subprocess
import sys

import pytest

import granary_wire

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user needs root")
MIB = 1 << 20
STRANGER = 65534

# Runs as the other user; prints what the broker answered.
SCRIPT = """
import json, os, sys
sys.path.insert(0, {tests!r})
import granary_wire
wire = granary_wire.Wire({socket!r})
os_uid = os.getuid()
pb = granary_wire.pb()
welcome = wire.hello()
extents = [pb.Extent(host={host}, chunks=1)]
own = wire.allocate(1 << 20, 1)
answers = dict(
    uid=os_uid,
    release=wire.request(pb.TYPE_RELEASE, pb.Release(allocation={allocation}, extents=extents)).status,
    release_n=wire.request(pb.TYPE_RELEASE_N, pb.ReleaseN(allocation={allocation}, count=1)).status,
    claim=wire.request(pb.TYPE_CLAIM, pb.Claim(allocation={allocation}, host={host}, chunks=1)).status,
    want=wire.request(pb.TYPE_WANT, pb.Want(allocation={allocation}, want=9)).status,
    transfer=wire.request(pb.TYPE_TRANSFER, pb.Transfer(allocation={allocation}, session=welcome.session)).status,
    cancel=wire.request(pb.TYPE_CANCEL, pb.Cancel(allocation={allocation})).status,
    release_foreign=wire.request(pb.TYPE_RELEASE_FOREIGN, pb.ReleaseForeign(allocation={allocation})).status,
    close=wire.request(pb.TYPE_CLOSE, pb.Close(claim={claim}, kill=True)).status,
    drain=wire.request(pb.TYPE_DRAIN, pb.Drain(host={name!r})).status,
    priority=wire.request(pb.TYPE_ALLOCATE, pb.Allocate(terms=pb.Terms(label="x", chunk_size=1 << 20, want=1, priority=5))).status,
    mine=own.status,
    enter_foreign=wire.request(pb.TYPE_CLAIM, pb.Claim(allocation=own.allocation.id, host={host}, chunks=1), fd=os.pidfd_open({pid})).status,
)
try:
    other = granary_wire.Wire({socket!r})
    answers["steal"] = other.hello(session={session}, token={token!r}).reattached
except granary_wire.Closed:
    answers["steal"] = False
print(json.dumps(answers))
"""


def test_a_stranger_touches_nothing(broker):
    pb = granary_wire.pb()
    wire = broker.wire()
    welcome = wire.hello()
    own = wire.allocate(64 * MIB, 2).allocation
    host = own.extents[0].host
    task = subprocess.Popen(["sleep", "1000"])
    claim = wire.request(pb.TYPE_CLAIM, pb.Claim(allocation=own.id, host=host, chunks=1, command="sleep"), fd=os.pidfd_open(task.pid))
    assert claim.status == 0, claim
    before = broker.wait(lambda s: any(c["pids"] == [task.pid] for a in s["allocations"] for c in a["claims"]), what="the task is seen")

    script = SCRIPT.format(tests=os.path.dirname(os.path.abspath(__file__)), socket=broker.socket, host=host, allocation=own.id, claim=claim.claim,
                           name=before["hosts"][0]["name"], session=welcome.session, token=welcome.token, pid=task.pid)
    done = subprocess.run([sys.executable, "-c", script], user=STRANGER, group=STRANGER, extra_groups=[], capture_output=True, text=True,
                          cwd="/", env={**broker.env, "HOME": "/"}, timeout=60)
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout)
    assert answers.pop("uid") == STRANGER
    assert answers.pop("steal") is False, "another user's session was taken over with its token"
    assert answers.pop("mine") == 0, "an ordinary user may lease memory"
    refused = {name: status for name, status in answers.items() if status not in (-7, -8)}
    assert not refused, f"should have been DENIED: {refused}"

    after = broker.snapshot()
    mine = [next(a for a in s["allocations"] if a["id"] == own.id) for s in (before, after)]
    assert mine[0]["chunks"] == mine[1]["chunks"] == 2
    assert mine[1]["claims"][0]["pids"] == [task.pid]
    assert task.poll() is None
    task.kill()
    task.wait()
    wire.send(pb.TYPE_GOODBYE, pb.Goodbye())
    broker.wait_idle()

"""What clients ask before the agent has told its host's memory: it waits, and is told as soon as it can be known."""
import os
import shutil

import broker as brokers
import processes
from granary_wire import pb
from programs import BIN

TIB = 1 << 40
NO_WAIT = 1 << 8
HELD_BACK = "#!/bin/sh\n: >{folder}/came\nread -r _ <{folder}/go\nexec {agent} \"$@\"\n"


class HeldBack:
    """A granaryd whose agent starts only when let_go() is called."""

    def __init__(self, make_broker, folder, monkeypatch, **options):
        self.folder = folder
        os.mkfifo(folder / "go")
        for name in ("granaryd", "granary-broker"):
            shutil.copy(os.path.join(BIN, name), folder / name)
        agent = folder / "granary-agent"
        agent.write_text(HELD_BACK.format(folder=folder, agent=os.path.join(BIN, "granary-agent")))
        agent.chmod(0o755)
        os.chmod(folder, 0o711)
        self.broker = make_broker(start=False, **options)
        with monkeypatch.context() as patch:
            patch.setattr(brokers, "BIN", str(folder))
            self.ready = self.broker.spawn()
        processes.wait_for((folder / "came").exists, 20, "the agent that is held back")

    def let_go(self):
        (self.folder / "go").write_text("go\n")
        assert brokers._read_within(self.ready, 20), self.broker.text()
        os.close(self.ready)
        self.broker.note()


def test_requests_before_the_first_hello(make_broker, tmp_path, monkeypatch):
    held = HeldBack(make_broker, tmp_path, monkeypatch, memory="100T")
    broker = held.broker
    wire = broker.wire()
    wire.hello()
    large, now, small = (wire.allocate(size, 1, flags=flags) for size, flags in
                         ((50 * TIB, 0), (50 * TIB, NO_WAIT), (64 << 20, 0)))
    assert (large.status, large.reason) == (1, "no host that can serve it is up")
    assert now.status == -5, now
    assert small.status == 1, small
    never = wire.allocate(101 * TIB, 1)
    assert (never.status, never.most) == (-3, 100 * TIB), never  # more than its owner allows
    command = broker.begin("run", "-m", "50T", "--", "true")
    waiting = broker.begin("run", "-m", "64M", "--", "echo", "served")
    refused = broker.run("run", "--now", "-m", "50T", "--", "true")
    assert refused.returncode == 75 and "not free now" in refused.stderr, refused
    broker.wait(lambda s: len(s["queue"]) == 4, what="both commands in the queue")
    held.let_go()
    ended = wire.push(pb().TYPE_ENDED, pb().AllocationEnded)
    assert (ended.allocation.id, ended.status) == (large.allocation.id, -3)
    assert "the most is " in ended.text and 0 < ended.most < 50 * TIB, ended
    _, said = command.communicate(timeout=20)
    assert command.returncode == 122 and "the most is " in said, said
    out, said = waiting.communicate(timeout=20)
    assert (waiting.returncode, out) == (0, "served\n"), said
    changed = wire.push(pb().TYPE_CHANGED, pb().AllocationState)
    assert (changed.id, changed.state) == (small.allocation.id, 2)
    wire.request(pb().TYPE_RELEASE, pb().Release(allocation=small.allocation.id, extents=changed.extents))
    broker.wait_idle()
    broker.check()

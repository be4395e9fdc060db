"""
kill -9 of every part, in every phase of a recall.

A round: a batch fills a pool of 1 GiB, a firm request arrives that needs most of it, chunks are recalled, the request
runs, the batch grows again. At one moment of that one process dies. Whatever it was: every task that nobody killed ends, once; the
request runs; a bystander's firm lease is the same allocation before and after; the books balance; no group, no process stays.

Round N is seeded by GRANARY_SEED + N (default 0), its victim and phase follow from N, so any round can be run again alone.
"""
import os
import random
import signal
import subprocess

import pytest

import granary_wire
import processes
from broker import AGENT, BROKER, SUPERVISOR, Broker

VICTIMS = [SUPERVISOR, BROKER, AGENT, "client", "waiter", "task"]
PHASES = ["the batch runs", "the request waits", "a recall is open", "a part is given", "the request runs", "the request is over"]
ROUNDS = int(os.environ.get("GRANARY_ROUNDS", "40"))
SEED = int(os.environ.get("GRANARY_SEED", "0"))
INPUTS = 30


class Arena:
    """One daemon for many rounds; a new one after a round that failed."""

    def __init__(self):
        self.broker = None

    def enter(self):
        if self.broker is None:
            self.broker = Broker(memory="1G").start()
        return self.broker

    def leave(self):
        broker, self.broker = self.broker, None
        if broker is not None:
            broker.finish()


@pytest.fixture(scope="module")
def arena():
    arena = Arena()
    yield arena
    arena.leave()


def look(broker):
    """A snapshot by a connection of its own, or None while nobody serves."""
    try:
        with broker.wire(timeout=5) as wire:
            wire.hello()
            return wire.query()
    except (OSError, granary_wire.Closed):
        return None
    finally:
        broker.wires.clear()


def reached(phase, books, batch, waiter):
    """Whether the books show this phase, or a later one."""
    if waiter is not None and waiter.poll() is not None or batch.poll() is not None:
        return True
    if books is None:
        return False
    owners = {a.pid: a for a in books.allocations}
    mine = owners.get(batch.pid)
    open_recalls = [r for r in books.recalls if r.released + r.withdrawn + r.revoked < r.asked]
    runs = waiter is not None and waiter.pid in owners and owners[waiter.pid].chunks > 0
    if phase == "the batch runs":
        return mine is not None and sum(c.allocation == mine.id for c in books.claims) >= 3
    if phase == "the request waits":
        return bool(books.queue) or runs
    if phase == "a recall is open":
        return bool(open_recalls) or runs
    if phase == "a part is given":
        return any(r.released for r in open_recalls) or runs
    if phase == "the request runs":
        return runs
    return False


def wait_phase(broker, phase, batch, waiter):
    processes.wait_for(lambda: reached(phase, look(broker), batch, waiter), 30, phase)


def strike(broker, victim, batch, waiter, dice):
    """Kills one; returns whether there was one to kill."""
    if victim in (SUPERVISOR, BROKER, AGENT):
        broker.kill(victim)
        if victim == SUPERVISOR:
            broker.restart()
        return True
    if victim == "task":
        books = look(broker)
        mine = {a.id for a in books.allocations if a.pid == batch.pid}
        pids = [pid for claim in books.claims if claim.allocation in mine for pid in claim.pids]
        pid = dice.choice(pids) if pids else None
        started = pid and processes.start_time(pid)
        return bool(started) and processes.kill(pid, started, signal.SIGKILL)
    job = batch if victim == "client" else waiter
    if job is None or job.poll() is not None:
        return False
    job.kill()
    return True


def begin_batch(broker, folder, dice):
    script = os.path.join(folder, "task")
    with open(script, "w") as f:
        f.write('sleep "$1"\necho "$2" >>' + os.path.join(folder, "done") + "\n")
    inputs = os.path.join(folder, "inputs")
    with open(inputs, "w") as f:
        f.writelines(f"{dice.uniform(0.02, 0.25):.3f} {number}\n" for number in range(INPUTS))
    return broker.begin("harvest", "-m", "192M", "-j", "5", "-a", inputs, "--", "sh", "-c", f"sh {script} {{}}",
                        stdout=subprocess.DEVNULL, stderr=open(os.path.join(folder, "harvest.err"), "w"))


def begin_waiter(broker, folder):
    return broker.begin("run", "-m", "600M", "--", "sh", "-c", f"echo ran >>{folder}/ran; sleep 0.15",
                        stderr=open(os.path.join(folder, "run.err"), "w"))


def lines(folder, name):
    path = os.path.join(folder, name)
    if not os.path.exists(path):
        return []
    with open(path) as f:
        return f.read().split("\n")[:-1]


def story(folder):
    return "\n".join(f"{name}: {' | '.join(lines(folder, name))[-1500:]}" for name in ("harvest.err", "run.err"))


def judge(folder, victim, struck, batch, waiter):
    done = sorted(map(int, lines(folder, "done")))
    assert len(done) == len(set(done)), f"a task ran twice: {done}"
    if victim == "client" and struck:
        assert batch.returncode == -signal.SIGKILL
    elif victim == "task" and struck:
        assert INPUTS - 1 <= len(done) <= INPUTS, f"{len(done)} of {INPUTS}\n{story(folder)}"
    else:
        assert batch.returncode == 0, f"harvest: {batch.returncode}\n{story(folder)}"
        assert done == list(range(INPUTS)), f"{len(done)} of {INPUTS}\n{story(folder)}"
    if victim == "waiter" and struck:
        assert waiter.returncode == -signal.SIGKILL
    else:
        assert waiter.returncode == 0, f"run: {waiter.returncode}\n{story(folder)}"
        assert lines(folder, "ran") == ["ran"]


@pytest.mark.parametrize("number", range(ROUNDS))
def test_round(arena, number, tmp_path):
    dice, folder = random.Random(SEED + number), str(tmp_path)
    victim = VICTIMS[number % len(VICTIMS)]
    phase = PHASES[number // len(VICTIMS) % len(PHASES)]
    broker = arena.enter()
    try:
        play(broker, folder, dice, victim, phase)
    except BaseException as error:
        print(f"round {number}: kill {victim} while {phase}; GRANARY_SEED={SEED}\n{broker.text()[-4000:]}")
        try:
            arena.leave()
        except AssertionError as more:
            raise AssertionError(f"{error}\n{more}") from error
        raise


def play(broker, folder, dice, victim, phase):
    bystander = broker.begin("run", "-m", "32M", "--", "cat", stdin=subprocess.PIPE)
    held = processes.wait_for(lambda: find(look(broker), bystander.pid), 20, "the bystander's lease")
    batch = begin_batch(broker, folder, dice)
    waiter, struck = None, False
    wait_phase(broker, PHASES[0], batch, None)
    if phase == PHASES[0]:
        struck = strike(broker, victim, batch, None, dice)
    waiter = begin_waiter(broker, folder)
    if phase != PHASES[0]:
        if phase == PHASES[-1] and victim != "waiter":
            waiter.wait(60)
        else:
            wait_phase(broker, phase, batch, waiter)
        struck = strike(broker, victim, batch, waiter, dice)

    waiter.wait(60)
    batch.wait(60)
    judge(folder, victim, struck, batch, waiter)
    now = processes.wait_for(lambda: find(look(broker), bystander.pid), 20, "the bystander's lease afterwards")
    assert (now.id, now.chunks, now.chunk_size) == (held.id, held.chunks, held.chunk_size)
    bystander.communicate("", timeout=20)
    assert bystander.returncode == 0
    broker.wait_idle()
    broker.check()
    broker.jobs.clear()


def find(books, pid):
    """The live allocation of a process, once it has chunks and a claim."""
    if books is None:
        return None
    for allocation in books.allocations:
        if allocation.pid == pid and allocation.chunks and any(c.allocation == allocation.id for c in books.claims):
            return allocation
    return None

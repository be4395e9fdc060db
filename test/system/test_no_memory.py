"""The n-th allocation of memory fails, for every n: in the broker, in the agent, in a program that uses the library."""
import os
import re
import signal
import subprocess

import pytest

import granary_wire
import processes
from broker import AGENT, BIN, BROKER, Broker
from faults import ASAN, Faults

pytestmark = pytest.mark.plain  # faults.so stands between the programs and malloc

MIB = 1 << 20
LONG = bool(os.environ.get("GRANARY_LONG"))
NO_MEMORY, AGENT_COULD_NOT, SILENT, ENDED = -15, -11, -12, -18
PASSING = (NO_MEMORY, AGENT_COULD_NOT, SILENT)
GROWABLE, RECALLABLE, SHRINKABLE = 1 << 5, 1 << 6, 1 << 4
TRIES = 25


class Patient:
    """A client that does what libgranary does: it comes back to its session and asks with the same number again."""

    def __init__(self, broker, faults):
        self.broker = broker
        self.faults = faults
        self.wire = self.partner = None
        self.session, self.token, self.number = 0, b"", 0
        self.errors, self.looks = [], 0
        self.connect()

    def connect(self, over=False):
        for _ in range(TRIES):
            try:
                wire = granary_wire.Wire(self.broker.socket, timeout=20)
                welcome = wire.hello(session=self.session, token=self.token)
            except (granary_wire.Closed, OSError) as error:
                self.remember(error)
                continue
            assert over or not self.session or welcome.reattached, "the session was lost"
            self.session, self.token = welcome.session, welcome.token
            pushes = self.wire.pushes if self.wire else []
            if self.wire:
                self.wire.close()
            self.wire = wire
            wire.pushes = pushes
            wire.number = max(self.number, wire.number)
            return welcome
        raise AssertionError(f"no connection: {self.errors}")

    def remember(self, error):
        """A connection may be closed without a word when there was no memory for it; a word must say something."""
        if isinstance(error, granary_wire.Closed) and error.error is not None:
            assert error.error.status in PASSING and len(error.error.text) > 10, error.error
        self.errors.append(str(error))
        self.relent()

    def relent(self):
        """A shortage that does not end by itself ends some time."""
        if len(self.errors) % 5 == 0:
            self.faults.relent()

    def request(self, kind, message, fd=None):
        self.number += 1
        for _ in range(TRIES):
            try:
                reply = self.wire.request(kind, message, fd=fd, number=self.number)
            except (granary_wire.Closed, OSError) as error:
                self.remember(error)
                self.connect()
                continue
            self.wire.acked = self.number
            if reply.status in PASSING:
                assert reply.text, "a refusal says what was wrong"
                self.errors.append(reply.text)
                self.relent()
                self.number += 1
                self.until(lambda w: w.hosts and w.hosts[0].state == "up", "the host is there")
                continue
            return reply
        raise AssertionError(f"never answered: {self.errors}")

    def query(self):
        for _ in range(TRIES):
            try:
                return self.wire.query()
            except (granary_wire.Closed, OSError) as error:
                self.remember(error)
                self.connect()
        raise AssertionError(f"never answered: {self.errors}")

    def goodbye(self):
        """Ends the session: by a word, which may be lost with its connection."""
        for _ in range(TRIES):
            try:
                self.wire.send(granary_wire.pb().TYPE_GOODBYE, granary_wire.pb().Goodbye())
                self.wire.until_closed()
                with granary_wire.Wire(self.broker.socket, timeout=20) as again:
                    if not again.hello(session=self.session, token=self.token).reattached:
                        again.send(granary_wire.pb().TYPE_GOODBYE, granary_wire.pb().Goodbye())
                        again.until_closed()
                        break
            except (granary_wire.Closed, OSError) as error:
                self.remember(error)
            self.connect(over=True)
        self.wire.close()

    def until(self, condition, what):
        """Asks the books until they say so."""
        last = []

        def look():
            last[:] = [self.query()]
            self.looks += 1
            if self.looks % 20 == 0:
                self.faults.relent()
            if self.partner:
                self.partner.query()  # which notices that the broker has died
            return condition(last[0])

        try:
            return processes.wait_for(look, 20, what)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{last}\n{self.errors}\n{self.broker.text()[-3000:]}") from None


def terms(label, want, minimum, flags):
    return granary_wire.pb().Allocate(terms=granary_wire.pb().Terms(label=label, chunk_size=64 * MIB, want=want, min=minimum, flags=flags))


def chunks_of(whole, allocation):
    return sum(a.chunks for a in whole.allocations if a.id == allocation)


def scene(broker, faults, task):
    """Hello, allocate, claim, enter, recall, release, snapshot, goodbye. Returns what was refused on the way."""
    pb = granary_wire.pb()
    giver, taker = Patient(broker, faults), Patient(broker, faults)
    giver.partner = taker
    pidfd = os.pidfd_open(task.pid)
    try:
        pool = giver.request(pb.TYPE_ALLOCATE, terms("pool", 4, 1, GROWABLE | RECALLABLE | SHRINKABLE)).allocation.id
        whole = giver.until(lambda w: chunks_of(w, pool) == 4 and w, "the pool is granted")
        host = whole.hosts[0].id
        claim = giver.request(pb.TYPE_CLAIM, pb.Claim(allocation=pool, host=host, chunks=1, command="sleep"))
        assert claim.status == 0, claim
        entered = giver.request(pb.TYPE_ENTER, pb.Enter(claim=claim.claim), fd=pidfd)
        assert entered.status == 0, entered
        firm = taker.request(pb.TYPE_ALLOCATE, terms("firm", 2, 2, 0))
        assert firm.status in (0, 1), firm
        recall = giver.until(lambda w: list(w.recalls), "chunks are asked back")[0]
        released = giver.request(pb.TYPE_RELEASE, pb.Release(allocation=pool, recall=recall.id, extents=[pb.Extent(host=host, chunks=2)]))
        assert released.status == 0, released
        taker.until(lambda w: chunks_of(w, firm.allocation.id) == 2, "the firm request is granted")
        gone = taker.request(pb.TYPE_RELEASE, pb.Release(allocation=firm.allocation.id, extents=[pb.Extent(host=host, chunks=2)]))
        assert gone.status == 0, gone
        assert giver.request(pb.TYPE_CLOSE, pb.Close(claim=claim.claim, kill=True)).status in (0, 1, ENDED)
    finally:
        os.close(pidfd)
        task.kill()
        task.wait()
        errors = giver.errors + taker.errors
        giver.goodbye()
        taker.goodbye()
    return errors


DEATH = re.compile(r"child=(granary-\w+) (status|signal)=(\d+)")


class Trial:
    """Brokers that are tried with one failure after another; a new one when the supervisor begins to hesitate."""

    def __init__(self, folder, program):
        self.faults = Faults(folder)
        self.program = program
        self.broker = None
        self.begun = 0

    def open(self, n=0, sticky=False):
        self.begun += 1
        self.faults.fail(n, sticky)
        self.broker = Broker(memory="256M", prefix=self.faults.prefix(self.program), asan=ASAN, config="grace = 20s\nsample_ms = 100\n")
        try:
            self.broker.start(60)
        except (granary_wire.Closed, BrokenPipeError):  # it was up, and had no memory for the first connection
            self.faults.relent()
            self.broker.greet()
        return self.broker

    def deaths(self):
        found = DEATH.findall(self.broker.text())
        for program, how, number in found:
            assert how == "status" and int(number) in (1, 5, 6), f"{program} ended with {how} {number}:\n{self.broker.text()}"
        return len(found)

    def judge(self):
        """The books are idle and agree with what there is, and whoever ended said why."""
        deaths = self.deaths()
        said = re.findall(r" error part=|no memory|could not allocate|out of memory", self.broker.text())
        assert not deaths or said, f"it ended without a word:\n{self.broker.text()}"
        self.broker.wait_idle()
        self.broker.check()
        return deaths

    def close(self):
        if self.broker:
            self.faults.fail(0)
            broker, self.broker = self.broker, None
            broker.finish()


@pytest.fixture
def trial(tmp_path):
    made = []

    def make(program):
        made.append(Trial(tmp_path, program))
        return made[-1]

    yield make
    for one in made:
        one.close()


def sleeper():
    return subprocess.Popen(["sleep", "1000"])


def scene_with(trial, n, sticky):
    """One scene in which the n-th allocation fails. True when one did."""
    if trial.broker is None:
        trial.open()
    trial.faults.fail(n, sticky)
    try:
        scene(trial.broker, trial.faults, sleeper())
    except AssertionError as error:
        raise AssertionError(f"allocation {n} failed{' and all after it' if sticky else ''}: {error}") from None
    failed = bool(trial.faults.failed)
    trial.faults.fail(0)
    deaths = trial.deaths()
    if deaths or n % 10 == 0:
        trial.judge()
    if deaths >= 3:
        trial.close()
    return failed


BOTH = pytest.mark.parametrize("sticky", [False, True], ids=["once", "from_then_on"])


@BOTH
@pytest.mark.parametrize("program", [BROKER, AGENT])
def test_in_a_scene(trial, program, sticky):
    one, n = trial(program), 1
    while scene_with(one, n, sticky):
        n += 1
    assert n > 5, "nothing failed, so nothing was shown"
    if one.broker:
        one.judge()


def claimed(broker, faults, task):
    """A client with one claim in which `task` runs. Returns (client, claim)."""
    pb = granary_wire.pb()
    client = Patient(broker, faults)
    pool = client.request(pb.TYPE_ALLOCATE, terms("pool", 1, 1, 0)).allocation.id
    whole = client.until(lambda w: chunks_of(w, pool) == 1 and w, "the chunk is granted")
    claim = client.request(pb.TYPE_CLAIM, pb.Claim(allocation=pool, host=whole.hosts[0].id, chunks=1, command="sleep"))
    pidfd = os.pidfd_open(task.pid)
    try:
        assert client.request(pb.TYPE_ENTER, pb.Enter(claim=claim.claim), fd=pidfd).status == 0
    finally:
        os.close(pidfd)
    return client, claim.claim


def test_a_claim_ends_while_its_agent_has_no_memory(trial):
    """What ends a claim was taken before: killing, seeing it empty, saying so, removing the group."""
    one, task, pb = trial(AGENT), sleeper(), granary_wire.pb()
    try:
        broker = one.open()
        client, claim = claimed(broker, one.faults, task)
        agent = broker.part(AGENT)
        one.faults.fail(1, sticky=True)
        assert client.request(pb.TYPE_CLOSE, pb.Close(claim=claim, kill=True)).status in (0, 1)
        assert task.wait(10) == -signal.SIGKILL
        client.until(lambda w: not w.claims, "the claim is over")
        groups = processes.groups_named(broker.identity)[0]
        processes.wait_for(lambda: not os.path.exists(f"{groups}/c{claim}"), 5, "its group is removed")
        processes.wait_for(lambda: one.faults.failed == agent[0], 5, "the agent could not measure")
        assert broker.part(AGENT) == agent, "it is the same agent"
        assert client.errors == [] and client.looks < 20, "nobody relented"
    finally:
        task.kill()
        task.wait()
    one.faults.relent()
    client.goodbye()
    one.judge()


def test_a_link_is_made_once_there_is_memory(trial):
    """The broker is killed while the agent has no memory even for a new link: its claim outlives both."""
    one, task, pb = trial(AGENT), sleeper(), granary_wire.pb()
    try:
        broker = one.open()
        client, claim = claimed(broker, one.faults, task)
        agent = broker.part(AGENT)
        one.faults.fail(1, sticky=True)
        broker.kill(BROKER)
        processes.wait_for(lambda: broker.text().count("another is asked for") >= 3, 10, "links that could not be made")
        one.faults.relent()
        client.until(lambda w: w.hosts and w.hosts[0].state == "up", "the host is there")
        assert task.poll() is None and broker.part(AGENT) == agent
        assert client.request(pb.TYPE_CLOSE, pb.Close(claim=claim, kill=True)).status in (0, 1)
        assert task.wait(10) == -signal.SIGKILL
    finally:
        task.kill()
        task.wait()
    client.goodbye()
    broker.wait_idle()
    broker.check()


@BOTH
@pytest.mark.parametrize("program", [BROKER, AGENT])
def test_at_the_start(trial, program, sticky):
    """Whoever dies while it starts is started again, and that one serves."""
    one, n, tried = trial(program), 1 + 3 * sticky, 0
    while True:
        one.open(n, sticky)
        failed = one.faults.failed
        one.faults.fail(0)
        scene(one.broker, one.faults, sleeper())
        one.judge()
        one.close()
        if not failed:
            break
        n, tried = n + (1 if LONG else 97), tried + 1
    assert tried > 0, "nothing failed, so nothing was shown"


def test_a_broker_that_starves_at_its_links_is_started_again(trial):
    """It opened its books and has no memory for the link to its agent, nor will it have: another process serves."""
    one = trial(BROKER)
    one.open()
    n = one.faults.seen - 40  # the link is among the last that a start needs
    one.close()
    for n in range(max(1, n), n + 40):
        broker = one.open(n, sticky=True)
        if "no memory to speak with the agent: the broker ends" in broker.text():
            break
        one.close()
    else:
        pytest.fail("none of them was an allocation of the link")
    assert DEATH.findall(broker.text()) == [(BROKER, "status", "6")]
    one.faults.fail(0)
    scene(broker, one.faults, sleeper())
    one.judge()


@BOTH
@pytest.mark.parametrize("words", [
    ["run", "-m", "64M", "--", "true"],
    ["harvest", "-m", "64M", "-j", "2", "--", "true", ":::", "1", "2", "3"],
    ["snapshot"],
], ids=["run", "harvest", "snapshot"])
def test_in_a_program_that_uses_the_library(broker, tmp_path, words, sticky):
    """It does its work, or ends with a sentence; it is never killed by a signal, and its leases end with it."""
    faults, n, good = Faults(tmp_path), 1, 0
    env = {**broker.env, **faults.environment("granary")}
    env["ASAN_OPTIONS"] += ASAN
    while True:
        faults.fail(n, sticky)
        job = subprocess.Popen([os.path.join(BIN, "granary"), *words], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True, cwd=broker.folder)
        broker.jobs.append(job)
        try:
            said = job.communicate(timeout=2)[1]
        except subprocess.TimeoutExpired:  # it tries again and again, for a minute: now there is memory
            assert sticky, f"n={n}: it hangs"
            faults.relent()
            said = job.communicate(timeout=20)[1]
        assert 0 <= job.returncode < 128, f"n={n}: {job.returncode}\n{said}"
        assert job.returncode == 0 or said.strip(), f"n={n}: status {job.returncode} without a word"
        assert "(null)" not in said, said
        good += job.returncode == 0
        if not faults.failed:
            break
        if n % 31 == 0:
            broker.wait_idle()
        n += 1 if LONG else 11 if sticky else 3
    assert n > 10 and (good > 0 or not LONG and sticky)
    broker.wait_idle()
    broker.check()

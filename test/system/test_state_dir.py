"""State directories that are damaged, foreign, shared or full: a clear refusal, and nothing made worse."""
import os
import re
import shutil
import sqlite3
import stat
import subprocess

import pytest

import granary_wire
from broker import BROKER


RUNNING, STATE, STORE = 3, 4, 5
MIB = 1 << 20


def contents(folder):
    found = {}
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name), "rb") as f:
            found[name] = f.read()
    return found


@pytest.fixture
def used_state(make_broker, tmp_path):
    """A state directory that a broker has used and left in order."""
    broker = make_broker()
    assert broker.run("run", "-m", "64M", "--", "true").returncode == 0
    broker.wait_idle()
    assert broker.stop() == 0
    state = str(tmp_path / "state")
    shutil.copytree(broker.state, state)
    return state


def test_used_state_is_taken_up(make_broker, used_state):
    broker = make_broker(state=used_state)
    broker.wait_idle()
    broker.check()


def damage(state, how):
    path = os.path.join(state, "journal.db")
    if how == "empty":
        open(path, "wb").close()
    elif how == "text":
        with open(path, "wb") as f:
            f.write(b"this is no database\n" * 400)
    elif how == "cut":
        os.truncate(path, os.path.getsize(path) // 2)
    elif how == "header":
        with open(path, "r+b") as f:
            f.write(b"\0" * 100)
    elif how == "pages":
        with open(path, "r+b") as f:
            f.seek(4096)
            f.write(os.urandom(os.path.getsize(path) - 4096))
    elif how == "foreign":
        os.unlink(path)
        database = sqlite3.connect(path)
        database.execute("create table recipes (name text)")
        database.commit()
        database.close()
    for suffix in ("-wal", "-shm"):
        if os.path.exists(path + suffix):
            os.unlink(path + suffix)


@pytest.mark.parametrize("how", ["text", "cut", "header", "pages", "foreign"])
def test_a_damaged_journal_is_refused(make_broker, used_state, how):
    damage(used_state, how)
    before = contents(used_state).get("journal.db")
    broker = make_broker(start=False, state=used_state)
    status, said = broker.refused()
    assert status == STATE, said
    assert "journal.db" in said, "the file is named"
    assert contents(used_state).get("journal.db") == before, "what is damaged is kept as evidence"


def test_a_folder_of_somebody_else_is_refused(make_broker, tmp_path):
    state = tmp_path / "papers"
    state.mkdir(mode=0o755)
    (state / "thesis.tex").write_text("chapter one")
    status, said = make_broker(start=False, state=str(state)).refused()
    assert status == STATE
    assert f"{state} holds no journal of Granary, but \"thesis.tex\": give --state a directory that is empty" in said
    assert contents(state) == {"thesis.tex": b"chapter one"}, "nothing was made in it"
    assert stat.S_IMODE(os.stat(state).st_mode) == 0o755
    done = make_broker(start=False).run("up", "--detach", "--memory", "1G", "--state", str(state), "--socket",
                                        str(tmp_path / "socket"), "--log", str(tmp_path / "log"))
    assert done.returncode == STATE and "thesis.tex" in done.stderr, done


def test_strange_files_beside_a_journal_are_told(make_broker, used_state):
    with open(os.path.join(used_state, "notes"), "w") as f:
        f.write("mine")
    broker = make_broker(state=used_state)
    assert f"state={used_state} \"notes\" is no file of Granary: it is left alone" in broker.text()
    broker.check()
    assert contents(used_state)["notes"] == b"mine"


def test_a_state_directory_that_is_a_file(make_broker, tmp_path):
    path = tmp_path / "state"
    path.write_text("x")
    status, said = make_broker(start=False, state=str(path)).refused()
    assert status == STATE and str(path) in said, said


def test_a_state_directory_that_cannot_be_made(make_broker):
    status, said = make_broker(start=False, state="/proc/nowhere/state").refused()
    assert status == STATE and "/proc/nowhere" in said, said


def test_two_brokers_on_one_state_directory(make_broker):
    first = make_broker()
    second = make_broker(start=False, state=first.state)
    status, said = second.refused()
    assert status == RUNNING, said
    assert first.state in said
    assert re.search(rf"\b{first.process.pid}\b", said), "the first one is named"
    first.check()


def test_two_brokers_on_one_socket(make_broker):
    first = make_broker()
    second = make_broker(start=False)
    second.arguments[second.arguments.index("--socket") + 1] = first.socket
    status, said = second.refused()
    assert status == RUNNING and first.socket in said, said
    first.check()


def test_a_second_broker_for_the_machine(make_broker):
    """Without an amount of its own a second broker would lease the same memory again."""
    try:
        first = make_broker(memory=None)
    except AssertionError as error:
        if "another broker of this machine" not in str(error):
            raise
        pytest.skip("this machine has a broker already")
    status, said = make_broker(start=False, memory=None).refused()
    assert status == RUNNING, said
    assert re.search(rf"\b{first.process.pid}\b", said), "the first one is named"
    third = make_broker(memory="64M")
    third.check()
    first.check()


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a file system of 32 MiB, more than the ballast takes."""
    folder = str(tmp_path / "disk")
    os.mkdir(folder)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m,mode=777", "granary-test", folder], check=True)
    yield folder
    subprocess.run(["umount", folder], check=True)


def fill(folder):
    path = os.path.join(folder, "filler")
    with open(path, "ab", buffering=0) as f:
        for size in (1 << 16, 4096, 512):
            try:
                while True:
                    f.write(b"x" * size)
            except OSError:
                pass
    return path


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_full_disk(small_disk, make_broker):
    """What was granted stays granted, releases still work or wait, and room brings everything back."""
    broker = make_broker(state=os.path.join(small_disk, "state"))
    holder = broker.begin("run", "-m", "64M", "--", "cat", stdin=subprocess.PIPE)
    broker.wait(lambda s: sum(len(a["claims"]) for a in s["allocations"]) == 1, what="the holder runs")
    held = broker.snapshot()["allocations"][0]

    filler = fill(small_disk)
    jobs = [broker.begin("run", "-m", "16M", "--", "true") for _ in range(6)]
    done = sum(job.wait(1) == 0 if ended(job, 3) else 0 for job in jobs)
    os.unlink(filler)

    for job in jobs:
        job.wait(60)
    again = broker.wait(lambda s: any(a["id"] == held["id"] for a in s["allocations"]), what="the lease lives on")
    assert next(a for a in again["allocations"] if a["id"] == held["id"])["chunks"] == held["chunks"]
    holder.communicate("", timeout=20)
    assert holder.returncode == 0
    assert broker.run("run", "-m", "64M", "--", "true").returncode == 0
    broker.wait_idle()
    broker.check()
    assert done <= 6


def ended(job, seconds):
    try:
        job.wait(seconds)
        return True
    except subprocess.TimeoutExpired:
        return False


@pytest.mark.parametrize("call,when", [("fdatasync", 1), ("fdatasync", 3), ("fdatasync", 8)])
def test_a_sync_that_fails_is_not_retried(make_broker, call, when):
    """The broker that could not sync ends and recovers from disk; nothing that was acknowledged is lost."""
    broker = make_broker(config="durability = power\n", asan="detect_leaks=0")  # the leak checker cannot work under a tracer
    pid, _ = broker.part(BROKER)
    wire = broker.wire()
    wire.hello()
    tracer = subprocess.Popen(["strace", "-f", "-o", "/dev/null", "-e", f"trace={call}", "-e", f"inject={call}:error=EIO:when={when}",
                               "-p", str(pid)], stderr=subprocess.PIPE, text=True)
    assert "attached" in tracer.stderr.readline()
    acknowledged, lost = [], 0
    for size in range(1, 15):
        try:
            reply = wire.allocate(size * MIB, 1)
        except (granary_wire.Closed, OSError):
            old, wire = wire, broker.wire(timeout=30)
            again = wire.hello(session=old.welcome.session, token=old.welcome.token)
            assert again.reattached, "the session outlives the broker"
            lost += 1
            continue
        assert reply.status in (0, 1)  # granted, or in the queue until the host was measured again
        acknowledged.append(reply.allocation.id)
    assert lost == 1 and broker.part(BROKER)[0] != pid, "the broker went on after a sync that failed"
    tracer.wait(10)
    tracer.stderr.close()
    whole = wire.query()
    books = {a.id for a in whole.allocations} | {w.allocation.id for w in whole.queue}
    assert set(acknowledged) <= books, "an acknowledged lease was lost"
    broker.check()
    wire.send(granary_wire.pb().TYPE_GOODBYE, granary_wire.pb().Goodbye())
    broker.wait_idle()

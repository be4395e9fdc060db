"""What people type by mistake: each is refused at once, says what was wrong and what to do, and changes nothing."""
import os
import select
import shutil
import signal
import socket
import time

import pytest

import processes
import programs

NEVER, USAGE = 122, 2


def refused(broker, words, status, *said):
    started = time.monotonic()
    done = broker.run(*words, timeout=20)
    assert done.returncode == status, f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
    assert done.stdout == "", done.stdout
    for text in said:
        assert text in done.stderr, f"{words}: {text!r} is not in {done.stderr!r}"
    assert time.monotonic() - started < 10
    return done.stderr


@pytest.fixture(scope="module")
def calm():
    from broker import Broker

    broker = Broker().start()
    yield broker
    broker.wait_idle()
    broker.check()
    broker.finish()


SIZES = ["0", "0M", "-1", "-700M", "", " ", "x", "12Q", "1.2.3G", "M", "0x10M", "1e9", "99999999999999999999", "99999999999G", "16777216T",
         "nan", "inf", "700M,", "--"]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("command", ["run", "harvest"])
def test_sizes(calm, command, size):
    tail = ["--", "true"] + ([":::", "1"] if command == "harvest" else [])
    said = refused(calm, [command, f"-m{size}" if size.startswith("-") and size != "--" else "-m", *([] if size.startswith("-") and size != "--" else [size]), *tail],
                   USAGE)
    assert "-m" in said or "size" in said.lower() or "SIZE" in said


@pytest.mark.parametrize("words, said", [
    (["-m", "700"], "--memory: '700' is 700 bytes, less than any program needs: write 700M for megabytes"),
    (["-m", "3K"], "--memory: '3K' is 3072 bytes, less than any program needs: write a size such as 700M"),
    (["-m"], "'-m' needs a value: -m SIZE"),
    (["-m", "64M", "--hosts", ",,"], "the list of hosts is malformed: write names and labels between single commas, without blanks, such as alpha,!beta"),
    (["-m", "64M", "--hosts", "a b"], "the list of hosts is malformed: write names and labels between single commas, without blanks, such as alpha,!beta"),
    (["-m", "64M", "--hosts"], "'--hosts' needs a value: --hosts FILTER"),
    (["-m", "64M", "-p", "99999999999"], "--priority: '99999999999' is not from -2147483648 to 2147483647"),
])
def test_what_was_left_out_is_named(calm, words, said):
    assert refused(calm, ["run", *words, "--", "true"], USAGE).splitlines()[0] == "granary run: " + said


def test_larger_than_the_machine(calm):
    said = refused(calm, ["run", "-m", "4G", "--", "true"], NEVER)
    assert "3G" in said or "3.0G" in said or "3 GiB" in said or "3.0 GiB" in said, said
    said = refused(calm, ["run", "-m", "1G", "-n", "4", "--", "true"], NEVER)
    assert "3" in said
    said = refused(calm, ["harvest", "-m", "4G", "--", "true", ":::", "1"], NEVER)
    assert len(said.splitlines()) == 1, "there is nothing to sum up"
    assert "3" in said


@pytest.mark.parametrize("chunks", ["0", "-1", "x", "1.5", "4294967296", "99999999999999999999"])
def test_numbers_of_chunks(calm, chunks):
    refused(calm, ["run", "-m", "64M", f"-n{chunks}", "--", "true"], USAGE)


@pytest.mark.parametrize("words", [
    ["run"], ["run", "-m", "64M"], ["run", "-m", "64M", "--"], ["run", "-m"], ["run", "--nonsense", "--", "true"],
    ["harvest"], ["harvest", "-m", "64M"], ["harvest", "-m", "64M", "-j", "0", "--", "true", ":::", "1"],
    ["nonsense"], ["release"], ["release", "x"], ["drain"], ["claim", "-m", "64M"], ["claim", "--pid", "x", "-m", "64M"],
    ["status", "superfluous"],
])
def test_wrong_usage(calm, words):
    said = refused(calm, words, USAGE)
    assert said.startswith("granary"), said


@pytest.mark.parametrize("option", [["--now"], ["--timeout", "5"], ["-t", "5"]])
def test_plan_takes_nothing_about_waiting(calm, option):
    """It never waits."""
    assert f"no option '{option[0]}'" in refused(calm, ["plan", "-m", "64M", *option], USAGE)
    assert option[0] not in calm.run("help", "plan", check=True).stdout


def test_the_nearest_command_is_named(calm):
    assert "harvest" in refused(calm, ["harvset"], USAGE)


def test_commands_that_cannot_be_run(calm):
    assert calm.run("run", "-m", "64M", "--", "/nonexistent/program").returncode == 127
    assert calm.run("run", "-m", "64M", "--", "/dev/null").returncode == 126
    calm.wait_idle()


def test_unknown_names(calm):
    assert calm.run("release", "999999").returncode == 1
    assert calm.run("drain", "no-such-host").returncode == 1
    assert calm.run("claim", "--pid", "999999999", "-m", "64M").returncode != 0
    done = calm.run("run", "--hosts", "no-such-host", "-m", "64M", "--", "true")
    assert done.returncode == 122 and "none with memory to lease has the names" in done.stderr, done


def test_a_hostile_label_and_command(calm):
    name = "x" * 4000
    assert calm.run("run", "-m", "64M", "--", "sh", "-c", ": '" + name + "'").returncode == 0
    assert calm.run("run", "-m", "64M", "--", "printf", "%s", "\x1b]0;owned\x07\n'\"; drop table").returncode == 0
    calm.wait_idle()


def test_no_broker_at_the_socket(calm, tmp_path):
    done = calm.run("--socket", str(tmp_path / "none"), "status")
    assert done.returncode == 69 and "none" in done.stderr, done.stderr


def test_a_socket_of_another_kind(calm, tmp_path):
    path = str(tmp_path / "other")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.bind(path)
        for words in (["status"], ["run", "-m", "64M", "--", "true"]):
            done = calm.run("--socket", path, *words)
            assert (done.returncode, done.stderr) == (125, f"granary {words[0]}: {path} is a socket, but not a broker's: name another\n")


def test_a_broker_that_was_stopped_is_told_from_none(make_broker):
    """Nothing waits for it without a word: its socket takes connections, which nobody answers."""
    broker = make_broker()
    pid, started = broker.part("granary-broker")
    processes.kill(pid, started, signal.SIGSTOP)
    try:
        words = [["status"], ["plan", "-m", "64M"], ["log"], ["release", "1"], ["run", "-m", "64M", "--", "true"],
                 ["run", "--now", "-m", "64M", "--", "true"], ["harvest", "-q", "-m", "64M", "--", "true", ":::", "1"]]
        jobs = [(command[0], broker.begin(*command)) for command in words]
        for name, job in jobs:
            said = job.communicate(timeout=20)[1]
            assert job.returncode == 69 and said.startswith(f"granary {name}: the broker (pid "), (name, job.returncode, said)
            assert said.endswith(f") at {broker.socket} does not answer: it was stopped or is stuck; `kill -CONT` lets a stopped one go on, "
                                 "else end it and start another with `granary up`\n"), said
    finally:
        processes.kill(pid, started, signal.SIGCONT)
    broker.wait_idle()
    broker.check()


def test_an_agent_that_was_stopped_is_told(make_broker):
    """The memory is granted, but nobody can set its limit: that is said, and it goes on when the agent does."""
    broker = make_broker()
    pid, started = broker.part("granary-agent")
    processes.kill(pid, started, signal.SIGSTOP)
    try:
        job = broker.begin("run", "-m", "64M", "--", "true")
        assert select.select([job.stderr], [], [], 15)[0], "nothing is said"
        said = job.stderr.readline()
        assert said.startswith("granary run: the memory is there, but the agent of this host, which sets the limit, does not answer"), said
        assert job.poll() is None
    finally:
        processes.kill(pid, started, signal.SIGCONT)
    assert job.wait(20) == 0 and job.stderr.read() == ""
    broker.wait_idle()
    broker.check()


@pytest.mark.parametrize("options", [
    ["--memory", "0"], ["--memory", "-1"], ["--memory", "12"], ["--memory", "x"], ["--memory", "99999999999G"],
    ["--memory", "1G", "--set-aside", "1G"], ["--memory", "1G", "--set-aside", "-1"], ["--nonsense"], ["superfluous"],
    ["--config", "/nonexistent/granary.conf"], ["--ready-fd", "x"], ["--state"],
])
def test_granaryd_refuses(make_broker, options):
    broker = make_broker(start=False, memory=None, options=options)
    status, said = broker.refused()
    assert status == USAGE, said
    assert "granaryd" in said or options[0] in said


@pytest.mark.parametrize("text", ["memory = much", "nonsense = 1", "[host", "memory", "[host a]\n[host a]\n", "grace = 0", "ask = 60s\nnotice = 1s\n"])
def test_configurations_that_make_no_sense(make_broker, text):
    broker = make_broker(start=False, config=text + "\n")
    status, said = broker.refused()
    assert status == USAGE, said
    assert "granary.conf" in said, "the file and line are named"


def test_a_missing_part_is_named(make_broker, tmp_path, monkeypatch):
    """granaryd alone, without the programs that it starts."""
    shutil.copy(os.path.join(programs.BIN, "granaryd"), tmp_path)
    monkeypatch.setattr("broker.BIN", str(tmp_path))
    broker = make_broker(start=False)
    status, said = broker.refused()
    assert status == 1 and "granary-broker" in said, said
    assert broker.sanitizer_reports() == []

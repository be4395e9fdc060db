"""granary harvest on a real broker: inputs, output, limits, recalls, ends."""
import os
import re
import signal
import subprocess
import sys
import time

import pytest

import processes
from broker import BIN

HOLD = os.path.join(os.path.dirname(__file__), "..", "..", "demo", "hold.py")
EAT = "b = bytearray(int(float({!r}) * (1 << 20)))\nfor i in range(0, len(b), 4096): b[i] = 1\n"


@pytest.fixture(autouse=True)
def idle_at_the_end(broker):
    """What the end of a client set free is seen empty before the daemon is stopped: its groups are gone then."""
    yield
    if broker.process and broker.process.poll() is None:
        broker.wait_idle()


def rows(path):
    with open(path, encoding="utf-8") as file:
        names = file.readline().rstrip("\n").split("\t")
        return [dict(zip(names, line.rstrip("\n").split("\t"))) for line in file]


def lines_of(path):
    """Lines that are there already; 0 before the file is."""
    return open(path, encoding="utf-8").read().count("\n") if os.path.exists(path) else 0


def held(snapshot, label):
    return sum(a["chunks"] for a in snapshot["allocations"] if a["label"] == label)


def test_words_lines_and_nul(broker):
    done = broker.run("harvest", "-qk", "-m", "50M", "--", "echo", "<{}>", "{#}", ":::", "a b", "", "c")
    assert (done.returncode, done.stdout, done.stderr) == (0, "<a b> 1\n<> 2\n<c> 3\n", "")
    done = broker.run("harvest", "-qk", "-m", "50M", "--", "echo", input="x\n\ny z\n")
    assert (done.returncode, done.stdout) == (0, "x\ny z\n")
    done = broker.run("harvest", "-qk0", "-m", "50M", "-a", "-", "--", "echo", input="x\ny\0z")
    assert (done.returncode, done.stdout) == (0, "x\ny\nz\n")
    broker.wait_idle()
    broker.check()


@pytest.mark.parametrize("prefix, status, said", [
    ([], 128 + signal.SIGPIPE, ""),
    (["env", "--ignore-signal=PIPE"], 125, "granary harvest: the output of the tasks cannot be written: Broken pipe\n"),
])
def test_a_reader_that_leaves_ends_it(broker, tmp_path, prefix, status, said):
    """As `granary harvest … | head -1` does: the tasks that run are stopped, and nothing stays in the books."""
    words = [*prefix, os.path.join(BIN, "granary"), "harvest", "-m", "50M", "-j", "2", "--", "sh", "-c",
             "echo {}; [ {} = 1 ] || exec sleep 60", ":::", *map(str, range(1, 40))]
    reader, writer = os.pipe()
    os.close(reader)
    started = time.monotonic()
    done = subprocess.run(words, env=broker.env, stdin=subprocess.DEVNULL, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=60)
    os.close(writer)
    assert (done.returncode, done.stderr.partition("granary harvest: 1 done")[0]) == (status, said)
    assert time.monotonic() - started < 30
    broker.wait_idle()
    broker.check()


def test_programs_that_the_kernel_does_not_execute(broker, tmp_path):
    script, text, folder = tmp_path / "script", tmp_path / "text", str(tmp_path)
    script.write_text("echo of sh: $1 ${GRANARY_CLAIM:+claimed}\n")
    text.write_text("")
    script.chmod(0o755)
    done = broker.run("harvest", "-qk", "-m", "50M", "--", str(script), ":::", "1", "2")
    assert (done.returncode, done.stdout, done.stderr) == (0, "of sh: 1 claimed\nof sh: 2 claimed\n", "")
    for name, code, why in ((str(text), 126, "Permission denied"), (folder, 126, "Permission denied"),
                            (folder + "/none", 127, "No such file or directory")):
        done = broker.run("harvest", "-q", "-m", "50M", "--joblog", folder + "/log", "--", "{}", ":::", name)
        assert (done.returncode, done.stderr) == (1, "granary harvest: cannot execute {}: {}\n".format(name, why))
        assert [row["exit"] for row in rows(folder + "/log")] == [str(code)]
        os.unlink(folder + "/log")
        done = broker.run("harvest", "-m", "50M", "--joblog", folder + "/log", "--", name, ":::", "1", "2")
        assert (done.returncode, done.stderr) == (code, "granary harvest: {}: {}\n".format(name, why)), "nothing was run"
        assert not os.path.exists(folder + "/log")
    broker.wait_idle()
    broker.check()


def test_a_program_that_is_replaced_on_the_way(broker, tmp_path, monkeypatch):
    """Each task is found as the first was; when that file is gone, PATH is searched again."""
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
        (folder / "tool").write_text("#!/bin/sh\necho {} $1\nrm -f {}/tool\n".format(folder.name, first))
        (folder / "tool").chmod(0o755)
    monkeypatch.setitem(broker.env, "PATH", "{}:{}:{}".format(first, second, os.environ["PATH"]))
    done = broker.run("harvest", "-qk", "-j", "1", "-m", "50M", "--", "tool", ":::", "1", "2", "3")
    assert (done.returncode, done.stdout, done.stderr) == (0, "first 1\nsecond 2\nsecond 3\n", "")


def test_no_inputs_need_no_memory(broker):
    done = broker.run("harvest", "-m", "50M", "--", "echo", input="")
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("words, text", [
    (["-m", "50M"], "the command is missing"),
    (["-m", "0", "--", "true"], "write a size above 0"),
    (["-m", "-1", "--", "true"], "size"),
    (["-m", "50M", "-j", "0", "--", "true"], "it must be more"),
    (["-m", "50M", "-j", "4097", "--", "true"], "--jobs: '4097' is too large: the most is 4096"),
    (["-m", "50M", "-j", "99999999999", "--", "true"], "--jobs: '99999999999' is too large: the most is 4096"),
    (["-m", "50M", "--mem-max", "40M", "--", "true"], "smaller than -m"),
    (["-m", "50M", "--halt", "sometimes", "--", "true"], "--halt: 'sometimes' is not never"),
    (["-m", "50M", "--resume", "--", "true"], "needs the --joblog"),
    (["-m", "50M", "-a", "/nowhere/at/all", "--", "true"], "the inputs cannot be read: -a /nowhere/at/all: No such file"),
    (["-m", "50M", "--results", "/proc/nowhere", "--", "true", ":::", "1"], "the folder of --results cannot be made: /proc/nowhere: No"),
    (["-m", "50M", "--joblog", "/proc/nowhere", "--", "true", ":::", "1"], "joblog /proc/nowhere: No such file"),
    (["-m", "50M", "--", "true", ":::", "1", ":::", "2"], "':::' stands twice"),
    (["-m", "50M", "--", "true", "::::", "inputs"], "read with -a FILE"),
])
def test_bad_command_lines(broker, words, text):
    done = broker.run("harvest", *words)
    assert done.returncode == 2 and text in done.stderr, done.stderr


def test_a_foreign_file_is_no_joblog(broker):
    path = os.path.join(broker.folder, "poem")
    with open(path, "w", encoding="utf-8") as file:
        file.write("seq\thost\nand more\n")
    for words, text in ([], "it holds something that is no joblog, and would be emptied: name another file"), (
            ["--resume"], "line 1: it is not the header of a joblog: is this the right file?"):
        done = broker.run("harvest", "-m", "50M", "--joblog", path, *words, "--", "true", ":::", "1")
        assert (done.returncode, done.stderr) == (2, f"granary harvest: joblog {path}: {text}\n")
    with open(path, encoding="utf-8") as file:
        assert file.read() == "seq\thost\nand more\n"
    log = os.path.join(broker.folder, "joblog")
    for _ in range(2):  # an older joblog is emptied
        assert broker.run("harvest", "-m", "50M", "--joblog", log, "--", "true", ":::", "1").returncode == 0
    assert len(rows(log)) == 1


def test_more_than_the_machine(broker):
    done = broker.run("harvest", "-m", "100T", "--", "true", ":::", "1")
    assert done.returncode == 122
    assert "most" in done.stderr
    done = broker.run("harvest", "-m", "50M", "--", "no-such-program", ":::", "1", "2")
    assert (done.returncode, done.stderr) == (127, "granary harvest: no-such-program: command not found\n")


def test_limit_is_real_and_more_is_given(broker):
    log = os.path.join(broker.folder, "joblog")
    done = broker.run("harvest", "-j", "2", "-m", "60M", "--joblog", log, "--", sys.executable, "-c",
                      EAT.format("{}"), ":::", "10", "180", "20")
    assert done.returncode == 0, done.stderr
    tries = [(row["seq"], row["chunks"], row["exit"], row["oom"]) for row in rows(log) if row["seq"] == "2"]
    assert tries == [("2", "1", "0", "1"), ("2", "2", "0", "1"), ("2", "4", "0", "0")]
    assert 180 << 20 < int(rows(log)[-1]["peak_bytes"]) < 240 << 20
    assert "2 run again" in done.stderr
    broker.wait_idle()
    broker.check()


def test_out_of_memory_at_the_most_is_a_failure(broker):
    done = broker.run("harvest", "-m", "60M", "--mem-max", "60M", "--", sys.executable, "-c", EAT.format("{}"),
                      ":::", "200", "10")
    assert done.returncode == 1
    assert "1 done, 1 failed (1 out of memory), 0 run again" in done.stderr
    assert "1 task ran out of memory with 60M: try --mem-max 120M\n" in done.stderr
    broker.wait_idle()
    broker.check()


def test_firm_request_gets_chunks_as_tasks_end(broker):
    """The heart: nobody is killed, the firm request runs, the harvest grows again."""
    log = os.path.join(broker.folder, "joblog")
    harvest = broker.begin("harvest", "-j", "4", "-m", "700M", "--label", "batch", "--joblog", log, "--", "sleep",
                           *[":::"], *(["0.4"] * 30))
    broker.wait(lambda s: held(s, "batch") == 4)
    asked = time.time()
    firm = broker.run("run", "-m", "2G", "--label", "firm", "--", sys.executable, HOLD, "300", "1")
    assert firm.returncode == 0, firm.stderr
    assert time.time() - asked < 20
    broker.wait(lambda s: held(s, "batch") == 4)
    out, error = harvest.communicate(timeout=60)
    assert harvest.returncode == 0, error
    assert "30 done, 0 failed" in error
    assert "chunks given back" in error
    assert all((r["exit"], r["signal"], r["oom"], r["attempt"]) == ("0", "0", "0", "1") for r in rows(log))
    assert len(rows(log)) == 30
    broker.wait_idle()
    broker.check()


def test_waits_while_all_memory_is_taken(broker):
    firm = broker.begin("run", "-m", "3G", "--", "sleep", "60")
    broker.wait(lambda s: any(a["pid"] == firm.pid for a in s["allocations"]))
    harvest = broker.begin("harvest", "-m", "700M", "--", "echo", ":::", "1", "2", "3")
    broker.wait(lambda s: any(w["label"] == "echo" for w in s["queue"] + s["allocations"]))
    ticks = processor_ticks(harvest.pid)
    time.sleep(1)  # over which it is measured
    assert harvest.poll() is None
    assert processor_ticks(harvest.pid) - ticks <= 5  # it waits, it does not spin
    firm.send_signal(signal.SIGTERM)
    out, error = harvest.communicate(timeout=20)
    assert harvest.returncode == 0, error
    assert sorted(out.split()) == ["1", "2", "3"]


def processor_ticks(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def begun(broker, seconds, count):
    """A harvest of tasks that write a line and sleep; returns once both of its slots run one."""
    notes = os.path.join(broker.folder, f"notes-{seconds}")
    harvest = broker.begin("harvest", "-j", "2", "-m", "50M", "--label", "batch", "--shell", "--",
                           f"echo {{}} >>{notes}; sleep {seconds}", ":::", *map(str, range(count)))

    def both():
        try:
            with open(notes, encoding="ascii") as file:
                return len(file.readlines()) == 2
        except FileNotFoundError:
            return False
    processes.wait_for(both, 20, "two running tasks")
    return harvest


def test_interrupt_once_and_twice(broker):
    harvest = begun(broker, 1, 5)
    harvest.send_signal(signal.SIGINT)
    out, error = harvest.communicate(timeout=20)
    assert harvest.returncode == 130 and "2 done" in error, error
    broker.wait_idle()
    harvest = begun(broker, 60, 5)
    harvest.send_signal(signal.SIGINT)
    assert "no new tasks" in harvest.stderr.readline()
    harvest.send_signal(signal.SIGINT)
    out, error = harvest.communicate(timeout=20)
    assert harvest.returncode == 130 and "2 were stopped" in error, error
    broker.wait_idle()
    broker.check()


def test_killed_harvest_leaves_clean_books(broker):
    harvest = broker.begin("harvest", "-j", "2", "-m", "50M", "--label", "batch", "--", "sleep", ":::", *(["1"] * 9))
    broker.wait(lambda s: any(len(a["claims"]) == 2 for a in s["allocations"]))
    harvest.kill()
    harvest.communicate()
    broker.wait_idle()
    broker.check()


def test_daemon_that_a_task_leaves_is_ended(broker):
    done = broker.run("harvest", "-q", "-j", "1", "-m", "50M", "--shell", "--", "setsid sleep 1000 & echo {}", ":::",
                      "1", "2", "3")
    assert (done.returncode, done.stdout) == (0, "1\n2\n3\n")
    broker.wait_idle()
    broker.check()


def test_a_million_inputs_are_a_stream(broker):
    """Inputs are read as tasks need them: of a gigabyte of them, no more than a bounded piece ahead of what is done."""
    log = os.path.join(broker.folder, "joblog")
    source = subprocess.Popen(["head", "-c", "1000000000"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    lines = subprocess.Popen(["yes", "x" * 999], stdout=source.stdin)
    source.stdin.close()
    harvest = broker.begin("harvest", "-q", "-j", "2", "-m", "50M", "--joblog", log, "--", "true",
                           stdin=source.stdout, stdout=subprocess.DEVNULL)
    source.stdout.close()
    processes.wait_for(lambda: lines_of(log) > 300, 60, "many tasks are done")
    with open(f"/proc/{source.pid}/io", encoding="ascii") as file:
        written = next(int(line.split()[1]) for line in file if line.startswith("wchar"))
    done = lines_of(log)
    harvest.send_signal(signal.SIGTERM)
    harvest.communicate(timeout=20)
    source.wait(20)
    lines.wait(20)
    assert harvest.returncode == 143
    assert written < done * 1000 + (1 << 20)


def test_resume_after_an_interrupt(broker):
    log = os.path.join(broker.folder, "joblog")
    words = ["harvest", "-j", "1", "-m", "50M", "--joblog", log, "--resume", "--shell", "--", "sleep 0.2; echo {}"]
    harvest = broker.begin(*words, ":::", *"abcdefgh")
    processes.wait_for(lambda: os.path.exists(log) and len(rows(log)) >= 2, 20, "two rows")
    harvest.send_signal(signal.SIGINT)
    first, _ = harvest.communicate(timeout=20)
    done = broker.run(*words, ":::", *"abcdefgh")
    assert done.returncode == 0
    assert sorted((first + done.stdout).split()) == list("abcdefgh")
    assert "were done by an earlier run" in done.stderr
    done = broker.run(*words[:-1], "echo {}", ":::", *"abcdefgh")
    assert done.returncode == 2 and "another command or input" in done.stderr


def test_broker_restart_in_the_middle(broker):
    log = os.path.join(broker.folder, "joblog")
    harvest = broker.begin("harvest", "-qk", "-j", "2", "-m", "50M", "--joblog", log, "--shell", "--",
                           "sleep 0.1; echo {}", ":::", *map(str, range(60)))
    broker.wait(lambda s: any(len(a["claims"]) == 2 for a in s["allocations"]))
    for done in (5, 15, 25):
        processes.wait_for(lambda: lines_of(log) > done, 20, "tasks end")
        broker.kill("granary-broker")
    out, error = harvest.communicate(timeout=60)
    assert (harvest.returncode, out.split()) == (0, [str(i) for i in range(60)]), error
    broker.wait_idle()
    broker.check()


def test_agent_restart_in_the_middle(broker):
    log = os.path.join(broker.folder, "joblog")
    harvest = broker.begin("harvest", "-qk", "-j", "2", "-m", "50M", "--joblog", log, "--shell", "--",
                           "sleep 0.1; echo {}", ":::", *map(str, range(60)))
    broker.wait(lambda s: any(len(a["claims"]) == 2 for a in s["allocations"]))
    for done in (5, 15, 25):
        processes.wait_for(lambda: lines_of(log) > done, 20, "tasks end")
        broker.kill("granary-agent")
    out, error = harvest.communicate(timeout=60)
    assert (harvest.returncode, out.split()) == (0, [str(i) for i in range(60)]), error
    broker.wait_idle()
    broker.check()


def test_results_and_tag(broker):
    folder = os.path.join(broker.folder, "results")
    done = broker.run("harvest", "-qk", "--tag", "-m", "50M", "--results", folder, "--shell", "--",
                      "echo out; echo err >&2; test {} != b", ":::", "a/x", "b")
    assert done.returncode == 1
    assert done.stdout == "a/x\tout\nb\tout\n"
    assert done.stderr == "a/x\terr\nb\terr\n"
    assert sorted(os.listdir(folder)) == ["1-a_x", "2-b"]
    assert sorted(os.listdir(os.path.join(folder, "2-b"))) == ["meta", "stderr", "stdout"]
    with open(os.path.join(folder, "2-b", "meta"), encoding="utf-8") as file:
        assert "exit\t1\n" in file.read()


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes an ordinary user")
def test_use_beyond_the_lease_is_told_once_for_a_task_and_counted(make_broker):
    plain = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    broker = make_broker(start=False, prefix=plain)
    os.chmod(broker.folder, 0o777)
    broker.start()
    code = "import sys, time; b = bytearray(int(sys.argv[1]) << 20); time.sleep(0.3)"
    done = subprocess.run([*plain, os.path.join(BIN, "granary"), "harvest", "-m", "16M", "-j", "1", "--", "/usr/bin/python3",
                           "-S", "-c", code, ":::", "1", "40", *["1"] * 2], env=broker.env, capture_output=True, text=True,
                          timeout=60, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    told = [line for line in done.stderr.splitlines() if "of its lease" in line]
    assert len(told) == 1 and re.fullmatch(r"granary harvest: task 2 used 4\d(\.\d)?M, more than the 16M of its lease: "
                                           r"this host only measures \('granary hosts' says why\)", told[0]), done.stderr
    assert "1 task used more than was leased" in done.stderr
    broker.wait_idle()


def test_program_in_path_that_may_not_be_executed(broker, tmp_path):
    (tmp_path / "plain-file").write_text("true\n")
    broker.env["PATH"] = f"{tmp_path}:{broker.env['PATH']}"
    done = broker.run("harvest", "-m", "50M", "--", "plain-file", ":::", "1", "2")
    assert (done.returncode, done.stderr) == (126, "granary harvest: plain-file: Permission denied\n")

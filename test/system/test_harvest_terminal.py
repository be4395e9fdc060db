"""What a person sees of granary harvest on a terminal: the bar, its width, and nothing of it left at the end."""
import os
import re
import time

import pytest

from broker import BIN
from terminal import Terminal

GRANARY = os.path.join(BIN, "granary")
BAR = re.compile(r"^\[[#x> ]+\] +\d+% \d+ done")
SUM = "granary harvest: %d done, 0 failed (0 out of memory), 0 run again, "


@pytest.fixture
def terminal(broker):
    opened = []

    def begin(*words, columns=80, **env):
        environment = {**broker.env, "TERM": "xterm", **env}
        environment = {name: value for name, value in environment.items() if value is not None}
        opened.append(Terminal([GRANARY, "harvest", *words], environment, columns))
        return opened[-1]

    yield begin
    for each in opened:
        each.close()
    broker.wait_idle()


def gate(broker, name):
    """A task that waits until the file is there; opening it is `release`."""
    path = os.path.join(broker.folder, name)
    return f"until [ -e {path} ]; do sleep 0.02; done", path


def open_gate(path):
    with open(path, "w", encoding="utf-8"):
        pass


def test_bar_follows_the_width_and_leaves_nothing(broker, terminal):
    wait, path = gate(broker, "go")
    seen = terminal("-j", "2", "-m", "50M", "--shell", "--", f"test {{#}} -le 3 || {wait}; echo out {{}}", ":::",
                    *"abcdefgh", columns=100)
    seen.wait(lambda s: re.match(r"\[#+>+ *\]  37% 3 done, 2 running, 3 waiting, 2 of 2 chunks \(100M\)", s.lines[-1]))
    assert seen.screen.widest <= 99
    for columns, line in ((40, r"\[#+>+ *\]  37% 3 done, 2 run, \w+"), (20, r"3 done, 2 run(, \w+)?"),
                          (200, r"\[#{30,}>{20,} {30,}\]  37% 3 done, 2 running, 3 waiting, 2 of 2 chunks \(100M\), .* left")):
        seen.resize(columns)
        seen.wait(lambda s, line=line: re.fullmatch(line, s.lines[-1]))
        assert 0 < seen.screen.widest < columns
    open_gate(path)
    assert seen.finish() == 0
    lines = seen.screen.lines
    assert sorted(line for line in lines if line.startswith("out ")) == [f"out {c}" for c in "abcdefgh"]
    assert not any("[" in line for line in lines), lines
    assert lines[8].startswith(SUM % 8)
    assert lines[-1] == ""
    broker.wait_idle()
    broker.check()


def test_output_without_a_last_newline_is_not_drawn_over(broker, terminal):
    wait, path = gate(broker, "go")
    seen = terminal("-j", "1", "-m", "50M", "--shell", "--", f"test {{}} = a || {wait}; printf 'half {{}}'", ":::", "a", "b")
    seen.wait(lambda s: s.lines[-2:-1] == ["half a"] and BAR.match(s.lines[-1]))
    open_gate(path)
    assert seen.finish() == 0
    assert seen.screen.lines[:2] == ["half a", "half b"]
    assert seen.screen.lines[2].startswith(SUM % 2)


def test_inputs_that_still_come_have_no_share(broker, terminal):
    read, write = os.pipe()
    os.set_inheritable(read, True)
    seen = terminal("-j", "1", "-m", "50M", "-a", f"/dev/fd/{read}", "--", "true")
    os.close(read)
    os.write(write, b"a\nb\nc\n")
    seen.wait(lambda s: s.lines[-1].startswith("3 done, 0 running, more to come, ") and "%" not in s.lines[-1])
    os.close(write)
    assert seen.finish() == 0
    assert seen.screen.lines[0].startswith(SUM % 3)


def test_first_ctrl_c_lets_tasks_end(broker, terminal):
    wait, path = gate(broker, "go")
    seen = terminal("-j", "1", "-m", "50M", "--shell", "--", f"{wait}; echo out {{}}", ":::", "a", "b")
    seen.wait(lambda s: BAR.match(s.lines[-1]))
    seen.type("\x03")
    seen.wait(lambda s: "0 done, 1 running, stopping" in s.lines[-1])
    open_gate(path)
    assert seen.finish() == 130
    text = "\n".join(seen.screen.lines)
    assert "granary harvest: no new tasks; 1 running one may end (again: stop it)\nout a\n" + SUM % 1 in text, text
    broker.wait_idle()
    broker.check()


@pytest.mark.parametrize("env, controls, colours", [
    ({}, True, True),
    ({"NO_COLOR": "1"}, True, False),
    ({"NO_COLOR": ""}, True, True),
    ({"TERM": "dumb"}, False, False),
    ({"TERM": None}, False, False),
])
def test_kinds_of_terminal(broker, terminal, env, controls, colours):
    seen = terminal("-j", "1", "-m", "50M", "--", "sleep", ":::", "0.1", "0.5", **env)
    assert seen.finish() == 0
    assert ("\033[J" in seen.text, "\033[32m" in seen.text) == (controls, colours)
    assert seen.screen.lines[0].startswith(SUM % 2)


def test_a_stopped_terminal_does_not_stop_the_harvest(broker, terminal):
    """Ctrl-S: nothing can be written; tasks go on and chunks still go back."""
    seen = terminal("-j", "2", "-m", "700M", "--label", "batch", "--", "sleep", ":::", *["0.3"] * 40)
    seen.wait(lambda s: BAR.match(s.lines[-1]))
    seen.type("\x13")
    begun = time.monotonic()
    done = broker.run("run", "-m", "2G", "--", "true")
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - begun < 5
    seen.type("\x11")
    assert seen.finish() == 0
    assert seen.screen.lines[0].startswith(SUM % 40)
    broker.wait_idle()
    broker.check()


@pytest.mark.parametrize("command", ["sleep 0.5", "sleep 0.5; echo out"])
def test_memory_goes_back_before_a_stopped_terminal_takes_the_rest(broker, terminal, command):
    """Ctrl-S near the end: the sum, and output of tasks, wait for Ctrl-Q, but nothing stays leased meanwhile."""
    seen = terminal("-j", "1", "-m", "700M", "--shell", "--", command + " #{}", ":::", "a", "b")
    seen.wait(lambda s: BAR.match(s.lines[-1]))
    seen.type("\x13")
    broker.wait_idle()
    assert os.waitpid(seen.pid, os.WNOHANG) == (0, 0), "it has yet to print its sum"
    seen.type("\x11")
    assert seen.finish() == 0
    lines = [line for line in seen.screen.lines if line == "out" or line.startswith(SUM % 2)]
    assert [line == "out" for line in lines] == [True] * (2 if "out" in command else 0) + [False], lines
    broker.check()

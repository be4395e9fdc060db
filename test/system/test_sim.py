"""granary-sim as somebody types it: the same seed is the same run, a finding can be replayed, bad input is refused."""
import os
import re
import subprocess

import pytest

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
SIM = os.path.join(os.environ.get("GRANARY_BIN_DIR", os.path.join(ROOT, "build", "bin")), "..", "sim", "granary-sim")


def sim(*words):
    return subprocess.run([SIM, *words], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120)


def test_the_same_seed_is_the_same_run_byte_for_byte():
    words = ["run", "--seed", "7", "--seconds", "10", "--trace"]
    first, second = sim(*words), sim(*words)
    assert first.returncode == 0 and len(first.stdout.splitlines()) > 1000
    assert first.stdout == second.stdout
    assert sim("run", "--seed", "8", "--seconds", "10", "--trace").stdout != first.stdout


def test_without_a_trace_the_run_is_the_same():
    told = [re.search(r"hash ([0-9a-f]{16})", sim("run", "--seed", "7", "--seconds", "10", *more).stdout)[1]
            for more in ([], ["--trace"], ["--no-check"])]
    assert told[0] == told[1] == told[2]


def test_many_seeds_are_summed_up():
    done = sim("seeds", "--first", "3", "--count", "4", "--seconds", "5")
    assert done.returncode == 0
    assert re.fullmatch(r"4 seeds, 0 wrong; \d+ events, \d+ messages, \d+ steps\n", done.stdout)


@pytest.mark.parametrize("words, said", [
    ([], "a command is missing: run, seeds, study or scale"),
    (["fly"], "'fly' is no command of it"),
    (["run", "--seed", "x"], "--seed takes a whole number from 0 to 18446744073709551615, not 'x'"),
    (["run", "--seed", "-1"], "--seed takes a whole number from 0 to 18446744073709551615, not '-1'"),
    (["run", "--seed", "18446744073709551616"], "--seed takes a whole number"),
    (["run", "--seed", ""], "--seed takes a whole number"),
    (["run", "--hosts", "17"], "--hosts takes a whole number from 1 to 16, not '17'"),
    (["seeds", "--count", "0"], "--count takes a whole number from 1 to 4294967295, not '0'"),
    (["run", "--seconds", "1.5"], "--seconds takes a whole number from 1 to 86400, not '1.5'"),
    (["seeds", "--file", "/nonexistent"], "cannot read '/nonexistent': No such file or directory"),
    (["seeds", "--file", "/dev/null"], "there is no seed in '/dev/null'"),
    (["run", "more"], "'more' is not understood here"),
    (["run", "--colour"], "unrecognized option '--colour'"),
    (["run", "--seed"], "option '--seed' requires an argument"),
])
def test_bad_input(words, said):
    done = sim(*words)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stdout == ""

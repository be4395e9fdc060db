"""The model of the give-back protocol: its script, and, where time allows, the whole search."""
import os
import re
import shutil
import subprocess

import pytest

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")


def model(*words, timeout=60):
    return subprocess.run([os.path.join(ROOT, "tools/model.py"), *words], capture_output=True, text=True, timeout=timeout)


def test_its_names_are_in_the_code():
    done = model("--names")
    assert done.returncode == 0, done.stdout
    assert re.fullmatch(r"ok    all \d+ names that the model lists are in the code\n", done.stdout)


@pytest.mark.parametrize("words, said", [(["--jobs", "0"], "--jobs is at least 1"), (["--jobs", "two"], "invalid int value: 'two'"),
                                         (["--speed"], "unrecognized arguments: --speed")])
def test_bad_arguments(words, said):
    done = model(*words)
    assert done.returncode == 2 and said in done.stderr, done.stderr


@pytest.mark.skipif(not shutil.which("spin"), reason="spin is installed by make model")
def test_a_variant_that_is_not_there():
    done = model("--trail", "NO_SENSE")
    assert done.returncode == 2 and "no variant 'NO_SENSE'; known: NO_DRAIN_CHECK" in done.stderr, done.stderr


@pytest.mark.skipif(not shutil.which("spin"), reason="spin is installed by make model")
def test_a_rule_left_out_goes_wrong():
    done = model("--trail", "NO_DRAIN_CHECK", timeout=300)
    assert done.returncode == 0 and done.stdout.endswith("=> chunk_granted_before_drained\n"), done.stdout + done.stderr


@pytest.mark.skipif(not os.environ.get("GRANARY_LONG"), reason="takes minutes: part of make test-long")
def test_the_whole_model():
    done = model(timeout=3600)
    assert done.returncode == 0 and "model: all as it must be" in done.stdout, done.stdout + done.stderr

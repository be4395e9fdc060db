"""What the documents list is what there is: functions, options, messages, statuses, settings."""
import os
import re
import subprocess

import pytest

from broker import BIN

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
PAGES = {"run": ["granary-run.1"], "harvest": ["granary-harvest.1"], "claim": ["granary.1", "granary-run.1"],
         "plan": ["granary.1", "granary-run.1"]}


def text_of(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        return f.read()


def page(name):
    return text_of("docs/man/" + name).replace("\\-", "-")


def said_by(program, *words):
    return subprocess.run([os.path.join(BIN, program), *words], capture_output=True, text=True, timeout=60, check=True).stdout


def names_in(text, pattern):
    found = sorted(set(re.findall(pattern, text, re.M)))
    assert found
    return found


def commands():
    return names_in(said_by("granary", "help"), r"^  ([a-z]+) +[a-z]")


def test_every_function_is_in_its_page():
    told = page("libgranary.3")
    functions = names_in(text_of("include/granary.h"), r"^GRANARY_API .*?\b(granary_[a-z_]+)\(")
    assert [f for f in functions if not re.search(rf"\b{f}\b", told)] == []


def test_every_command_is_in_its_page():
    told = page("granary.1")
    assert [c for c in commands() if f"granary {c}" not in told] == []


@pytest.mark.parametrize("command", ["up", "run", "harvest", "claim", "status", "hosts", "allocations", "queue", "plan",
                                     "log", "drain", "undrain", "release", "snapshot", "check"])
def test_every_option_is_in_its_page(command):
    assert command in commands()
    told = "".join(page(p) for p in PAGES.get(command, ["granary.1"])) + page("granary.1").split(".SH OPTIONS")[1]
    options = names_in(said_by("granary", "help", command), r"^ +(?:-., )?(--[a-z-]+)")
    assert [o for o in options if not re.search(rf"{o}\b", told)] == []


def test_every_option_of_the_daemon_is_in_its_page():
    told = page("granaryd.8")
    assert [o for o in names_in(said_by("granaryd", "--help"), r"^  (--[a-z-]+)") if o not in told] == []


@pytest.mark.parametrize("program", ["granary", "granaryd", "granary-broker", "granary-agent", "granary-gate"])
def test_every_program_says_its_version_and_what_it_is(program):
    version = re.search(r"version: '(\d+\.\d+\.\d+)'", text_of("meson.build")).group(1)
    assert said_by(program, "--version") == f"{program} {version}\n"
    said = said_by(program, "--help")
    if "-" in program:
        assert said.startswith(f"{program}: ") and re.search(r"(granary up|granary harvest)", said.splitlines()[0])
        lone = subprocess.run([os.path.join(BIN, program), "--nonsense"], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
        assert lone.returncode != 0 and lone.stdout == "" and program in lone.stderr
    else:
        assert said.startswith(f"Usage: {program} ")


def test_every_message_and_status_is_in_the_protocol():
    told = text_of("docs/protocol.md")
    types = names_in(text_of("proto/granary.proto"), r"^  TYPE_([A-Z_]+) =")
    assert [t for t in types if t != "NONE" and f"`{t}`" not in told] == []
    statuses = re.findall(r"^    STATUS_([A-Z_]+) = (-?\d+)", text_of("src/base/status.h"), re.M)
    assert len(statuses) > 20
    assert [name for name, number in statuses
            if not re.search(rf"^\|.*{number.replace('-', '−')}\b.*\| .*\b{name}\b", told, re.M)] == []


def test_every_setting_is_in_page_and_example():
    told, example = page("granary.conf.5"), text_of("docs/granary.conf.example")
    refused = subprocess.run([os.path.join(BIN, "granaryd"), "--check-config", "--config", "/dev/stdin"], input="nothing = 1\n",
                             capture_output=True, text=True, timeout=60)
    assert refused.returncode == 2
    keys = refused.stderr.split("known are: ")[1].strip().split(", ")
    assert [k for k in keys if not re.search(rf"\b{k}\b", told)] == []
    assert [k for k in keys if not re.search(rf"^#?{k} = ", example, re.M)] == []

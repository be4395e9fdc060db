"""granary-conformance on libgranary, on a client that shares no code with it, and on many that are wrong."""
import concurrent.futures
import json
import os
import re
import subprocess
import sys

import pytest

FOLDER = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(FOLDER))
BIN = os.path.abspath(os.environ.get("GRANARY_BIN_DIR", os.path.join(ROOT, "build", "bin")))
KIT = os.path.join(BIN, "granary-conformance")
POOL_CLIENT = [os.path.join(os.path.dirname(BIN), "test", "conformance", "pool_client")]
PYTHON = ["/usr/bin/python3", os.path.join(FOLDER, "client.py")]
# The search for leaks says this of a process that is killed meanwhile.
KILLED_IN_SEARCH = re.compile(r"^==\d+==(Unable to get registers from thread|Could not (at|de)tach (to|from) thread) ?\d+")
LONG = bool(os.environ.get("GRANARY_LONG"))


@pytest.fixture(scope="session", autouse=True)
def schema(tmp_path_factory):
    """The schema, compiled once for every start of a client."""
    folder = str(tmp_path_factory.mktemp("schema"))
    subprocess.run(["protoc", f"--python_out={folder}", f"-I{ROOT}/proto", f"{ROOT}/proto/granary.proto"], check=True)
    os.environ["GRANARY_PB"] = folder
    sys.path[:0] = [folder, FOLDER]


@pytest.fixture(scope="session", autouse=True)
def reports(tmp_path_factory):
    """Where the sanitizers of kit and clients report: a client may end as it likes in some cases, but not of that."""
    folder = str(tmp_path_factory.mktemp("reports"))
    os.environ["ASAN_OPTIONS"] = f"log_path={folder}/asan:detect_leaks=1:exitcode=97"
    os.environ["UBSAN_OPTIONS"] = f"log_path={folder}/ubsan:halt_on_error=1:exitcode=97:print_stacktrace=1"
    return folder


def kit(*words, timeout=1200):
    return subprocess.run([KIT, *words], capture_output=True, text=True, timeout=timeout)


def results(*words, status=0):
    done = kit("--json", *words)
    assert done.returncode == status, done.stdout[-4000:] + done.stderr[-4000:]
    return json.loads(done.stdout)


# ---- those that are right ----

RIGHT = {"libgranary": POOL_CLIENT, "libgranary-loop": POOL_CLIENT + ["loop"], "python": PYTHON,
         "python-claims": PYTHON + ["--claims"]}
SKIPPED = {"libgranary": {"preference"}, "libgranary-loop": {"preference"}, "python": {"claim-refused", "claim-answer-late"},
           "python-claims": set()}
ROUNDS = 150 if LONG else 4
# Starting Python is what its cases cost: for a short run the random scripts must do for one of the two.
SHORT = {} if LONG else {"python": 12}


@pytest.fixture(scope="module")
def played():
    """name -> what the kit said of that client. All at once: a case is mostly waiting."""
    with concurrent.futures.ThreadPoolExecutor(len(RIGHT)) as several:
        yield {name: several.submit(kit, "--json", "--strict", "--rounds", str(SHORT.get(name, ROUNDS)),
                                    *(["--seed", "1"] if name in SHORT else []), "--", *client)
               for name, client in RIGHT.items()}


@pytest.mark.parametrize("name", RIGHT)
def test_every_rule_holds(played, name):
    said = played[name].result()
    done = json.loads(said.stdout)
    wrong = [(x["case"], x["findings"]) for x in done["results"] if x["findings"]]
    assert (wrong, said.returncode) == ([], 0)
    if name in SHORT:
        assert done["cases"] == SHORT[name]
        return
    assert {x["case"] for x in done["results"] if x["result"] == "skipped"} == SKIPPED[name]
    assert done["cases"] == len(cases()) + ROUNDS


def test_no_sanitizer_had_anything_to_say(played, reports):
    for name in RIGHT:
        played[name].result()
    told = []
    for name in os.listdir(reports):
        with open(os.path.join(reports, name), encoding="utf-8", errors="replace") as report:
            told += [line for line in report if not KILLED_IN_SEARCH.match(line)]
    assert told == []


def test_the_command_itself_can_be_driven():
    """`granary harvest`, told by a shell what the kit asks for: no program of its own is needed."""
    script = (f'exec {BIN}/granary harvest -m "$GRANARY_KIT_CHUNK" -j "$GRANARY_KIT_WANT" -- '
              '"$GRANARY_KIT_TASK" 0 {} ::: $(seq "$GRANARY_KIT_TASKS")')
    names = ["recall-busy", "recall-parts", "recall-repeated-busy", "recall-withdrawn", "release-lost", "release-answer-lost",
             "break-away", "old-state", "grow-crosses-release"]
    done = results(*[word for name in names for word in ("--only", name)], "--", "sh", "-c", script, status=1)
    # It asks for what it needs, not for the min that it is told.
    assert {f["rule"] for x in done["results"] for f in x["findings"]} <= {"terms"}


# ---- those that are wrong ----

def test_every_wrong_client_is_caught_by_name():
    from wrong_client import WRONG
    assert len(WRONG) >= 50

    def play(name):
        _, rule, names, _ = WRONG[name]
        done = kit("--json", "--strict", "--wait", "7" if rule == "hello-late" else "2",
                   *[word for case in names for word in ("--only", case)],
                   "--", "/usr/bin/python3", os.path.join(FOLDER, "wrong_client.py"), name)
        found = {f["rule"] for x in json.loads(done.stdout)["results"] for f in x["findings"]}
        return None if done.returncode == 1 and rule in found else (name, rule, sorted(found), done.returncode)

    with concurrent.futures.ThreadPoolExecutor(4) as several:
        missed = [result for result in several.map(play, WRONG) if result]
    assert missed == []


def test_every_rule_has_a_client_that_breaks_it():
    from wrong_client import WRONG
    assert {name for name, _, _ in rules()} == {rule for _, rule, _, _ in WRONG.values()}


# ---- the program ----

def cases():
    listed = kit("--list").stdout.splitlines()
    return [line.split()[0] for line in listed if line.split()[0] != "random"]


def rules():
    """(name, level, where) of each rule."""
    return [(m[1], m[2], m[3].strip()) for m in
            (re.match(r"(\S+) +(MUST|SHOULD|KIT) +(.+?)  +\S", line) for line in kit("--rules").stdout.splitlines())]


def test_there_are_enough_cases_and_none_twice():
    assert len(cases()) >= 70 and len(set(cases())) == len(cases())


@pytest.mark.parametrize("words, said", [
    ([], "no client program: give its command line behind --"),
    (["--nonsense", "--", "true"], "unknown option '--nonsense': see --help"),
    (["--seed"], "--seed needs a value: see --help"),
    (["--seed", "x", "--", "true"], "--seed 'x': a seed is a whole number from 0"),
    (["--seed", "-1", "--", "true"], "--seed '-1': a seed is a whole number from 0"),
    (["--seed", "99999999999999999999", "--", "true"], "--seed '99999999999999999999': a seed is a whole number from 0"),
    (["--rounds", "1e3", "--", "true"], "--rounds '1e3': a whole number up to 1000000"),
    (["--wait", "0", "--", "true"], "--wait '0': whole seconds from 1 to 600"),
    (["--only", "recall", "--", "true"], "no case is called 'recall': see --list"),
    (["--only", "work", "--seed", "1", "--", "true"], "--seed runs random scripts alone: leave --only out"),
    (["--seed", "1", "--rounds", "0", "--", "true"], "--seed with --rounds 0 would run nothing"),
    (["--only", "work", "--rounds", "3", "--", "true"], "--rounds is for random scripts: name the case random, too"),
    (["--list", "--", "true"], "'true': nothing is run with --list, --rules, --help and --version"),
    (["--", "/no/such/program"], "'/no/such/program' cannot be started: No such file or directory"),
    (["--", FOLDER], f"'{FOLDER}' cannot be started: Permission denied")])
def test_wrong_usage_is_told(words, said):
    done = kit(*words)
    assert (done.returncode, done.stderr) == (2, f"granary-conformance: {said}\n")


def test_a_client_that_does_nothing_is_told_and_ended():
    done = kit("--wait", "1", "--only", "work", "--", "sleep", "1000")
    assert done.returncode == 1
    assert "FAIL  work\n" in done.stdout
    assert "hang (KIT, conformance.md)" in done.stdout
    assert "it did not ask for an allocation within 1 seconds" in done.stdout
    assert "again: granary-conformance --only work -- ..." in done.stdout


def test_a_client_that_ends_at_once_is_told():
    done = kit("--only", "work", "--", "sh", "-c", "echo gone wrong; exit 4")
    assert done.returncode == 1
    assert "it exited with 4 when 0 of 7 tasks had run" in done.stdout
    assert "it said: gone wrong" in done.stdout


def test_a_seed_plays_the_same_script_again():
    told = [[line for line in kit("--verbose", "--seed", "17", "--", *PYTHON).stderr.splitlines() if line.startswith("     recall")]
            for _ in range(2)]
    assert told[0] and told[0] == told[1]


def test_nothing_is_left_behind(tmp_path):
    env = {**os.environ, "TMPDIR": str(tmp_path)}
    pids = tmp_path / "pids"
    done = subprocess.run([KIT, "--wait", "1", "--only", "work", "--only", "recall-busy", "--", "sh", "-c",
                           f"sleep 1001 & echo $! >>{pids}; setsid sh -c 'echo $$ >>{pids}; (setsid sleep 1001 & echo $! >>{pids}); "
                           "sleep 1001' & exec sleep 1001"], env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    started = pids.read_text().split()
    assert len(started) == 6
    assert [pid for pid in started if os.path.exists(f"/proc/{pid}")] == []
    assert len(str(tmp_path)) < 70 and os.listdir(tmp_path) == ["pids"]


def test_without_a_folder_nothing_is_played(tmp_path):
    env = {**os.environ, "TMPDIR": str(tmp_path / "none")}
    done = subprocess.run([KIT, "--only", "work", "--", "true"], env=env, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == "granary-conformance: a private folder with its sockets: No such file or directory\n"


def test_a_task_alone_says_what_it_is():
    link = os.path.join(os.environ["GRANARY_PB"], "granary-task")
    os.symlink(KIT, link)
    env = {name: value for name, value in os.environ.items() if name != "GRANARY_KIT_BOARD"}
    done = subprocess.run([link], env=env, capture_output=True, text=True, timeout=30)
    os.unlink(link)
    assert done.returncode == 2 and "no GRANARY_KIT_BOARD in the environment" in done.stderr


# ---- the documents ----

def text_of(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        return f.read()


def test_every_rule_is_in_the_document():
    told = text_of("docs/give-back/conformance.md")
    assert len(rules()) == 48
    assert [name for name, level, _ in rules() if not re.search(rf"^\| `{name}` \| {level} \|", told, re.M)] == []


def test_every_case_is_in_the_document():
    told = text_of("docs/give-back/conformance.md")
    assert [name for name in cases() if f"`{name}`" not in told] == []


def test_every_option_and_variable_is_in_the_page():
    told = text_of("docs/man/granary-conformance.1").replace("\\-", "-")
    said = kit("--help").stdout
    names = re.findall(r"^  (--[a-z-]+)", said, re.M) + re.findall(r"GRANARY_[A-Z_]+", said)
    assert len(names) > 12
    assert [name for name in names if name not in told] == []


def test_the_completion_names_the_cases_and_options():
    script = f"source {ROOT}/contrib/granary.bash; COMP_WORDS=(granary-conformance --only recall-pa); COMP_CWORD=2; " \
             "_granary_conformance; echo ${COMPREPLY[@]}; COMP_WORDS=(granary-conformance --ver); COMP_CWORD=1; " \
             "_granary_conformance; echo ${COMPREPLY[@]}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=30,
                          env={**os.environ, "PATH": BIN + ":" + os.environ["PATH"]})
    assert done.stdout.splitlines() == ["recall-parts recall-part-withdrawn", "--verbose --version"], done.stderr

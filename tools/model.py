#!/usr/bin/python3
"""Checks the model of the give-back protocol, docs/give-back/give-back.pml, with spin: exhaustively, no hashing of states into bits.

    tools/model.py               every run, and every variant: some minutes
    tools/model.py --quick       the smaller runs and all variants of them: what a commit is checked with
    tools/model.py --names       only: are the names that the model lists in src/?
    tools/model.py --list        what there is
    tools/model.py --trail NAME  the counter-example of one variant, as a sequence of messages
    tools/model.py --jobs N      so many at once (default 2), each in at most 2.8 GiB

A run explores all states of one configuration; it fails when something that must hold does not. A variant leaves one rule of the protocol
out; it fails when that has NO consequence: then the rule would not be needed. Exit 0: all is as it must be; 1: not; 2: it cannot be told.
"""
import argparse
import concurrent.futures
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
NAME = "give-back.pml"
MODEL = os.path.join(ROOT, "docs", "give-back", NAME)
MEMORY_MIB = 2800
SECONDS = 1800

# name, quick, what may happen in it, switches
RUNS = [
    ("negotiation", True, "V and W wait; messages are lost, repeated, late",
     "WAITERS=2 CLAIMS=1"),
    ("early", True, "W; the client confirms early and releases by its own wish",
     "WAITERS=1 CLAIMS=1 EARLY OWN_WISH=1"),
    ("notice", False, "the same; requests give up, recalls are overdue",
     "WAITERS=1 CLAIMS=1 EARLY OWN_WISH=1 TIMEOUTS NOTICE"),
    ("by-force", False, "V; recalls are overdue, and D may be revoked",
     "WAITERS=3 CLAIMS=1 EARLY NOTICE REVOCABLE"),
    ("broker", True, "W; the broker dies, a stream breaks",
     "WAITERS=1 CRASHES=1 BREAKS=1 EARLY"),
    ("broker-tasks", False, "V, with tasks; the broker dies twice",
     "WAITERS=3 CLAIMS=1 CRASHES=2 EARLY"),
    ("clients", True, "V; a client dies, a stream breaks",
     "WAITERS=3 CLAIMS=1 DEATHS=1 BREAKS=1 EARLY"),
    ("agents", True, "V; links to agents break twice",
     "WAITERS=3 CLAIMS=1 LINKS=2 EARLY"),
    ("each-side", False, "W; the broker, a client, a stream and a link fail, once each",
     "WAITERS=1 CRASHES=1 DEATHS=1 BREAKS=1 LINKS=1 STARTS=0"),
    ("progress", True, "V and W; asks and offers are lost: in the end nobody waits",
     "PROGRESS WAITERS=2 STARTS=0 RECALLS=4"),
    ("progress-broker", True, "W; the broker dies: in the end nobody waits",
     "PROGRESS WAITERS=1 CRASHES=1 STARTS=0"),
    ("progress-stream", False, "V; streams break: in the end nobody waits",
     "PROGRESS WAITERS=3 BREAKS=2"),
    ("progress-clients", False, "V and W; a client dies: in the end nobody waits",
     "PROGRESS WAITERS=2 DEATHS=1 STARTS=0 RECALLS=4"),
    ("progress-agents", False, "V; links to agents break: in the end nobody waits",
     "PROGRESS WAITERS=3 LINKS=2"),
]

# the rule that is left out, the error that must follow, switches, the rule in words
VARIANTS = [
    ("NO_DRAIN_CHECK", "chunk_granted_before_drained", "WAITERS=1 EARLY",
     "a claimed chunk is free when its agent has seen it drained, not when the client says so"),
    ("SILENT_IS_OVER", "chunk_with_two_users", "WAITERS=1 LINKS=1",
     "the claims of a host that is silent stay in the books"),
    ("NO_GENERATION", "chunk_granted_before_drained", "WAITERS=1 CLAIMS=1 LINKS=1 STARTS=0",
     "a claim's number is never used again"),
    ("NO_JOURNAL_FIRST", "chunk_granted_before_drained", "WAITERS=1 CRASHES=1",
     "records are committed before anything of their step leaves"),
    ("NO_REQUEST_NUMBERS", "request_done_twice", "WAITERS=1 BREAKS=1",
     "a request that comes again with its number has no second effect"),
    ("ANSWERS_FORGOTTEN", "request_done_twice", "WAITERS=1 CRASHES=1",
     "kept answers survive a restart of the broker"),
    ("NO_MIN", "recalled_below_min", "WAITERS=2",
     "recalls together never ask below min"),
    ("NO_WITHDRAW", "recalled_for_nobody", "WAITERS=1 TIMEOUTS",
     "a recall ends with what it was made for"),
    ("NO_FINISHED", "more_given_than_asked", "WAITERS=3",
     "a client remembers which recalls are over: a repeated one takes nothing twice"),
    ("NO_LAST_CHUNK", "recalled_though_enough_comes", "WAITERS=1",
     "what returns counts also where its giver has nothing left"),
    ("NO_HOLD", "asked_again_and_again", "PROGRESS NO_GROWTH_BAR WAITERS=3 STARTS=0 RECALLS=5",
     "what a recall frees is held for its waiter, and its giver does not grow meanwhile"),
    ("NO_ASK_TIMER", "progress", "PROGRESS WAITERS=1",
     "the question is asked for a bounded moment"),
    ("NO_ASK_AGAIN", "progress", "PROGRESS WAITERS=1 CRASHES=1 STARTS=0",
     "a question is soft: after a restart it is asked again"),
    ("NO_RECALLS_TOLD_AGAIN", "progress", "PROGRESS WAITERS=1 BREAKS=1",
     "open recalls are told again when a client reattaches"),
    ("COUNTED_TWICE", "progress", "PROGRESS WAITERS=3 BREAKS=1",
     "a release whose answer was lost is counted once: by the broker if it took effect, else by the client"),
    ("NO_LOOK_AGAIN", "progress", "PROGRESS WAITERS=2 TIMEOUTS STARTS=0 RECALLS=4",
     "when a recall is withdrawn, who waits behind is looked at again"),
    ("NO_LOOK_AFTER_GROWTH", "progress", "PROGRESS WAITERS=2 STARTS=0 RECALLS=4",
     "when a giver grew, who waits is looked at again: more may be asked back, on all its hosts"),
    ("MUTABLE_RECALL", "progress", "PROGRESS WAITERS=2 STARTS=0 RECALLS=4",
     "a recall never changes: another demand is another recall"),
]


class Cannot(Exception):
    """It cannot be told whether the model holds."""


def switches(text):
    return ["-D" + word for word in text.split()]


def compiled(folder, defines, options):
    progress = "-DPROGRESS" in defines
    shutil.copy(MODEL, folder)  # the trail is written beside it
    made = subprocess.run(["spin", "-a", *defines, NAME], cwd=folder, capture_output=True, text=True)
    if made.returncode or not os.path.exists(os.path.join(folder, "pan.c")):
        raise Cannot("spin does not take the model:\n" + made.stdout + made.stderr)
    kind = [] if progress else ["-DSAFETY"]
    made = subprocess.run(["gcc", *options, "-w", *kind, "-DNOREDUCE", "-DVECTORSZ=1024", f"-DMEMLIM={MEMORY_MIB}",
                           "-o", "pan", "pan.c"], cwd=folder, capture_output=True, text=True)
    if made.returncode:
        raise Cannot("gcc does not take what spin made:\n" + made.stderr[-2000:])


def explore(folder, defines, options, arguments=()):
    """Runs pan. Returns what it found: a dictionary, with `error` None when everything holds."""
    compiled(folder, defines, options)
    progress = "-DPROGRESS" in defines
    started = time.monotonic()
    mode = ["-a"] if progress else []
    try:
        done = subprocess.run(["./pan", *mode, "-E", "-m2000000", *arguments], cwd=folder, capture_output=True, text=True,
                              timeout=SECONDS)
    except subprocess.TimeoutExpired as late:
        raise Cannot(f"not done after {SECONDS} s") from late
    said = done.stdout
    count = re.search(r"^\s*([\d.e+]+) states, stored", said, re.M)
    memory = re.search(r"^\s*([\d.]+)\s+total actual memory usage", said, re.M)
    if not count or "max search depth too small" in said or "reached -DMEMLIM" in said or "out of memory" in said:
        raise Cannot("the search was not complete:\n" + said[-1500:] + done.stderr[-500:])
    found = re.search(r"^pan:\d+: (.*) \(at depth (\d+)\)", said, re.M)
    error, depth = None, 0
    if found:
        error, depth = found.group(1), int(found.group(2))
        error = "progress" if "acceptance cycle" in error else re.sub(r"assertion violated\W*(\w+)\W*$", r"\1", error)
    states = int(float(count.group(1)))
    visited = re.search(r"\(([\d.e+]+) visited\)", said)
    if visited:
        states = int(float(visited.group(1)))
    return {"error": error, "depth": depth, "states": states, "seconds": time.monotonic() - started,
            "mib": float(memory.group(1)) if memory else 0.0}


def words(folder, defines):
    """The trail that lies in the folder, as lines."""
    done = subprocess.run(["spin", "-t", "-T", *defines, NAME], cwd=folder, capture_output=True, text=True)
    lines, cycle = [], False
    for line in done.stdout.splitlines():
        text = line.strip()
        if "START OF CYCLE" in text:
            lines.append("-- and from here on, for ever:")
            cycle = True
        elif re.match(r"(spin:|#|ltl |Never|never|using|proc |Process|\d+ process|timeout|starting|[a-z_0-9]+\[?\w*\]? = |$)", text, re.I):
            continue
        elif re.search(r"[:>] |hears|reattaches|dies|breaks|gives up|wants", text):
            lines.append("    " + text if text.startswith("books:") else text)
    if cycle and lines[-1].startswith("--"):
        lines[-1] = "-- and from here on nothing more happens"
    return lines


def one_run(run):
    name, _, what, text = run
    with tempfile.TemporaryDirectory(prefix="granary-model-") as folder:
        try:
            found = explore(folder, switches(text), ["-O0", "-DCOLLAPSE"])
        except Cannot as why:
            return False, f"FAIL  {name}: {why}"
        size = f"{found['states']} states, {found['seconds']:.0f} s, {found['mib']:.0f} MiB"
        if found["error"]:
            lines = "\n".join("        " + line for line in words(folder, switches(text)))
            return False, f"FAIL  {name} ({what}): {found['error']} at depth {found['depth']}; {size}\n{lines}"
        return True, f"ok    {name:17} {size:38} {what}"


def counter_example(variant, folder):
    name, _, text, _ = variant
    defines = switches(text + " " + name)
    deep = "PROGRESS" in text or name == "NO_GENERATION"  # else breadth first: the shortest one
    found = explore(folder, defines, ["-O0", "-DCOLLAPSE" if deep else "-DBFS"])
    return found, words(folder, defines) if found["error"] else []


def one_variant(variant):
    name, expected, _, rule = variant
    with tempfile.TemporaryDirectory(prefix="granary-model-") as folder:
        try:
            found, lines = counter_example(variant, folder)
        except Cannot as why:
            return False, f"FAIL  without {name}: {why}"
        if not found["error"]:
            return False, f"FAIL  {name}: nothing goes wrong in {found['states']} states, so the rule is not shown to be needed: {rule}"
        if expected not in found["error"]:
            return False, f"FAIL  {name}: {found['error']} instead of {expected}\n" + "\n".join("        " + line for line in lines)
        steps = sum(not line.startswith((" ", "--")) for line in lines)
        return True, f"ok    {name:21} {expected:29} after {steps:2} messages and events   rule: {rule}"


def unknown_names():
    with open(MODEL, encoding="utf-8") as f:
        listed = " ".join(re.findall(r"^ \* code: (.*)$", f.read(), re.M)).split()
    if not listed:
        raise Cannot("the model lists no names of the code")
    known = set()
    for folder in ("core", "client"):
        where = os.path.join(ROOT, "src", folder)
        for file in os.listdir(where):
            if file.endswith((".c", ".h")):
                with open(os.path.join(where, file), encoding="utf-8") as f:
                    known.update(re.findall(r"\w+", f.read()))
    return [name for name in listed if name not in known], len(listed)


def names():
    missing, count = unknown_names()
    for name in missing:
        print(f"FAIL  {name}: the model says that the code has this name, and src/core and src/client do not")
    if not missing:
        print(f"ok    all {count} names that the model lists are in the code")
    return not missing


def trail(name):
    variant = next((v for v in VARIANTS if v[0] == name), None)
    if variant is None:
        raise Cannot(f"no variant '{name}'; known: {' '.join(v[0] for v in VARIANTS)}")
    with tempfile.TemporaryDirectory(prefix="granary-model-") as folder:
        found, lines = counter_example(variant, folder)
    print("\n".join(lines))
    print(f"=> {found['error'] or 'nothing goes wrong'}")
    return bool(found["error"])


def everything(quick, jobs):
    started, good = time.monotonic(), names()
    tasks = [(one_run, r) for r in RUNS if r[1] or not quick] + [(one_variant, v) for v in VARIANTS]
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for fine, line in pool.map(lambda task: task[0](task[1]), tasks):
            print(line, flush=True)
            good &= fine
    print(f"model: {'all as it must be' if good else 'FAILED'}, {len(tasks)} searches in {time.monotonic() - started:.0f} s")
    return good


def main():
    parser = argparse.ArgumentParser(description="checks the model of the give-back protocol with spin")
    parser.add_argument("--quick", action="store_true", help="the smaller runs, and the variants")
    parser.add_argument("--names", action="store_true", help="only the names")
    parser.add_argument("--list", action="store_true", help="what there is")
    parser.add_argument("--trail", metavar="NAME", help="the counter-example of a variant in words")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="so many at once")
    options = parser.parse_args()
    if options.jobs < 1:
        parser.error("--jobs is at least 1")
    try:
        if options.list:
            for name, quick, what, text in RUNS:
                print(f"run      {name:17} {'quick' if quick else '     '} {what} [{text}]")
            for name, error, text, rule in VARIANTS:
                print(f"variant  {name:21} {error:29} {rule} [{text}]")
            return 0
        if options.names:
            return 0 if names() else 1
        for tool in ("spin", "gcc"):
            if shutil.which(tool) is None:
                raise Cannot(f"{tool} is missing; run: tools/deps.sh build model")
        if options.trail:
            return 0 if trail(options.trail) else 1
        return 0 if everything(options.quick, options.jobs) else 1
    except Cannot as why:
        print(f"model.py: {why}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""The main job on this machine's own files, measured.

A pool of 3 GiB. `granary harvest -j 4 -m 700M` compresses 24 inputs with `xz -9 -T1`; while it runs, a firm
`granary run -m 2G` of a program that really uses its memory arrives. The broker asks chunks back, the harvest gives
them as its tasks end, the firm program runs, the harvest grows again. inputs.py says what the inputs are, and why not
all of them are large enough to fill their chunk: the demo is to end within two minutes on two processors.

Everything that is said at the end was measured. Ends with status 1 when a task failed, no chunk was recalled, an output
is wrong or something was left behind; 130 after Ctrl-C, which leaves nothing either.
"""
import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

import books
import inputs
import leftovers
import report

MIB, GIB = 1 << 20, 1 << 30
TOTAL, SET_ASIDE, POOL = "3584M", "512M", 3 * GIB
FIRM_DONE, FIRM_AFTER = 3, 2        # the firm request comes so many seconds after so many tasks are done
FIRM_MIB, FIRM_SECONDS = 1900, 4
COMPRESS_SECONDS = 92               # what the inputs are sized for
PROGRESS_SECONDS = 10
DISK_LEAST = 2 * GIB


class Failure(Exception):
    """Something that the demo promises did not happen."""


def expect(true, text):
    if not true:
        raise Failure(text)


def disk_folder():
    """A folder on a disk: in tmpfs the inputs would be memory."""
    for folder in (os.environ.get("TMPDIR"), "/var/tmp", "."):
        if folder and os.access(folder, os.W_OK):
            kind = subprocess.run(["stat", "-f", "-c", "%T", folder], stdout=subprocess.PIPE, text=True, check=True)
            if kind.stdout.strip() not in ("tmpfs", "ramfs") and shutil.disk_usage(folder).free > DISK_LEAST:
                return tempfile.mkdtemp(prefix="granary-demo-", dir=os.path.abspath(folder))
    raise SystemExit(f"demo: neither TMPDIR nor /var/tmp is on a disk with {DISK_LEAST // GIB} GiB free: set TMPDIR "
                     "to a folder that is")


def processor_time():
    """Of the children that have ended, and theirs."""
    times = os.times()
    return times.children_user + times.children_system


def check_machine(granary):
    for program in (granary, "xz", "cmp"):
        if not shutil.which(program):
            raise SystemExit(f"demo: {program} is missing: run `make demo`, which installs and builds what is needed")
    with open("/proc/meminfo", encoding="ascii") as file:
        fields = dict(line.split(":") for line in file)
    free = int(fields["MemAvailable"].split()[0]) << 10
    if free < POOL + GIB // 4:
        raise SystemExit(f"demo: {(POOL + GIB // 4) / GIB:.2f} GiB of free memory are needed, and {free / GIB:.2f} GiB "
                         "are there: end something that uses memory, and run it again")


class Demo:
    """One run. Its parts: the broker, the sampler and the log that watch it, the harvest, the firm program."""

    def __init__(self, granary, screen):
        self.screen = screen
        self.folder = disk_folder()
        self.granary = [granary, "--socket", os.path.join(self.folder, "socket")]
        self.environment = {key: value for key, value in os.environ.items() if not key.startswith("GRANARY_")}
        self.environment["GRANARY_DEMO"] = self.folder  # what is left behind is known by it
        self.broker = self.books_id = self.log = self.sampler = None
        self.children = []
        self.facts = report.Facts(self.folder)

    def running(self):
        """Every process of this run, but for this one."""
        return leftovers.processes((self.folder, self.books_id))

    def call(self, *words):
        done = subprocess.run([*self.granary, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              stdin=subprocess.DEVNULL, env=self.environment, check=False)
        return done.returncode, done.stdout.strip()

    def snapshot(self):
        code, text = self.call("snapshot")
        expect(code == 0, f"the books could not be read: {text}")
        return json.loads(text)

    def spawn(self, words, out):
        """A child out of the terminal's reach: Ctrl-C is the demo's, which then ends its children in order."""
        child = subprocess.Popen([*self.granary, *words], stdin=subprocess.DEVNULL, stdout=out, text=True,
                                 stderr=subprocess.PIPE, env=self.environment, start_new_session=True)
        self.children.append(child)
        child.lines = []
        child.relay = threading.Thread(target=lambda: child.lines.extend(line.rstrip() for line in child.stderr),
                                       daemon=True)
        child.relay.start()
        return child

    # ---- the parts ----

    def make_inputs(self):
        cores = len(os.sched_getaffinity(0))
        self.screen.say("inputs", f"collecting real files of this machine in {self.folder}")
        made = inputs.Inputs(self.folder, cores, COMPRESS_SECONDS)
        for line in report.describe_inputs(made):
            self.screen.say("inputs", line)
        self.facts.inputs, self.facts.cores = made, cores

    def start_broker(self):
        done = subprocess.run([*self.granary, "up", "--memory", TOTAL, "--set-aside", SET_ASIDE, "--state",
                               os.path.join(self.folder, "state"), "--detach"], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True, env=self.environment,
                              check=False, start_new_session=True)
        expect(done.returncode == 0, f"the broker did not start: {done.stdout.strip()}")
        self.broker = int(done.stdout.split("pid ")[1].split(",")[0])
        self.books_id = leftovers.books_id(self.broker)
        expect(self.books_id is not None, "the broker's agent could not be found")
        now = self.snapshot()
        expect(books.pool_of(now) == POOL, f"the broker finds only {books.pool_of(now) / GIB:.2f} GiB to lease here, "
               "and the demo needs 3: is this shell under a memory limit?")
        self.facts.enforcement = now["hosts"][0]["enforcement"]
        by = self.facts.enforcement
        how = "use is measured, not limited" if by == "watch" else f"limits by {by}"
        self.screen.say("broker", f"leases a pool of 3 GiB on this machine; {how}")
        self.log = books.Log(self.granary, lambda note: self.screen.note(note))
        self.sampler = books.Sampler(self.granary)

    def start_harvest(self):
        listing = os.path.join(self.folder, "inputs.list")
        with open(listing, "w", encoding="utf-8") as file:
            file.writelines(path + "\n" for path in self.facts.inputs.paths)
        words = ["harvest", "-j", "4", "-m", "700M", "--label", "batch", "--joblog", self.facts.joblog, "-a", listing,
                 "--", "xz", "-9", "-T1", "-k", "{}"]
        self.screen.say("batch", "granary harvest -j 4 -m 700M -- xz -9 -T1 -k {}   one input for each task")
        self.facts.begun = time.time()
        return self.spawn(words, subprocess.DEVNULL)

    def progress(self):
        while True:
            time.sleep(PROGRESS_SECONDS - (time.time() - self.facts.begun) % PROGRESS_SECONDS)
            if self.facts.ended or not self.sampler.samples:
                return
            now = self.sampler.samples[-1][1]
            running = sum(c["chunks"] for a in now["allocations"] if a["label"] == "batch" for c in a["claims"])
            self.screen.say("batch", f"{len(self.facts.rows())} of {inputs.COUNT} done, {running} running; of the pool "
                            f"{books.leased_of(now) / POOL:.0%} leased, {books.used_of(now) / POOL:.0%} really used")

    def wait_for_tasks(self, harvest):
        while len(self.facts.rows()) < FIRM_DONE:
            try:
                harvest.wait(0.1)
                raise Failure("the harvest ended early:\n" + "\n".join(harvest.lines))
            except subprocess.TimeoutExpired:
                continue
        time.sleep(FIRM_AFTER)
        self.facts.groups_seen = leftovers.groups(self.books_id)

    def run_firm(self):
        """The firm program, from its request to its end."""
        hold = os.path.join(os.path.dirname(os.path.abspath(__file__)), "hold.py")
        free = self.snapshot()["hosts"][0]["free"]
        self.facts.asked = time.time()
        self.screen.say("firm", f"granary run -m 2G -- hold.py   needs 2 GiB now; {free // MIB} MiB are free")
        child = self.spawn(["run", "-m", "2G", "--label", "firm", "--", sys.executable, hold, str(FIRM_MIB),
                            str(FIRM_SECONDS)], subprocess.PIPE)
        for line in child.stdout:
            event = json.loads(line)
            self.facts.firm[event["event"]] = event["wall"]
            self.screen.say("firm", {"began": "runs", "filled": f"has written to {FIRM_MIB} MiB",
                                     "ended": "has read them again, all right, and ends"}[event["event"]])
        expect(child.wait() == 0, "the firm program failed:\n" + "\n".join(child.lines))

    def run(self):
        self.make_inputs()
        self.start_broker()
        spent = processor_time()
        harvest = self.start_harvest()
        threading.Thread(target=self.progress, daemon=True).start()
        self.wait_for_tasks(harvest)
        self.run_firm()
        status = harvest.wait()
        self.facts.ended = time.time()
        harvest.relay.join()
        self.facts.cpu = processor_time() - spent
        self.sampler.stop()
        self.facts.watched(self.sampler, self.log)
        for line in report.last_words(harvest.lines):
            self.screen.say("batch", line)
        expect(status == 0, f"the harvest ended with status {status}:\n" + "\n".join(harvest.lines))
        self.screen.say("demo", "unpacks every output and compares it with its input")
        self.facts.verify()
        self.facts.check = self.call("check")
        for wrong in self.facts.wrong():
            raise Failure(wrong)

    # ---- the end ----

    def stop_children(self):
        """Clients first, so that they give everything back in order; then what this program started itself."""
        self.facts.stopped = True
        for child in self.children:
            if child.poll() is None:
                child.terminate()
        for child in self.children:
            try:
                child.wait(15)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        helpers = [pid for pid in self.running() if leftovers.parent(pid) == os.getpid() and pid != self.broker]
        leftovers.signal_all(helpers, signal.SIGTERM)

    def stop_broker(self):
        leftovers.signal_all([self.broker] if self.broker else self.running(), signal.SIGTERM)
        end = time.time() + 20
        while time.time() < end and self.running():
            time.sleep(0.05)

    def clean(self):
        """Ends what was started, takes everything away, and looks for what is left."""
        self.stop_children()
        if self.sampler:
            self.sampler.stop()
        if self.log:
            self.log.stop()
        self.stop_broker()
        left = self.running()
        leftovers.signal_all(left, signal.SIGKILL)
        shutil.rmtree(self.folder)
        expect(not left, f"these processes were left behind: {left}")
        groups = leftovers.groups(self.books_id) if self.books_id else []
        expect(not groups, f"these limits groups were left behind: {groups}")


def stop(*_):
    raise KeyboardInterrupt


def attempt(screen, act):
    """0, 1 or 130."""
    try:
        act()
        return 0
    except (Failure, OSError) as failure:
        screen.fail(str(failure))
        return 1
    except KeyboardInterrupt:
        screen.head("Stopped: what was started is being ended, and what was written is taken away.")
        return 130


def main():
    parser = argparse.ArgumentParser(description="Granary's main job, measured.")
    parser.add_argument("--granary", required=True, help="the granary command")
    granary = os.path.abspath(parser.parse_args().granary)
    check_machine(granary)
    screen = report.Screen()
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, stop)
    demo = Demo(granary, screen)
    status = 1
    try:
        status = attempt(screen, demo.run)
    finally:
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)  # what was started is being ended already
        screen.quiet = True
        status = attempt(screen, demo.clean) or status
    if status == 0:
        screen.sum_up(demo.facts)
    return status


if __name__ == "__main__":
    sys.exit(main())

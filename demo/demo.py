#!/usr/bin/env python3
"""The main job on this machine's own files.

A pool of 3 GiB. `granary harvest -j 4 -m 700M` compresses 26 inputs with `xz -9 -T1`; while it runs, a firm
`granary run -m 2G` of a program that really uses its memory arrives. The broker asks chunks back, the harvest gives them as
its tasks end, the firm program runs, the harvest grows again. Everything said at the end was measured. Ends with
status 1 when a task failed, no chunk was recalled, or something was left behind.
"""
import argparse
import glob
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

import books
import inputs

MIB, GIB = 1 << 20, 1 << 30
TOTAL, SET_ASIDE = "3584M", "512M"  # a pool of 3 GiB
FIRM_AFTER = 10                     # seconds into the harvest
FIRM_MIB, FIRM_SECONDS = 1900, 6
COMPRESS_SECONDS = 48               # what the inputs are sized for, on an idle machine

START = time.time()


def say(text, who="demo"):
    print(f"[{time.time() - START:6.1f} s] {who:8} {text}", flush=True)


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
            if kind.stdout.strip() not in ("tmpfs", "ramfs") and shutil.disk_usage(folder).free > 3 * GIB:
                return tempfile.mkdtemp(prefix="granary-demo-", dir=os.path.abspath(folder))
    raise SystemExit("demo: no folder on a disk with 3 GiB free; set TMPDIR")


def check_machine():
    with open("/proc/meminfo", encoding="ascii") as file:
        fields = dict(line.split(":") for line in file)
    free = int(fields["MemAvailable"].split()[0]) << 10
    if free < 3.25 * GIB:
        raise SystemExit(f"demo: 3.25 GiB of free memory are needed, and {free / GIB:.1f} GiB are there")


class Demo:
    def __init__(self, granary):
        self.folder = disk_folder()
        self.granary = [granary, "--socket", os.path.join(self.folder, "socket")]
        self.environment = {**os.environ, "GRANARY_SOCKET": os.path.join(self.folder, "socket"),
                            "GRANARY_DEMO": self.folder}
        self.broker = None
        self.children = []
        self.log = self.sampler = None
        self.group_names = set()

    def call(self, *words):
        done = subprocess.run([*self.granary, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              stdin=subprocess.DEVNULL, check=False)
        return done.returncode, done.stdout.strip()

    def show(self, *words):
        for line in self.call(*words)[1].splitlines():
            say(line, words[0])

    def start_broker(self):
        state = os.path.join(self.folder, "state")
        done = subprocess.run([*self.granary, "up", "--memory", TOTAL, "--set-aside", SET_ASIDE, "--state", state,
                               "--detach"], stdout=subprocess.PIPE, text=True, env=self.environment, check=False)
        expect(done.returncode == 0, "the broker did not start")
        say(done.stdout.strip(), "up")
        self.broker = int(done.stdout.split("pid ")[1].split(",")[0])

    def spawn(self, words, name, out):
        """A child whose standard error is shown line by line."""
        child = subprocess.Popen([*self.granary, *words], stdin=subprocess.DEVNULL, stdout=out, text=True,
                                 stderr=subprocess.PIPE, env=self.environment, start_new_session=True)
        self.children.append(child)
        child.lines = []

        def relay():
            for line in child.stderr:
                child.lines.append(line.rstrip())
                say(line.rstrip(), name)
        child.relay = threading.Thread(target=relay, daemon=True)
        child.relay.start()
        return child

    def seen(self, note):
        """Decisions that are worth a line while they are made."""
        for text in ("waits in the queue", "chunks are asked back", "preferred", "gave chunks back", "held for it",
                     "recall is answered", "withdrawn", "granted", "grew", "by force", "overdue"):
            if text in note.text:
                chunks = f" ({note.fields['chunks']} chunks)" if note.number("chunks") else ""
                label = note.fields.get("allocation_label", "?")
                say(f"{label}: {note.text}{chunks}", "broker")
                return

    # ---- the job ----

    def harvest(self, paths):
        listing = os.path.join(self.folder, "inputs.list")
        with open(listing, "w", encoding="utf-8") as file:
            file.writelines(path + "\n" for path in paths)
        return self.spawn(["harvest", "-j", "4", "-m", "700M", "--joblog", os.path.join(self.folder, "joblog"),
                           "-a", listing, "--", "xz", "-9", "-T1", "-k", "{}"], "harvest", subprocess.DEVNULL)

    def firm(self):
        hold = os.path.join(os.path.dirname(os.path.abspath(__file__)), "hold.py")
        asked = time.time()
        say("granary run -m 2G: a firm request arrives", "demo")
        child = self.spawn(["run", "-m", "2G", "--label", "firm", "--", sys.executable, hold, str(FIRM_MIB),
                            str(FIRM_SECONDS)], "run", subprocess.PIPE)
        time.sleep(0.2)
        self.show("queue")
        self.show("status")
        events = {}
        for line in child.stdout:
            event = json.loads(line)
            events[event["event"]] = event["wall"]
            say(f"the firm program {event['event']}" + (f" {event['mib']} MiB" if "mib" in event else ""), "run")
            if event["event"] == "filled":
                self.show("status")
        expect(child.wait() == 0, "the firm program failed")
        return asked, events

    def run(self):
        cores = len(os.sched_getaffinity(0))
        say(f"making {inputs.COUNT} inputs of real files in {self.folder}")
        paths, small = inputs.make(self.folder, cores, COMPRESS_SECONDS)
        say(f"{len(inputs.LARGE_AT)} inputs of {inputs.LARGE // MIB} MiB, "
            f"{inputs.COUNT - len(inputs.LARGE_AT)} of {small // MIB} MiB")
        self.start_broker()
        self.log = books.Log(self.granary, self.seen)
        self.sampler = books.Sampler(self.granary)
        self.show("status")
        begun = time.time()
        harvest = self.harvest(paths)
        try:
            harvest.wait(FIRM_AFTER)
            raise Failure(f"the harvest ended within {FIRM_AFTER} s: the inputs are too small for this machine")
        except subprocess.TimeoutExpired:
            pass
        self.note_groups()
        asked, events = self.firm()
        self.show("check")
        status = harvest.wait()
        ended = time.time()
        harvest.relay.join()
        self.sampler.stop()
        expect(status == 0, f"the harvest ended with status {status}")
        self.report(paths, begun, ended, asked, events)

    # ---- afterwards ----

    def joblog(self):
        with open(os.path.join(self.folder, "joblog"), encoding="utf-8") as file:
            names = file.readline().rstrip("\n").split("\t")
            return [dict(zip(names, line.rstrip("\n").split("\t"))) for line in file]

    def report(self, paths, begun, ended, asked, events):
        rows = self.joblog()
        peaks = sorted(int(row["peak_bytes"]) for row in rows)
        killed = sum(row["signal"] != "0" for row in rows)
        oom = sum(row["oom"] != "0" for row in rows)
        say(f"tasks: {len(rows)} run, {sum(row['exit'] == '0' for row in rows)} succeeded, {killed} killed, "
            f"{oom} out of memory, in {ended - begun:.1f} s")
        say(f"memory that the tasks really used: half at most {peaks[len(peaks) // 2] / MIB:.0f} MiB, "
            f"the largest {peaks[-1] / MIB:.0f} MiB of 700")
        expect(len(rows) == len(paths) and all(row["exit"] == "0" for row in rows) and killed == oom == 0,
               "not every task ended well the first time")
        given = self.recalls(asked, events)
        leased, used, most = self.sampler.utilisation(begun + 2, ended - 2)
        say(f"pool of 3 GiB: {leased:.0%} leased on average, {used:.0%} really used, at most {most:.0%}")
        self.verify(paths)
        expect(given > 0, "no chunk was recalled")

    def recalls(self, asked, events):
        """What happened between the firm request and its program. Returns the chunks that were given back."""
        begun = events["began"]
        during = [n for n in self.log.notes if asked - 0.1 <= n.wall <= begun + 0.5]
        say(f"the firm request came at {asked - START:.1f} s; its program ran {begun - asked:.2f} s later")
        given = 0
        for note in during:
            after = f"+{note.wall - asked:.2f} s"
            if "asked back" in note.text:
                say(f"  {after}: {note.number('chunks')} chunks were asked back (recall {note.number('recall')})")
            elif "preferred" in note.text:
                say(f"  {after}: of those offered, the broker preferred {note.number('chunks')} chunks on "
                    f"{note.fields.get('host', '?')}")
            elif "gave chunks back" in note.text:
                given += note.number("chunks")
                say(f"  {after}: {note.number('chunks')} chunks were given back")
        ends = [(int(float(r["start"]) * 1000) + int(r["runtime_ms"])) / 1000 for r in self.joblog()]
        before = [e for e in ends if asked <= e <= begun + 0.1]
        if before:
            say(f"  the last task whose chunk it needed ended {max(before) - asked:.2f} s after the request; from there "
                f"to the firm program's first instruction: {(begun - max(before)) * 1000:.0f} ms")
        return given

    def verify(self, paths):
        """Unpacks every output beside its input, on all cores."""
        wrong = []

        def check(own):
            for path in own:
                unpack = subprocess.Popen(["xz", "-d", "-c", path + ".xz"], stdout=subprocess.PIPE)
                same = subprocess.run(["cmp", "-s", "-", path], stdin=unpack.stdout, check=False).returncode == 0
                unpack.stdout.close()
                if unpack.wait() != 0 or not same:
                    wrong.append(path)
        cores = len(os.sched_getaffinity(0))
        threads = [threading.Thread(target=check, args=(paths[i::cores],)) for i in range(cores)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        expect(not wrong, f"the output of {wrong} is not its input")
        before = sum(os.path.getsize(path) for path in paths)
        after = sum(os.path.getsize(path + ".xz") for path in paths)
        say(f"output verified: {len(paths)} files unpack to their inputs, {before / MIB:.0f} MiB from {after / MIB:.0f} MiB")

    def left(self):
        """Processes of this demo that still run: each carries the folder in its environment or its command."""
        found = []
        for name in os.listdir("/proc"):
            if not name.isdigit() or int(name) == os.getpid():
                continue
            try:
                with open(f"/proc/{name}/environ", "rb") as file:
                    environment = file.read()
                with open(f"/proc/{name}/cmdline", "rb") as file:
                    command = file.read()
            except OSError:
                continue
            if self.folder.encode() in environment or self.folder.encode() in command:
                found.append((int(name), command.replace(b"\0", b" ").decode(errors="replace").strip()))
        return found

    def note_groups(self):
        """The folder of limits groups that the broker's agent made: where a running task is."""
        books_now = json.loads(self.call("snapshot")[1])
        pids = [pid for a in books_now["allocations"] for c in a["claims"] for pid in c["pids"]]
        for pid in pids:
            try:
                with open(f"/proc/{pid}/cgroup", encoding="ascii") as file:
                    self.group_names.update(re.findall(r"/(granary\.[0-9a-f]+)/", file.read()))
            except OSError:
                continue  # it has ended meanwhile

    def groups_left(self):
        names = [name for name in self.group_names]
        return [found for name in names for found in glob.glob(f"/sys/fs/cgroup/**/{name}", recursive=True)]

    def stop_broker(self):
        if self.broker is None:
            return
        os.kill(self.broker, signal.SIGTERM)
        end = time.time() + 15
        while time.time() < end and os.path.isdir(f"/proc/{self.broker}") and self.left():
            time.sleep(0.05)

    def clean(self, failed):
        for child in self.children:
            if child.poll() is None:
                child.terminate()
                try:
                    child.wait(15)
                except subprocess.TimeoutExpired:
                    child.kill()
        if self.sampler:
            self.sampler.stop()
        code, text = self.call("check") if self.broker and not failed else (0, "")
        if self.log:
            self.log.stop()
        self.stop_broker()
        left = self.left()
        shutil.rmtree(self.folder)
        expect(code == 0, f"granary check: {text}")
        expect(not left, f"still running: {left}")
        groups = self.groups_left()
        expect(not groups, f"limits groups that were left behind: {groups}")


def main():
    parser = argparse.ArgumentParser(description="Granary's main job, measured.")
    parser.add_argument("--granary", required=True, help="the granary command")
    options = parser.parse_args()
    check_machine()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    demo = Demo(os.path.abspath(options.granary))
    failed = True
    try:
        demo.run()
        failed = False
    except Failure as failure:
        say(f"FAILED: {failure}")
    finally:
        try:
            demo.clean(failed)
        except Failure as failure:
            say(f"FAILED: {failure}")
            failed = True
    if not failed:
        say(f"nothing is left running. {time.time() - START:.0f} s in all.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

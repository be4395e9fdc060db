"""What the demo says: lines while it runs, and at the end what was measured."""
import os
import subprocess
import sys
import threading
import time

import books
import inputs

MIB, GIB = 1 << 20, 1 << 30
CHUNK = 700 * MIB
COLOURS = {"broker": "36", "batch": "32", "firm": "33", "demo": "0", "inputs": "0"}


def many(n, noun):
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def mib(size):
    return f"{size / MIB:.0f} MiB"


class Screen:
    """Lines on standard output, in colours on a terminal."""

    def __init__(self):
        self.start = time.time()
        self.colours = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        self.quiet = False
        self.asked = self.given = 0
        self.preferred = set()
        self.lock = threading.Lock()
        self.head("Granary's main job: a batch fills a pool of memory, and makes room for a program that needs 2 GiB.")

    def paint(self, code, text):
        return f"\033[{code}m{text}\033[0m" if self.colours else text

    def head(self, text):
        print("\n" + self.paint("1", text) + "\n", flush=True)

    def say(self, who, text):
        with self.lock:
            if not self.quiet:
                at = self.paint("2", f"{time.time() - self.start:6.1f} s")
                print(f"{at}  {self.paint(COLOURS[who], who.ljust(6))}  {text}", flush=True)

    def fail(self, text):
        with self.lock:
            print("\n" + self.paint("1;31", "FAILED") + f"  {text}", flush=True)

    def note(self, note):
        """Decisions of the broker that are worth a line while they are made."""
        label, n = note.fields.get("allocation_label", "?"), note.number("chunks")
        chunks = many(n, "chunk")
        if "chunks are asked back" in note.text:
            self.asked += n
            self.say("broker", f"asks {label} to give {chunks} back for {note.fields.get('for_label', '?')}")
        elif "preferred" in note.text:
            if note.fields.get("recall") not in self.preferred:
                self.preferred.add(note.fields.get("recall"))
                self.say("broker", f"prefers, of those that {label} offers, the {chunks} on "
                         f"{note.fields.get('host', '?')} whose tasks end soonest")
        elif "gave chunks back" in note.text and self.given < self.asked:
            self.given += n
            self.say("broker", f"{label} gave {chunks} back, as a task ended ({self.given} of {self.asked})")
        elif note.text == "granted":
            self.say("broker", f"grants {label} {chunks}")
        elif note.text == "waits in the queue":
            self.say("broker", f"{label} waits")
        elif note.text == "grew":
            self.say("broker", f"{label} grows again by {chunks}")
        elif "by force" in note.text or "overdue" in note.text:
            self.say("broker", f"{label}: {note.text} ({chunks})")

    def sum_up(self, facts):
        self.head("What was measured")
        for name, lines in facts.summary(time.time() - self.start):
            for i, line in enumerate(lines):
                print(f"  {self.paint('1', (name if i == 0 else '').ljust(8))}  {line}")
        print(flush=True)


def describe_inputs(made):
    content, count = made.content, inputs.COUNT
    yield (f"{count} files, {mib(made.bytes())}: {made.large} of {mib(inputs.LARGE)}, enough for xz -9 to fill its "
           f"chunk, and {count - made.large} of {made.small / 1e6:.1f} MB")
    if content.again == 0:
        yield f"put together from {content.files} different files, none taken twice"
    else:
        yield (f"put together from {content.files} different files; this machine has too few, so that "
               f"{content.again / content.bytes:.0%} of the content is taken a second time")
    if made.small < 10e6:
        yield (f"not more because each processor compresses {made.speed / MIB:.1f} MiB a second now, and the demo is "
               "to end in two minutes")
    if made.late:
        yield "a large one alone takes longer than that on a machine that is so slow or busy: have patience"


def last_words(lines):
    """What a harvest says at its end."""
    at = max((i for i, line in enumerate(lines) if line.startswith("granary harvest:")), default=max(0, len(lines) - 6))
    return [line.removeprefix("granary harvest: ") for line in lines[at:]]


class Facts:
    """What was measured in one run."""

    def __init__(self, folder):
        self.joblog = os.path.join(folder, "joblog")
        self.inputs = self.enforcement = None
        self.cores = self.begun = self.ended = self.asked = self.cpu = 0
        self.firm = {}
        self.groups_seen, self.check = [], (1, "was not asked")
        self.forecasts, self.recalls, self.unlike = [], [], []
        self.asked_back = self.forced = self.grew = None
        self.use = self.packed = None
        self.stopped = False

    def rows(self):
        try:
            with open(self.joblog, encoding="utf-8") as file:
                names = file.readline().rstrip("\n").split("\t")
                return [dict(zip(names, line.rstrip("\n").split("\t"))) for line in file if line.endswith("\n")]
        except FileNotFoundError:
            return []

    def watched(self, sampler, log):
        """Takes over what the sampler and the log saw."""
        began, asked = self.firm["began"], self.asked
        self.use = sampler.utilisation(self.begun + 2, self.ended - 2)
        self.forecasts = sampler.forecasts("firm")
        self.asked_back = log.between(asked - 0.1, began, "chunks are asked back")
        self.preferred = log.between(asked - 0.1, began, "are preferred")
        self.given = log.between(asked - 0.1, began + 0.5, "gave chunks back")
        self.granted = [n for n in log.between(asked - 0.1, began + 0.5, "granted")
                        if n.fields.get("allocation_label") == "firm"]
        self.forced = log.between(0, self.ended, "by force")
        self.grew = log.between(began, self.ended, "grew")

    def verify(self):
        """Unpacks every output beside its input, on all processors."""
        def check(own):
            for path in own:
                if self.stopped:
                    return
                unpack = subprocess.Popen(["xz", "-d", "-c", path + ".xz"], stdout=subprocess.PIPE)
                same = subprocess.run(["cmp", "-s", "-", path], stdin=unpack.stdout, check=False).returncode == 0
                unpack.stdout.close()
                if unpack.wait() != 0 or not same:
                    self.unlike.append(path)
        paths = self.inputs.paths
        threads = [threading.Thread(target=check, args=(paths[i::self.cores],), daemon=True) for i in range(self.cores)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.packed = sum(os.path.getsize(path + ".xz") for path in paths)
        self.ran = self.rows()  # the joblog goes with the folder

    def counts(self):
        """Tasks: run, done, killed, out of memory."""
        done = sum(row["exit"] == "0" for row in self.ran)
        killed = sum(row["signal"] != "0" for row in self.ran)
        return len(self.ran), done, killed, sum(row["oom"] != "0" for row in self.ran)

    def wrong(self):
        """What was promised and did not happen."""
        count = len(self.inputs.paths)
        run, done, killed, oom = self.counts()
        if (run, done, killed, oom) != (count, count, 0, 0):
            yield f"of {count} tasks {run} were run, {done} done, {killed} killed, {oom} out of memory"
        if sum(note.number("chunks") for note in self.given) == 0:
            yield "no chunk was recalled"
        if self.forced:
            yield "chunks were taken by force"
        if not self.grew:
            yield "the batch did not grow again"
        if self.unlike:
            yield f"the outputs of {', '.join(self.unlike)} are not their inputs"
        if not self.groups_seen and self.enforcement != "watch":
            yield "no limits group was seen while tasks ran"
        if self.check[0] != 0:
            yield f"granary check: {self.check[1]}"

    # ---- in words ----

    def summary(self, whole):
        run, done, killed, oom = self.counts()
        wall = self.ended - self.begun
        yield "tasks", [f"{done} of {len(self.inputs.paths)} done, {killed} killed, {oom} out of memory, "
                        f"in {wall:.0f} s"]
        yield "output", [f"every file unpacked again and compared: all equal, {mib(self.inputs.bytes())} from "
                         f"{mib(self.packed)}"]
        yield "firm", list(self.story())
        yield "memory", list(self.memory())
        yield "left", [f"no process, no file, {self.groups_left()}. {self.check[1]}"]
        yield "time", [f"{whole:.0f} s in all; the tasks and the firm program had {self.cpu:.0f} s of processor time, "
                       f"{self.cpu / self.cores / wall:.0%} of {many(self.cores, 'processor')}"]

    def groups_left(self):
        if self.groups_seen:
            return "no limits group (there were some while tasks ran)"
        return "and no limits group was made: memory is watched here"

    def story(self):
        """From the firm request to its program, and its forecast."""
        began = self.firm["began"]
        yield f"asked for 2 GiB {self.asked - self.begun:.1f} s after the batch began"
        for note in self.asked_back:
            yield f"{self.after(note.wall)}  {many(note.number('chunks'), 'chunk')} asked back from the batch"
        for host, chunks in dict.fromkeys((n.fields.get("host"), n.number("chunks")) for n in self.preferred):
            at = self.after(self.preferred[0].wall)
            yield f"{at}  preferred: the {many(chunks, 'chunk')} on {host} whose tasks end soonest"
        for note, name in self.given_as():
            yield f"{self.after(note.wall)}  {many(note.number('chunks'), 'chunk')} given back{name}"
        yield (f"{self.after(began)}  its program runs, {(began - self.given[-1].wall) * 1000:.0f} ms after the last "
               "chunk was given back")
        yield f"           {self.forecast(began)}"
        grown = sum(note.number("chunks") for note in self.grew)
        yield f"{self.after(self.grew[0].wall)}  it has ended, and the batch has grown again by {many(grown, 'chunk')}"

    def given_as(self):
        """Each giving back, with the task at whose end it was."""
        ends = sorted((float(row["start"]) + int(row["runtime_ms"]) / 1000,
                       os.path.basename(row["command"].split()[-1])) for row in self.ran)
        for note in self.given:
            near = [end for end in ends if abs(note.wall - end[0]) <= 1]
            if near:
                ends.remove(near[0])
            yield note, f", as the task of {near[0][1]} ended" if near else ""

    def forecast(self, began):
        known = [(wall, at) for wall, at in self.forecasts if at is not None]
        if not known:
            return "no forecast: nobody knew when the tasks would end"
        (_, first), (wall, last) = known[0], known[-1]
        late = f", until {began - wall:.1f} s before it ran" if began - wall > 1 else ""
        return f"forecast when it asked: {self.after(first).strip()}; the last one{late}: {self.after(last).strip()}"

    def after(self, wall):
        return f"{wall - self.asked:+7.2f} s"

    def memory(self):
        peaks = sorted(int(row["peak_bytes"]) for row in self.ran)
        leased, used, most = self.use
        yield f"of the pool of 3 GiB {leased:.0%} leased on average, {used:.0%} really used (at most {most:.0%}):"
        yield (f"a chunk of 700 MiB has room for the largest task, which used {mib(peaks[-1])}; half of the tasks used "
               f"at most {mib(peaks[len(peaks) // 2])}")

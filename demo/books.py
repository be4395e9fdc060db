"""What the demo sees of the broker while it runs: its log, followed, and its books, sampled."""
import json
import re
import subprocess
import threading
import time

FIELD = re.compile(r'([a-z_]+)=("(?:[^"\\]|\\.)*"|\S+) ')
SAMPLE_EVERY = 0.25


class Note:
    """One line of the log: its fields, and what it says."""

    def __init__(self, line):
        self.wall = line["wall_ms"] / 1000
        self.fields, self.text = {}, line["text"]
        while found := FIELD.match(self.text):
            self.fields[found[1]] = found[2].strip('"')
            self.text = self.text[found.end():]

    def number(self, name):
        return int(self.fields.get(name, 0))


class Log(threading.Thread):
    """Follows the log; `seen` is called for each line."""

    def __init__(self, granary, seen):
        super().__init__(daemon=True)
        self.notes, self.seen = [], seen
        self.process = subprocess.Popen([*granary, "log", "--follow", "--json", "-n", "0"], stdout=subprocess.PIPE,
                                        stdin=subprocess.DEVNULL, text=True, start_new_session=True)
        self.start()

    def run(self):
        for line in self.process.stdout:
            note = Note(json.loads(line))
            self.notes.append(note)
            self.seen(note)

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.join(5)

    def between(self, start, end, text):
        return [n for n in self.notes if start <= n.wall <= end and text in n.text]


class Sampler(threading.Thread):
    """Looks at the books every quarter of a second."""

    def __init__(self, granary):
        super().__init__(daemon=True)
        self.granary, self.samples, self.ended = granary, [], threading.Event()
        self.start()

    def run(self):
        while not self.ended.wait(SAMPLE_EVERY):
            done = subprocess.run([*self.granary, "snapshot"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                  stdin=subprocess.DEVNULL, check=False, start_new_session=True)
            if done.returncode == 0:
                self.samples.append((time.time(), json.loads(done.stdout)))

    def stop(self):
        self.ended.set()
        self.join(10)

    def utilisation(self, start, end):
        """Parts of the pool: the means over a time of what is leased and of what is really used, and the most used."""
        leased, used = [], []
        for wall, books in self.samples:
            if not start <= wall <= end:
                continue
            leased.append(leased_of(books) / pool_of(books))
            used.append(used_of(books) / pool_of(books))
        if not leased:
            raise SystemExit("demo: the books could not be sampled")
        return sum(leased) / len(leased), sum(used) / len(used), max(used)

    def forecasts(self, label):
        """(time, forecast of the start or None) of each sample in which a request of that label waits."""
        found = []
        for wall, books in self.samples:
            for waiter in books["queue"]:
                if waiter["label"] == label:
                    expected = waiter.get("expected_ms")
                    found.append((wall, None if expected is None else wall + expected / 1000))
        return found


def pool_of(books):
    host = books["hosts"][0]
    return host["total"] - host["set_aside"]


def leased_of(books):
    host = books["hosts"][0]
    return host["granted"] + host["returning"] + host["held"]


def used_of(books):
    return sum(claim["used"] for a in books["allocations"] for claim in a["claims"])

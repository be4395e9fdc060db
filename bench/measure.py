"""Medians, the table, and what machine it is."""
import datetime
import os
import platform
import statistics
import subprocess
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ROUNDS = 5


def median_of(measure, rounds=ROUNDS):
    """The median of what `measure()` returns, called `rounds` times."""
    return statistics.median(measure() for _ in range(rounds))


def medians_of(measures, rounds=ROUNDS):
    """name -> median; the measures take turns, so that a slow minute of the machine hits all alike."""
    values = {name: [] for name in measures}
    for _ in range(rounds):
        for name, measure in measures.items():
            values[name].append(measure())
    return {name: statistics.median(of) for name, of in values.items()}


def seconds(command, env=None, count=1, pause=0.0, status=0):
    """Wall seconds of one run of the command, pauses not counted, on average over `count` runs."""
    total = 0.0
    for _ in range(count):
        if pause:
            time.sleep(pause)
        started = time.perf_counter()
        done = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=300)
        total += time.perf_counter() - started
        if done.returncode != status:
            raise RuntimeError(f"{' '.join(command)[:200]}: {done.returncode}: {done.stderr.decode(errors='replace')[-500:]}")
    return total / count


def tabbed(command, env=None):
    """name -> number, from lines of name<TAB>value<TAB>unit."""
    out = subprocess.run(command, env=env, check=True, capture_output=True, text=True, timeout=600).stdout
    return {words[0]: float(words[1]) for words in (line.split("\t") for line in out.splitlines()) if len(words) >= 2}


class Table:
    def __init__(self):
        self.rows = []

    def add(self, what, value, unit, peer="", goal="", met=None):
        row = [what, number(value), unit, peer, goal, "" if met is None else "yes" if met else "NO"]
        self.rows.append(row)
        print("  ".join(cell for cell in row if cell), flush=True)

    def text(self):
        head = ["what", "median", "unit", "beside", "goal", "met"]
        widths = [max(len(row[i]) for row in [head, *self.rows]) for i in range(len(head))]
        lines = ["  ".join(cell.rjust(w) if i == 1 else cell.ljust(w) for i, (cell, w) in enumerate(zip(row, widths))).rstrip()
                 for row in [head, ["-" * w for w in widths], *self.rows]]
        return "\n".join(lines)


def number(value):
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def read(path, key):
    with open(path) as f:
        return next((line.split(":", 1)[1].strip() for line in f if line.startswith(key)), "?")


def heading():
    commit = subprocess.run(["git", "-C", ROOT, "describe", "--always", "--dirty"], capture_output=True, text=True).stdout.strip()
    return "\n".join([
        f"commit   {commit or '?'}",
        f"machine  {read('/proc/cpuinfo', 'model name')}, {os.cpu_count()} processors, {read('/proc/meminfo', 'MemTotal')}",
        f"system   {platform.release()}, {read_release()}",
        f"load     {' '.join(f'{load:.1f}' for load in os.getloadavg())} (1, 5, 15 minutes, when the table was done)",
        f"taken    {datetime.datetime.now(datetime.timezone.utc):%Y-%m-%d %H:%M} UTC, medians of {ROUNDS}",
    ])


def read_release():
    with open("/etc/os-release") as f:
        return next((line.split("=")[1].strip().strip('"') for line in f if line.startswith("PRETTY_NAME")), "?")

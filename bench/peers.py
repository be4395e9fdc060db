"""Servers that are measured beside Granary, each private: its own folder and socket, ended by the pid that was started."""
import contextlib
import os
import re
import subprocess
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BIN = os.path.join(ROOT, "build", "bin")


def end(process):
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextlib.contextmanager
def granaryd(memory, durability="process"):
    """A broker with its journal on disk; yields the environment in which `granary` finds it."""
    with tempfile.TemporaryDirectory(prefix="granary-bench-", dir=os.path.join(ROOT, "build")) as folder:
        config = os.path.join(folder, "granary.conf")
        with open(config, "w") as f:
            f.write(f"durability = {durability}\nconnections = 1024\nconnections_per_user = 1000\n")
        read, write = os.pipe()
        with open(os.path.join(folder, "log"), "w") as log:
            process = subprocess.Popen(
                [os.path.join(BIN, "granaryd"), "--state", folder + "/state", "--socket", folder + "/socket", "--memory", memory,
                 "--set-aside", "0", "--config", config, "--ready-fd", str(write)], stdout=log, stderr=log, pass_fds=[write])
        os.close(write)
        try:
            if not os.read(read, 1):
                with open(os.path.join(folder, "log")) as log:
                    raise RuntimeError(f"granaryd did not start:\n{log.read()}")
            yield {**os.environ, "GRANARY_SOCKET": folder + "/socket", "PATH": BIN + ":" + os.environ["PATH"]}
        finally:
            os.close(read)
            end(process)


@contextlib.contextmanager
def redis(sync):
    """A redis-server on a Unix socket; with `sync` its append-only file is synced for each write. Yields the socket."""
    with tempfile.TemporaryDirectory(prefix="granary-redis-", dir=os.path.join(ROOT, "build")) as folder:
        path = folder + "/socket"
        words = ["redis-server", "--port", "0", "--unixsocket", path, "--dir", folder, "--save", "", "--daemonize", "no"]
        words += ["--appendonly", "yes", "--appendfsync", "always"] if sync else ["--appendonly", "no"]
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + 10
            while subprocess.run(["redis-cli", "-s", path, "ping"], capture_output=True).stdout.strip() != b"PONG":
                if time.monotonic() > deadline or process.poll() is not None:
                    raise RuntimeError("redis-server did not start")
                time.sleep(0.02)
            yield path
        finally:
            end(process)


def redis_rate(path, connections, in_flight, requests):
    """SET requests a second."""
    out = subprocess.run(["redis-benchmark", "-s", path, "-t", "set", "-c", str(connections), "-P", str(in_flight), "-n", str(requests), "-q", "--csv"],
                         check=True, capture_output=True, text=True, timeout=300).stdout
    return float(re.search(r'^"SET[^"]*","([0-9.]+)"', out, re.M).group(1))


@contextlib.contextmanager
def slurm():
    """Yields the environment in which srun works, or None when Slurm cannot be started here."""
    folder = tempfile.mkdtemp(prefix="granary-slurm-")
    here = os.path.join(ROOT, "bench", "slurm")
    try:
        done = subprocess.run([here + "/start", folder], capture_output=True, text=True, timeout=60)
        if done.returncode:
            print(f"slurm is left out: {done.stderr.strip()[-300:]}")
        yield {**os.environ, "SLURM_CONF": folder + "/slurm.conf"} if done.returncode == 0 else None
    finally:
        subprocess.run([here + "/stop", folder], timeout=60)
        subprocess.run(["rm", "-rf", folder])

"""What the kernel alone takes for two things that every recall waits for: freeing memory, and attaching a process to a group."""
import os
import subprocess
import time

from measure import ROOT

NOW = os.path.join(ROOT, "build", "bench", "now")
PAUSE = 0.05  # of the attaches: one that follows another at once is cheap


def freeing(bytes_used):
    """Seconds from the last act of a program that uses so much memory until its parent knows that it has ended."""
    child = subprocess.Popen([NOW, str(bytes_used)], stdout=subprocess.PIPE)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    ended = time.monotonic_ns()
    stamp = int(child.communicate()[0])
    return (ended - stamp) / 1e9


def own_memory_group():
    """The folder of the group that limits this process's memory, of version 1 or 2."""
    with open("/proc/self/cgroup") as f:
        rows = [line.rstrip("\n").split(":", 2) for line in f]
    for _, controllers, path in rows:
        if "memory" in controllers.split(","):
            return "/sys/fs/cgroup/memory" + path
    return next("/sys/fs/cgroup" + path for _, controllers, path in rows if not controllers)


def attaches(count):
    """Seconds that each of so many attaches takes, with pauses between them. OSError when groups cannot be made here."""
    folder = os.path.join(own_memory_group(), f"granary-bench-{os.getpid()}")
    took = []
    os.mkdir(folder)
    try:
        for _ in range(count):
            child = subprocess.Popen(["sleep", "30"])
            try:
                time.sleep(PAUSE)
                started = time.perf_counter()
                with open(os.path.join(folder, "cgroup.procs"), "w") as f:
                    f.write(str(child.pid))
                took.append(time.perf_counter() - started)
            finally:
                child.kill()
                child.wait()
    finally:
        for _ in range(100):  # the group is empty a moment after its last process was waited for
            try:
                os.rmdir(folder)
                break
            except OSError:
                time.sleep(0.01)
    return took

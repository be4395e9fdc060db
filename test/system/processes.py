"""What /proc and the cgroup file system say about processes, without asking Granary."""
import os
import select
import signal as signals
import time


def start_time(pid):
    """Start time in clock ticks, or None when there is no such process (a zombie counts as gone)."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as f:
            fields = f.read().rsplit(b")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in (b"Z", b"X") else int(fields[19])


def children(pid):
    """All living descendants of a process, as {pid: start time}."""
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as f:
                    fields = f.read().rsplit(b")", 1)[1].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if fields[0] not in (b"Z", b"X"):
                parents[int(name)] = (int(fields[1]), int(fields[19]))
    found, todo = {}, [pid]
    while todo:
        parent = todo.pop()
        for child, (of, started) in parents.items():
            if of == parent and child not in found:
                found[child] = started
                todo.append(child)
    return found


def command_line(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            return f.read().replace(b"\0", b" ").decode(errors="replace").strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def program(pid):
    try:
        return os.path.basename(os.readlink(f"/proc/{pid}/exe")).removesuffix(" (deleted)")
    except OSError:
        return ""


def with_environment(marker):
    """{pid: start time} of every living process whose environment or command line contains the marker."""
    marker, found = marker.encode(), {}
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        for part in ("environ", "cmdline"):
            try:
                with open(f"/proc/{name}/{part}", "rb") as f:
                    text = f.read()
            except OSError:
                continue
            if marker in text:
                started = start_time(name)
                if started is not None:
                    found[int(name)] = started
                break
    return found


def kill(pid, started, signal):
    """Signals exactly the process that was meant; False when it is gone."""
    try:
        fd = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        if start_time(pid) != started:
            return False
        signals.pidfd_send_signal(fd, signal)
        return True
    except ProcessLookupError:
        return False
    finally:
        os.close(fd)


def wait_gone(pid, timeout):
    """Waits for the end of a process that may be no child of ours. True when it is gone."""
    try:
        fd = os.pidfd_open(pid)
    except OSError:
        return True
    try:
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        return bool(poll.poll(timeout * 1000))
    finally:
        os.close(fd)


def memory_root():
    """('v1' or 'v2', folder) of the memory controller, or (None, None)."""
    with open("/proc/mounts") as f:
        mounts = [line.split() for line in f]
    for _, folder, kind, options, *_ in mounts:
        if kind == "cgroup" and "memory" in options.split(","):
            return "v1", folder
    for _, folder, kind, *_ in mounts:
        if kind == "cgroup2":
            return "v2", folder
    return None, None


def groups_named(text):
    """Folders below the memory controller whose own name contains the text."""
    _, root = memory_root()
    if root is None:
        return []
    return sorted(os.path.join(folder, name) for folder, names, _ in os.walk(root) for name in names if text in name)


def wait_for(condition, timeout=10.0, what="condition"):
    """
    Calls the condition until it is true, and returns its value. For states that send no event to the
    outside; each call asks the system itself, so nothing is assumed about how long anything takes.
    """
    deadline = time.monotonic() + timeout
    pause = 0.002
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise AssertionError(f"{what}: not within {timeout} s")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)

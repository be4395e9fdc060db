"""Where the programs are: GRANARY_BIN_DIR, else build/bin; readable by every user, for tests that become another one."""
import atexit
import os
import shutil
import stat
import tempfile

import granary_wire

NAMES = ["granary", "granaryd", "granary-broker", "granary-agent"]


def _open_to_all(folder):
    """Whether anybody may pass through the folder and every one above it."""
    while True:
        if not os.stat(folder).st_mode & stat.S_IXOTH:
            return False
        if folder == "/":
            return True
        folder = os.path.dirname(folder)


def _find():
    folder = os.path.abspath(os.environ.get("GRANARY_BIN_DIR", os.path.join(granary_wire.ROOT, "build", "bin")))
    missing = [name for name in NAMES if not os.access(os.path.join(folder, name), os.X_OK)]
    if missing:
        raise FileNotFoundError(f"{', '.join(missing)}: not built in {folder}; run make first")
    if os.geteuid() != 0 or _open_to_all(folder):
        return folder
    copy = tempfile.mkdtemp(prefix="granary-bin-")  # the clone lies in somebody's own folder
    atexit.register(shutil.rmtree, copy, True)
    os.chmod(copy, 0o755)
    for part in ("bin", "examples", os.path.join("src", "client"), os.path.join("test", "system", "programs")):
        _copy(os.path.join(os.path.dirname(folder), part), os.path.join(copy, part))
    return os.path.join(copy, "bin")


def _copy(source, target):
    """The files of one folder of the build, not its objects."""
    os.makedirs(target)
    for name in os.listdir(source) if os.path.isdir(source) else []:
        if os.path.isfile(os.path.join(source, name)):
            shutil.copy(os.path.join(source, name), target)


BIN = _find()

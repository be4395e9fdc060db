"""The plan of test/system/programs/faults.c: which allocation fails, and how far the wall clock has jumped."""
import mmap
import os
import struct

from broker import BIN

LIBRARY = os.path.join(os.path.dirname(BIN), "test", "system", "programs", "faults.so")
ASAN = "verify_asan_link_order=0"  # the library comes first, and hands on to the sanitizer's
PLAN = struct.Struct("<qqiiqq")


class Faults:
    """One plan in one file, for every process that is started with environment()."""

    def __init__(self, folder):
        self.path = os.path.join(str(folder), "faults")
        with open(self.path, "wb") as f:
            f.write(bytes(PLAN.size))
        os.chmod(self.path, 0o666)
        with open(self.path, "r+b") as f:
            self.plan = mmap.mmap(f.fileno(), PLAN.size)

    def environment(self, program=""):
        return {"LD_PRELOAD": LIBRARY, "GRANARY_FAULTS": self.path, "GRANARY_FAULTS_IN": program}

    def prefix(self, program=""):
        """To be put before a command."""
        return ["env", *(f"{name}={value}" for name, value in self.environment(program).items())]

    def _set(self, offset, kind, value):
        struct.pack_into(kind, self.plan, offset, value)

    def _get(self, offset, kind):
        return struct.unpack_from(kind, self.plan, offset)[0]

    def fail(self, n, sticky=False):
        """The n-th allocation from now on fails; sticky: in that process every later one, too. 0: none."""
        self._set(0, "<q", 0)
        self._set(8, "<q", 0)
        self._set(16, "<i", int(sticky))
        self._set(20, "<i", 0)
        self._set(0, "<q", n)

    def relent(self):
        """From now on allocations work again; `failed` stays."""
        self._set(16, "<i", 0)

    @property
    def seen(self):
        return self._get(8, "<q")

    @property
    def failed(self):
        """pid of the process in which an allocation failed; 0 = none has."""
        return self._get(20, "<i")

    def jump(self, seconds):
        """From now on the wall clock says so much more (less) than it would."""
        self._set(24, "<q", seconds)

    @property
    def asked(self):
        return self._get(32, "<q")

"""Inputs for the demo: this machine's own files, one after another, cut to size.

No file is taken twice, nor is another one of the same content, as long as the machine has enough of them;
`Content.again` counts the bytes where it had not. Files come in an order that their names' checksums give, so that one
input is about as much work as another of its size. Large ones are made of text (sources, documents), small ones of
programs, libraries and all other files.

Sizes. `xz -9` has a dictionary of 64 MiB and fills its memory (about 640 MiB) only with inputs of that size: 64 MiB of
tables, and 9 bytes for each byte that it has read. One processor compresses about 2 MiB a second of such content, so
a few dozen inputs of 64 MiB would take seven minutes on two, and the demo has two. So LARGE_AT are that large (of text,
which takes less time), the others as large as the time allows on this machine, as measured before. Where it does not
allow SMALL_LEAST there is one large input less, and one at least.
"""
import hashlib
import os
import subprocess
import time
import zlib

MIB = 1 << 20
COUNT = 24
LARGE = 64 * MIB
LARGE_AT = (0, 9)  # the second starts after the firm program: two of them would keep their chunks for a minute
LARGE_COST = 1.28  # what a byte of a large one costs, where one of the sample costs 1
SMALL_COST = 1.16
SMALL_LEAST, SMALL_MOST = 8 * MIB, 48 * MIB
FLOOR = 3 * MIB
SAMPLE, SAMPLE_PIECE = 4 * MIB, 128 << 10
FOLDERS = ("/usr/bin", "/usr/sbin", "/usr/lib", "/usr/libexec", "/usr/share", "/usr/include", "/opt", "/usr/local")
FILE_LEAST, FILE_MOST = 4096, 64 * MIB
FILES_MOST = 25000  # listing more takes longer than it helps
TEXT = (".c", ".css", ".h", ".hpp", ".html", ".ipp", ".js", ".json", ".list", ".md", ".mo", ".pas", ".pl", ".pm",
        ".pod", ".pp", ".py", ".rs", ".rst", ".svg", ".symbols", ".tcl", ".tcc", ".ts", ".txt", ".vim", ".xml",
        "copyright")


def list_files(folder, found):
    """Appends (checksum of the name, path) of the regular files below; links are not followed."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        if len(found) >= FILES_MOST:
            return
        try:
            if entry.is_dir(follow_symlinks=False):
                list_files(entry.path, found)
            elif entry.is_file(follow_symlinks=False) and \
                    FILE_LEAST <= entry.stat(follow_symlinks=False).st_size <= FILE_MOST:
                found.append((zlib.crc32(os.fsencode(entry.path)), entry.path))
        except OSError:
            continue


class Content:
    """The files as two streams, of text and of others. When a stream ends the other one is taken, and when both have
    ended they begin again, which is counted."""

    def __init__(self):
        found = []
        for folder in FOLDERS:
            list_files(folder, found)
        self.paths = {True: [], False: []}
        for _, path in sorted(found):
            self.paths[path.endswith(TEXT)].append(path)
        self.left = {text: iter(paths) for text, paths in self.paths.items()}
        self.rest = {True: b"", False: b""}
        self.seen = set()
        self.files = self.bytes = self.again = self.round = 0

    def next_path(self, text):
        for kind in (text, not text):
            for path in self.left[kind]:
                return path
        if self.files == 0:
            raise OSError(f"there are no files to be read in {', '.join(FOLDERS)}")
        self.left = {kind: iter(paths) for kind, paths in self.paths.items()}
        self.round += 1
        self.seen.clear()
        return self.next_path(text)

    def next_file(self, text):
        while True:
            try:
                with open(self.next_path(text), "rb") as file:
                    content = file.read()
            except OSError:
                continue
            name = hashlib.blake2b(content, digest_size=16).digest()
            if content and name not in self.seen:
                self.seen.add(name)
                self.files += self.round == 0
                return memoryview(content)

    def sample(self, first, step):
        """SAMPLE bytes: the beginnings of every so many-th file, which stay to be taken."""
        size = SAMPLE
        for path in self.paths[False][first::step]:
            try:
                with open(path, "rb") as file:
                    piece = file.read(min(size, SAMPLE_PIECE))
            except OSError:
                continue
            size -= len(piece)
            yield piece
            if size == 0:
                return

    def take(self, size, text):
        """The next `size` bytes, in pieces."""
        while size > 0:
            rest = self.rest[text] or self.next_file(text)
            piece, self.rest[text] = rest[:size], rest[size:]
            size -= len(piece)
            self.bytes += len(piece)
            self.again += len(piece) if self.round else 0
            yield piece


class Inputs:
    """Writes the inputs. `paths` in order, `large` of them of LARGE bytes, the others of `small`; their `content`."""

    def __init__(self, folder, cores, seconds):
        self.folder, self.content = folder, Content()
        self.speed = self.measure(cores)
        self.large, self.small = self.sizes(cores * seconds * self.speed)
        self.late = seconds * self.speed < LARGE * LARGE_COST
        self.paths = []
        for i in range(COUNT):
            path = os.path.join(folder, f"input-{i + 1:02d}")
            with open(path, "wb") as file:
                large = i in LARGE_AT[:self.large]
                file.writelines(self.content.take(LARGE if large else self.small, large))
            self.paths.append(path)

    def measure(self, cores):
        """Bytes a second that one processor compresses of the files' beginnings, while all do."""
        paths = [os.path.join(self.folder, f"sample-{i}") for i in range(cores)]
        for path in paths:
            with open(path, "wb") as file:
                file.writelines(self.content.sample(paths.index(path), cores))
        start = time.monotonic()
        running = [subprocess.Popen(["xz", "-9", "-T1", "-c", path], stdout=subprocess.DEVNULL) for path in paths]
        if any([child.wait() for child in running]):
            raise OSError("xz failed on a sample")
        for path in paths:
            os.unlink(path)
        return SAMPLE / (time.monotonic() - start)

    @staticmethod
    def sizes(budget):
        """How many large ones, and the size of the others, for so many bytes of work."""
        for large in range(len(LARGE_AT), 0, -1):
            small = int((budget - large * LARGE * LARGE_COST) / (COUNT - large) / SMALL_COST)
            if small >= SMALL_LEAST:
                break
        return large, max(FLOOR, min(small, SMALL_MOST))

    def bytes(self):
        return self.large * LARGE + (COUNT - self.large) * self.small

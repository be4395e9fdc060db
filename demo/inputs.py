"""Inputs for the demo, put together from real files of this machine.

Each input is a stretch of distinct real files (libraries, programs, documents), repeated up to its size: a machine
has few files of 64 MiB, and only from there on does `xz -9` use all its memory. A few inputs are that large,
the others as large as this machine compresses in the time that there is.
"""
import os
import subprocess
import time

MIB = 1 << 20
LARGE = 66 * MIB  # above the dictionary of xz -9: all its memory is touched
LARGE_AT = (0, 5, 11, 17)
COUNT = 26
STRETCH = 768 << 10        # of distinct bytes in an input
STRETCH_LARGE = 256 << 10  # in a large one: it is to need memory, not time
SMALL_LEAST, SMALL_MOST = 10 * MIB, 24 * MIB
FOLDERS = ("/usr/lib", "/usr/bin", "/usr/share", "/usr/include", "/usr/sbin")


def real_files():
    for top in FOLDERS:
        for folder, names, files in os.walk(top):
            names.sort()
            for name in sorted(files):
                path = os.path.join(folder, name)
                try:
                    if not os.path.islink(path) and 16384 <= os.path.getsize(path) <= 8 * MIB:
                        yield path
                except OSError:
                    continue


def stretches(count):
    """`count` pieces of STRETCH bytes, each of other files."""
    pieces, piece = [], bytearray()
    for path in real_files():
        try:
            with open(path, "rb") as file:
                piece += file.read(STRETCH - len(piece))
        except OSError:
            continue
        if len(piece) == STRETCH:
            pieces.append(bytes(piece))
            piece = bytearray()
            if len(pieces) == count:
                return pieces
    raise SystemExit(f"demo: {FOLDERS} hold too few files to make {count} inputs of")


def write(path, piece, size):
    with open(path, "wb") as file:
        while size > 0:
            size -= file.write(piece[:size])


def speed(folder, piece):
    """Bytes a second that one core compresses of such an input."""
    path = os.path.join(folder, "sample")
    write(path, piece, 6 * MIB)
    start = time.monotonic()
    subprocess.run(["xz", "-9", "-T1", "-c", path], stdout=subprocess.DEVNULL, check=True)
    taken = time.monotonic() - start
    os.unlink(path)
    return 6 * MIB / taken


def small_size(bytes_a_second, cores, seconds):
    budget = bytes_a_second * cores * seconds - LARGE * len(LARGE_AT)
    size = int(budget / (COUNT - len(LARGE_AT)))
    return max(SMALL_LEAST, min(SMALL_MOST, size)) // MIB * MIB


def make(folder, cores, seconds):
    """Writes the inputs; returns their paths in order, and the size of the small ones."""
    pieces = stretches(COUNT)
    small = small_size(speed(folder, pieces[0]), cores, seconds)
    paths = []
    for i, piece in enumerate(pieces):
        path = os.path.join(folder, f"input-{i + 1:02d}")
        if i in LARGE_AT:
            write(path, piece[:STRETCH_LARGE], LARGE)
        else:
            write(path, piece, small)
        paths.append(path)
    return paths, small

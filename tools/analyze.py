#!/usr/bin/python3
"""Runs one analyser over every source file of a build, as many at once as there are processors.

    tools/analyze.py BUILD clang-tidy|fanalyzer [PATH-PREFIX...]    default prefix: src/

Reads compile_commands.json. Generated files are left out, and what is compiled a second time, as part of a whole
program, is read once. Exit 1 when any file has a finding; all findings are printed.
"""
import concurrent.futures
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# gcc 12's analyser follows neither ownership that is passed through handles nor lists whose nodes lie inside their
# items, and takes every function that it cannot see to be able to fail without saying so: those findings were all wrong. clang's
# analyser looks for the same, and is heard.
GCC_QUIET = ["-Wno-analyzer-malloc-leak", "-Wno-analyzer-file-leak", "-Wno-analyzer-null-dereference",
             "-Wno-analyzer-use-of-uninitialized-value"]


def sources(build, prefixes):
    seen = {}
    with open(os.path.join(build, "compile_commands.json")) as f:
        for entry in sorted(json.load(f), key=lambda entry: "-flto" in entry["command"]):
            path = os.path.normpath(os.path.join(entry["directory"], entry["file"]))
            relative = os.path.relpath(path, ROOT)
            if relative.startswith(tuple(prefixes)) and not path.startswith(os.path.abspath(build) + os.sep):
                entry["command"] = re.sub(r" -f\S*lto\S*", "", entry["command"])
                seen.setdefault(relative, entry)
    return sorted(seen.items())


def command(tool, once, path, entry):
    if tool == "clang-tidy":
        return ["clang-tidy", "-p", once, "--quiet", "--warnings-as-errors=*", os.path.join(ROOT, path)], ROOT
    words = shlex.split(entry["command"])
    kept, skip = [], False
    for word in words:
        if skip:
            skip = False
        elif word in ("-o", "-MF", "-MQ", "-MT"):
            skip = True
        elif word not in ("-c", "-MD", "-MMD"):
            kept.append(word)
    return kept + ["-fanalyzer", *GCC_QUIET, "-S", "-o", os.devnull], entry["directory"]


def run(tool, once, path, entry):
    words, folder = command(tool, once, path, entry)
    started = time.monotonic()
    done = subprocess.run(words, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    said = (done.stdout + ("" if tool == "clang-tidy" and done.returncode == 0 else done.stderr)).strip()
    return path, done.returncode, said, time.monotonic() - started


def main():
    if len(sys.argv) < 3 or sys.argv[2] not in ("clang-tidy", "fanalyzer"):
        print(__doc__, file=sys.stderr)
        return 2
    build, tool, prefixes = os.path.abspath(sys.argv[1]), sys.argv[2], sys.argv[3:] or ["src/"]
    files = sources(build, prefixes)
    bad, slowest, started = 0, (0.0, ""), time.monotonic()
    with tempfile.TemporaryDirectory() as once, concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        with open(os.path.join(once, "compile_commands.json"), "w") as f:
            json.dump([entry for _, entry in files], f)
        for path, status, said, seconds in pool.map(lambda item: run(tool, once, *item), files):
            slowest = max(slowest, (seconds, path))
            if status:
                bad += 1
                print(f"{tool}: {path}\n{said}", flush=True)
    print(f"{tool}: {len(files)} files, {bad} with findings, {time.monotonic() - started:.0f} s"
          f" (slowest {slowest[1]}, {slowest[0]:.0f} s)")
    return 1 if bad or not files else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""hold.py SIZE_MIB SECONDS: really uses so much memory, for so long.

Writes every page, then reads a byte of each 64th again. Prints when it began and what it held: one JSON line each.
"""
import json
import mmap
import sys
import time

PAGE = 4096


def say(**fields):
    print(json.dumps(fields), flush=True)


def main():
    size, seconds = int(sys.argv[1]) << 20, float(sys.argv[2])
    say(event="began", wall=time.time())
    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    block = b"\x5a" * (1 << 20)
    for _ in range(size >> 20):
        memory.write(block)
    say(event="filled", wall=time.time(), mib=size >> 20)
    end = time.time() + seconds
    while True:
        wrong = sum(1 for at in range(0, size, 64 * PAGE) if memory[at] != 0x5A)
        left = end - time.time()
        if left <= 0:
            break
        time.sleep(min(left, 0.5))
    say(event="ended", wall=time.time(), wrong=wrong)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

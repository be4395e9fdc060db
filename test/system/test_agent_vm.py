"""The agent's tests again, on a kernel with cgroup v2, in a virtual machine: part of make test-long."""
import os
import subprocess

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


@pytest.mark.skipif(not os.environ.get("GRANARY_LONG"), reason="takes minutes: part of make test-long")
def test_cgroup_v2_in_a_virtual_machine():
    build = os.path.dirname(os.environ.get("GRANARY_BIN_DIR", f"{ROOT}/build/bin"))
    done = subprocess.run([f"{ROOT}/test/system/vm/run", build], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr
    assert done.stdout.endswith("PASS: the agent on cgroup v2\n")

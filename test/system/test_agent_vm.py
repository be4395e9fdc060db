"""The agent's tests on cgroup v2, in a virtual machine; what it says is kept beside the build, in vm/log."""
import os
import subprocess

import pytest

import granary_wire
from programs import BIN

pytestmark = [
    pytest.mark.plain,  # the machine is emulated: a sanitizer would make it slower still
    pytest.mark.skipif(not os.environ.get("GRANARY_LONG"), reason="takes minutes: part of make test-long"),
]


def test_the_agent_on_cgroup_v2():
    build = os.path.dirname(BIN)
    done = subprocess.run([os.path.join(granary_wire.ROOT, "test", "system", "vm", "run"), build], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=1200, env={**os.environ, "VM_TIMEOUT": "1000"})
    said = done.stdout.decode(errors="replace")
    assert done.returncode == 0 and "PASS: the agent on cgroup v2" in said, said[-6000:]

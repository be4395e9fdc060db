"""The time of day jumps by hours and years while work is under way: nothing expires, nothing waits longer, nothing is granted early."""
import subprocess

import pytest

from faults import ASAN, Faults

pytestmark = pytest.mark.plain  # faults.so stands between the programs and malloc

HOUR, YEARS = 3600, 10 * 365 * 86400


@pytest.fixture
def jumping(make_broker, tmp_path):
    """A broker whose processes, and clients, see a wall clock that jumping.clock moves."""
    tmp_path.chmod(0o755)
    clock = Faults(tmp_path)
    broker = make_broker(memory="1G", asan=ASAN, env=clock.environment())
    broker.clock = clock
    return broker


def test_the_clock_is_really_off(jumping):
    jumping.clock.jump(YEARS)
    year = subprocess.run(["date", "+%Y"], env=jumping.env, capture_output=True, text=True).stdout
    now = subprocess.run(["date", "+%Y"], capture_output=True, text=True).stdout
    assert int(year) >= int(now) + 9


def test_jumps_during_a_recall(jumping):
    batch = jumping.begin("harvest", "-m", "192M", "-j", "5", "--", "sh", "-c", "sleep 0.2", ":::", *map(str, range(20)))
    jumping.wait(lambda s: sum(len(a["claims"]) for a in s["allocations"]) >= 3, what="the batch runs")
    jumping.clock.jump(-HOUR)
    request = jumping.begin("run", "-m", "600M", "--", "sleep", "0.1")
    jumping.clock.jump(YEARS)
    assert request.wait(20) == 0, request.communicate()
    jumping.clock.jump(-YEARS)
    assert batch.wait(30) == 0, batch.communicate()
    jumping.wait_idle()
    jumping.check()


@pytest.mark.parametrize("jump", [-HOUR, HOUR, YEARS, -YEARS])
def test_leases_outlive_a_jump_and_a_restart(jumping, jump):
    holder = jumping.begin("run", "-m", "64M", "--", "cat", stdin=subprocess.PIPE)
    held = jumping.wait(lambda s: sum(len(a["claims"]) for a in s["allocations"]) == 1, what="the holder runs")["allocations"][0]
    jumping.clock.jump(jump)
    jumping.kill("granary-broker")
    after = jumping.wait(lambda s: s["allocations"], what="the lease lives on")["allocations"][0]
    assert (after["id"], after["chunks"]) == (held["id"], held["chunks"])
    holder.communicate("", timeout=20)
    assert holder.returncode == 0
    jumping.wait_idle()

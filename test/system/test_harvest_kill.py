"""kill -9 of the broker at a random moment of a harvest: every task ends, once, with exit 0."""
import random
import time

import pytest

from broker import BROKER


@pytest.mark.parametrize("seed", range(10))
def test_all_tasks_end(make_broker, seed):
    dice = random.Random(seed)
    broker = make_broker(memory="256M")
    inputs = [str(i) for i in range(40)]
    job = broker.begin("harvest", "-m", "32M", "-j", "4", "-k", "--", "sh", "-c", "sleep 0.0$(({} % 7)); echo {}", ":::", *inputs)
    time.sleep(dice.uniform(0.02, 0.5))
    broker.kill(BROKER)
    out, err = job.communicate(timeout=60)
    assert job.returncode == 0, err
    assert out.split() == inputs
    broker.wait_idle(40)
    broker.check()

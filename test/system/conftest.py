"""Fixtures of the tests on real daemons. Every broker is private: its own state, socket, memory and groups."""
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))

from broker import Broker  # noqa: E402


def pytest_configure(config):
    config.addinivalue_line("markers", "plain: needs programs that were built without sanitizers")


@pytest.fixture
def make_broker():
    """make_broker(memory="3G", set_aside="0", options=[...], start=True, ...): any number; all are judged at the end."""
    made = []

    def make(start=True, **options):
        broker = Broker(**options)
        made.append(broker)
        return broker.start() if start else broker

    yield make
    offences = []
    for broker in reversed(made):
        try:
            broker.finish()
        except AssertionError as error:
            offences.append(str(error))
    assert not offences, "\n".join(offences)


@pytest.fixture
def broker(make_broker):
    """One running broker that leases 3 GiB and sets nothing aside."""
    return make_broker()


@pytest.fixture
def rounds():
    """How many rounds a seeded test runs: GRANARY_ROUNDS, else 40."""
    return int(os.environ.get("GRANARY_ROUNDS", "40"))

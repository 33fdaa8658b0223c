# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""One network a module; the agents' logs beside every failure; nothing left behind."""

import os
import signal

import pytest

import lab
import nodes

DEADLINE_S = 300  # of one story: a hang becomes a failure that says where


def pytest_configure(config):
    config.addinivalue_line("markers", "sanitised: also run with the sanitised daemon")
    config.addinivalue_line("markers", "chaos: at full length in `make chaos`")


def pytest_sessionstart(session):
    if os.geteuid() != 0:
        pytest.exit("these stories make network namespaces and load programs: run as root", 1)
    lab.clear_leftovers()


@pytest.fixture(scope="module")
def net(request):
    """The network, with as many servers as the module's SERVERS (default 4)."""
    network = lab.Net()
    try:
        network.up(getattr(request.module, "SERVERS", 4))
        yield network
    finally:
        network.down()
    assert network.left_behind() == []


@pytest.fixture
def clients(net):
    """Clients of one story."""
    clients = lab.Clients(net)
    yield clients
    clients.process.kill()


@pytest.fixture(scope="module")
def cgroup():
    """Where node paths of the module's stories are."""
    with nodes.make_cgroup() as path:
        yield path


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item):
    def over(signum, frame):
        raise TimeoutError(f"the story did not end within {DEADLINE_S} s")

    signal.signal(signal.SIGALRM, over)
    signal.alarm(DEADLINE_S)
    yield
    signal.alarm(0)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if not report.failed:
        return
    network = getattr(item, "funcargs", {}).get("net")
    for agent in network.agents if network else ():
        tail = "\n".join(agent.log().splitlines()[-80:])
        if hasattr(report.longrepr, "addsection"):  # goes into the JUnit file as well
            report.longrepr.addsection(f"log of {agent.name}", tail)

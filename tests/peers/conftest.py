# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The stories with real servers: the networks, agents and hooks of tests/e2e, and the programs."""

import pathlib
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "e2e")]

import obtain  # noqa: E402
from hooks import (net, pytest_configure, pytest_runtest_makereport,  # noqa: E402, F401
                   pytest_runtest_protocol, pytest_sessionstart)


@pytest.fixture(scope="session")
def program():
    """program("consul"): where that peer's program is; the test fails when it is not there."""
    def get(name):
        try:
            return obtain.obtain(obtain.PEERS[name], may_build=False)
        except obtain.Unavailable as e:
            pytest.fail(str(e), pytrace=False)
    return get

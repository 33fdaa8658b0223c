# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What pytest finds here is in hooks.py, which the ring of real servers uses too."""

from hooks import (cgroup, net, pytest_configure, pytest_runtest_makereport,  # noqa: F401
                   pytest_runtest_protocol, pytest_sessionstart)

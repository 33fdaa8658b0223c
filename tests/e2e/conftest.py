# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What pytest finds here is in hooks.py, which the ring of real servers uses too."""

from hooks import (cgroup, clients, net, pytest_configure,  # noqa: F401
                   pytest_runtest_makereport, pytest_runtest_protocol, pytest_sessionstart)

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/**
 * @file privileges.h
 * What the agent keeps of root once it runs: CAP_BPF, CAP_NET_ADMIN and
 * CAP_PERFMON for maps, programs and links, and CAP_DAC_READ_SEARCH, since
 * configuration and registry files may belong to others.
 */

/**
 * Give up every other capability, for good: also what exec could bring back.
 * Capabilities that the process never had are no error.
 * @return 0, -errno (then nothing or not all was given up)
 */
int fl_privileges_drop(void);

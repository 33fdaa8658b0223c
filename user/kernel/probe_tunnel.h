/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "config/config.h"
#include "core/failure.h"
#include "kernel/kernel.h"

/**
 * @file probe_tunnel.h
 * The road of probes through the tunnel (bpf/tc_probe.bpf.c): the program at the egress of `lo`,
 * and for both families a rule that leads marked packets there, and its route.
 *
 * It works while an agent runs, who takes all of it away when it ends. What one that was killed
 * left is taken over by the next; it concerns nobody's packets but those with the mark. The program is
 * pinned as `probe`, which tells whose road it is.
 */

/** Make the road, or take over what is there. Needs CAP_NET_ADMIN and CAP_BPF.
 * @return 0; -errno with words: it is not there */
int fl_probe_tunnel_open(
	const struct fl_kernel *kernel, const struct fl_config *config, struct fl_failure *failure);
/** Take it away, if it is the one of the agent with this bpffs directory. */
void fl_probe_tunnel_remove(const char *bpffs);

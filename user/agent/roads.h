/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "health/probe.h"

/**
 * @file roads.h
 * How probes get through the tunnel (`check: { through: tunnel }`): which frontend stands for
 * the service, from where, and with which mark. The road itself (kernel/probe_tunnel.h) is made
 * when the first probe wants it.
 */
struct fl_agent;

/** A fl_probe_road. @param context  the agent */
int fl_agent_road(void *context, const struct fl_health_key *key, struct fl_probe_target *target,
	char words[FL_DETAIL_MAX]);
/** Take the road away, if it was made. */
void fl_agent_leave_roads(struct fl_agent *agent);

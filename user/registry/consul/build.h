/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "core/problem.h"
#include "model/service.h"
#include "registry/consul/health.h"

/**
 * @file build.h
 * A service from its two halves: what defines it (metadata or key-value store), and the
 * instances that serve it. Pure.
 */

/**
 * Add the instances to a service that was begun without endpoints, and finish it.
 *
 * An instance that the service cannot use is left out and told: one that is a frontend
 * itself, one whose port a tunnel cannot reach, one that no frontend can use. Of two
 * with the same address the better one counts (up, draining, down; then the first by
 * name).
 * @param service  begun, with one reference; `varies` is set in it
 * @return 0, -EINVAL when errors make the whole service unusable (told), -ENOMEM
 */
int fl_consul_build(struct fl_service *service, const struct fl_consul_health *health,
	const char *file, struct fl_problems *problems);

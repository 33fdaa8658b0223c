/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "control/view.h"

/**
 * @file connections.h
 * Live connections to an endpoint, over both paths: flows of nat, and sockets of this
 * node. The other modes of the edge path keep no count.
 */

/** @return whether there is a path that counts them */
bool fl_connections_count(const struct fl_view *view, const struct fl_service *service,
	const struct fl_endpoint *endpoint, uint64_t *ret);

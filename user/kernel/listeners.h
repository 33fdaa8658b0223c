/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "kernel/maps.h"

/**
 * @file listeners.h
 * Sockets of this network namespace that wait where a frontend is. They are left alone, but
 * with a node path nobody of this node reaches them by that address.
 */
struct fl_listener {
	struct fl_ip addr; /**< the frontend's, also where the socket waits on every address */
	uint16_t port;     /**< host order */
	uint8_t proto;     /**< IPPROTO_TCP or IPPROTO_UDP */
};

/** More are not listed. */
#define FL_LISTENERS_MAX 64

/** By /proc/net (proc_pid_net(5)). @param ret  FL_LISTENERS_MAX rows @return how many were filled in */
size_t fl_listeners_on_frontends(const struct fl_maps *maps, struct fl_listener *ret);

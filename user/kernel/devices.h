/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "kernel/netlink.h"

/**
 * @file devices.h
 * All network devices by index, as netlink tells of them, and what a
 * notification changes for somebody who sends through them.
 */
struct fl_devices;

enum fl_device_news {
	FL_DEVICE_SAME,    /**< nothing that concerns a sender */
	FL_DEVICE_CHANGED, /**< address, MTU or name, went down, or is no more */
	FL_DEVICE_UP,      /**< it works now: other routes may hold from here on */
};

/** @return NULL when out of memory */
struct fl_devices *fl_devices_new(void);
/** NULL is welcome. */
void fl_devices_free(struct fl_devices *devices);

/** Forget all and ask anew. @return 0, -errno */
int fl_devices_load(struct fl_devices *devices, struct fl_netlink *netlink);

/** Take a notification in. @param ret_ifindex  set unless it is FL_DEVICE_SAME */
enum fl_device_news fl_devices_feed(
	struct fl_devices *devices, const struct nlmsghdr *message, uint32_t *ret_ifindex);

/** @return borrowed until the next load or feed, or NULL */
const struct fl_link *fl_devices_find(const struct fl_devices *devices, uint32_t ifindex);

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "config/config.h"
#include "kernel/netlink.h"

/**
 * @file xdp.h
 * One program on one interface: attach, and say in words what stands in the way.
 */
enum fl_xdp_mode { FL_XDP_NONE, FL_XDP_NATIVE, FL_XDP_GENERIC };

const char *fl_xdp_mode_name(enum fl_xdp_mode mode); /**< "none", "native", "generic" */
/** What XDP_ATTACHED_* of an interface means to us; hardware offload counts as native. */
enum fl_xdp_mode fl_xdp_mode_of(const struct fl_link *link);

/**
 * Attach by a bpf_link. FL_MODE_AUTO takes native where the driver has it and
 * generic otherwise; the other two take what they say or nothing.
 * @param ret_mode    what it got
 * @param reason      why it is generic in auto, or why nothing was attached;
 *                    "" when it is as wished
 * @return descriptor of the link; -errno with `reason` set; -EBUSY when the slot is
 *         somebody else's
 */
int fl_xdp_attach(int prog_fd, const struct fl_link *link, enum fl_edge_mode wish,
	enum fl_xdp_mode *ret_mode, char *reason, size_t size);

/** Name of the driver ("veth", "virtio_net"). @return `buffer`; "" when unknown */
char *fl_xdp_driver(const struct fl_link *link, char buffer[32]);

/** Whether native XDP could work, as far as that is known without trying. */
bool fl_xdp_may_be_native(const struct fl_link *link);

/** Why native XDP was refused with `code`, in words. @return `buffer` */
char *fl_xdp_refusal(const struct fl_link *link, int code, char *buffer, size_t size);

/** Whose program sits in the slot and how it goes away. @return `buffer` */
char *fl_xdp_occupant(const struct fl_link *link, char *buffer, size_t size);

/**
 * Largest MTU that native XDP takes without fragments with pages of 4 KiB, about: a
 * page less headroom (256), skb_shared_info (320) and the Ethernet header. Drivers differ
 * by some bytes; it only chooses words.
 */
#define FL_XDP_PAGE_MTU 3500

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdint.h>

/**
 * @file netdev.h
 * What a driver says of its XDP, by the generic netlink family "netdev" (Linux 6.3
 * and later), without attaching anything.
 */

/* enum netdev_xdp_act of linux/netdev.h, which Debian 12's headers do not have. */
#define FL_NETDEV_BASIC    1u  /**< native XDP: abort, drop, pass, transmit */
#define FL_NETDEV_REDIRECT 2u  /**< native programs may redirect to other devices */
#define FL_NETDEV_XMIT     4u  /**< frames may be redirected into this device now */
#define FL_NETDEV_RX_SG    32u /**< native XDP with fragments: any MTU */

/**
 * @param ret  FL_NETDEV_*, as the device is set up now
 * @return 0; -EOPNOTSUPP (this kernel does not tell), -ENODEV, -errno
 */
int fl_netdev_xdp(uint32_t ifindex, uint64_t *ret);

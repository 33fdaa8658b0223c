/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

/**
 * @file actors.h
 * Who takes part in the tests of packets: one name for each address.
 */
#define CLIENT_A   "198.51.100.7"
#define CLIENT_B   "198.51.100.8"
#define VIP_WEB    "10.200.0.10" /**< a frontend */
#define VIP_OTHER  "10.200.0.20"
#define STRANGER   "203.0.113.5" /**< no address of ours */
#define NODE       "192.0.2.1"   /**< the balancer, towards its endpoints */
#define NODE_2     "192.0.2.2"
#define ENDPOINT_1 "192.0.2.11"
#define ENDPOINT_2 "192.0.2.12"
#define ENDPOINT_3 "192.0.2.13"

#define CLIENT_A6    "2001:db8:c::7"
#define CLIENT_B6    "2001:db8:c::8"
#define VIP_WEB6     "2001:db8:f::10"
#define VIP_OTHER6   "2001:db8:f::20"
#define STRANGER6    "2001:db8:5::5"
#define NODE6        "2001:db8:e::1"
#define NODE6_2      "2001:db8:e::2"
#define ENDPOINT_1_6 "2001:db8:e::11"
#define ENDPOINT_2_6 "2001:db8:e::12"
#define ENDPOINT_3_6 "2001:db8:e::13"

#define MAC_NODE     "\x02\x00\x00\x00\x00\x01" /**< what clients' frames are sent to */
#define MAC_ROUTER   "\x02\x00\x00\x00\x00\x02" /**< where clients' frames come from */
#define MAC_EGRESS   "\x02\x00\x00\x00\x00\x03" /**< the node, towards endpoints */
#define MAC_ENDPOINT "\x02\x00\x00\x00\x00\x10"

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "fairlead/abi.h"

/**
 * @file conf.h
 * Switches of the edge programs, set by the agent before load.
 */
const volatile struct fl_edge_conf fl_conf = {
	.nat_port_min = FL_NAT_PORT_MIN_DEFAULT,
	.nat_port_max = FL_NAT_PORT_MAX_DEFAULT,
};

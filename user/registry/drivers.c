/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Every driver there is: one row each.
 */
#include "registry/registry.h"

extern const struct fl_registry_driver fl_registry_file;
extern const struct fl_registry_driver fl_registry_consul;
extern const struct fl_registry_driver fl_registry_local;

static const struct fl_registry_driver *const drivers[] = {
	&fl_registry_file,
	&fl_registry_consul,
	&fl_registry_local,
	NULL,
};

const struct fl_registry_driver *const *fl_registry_drivers = drivers;

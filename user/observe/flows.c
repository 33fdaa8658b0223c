/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "observe/flows.h"
#include "kernel/nat.h"

bool fl_flows_count(const struct fl_maps *maps, uint64_t *ret)
{
	*ret = 0;
	if (!maps || !maps->nat_used)
		return false;
	for (uint32_t id = 1; id <= maps->limits.endpoints; id++)
		*ret += fl_nat_flows(maps, id);
	return true;
}

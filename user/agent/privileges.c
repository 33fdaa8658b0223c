/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "agent/privileges.h"

#include <linux/capability.h>
#include <stddef.h>
#include <sys/prctl.h>

#include "core/capabilities.h"

static const int kept[] = { CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON, CAP_DAC_READ_SEARCH };

static uint64_t kept_bits(void)
{
	uint64_t bits = 0;

	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		bits |= 1ull << kept[i];
	return bits;
}

/* So that a program run by the agent cannot get more than the agent has. Needs
 * CAP_SETPCAP: without it nothing could be raised either. */
static void shrink_bounding_set(void)
{
	for (int capability = 0; prctl(PR_CAPBSET_READ, capability) >= 0; capability++)
		if (!(kept_bits() >> capability & 1))
			prctl(PR_CAPBSET_DROP, capability);
}

int fl_privileges_drop(void)
{
	shrink_bounding_set();
	return fl_capabilities_keep(kept_bits());
}

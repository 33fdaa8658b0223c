/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "agent/privileges.h"

#include <errno.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* libc has no wrapper for these two; libcap would be one more library for it. */
static int capabilities_get(struct __user_cap_data_struct data[2])
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };

	return syscall(SYS_capget, &header, data) < 0 ? -errno : 0;
}

static int capabilities_set(const struct __user_cap_data_struct data[2])
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };

	return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}

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
	struct __user_cap_data_struct data[2];
	uint64_t bits = kept_bits();
	int r = capabilities_get(data);

	if (r < 0)
		return r;
	shrink_bounding_set();
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	for (int i = 0; i < 2; i++) {
		data[i].permitted &= (uint32_t)(bits >> 32 * i);
		data[i].effective &= data[i].permitted;
		data[i].inheritable = 0;
	}
	return capabilities_set(data);
}

uint64_t fl_privileges_effective(void)
{
	struct __user_cap_data_struct data[2];

	if (capabilities_get(data) < 0)
		return 0;
	return (uint64_t)data[1].effective << 32 | data[0].effective;
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "core/capabilities.h"

#include <errno.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static int get(struct __user_cap_data_struct data[2])
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };

	return syscall(SYS_capget, &header, data) < 0 ? -errno : 0;
}

static int set_data(const struct __user_cap_data_struct data[2])
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };

	return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}

int fl_capabilities_keep(uint64_t set)
{
	struct __user_cap_data_struct data[2];
	int r = get(data);

	if (r < 0)
		return r;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	for (int i = 0; i < 2; i++) {
		data[i].permitted &= (uint32_t)(set >> 32 * i);
		data[i].effective &= data[i].permitted;
		data[i].inheritable = 0;
	}
	return set_data(data);
}

uint64_t fl_capabilities_effective(void)
{
	struct __user_cap_data_struct data[2];

	if (get(data) < 0)
		return 0;
	return (uint64_t)data[1].effective << 32 | data[0].effective;
}

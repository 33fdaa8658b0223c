/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <criterion/criterion.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/privileges.h"
#include "core/capabilities.h"

static const int may_stay[] = { CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON, CAP_DAC_READ_SEARCH };

/* Each test is a process of its own, so nothing has to be put back. */
Test(agent_privileges, only_what_is_needed_stays)
{
	uint64_t before = fl_capabilities_effective();
	uint64_t after, wanted = 0;
	char file[] = "/tmp/fl-privileges-XXXXXX";
	int fd = mkstemp(file);

	for (size_t i = 0; i < sizeof(may_stay) / sizeof(may_stay[0]); i++)
		wanted |= 1ull << may_stay[i];
	cr_assert_eq(fl_privileges_drop(), 0);
	after = fl_capabilities_effective();
	cr_expect_eq(after, before & wanted, "%llx of %llx", (unsigned long long)after,
		(unsigned long long)before);
	cr_expect_eq(fl_privileges_drop(), 0, "again");
	cr_expect(fchown(fd, 1, 1) < 0, "CAP_CHOWN is gone");
	close(fd);
	unlink(file);
}

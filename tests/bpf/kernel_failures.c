/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <bpf/libbpf.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fairlead/abi.h"

#include "bpf/xdp_edge.skel.h"
#include "kernel/features.h"
#include "kernel/libbpf_log.h"
#include "lib/netns.h"
#include "lib/opened.h"

/* What is said when the kernel refuses, and what can be found out about it. */

TestSuite(kernel_failures, .init = test_enter_private, .timeout = 300);

#define CAPABILITY(name) (1ull << (name))

static void keep_capabilities(uint64_t set)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = {
		{ (uint32_t)set, (uint32_t)set, 0 },
		{ (uint32_t)(set >> 32), (uint32_t)(set >> 32), 0 },
	};

	cr_assert_eq(syscall(SYS_capset, &header, data), 0);
}

static struct fl_feature feature(const char *name)
{
	struct fl_feature rows[FL_FEATURES_MAX];
	size_t count = fl_features_probe(rows);

	for (size_t i = 0; i < count; i++)
		if (strcmp(rows[i].name, name) == 0)
			return rows[i];
	cr_assert_fail("no feature is called %s", name);
	return rows[0];
}

Test(kernel_failures, three_capabilities_are_enough)
{
	struct fl_config config = test_config();
	char missing[128];

	test_run("mkdir " TEST_BPFFS);
	keep_capabilities(
		CAPABILITY(CAP_BPF) | CAPABILITY(CAP_NET_ADMIN) | CAPABILITY(CAP_PERFMON));
	cr_expect_str_eq(fl_features_missing_capabilities(missing, sizeof(missing)), "");
	for (int i = 0; i < 2; i++) {
		struct fl_kernel *kernel = test_kernel_open(&config);

		cr_expect_eq(kernel->adopted, i == 1);
		fl_kernel_close(kernel);
	}
}

Test(kernel_failures, a_missing_capability_is_named)
{
	struct fl_config config = test_config();
	struct fl_failure failure = { 0 };
	struct fl_kernel *kernel = NULL;

	test_run("mkdir " TEST_BPFFS);
	keep_capabilities(CAPABILITY(CAP_NET_ADMIN));
	cr_expect_eq(fl_kernel_open(&config, &failure, &kernel), -EPERM);
	cr_expect(strstr(failure.message, "lacks CAP_BPF, CAP_PERFMON"), "%s", failure.message);
	cr_expect(strstr(failure.hint, "as root"), "%s", failure.hint);
	cr_expect_eq(feature("capabilities").verdict, FL_FEATURE_NO);
}

Test(kernel_failures, mounting_a_bpffs_needs_more)
{
	struct fl_config config = test_config();
	struct fl_failure failure = { 0 };
	struct fl_kernel *kernel = NULL;

	test_run("umount /sys/fs/bpf");
	keep_capabilities(CAPABILITY(CAP_BPF) | CAPABILITY(CAP_NET_ADMIN));
	cr_expect_eq(fl_kernel_open(&config, &failure, &kernel), -EPERM);
	cr_expect(strstr(failure.message, "no bpffs is mounted"), "%s", failure.message);
	cr_expect(strstr(failure.hint, "mount -t bpf"), "%s", failure.hint);
}

/* A program that the verifier refuses: ours, called what it is not. */
Test(kernel_failures, the_verifier_has_its_say)
{
	struct xdp_edge *edge = xdp_edge__open();
	struct fl_failure failure = { 0 };
	int r;

	cr_assert(edge);
	fl_libbpf_log_begin();
	bpf_program__set_type(edge->progs.edge, BPF_PROG_TYPE_SOCKET_FILTER);
	bpf_program__set_expected_attach_type(edge->progs.edge, 0);
	r = xdp_edge__load(edge);
	cr_assert_lt(r, 0);
	cr_expect_eq(fl_libbpf_log_explain(&failure, r), r);
	cr_expect(strncmp(failure.message, "the verifier of kernel ", 23) == 0, "%s",
		failure.message);
	cr_expect(strstr(failure.message, "refuses the program edge: "), "%s", failure.message);
	cr_expect(strstr(failure.hint, "log.level: debug"), "%s", failure.hint);
	cr_expect_not(strstr(failure.message, "processed "), "%s", failure.message);
	xdp_edge__destroy(edge);
}

/* Nothing was said before: the words of an earlier failure are not repeated. */
Test(kernel_failures, an_errno_is_told_when_there_are_no_words)
{
	struct fl_failure failure = { 0 };

	fl_libbpf_log_begin();
	cr_expect_eq(fl_libbpf_log_explain(&failure, -ENOMEM), -ENOMEM);
	cr_expect(strstr(failure.message, "Cannot allocate memory"), "%s", failure.message);
	cr_expect(strstr(failure.hint, "limits:"), "%s", failure.hint);
}

Test(kernel_failures, this_kernel_has_what_is_required)
{
	struct fl_feature rows[FL_FEATURES_MAX];
	size_t count = fl_features_probe(rows);

	cr_expect_geq(count, 8);
	for (size_t i = 0; i < count; i++) {
		cr_expect_neq(rows[i].text[0], '\0', "%s", rows[i].name);
		cr_expect(!rows[i].required || rows[i].verdict == FL_FEATURE_YES, "%s: %s",
			rows[i].name, rows[i].text);
	}
}

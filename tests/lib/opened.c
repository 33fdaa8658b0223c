/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "lib/opened.h"

#include <criterion/criterion.h>

struct fl_config test_config(void)
{
	return (struct fl_config){
		.file = (char *)"/etc/fairlead/test.yaml",
		.bpffs = (char *)TEST_BPFFS,
		.limits = { .services = 1200, .endpoints = 4096, .slots = 1 << 19, .flows = 65536 },
		.nat_port_min = FL_NAT_PORT_MIN_DEFAULT,
		.nat_port_max = FL_NAT_PORT_MAX_DEFAULT,
	};
}

struct fl_kernel *test_kernel_open(const struct fl_config *config)
{
	struct fl_failure failure = { 0 };
	struct fl_kernel *kernel = NULL;

	cr_assert_eq(fl_kernel_open(config, &failure, &kernel), 0, "%s (%s)", failure.message,
		failure.hint);
	return kernel;
}

struct fl_kernel *test_kernel_open_maps(const struct fl_config *config)
{
	struct fl_failure failure = { 0 };
	struct fl_kernel *kernel = NULL;

	cr_assert_eq(fl_kernel_open_maps(config, &failure, &kernel), 0, "%s (%s)", failure.message,
		failure.hint);
	return kernel;
}

struct fl_writer *test_writer_new(struct fl_kernel *kernel)
{
	struct fl_failure failure = { 0 };
	struct fl_writer *writer = NULL;

	cr_assert_eq(fl_writer_new(&kernel->maps, &failure, &writer), 0, "%s", failure.message);
	return writer;
}

size_t test_apply(struct fl_writer *writer, const struct fl_snapshot *applied,
	struct fl_snapshot *desired, uint32_t now_s)
{
	struct fl_failure failure = { 0 };
	struct fl_plan plan = { 0 };
	size_t count;

	cr_assert_eq(fl_writer_assign(writer, desired, &failure), 0, "%s", failure.message);
	cr_assert_eq(fl_plan_diff(applied, desired, &plan), 0);
	for (size_t i = 0; i < plan.count; i++)
		cr_assert_eq(fl_writer_step(writer, &plan.steps[i], now_s, &failure), 0,
			"step %zu: %s", i, failure.message);
	count = plan.count;
	fl_plan_done(&plan);
	return count;
}

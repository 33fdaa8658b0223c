/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <bpf/bpf.h>
#include <criterion/criterion.h>
#include <netinet/in.h>

#include "core/clock.h"
#include "kernel/sweeper.h"
#include "lib/netns.h"
#include "lib/opened.h"

/* That the agent runs the sweep; what it judges is tested with the packets. */

static struct fl_kernel *kernel;
static uv_loop_t loop;

static void setup(void)
{
	struct fl_config config;

	test_enter_private();
	config = test_config();
	kernel = test_kernel_open(&config);
	cr_assert_eq(uv_loop_init(&loop), 0);
}

static void teardown(void)
{
	fl_kernel_close(kernel);
}

TestSuite(kernel_sweeper, .init = setup, .fini = teardown, .timeout = 300);

static const struct fl_flow orphan = { .sport = 1, .dport = 2, .proto = IPPROTO_UDP };

/* A forward entry whose other half was never made. */
static void put_orphan(void)
{
	struct fl_nat_entry entry = { .to = { .sport = 3, .dport = 4, .proto = IPPROTO_UDP },
		.seen = fl_clock_boot_s() };

	cr_assert_eq(bpf_map_update_elem(kernel->maps.nat_fd[0], &orphan, &entry, BPF_ANY), 0);
}

static bool is_swept(void *context)
{
	struct fl_nat_entry entry;

	(void)context;
	return bpf_map_lookup_elem(kernel->maps.nat_fd[0], &orphan, &entry) < 0;
}

Test(kernel_sweeper, sweeps_at_a_given_second)
{
	uint32_t now_s = fl_clock_boot_s(), freed = 99;

	put_orphan();
	cr_assert_eq(fl_kernel_sweep(kernel, now_s, &freed), 0);
	cr_expect_eq(freed, 0);
	cr_expect_not(is_swept(NULL), "too young");
	cr_assert_eq(fl_kernel_sweep(kernel, now_s + 1000, &freed), 0);
	cr_expect_eq(freed, 1);
	cr_expect(is_swept(NULL));
}

Test(kernel_sweeper, goes_on_by_itself)
{
	struct fl_sweeper *sweeper;

	put_orphan();
	cr_assert_eq(fl_sweeper_start(kernel, &loop, &sweeper), 0);
	cr_expect(test_loop_until(&loop, is_swept, NULL));
	fl_sweeper_stop(sweeper);
	test_loop_finish(&loop);
}

Test(kernel_sweeper, can_be_stopped_at_once)
{
	struct fl_sweeper *sweeper;

	cr_assert_eq(fl_sweeper_start(kernel, &loop, &sweeper), 0);
	fl_sweeper_stop(sweeper);
	fl_sweeper_stop(NULL);
	test_loop_finish(&loop);
}

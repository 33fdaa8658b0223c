/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <bpf/bpf.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "kernel/reader.h"
#include "kernel/target.h"
#include "lib/netns.h"
#include "lib/opened.h"

/* What the target path is told of balancers and of this node's addresses. */

static struct fl_config config;
static struct fl_kernel *kernel;
static struct fl_target *target;
static uv_loop_t loop;

static void start(void)
{
	struct fl_failure failure = { 0 };

	cr_assert_eq(uv_loop_init(&loop), 0);
	cr_assert_eq(fl_target_start(kernel, &config, &loop, &failure, &target), 0, "%s",
		failure.message);
}

static void stop(void)
{
	fl_target_stop(target);
	test_loop_finish(&loop);
}

static void setup(void)
{
	test_enter_private();
	config = test_config();
	kernel = test_kernel_open_maps(&config);
	test_run("ip link add d0 type dummy 2>/dev/null && ip addr add 10.0.0.10/32 dev d0 && "
		 "ip -6 addr add 2001:db8::10/128 dev d0 nodad || ip addr add 10.0.0.10/32 dev lo "
		 "&& "
		 "ip -6 addr add 2001:db8::10/128 dev lo");
	test_run("ip link add v0 type veth peer name p0 && ip addr add 192.0.2.1/24 dev v0 && "
		 "ip addr add 192.0.2.9 peer 203.0.113.9 dev v0");
}

static void teardown(void)
{
	fl_kernel_close(kernel);
}

TestSuite(kernel_target, .init = setup, .fini = teardown, .timeout = 300);

static struct fl_ip ip(const char *text)
{
	struct fl_ip addr;

	cr_assert_eq(fl_ip_parse(text, &addr), 0);
	return addr;
}

/* Bits of an address; 0 = the node does not have it. */
static uint32_t bits(const char *text)
{
	struct fl_ip addr = ip(text);
	uint32_t value = 0;

	bpf_map_lookup_elem(kernel->maps.fd[FL_MAP_addresses], &addr, &value);
	return value;
}

struct known {
	char address[24];
	uint32_t bits;
};

Test(kernel_target, addresses_are_told_by_device)
{
	static const struct known rows[] = {
		{ "10.0.0.10", FL_ADDRESS_LOCAL | FL_ADDRESS_SERVICE },
		{ "2001:db8::10", FL_ADDRESS_LOCAL | FL_ADDRESS_SERVICE },
		{ "127.0.0.1", FL_ADDRESS_LOCAL },
		{ "::1", FL_ADDRESS_LOCAL },
		{ "192.0.2.1", FL_ADDRESS_LOCAL },
		{ "192.0.2.9", FL_ADDRESS_LOCAL },
		{ "203.0.113.9", 0 },
		{ "192.0.2.2", 0 },
	};

	start();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_expect_eq(bits(rows[i].address), rows[i].bits, "%s: %u", rows[i].address,
			bits(rows[i].address));
	stop();
}

static bool has_new(void *context)
{
	return bits(context) != 0;
}

static bool has_not(void *context)
{
	return bits(context) == 0;
}

Test(kernel_target, addresses_are_followed)
{
	start();
	test_run("ip addr add 10.0.0.77/32 dev lo");
	cr_expect(test_loop_until(&loop, has_new, (void *)"10.0.0.77"));
	cr_expect_eq(bits("10.0.0.77"), FL_ADDRESS_LOCAL | FL_ADDRESS_SERVICE);
	test_run("ip addr del 10.0.0.77/32 dev lo");
	cr_expect(test_loop_until(&loop, has_not, (void *)"10.0.0.77"));
	test_run("ip link del v0");
	cr_expect(test_loop_until(&loop, has_not, (void *)"192.0.2.1"));
	cr_expect_neq(bits("127.0.0.1"), 0);
	stop();
}

/* The same address on two devices has what either gives it. */
Test(kernel_target, an_address_on_two_devices_is_both)
{
	test_run("ip addr add 192.0.2.1/32 dev lo");
	start();
	cr_expect_eq(bits("192.0.2.1"), FL_ADDRESS_LOCAL | FL_ADDRESS_SERVICE);
	stop();
}

Test(kernel_target, a_restart_removes_what_is_not_true_any_more)
{
	start();
	stop();
	test_run("ip addr del 192.0.2.1/24 dev v0");
	start();
	cr_expect_eq(bits("192.0.2.1"), 0);
	cr_expect_neq(bits("10.0.0.10"), 0);
	stop();
}

static bool accepts(const char *text)
{
	struct fl_prefix_key key = { .bits = 128, .addr = ip(text) };
	uint32_t value;

	return bpf_map_lookup_elem(kernel->maps.fd[FL_MAP_balancers], &key, &value) == 0;
}

Test(kernel_target, balancers_are_those_of_the_configuration)
{
	struct fl_prefix prefixes[3];
	uint64_t entries = 0;

	cr_assert_eq(fl_prefix_parse("192.0.2.0/29", &prefixes[0]), 0);
	cr_assert_eq(fl_prefix_parse("2001:db8::/48", &prefixes[1]), 0);
	cr_assert_eq(fl_prefix_parse("198.51.100.7", &prefixes[2]), 0);
	config.target_from = prefixes;
	config.target_from_count = 2;
	start();
	cr_expect(accepts("192.0.2.7"));
	cr_expect_not(accepts("192.0.2.8"));
	cr_expect(accepts("2001:db8::1"));
	cr_expect_not(accepts("2001:db8:1::1"));
	cr_expect_not(accepts("198.51.100.7"));

	config.target_from = &prefixes[1];
	cr_assert_eq(fl_target_configure(target, &config), 0);
	cr_expect_not(accepts("192.0.2.7"), "no longer");
	cr_expect(accepts("2001:db8::1"));
	cr_expect(accepts("198.51.100.7"));
	cr_expect_not(accepts("198.51.100.6"));
	cr_assert_eq(fl_read_entries(&kernel->maps, FL_MAP_balancers, &entries), 0);
	cr_expect_eq(entries, 2);
	stop();
}

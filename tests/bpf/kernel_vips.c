/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <bpf/bpf.h>
#include <criterion/criterion.h>

#include "kernel/vips.h"
#include "lib/declared.h"
#include "lib/netns.h"
#include "lib/opened.h"

/* Who owns an address: the one service that has all of its frontends, or nobody. */

static struct fl_config config;
static struct fl_kernel *kernel;
static struct fl_writer *writer;

static void setup(void)
{
	test_enter_private();
	config = test_config();
	kernel = test_kernel_open(&config);
	writer = test_writer_new(kernel);
}

static void teardown(void)
{
	fl_writer_free(writer);
	fl_kernel_close(kernel);
}

TestSuite(kernel_vips, .init = setup, .fini = teardown, .timeout = 300);

#define NOBODY 0xffffffffu

/** @return the service that the row of an address names; NOBODY = it has no row */
static uint32_t owner(const char *address)
{
	struct fl_frontend_row row;
	struct fl_ip addr;

	cr_assert_eq(fl_ip_parse(address, &addr), 0);
	if (bpf_map_lookup_elem(kernel->maps.fd[FL_MAP_vips], &addr, &row) < 0)
		return NOBODY;
	cr_assert((row.service == 0) == (row.frontend == 0));
	return row.service;
}

static uint32_t id(const struct fl_snapshot *snapshot, const char *name)
{
	return fl_snapshot_find(snapshot, name)->id;
}

static struct fl_snapshot *apply(struct fl_snapshot *old, struct fl_snapshot *new)
{
	test_apply(writer, old, new, 1000);
	fl_writer_follow(writer, new);
	cr_assert_eq(fl_vips_put(&kernel->maps, NULL, new), 0, "a look at all finds nothing to do");
	fl_snapshot_unref(old);
	return new;
}

Test(kernel_vips, owners)
{
	struct fl_service *first[] = {
		test_service("web", "10.0.0.1:80/tcp 10.0.0.1:443/tcp [2001:db8::1]:80/tcp",
			"192.0.2.1:80 [2001:db8:1::1]:80"),
		test_service("dns", "10.0.0.2:53/udp", "192.0.2.1:53"),
	};
	struct fl_service *second[] = {
		test_service("web", "10.0.0.1:80/tcp", "192.0.2.1:80"),
		test_service("dns", "10.0.0.1:53/udp 10.0.0.3:0/udp", "192.0.2.1:53"),
	};
	struct fl_service *third[] = {
		test_service("dns", "10.0.0.1:53/udp", "192.0.2.1:53"),
	};
	struct fl_snapshot *now = apply(NULL, test_snapshot(1, first, 2));

	cr_assert_eq(owner("10.0.0.1"), id(now, "web"));
	cr_assert_eq(owner("2001:db8::1"), id(now, "web"));
	cr_assert_eq(owner("10.0.0.2"), id(now, "dns"));

	now = apply(now, test_snapshot(2, second, 2));
	cr_assert_eq(owner("10.0.0.1"), 0, "shared");
	cr_assert_eq(owner("2001:db8::1"), NOBODY);
	cr_assert_eq(owner("10.0.0.2"), NOBODY);
	cr_assert_eq(owner("10.0.0.3"), id(now, "dns"));

	now = apply(now, test_snapshot(3, third, 1));
	cr_assert_eq(owner("10.0.0.1"), id(now, "dns"), "shared no more");
	cr_assert_eq(owner("10.0.0.3"), NOBODY);

	now = apply(now, test_snapshot(4, NULL, 0));
	cr_assert_eq(owner("10.0.0.1"), NOBODY);
	fl_snapshot_unref(now);
}

/* Only web is another object in the second: what it shares with dns stays shared. */
Test(kernel_vips, addresses_of_those_that_did_not_change)
{
	struct fl_service *dns = test_service("dns", "10.0.0.1:53/udp", "192.0.2.1:53");
	struct fl_service *first[] = {
		test_service("web", "10.0.0.1:80/tcp 10.0.0.2:80/tcp", "192.0.2.1:80"),
		fl_service_ref(dns),
	};
	struct fl_service *second[] = {
		test_service("web", "10.0.0.1:80/tcp 10.0.0.3:80/tcp", "192.0.2.1:80"),
		fl_service_ref(dns),
	};
	struct fl_service *third[] = { dns };
	struct fl_snapshot *now = apply(NULL, test_snapshot(1, first, 2));

	cr_assert_eq(owner("10.0.0.1"), 0, "shared");
	now = apply(now, test_snapshot(2, second, 2));
	cr_assert_eq(owner("10.0.0.1"), 0, "shared");
	cr_assert_eq(owner("10.0.0.2"), NOBODY);
	cr_assert_eq(owner("10.0.0.3"), id(now, "web"));
	now = apply(now, test_snapshot(3, third, 1));
	cr_assert_eq(owner("10.0.0.1"), id(now, "dns"));
	cr_assert_eq(owner("10.0.0.3"), NOBODY);
	fl_snapshot_unref(now);
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "fairlead/slot.h"
#include "kernel/rows.h"
#include "lib/declared.h"
#include "lib/netns.h"
#include "lib/opened.h"

/* Plans carried out in real maps. The clock is handed in: it starts at 1000 s. */

static struct fl_config config;
static struct fl_kernel *kernel;
static struct fl_writer *writer;

static void setup(void)
{
	test_enter_private();
	config = test_config();
	kernel = test_kernel_open_maps(&config);
	writer = test_writer_new(kernel);
}

static void teardown(void)
{
	fl_writer_free(writer);
	fl_kernel_close(kernel);
}

TestSuite(kernel_writer, .init = setup, .fini = teardown, .timeout = 300);

/* The agent is killed, and another one starts. */
static void restart(void)
{
	teardown();
	kernel = test_kernel_open_maps(&config);
	writer = test_writer_new(kernel);
}

static struct fl_snapshot *web_and_dns(void)
{
	struct fl_service *services[] = {
		test_service("web", "10.0.0.1:80/tcp [2001:db8::1]:80/tcp",
			"192.0.2.1:80 192.0.2.2:80*2 [2001:db8:1::1]:80"),
		test_service("dns", "10.0.0.1:53/udp", "192.0.2.1:53 192.0.2.3:53/draining"),
	};

	return test_snapshot(1, services, 2);
}

static void prune(const struct fl_snapshot *snapshot, uint32_t now_s)
{
	struct fl_failure failure = { 0 };

	cr_assert_eq(fl_writer_prune(writer, snapshot, now_s, &failure), 0, "%s", failure.message);
}

static const struct fl_endpoint *endpoint(
	const struct fl_snapshot *snapshot, const char *service, const char *address)
{
	const struct fl_service *s = fl_snapshot_find(snapshot, service);
	char text[FL_SOCKET_TEXT];

	for (size_t i = 0; i < s->endpoint_count; i++) {
		const struct fl_endpoint *e = &s->endpoints[i];

		if (strcmp(fl_socket_format(&e->addr, e->port, text), address) == 0)
			return e;
	}
	cr_assert_fail("%s has no endpoint %s", service, address);
	return NULL;
}

static fl_region region_of(const struct fl_service *service, enum fl_family family)
{
	return kernel->maps.services[service->id].region[family];
}

static uint32_t size_of(fl_region region)
{
	static const uint32_t sizes[] = FL_SIZES;

	return region ? sizes[FL_REGION_CLASS(region)] : 0;
}

/* Slots of a table that lead to an endpoint. */
static uint32_t share(fl_region region, uint32_t endpoint)
{
	const fl_slot *slots = kernel->maps.slots + FL_REGION_BASE(region);
	uint32_t count = 0;

	for (uint32_t i = 0; i < size_of(region); i++)
		count += fl_slot_now(slots[i]) == endpoint;
	return count;
}

/* ------------------------------------------------------ everything in words
 *
 * What a packet would meet, without numbers of ids and places: two states of the
 * maps that read alike are alike.
 */

static void describe_table(FILE *out, fl_region region)
{
	const struct fl_maps *maps = &kernel->maps;
	const fl_slot *slots = maps->slots + FL_REGION_BASE(region);
	char text[FL_SOCKET_TEXT];

	fprintf(out, "  table of %u:", size_of(region));
	for (uint32_t i = 0; i < size_of(region); i++) {
		const struct fl_endpoint_row *row = &maps->endpoints[fl_slot_now(slots[i])];

		fprintf(out, " %s", fl_socket_format(&row->addr, ntohs(row->port), text));
		if (slots[i] != fl_slot_settled(fl_slot_now(slots[i])))
			fprintf(out, "(moving)");
	}
	fprintf(out, "\n");
}

static void describe_service(FILE *out, uint32_t id)
{
	const struct fl_service_row *row = &kernel->maps.services[id];
	char name[FL_NAME_MAX + 1];

	fprintf(out, "service %s in use %d forward %d udp %d\n",
		fl_name_row_text(&kernel->maps.names[id], name), row->in_use, row->forward,
		row->udp);
	for (int family = 0; family < FL_FAMILIES; family++)
		describe_table(out, row->region[family]);
	for (uint32_t i = 1; i <= config.limits.endpoints; i++) {
		const struct fl_endpoint_row *endpoint = &kernel->maps.endpoints[i];
		char text[FL_SOCKET_TEXT];

		/* One that rests is as good as gone, and so is its row. */
		if (endpoint->service == id && endpoint->state != FL_DOWN)
			fprintf(out, "  endpoint %s %s\n",
				fl_socket_format(&endpoint->addr, ntohs(endpoint->port), text),
				fl_state_name(endpoint->state));
	}
}

static int by_key(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct fl_frontend_key));
}

static char *describe(void)
{
	_cleanup_free_ struct fl_frontend_pair *rows = NULL;
	char *text = NULL;
	size_t count, length, used = 0;
	FILE *out = open_memstream(&text, &length);

	cr_assert_eq(fl_frontend_rows_list(&kernel->maps, &rows, &count), 0);
	if (count > 0)
		qsort(rows, count, sizeof(*rows), by_key);
	for (size_t i = 0; i < count; i++) {
		struct fl_frontend frontend = fl_frontend_from_row(&rows[i].key, &rows[i].row);
		char name[FL_SOCKET_TEXT];

		fprintf(out, "frontend %s\n", fl_frontend_format(&frontend, name));
		describe_service(out, rows[i].row.service);
	}
	for (uint32_t id = 1; id <= config.limits.services; id++)
		used += kernel->maps.services[id].in_use;
	fprintf(out, "%zu services in use, %u slots\n", used, fl_writer_slots_in_use(writer));
	fclose(out);
	return text;
}

/* ----------------------------------------------------------- bytes of all maps */

struct memory {
	const void *live;
	size_t size;
	unsigned char *copy;
};

static struct memory memory[6];

static void remember(void)
{
	const struct fl_maps *maps = &kernel->maps;
	const struct fl_limits *limits = &config.limits;
	const struct memory now[] = {
		{ maps->services, (limits->services + 1) * sizeof(*maps->services) },
		{ maps->names, (limits->services + 1) * sizeof(*maps->names) },
		{ maps->slots, limits->slots * sizeof(*maps->slots) },
		{ maps->endpoints, (limits->endpoints + 1) * sizeof(*maps->endpoints) },
		{ maps->nexthops, FL_NEXTHOPS_MAX * sizeof(*maps->nexthops) },
		{ maps->meta, sizeof(*maps->meta) },
	};

	for (size_t i = 0; i < 6; i++) {
		free(memory[i].copy);
		memory[i] = now[i];
		memory[i].copy = malloc(now[i].size);
		memcpy(memory[i].copy, now[i].live, now[i].size);
	}
}

/* Bytes that changed since, outside of [allowed, allowed + size). */
static size_t changed_outside(const void *allowed, size_t size)
{
	const unsigned char *from = allowed, *to = from + size;
	size_t count = 0;

	for (size_t i = 0; i < 6; i++) {
		const unsigned char *live = memory[i].live;

		for (size_t j = 0; j < memory[i].size; j++)
			count += live[j] != memory[i].copy[j] &&
				 !(allowed && live + j >= from && live + j < to);
	}
	return count;
}

/* -------------------------------------------------------------------- stories */

Test(kernel_writer, what_is_declared_is_in_the_maps)
{
	struct fl_snapshot *snapshot = web_and_dns();
	const struct fl_service *web, *dns;
	struct fl_frontend_row row;

	test_apply(writer, NULL, snapshot, 1000);
	web = fl_snapshot_find(snapshot, "web");
	dns = fl_snapshot_find(snapshot, "dns");

	cr_expect_eq(size_of(region_of(web, FL_IPV4)), 251);
	cr_expect_eq(size_of(region_of(web, FL_IPV6)), 251);
	cr_expect_eq(size_of(region_of(dns, FL_IPV6)), 0, "no frontend, no table");
	cr_expect_eq(share(region_of(web, FL_IPV4), 0), 0, "no slot leads nowhere");
	cr_expect_geq(
		share(region_of(web, FL_IPV4), endpoint(snapshot, "web", "192.0.2.1:80")->id), 83);
	cr_expect_geq(
		share(region_of(web, FL_IPV4), endpoint(snapshot, "web", "192.0.2.2:80")->id), 166);
	cr_expect_eq(
		share(region_of(web, FL_IPV6), endpoint(snapshot, "web", "[2001:db8:1::1]:80")->id),
		251);
	cr_expect_eq(share(region_of(dns, FL_IPV4), endpoint(snapshot, "dns", "192.0.2.3:53")->id),
		0, "draining");
	cr_expect_eq(kernel->maps.endpoints[endpoint(snapshot, "dns", "192.0.2.3:53")->id].state,
		FL_DRAINING);
	cr_assert_eq(fl_frontend_row_get(&kernel->maps, &dns->frontends[0], &row), 0);
	cr_expect_eq(row.service, dns->id);
	cr_expect_str_eq(kernel->maps.names[dns->id].name, "dns");
	fl_snapshot_unref(snapshot);
}

/* Also where no slot decides: a port that is used again finds the old entry of nat. */
Test(kernel_writer, without_a_weight_flows_meet_one_that_drains)
{
	struct fl_snapshot *snapshot =
		test_snapshot_parse("web 10.0.0.1:80/tcp = 192.0.2.1 192.0.2.2*0");
	struct fl_snapshot *weighty =
		test_snapshot_parse("web 10.0.0.1:80/tcp = 192.0.2.1 192.0.2.2");
	const struct fl_endpoint_row *row;

	test_apply(writer, NULL, snapshot, 1000);
	row = &kernel->maps.endpoints[fl_snapshot_find(snapshot, "web")->endpoints[1].id];
	cr_expect_eq(row->state, FL_DRAINING);
	test_apply(writer, snapshot, weighty, 1001);
	cr_expect_eq(row->state, FL_UP);
	fl_snapshot_unref(weighty);
	fl_snapshot_unref(snapshot);
}

Test(kernel_writer, a_plan_carried_out_twice_writes_nothing_the_second_time)
{
	struct fl_snapshot *snapshot = web_and_dns();
	struct fl_writes before;

	test_apply(writer, NULL, snapshot, 1000);
	before = *fl_writer_writes(writer);
	cr_assert_geq(before.slots, 3 * 251);
	remember();
	cr_expect_geq(test_apply(writer, NULL, snapshot, 1007), 10, "all steps again");
	cr_expect_eq(memcmp(&before, fl_writer_writes(writer), sizeof(before)), 0);
	prune(snapshot, 1008);
	cr_expect_eq(memcmp(&before, fl_writer_writes(writer), sizeof(before)), 0);
	cr_expect_eq(changed_outside(NULL, 0), 0);
	fl_snapshot_unref(snapshot);
}

Test(kernel_writer, one_weight_among_a_thousand_services_writes_one_table)
{
	struct fl_service *before[1000], *after[1000];
	struct fl_snapshot *old, *new;
	struct fl_writes writes, now;
	char name[16], frontend[32];
	fl_region region;

	for (unsigned i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "s%04u", i);
		snprintf(frontend, sizeof(frontend), "10.1.%u.%u:80/tcp", i / 250, i % 250);
		before[i] = test_service(name, frontend, "192.0.2.1:80 192.0.2.2:80");
		after[i] = i == 500 ? test_service(name, frontend, "192.0.2.1:80 192.0.2.2:80*2")
				    : fl_service_ref(before[i]);
	}
	old = test_snapshot(1, before, 1000);
	new = test_snapshot(2, after, 1000);
	test_apply(writer, NULL, old, 1000);
	writes = *fl_writer_writes(writer);
	remember();

	cr_expect_eq(test_apply(writer, old, new, 1001), 2, "its table and its pool");
	now = *fl_writer_writes(writer);
	region = region_of(fl_snapshot_find(new, "s0500"), FL_IPV4);
	cr_expect_eq(changed_outside(kernel->maps.slots + FL_REGION_BASE(region),
			     size_of(region) * sizeof(fl_slot)),
		0, "nothing but its region");
	cr_expect_gt(now.slots - writes.slots, 0);
	cr_expect_leq(now.slots - writes.slots, 126, "about a sixth moves: %lu",
		(unsigned long)(now.slots - writes.slots));
	cr_expect_eq(now.slots_moved - writes.slots_moved, now.slots - writes.slots);
	cr_expect_eq(now.services, writes.services);
	cr_expect_eq(now.names, writes.names);
	cr_expect_eq(now.endpoints, writes.endpoints);
	cr_expect_eq(now.frontends, writes.frontends);
	fl_snapshot_unref(old);
	fl_snapshot_unref(new);
}

/* A change with every kind of step in it. */
static struct fl_snapshot *much_changed(void)
{
	struct fl_service *services[] = {
		test_service("web", "10.0.0.1:80/tcp 10.0.0.2:80/tcp",
			"192.0.2.2:80/draining 192.0.2.4:80 192.0.2.5:80 192.0.2.6:80"),
		test_service("new", "10.0.0.1:53/udp [2001:db8::1]:80/tcp",
			"192.0.2.9:53 [2001:db8:1::9]:80*7"),
	};

	return test_snapshot(2, services, 2);
}

Test(kernel_writer, a_plan_broken_off_anywhere_converges)
{
	char *expected = NULL;
	size_t steps = SIZE_MAX;

	for (size_t cut = 0; cut <= steps; cut++) {
		struct fl_snapshot *old = web_and_dns(), *new = much_changed();
		struct fl_failure failure = { 0 };
		struct fl_plan plan = { 0 };
		_cleanup_free_ char *found = NULL;

		test_apply(writer, NULL, old, 1000);
		prune(old, 1000);
		cr_assert_eq(fl_writer_assign(writer, new, &failure), 0, "%s", failure.message);
		cr_assert_eq(fl_plan_diff(old, new, &plan), 0);
		steps = plan.count;
		for (size_t i = 0; i < cut; i++)
			cr_assert_eq(fl_writer_step(writer, &plan.steps[i], 1001, &failure), 0,
				"%s", failure.message);
		fl_plan_done(&plan);
		restart();
		test_apply(writer, NULL, new, 1010);
		prune(new, 1010);
		fl_writer_tick(writer, 1020); /* old places and numbers have rested */
		found = describe();
		if (!expected)
			expected = strdup(found);
		cr_expect_str_eq(found, expected, "broken off after %zu of %zu steps", cut, steps);
		fl_snapshot_unref(old);
		fl_snapshot_unref(new);
	}
	cr_expect_geq(steps, 15, "%zu", steps);
	cr_expect(strstr(expected, "frontend 10.0.0.2:80/tcp\nservice web"), "%s", expected);
	cr_expect_not(strstr(expected, "dns"));
	free(expected);
}

Test(kernel_writer, a_restart_keeps_every_number_and_place)
{
	struct fl_snapshot *first = web_and_dns(), *second = web_and_dns();
	fl_region region;
	uint32_t id;

	test_apply(writer, NULL, first, 1000);
	id = endpoint(first, "web", "192.0.2.2:80")->id;
	region = region_of(fl_snapshot_find(first, "web"), FL_IPV6);
	restart();
	remember();
	test_apply(writer, NULL, second, 2000);
	prune(second, 2000);
	cr_expect_eq(changed_outside(NULL, 0), 0);
	cr_expect_eq(endpoint(second, "web", "192.0.2.2:80")->id, id);
	cr_expect_eq(region_of(fl_snapshot_find(second, "web"), FL_IPV6), region);
	cr_expect_eq(fl_writer_writes(writer)->slots, 0);
	fl_snapshot_unref(first);
	fl_snapshot_unref(second);
}

Test(kernel_writer, what_nobody_declares_any_more_is_pruned)
{
	struct fl_snapshot *old = web_and_dns(), *new;
	struct fl_service *services[] = {
		test_service("web", "10.0.0.1:80/tcp", "192.0.2.1:80"),
	};
	struct fl_frontend_row row;

	test_apply(writer, NULL, old, 1000);
	restart();
	new = test_snapshot(2, services, 1);
	test_apply(writer, NULL, new, 2000);
	prune(new, 2000);
	cr_expect_eq(fl_frontend_row_get(
			     &kernel->maps, &fl_snapshot_find(old, "dns")->frontends[0], &row),
		-ENOENT);
	cr_expect_not(kernel->maps.services[fl_snapshot_find(old, "dns")->id].in_use);
	cr_expect_eq(region_of(fl_snapshot_find(new, "web"), FL_IPV6), 0);
	cr_expect_eq(
		kernel->maps.endpoints[endpoint(old, "web", "192.0.2.2:80")->id].state, FL_DOWN);
	fl_writer_tick(writer, 2010);
	fl_writer_tick(writer, 2020);
	cr_expect_eq(kernel->maps.endpoints[endpoint(old, "web", "192.0.2.2:80")->id].service, 0);
	cr_expect_eq(fl_writer_slots_in_use(writer), 251);
	fl_snapshot_unref(old);
	fl_snapshot_unref(new);
}

static void tick_through(uint32_t first_s, uint32_t last_s)
{
	while (first_s <= last_s)
		fl_writer_tick(writer, first_s++);
}

Test(kernel_writer, an_id_rests_while_nat_flows_hold_it)
{
	struct fl_service *with[] = { test_service(
		"a", "10.0.0.1:80/tcp", "192.0.2.1:80 192.0.2.2:80") };
	struct fl_service *without[] = { test_service("a", "10.0.0.1:80/tcp", "192.0.2.1:80") };
	struct fl_service *other[] = { test_service(
		"a", "10.0.0.1:80/tcp", "192.0.2.1:80 192.0.2.3:80") };
	struct fl_service *again[] = { test_service(
		"a", "10.0.0.1:80/tcp", "192.0.2.1:80 192.0.2.2:80") };
	struct fl_snapshot *s1 = test_snapshot(1, with, 1), *s2 = test_snapshot(2, without, 1),
			   *s3 = test_snapshot(3, other, 1), *s4 = test_snapshot(4, again, 1);
	struct fl_endpoint_row *row;
	uint32_t id;

	test_apply(writer, NULL, s1, 1000);
	id = endpoint(s1, "a", "192.0.2.2:80")->id;
	row = &kernel->maps.endpoints[id];
	kernel->maps.nat_used[id].tcp = 1;
	test_apply(writer, s1, s2, 1001);
	cr_expect_eq(row->state, FL_DOWN);
	cr_expect_eq(row->since, 1001);
	tick_through(1002, 1100);
	cr_expect_neq(row->service, 0, "a flow still has its number");

	test_apply(writer, s2, s3, 1101);
	cr_expect_neq(endpoint(s3, "a", "192.0.2.3:80")->id, id);
	test_apply(writer, s3, s4, 1102);
	cr_expect_eq(endpoint(s4, "a", "192.0.2.2:80")->id, id, "it answers to its address");
	cr_expect_eq(row->state, FL_UP);

	kernel->maps.nat_used[id].tcp = 0;
	tick_through(1103, 1200);
	cr_expect_eq(row->state, FL_UP, "in use again, so not freed");
	test_apply(writer, s4, s2, 1201);
	tick_through(1202, 1220);
	cr_expect_eq(row->service, 0, "freed");
	for (struct fl_snapshot **s = (struct fl_snapshot *[]){ s1, s2, s3, s4, NULL }; *s; s++)
		fl_snapshot_unref(*s);
}

Test(kernel_writer, another_size_gets_another_place)
{
	struct fl_service *few[] = { test_service("a", "10.0.0.1:80/tcp", "192.0.2.1:80") };
	struct fl_service *many[] = { test_service(
		"a", "10.0.0.1:80/tcp", "192.0.2.1:80 192.0.2.2:80 192.0.2.3:80") };
	struct fl_snapshot *s1 = test_snapshot(1, few, 1), *s2 = test_snapshot(2, many, 1);
	fl_region before, after;
	struct fl_writes writes;

	test_apply(writer, NULL, s1, 1000);
	before = region_of(s1->services[0], FL_IPV4);
	writes = *fl_writer_writes(writer);
	remember();
	test_apply(writer, s1, s2, 1001);
	after = region_of(s2->services[0], FL_IPV4);
	cr_expect_eq(size_of(before), 251);
	cr_expect_eq(size_of(after), 1021);
	cr_expect_neq(FL_REGION_BASE(before), FL_REGION_BASE(after));
	cr_expect_eq(FL_REGION_GEN(after), FL_REGION_GEN(before) + 1);
	cr_expect_eq(memcmp(kernel->maps.slots + FL_REGION_BASE(before),
			     memory[2].copy + FL_REGION_BASE(before) * sizeof(fl_slot),
			     251 * sizeof(fl_slot)),
		0, "packets under way may still read the old place");
	cr_expect_eq(fl_writer_writes(writer)->slots_moved, writes.slots_moved);
	cr_expect_eq(fl_writer_slots_in_use(writer), 251 + 1021);
	fl_writer_tick(writer, 1010);
	cr_expect_eq(fl_writer_slots_in_use(writer), 1021);
	fl_snapshot_unref(s1);
	fl_snapshot_unref(s2);
}

/* Enough services of 65537 slots to fill the map: 2^19 has room for 7. */
static struct fl_snapshot *full_map(unsigned count, uint32_t last_slots)
{
	struct fl_service *services[8];
	char name[16], frontend[32];

	for (unsigned i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "s%u", i);
		snprintf(frontend, sizeof(frontend), "10.0.0.%u:80/tcp", i);
		services[i] = test_service(name, frontend, "192.0.2.1:80 192.0.2.2:80");
		services[i]->slots = i == count - 1 ? last_slots : 65537;
	}
	return test_snapshot(1, services, count);
}

Test(kernel_writer, without_room_the_old_size_stays)
{
	struct fl_snapshot *fits = full_map(8, 16381), *grows = full_map(8, 65537);
	const struct fl_service *last;
	struct fl_failure failure = { 0 };
	struct fl_step step = { .kind = FL_STEP_TABLE, .family = FL_IPV4 };
	fl_region before;

	test_apply(writer, NULL, fits, 1000);
	last = fits->services[7];
	before = region_of(last, FL_IPV4);
	grows->services[7]->endpoints[1].weight = 9;
	test_apply(writer, fits, grows, 1001);
	cr_expect_eq(region_of(last, FL_IPV4), before);
	cr_expect_gt(
		share(before, grows->services[7]->endpoints[1].id), 14000, "with the new weights");

	restart();
	fl_snapshot_unref(fits);
	fits = full_map(8, 65537);
	cr_assert_eq(fl_writer_assign(writer, fits, &failure), 0);
	kernel->maps.services[fits->services[7]->id].region[FL_IPV4] = 0;
	step.service = fits->services[7];
	cr_expect_eq(fl_writer_step(writer, &step, 1002, &failure), -ENOSPC);
	cr_expect(strstr(failure.message, "no room for the 65537 slots of s7"), "%s",
		failure.message);
	cr_expect(strstr(failure.hint, "limits.slots"), "%s", failure.hint);
	fl_snapshot_unref(fits);
	fl_snapshot_unref(grows);
}

Test(kernel_writer, numbers_of_a_snapshot_that_does_not_fit_are_taken_back)
{
	struct fl_snapshot *small = web_and_dns(), *same = web_and_dns(), *large;
	struct fl_service *services[3];
	struct fl_failure failure = { 0 };

	test_apply(writer, NULL, small, 1000);
	for (unsigned i = 0; i < 3; i++) {
		char name[16], frontend[32];

		snprintf(name, sizeof(name), "big%u", i);
		snprintf(frontend, sizeof(frontend), "10.9.0.%u:80/tcp", i);
		services[i] = test_service(name, frontend, "");
		for (unsigned e = 0; e < 1500; e++) {
			struct fl_endpoint *added = fl_service_add_endpoint(services[i]);
			struct in_addr addr = { htonl(0xc6120000 + e) };

			added->addr = fl_ip_from_ipv4(addr.s_addr);
			added->state = FL_UP;
			added->weight = 1;
		}
	}
	large = test_snapshot(2, services, 3);
	for (int i = 0; i < 3; i++) {
		cr_expect_eq(fl_writer_assign(writer, large, &failure), -ENOSPC, "try %d", i);
		cr_expect(strstr(failure.message, "no numbers are left for big2"), "%s",
			failure.message);
	}
	remember();
	test_apply(writer, small, same, 1001);
	cr_expect_eq(changed_outside(NULL, 0), 0, "what was there is as before");
	fl_snapshot_unref(small);
	fl_snapshot_unref(same);
	fl_snapshot_unref(large);
}

/* What stays is the same object in both snapshots, as registries publish it. */
static struct fl_snapshot *beside(
	const struct fl_snapshot *other, const char *name, struct fl_service *added)
{
	struct fl_service *services[] = { fl_service_ref(fl_snapshot_find(other, name)), added };

	return test_snapshot(other->generation + 1, services, added ? 2 : 1);
}

Test(kernel_writer, services_that_stay_the_same_objects_keep_their_numbers)
{
	struct fl_snapshot *first = web_and_dns(), *second, *third;
	const struct fl_service *web = fl_snapshot_find(first, "web");
	uint32_t id = web->id;

	test_apply(writer, NULL, first, 1000);
	fl_writer_follow(writer, first);
	id = web->id;
	second = beside(first, "web", test_service("api", "10.0.0.7:80/tcp", "192.0.2.7:80"));
	test_apply(writer, first, second, 1001);
	fl_writer_follow(writer, second);
	cr_expect_eq(web->id, id);
	cr_expect_neq(fl_snapshot_find(second, "api")->id, id);
	cr_expect_eq(kernel->maps.endpoints[endpoint(second, "api", "192.0.2.7:80")->id].service,
		fl_snapshot_find(second, "api")->id);

	/* One that was gone for a while has to be numbered anew, same object or not. */
	third = beside(second, "web", fl_service_ref(fl_snapshot_find(first, "dns")));
	test_apply(writer, second, third, 1002);
	fl_writer_follow(writer, third);
	cr_expect_neq(fl_snapshot_find(third, "dns")->id, 0);
	cr_expect_neq(fl_snapshot_find(third, "dns")->id, id);
	cr_expect(kernel->maps.services[fl_snapshot_find(third, "dns")->id].in_use);
	fl_snapshot_unref(first);
	fl_snapshot_unref(second);
	fl_snapshot_unref(third);
}

static struct fl_service *too_large(void)
{
	struct fl_service *service = test_service("large", "10.9.0.1:80/tcp", "");

	for (uint32_t i = 0; i <= kernel->maps.limits.endpoints; i++)
		fl_service_add_endpoint(service)->addr = fl_ip_from_ipv4(htonl(0xc6120000 + i));
	return service;
}

Test(kernel_writer, what_does_not_fit_beside_a_snapshot_leaves_it_as_it_is)
{
	struct fl_snapshot *first = web_and_dns(), *large, *again;
	struct fl_failure failure = { 0 };
	uint32_t id;
	int r = 1, parts = 0;

	test_apply(writer, NULL, first, 1000);
	fl_writer_follow(writer, first);
	id = endpoint(first, "web", "192.0.2.1:80")->id;
	large = beside(first, "web", too_large());
	for (; r == 1; parts++)
		r = fl_writer_assign_some(writer, large, 1, &failure);
	cr_expect_eq(r, -ENOSPC);
	cr_expect_eq(parts, 1, "web has its numbers");
	remember();
	again = beside(first, "web", fl_service_ref(fl_snapshot_find(first, "dns")));
	cr_expect_eq(test_apply(writer, first, again, 1001), 0);
	fl_writer_follow(writer, again);
	cr_expect_eq(changed_outside(NULL, 0), 0);
	cr_expect_eq(endpoint(again, "web", "192.0.2.1:80")->id, id);
	fl_snapshot_unref(first);
	fl_snapshot_unref(large);
	fl_snapshot_unref(again);
}

Test(kernel_writer, damaged_maps_are_refused)
{
	struct fl_snapshot *snapshot = web_and_dns();
	struct fl_failure failure = { 0 };
	struct fl_writer *other = NULL;
	const struct fl_service *dns, *web;

	test_apply(writer, NULL, snapshot, 1000);
	dns = fl_snapshot_find(snapshot, "dns");
	web = fl_snapshot_find(snapshot, "web");
	kernel->maps.services[dns->id].region[FL_IPV4] = region_of(web, FL_IPV4) + 10;
	cr_expect_eq(fl_writer_new(&kernel->maps, &failure, &other), -EPROTO);
	cr_expect(strstr(failure.message, "overlaps"), "%s", failure.message);
	kernel->maps.services[dns->id].region[FL_IPV4] = FL_REGION(0, 9, 0);
	cr_expect_eq(fl_writer_new(&kernel->maps, &failure, &other), -EPROTO);
	cr_expect(strstr(failure.message, "names no table size"), "%s", failure.message);
	strcpy(kernel->maps.names[dns->id].name, "web");
	cr_expect_eq(fl_writer_new(&kernel->maps, &failure, &other), -EPROTO);
	cr_expect(strstr(failure.message, "is there twice"), "%s", failure.message);
	fl_snapshot_unref(snapshot);
}

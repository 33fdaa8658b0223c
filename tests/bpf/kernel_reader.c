/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "fairlead/slot.h"
#include "kernel/reader.h"
#include "lib/declared.h"
#include "lib/netns.h"
#include "lib/opened.h"

/* What maps hold, read through pins as the CLI does it: no agent, read-only. */

static struct fl_kernel *kernel;
static struct fl_maps maps;
static struct fl_snapshot *snapshot;

static void setup(void)
{
	struct fl_config config;
	struct fl_writer *writer;
	struct fl_failure failure = { 0 };
	struct fl_service *services[] = {
		test_service("web", "10.0.0.1:80/tcp [2001:db8::1]:0/udp",
			"192.0.2.1:8080 192.0.2.2:8080 [2001:db8:1::1]:80/maintenance"),
	};

	test_enter_private();
	config = test_config();
	kernel = test_kernel_open_maps(&config);
	writer = test_writer_new(kernel);
	snapshot = test_snapshot(1, services, 1);
	test_apply(writer, NULL, snapshot, fl_clock_boot_s());
	fl_writer_free(writer);
	cr_assert_eq(fl_maps_open(&maps, TEST_BPFFS, false, &failure), 0, "%s", failure.message);
}

static void teardown(void)
{
	fl_maps_close(&maps);
	fl_kernel_close(kernel);
	fl_snapshot_unref(snapshot);
}

TestSuite(kernel_reader, .init = setup, .fini = teardown, .timeout = 300);

/* A row per CPU: what is read is their sum. */
static void put_per_cpu(enum fl_map map, uint32_t row, const uint64_t *words, size_t count)
{
	uint64_t *values = calloc(maps.cpus * count, sizeof(*values));

	for (unsigned cpu = 0; cpu < maps.cpus; cpu++)
		for (size_t i = 0; i < count; i++)
			values[cpu * count + i] = words[i] + cpu;
	cr_assert_eq(bpf_map_update_elem(kernel->maps.fd[map], &row, values, BPF_ANY), 0);
	free(values);
}

static uint64_t expected_sum(uint64_t word)
{
	return word * maps.cpus + maps.cpus * (maps.cpus - 1) / 2;
}

static struct fl_ip ip(const char *text)
{
	struct fl_ip addr;

	cr_assert_eq(fl_ip_parse(text, &addr), 0);
	return addr;
}

static struct fl_flow flow(
	const char *source, uint16_t sport, const char *destination, uint16_t dport)
{
	return (struct fl_flow){ .saddr = ip(source),
		.daddr = ip(destination),
		.sport = htons(sport),
		.dport = htons(dport),
		.proto = IPPROTO_TCP };
}

static void put_nat(uint16_t sport)
{
	struct fl_flow key = flow("198.51.100.7", sport, "10.0.0.1", 80);
	struct fl_nat_entry entry = { .to = flow("192.0.2.254", 2000, "192.0.2.1", 8080),
		.endpoint = snapshot->services[0]->endpoints[0].id,
		.service = snapshot->services[0]->id,
		.seen = fl_clock_boot_s(),
		.flags = FL_NAT_SEEN_SYN | FL_NAT_SEEN_FIN };

	cr_assert_eq(bpf_map_update_elem(kernel->maps.nat_fd[0], &key, &entry, BPF_ANY), 0);
}

/* -------------------------------------------------------------------- counters */

Test(kernel_reader, counters_are_summed_over_cpus)
{
	const uint64_t one = 40, five[] = { 1, 2, 3, 4, 5 }, three[] = { 10, 20, 30 };
	uint64_t reasons[FL_REASON_COUNT];
	struct fl_frontend_stats frontend;
	struct fl_endpoint_stats endpoint;

	put_per_cpu(FL_MAP_reasons, FL_PATH_EDGE * FL_REASONS_MAX + FL_DROP_TTL, &one, 1);
	put_per_cpu(FL_MAP_reasons, FL_PATH_TARGET * FL_REASONS_MAX + FL_SENT, &one, 1);
	put_per_cpu(FL_MAP_frontend_stats, 3, five, 5);
	put_per_cpu(FL_MAP_endpoint_stats, 4, three, 3);
	cr_assert_eq(fl_read_reasons(&maps, FL_PATH_EDGE, reasons), 0);
	cr_expect_eq(reasons[FL_DROP_TTL], expected_sum(40));
	cr_expect_eq(reasons[FL_SENT], 0, "that was the other path");
	cr_assert_eq(fl_read_frontend(&maps, 3, &frontend), 0);
	cr_expect_eq(frontend.packets, expected_sum(1));
	cr_expect_eq(frontend.reply_bytes, expected_sum(5));
	cr_assert_eq(fl_read_endpoint(&maps, 4, &endpoint), 0);
	cr_expect_eq(endpoint.new_flows, expected_sum(30));
	cr_expect_lt(fl_read_frontend(&maps, FL_FRONTENDS_MAX + 1, &frontend), 0);
}

Test(kernel_reader, counters_of_a_new_frontend_and_endpoint_begin_at_zero)
{
	const uint64_t words[] = { 7, 7, 7, 7, 7 };
	struct fl_writer *writer = test_writer_new(kernel);
	struct fl_service *services[] = {
		fl_service_ref(snapshot->services[0]),
		test_service("late", "10.0.0.7:80/tcp", "192.0.2.77:80"),
	};
	struct fl_snapshot *next;
	struct fl_frontend_stats frontend;
	struct fl_endpoint_stats endpoint;

	for (uint32_t row = 1; row < 10; row++) {
		put_per_cpu(FL_MAP_frontend_stats, row, words, 5);
		put_per_cpu(FL_MAP_endpoint_stats, row, words, 3);
	}
	next = test_snapshot(2, services, 2);
	test_apply(writer, snapshot, next, fl_clock_boot_s());
	cr_assert_eq(fl_read_frontend(&maps, services[1]->frontends[0].id, &frontend), 0);
	cr_expect_eq(frontend.packets, 0);
	cr_assert_eq(fl_read_endpoint(&maps, services[1]->endpoints[0].id, &endpoint), 0);
	cr_expect_eq(endpoint.packets, 0);
	cr_assert_eq(fl_read_endpoint(&maps, services[0]->endpoints[0].id, &endpoint), 0);
	cr_expect_eq(endpoint.packets, expected_sum(7), "an old one counts on");
	fl_writer_free(writer);
	fl_snapshot_unref(next);
}

/* ------------------------------------------------------------------------ list */

struct listed {
	char name[16];
	char type[16];
	json_int_t entries;
};

Test(kernel_reader, the_list_tells_type_size_and_rows_in_use)
{
	static const struct listed rows[] = {
		{ "frontends", "hash", 2 },
		{ "services", "array", 1 },
		{ "names", "array", 1 },
		{ "slots", "array", 251 + 251 },
		{ "endpoints", "array", 3 },
		{ "nat", "array_of_maps", 2 },
		{ "pins", "hash", 1 },
		{ "opening", "lru_hash", 0 },
		{ "pressure", "array", 1 },
		{ "frontend_stats", "percpu_array", 1 },
		{ "meta", "array", 1 },
	};
	const uint64_t five[] = { 1, 2, 3, 4, 5 };
	struct fl_flow key = flow("198.51.100.9", 9, "10.0.0.1", 80);
	struct fl_pin pin = { .endpoint = 1 };
	json_t *list;

	put_nat(1000);
	put_nat(1001);
	put_per_cpu(FL_MAP_frontend_stats, 1, five, 5);
	cr_assert_eq(bpf_map_update_elem(kernel->maps.fd[FL_MAP_pins], &key, &pin, BPF_ANY), 0);
	list = fl_read_map_list(&maps);
	cr_assert_eq(json_array_size(list), FL_MAP_COUNT);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *name = "", *type = "";
		json_int_t entries = -1, max = 0;
		json_t *row;
		size_t index;

		json_array_foreach(list, index, row) {
			cr_assert_eq(json_unpack(row, "{ss ss sI sI}", "name", &name, "type", &type,
					     "entries", &entries, "max_entries", &max),
				0);
			if (strcmp(name, rows[i].name) == 0)
				break;
		}
		cr_assert_lt(index, json_array_size(list), "%s is listed", rows[i].name);
		cr_expect_str_eq(type, rows[i].type, "%s", rows[i].name);
		cr_expect_eq(max >= entries && max > 0, 1, "%s", rows[i].name);
		cr_expect_eq(
			entries, rows[i].entries, "%s has %lld", rows[i].name, (long long)entries);
	}
	json_decref(list);
}

/* ------------------------------------------------------------------------ dump */

/* A row of a dump whose JSON holds these words. */
struct dumped {
	char map[16];
	char key[96];
	char value[160]; /* part of the value's text */
};

static const struct dumped dump_rows[] = {
	{ "frontends", "\"10.0.0.1:80/tcp\"", "\"service\": \"web\"" },
	{ "frontends", "\"[2001:db8::1]:0/udp\"", "\"service\": \"web\"" },
	{ "services", "1",
		"\"name\": \"web\", \"in_use\": true, \"forward\": \"nat\", \"udp\": \"keep\"" },
	{ "services", "1", "\"ipv4\": {\"base\": 0, \"size\": 251, \"generation\": 1}" },
	{ "names", "1", "\"web\"" },
	{ "endpoints", "2",
		"\"address\": \"192.0.2.2:8080\", \"service\": \"web\", \"service_id\": 1, "
		"\"state\": \"up\"" },
	{ "endpoints", "3", "\"state\": \"maintenance\"" },
	{ "slots", "17",
		"\"service\": \"web\", \"family\": \"ipv4\", \"slot\": 17, \"now\": 2, \"before\": "
		"1, \"moving\": true, \"held\": false, \"since\": \"20" },
	{ "slots", "17", "\"endpoint\": \"192.0.2.2:8080\"" },
	{ "slots", "18", "\"moving\": false, \"held\": false, \"since\": null" },
	{ "slots", "251", "\"family\": \"ipv6\", \"slot\": 0, \"now\": 0" },
	{ "nat",
		"{\"protocol\": \"tcp\", \"source\": \"198.51.100.7:1000\", \"destination\": "
		"\"10.0.0.1:80\"}",
		"\"to\": {\"protocol\": \"tcp\", \"source\": \"192.0.2.254:2000\", "
		"\"destination\": \"192.0.2.1:8080\"}, \"direction\": \"request\"" },
	{ "nat",
		"{\"protocol\": \"tcp\", \"source\": \"198.51.100.7:1000\", \"destination\": "
		"\"10.0.0.1:80\"}",
		"\"endpoint\": \"192.0.2.1:8080\", \"seen\": \"20" },
	{ "nat",
		"{\"protocol\": \"tcp\", \"source\": \"198.51.100.7:1000\", \"destination\": "
		"\"10.0.0.1:80\"}",
		"\"flags\": [\"syn\", \"fin\"]" },
	{ "nat_used", "1", "\"endpoint\": \"192.0.2.1:8080\", \"tcp\": 6, \"udp\": 5" },
	{ "nexthops", "9", "\"destination_mac\": \"02:00:00:00:00:01\"" },
	{ "nexthops", "9", "\"interface\": \"lo\"" },
	{ "reasons", "{\"path\": \"edge\", \"reason\": \"ttl\"}", "" },
	{ "meta", "0", "\"limits\": {\"services\": 1200, \"endpoints\": 4096" },
	{ "timers", "0", "null" },
	{ "pressure", "0", "\"openings\": 0" },
	{ "balancers", "\"192.0.2.0/24\"", "true" },
	{ "balancers", "\"2001:db8::/32\"", "true" },
	{ "addresses", "\"192.0.2.1\"", "\"local\": true, \"service\": false" },
	{ "tx_ports", "\"lo\"", "1" },
};

static void put_u32(enum fl_map map, const void *key, uint32_t value)
{
	cr_assert_eq(bpf_map_update_elem(kernel->maps.fd[map], key, &value, BPF_ANY), 0, "%s",
		fl_map_name(map));
}

static void fill_maps(void)
{
	const uint64_t one = 1;
	struct fl_nexthop_row hop = { .dmac = { 2, 0, 0, 0, 0, 1 },
		.ifindex = if_nametoindex("lo") };

	put_u32(FL_MAP_balancers, &(struct fl_prefix_key){ 96 + 24, ip("192.0.2.0") }, 1);
	put_u32(FL_MAP_balancers, &(struct fl_prefix_key){ 32, ip("2001:db8::") }, 1);
	put_u32(FL_MAP_addresses, &(struct fl_ip[]){ ip("192.0.2.1") }, FL_ADDRESS_LOCAL);
	put_u32(FL_MAP_tx_ports, &(uint32_t){ 1 }, 1);
	put_nat(1000);
	kernel->maps.slots[17] = fl_slot_moving(2, 1, fl_clock_boot_s());
	cr_assert_eq(fl_maps_reach(&kernel->maps, FL_MAP_nexthops, 10), 0);
	kernel->maps.nexthops[9] = hop;
	kernel->maps.nat_used[1] = (struct fl_nat_used_row){ .tcp = 6, .udp = 5 };
	put_per_cpu(FL_MAP_reasons, FL_DROP_TTL, &one, 1);
}

static bool holds(json_t *rows, const struct dumped *wanted)
{
	json_t *row;
	size_t index;

	json_array_foreach(rows, index, row) {
		char *key = json_dumps(json_object_get(row, "key"), JSON_ENCODE_ANY);
		char *value = json_dumps(json_object_get(row, "value"), JSON_ENCODE_ANY);
		bool found = strcmp(key, wanted->key) == 0 && strstr(value, wanted->value);

		free(key);
		free(value);
		if (found)
			return true;
	}
	return false;
}

Test(kernel_reader, dumps_are_readable)
{
	fill_maps();
	for (size_t i = 0; i < sizeof(dump_rows) / sizeof(dump_rows[0]); i++) {
		json_t *rows = NULL;
		char *text;

		cr_assert_eq(fl_read_map_dump(&maps, dump_rows[i].map, &rows), 0, "%s",
			dump_rows[i].map);
		text = json_dumps(rows, JSON_INDENT(1));
		cr_expect(holds(rows, &dump_rows[i]), "%s: %s → %s not in %.600s", dump_rows[i].map,
			dump_rows[i].key, dump_rows[i].value, text);
		free(text);
		json_decref(rows);
	}
}

Test(kernel_reader, every_map_can_be_dumped)
{
	json_t *rows = NULL;

	fill_maps();
	for (int map = 0; map < FL_MAP_COUNT; map++) {
		cr_expect_eq(fl_read_map_dump(&maps, fl_map_name(map), &rows), 0, "%s",
			fl_map_name(map));
		json_decref(rows);
	}
	cr_expect_eq(fl_read_map_dump(&maps, "none", &rows), -ENOENT);
}

/* More rows than one batch, and in several tables. */
Test(kernel_reader, a_large_table_is_walked_in_full)
{
	uint64_t entries = 0;

	for (uint16_t i = 0; i < 5000; i++)
		put_nat(i);
	cr_assert_eq(fl_read_entries(&maps, FL_MAP_nat, &entries), 0);
	cr_expect_eq(entries, 5000);
}

static int stop_at_once(void *context, json_t *row)
{
	++*(int *)context;
	json_decref(row);
	return 77;
}

Test(kernel_reader, whoever_has_seen_enough_stops_a_dump)
{
	int calls = 0;

	cr_expect_eq(fl_read_map_rows(&maps, "slots", stop_at_once, &calls), 77);
	cr_expect_eq(calls, 1);
}

Test(kernel_reader, slots_are_counted_by_state)
{
	fl_region region = kernel->maps.services[1].region[FL_IPV4];
	struct fl_slot_counts counts = { 0 };

	kernel->maps.slots[3] = fl_slot_moving(2, 1, 5);
	kernel->maps.slots[4] = fl_slot_moving(2, 2, 5);
	kernel->maps.slots[5] = fl_slot_moving(1, 1, 5);
	fl_read_slots(&maps, region, &counts);
	cr_expect_eq(counts.settled, 248);
	cr_expect_eq(counts.moving, 1);
	cr_expect_eq(counts.held, 2);
	fl_read_slots(&maps, 0, &counts);
	cr_expect_eq(counts.settled, 248, "no table, no slots");
}

Test(kernel_reader, without_pins_the_failure_says_where_it_looked)
{
	struct fl_failure failure = { 0 };
	struct fl_maps none;

	cr_expect_eq(fl_maps_open(&none, "/sys/fs/bpf/nothing", false, &failure), -ENOENT);
	cr_expect(strstr(failure.message, "/sys/fs/bpf/nothing"), "%s", failure.message);
	fl_maps_close(&none);
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "core/clock.h"
#include "fairlead/slot.h"
#include "kernel/explain.h"
#include "lib/declared.h"
#include "lib/netns.h"
#include "lib/opened.h"

/* The loaded program answers, not the agent: what stands in the pinned maps counts. */

TestSuite(kernel_explain, .init = test_enter_private, .timeout = 300);

static json_t *ask(const char *source, const char *frontend, struct fl_explanation *ret)
{
	struct fl_failure failure = { 0 };
	struct fl_question question;
	struct fl_maps maps;
	json_t *value;

	cr_assert_eq(fl_question_parse("tcp", source, frontend, &question, &failure), 0);
	cr_assert_eq(fl_maps_open(&maps, TEST_BPFFS, false, &failure), 0, "%s", failure.message);
	cr_assert_eq(fl_explain(TEST_BPFFS, &question, ret, &failure), 0, "%s", failure.message);
	value = fl_explanation_json(&maps, &question, ret);
	cr_assert_not_null(value);
	fl_maps_close(&maps);
	return value;
}

static const char *text_at(json_t *value, const char *key)
{
	const char *text = json_string_value(json_object_get(value, key));

	return text ? text : "(null)";
}

/* As nat would need them: next hops that need no neighbour. */
static void resolve_all(struct fl_kernel *kernel)
{
	cr_assert_eq(fl_maps_reach(&kernel->maps, FL_MAP_nexthops, 2), 0);
	kernel->maps.nexthops[1] = (struct fl_nexthop_row){
		.ifindex = 1, .mtu = 1500, .src = fl_ip_from_ipv4(0x010200c0)
	};
	for (uint32_t id = 1; id <= 4; id++)
		kernel->maps.endpoints[id].nexthop = 1;
}

Test(kernel_explain, a_bit_flipped_behind_the_agents_back_shows)
{
	struct fl_service *services[] = {
		test_service(
			"web", "10.0.0.1:80/tcp 10.0.0.1:0/tcp", "192.0.2.1:8080 192.0.2.2:8080"),
	};
	struct fl_config config = test_config();
	struct fl_kernel *kernel = test_kernel_open(&config);
	struct fl_writer *writer = test_writer_new(kernel);
	struct fl_snapshot *snapshot = test_snapshot(1, services, 1);
	struct fl_explanation answer;
	uint32_t other;
	json_t *value;

	test_apply(writer, NULL, snapshot, fl_clock_boot_s());
	resolve_all(kernel);
	value = ask("198.51.100.7:4242", "10.0.0.1:80", &answer);
	cr_expect_str_eq(text_at(value, "service"), "web");
	cr_expect_str_eq(text_at(value, "frontend"), "10.0.0.1:80/tcp");
	cr_expect_str_eq(text_at(value, "state"), "up");
	cr_expect_str_eq(text_at(value, "forward"), "nat");
	cr_expect_str_eq(text_at(value, "path"), "edge");
	cr_expect_eq(json_integer_value(json_object_get(value, "slot")), answer.slot);
	json_decref(value);

	other = answer.endpoint == snapshot->services[0]->endpoints[0].id
			? snapshot->services[0]->endpoints[1].id
			: snapshot->services[0]->endpoints[0].id;
	kernel->maps.slots[FL_REGION_BASE(answer.region) + answer.slot] = fl_slot_settled(other);
	value = ask("198.51.100.7:4242", "10.0.0.1:80", &answer);
	cr_expect_eq(answer.endpoint, other);
	cr_expect(strstr(text_at(value, "endpoint"), "192.0.2."), "%s", text_at(value, "endpoint"));
	json_decref(value);

	value = ask("198.51.100.7:4242", "10.0.0.1:81", &answer);
	cr_expect_str_eq(text_at(value, "frontend"), "10.0.0.1:0/tcp", "every port");
	json_decref(value);
	value = ask("198.51.100.7:4242", "10.0.0.2:80", &answer);
	cr_expect_str_eq(text_at(value, "reason"), "no_service");
	cr_expect(json_is_null(json_object_get(value, "service")));
	json_decref(value);

	fl_writer_free(writer);
	fl_kernel_close(kernel);
	fl_snapshot_unref(snapshot);
}

Test(kernel_explain, without_a_program_it_says_where_it_looked)
{
	struct fl_failure failure = { 0 };
	struct fl_explanation answer;
	struct fl_question question;

	cr_assert_eq(
		fl_question_parse("tcp", "198.51.100.7:1", "10.0.0.1:80", &question, &failure), 0);
	cr_expect_eq(fl_explain("/sys/fs/bpf/nowhere", &question, &answer, &failure), -ENOENT);
	cr_expect(strstr(failure.message, "/sys/fs/bpf/nowhere/explain"), "%s", failure.message);
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <criterion/criterion.h>
#include <string.h>

#include "core/clock.h"
#include "kernel/node_explain.h"
#include "kernel/reader.h"
#include "lib/declared.h"
#include "lib/netns.h"
#include "lib/node.h"
#include "lib/opened.h"

/* What a connect would get, asked of the program; and that asking changes nothing. */

static struct test_node node;

static void setup(void)
{
	test_node_open(&node);
	test_run("ip addr add 192.0.2.1/24 dev lo && ip addr add 192.0.2.2/24 dev lo && "
		 "ip addr add 192.0.2.3/24 dev lo");
}

static void teardown(void)
{
	test_node_close(&node);
}

TestSuite(node_explain, .init = setup, .fini = teardown, .timeout = 300);

/* @return new reference */
static json_t *ask(const char *proto, const char *source, const char *frontend)
{
	struct fl_node_question answered;
	struct fl_failure failure = { 0 };
	struct fl_question question;
	json_t *answer;

	cr_assert_eq(fl_question_parse_node(proto, source, frontend, &question, &failure), 0, "%s",
		failure.message);
	cr_assert_eq(
		fl_node_question_fill(&question, &answered, &failure), 0, "%s", failure.message);
	cr_assert_eq(fl_node_ask(TEST_BPFFS, &answered, &failure), 0, "%s", failure.message);
	answer = fl_node_explanation_json(&node.kernel->maps, &node.path.maps, &answered);
	cr_assert(answer);
	return answer;
}

static const char *text_of(json_t *answer, const char *key)
{
	const char *text = json_string_value(json_object_get(answer, key));

	return text ? text : "null";
}

static json_t *candidate_of(json_t *answer, const char *endpoint)
{
	json_t *item;
	size_t i;

	json_array_foreach(json_object_get(answer, "candidates"), i, item)
		if (strcmp(text_of(item, "endpoint"), endpoint) == 0)
			return item;
	cr_assert_fail("%s is no candidate", endpoint);
	return NULL;
}

static double share_of(json_t *answer, const char *endpoint)
{
	return json_real_value(json_object_get(candidate_of(answer, endpoint), "share"));
}

/* Services of one balance each; three endpoints of weight 1, 2 and 1. */
static void declare(enum fl_balance balance, enum fl_key key, uint32_t affinity_s)
{
	struct fl_service *service = test_service("web", "10.99.0.1:80/tcp 10.99.0.1:0/udp",
		"192.0.2.1:8080 192.0.2.2:8080*2 192.0.2.3:8080");

	service->balance = balance;
	service->key = key;
	service->affinity_s = affinity_s;
	test_node_apply(&node, test_snapshot(1, &service, 1));
}

static struct fl_live_row *live_of(const char *address)
{
	return (struct fl_live_row *)test_node_live(&node, address);
}

/* A connect of this process that nobody answers: the choice is what counts. @return whom it got */
static uint32_t connect_once(void)
{
	static uint32_t open[8];
	struct sockaddr_storage to;
	socklen_t length = test_node_address("10.99.0.1", 80, &to);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	for (uint32_t i = 1; i < 8; i++)
		open[i] = (uint32_t)node.path.maps.live[i].connects;
	connect(fd, (struct sockaddr *)&to, length);
	close(fd);
	for (uint32_t i = 1; i < 8; i++)
		if (node.path.maps.live[i].connects != open[i])
			return i;
	return 0;
}

static uint64_t decided(void)
{
	uint64_t counts[FL_REASON_COUNT], sum = 0;

	cr_assert_eq(fl_read_reasons(&node.kernel->maps, FL_PATH_NODE, counts), 0);
	for (int i = 0; i < FL_REASON_COUNT; i++)
		sum += counts[i];
	return sum;
}

Test(node_explain, names_and_reasons)
{
	json_t *answer;

	declare(FL_RANDOM, FL_KEY_RANDOM, 0);
	answer = ask("tcp", "node", "10.99.0.1:80");
	cr_expect_str_eq(text_of(answer, "service"), "web");
	cr_expect_str_eq(text_of(answer, "frontend"), "10.99.0.1:80/tcp");
	cr_expect_str_eq(text_of(answer, "balance"), "random");
	cr_expect_str_eq(text_of(answer, "reason"), "forwarded");
	cr_expect_str_eq(text_of(answer, "state"), "up");
	cr_expect_str_eq(text_of(answer, "path"), "node");
	cr_expect(json_is_true(json_object_get(answer, "chance")));
	cr_expect_eq(json_array_size(json_object_get(answer, "candidates")), 3);
	json_decref(answer);

	answer = ask("udp", "node", "10.99.0.1:53");
	cr_expect_str_eq(text_of(answer, "frontend"), "10.99.0.1:0/udp", "that of every port");
	json_decref(answer);
	answer = ask("tcp", "node", "10.99.0.1:81");
	cr_expect_str_eq(text_of(answer, "reason"), "no_service");
	cr_expect_str_eq(text_of(answer, "endpoint"), "null");
	cr_expect(json_is_null(json_object_get(answer, "candidates")));
	json_decref(answer);
	answer = ask("tcp", "node@127.0.0.1", "10.99.0.1:80");
	cr_expect_str_eq(text_of(answer, "reason"), "source", "it could not get there");
	json_decref(answer);
}

/* Shares are those that real draws would have; ejected ones have none. */
Test(node_explain, shares_of_candidates)
{
	json_t *answer;

	declare(FL_RANDOM, FL_KEY_RANDOM, 0);
	answer = ask("tcp", "node", "10.99.0.1:80");
	cr_expect_float_eq(share_of(answer, "192.0.2.1:8080"), 0.25, 1e-9);
	cr_expect_float_eq(share_of(answer, "192.0.2.2:8080"), 0.5, 1e-9);
	json_decref(answer);

	live_of("192.0.2.2")->ejected = fl_clock_mono_ns() + 3600ull * 1000000000;
	answer = ask("tcp", "node", "10.99.0.1:80");
	cr_expect_float_eq(share_of(answer, "192.0.2.1:8080"), 0.5, 1e-9);
	cr_expect_float_eq(share_of(answer, "192.0.2.2:8080"), 0, 1e-9);
	cr_expect_str_eq(text_of(candidate_of(answer, "192.0.2.2:8080"), "state"), "ejected");
	cr_expect_gt(json_integer_value(
			     json_object_get(candidate_of(answer, "192.0.2.2:8080"), "ejected")),
		3500);
	json_decref(answer);

	declare(FL_P2C, FL_KEY_RANDOM, 0);
	answer = ask("tcp", "node", "10.99.0.1:80");
	cr_expect(json_is_null(json_object_get(candidate_of(answer, "192.0.2.1:8080"), "share")),
		"follows from load");
	json_decref(answer);
}

/* Where nothing is left to chance, the next connect gets just that endpoint. */
static void check_foretold(const char *what)
{
	for (int i = 0; i < 6; i++) {
		json_t *answer = ask("tcp", "node", "10.99.0.1:80");
		char told[FL_SOCKET_TEXT];

		cr_expect(json_is_false(json_object_get(answer, "chance")), "%s", what);
		snprintf(told, sizeof(told), "%s", text_of(answer, "endpoint"));
		json_decref(answer);
		*strchr(told, ':') = '\0';
		cr_expect_eq(
			connect_once(), test_node_endpoint(&node, told), "%s, connect %d", what, i);
	}
}

Test(node_explain, what_is_told_is_what_is_done)
{
	json_t *answer;

	declare(FL_ROUND_ROBIN, FL_KEY_RANDOM, 0);
	check_foretold("the next in turn");
	declare(FL_MAGLEV, FL_KEY_SOURCE, 0);
	check_foretold("by network namespace");
	declare(FL_MAGLEV, FL_KEY_CGROUP, 0);
	check_foretold("by cgroup");

	declare(FL_RANDOM, FL_KEY_RANDOM, 600);
	answer = ask("tcp", "node", "10.99.0.1:80");
	cr_expect(json_is_false(json_object_get(answer, "kept")), "nothing was kept by asking");
	json_decref(answer);
	connect_once();
	answer = ask("tcp", "node", "10.99.0.1:80");
	cr_expect(json_is_true(json_object_get(answer, "kept")));
	json_decref(answer);
	check_foretold("by affinity");
}

/* Not even the trial of an endpoint whose ejection is over. */
Test(node_explain, asking_changes_nothing)
{
	struct fl_live_row before;
	struct fl_node_service_row turns;
	uint64_t decisions;

	declare(FL_ROUND_ROBIN, FL_KEY_RANDOM, 600);
	for (int i = 1; i <= 3; i++)
		node.path.maps.live[i].ejected = 1;
	before = node.path.maps.live[2];
	turns = node.path.maps.services[1];
	decisions = decided();
	for (int i = 0; i < 5; i++)
		json_decref(ask("tcp", "node", "10.99.0.1:80"));
	cr_expect_eq(memcmp(&before, &node.path.maps.live[2], sizeof(before)), 0);
	cr_expect_eq(memcmp(&turns, &node.path.maps.services[1], sizeof(turns)), 0);
	cr_expect_eq(decided(), decisions);
}

Test(node_explain, without_a_node_path_it_says_so)
{
	struct fl_node_question question = { 0 };
	struct fl_failure failure = { 0 };

	cr_expect_eq(fl_node_ask("/sys/fs/bpf/elsewhere", &question, &failure), -ENOENT);
	cr_expect(strstr(failure.message, "there is no node path below"), "%s", failure.message);
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <criterion/criterion.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "control/api.h"
#include "core/clock.h"
#include "lib/served.h"

static struct test_view *t;
static struct fl_text text;

static void setup(void)
{
	t = test_view_new();
}

static void teardown(void)
{
	test_view_free(t);
	fl_text_done(&text);
}

TestSuite(control_api, .init = setup, .fini = teardown);

/* What an API function wrote, parsed strictly. */
static json_t *parse(int r)
{
	json_error_t error;
	json_t *value;

	cr_assert_eq(r, 0, "%d", r);
	value = json_loadb(text.data, text.length, JSON_REJECT_DUPLICATES, &error);
	cr_assert_not_null(value, "%s in %.*s", error.text, (int)text.length, text.data);
	return value;
}

static struct fl_json_text *writer(void)
{
	static struct fl_json_text json;

	text.length = 0;
	json = (struct fl_json_text){ .text = &text };
	return &json;
}

static void expect(json_t *value, const char *expected)
{
	char *found = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);

	cr_expect_str_eq(found, expected);
	free(found);
	json_decref(value);
}

Test(control_api, services)
{
	expect(parse(fl_api_services(&t->view, writer())),
		"[{\"name\":\"dns\",\"frontends\":[\"10.0.0.53:53/udp\"],\"forward\":\"nat\","
		"\"balance\":\"maglev\",\"registry\":\"files\",\"panic\":false,\"slots\":{\"size\":"
		"251,\"moving\":"
		"0,\"held\":0},"
		"\"endpoints\":{\"total\":2,\"up\":1}},"
		"{\"name\":\"team/web\",\"frontends\":[\"10.0.0.10:80/tcp\",\"[2001:db8::10]:80/"
		"tcp\"],"
		"\"forward\":\"nat\",\"balance\":\"maglev\",\"registry\":\"files\",\"panic\":false,"
		"\"slots\":{\"size\":251,\"moving\":2,\"held\":1},\"endpoints\":{\"total\":4,"
		"\"up\":3}}]");
}

/* Seconds between an RFC 3339 time and now. */
static long long age_of(json_t *value)
{
	struct tm tm = { 0 };
	const char *end = strptime(json_string_value(value), "%Y-%m-%dT%H:%M:%SZ", &tm);

	cr_assert(end && !*end, "%s", json_string_value(value));
	return (long long)(fl_clock_real_ms() / 1000) - (long long)timegm(&tm);
}

Test(control_api, endpoints)
{
	static const struct {
		const char *address, *state, *reason;
		int weight;
	} rows[] = {
		{ "192.0.2.1:8080", "up", "declared up", 2 },
		{ "192.0.2.2:8080", "up", "weight 0: takes no new flows", 0 },
		{ "192.0.2.3:8080", "draining", "declared draining: old flows only", 1 },
		{ "[2001:db8::1]:8080", "up", "no next hop resolved yet", 1 },
	};
	json_t *list, *item;
	size_t i;

	t->maps.endpoints[t->view.applied->services[1]->endpoints[3].id].nexthop = 0;
	list = parse(fl_api_endpoints(&t->view, "team/web", writer()));
	cr_assert_eq(json_array_size(list), 4);
	json_array_foreach(list, i, item) {
		long long age = age_of(json_object_get(item, "since"));
		const char *address = json_string_value(json_object_get(item, "address"));
		size_t j = 0;

		while (j < 4 && strcmp(rows[j].address, address) != 0)
			j++;
		cr_assert_lt(j, 4, "%s", address);
		cr_expect_str_eq(json_string_value(json_object_get(item, "service")), "team/web");
		cr_expect_str_eq(json_string_value(json_object_get(item, "state")), rows[j].state);
		cr_expect_str_eq(
			json_string_value(json_object_get(item, "reason")), rows[j].reason);
		cr_expect_eq(json_integer_value(json_object_get(item, "weight")), rows[j].weight);
		cr_expect(age >= 58 && age < 3600, "%s: %lld s", address, age);
		cr_expect(json_is_null(json_object_get(item, "zone")));
		cr_expect(json_is_null(json_object_get(item, "connections")));
		cr_expect_eq(json_object_size(item), 9);
	}
	json_decref(list);
	list = parse(fl_api_endpoints(&t->view, NULL, writer()));
	cr_expect_eq(json_array_size(list), 6);
	json_decref(list);
	cr_expect_eq(fl_api_endpoints(&t->view, "web", writer()), -ENOENT);
}

Test(control_api, an_endpoint_that_the_kernel_does_not_know)
{
	json_t *list;

	t->view.maps = NULL;
	list = parse(fl_api_endpoints(&t->view, "dns", writer()));
	cr_expect(json_is_null(json_object_get(json_array_get(list, 0), "since")));
	cr_expect_str_eq(json_string_value(json_object_get(json_array_get(list, 0), "reason")),
		"declared up");
	cr_expect_str_eq(json_string_value(json_object_get(json_array_get(list, 1), "reason")),
		"declared down");
	json_decref(list);
}

Test(control_api, one_service)
{
	json_t *value = parse(fl_api_service(&t->view, "team/web", writer()));

	cr_expect_str_eq(json_string_value(json_object_get(value, "name")), "team/web");
	cr_expect_eq(json_array_size(json_object_get(value, "endpoints")), 4);
	cr_expect_eq(json_array_size(json_object_get(value, "frontends")), 2);
	expect(json_incref(json_object_get(value, "choice")),
		"{\"key\":\"random\",\"affinity\":0,\"locality\":\"off\",\"spill\":0,"
		"\"max_fails\":3,\"fail_timeout\":10,\"max_ejected\":50}");
	json_decref(value);
	cr_expect_eq(fl_api_service(&t->view, "team", writer()), -ENOENT);
}

Test(control_api, stats_name_every_reason_and_frontend)
{
#define FL_REASON_NAME(symbol, action, name, text) name,
	static const char *const names[] = { FL_REASONS(FL_REASON_NAME) };
#undef FL_REASON_NAME
	json_t *value = parse(fl_api_stats(&t->view, NULL, writer()));
	json_t *reasons = json_object_get(value, "reasons");
	json_t *services = json_object_get(value, "services");

	for (size_t i = 0; i < FL_REASON_COUNT; i++)
		cr_expect(json_is_null(json_object_get(reasons, names[i])), "%s", names[i]);
	cr_expect_eq(json_object_size(reasons), FL_REASON_COUNT);
	cr_expect_eq(json_array_size(services), 3);
	expect(json_incref(json_array_get(services, 0)),
		"{\"name\":\"dns\",\"frontend\":\"10.0.0.53:53/"
		"udp\",\"packets\":null,\"bytes\":null,"
		"\"new_flows\":null,\"reply_packets\":null,\"reply_bytes\":null}");
	json_decref(value);
	value = parse(fl_api_stats(&t->view, "team/web", writer()));
	cr_expect_eq(json_array_size(json_object_get(value, "services")), 2);
	json_decref(value);
}

Test(control_api, registries)
{
	json_t *value = parse(fl_api_registries(&t->view, writer()));

	cr_expect_geq(json_integer_value(json_object_get(json_array_get(value, 0), "age")), 5);
	json_object_set_new(json_array_get(value, 0), "age", json_integer(5));
	expect(value, "[{\"name\":\"files\",\"type\":\"file\",\"up\":true,\"age\":5,\"services\":0,"
		      "\"endpoints\":0,"
		      "\"held\":null,\"last_error\":null,\"registered\":null,\"updates\":3,"
		      "\"restored\":false,"
		      "\"problems\":[]}]");
	t->registry.up = false;
	t->registry.published_ms = 0;
	strcpy(t->registry.last_error, "no such \"directory\"\n\xff");
	fl_problem_add(
		&t->registry.problems, (struct fl_place){ "/etc/web.yaml", 3, 5 }, "not a port");
	value = parse(fl_api_registries(&t->view, writer()));
	expect(value,
		"[{\"name\":\"files\",\"type\":\"file\",\"up\":false,\"age\":null,\"services\":0,"
		"\"endpoints\":0,\"held\":null,\"last_error\":\"no such "
		"\\\"directory\\\"\\n\xef\xbf\xbd\","
		"\"registered\":null,\"updates\":3,\"restored\":false,\"problems\":[\"/etc/"
		"web.yaml:3:5: not a "
		"port\"]}]");
	fl_problems_done(&t->registry.problems);
}

Test(control_api, a_registry_that_is_held_back)
{
	json_t *value;

	t->registry.published_ms = 0;
	t->registry.published = false;
	t->registry.restored = true;
	test_view_hold(t);
	value = parse(fl_api_registry(&t->view, "files", writer()));
	expect(value,
		"{\"name\":\"files\",\"type\":\"file\",\"up\":true,\"age\":null,\"services\":0,"
		"\"endpoints\":0,\"held\":{\"endpoints\":15,\"of\":20,\"services\":3,"
		"\"since\":\"2023-11-14T22:13:20Z\"},\"last_error\":null,\"registered\":null,"
		"\"updates\":3,"
		"\"restored\":true,\"problems\":[]}");
	cr_expect_eq(fl_api_registry(&t->view, "other", writer()), -ENOENT);
}

/* Whether a warning says this. */
static bool has_warning(json_t *status, const char *words)
{
	json_t *line;
	size_t i;

	json_array_foreach(json_object_get(status, "warnings"), i, line)
		if (strstr(json_string_value(line), words))
			return true;
	return false;
}

Test(control_api, status_warns_of_registries)
{
	json_t *value = parse(fl_api_status(&t->view, writer()));

	cr_expect_not(has_warning(value, "registry files"));
	t->registry.published = false;
	t->registry.restored = true;
	t->registry.published_ms = 1700000000000;
	json_decref(value);
	value = parse(fl_api_status(&t->view, writer()));
	cr_expect(has_warning(value,
		"registry files: has not answered since the agent started; what it "
		"declared at 2023-11-14T22:13:20Z is in force"));
	test_view_hold(t);
	json_decref(value);
	value = parse(fl_api_status(&t->view, writer()));
	cr_expect(has_warning(value,
		"registry files: an answer that would remove 15 of 20 endpoints is "
		"held back since 2023-11-14T22:13:20Z; if that is right: fairlead "
		"registry accept files"));
	json_decref(value);
}

Test(control_api, status)
{
	json_t *value;

	fl_problem_add(
		&t->conflicts, (struct fl_place){ "/etc/b.yaml", 1, 9 }, "\"web\" stands twice");
	strcpy(t->apply.last_error, "no room for a table");
	t->view.not_ready = "not yet";
	value = parse(fl_api_status(&t->view, writer()));
	cr_expect_str_eq(json_string_value(json_object_get(value, "version")), FL_VERSION);
	cr_expect_str_eq(json_string_value(json_object_get(value, "node")), "edge-1");
	cr_expect_str_eq(json_string_value(json_object_get(value, "not_ready")), "not yet");
	cr_expect_str_eq(
		json_string_value(json_object_get(value, "last_error")), "no room for a table");
	cr_expect(json_is_false(json_object_get(value, "ready")));
	cr_expect_eq(json_integer_value(json_object_get(value, "generation")), 7);
	cr_expect_geq(json_integer_value(json_object_get(value, "uptime")), 89);
	cr_expect_geq(age_of(json_object_get(value, "applied")), 29);
	cr_expect_eq(json_array_size(json_object_get(value, "interfaces")), 0);
	cr_expect_eq(json_array_size(json_object_get(value, "registries")), 1);
	cr_expect(has_warning(value, "no edge.interfaces"));
	cr_expect(has_warning(value, "no room for a table"));
	cr_expect_not(has_warning(value, "takes new flows"));
	expect(json_incref(json_object_get(value, "conflicts")),
		"[\"/etc/b.yaml:1:9: \\\"web\\\" stands twice\"]");
	expect(json_incref(json_object_get(value, "node_path")),
		"{\"enabled\":false,\"cgroup\":null,\"reason\":null,\"neighbours\":[]}");
	expect(json_incref(json_object_get(value, "limits")),
		"{\"services\":{\"used\":2,\"limit\":64},\"endpoints\":{\"used\":6,\"limit\":256},"
		"\"slots\":{\"used\":502,\"limit\":16064},\"flows\":{\"used\":4,\"limit\":1024}"
		"}");
	expect(json_incref(json_object_get(value, "slots")),
		"{\"settled\":499,\"moving\":2,\"held\":1,\"postponed\":3}");
	expect(json_incref(json_object_get(value, "pins")), "{\"refused\":12,\"pressure\":false}");
	cr_expect_not(has_warning(value, "can be remembered"));
	json_decref(value);
}

Test(control_api, status_tells_of_pressure)
{
	json_t *value;

	t->maps.pressure->failed = fl_clock_boot_s();
	value = parse(fl_api_status(&t->view, writer()));
	expect(json_incref(json_object_get(value, "pins")), "{\"refused\":12,\"pressure\":true}");
	cr_expect(has_warning(value, "more flows open in moving slots than can be remembered"));
	json_decref(value);
}

Test(control_api, status_without_maps)
{
	const struct fl_snapshot *applied = t->view.applied;
	json_t *value;

	t->view.maps = NULL;
	t->view.applied = NULL;
	value = parse(fl_api_status(&t->view, writer()));
	expect(json_incref(json_object_get(value, "slots")), "null");
	expect(json_incref(json_object_get(value, "pins")), "null");
	json_decref(value);
	t->view.applied = applied;
}

Test(control_api, status_tells_what_gets_no_traffic)
{
	json_t *value;

	for (size_t i = 0; i < 2; i++)
		t->view.applied->services[0]->endpoints[i].state = FL_MAINTENANCE;
	value = parse(fl_api_status(&t->view, writer()));
	cr_expect(has_warning(value, "service dns: no endpoint takes new flows"));
	cr_expect_not(has_warning(value, "service team/web"));
	json_decref(value);
}

Test(control_api, warnings_of_one_kind_are_counted_beyond_some)
{
	json_t *value;

	test_view_grow(t, 60, 1);
	for (size_t i = 0; i < 60; i++)
		t->view.applied->services[i]->endpoints[0].weight = 0;
	value = parse(fl_api_status(&t->view, writer()));
	cr_expect(has_warning(value, "and 40 more"));
	cr_expect_leq(json_array_size(json_object_get(value, "warnings")), 22);
	json_decref(value);
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "config/patch.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

TestSuite(config_patch);

static const char whole[] = "{ frontends: ['10.0.0.1:80/tcp'], forward: ipip, panic: 30, "
			    "check: { http: /a, interval: 5s }, "
			    "endpoints: [{ address: '192.0.2.1:80', weight: 2, zone: a }, "
			    "{ address: '192.0.2.2:80' }] }";

static struct fl_patch patch_of(const char *text)
{
	return (struct fl_patch){ text, text ? strlen(text) : 0, "local" };
}

static struct fl_service *begin(void)
{
	const struct fl_patch patch = patch_of(whole);
	struct fl_problems problems = { 0 };
	struct fl_service *service = NULL;

	cr_assert_eq(fl_service_patch(NULL, "web", &patch, &problems, &service), 0, "%s",
		problems.count ? problems.items[0].message : "");
	cr_assert_eq(problems.count, 0);
	fl_problems_done(&problems);
	return service;
}

static char *printed(const struct fl_service *service)
{
	char *text = NULL;
	size_t length = 0;
	FILE *out = open_memstream(&text, &length);

	cr_assert_eq(fl_service_print(service, out), 0);
	fclose(out);
	return text;
}

Test(config_patch, a_new_service_is_what_its_keys_say)
{
	struct fl_service *service = begin();

	cr_expect_str_eq(service->name, "web");
	cr_expect_str_eq(service->registry, "local");
	cr_expect_eq(service->forward, FL_IPIP);
	cr_expect_eq(service->endpoint_count, 2);
	cr_expect(service->varies, "it may be without endpoints");
	cr_expect_eq(service->line, 0, "there is no file to look into");
	fl_service_unref(service);
}

Test(config_patch, what_is_not_mentioned_stays)
{
	static const struct {
		const char *patch;
		const char *there;   /* stands in the printed service then */
		const char *missing; /* does not; NULL = no such thing */
	} rows[] = {
		{ "", "panic: 30", NULL },
		{ "null", "panic: 30", NULL },
		{ "# nothing\n", "panic: 30", NULL },
		{ "{}", "http: /a", NULL },
		{ "panic: 40", "panic: 40", "panic: 30" },
		{ "panic: 40", "forward: ipip", NULL },
		{ "panic: 40", "weight: 2", NULL },
		{ "panic: null", "forward: ipip", "panic" },
		{ "panic:\n", "forward: ipip", "panic" },
		{ "\"panic\": 41", "panic: 41", NULL },
		{ "{\"panic\": 41, \"forward\": \"nat\"}", "panic: 41", "ipip" },
		{ "slots: null", "panic: 30", NULL },
		/* mappings are merged */
		{ "check: { interval: 7s }", "interval: 7s", "interval: 5s" },
		{ "check: { interval: 7s }", "http: /a", NULL },
		{ "check: { interval: null }", "interval: 10s", "5s" },
		{ "check: { http: null, tcp: true }", "tcp: true", "http" },
		{ "check: null", "panic: 30", "check" },
		{ "slow_start: { window: 10s, aggression: null }", "window: 10s", NULL },
		/* lists are replaced */

		{ "frontends: ['10.0.0.2:80/tcp']", "10.0.0.2:80/tcp", "10.0.0.1" },
		{ "endpoints: []", "endpoints: []", "192.0.2.1" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct fl_patch patch = patch_of(rows[i].patch);
		struct fl_service *service = begin(), *changed = NULL;
		struct fl_problems problems = { 0 };
		char *text;

		cr_assert_eq(fl_service_patch(service, "web", &patch, &problems, &changed), 0,
			"%s: %s", rows[i].patch, problems.count ? problems.items[0].message : "");
		text = printed(changed);
		cr_expect(strstr(text, rows[i].there), "%s: %s in\n%s", rows[i].patch,
			rows[i].there, text);
		cr_expect(!rows[i].missing || !strstr(text, rows[i].missing), "%s: no %s in\n%s",
			rows[i].patch, rows[i].missing, text);
		free(text);
		fl_service_unref(changed);
		fl_service_unref(service);
		fl_problems_done(&problems);
	}
}

Test(config_patch, what_is_wrong_is_said_and_changes_nothing)
{
	static const struct {
		const char *patch, *words;
	} rows[] = {
		{ "panic: x", "services.panic: x is no integer" },
		{ "nonsense: 1", "services.nonsense: unknown key" },
		{ "check: { nonsense: 1 }", "services.check.nonsense: unknown key" },
		{ "check: { tcp: true }", "services.check" },
		{ "check: { http: null, exec: [/bin/true] }", "from which no command is run" },
		{ "frontends: null", "services.frontends: missing" },
		{ "frontends: []", "services.frontends" },
		{ "name: other", "services.name: is given beside the keys already" },
		{ "[a]", "does not fit, expected a mapping of keys and values" },
		{ "text", "text does not fit, expected a mapping of keys and values" },
		{ "a: [", "YAML: " },
		{ "a: 1\na: 2", "a: stands at 1:1 already" },
		{ "panic: &x 3", "YAML: an anchor" },
		{ "endpoints: [{ address: '192.0.2.1:80' }, { address: '192.0.2.1:80' }]",
			"192.0.2.1:80" },
		{ "forward: nat\n---\nforward: ipip", "YAML: a second document" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct fl_patch patch = patch_of(rows[i].patch);
		struct fl_service *service = begin(), *changed = NULL;
		struct fl_problems problems = { 0 };

		cr_expect_eq(fl_service_patch(service, "web", &patch, &problems, &changed), -EINVAL,
			"%s", rows[i].patch);
		cr_expect_null(changed);
		cr_assert_neq(problems.count, 0, "%s", rows[i].patch);
		cr_expect(strstr(problems.items[0].message, rows[i].words), "%s: %s", rows[i].patch,
			problems.items[0].message);
		fl_problems_done(&problems);
		fl_service_unref(service);
	}
}

Test(config_patch, a_name_that_is_none)
{
	static const char *const names[] = { "", "a b", "-a", "a\"b", "a: b", "a\nb" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const struct fl_patch patch = patch_of("frontends: ['10.0.0.1:80/tcp']");
		struct fl_problems problems = { 0 };
		struct fl_service *service = NULL;

		cr_expect_eq(fl_service_patch(NULL, names[i], &patch, &problems, &service), -EINVAL,
			"%s", names[i]);
		fl_problems_done(&problems);
	}
}

/* A name that a reader of YAML could take for something else is a name nevertheless. */
Test(config_patch, names_that_look_like_other_things)
{
	static const char *const names[] = { "null", "true", "1", "0x1f", "1.5", "no" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const struct fl_patch patch = patch_of("frontends: ['10.0.0.1:80/tcp']");
		struct fl_problems problems = { 0 };
		struct fl_service *service = NULL;

		cr_assert_eq(fl_service_patch(NULL, names[i], &patch, &problems, &service), 0, "%s",
			problems.count ? problems.items[0].message : "");
		cr_expect_str_eq(service->name, names[i]);
		fl_service_unref(service);
		fl_problems_done(&problems);
	}
}

/* ----------------------------------------------------------------- endpoints */

Test(config_patch, endpoints_come_change_and_go)
{
	struct fl_service *service = begin(), *more = NULL, *other = NULL, *fewer = NULL;
	struct fl_patch patch = patch_of("weight: 3\nzone: b\n");
	struct fl_problems problems = { 0 };

	cr_assert_eq(fl_endpoint_patch(service, "[2001:db8::1]:80", &patch, &problems, &more), 0);
	cr_expect_eq(more->endpoint_count, 3);
	cr_expect_eq(fl_service_endpoint_named(more, "[2001:db8::1]:80")->weight, 3);
	cr_expect_eq(fl_service_endpoint_named(more, "192.0.2.1:80")->weight, 2, "the others stay");

	patch = patch_of("{ zone: null, weight: 0 }");
	cr_assert_eq(fl_endpoint_patch(more, "192.0.2.1:80", &patch, &problems, &other), 0);
	cr_expect_eq(other->endpoint_count, 3);
	cr_expect_eq(fl_service_endpoint_named(other, "192.0.2.1:80")->weight, 0);
	cr_expect_null(fl_service_endpoint_named(other, "192.0.2.1:80")->zone);
	cr_expect_str_eq(fl_service_endpoint_named(other, "[2001:db8::1]:80")->zone, "b");

	cr_assert_eq(fl_endpoint_drop(other, "192.0.2.1:80", &patch, &problems, &fewer), 0);
	cr_expect_eq(fewer->endpoint_count, 2);
	cr_expect_null(fl_service_endpoint_named(fewer, "192.0.2.1:80"));
	cr_expect_not_null(fl_service_endpoint_named(fewer, "192.0.2.2:80"));
	cr_expect_eq(fewer->panic_percent, 30);

	cr_expect_eq(problems.count, 0);
	fl_service_unref(fewer);
	fl_service_unref(other);
	fl_service_unref(more);
	fl_service_unref(service);
	fl_problems_done(&problems);
}

Test(config_patch, an_endpoint_is_known_however_it_is_written)
{
	struct fl_service *service = begin(), *one = NULL, *two = NULL;
	struct fl_patch patch = patch_of(NULL);
	struct fl_problems problems = { 0 };

	cr_assert_eq(fl_endpoint_patch(service, "[2001:db8:0::1]:80", &patch, &problems, &one), 0);
	cr_assert_eq(fl_endpoint_patch(one, "[2001:DB8::0:1]:80", &patch, &problems, &two), 0);
	cr_expect_eq(two->endpoint_count, 3);
	fl_service_unref(two);
	cr_assert_eq(fl_endpoint_drop(one, "[2001:db8::1]:80", &patch, &problems, &two), 0);
	cr_expect_eq(two->endpoint_count, 2);
	fl_service_unref(two);
	fl_service_unref(one);
	fl_service_unref(service);
	fl_problems_done(&problems);
}

Test(config_patch, the_last_endpoint_may_go)
{
	const struct fl_patch patch = patch_of("frontends: ['10.0.0.1:80/tcp']");
	struct fl_service *service = NULL, *one = NULL, *none = NULL;
	const struct fl_patch nothing = patch_of(NULL);
	struct fl_problems problems = { 0 };

	cr_assert_eq(fl_service_patch(NULL, "a", &patch, &problems, &service), 0);
	cr_expect_eq(service->endpoint_count, 0);
	cr_assert_eq(fl_endpoint_patch(service, "192.0.2.1", &nothing, &problems, &one), 0);
	cr_expect_eq(one->endpoints[0].port, 0, "it takes the frontend's");
	cr_assert_eq(fl_endpoint_drop(one, "192.0.2.1", &nothing, &problems, &none), 0);
	cr_expect_eq(none->endpoint_count, 0);
	fl_service_unref(none);
	fl_service_unref(one);
	fl_service_unref(service);
	fl_problems_done(&problems);
}

Test(config_patch, an_endpoint_that_cannot_be)
{
	static const struct {
		const char *address, *patch, *words;
	} rows[] = {
		{ "192.0.2.3:80", "weight: 65536", "services.endpoints.weight: 65536" },
		{ "192.0.2.3:80", "nonsense: 1", "services.endpoints.nonsense: unknown key" },
		{ "192.0.2.3:80", "address: '192.0.2.1:80'", "192.0.2.1:80" },
		{ "192.0.2.3:80", "address:", "services.endpoints.address: missing" },
		{ "192.0.2.3:81", "weight: 1", "ipip" }, /* no other port than the frontend's */
		{ "224.0.0.1:80", "weight: 1", "is no address of one host" },
		{ "192.0.2.3:80", "[1]", "does not fit" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct fl_patch patch = patch_of(rows[i].patch);
		struct fl_service *service = begin(), *changed = NULL;
		struct fl_problems problems = { 0 };

		cr_expect_eq(
			fl_endpoint_patch(service, rows[i].address, &patch, &problems, &changed),
			-EINVAL, "%s", rows[i].patch);
		cr_assert_neq(problems.count, 0, "%s", rows[i].patch);
		cr_expect(strstr(problems.items[0].message, rows[i].words), "%s: %s", rows[i].patch,
			problems.items[0].message);
		fl_problems_done(&problems);
		fl_service_unref(service);
	}
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/text.h"
#include "model/service.h"
#include "registry/consul/kv.h"

#define PREFIX "fairlead/services"

/* Base64, as the tests need it: the other direction is what is tested. */
static void put_base64(struct fl_text *out, const char *text)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t length = strlen(text);

	for (size_t i = 0; i < length; i += 3) {
		uint32_t bits = 0;

		for (size_t j = 0; j < 3; j++)
			bits = bits << 8 | (i + j < length ? (unsigned char)text[i + j] : 0);
		for (size_t j = 0; j < 4; j++)
			fl_text_putc(out, i + j > length ? '=' : digits[bits >> (18 - 6 * j) & 63]);
	}
}

static int parse_raw(const char *text, size_t length, const fl_consul_definitions *known,
	fl_consul_definitions *ret, char why[256])
{
	char *body = malloc(length ? length : 1);
	int r;

	memcpy(body, text, length);
	strcpy(why, "");
	r = fl_consul_kv_parse(body, length, PREFIX, "consul", known, ret, why, 256);
	free(body);
	return r;
}

/* One key below the prefix, with this value. */
static void parse_one(const char *name, const char *value, const fl_consul_definitions *known,
	fl_consul_definitions *ret)
{
	struct fl_text text = { 0 };
	char why[256];

	fl_text_printf(&text,
		"[{\"LockIndex\":0,\"Key\":\"" PREFIX
		"/%s\",\"Flags\":18446744073709551615,\"Value\":\"",
		name);
	put_base64(&text, value);
	fl_text_puts(&text, "\",\"CreateIndex\":1,\"ModifyIndex\":2}]");
	cr_assert_eq(parse_raw(text.data, text.length, known, ret, why), 0, "%s", why);
	fl_text_done(&text);
}

#define FRONTENDS "frontends: ['10.0.0.1:80/tcp']\n"

static const struct {
	const char *name;
	const char *key, *value;
	bool has_endpoints;
	const char *problem; /* NULL = usable */
} values[] = {
	{ "no endpoints", "web", FRONTENDS, false, NULL },
	{ "an empty list of endpoints", "web", FRONTENDS "endpoints: []\n", true, NULL },
	{ "endpoints", "web", FRONTENDS "endpoints: [{address: 192.0.2.1}]\n", true, NULL },
	{ "JSON", "web", "{\"frontends\":[\"10.0.0.1:80/tcp\"],\"settle\":{\"tcp\":\"5m\"}}", false,
		NULL },
	{ "a name with folders", "shop/web", FRONTENDS, false, NULL },
	{ "both families, and no endpoints yet", "web",
		"frontends: ['10.0.0.1:80/tcp', '[2001:db8::1]:80/tcp']\n", false, NULL },
	{ "nothing", "web", "", false,
		"consul KV fairlead/services/web:1:1: is empty, expected the mapping" },
	{ "no YAML", "web", "frontends: [", false, "consul KV fairlead/services/web:2:1: YAML" },
	{ "no frontends", "web", "forward: nat\n", false,
		"consul KV fairlead/services/web:1:1: services.frontends: missing" },
	{ "a wrong word", "web", FRONTENDS "forward: teleport\n", false,
		"consul KV fairlead/services/web:2:10: services.forward: teleport is none of" },
	{ "a frontend twice", "web", "frontends: ['10.0.0.1:80/tcp', '10.0.0.1:80/tcp']\n", false,
		"consul KV fairlead/services/web:1:32: services.frontends: 10.0.0.1:80/tcp "
		"stands" },
	{ "a bad endpoint", "web", FRONTENDS "endpoints: [{address: x}]\n", false,
		"consul KV fairlead/services/web:2:23: services.endpoints.address: x is no" },
	{ "a name that is none", "-web", FRONTENDS, false,
		"consul KV fairlead/services/-web:1:1: services.name: -web is no name" },
	{ "a key twice in the text", "web", FRONTENDS FRONTENDS, false,
		"consul KV fairlead/services/web:2:1: frontends: stands at 1:1 already" },
};

Test(consul_kv, what_a_value_says)
{
	static const fl_consul_definitions none;

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		fl_consul_definitions found;
		struct fl_consul_definition *d;
		char line[512] = "";

		parse_one(values[i].key, values[i].value, &none, &found);
		cr_assert_eq(found.count, 1, "%s", values[i].name);
		d = &found.items[0];
		cr_expect_str_eq(d->name, values[i].key);
		cr_expect_eq(d->usable, !values[i].problem, "%s", values[i].name);
		if (d->problems.count)
			fl_problem_format(&d->problems.items[0], line, sizeof(line));
		if (values[i].problem)
			cr_expect_eq(strncmp(line, values[i].problem, strlen(values[i].problem)), 0,
				"%s: '%s'", values[i].name, line);
		if (d->usable) {
			struct fl_problems problems = { 0 };
			struct fl_service *service = NULL;
			bool has_endpoints;

			cr_expect_eq(
				d->has_endpoints, values[i].has_endpoints, "%s", values[i].name);
			cr_assert_eq(fl_consul_definition_begin(d, PREFIX, "consul", &problems,
					     &service, &has_endpoints),
				0, "%s", values[i].name);
			cr_expect_str_eq(service->name, values[i].key);
			cr_expect_eq(problems.count, 0);
			fl_service_unref(service);
		}
		fl_consul_definitions_done(&found);
	}
}

Test(consul_kv, what_is_the_same_is_not_tried_again)
{
	static const fl_consul_definitions none;
	fl_consul_definitions first, second, third;

	parse_one("web", "forward: nat\n", &none, &first);
	cr_assert_not(first.items[0].usable);
	/* A mark that a second try would not make: */
	first.items[0].problems.items[0].line = 77;
	parse_one("web", "forward: nat\n", &first, &second);
	cr_expect_eq(second.items[0].problems.items[0].line, 77);
	parse_one("web", "forward: nat \n", &first, &third);
	cr_expect_eq(third.items[0].problems.items[0].line, 1);
	fl_consul_definitions_done(&first);
	fl_consul_definitions_done(&second);
	fl_consul_definitions_done(&third);
}

static const struct {
	const char *name;
	const char *answer;
	const char *found; /* names; NULL = refused */
	const char *why;   /* or the first problem */
} answers[] = {
	{ "nothing", "[]", "", NULL },
	{ "folders, and keys of somebody else",
		"[{\"Key\":\"fairlead/services/\",\"Value\":null},{\"Key\":\"fairlead/services/a/"
		"\"},"
		"{\"Key\":\"fairlead/servicesx/b\"},{\"Key\":\"other\"}]",
		"", NULL },
	{ "a value that is null", "[{\"Key\":\"fairlead/services/a\",\"Value\":null}]", "a ",
		"consul KV fairlead/services/a:1:1: is empty" },
	{ "no base64", "[{\"Key\":\"fairlead/services/a\",\"Value\":\"?\"}]", "a ",
		"consul KV fairlead/services/a: is no base64" },
	{ "sorted", "[{\"Key\":\"fairlead/services/b\"},{\"Key\":\"fairlead/services/a\"}]", "a b ",
		"consul KV fairlead/services/a:1:1: is empty" },
	{ "an object", "{}", NULL, "no list where one must be, at byte 0" },
	{ "cut off", "[{\"Key\":\"fairlead/services/a\"}", NULL, "ends in the middle" },
	{ "an entry that is none", "[1]", NULL, "an entry is no object" },
	{ "an entry without a key", "[{\"Value\":\"\"}]", NULL, "an entry without a key" },
	{ "a key that is a number", "[{\"Key\":1}]", NULL, "an entry without a key" },
	{ "a value that is a number", "[{\"Key\":\"x\",\"Value\":1}]", NULL, "a value is no text" },
	{ "a key twice", "[{\"Key\":\"x\",\"Key\":\"y\"}]", NULL, "a key stands twice" },
	{ "a definition twice",
		"[{\"Key\":\"fairlead/services/a\"},{\"Key\":\"fairlead/services/a\"}]", NULL,
		"a definition stands twice" },
};

Test(consul_kv, what_an_answer_says)
{
	static const fl_consul_definitions none;

	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		const char *text = answers[i].answer;
		fl_consul_definitions found;
		char names[256] = "", line[512] = "";
		int r = parse_raw(text, strlen(text), &none, &found, line);

		cr_expect_eq(r, answers[i].found ? 0 : -EBADMSG, "%s: %s", answers[i].name, line);
		for (size_t j = 0; j < found.count; j++)
			strcat(strcat(names, found.items[j].name), " ");
		cr_expect_str_eq(names, answers[i].found ? answers[i].found : "", "%s: '%s'",
			answers[i].name, names);
		if (found.count && found.items[0].problems.count)
			fl_problem_format(&found.items[0].problems.items[0], line, sizeof(line));
		cr_expect(answers[i].why ? strstr(line, answers[i].why) == line : !*line, "%s: %s",
			answers[i].name, line);
		fl_consul_definitions_done(&found);
	}
}

Test(consul_kv, a_value_has_a_limit)
{
	static const fl_consul_definitions none;
	char *value = malloc(FL_CONSUL_VALUE_MAX + 16);

	for (size_t more = 0; more <= 3; more += 3) {
		fl_consul_definitions found;

		memset(value, '#', FL_CONSUL_VALUE_MAX + more);
		value[FL_CONSUL_VALUE_MAX + more] = '\0';
		parse_one("web", value, &none, &found);
		cr_expect_eq(found.items[0].text != NULL, more == 0);
		cr_expect_not(found.items[0].usable);
		fl_consul_definitions_done(&found);
	}
	free(value);
}

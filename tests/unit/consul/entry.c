/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/services.h"
#include "registry/consul/entry.h"

/* A story is a list of steps: what is learned of the service web, and what it then is:
 * "FRONTENDS > ENDPOINTS", "none", and "(as before)" when it stays the same object. */
struct step {
	enum { END = 0, ANSWER, DEFINE, UNDEFINE, TROUBLE } what;
	const char *text; /* "frontends|instances" of an answer; a definition; a message */
	const char *service;
	const char *problem; /* what is told; NULL = nothing */
};

struct story {
	const char *name;
	const char *before; /* YAML of what was last published; NULL = nothing */
	struct step steps[6];
};

#define F1  "10.0.0.1:80/tcp"
#define F2  "10.0.0.2:80/tcp"
#define KV1 "frontends: [\"" F2 "\"]\n"
#define KV2 "frontends: [\"" F2 "\"]\nendpoints: [{address: \"192.0.2.9:80\"}]\n"
#define BAD "frontends: x\n"

static struct story stories[] = {
	{ "instances define it, and it goes with them", NULL,
		{ { ANSWER, F1 "|1 2", F1 " > 1 2", NULL },
			{ ANSWER, F1 "|1 2", "(as before)", NULL },
			{ ANSWER, F1 "|2", F1 " > 2", NULL }, { ANSWER, "|", "none", NULL } } },
	{ "nobody defines it", NULL,
		{ { ANSWER, "|1 2", "none", NULL }, { ANSWER, "|1", "none", NULL } } },
	{ "frontends with an error keep what they were, and endpoints follow", NULL,
		{ { ANSWER, F1 "|1", F1 " > 1", NULL },
			{ ANSWER, "10.0.0.1|1 2", F1 " > 1 2",
				"services.frontends: 10.0.0.1 has no protocol" },
			{ ANSWER, F2 "|1 2", F2 " > 1 2", NULL } } },
	{ "frontends with an error, and nothing before", NULL,
		{ { ANSWER, "10.0.0.1|1", "none", "10.0.0.1 has no protocol" } } },
	{ "frontends with an error, and an earlier agent knew better",
		"services: [{name: web, frontends: [\"" F1 "\"], endpoints: [{address: "
		"\"192.0.2.1:80\"}]}]\n",
		{ { ANSWER, "10.0.0.1|1 2", F1 " > 1", "10.0.0.1 has no protocol" },
			{ ANSWER, F2 "|1 2", F2 " > 1 2", NULL } } },
	{ "the store beats instances, and they are back when it is gone", NULL,
		{ { ANSWER, F1 "|1", F1 " > 1", NULL }, { DEFINE, KV1, F2 " > 1", NULL },
			{ ANSWER, F1 "|1 2", F2 " > 1 2", NULL },
			{ UNDEFINE, NULL, F1 " > 1 2", NULL } } },
	{ "the store with endpoints does not ask for instances", NULL,
		{ { DEFINE, KV2, F2 " > 9", NULL }, { ANSWER, F1 "|1", "(as before)", NULL },
			{ DEFINE, KV1, F2 " > 1", NULL } } },
	{ "the store waits for the first answer", NULL,
		{ { DEFINE, KV1, "none", NULL }, { ANSWER, "|1", F2 " > 1", NULL },
			{ ANSWER, "|", F2 " > ", "has none" } } },
	{ "an error in the store keeps what it was, and endpoints follow", NULL,
		{ { ANSWER, F1 "|1", F1 " > 1", NULL }, { DEFINE, KV1, F2 " > 1", NULL },
			{ DEFINE, BAD, "(as before)",
				"consul KV p/web:1:12: services.frontends: x is no list" },
			{ ANSWER, F1 "|1 2", F2 " > 1 2", "x is no list" },
			{ DEFINE, KV2, F2 " > 9", NULL } } },
	{ "an error in the store from the start leaves it to instances", NULL,
		{ { DEFINE, BAD, "none", "x is no list" },
			{ ANSWER, F1 "|1", F1 " > 1", "x is no list" },
			{ ANSWER, F1 "|2", F1 " > 2", "x is no list" } } },
	{ "an error in the store, and an earlier agent knew better",
		"services: [{name: web, frontends: [\"" F1 "\"], endpoints: [{address: "
		"\"192.0.2.1:80\"}]}]\n",
		{ { DEFINE, BAD, F1 " > 1", "x is no list" },
			{ ANSWER, "|2", "(as before)", "x is no list" },
			{ DEFINE, KV1, F2 " > 2", NULL } } },
	{ "a service that cannot be asked stays", NULL,
		{ { ANSWER, F1 "|1", F1 " > 1", NULL },
			{ TROUBLE, "500 oops", "(as before)", "500 oops; it stays as it was" },
			{ TROUBLE, NULL, "(as before)", NULL } } },
	{ "one that could not be asked yet is what it was",
		"services: [{name: web, frontends: [\"" F1 "\"], endpoints: [{address: "
		"\"192.0.2.1:80\"}]}]\n",
		{ { TROUBLE, "500 oops", F1 " > 1", "500 oops" } } },
};

static void put_answer(struct fl_text *json, const char *text)
{
	const char *bar = strchr(text, '|');
	char *copy = strdup(bar + 1);
	char *rest;
	size_t count = 0;

	fl_text_putc(json, '[');
	for (char *word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
		fl_text_printf(json,
			"%s{\"Node\":{\"Node\":\"n\"},\"Service\":{\"ID\":\"%s\",\"Address\":"
			"\"192.0.2.%s\",\"Port\":80",
			count++ ? "," : "", word, word);
		if (bar > text)
			fl_text_printf(json, ",\"Meta\":{\"fairlead-frontends\":\"%.*s\"}",
				(int)(bar - text), text);
		fl_text_puts(json, "}}");
	}
	fl_text_putc(json, ']');
	free(copy);
}

static void learn_answer(struct fl_consul_entry *entry, const char *text)
{
	struct fl_consul_health health;
	struct fl_text json = { 0 };
	char why[160] = "";

	put_answer(&json, text);
	cr_assert_eq(fl_consul_health_parse(
			     json.data, json.length, entry->file, NULL, &health, why, sizeof(why)),
		0, "%s", why);
	fl_consul_entry_answer(entry, &health);
	fl_text_done(&json);
}

/* As the store has it: tried by the schema. */
static void learn_definition(fl_consul_definitions *definitions, const char *text)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	static const fl_consul_definitions none;
	size_t length = strlen(text);
	struct fl_text json = { 0 };
	char why[160] = "";

	fl_text_puts(&json, "[{\"Key\":\"p/web\",\"Value\":\"");
	for (size_t i = 0; i < length; i += 3) {
		uint32_t bits = 0;

		for (size_t j = 0; j < 3; j++)
			bits = bits << 8 | (i + j < length ? (unsigned char)text[i + j] : 0);
		for (size_t j = 0; j < 4; j++)
			fl_text_putc(
				&json, i + j > length ? '=' : digits[bits >> (18 - 6 * j) & 63]);
	}
	fl_text_puts(&json, "\"}]");
	fl_consul_definitions_done(definitions);
	cr_assert_eq(fl_consul_kv_parse(json.data, json.length, "p", "consul", &none, definitions,
			     why, sizeof(why)),
		0, "%s", why);
	fl_text_done(&json);
}

static struct fl_service *find_before(void *of, const char *name)
{
	fl_service_vec *services = of;

	cr_expect_str_eq(name, "web");
	return services->count ? services->items[0] : NULL;
}

/* "FRONTENDS > last bytes of the endpoints' addresses" */
static void describe(const struct fl_service *service, char *buffer, size_t size)
{
	FILE *out = fmemopen(buffer, size, "w");

	if (!service)
		fputs("none", out);
	for (size_t i = 0; service && i < service->frontend_count; i++) {
		char text[FL_SOCKET_TEXT];

		fprintf(out, "%s%s", i ? " " : "",
			fl_frontend_format(&service->frontends[i], text));
	}
	if (service)
		fputs(" > ", out);
	for (size_t i = 0; service && i < service->endpoint_count; i++)
		fprintf(out, "%s%u", i ? " " : "",
			((const uint8_t *)fl_ip_bytes(&service->endpoints[i].addr))[3]);
	fclose(out);
}

static void take_step(
	struct fl_consul_entry *entry, fl_consul_definitions *definitions, const struct step *step)
{
	switch (step->what) {
	case ANSWER:
		learn_answer(entry, step->text);
		break;
	case DEFINE:
		learn_definition(definitions, step->text);
		break;
	case UNDEFINE:
		fl_consul_definitions_done(definitions);
		break;
	default:
		free(entry->trouble);
		entry->trouble = step->text ? strdup(step->text) : NULL;
	}
}

static bool is_told(const struct fl_problems *problems, const char *wanted)
{
	for (size_t i = 0; i < problems->count; i++) {
		char line[512];

		if (strstr(fl_problem_format(&problems->items[i], line, sizeof(line)), wanted))
			return true;
	}
	return false;
}

static void tell_story(const struct story *story)
{
	fl_service_vec before = { 0 };
	fl_consul_definitions definitions = { 0 };
	struct fl_consul_context context = { "consul", "p", &definitions, find_before, &before };
	struct fl_problems problems = { 0 };
	struct fl_consul_entry entry;

	if (story->before)
		cr_assert_eq(fl_services_parse(story->before, strlen(story->before), "b", "consul",
				     &problems, &before),
			0, "%s", story->name);
	cr_assert_eq(fl_consul_entry_init(&entry, "web"), 0);
	for (const struct step *step = story->steps; step->what; step++) {
		const struct fl_service *last = entry.service;
		int number = (int)(step - story->steps) + 1;
		char found[256];
		bool news, changed;

		take_step(&entry, &definitions, step);
		changed = fl_consul_entry_build(&entry, &context, &news);
		describe(entry.service, found, sizeof(found));
		if (strcmp(step->service, "(as before)") == 0)
			cr_expect_eq(entry.service, last, "%s, %d: it is another: %s", story->name,
				number, found);
		else
			cr_expect_str_eq(
				found, step->service, "%s, %d: %s", story->name, number, found);
		cr_expect_eq(changed, entry.service != last || news, "%s, %d", story->name, number);
		if (step->problem)
			cr_expect(is_told(&entry.problems, step->problem), "%s, %d", story->name,
				number);
		else
			cr_expect_eq(entry.problems.count, 0, "%s, %d: %s", story->name, number,
				entry.problems.count ? entry.problems.items[0].message : "");
	}
	fl_consul_entry_done(&entry);
	fl_consul_definitions_done(&definitions);
	fl_services_done(&before);
	fl_problems_done(&problems);
}

Test(consul_entry, what_is_known_of_a_service_makes_it)
{
	for (size_t i = 0; i < sizeof(stories) / sizeof(stories[0]); i++)
		tell_story(&stories[i]);
}

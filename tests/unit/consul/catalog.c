/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "registry/consul/catalog.h"

static char lb[] = "lb", v2[] = "v2";
static char *tags[] = { lb, v2 };
static char web[] = "web*", one[] = "web-?";

static const struct {
	const char *name;
	const char *answer;
	struct fl_consul_config config;
	const char *names; /* NULL = refused */
	const char *why;
} rows[] = {
	{ "nothing", "{}", {}, "", NULL },
	{ "all, sorted", "{\"web\":[\"v1\"],\"consul\":[],\"api\":null}", {}, "api consul web ",
		NULL },
	{ "by tag", "{\"a\":[\"lb\"],\"b\":[\"x\",\"v2\"],\"c\":[\"v1\"],\"d\":[],\"e\":null}",
		{ .tags = tags, .tag_count = 2 }, "a b ", NULL },
	{ "by pattern", "{\"web\":[],\"web-1\":[],\"api\":[]}", { .pattern = web }, "web web-1 ",
		NULL },
	{ "by another pattern", "{\"web\":[],\"web-1\":[],\"web-12\":[]}", { .pattern = one },
		"web-1 ", NULL },
	{ "by both", "{\"web\":[\"lb\"],\"web-1\":[],\"api\":[\"lb\"]}",
		{ .tags = tags, .tag_count = 1, .pattern = web }, "web ", NULL },
	{ "tags of other types", "{\"a\":[1,{},\"lb\"],\"b\":\"lb\",\"c\":{\"lb\":1}}",
		{ .tags = tags, .tag_count = 1 }, "a ", NULL },
	{ "a name that is empty", "{\"\":[],\"a\":[]}", {}, "a ", NULL },
	{ "a list", "[]", {}, NULL, "no object where one must be, at byte 0" },
	{ "nothing at all", "", {}, NULL, "ends in the middle, at byte 0" },
	{ "cut off", "{\"a\":[],\"b\":[]", {}, NULL, "ends in the middle, at byte 14" },
	{ "a service twice", "{\"a\":[],\"b\":[],\"a\":[]}", {}, NULL, "a key stands twice" },
};

static int parse(const char *text, const struct fl_consul_config *config, fl_consul_names *ret,
	char why[256])
{
	size_t length = strlen(text);
	char *body = malloc(length + 1);
	int r;

	memcpy(body, text, length);
	strcpy(why, "");
	r = fl_consul_catalog_parse(body, length, config, ret, why, 256);
	free(body);
	return r;
}

Test(consul_catalog, which_services_are_read)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		fl_consul_names names;
		char found[256] = "", why[256];
		int r = parse(rows[i].answer, &rows[i].config, &names, why);

		if (!rows[i].names) {
			cr_expect_eq(r, -EBADMSG, "%s", rows[i].name);
			cr_expect_eq(strncmp(why, rows[i].why, strlen(rows[i].why)), 0, "%s: %s",
				rows[i].name, why);
			cr_expect_eq(names.count, 0);
			continue;
		}
		cr_expect_eq(r, 0, "%s: %s", rows[i].name, why);
		for (size_t j = 0; j < names.count; j++) {
			strcat(strcat(found, names.items[j]), " ");
			cr_expect(fl_consul_names_has(&names, names.items[j]));
		}
		cr_expect_str_eq(found, rows[i].names, "%s: '%s'", rows[i].name, found);
		cr_expect_not(fl_consul_names_has(&names, "nobody"));
		fl_consul_names_done(&names);
	}
}

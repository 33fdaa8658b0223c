/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Plans: which steps lead from one snapshot to the next, and in which order.
 */
#include "model/plan.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/declared.h"

#define TEXT_MAX 1024

static void print_step(FILE *out, const struct fl_step *step)
{
	static const char *const verbs[FL_STEP_KINDS] = { "endpoint", "table", "pool", "service",
		"frontend", "-frontend", "-table", "-service", "state", "-endpoint" };
	char text[FL_SOCKET_TEXT];

	fprintf(out, " %s %s", verbs[step->kind], step->service->name);
	if (step->endpoint)
		fprintf(out, "/%s", fl_ip_format(&step->endpoint->addr, text));
	if (step->kind == FL_STEP_ENDPOINT_STATE)
		fprintf(out, "/%s", fl_state_name(fl_endpoint_flow_state(step->endpoint)));
	if (step->frontend)
		fprintf(out, "/%s", fl_frontend_format(step->frontend, text));
	if (step->kind == FL_STEP_TABLE || step->kind == FL_STEP_TABLE_GONE ||
		step->kind == FL_STEP_POOL)
		fputs(step->family == FL_IPV4 ? "/4" : "/6", out);
	fputc(',', out);
}

static void print_plan(const struct fl_plan *plan, char text[TEXT_MAX])
{
	FILE *out = fmemopen(text, TEXT_MAX, "w");

	fputc(' ', out);
	for (size_t i = 0; i < plan->count; i++)
		print_step(out, &plan->steps[i]);
	fclose(out);
	text[strcspn(text, "\n")] = '\0';
	if (plan->count)
		text[strlen(text) - 1] = '\0'; /* the last comma */
}

/* ------------------------------------------------------------------------- rows */

#define WEB "web 10.0.0.1:80/tcp = 192.0.2.1 192.0.2.2"

static const struct {
	const char *name, *before, *after, *steps; /* before: NULL = nothing is known */
} rows[] = {
	{ "what is used exists before", NULL, WEB,
		"endpoint web/192.0.2.1, endpoint web/192.0.2.2, table web/4, pool web/4, service "
		"web, "
		"frontend web/10.0.0.1:80/tcp" },
	{ "an empty snapshot says that nothing was", "", WEB,
		"endpoint web/192.0.2.1, endpoint web/192.0.2.2, table web/4, pool web/4, service "
		"web, "
		"frontend web/10.0.0.1:80/tcp" },
	{ "what goes is not used any more before", WEB, "",
		"-frontend web/10.0.0.1:80/tcp, -service web, -endpoint web/192.0.2.1, "
		"-endpoint web/192.0.2.2" },
	{ "nothing for an unchanged service", WEB, WEB, "" },
	{ "nothing from nothing", NULL, "", "" },
	{ "a new endpoint", WEB, "web 10.0.0.1:80/tcp = 192.0.2.1 192.0.2.2 192.0.2.3",
		"endpoint web/192.0.2.3, table web/4, pool web/4" },
	{ "an endpoint that leaves", WEB, "web 10.0.0.1:80/tcp = 192.0.2.2",
		"table web/4, pool web/4, -endpoint web/192.0.2.1" },
	{ "one for the other", WEB, "web 10.0.0.1:80/tcp = 192.0.2.2 192.0.2.9",
		"endpoint web/192.0.2.9, table web/4, pool web/4, -endpoint web/192.0.2.1" },
	{ "another weight", WEB, "web 10.0.0.1:80/tcp = 192.0.2.1 192.0.2.2*5",
		"table web/4, pool web/4" },
	{ "slots before the state", WEB, "web 10.0.0.1:80/tcp = 192.0.2.1 192.0.2.2/draining",
		"table web/4, pool web/4, state web/192.0.2.2/draining" },
	{ "without a weight it takes old flows only", WEB,
		"web 10.0.0.1:80/tcp = 192.0.2.1 192.0.2.2*0",
		"table web/4, pool web/4, state web/192.0.2.2/draining" },
	{ "a weight again", "web 10.0.0.1:80/tcp = 192.0.2.1 192.0.2.2*0", WEB,
		"endpoint web/192.0.2.2, table web/4, pool web/4" },
	{ "the state before slots", "web 10.0.0.1:80/tcp = 192.0.2.1 192.0.2.2/down", WEB,
		"endpoint web/192.0.2.2, table web/4, pool web/4" },
	{ "from one state without new flows to another",
		"web 10.0.0.1:80/tcp = 192.0.2.1 192.0.2.2/draining",
		"web 10.0.0.1:80/tcp = 192.0.2.1 192.0.2.2/maintenance",
		"table web/4, pool web/4, state web/192.0.2.2/maintenance" },
	{ "new and down", WEB, "web 10.0.0.1:80/tcp = 192.0.2.1 192.0.2.2 192.0.2.3/down",
		"endpoint web/192.0.2.3, table web/4, pool web/4, state web/192.0.2.3/down" },
	{ "another frontend", WEB, "web 10.0.0.1:80/tcp 10.0.0.1:443/tcp = 192.0.2.1 192.0.2.2",
		"frontend web/10.0.0.1:443/tcp" },
	{ "one frontend less", "web 10.0.0.1:80/tcp 10.0.0.1:443/tcp = 192.0.2.1 192.0.2.2", WEB,
		"-frontend web/10.0.0.1:443/tcp" },
	{ "a frontend of another family", WEB,
		"web 10.0.0.1:80/tcp [2001:db8::1]:80/tcp = 192.0.2.1 192.0.2.2 2001:db8::2",
		"endpoint web/2001:db8::2, table web/6, pool web/6, frontend "
		"web/[2001:db8::1]:80/tcp" },
	{ "the last frontend of a family",
		"web 10.0.0.1:80/tcp [2001:db8::1]:80/tcp = 192.0.2.1 192.0.2.2 2001:db8::2", WEB,
		"-frontend web/[2001:db8::1]:80/tcp, -table web/6, -endpoint web/2001:db8::2" },
	{ "a frontend that changes hands is taken over, not removed",
		WEB "; api 10.0.0.2:80/tcp = 192.0.2.7",
		WEB "; api 10.0.0.3:80/tcp = 192.0.2.7; new 10.0.0.2:80/tcp = 192.0.2.8",
		"endpoint new/192.0.2.8, table new/4, pool new/4, service new, frontend "
		"api/10.0.0.3:80/tcp, "
		"frontend new/10.0.0.2:80/tcp" },
	{ "a service by another name", WEB, "www 10.0.0.1:80/tcp = 192.0.2.1 192.0.2.2",
		"endpoint www/192.0.2.1, endpoint www/192.0.2.2, table www/4, pool www/4, service "
		"www, "
		"frontend www/10.0.0.1:80/tcp, -service web, -endpoint web/192.0.2.1, "
		"-endpoint web/192.0.2.2" },
	{ "another policy is the row's", WEB, "web+move 10.0.0.1:80/tcp = 192.0.2.1 192.0.2.2",
		"service web" },
	{ "another mode is the table's too: nat's slots are settled", WEB,
		"web+ipip 10.0.0.1:80/tcp = 192.0.2.1 192.0.2.2", "table web/4, service web" },
	{ "another size", WEB, "web+slots 10.0.0.1:80/tcp = 192.0.2.1 192.0.2.2", "table web/4" },
	{ "another panic", WEB, "web+panic 10.0.0.1:80/tcp = 192.0.2.1 192.0.2.2",
		"table web/4, pool web/4" },
	{ "a zone matters to nobody", WEB, "web+zone 10.0.0.1:80/tcp = 192.0.2.1 192.0.2.2", "" },
	{ "but where the near are preferred", "web+near 10.0.0.1:80/tcp = 192.0.2.1 192.0.2.2",
		"web+near,zone 10.0.0.1:80/tcp = 192.0.2.1 192.0.2.2", "pool web/4" },
	{ "another way to choose", WEB, "web+p2c 10.0.0.1:80/tcp = 192.0.2.1 192.0.2.2",
		"pool web/4" },
	{ "steps of all services, kind by kind",
		"a 10.0.0.1:80/tcp = 192.0.2.1; b 10.0.0.2:80/tcp = 192.0.2.2",
		"b 10.0.0.2:80/tcp = 192.0.2.3; c 10.0.0.3:80/tcp = 192.0.2.4",
		"endpoint b/192.0.2.3, endpoint c/192.0.2.4, table b/4, table c/4, pool b/4, pool "
		"c/4, service c, "
		"frontend c/10.0.0.3:80/tcp, -frontend a/10.0.0.1:80/tcp, -service a, "
		"-endpoint a/192.0.2.1, -endpoint b/192.0.2.2" },
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

Test(model_plan, steps)
{
	for (size_t i = 0; i < ROWS; i++) {
		struct fl_snapshot *before =
			rows[i].before ? test_snapshot_parse(rows[i].before) : NULL;
		struct fl_snapshot *after = test_snapshot_parse(rows[i].after);
		struct fl_plan plan = { 0 };
		char text[TEXT_MAX];

		cr_assert_eq(fl_plan_diff(before, after, &plan), 0);
		print_plan(&plan, text);
		cr_expect_str_eq(
			text + strspn(text, " "), rows[i].steps, "%s: %s", rows[i].name, text);
		fl_plan_done(&plan);
		fl_snapshot_unref(before);
		fl_snapshot_unref(after);
	}
}

Test(model_plan, a_service_that_both_share_is_not_looked_into)
{
	struct fl_service *web = test_service("web", "10.0.0.1:80/tcp", "192.0.2.1");
	struct fl_service *first[] = { fl_service_ref(web) };
	struct fl_service *second[] = { fl_service_ref(web),
		test_service("api", "10.0.0.2:80/tcp", "192.0.2.7") };
	struct fl_snapshot *before = test_snapshot(1, first, 1);
	struct fl_snapshot *after = test_snapshot(2, second, 2);
	struct fl_plan plan = { 0 };

	cr_assert_eq(fl_plan_diff(before, after, &plan), 0);
	cr_expect_eq(plan.count, 5);
	for (size_t i = 0; i < plan.count; i++)
		cr_expect_str_eq(plan.steps[i].service->name, "api");
	fl_plan_done(&plan);
	fl_snapshot_unref(before);
	fl_snapshot_unref(after);
	fl_service_unref(web);
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Plans carried out: from every snapshot to every other, in a world that knows no
 * more than the steps tell it. Nothing may be used before it exists or go while it
 * is used, and the world is in the end what it would be had it begun there.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "lib/declared.h"
#include "model/plan.h"

#define LINES_MAX 64

/** What is in place, as one line of text for each thing: "KEY|VALUE". */
struct world {
	char lines[LINES_MAX][192];
	size_t count;
};

static char *find(struct world *w, const char *key)
{
	size_t length = strlen(key);

	for (size_t i = 0; i < w->count; i++) {
		if (strncmp(w->lines[i], key, length) == 0 && w->lines[i][length] == '|')
			return w->lines[i];
	}
	return NULL;
}

/** @param value  NULL = the thing goes */
static void put(struct world *w, const char *key, const char *value)
{
	char *line = find(w, key);

	if (!value && line)
		memcpy(line, w->lines[--w->count], sizeof(w->lines[0]));
	if (!value)
		return;
	if (!line) {
		cr_assert_lt(w->count, LINES_MAX);
		line = w->lines[w->count++];
	}
	snprintf(line, sizeof(w->lines[0]), "%s|%s", key, value);
}

static void endpoint_key(const struct fl_step *step, char key[96])
{
	char text[FL_IP_TEXT];

	snprintf(key, 96, "endpoint %s/%s", step->service->name,
		fl_ip_format(&step->endpoint->addr, text));
}

/** Whether a table or a pool has it. */
static bool is_in_table(struct world *w, const char *endpoint)
{
	char word[112];

	snprintf(word, sizeof(word), " %s*", endpoint + strlen("endpoint "));
	for (size_t i = 0; i < w->count; i++) {
		if ((strncmp(w->lines[i], "table", 5) == 0 ||
			    strncmp(w->lines[i], "pool", 4) == 0) &&
			strstr(w->lines[i], word))
			return true;
	}
	return false;
}

/** The endpoints of a table or a pool; each has to be up. */
static void fill(struct world *w, const struct fl_step *step, unsigned size, char value[128])
{
	int length = snprintf(value, 128, "%u", size);

	for (size_t i = 0; i < step->service->endpoint_count; i++) {
		struct fl_step one = { .service = step->service,
			.endpoint = &step->service->endpoints[i] };
		char key[96], *line;

		if (!fl_endpoint_takes_flows(one.endpoint) ||
			!fl_service_uses(step->service, step->family, one.endpoint))
			continue;
		endpoint_key(&one, key);
		line = find(w, key);
		cr_assert(line && strstr(line, "|up"), "%s gets slots, and is not up", key);
		length += snprintf(value + length, 128 - length, " %s*%u",
			key + strlen("endpoint "), one.endpoint->weight);
	}
}

static void carry_out_endpoint(struct world *w, const struct fl_step *step)
{
	const char *state = fl_state_name(step->endpoint->state);
	char key[96];

	endpoint_key(step, key);
	if (step->kind == FL_STEP_ENDPOINT) {
		/* A new one that is not up is made at rest. */
		if (step->endpoint->state == FL_UP || !find(w, key))
			put(w, key, state);
		return;
	}
	cr_assert(!is_in_table(w, key), "%s leaves, and has slots", key);
	put(w, key, step->kind == FL_STEP_ENDPOINT_STATE ? state : NULL);
}

static void carry_out_frontend(struct world *w, const struct fl_step *step)
{
	char text[FL_SOCKET_TEXT], key[128], service[96];

	snprintf(key, sizeof(key), "frontend %s", fl_frontend_format(step->frontend, text));
	snprintf(service, sizeof(service), "service %s", step->service->name);
	if (step->kind == FL_STEP_FRONTEND)
		cr_assert_not_null(find(w, service), "%s leads to no %s", key, service);
	put(w, key, step->kind == FL_STEP_FRONTEND ? step->service->name : NULL);
}

static void carry_out_table(struct world *w, const struct fl_step *step)
{
	char key[96], value[128];

	snprintf(key, sizeof(key), "table %s/%d", step->service->name, step->family);
	fill(w, step, fl_service_table_size(step->service, step->family), value);
	if (step->kind != FL_STEP_POOL)
		put(w, key, step->kind == FL_STEP_TABLE ? value : NULL);
	if (step->kind == FL_STEP_TABLE)
		return;
	snprintf(key, sizeof(key), "pool %s/%d", step->service->name, step->family);
	fill(w, step, step->service->balance, value);
	put(w, key, step->kind == FL_STEP_POOL ? value : NULL);
}

static void remove_tables(struct world *w, const char *service)
{
	static const char *const kinds[] = { "table", "pool" };
	char key[96];

	for (int family = 0; family < FL_FAMILIES; family++)
		for (int i = 0; i < 2; i++) {
			snprintf(key, sizeof(key), "%s %s/%d", kinds[i], service, family);
			put(w, key, NULL);
		}
}

static void carry_out(struct world *w, const struct fl_step *step)
{
	char key[96], value[128];

	if (step->endpoint) {
		carry_out_endpoint(w, step);
	} else if (step->frontend) {
		carry_out_frontend(w, step);
	} else if (step->kind == FL_STEP_TABLE || step->kind == FL_STEP_TABLE_GONE ||
		   step->kind == FL_STEP_POOL) {
		carry_out_table(w, step);
	} else {
		snprintf(key, sizeof(key), "service %s", step->service->name);
		snprintf(value, sizeof(value), "%d %d", step->service->forward, step->service->udp);
		put(w, key, step->kind == FL_STEP_SERVICE ? value : NULL);
		if (step->kind == FL_STEP_SERVICE_GONE)
			remove_tables(w, step->service->name);
	}
}

/** @param limit  so many steps at most */
static void lead(struct world *w, const struct fl_snapshot *before, const struct fl_snapshot *after,
	size_t limit)
{
	struct fl_plan plan = { 0 };

	cr_assert_eq(fl_plan_diff(before, after, &plan), 0);
	for (size_t i = 0; i < plan.count && i < limit; i++)
		carry_out(w, &plan.steps[i]);
	fl_plan_done(&plan);
}

static bool is_same(struct world *a, struct world *b)
{
	for (size_t i = 0; i < a->count; i++) {
		char key[192];

		snprintf(key, sizeof(key), "%s", a->lines[i]);
		key[strcspn(key, "|")] = '\0';
		if (!find(b, key) || strcmp(find(b, key), a->lines[i]) != 0)
			return false;
	}
	return a->count == b->count;
}

static const char *const snapshots[] = {
	"",
	"web 10.0.0.1:80/tcp = 192.0.2.1 192.0.2.2",
	"web 10.0.0.1:80/tcp = 192.0.2.1/draining 192.0.2.2*5 192.0.2.3/down",
	"web 10.0.0.1:80/tcp = 192.0.2.1/maintenance 192.0.2.2/draining 192.0.2.3",
	"web 10.0.0.1:80/tcp = 192.0.2.4*0 192.0.2.5",
	"web 10.0.0.1:80/tcp = 192.0.2.1/down",
	"web+move 10.0.0.1:80/tcp 10.0.0.1:443/tcp = 192.0.2.1 192.0.2.2",
	"web+ipip 10.0.0.1:80/tcp [2001:db8::1]:80/tcp = 192.0.2.1 192.0.2.2",
	"web 10.0.0.1:80/tcp [2001:db8::1]:80/tcp = 192.0.2.1 2001:db8::2",
	"web [2001:db8::1]:80/tcp = 192.0.2.1 2001:db8::2",
	"web+slots 10.0.0.2:80/tcp = 192.0.2.1 192.0.2.2",
	"www 10.0.0.1:80/tcp = 192.0.2.1 192.0.2.2",
	"api 10.0.0.1:80/tcp = 192.0.2.1; web 10.0.0.2:80/tcp = 192.0.2.2",
	"api 10.0.0.2:80/tcp = 192.0.2.1; web 10.0.0.1:80/tcp = 192.0.2.2",
	"api 10.0.0.2:80/tcp = 192.0.2.1; new 10.0.0.1:80/tcp = 192.0.2.2",
	"web+panic 10.0.0.3:53/udp = 192.0.2.3",
	"web+p2c,near 10.0.0.1:80/tcp = 192.0.2.1 192.0.2.2/down",
};
#define SNAPSHOTS (sizeof(snapshots) / sizeof(snapshots[0]))

/** From one to the other, broken off after some steps, and again from the start. */
static void check_pair(size_t from, size_t to, size_t broken_off)
{
	struct fl_snapshot *before = test_snapshot_parse(snapshots[from]),
			   *after = test_snapshot_parse(snapshots[to]);
	struct world led = { 0 }, fresh = { 0 };

	lead(&led, NULL, before, SIZE_MAX);
	lead(&led, before, after, broken_off);
	lead(&led, before, after, SIZE_MAX);
	lead(&fresh, NULL, after, SIZE_MAX);
	cr_assert(is_same(&led, &fresh), "from \"%s\" to \"%s\"", snapshots[from], snapshots[to]);
	fl_snapshot_unref(before);
	fl_snapshot_unref(after);
}

Test(model_plan, every_snapshot_leads_to_every_other)
{
	for (size_t from = 0; from < SNAPSHOTS; from++) {
		for (size_t to = 0; to < SNAPSHOTS; to++) {
			for (size_t broken_off = 0; broken_off < 6; broken_off += 2)
				check_pair(from, to, broken_off);
		}
	}
}

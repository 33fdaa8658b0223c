/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "lib/declared.h"

#include <criterion/criterion.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/merger.h"

#define SERVICES_MAX 8

static void add_frontend(struct fl_service *service, char *text)
{
	struct fl_frontend *frontend = fl_service_add_frontend(service);
	char *slash = strchr(text, '/');

	cr_assert(slash, "no protocol in %s", text);
	*slash = '\0';
	frontend->proto = strcmp(slash + 1, "udp") == 0 ? IPPROTO_UDP : IPPROTO_TCP;
	cr_assert_eq(fl_socket_parse(text, false, &frontend->addr, &frontend->port), 0, "%s", text);
}

static enum fl_state state_of(const char *name)
{
	for (int state = FL_DOWN; state <= FL_MAINTENANCE; state++)
		if (strcmp(fl_state_name(state), name) == 0)
			return state;
	cr_assert_fail("no state is called %s", name);
	return FL_DOWN;
}

static void add_endpoint(struct fl_service *service, char *text)
{
	struct fl_endpoint *endpoint = fl_service_add_endpoint(service);
	char *slash = strchr(text, '/'), *star = strchr(text, '*');

	endpoint->state = slash ? state_of(slash + 1) : FL_UP;
	endpoint->weight = star ? (uint16_t)atoi(star + 1) : 1;
	text[strcspn(text, "*/")] = '\0';
	cr_assert_eq(fl_socket_parse(text, false, &endpoint->addr, &endpoint->port), 0, "%s", text);
}

static void for_each_word(struct fl_service *service, const char *text,
	void (*add)(struct fl_service *service, char *word))
{
	char *copy = strdup(text), *rest = copy;

	for (char *word; (word = strsep(&rest, " "));)
		if (*word)
			add(service, word);
	free(copy);
}

static void set_flags(struct fl_service *service, const char *flags)
{
	if (strstr(flags, "move"))
		service->udp = FL_UDP_MOVE;
	if (strstr(flags, "ipip"))
		service->forward = FL_IPIP;
	if (strstr(flags, "slots"))
		service->slots = 1021;
	if (strstr(flags, "calm"))
		service->max_fails = 0;
	if (strstr(flags, "panic"))
		service->panic_percent = 30;
	if (strstr(flags, "p2c"))
		service->balance = FL_P2C;
	if (strstr(flags, "near"))
		service->locality = FL_LOCALITY_ZONE;
	if (strstr(flags, "zone"))
		service->endpoints[0].zone = strdup("a");
}

static struct fl_service *declare(
	const char *name, const char *flags, const char *frontends, const char *endpoints)
{
	struct fl_problems problems = { 0 };
	struct fl_service *service = fl_service_new(name);

	for_each_word(service, frontends, add_frontend);
	for_each_word(service, endpoints, add_endpoint);
	set_flags(service, flags);
	if (!fl_service_finish(service, &problems))
		cr_assert_fail("%s: %s", name, problems.items[0].message);
	fl_problems_done(&problems);
	return service;
}

struct fl_service *test_service(const char *name, const char *frontends, const char *endpoints)
{
	return declare(name, "", frontends, endpoints);
}

struct fl_snapshot *test_snapshot(uint64_t generation, struct fl_service **services, size_t count)
{
	const struct fl_declaration declaration = { "test", services, count };
	const struct fl_limits limits = { UINT16_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX };
	struct fl_problems problems = { 0 };
	struct fl_snapshot *snapshot;

	cr_assert_eq(
		fl_snapshot_merge(&declaration, 1, &limits, generation, &problems, &snapshot), 0);
	cr_assert_eq(problems.count, 0, "%s", problems.count ? problems.items[0].message : "");
	for (size_t i = 0; i < count; i++)
		fl_service_unref(services[i]);
	return snapshot;
}

/* "NAME+FLAGS FRONTENDS = ENDPOINTS" */
static struct fl_service *parse_service(char *text)
{
	char *endpoints = strchr(text, '='), *name = strsep(&text, " ");
	char *plus = strchr(name, '+');

	cr_assert(text && endpoints > text, "no service: %s", name);
	endpoints[-1] = '\0';
	if (plus)
		*plus = '\0';
	return declare(name, plus ? plus + 1 : "", text, endpoints + 1);
}

struct fl_snapshot *test_snapshot_parse(const char *text)
{
	struct fl_service *services[SERVICES_MAX];
	char *copy = strdup(text), *rest = copy;
	struct fl_snapshot *snapshot;
	size_t count = 0;

	for (char *word; (word = strsep(&rest, ";"));) {
		word += strspn(word, " ");
		if (!*word)
			continue;
		cr_assert_lt(count, SERVICES_MAX);
		services[count++] = parse_service(word);
	}
	snapshot = test_snapshot(1, services, count);
	free(copy);
	return snapshot;
}

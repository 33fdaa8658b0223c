/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "registry/local.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include "registry/kept.h"
#include "registry/registry.h"

/* The set of an agent whose configuration has no registry of its own. */
static struct world {
	char root[32];
	uv_loop_t loop;
	struct fl_registry_set set;
	struct fl_registry *local;
	unsigned changes; /* calls of `changed` */
} w;

static void on_changed(void *context)
{
	((struct world *)context)->changes++;
}

static void start(void)
{
	struct fl_environment environment = { 0 };
	struct fl_problems problems = { 0 };
	struct fl_config *config = NULL;
	char text[128];

	snprintf(text, sizeof(text), "state_dir: %s/state\nregistries: []\n", w.root);
	cr_assert_eq(
		fl_config_parse(text, strlen(text), "t.yaml", &environment, &problems, &config), 0);
	w.changes = 0;
	cr_assert_eq(uv_loop_init(&w.loop), 0);
	cr_assert_eq(fl_registry_set_start(&w.set, &w.loop, config, on_changed, &w), 0);
	fl_config_free(config);
	w.local = fl_registry_set_local(&w.set);
	cr_assert_not_null(w.local);
	cr_assert(fl_registry_set_is_ready(&w.set), "nobody else has to be waited for");
}

static void stop(void)
{
	fl_registry_set_stop(&w.set);
	cr_expect_eq(uv_run(&w.loop, UV_RUN_DEFAULT), 0);
	cr_expect_eq(uv_loop_close(&w.loop), 0);
}

static void begin(void)
{
	char state[64];

	strcpy(w.root, "/tmp/fl-local-XXXXXX");
	cr_assert_not_null(mkdtemp(w.root));
	snprintf(state, sizeof(state), "%s/state", w.root);
	cr_assert_eq(mkdir(state, 0700), 0);
	start();
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static void end(void)
{
	stop();
	nftw(w.root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

TestSuite(registry_local, .init = begin, .fini = end);

/* Plan and commit. @return what failed first; 0 = nothing */
static int change(enum fl_local_verb verb, const char *service, const char *endpoint,
	const char *text, struct fl_failure *failure)
{
	const struct fl_local_change change = { verb, service, endpoint, text,
		text ? strlen(text) : 0 };
	fl_service_vec services = { 0 };
	int r = fl_local_plan(w.local, &change, failure, &services);

	if (r == 0)
		r = fl_local_commit(w.local, &services, failure);
	cr_expect_eq(services.count, 0, "nothing is left over");
	return r;
}

static void must(
	enum fl_local_verb verb, const char *service, const char *endpoint, const char *text)
{
	struct fl_failure failure = { 0 };

	cr_assert_eq(change(verb, service, endpoint, text, &failure), 0, "%s", failure.message);
}

/* "web 192.0.2.1:80*2 192.0.2.2:80*1; shop" */
static const char *declared(void)
{
	static char line[512];
	size_t length = 0;

	line[0] = '\0';
	for (size_t i = 0; i < w.local->services.count; i++) {
		const struct fl_service *service = w.local->services.items[i];

		length += (size_t)snprintf(
			line + length, sizeof(line) - length, "%s%s", i ? "; " : "", service->name);
		for (size_t j = 0; j < service->endpoint_count; j++) {
			const struct fl_endpoint *endpoint = &service->endpoints[j];
			char address[FL_SOCKET_TEXT];

			fl_socket_format(&endpoint->addr, endpoint->port, address);
			length += (size_t)snprintf(line + length, sizeof(line) - length, " %s*%u",
				address, endpoint->weight);
		}
	}
	return line;
}

static void declare_web(void)
{
	must(FL_LOCAL_ADD, "web", NULL, "frontends: ['10.0.0.1:80/tcp']");
	must(FL_LOCAL_ADD, "web", "192.0.2.1:80", "weight: 2");
	must(FL_LOCAL_ADD, "web", "192.0.2.2:80", NULL);
}

Test(registry_local, it_begins_empty_and_is_up)
{
	cr_expect(w.local->up);
	cr_expect_eq(w.local->services.count, 0);
	cr_expect_str_eq(w.local->config->name, "local");
	cr_expect_str_eq(w.local->config->type, "local");
}

Test(registry_local, what_was_declared_is_there_and_outlives_the_agent)
{
	declare_web();
	must(FL_LOCAL_ADD, "shop", NULL, "{ frontends: ['10.0.0.2:80/tcp'], forward: ipip }");
	cr_expect_str_eq(declared(), "web 192.0.2.1:80*2 192.0.2.2:80*1; shop");
	stop();
	start();
	cr_expect_str_eq(declared(), "web 192.0.2.1:80*2 192.0.2.2:80*1; shop");
	cr_expect_eq(w.local->services.items[1]->forward, FL_IPIP);
	must(FL_LOCAL_SET, "web", "192.0.2.2:80", "weight: 9");
	must(FL_LOCAL_DELETE, "web", "192.0.2.1:80", NULL);
	must(FL_LOCAL_DELETE, "shop", NULL, NULL);
	stop();
	start();
	cr_expect_str_eq(declared(), "web 192.0.2.2:80*9");
	must(FL_LOCAL_DELETE, "web", NULL, NULL);
	stop();
	start();
	cr_expect_str_eq(declared(), "");
	cr_expect(w.local->up);
}

Test(registry_local, a_service_that_does_not_change_is_the_same_object)
{
	struct fl_service *web;

	declare_web();
	must(FL_LOCAL_ADD, "shop", NULL, "frontends: ['10.0.0.2:80/tcp']");
	web = w.local->services.items[0];
	must(FL_LOCAL_ADD, "shop", "192.0.2.9:80", NULL);
	cr_expect_eq(w.local->services.items[0], web);
}

Test(registry_local, a_plan_alone_changes_nothing)
{
	const struct fl_local_change change = { FL_LOCAL_DELETE, .service = "web" };
	struct fl_failure failure = { 0 };
	fl_service_vec services = { 0 };
	unsigned changes;

	declare_web();
	changes = w.changes;
	cr_assert_eq(fl_local_plan(w.local, &change, &failure, &services), 0);
	cr_expect_eq(services.count, 0);
	fl_services_done(&services);
	cr_expect_str_eq(declared(), "web 192.0.2.1:80*2 192.0.2.2:80*1");
	cr_expect_eq(w.changes, changes);
}

Test(registry_local, what_is_refused)
{
	static const struct {
		enum fl_local_verb verb;
		const char *service, *endpoint, *text;
		int code;
		const char *words;
	} rows[] = {
		{ FL_LOCAL_ADD, "web", NULL, "frontends: ['10.0.0.3:80/tcp']", -EEXIST,
			"service \"web\" is there already" },
		{ FL_LOCAL_SET, "shop", NULL, "panic: 1", -ENOENT,
			"no service \"shop\" was declared by command" },
		{ FL_LOCAL_DELETE, "shop", NULL, NULL, -ENOENT, "no service \"shop\"" },
		{ FL_LOCAL_ADD, "shop", "192.0.2.1:80", NULL, -ENOENT, "no service \"shop\"" },
		{ FL_LOCAL_ADD, "web", "192.0.2.1:80", NULL, -EEXIST,
			"service \"web\" has the endpoint 192.0.2.1:80 already" },
		{ FL_LOCAL_SET, "web", "192.0.2.3:80", "weight: 1", -ENOENT,
			"service \"web\" has no endpoint 192.0.2.3:80" },
		{ FL_LOCAL_DELETE, "web", "192.0.2.3:80", NULL, -ENOENT, "has no endpoint" },
		{ FL_LOCAL_SET, "web", NULL, "{ panic: x, nonsense: 1 }", -EINVAL, "(and 1 more)" },
		{ FL_LOCAL_SET, "web", "192.0.2.1:80", "weight: x", -EINVAL,
			"services.endpoints.weight: x is no integer" },
	};

	declare_web();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fl_failure failure = { 0 };

		cr_expect_eq(change(rows[i].verb, rows[i].service, rows[i].endpoint, rows[i].text,
				     &failure),
			rows[i].code, "row %zu: %s", i, failure.message);
		cr_expect(
			strstr(failure.message, rows[i].words), "row %zu: %s", i, failure.message);
		cr_expect_str_eq(declared(), "web 192.0.2.1:80*2 192.0.2.2:80*1", "row %zu", i);
	}
}

Test(registry_local, what_cannot_be_kept_is_not_in_force)
{
	struct fl_failure failure = { 0 };
	char state[96];
	FILE *file;

	declare_web();
	snprintf(state, sizeof(state), "%s/state/registries/local", w.root);
	nftw(state, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	file = fopen(state, "w"); /* a file where the directory should be */
	fclose(file);
	cr_expect_lt(change(FL_LOCAL_DELETE, "web", NULL, NULL, &failure), 0);
	cr_expect(strstr(failure.message, "cannot keep it in "), "%s", failure.message);
	cr_expect_str_eq(declared(), "web 192.0.2.1:80*2 192.0.2.2:80*1");
}

Test(registry_local, what_was_harmed_is_set_aside_and_said)
{
	char path[96], aside[96];
	FILE *file;

	declare_web();
	stop();
	snprintf(path, sizeof(path), "%s/state/registries/local/" FL_KEPT_FILE, w.root);
	snprintf(aside, sizeof(aside), "%s/state/registries/local/" FL_KEPT_ASIDE, w.root);
	file = fopen(path, "a");
	fputs("# more\n", file);
	fclose(file);
	start();
	cr_expect_str_eq(declared(), "");
	cr_expect_not(w.local->up);
	cr_expect(strstr(w.local->last_error, "declared by command is lost"), "%s",
		w.local->last_error);
	cr_expect_eq(access(aside, F_OK), 0);
	declare_web();
	cr_expect(w.local->up);
	cr_expect_str_eq(w.local->last_error, "");
}

Test(registry_local, verbs)
{
	enum fl_local_verb verb;

	cr_expect_eq(fl_local_verb_find("add", &verb), 0);
	cr_expect_eq(verb, FL_LOCAL_ADD);
	cr_expect_eq(fl_local_verb_find("delete", &verb), 0);
	cr_expect_eq(verb, FL_LOCAL_DELETE);
	cr_expect_eq(fl_local_verb_find("", &verb), -EINVAL);
	cr_expect_eq(fl_local_verb_find("Add", &verb), -EINVAL);
}

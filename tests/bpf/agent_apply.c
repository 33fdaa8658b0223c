/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Applies that take more than a slice of the loop's time, and what comes in between. If
 * a machine is so fast that one slice is enough, all of this holds as well.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "agent/state.h"
#include "kernel/rows.h"
#include "lib/declared.h"
#include "lib/netns.h"
#include "lib/opened.h"

#define MANY    1000
#define TURNS   100000 /* far more than it takes */
#define FILES   0
#define ANOTHER 1

static struct fl_config config;
static struct fl_registry_config names[] = { { .name = (char *)"files" },
	{ .name = (char *)"another" } };
static const struct fl_registry_driver driver = { .type = "test" };
static struct fl_registry registries[2], *set[] = { &registries[0], &registries[1] };
static struct fl_agent agent;

/* An agent that has heard from neither registry, but knows that both cannot be read. */
static void begin(void)
{
	agent = (struct fl_agent){ .config = &config };
	cr_assert_eq(uv_loop_init(&agent.loop), 0);
	cr_assert_eq(fl_agent_apply_init(&agent), 0);
	agent.kernel = test_kernel_open_maps(&config);
	agent.writer = test_writer_new(agent.kernel);
	agent.registries = (struct fl_registry_set){
		.registries = set, .count = 2, .changed = fl_agent_published, .context = &agent
	};
	for (int i = 0; i < 2; i++)
		registries[i] = (struct fl_registry){ .driver = &driver,
			.config = &names[i],
			.set = &agent.registries,
			.failed = true };
}

/* As it is killed, at any moment. */
static void end(void)
{
	uv_close((uv_handle_t *)&agent.apply_timer, NULL);
	uv_run(&agent.loop, UV_RUN_DEFAULT);
	cr_assert_eq(uv_loop_close(&agent.loop), 0);
	fl_agent_apply_done(&agent);
	fl_writer_free(agent.writer);
	fl_kernel_close(agent.kernel);
	for (int i = 0; i < 2; i++)
		fl_services_done(&registries[i].services);
}

static void setup(void)
{
	test_enter_private();
	config = test_config();
	begin();
}

TestSuite(agent_apply, .init = setup, .fini = end, .timeout = 300);

/* @param last  the last byte of each service's address */
static void publish_many(unsigned last)
{
	struct fl_problems problems = { 0 };
	fl_service_vec list = { 0 };

	for (unsigned i = 0; i < MANY; i++) {
		struct fl_service **place = fl_vec_push(&list);
		char name[16], frontend[32], endpoints[64];

		snprintf(name, sizeof(name), "s%u", i);
		snprintf(frontend, sizeof(frontend), "10.%u.%u.1:80/tcp", i / 250, i % 250);
		snprintf(endpoints, sizeof(endpoints), "192.%u.%u.%u:80", i / 250, i % 250, last);
		*place = test_service(name, frontend, endpoints);
	}
	fl_registry_publish(&registries[FILES], &list, &problems);
}

static void publish_web(void)
{
	struct fl_problems problems = { 0 };
	fl_service_vec list = { 0 };
	struct fl_service **place = fl_vec_push(&list);

	*place = test_service("web", "10.99.0.1:80/tcp", "192.99.0.1:80");
	fl_registry_publish(&registries[ANOTHER], &list, &problems);
}

static void turn(void)
{
	uv_run(&agent.loop, UV_RUN_NOWAIT);
}

static bool is_idle(void)
{
	return agent.applied && !agent.applying.snapshot && !agent.wanted;
}

static void run_until_idle(void)
{
	for (int i = 0; !is_idle(); i++) {
		cr_assert_lt(i, TURNS, "it never ends");
		uv_run(&agent.loop, UV_RUN_ONCE);
	}
}

/* Begun, and if the machine is not too fast for that, not ended. */
static void run_until_begun(void)
{
	uint64_t generation = agent.generation;

	for (int i = 0; !agent.applying.snapshot && agent.generation == generation; i++) {
		cr_assert_lt(i, TURNS, "it never begins");
		turn();
	}
}

/* The rows of all are those of `last`. */
static void expect_many(unsigned last)
{
	for (unsigned i = 0; i < MANY; i++) {
		const struct fl_service *service;
		const struct fl_endpoint_row *row;
		char name[16], wanted[32], text[FL_IP_TEXT];

		snprintf(name, sizeof(name), "s%u", i);
		snprintf(wanted, sizeof(wanted), "192.%u.%u.%u", i / 250, i % 250, last);
		service = fl_snapshot_find(agent.applied, name);
		cr_assert(service, "%s", name);
		row = &agent.kernel->maps.endpoints[service->endpoints[0].id];
		cr_assert_str_eq(fl_ip_format(&row->addr, text), wanted);
		cr_assert_eq(row->service, service->id);
		cr_assert_eq(row->state, FL_UP);
	}
}

Test(agent_apply, what_is_published_meanwhile_follows)
{
	publish_many(1);
	run_until_begun();
	publish_many(2);
	publish_many(3);
	turn();
	publish_web();
	run_until_idle();
	expect_many(3);
	cr_expect_eq(agent.applied->service_count, MANY + 1);
	cr_expect_not(agent.incomplete);
}

Test(agent_apply, the_next_agent_ends_what_was_broken_off)
{
	publish_many(1);
	run_until_idle();
	publish_many(2);
	run_until_begun();
	end();
	begin();
	publish_web();
	publish_many(4);
	run_until_idle();
	expect_many(4);
	cr_expect_eq(agent.applied->service_count, MANY + 1);
}

static bool web_is_there(uint32_t id)
{
	struct fl_service *web = test_service("web", "10.99.0.1:80/tcp", "192.99.0.1:80");
	struct fl_frontend_row row;
	int r = fl_frontend_row_get(&agent.kernel->maps, &web->frontends[0], &row);

	fl_service_unref(web);
	return r == 0 && row.service == id && agent.kernel->maps.services[id].in_use;
}

/* It was not asked when the apply began: that must not remove what is its own. */
Test(agent_apply, a_registry_that_speaks_meanwhile_keeps_what_an_earlier_agent_left)
{
	uint32_t id;

	publish_many(1);
	publish_web();
	run_until_idle();
	id = fl_snapshot_find(agent.applied, "web")->id;
	end();
	begin();
	publish_many(1);
	run_until_begun();
	cr_expect_not(agent.pruned);
	publish_web();
	for (int i = 0; !is_idle(); i++) {
		cr_assert_lt(i, TURNS, "it never ends");
		uv_run(&agent.loop, UV_RUN_ONCE);
		cr_assert(web_is_there(id), "after %d turns", i);
	}
	cr_expect(agent.pruned);
	cr_expect_eq(fl_snapshot_find(agent.applied, "web")->id, id);
}

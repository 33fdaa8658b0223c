/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What becomes of the lists of a registry that is elsewhere: guarded, kept on
 * disk, restored. The driver is a fake that says what the test tells it to.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include "core/clock.h"
#include "lib/declared.h"
#include "registry/kept.h"
#include "registry/registry.h"

#define DEADLINE_MS 120000

/* ------------------------------------------------------------------ driver */

static int start_result;
static unsigned starts, stops;

static int fake_start(struct fl_registry *registry)
{
	starts++;
	if (start_result < 0)
		fl_registry_failed(registry, "the token file is not there");
	registry->state = registry;
	return start_result;
}

static void fake_stop(struct fl_registry *registry)
{
	cr_expect_eq(registry->state, registry, "stopped without having started");
	stops++;
}

static void fake_refresh(struct fl_registry *registry)
{
	cr_expect_eq(registry->state, registry);
}

static const struct fl_registry_driver fake = { .type = "consul",
	.remote = true,
	.start = fake_start,
	.stop = fake_stop,
	.refresh = fake_refresh };

static const struct fl_registry_driver *const drivers[] = { &fake, NULL };

/* ------------------------------------------------------------------- world */

struct world {
	char root[32];
	uv_loop_t loop;
	uv_timer_t wake, deadline;
	bool is_late;
	struct fl_registry_set set;
	unsigned changes;
};

static struct world w;

static void on_changed(void *context)
{
	(void)context;
	w.changes++;
}

static void on_wake(uv_timer_t *timer)
{
	(void)timer;
}

static void on_deadline(uv_timer_t *timer)
{
	(void)timer;
	w.is_late = true;
}

#define WAIT_FOR(condition)                                                                        \
	do {                                                                                       \
		w.is_late = false;                                                                 \
		uv_timer_start(&w.wake, on_wake, 10, 10);                                          \
		uv_timer_start(&w.deadline, on_deadline, DEADLINE_MS, 0);                          \
		while (!(condition) && !w.is_late)                                                 \
			uv_run(&w.loop, UV_RUN_ONCE);                                              \
		uv_timer_stop(&w.wake);                                                            \
		uv_timer_stop(&w.deadline);                                                        \
		cr_assert(condition, "waited in vain");                                            \
	} while (0)

static struct fl_config *config_of(const char *registries)
{
	struct fl_environment environment = { 0 };
	struct fl_problems problems = { 0 };
	struct fl_config *config = NULL;
	char text[512];

	snprintf(text, sizeof(text), "state_dir: %s\nregistries: [%s]\n", w.root, registries);
	cr_assert_eq(
		fl_config_parse(text, strlen(text), "t.yaml", &environment, &problems, &config), 0,
		"%s", text);
	return config;
}

static void start(void)
{
	struct fl_config *config = config_of("consul: {}");

	w.changes = 0;
	cr_assert_eq(uv_loop_init(&w.loop), 0);
	uv_timer_init(&w.loop, &w.wake);
	uv_timer_init(&w.loop, &w.deadline);
	cr_assert_eq(fl_registry_set_start(&w.set, &w.loop, config, on_changed, NULL), 0);
	fl_config_free(config);
}

/* As an agent ends: what waits to be written is written. */
static void stop(void)
{
	fl_registry_set_stop(&w.set);
	uv_close((uv_handle_t *)&w.wake, NULL);
	uv_close((uv_handle_t *)&w.deadline, NULL);
	cr_expect_eq(uv_run(&w.loop, UV_RUN_DEFAULT), 0);
	cr_expect_eq(uv_loop_close(&w.loop), 0, "handles are left open");
}

static struct fl_registry *the_registry(void)
{
	return w.set.registries[0];
}

static void wait_for_driver(void)
{
	WAIT_FOR(the_registry()->running || the_registry()->broken);
}

static void restart(void)
{
	stop();
	start();
	wait_for_driver();
}

static void begin(void)
{
	fl_registry_drivers = drivers;
	strcpy(w.root, "/tmp/fl-remote-XXXXXX");
	cr_assert_not_null(mkdtemp(w.root));
	start();
	wait_for_driver();
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static void end(void)
{
	stop();
	cr_expect_eq(starts - (start_result < 0), stops);
	nftw(w.root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

TestSuite(registry_remote, .init = begin, .fini = end);

/* The registry declares `services` services with `endpoints` endpoints each.
 * @param wrong  what is wrong with something else in it; NULL = nothing */
static void answer_with(unsigned services, unsigned endpoints, const char *wrong)
{
	struct fl_problems problems = { 0 };
	fl_service_vec list = { 0 };

	if (wrong)
		fl_problem_add(&problems, (struct fl_place){ .file = NULL }, "%s", wrong);

	for (unsigned i = 0; i < services; i++) {
		char name[16], frontend[32], text[4096] = "";

		snprintf(name, sizeof(name), "s%u", i);
		snprintf(frontend, sizeof(frontend), "10.0.0.%u:80/tcp", i);
		for (unsigned j = 0; j < endpoints; j++)
			snprintf(text + strlen(text), sizeof(text) - strlen(text), "192.0.2.%u:80 ",
				j);
		*(struct fl_service **)fl_vec_push(&list) = test_service(name, frontend, text);
	}
	fl_registry_publish(the_registry(), &list, &problems);
	cr_expect_null(list.items);
}

static void answer(unsigned services, unsigned endpoints)
{
	answer_with(services, endpoints, NULL);
}

static const char *snapshot_path(void)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/registries/consul/" FL_KEPT_FILE, w.root);
	return path;
}

/* ------------------------------------------------------------------- guard */

Test(registry_remote, too_much_at_once_is_held_until_it_is_accepted)
{
	struct fl_registry *registry = the_registry();
	struct fl_failure failure = { 0 };
	unsigned changes;

	answer(4, 5);
	changes = w.changes;
	answer(1, 5);
	cr_assert_not_null(registry->held);
	cr_expect_eq(registry->held->gone, 15);
	cr_expect_eq(registry->held->of, 20);
	cr_expect_eq(registry->held->removal.services, 3);
	cr_expect_eq(registry->services.count, 4, "the old list stays in force");
	cr_expect_eq(w.changes, changes, "nothing to do");
	cr_expect(registry->up, "it could be read");
	cr_expect_eq(fl_registry_set_accept(&w.set, "consul", &failure), 0);
	cr_expect_null(registry->held);
	cr_expect_eq(registry->services.count, 1);
	cr_expect_eq(w.changes, changes + 1);
	cr_expect_eq(fl_registry_set_accept(&w.set, "consul", &failure), -EALREADY);
	cr_expect_str_eq(failure.message, "nothing is held back in registry consul");
	cr_expect_eq(fl_registry_set_accept(&w.set, "nomad", &failure), -ENOENT);
	cr_expect_str_eq(failure.message, "no registry is called \"nomad\"");
	cr_expect_neq(*failure.hint, '\0');
	answer(1, 3); /* of fewer than ten */
	cr_expect_null(registry->held);
}

Test(registry_remote, what_is_wrong_with_an_answer_is_told_though_it_is_held)
{
	struct fl_registry *registry = the_registry();

	answer_with(4, 5, "one");
	cr_expect_str_eq(registry->last_error, "one");
	answer_with(1, 5, "two");
	cr_assert_not_null(registry->held);
	cr_expect_str_eq(registry->last_error, "two");
	answer(1, 5);
	cr_assert_not_null(registry->held);
	cr_expect_str_eq(registry->last_error, "");
}

Test(registry_remote, a_whole_answer_ends_the_hold_at_once)
{
	struct fl_registry *registry = the_registry();

	w.set.calm_ms = DEADLINE_MS;
	answer(4, 5);
	answer(0, 0);
	cr_assert_not_null(registry->held);
	answer(1, 1);
	cr_assert_not_null(registry->held, "still too much");
	cr_expect_eq(registry->held->gone, 19);
	answer(4, 4);
	cr_assert_not_null(registry->held, "it may still grow");
	cr_expect_eq(registry->held->gone, 4);
	cr_expect_eq(registry->services.items[0]->endpoint_count, 5);
	answer(4, 6);
	cr_expect_null(registry->held);
	cr_expect_eq(registry->services.items[0]->endpoint_count, 6);
}

/* As registrations come in again, what is not there yet stays in force. */
Test(registry_remote, an_answer_that_removes_little_waits_for_calm)
{
	struct fl_registry *registry = the_registry();
	unsigned changes;

	w.set.calm_ms = 100;
	answer(4, 5);
	answer(0, 0);
	changes = w.changes;
	answer(4, 3);
	answer(4, 4);
	cr_expect_eq(w.changes, changes);
	cr_expect_eq(registry->services.items[0]->endpoint_count, 5);
	WAIT_FOR(!registry->held);
	cr_expect_eq(registry->services.items[0]->endpoint_count, 4);
	cr_expect_eq(w.changes, changes + 1);
	answer(0, 0);
	answer(4, 3);
	cr_expect(registry->held->passes);
	answer(0, 0);
	cr_expect_not(registry->held->passes, "emptied again: nothing passes by itself");
	answer(4, 3);
	cr_assert_not_null(registry->held); /* and the set is stopped with its timer running */
	w.set.calm_ms = DEADLINE_MS;
	answer(4, 2);
}

Test(registry_remote, the_same_answer_again_does_not_disturb_the_calm)
{
	struct fl_registry *registry = the_registry();
	struct fl_held *held;

	w.set.calm_ms = DEADLINE_MS;
	answer(4, 5);
	answer(0, 0);
	answer(4, 4);
	held = registry->held;
	answer(4, 4);
	cr_expect_eq(registry->held, held);
	answer(4, 3);
	cr_expect_neq(registry->held, held);
	cr_expect_eq(fl_registry_set_accept(&w.set, "consul", &(struct fl_failure){ 0 }), 0);
	cr_expect_eq(registry->services.items[0]->endpoint_count, 3);
}

/* An emptied registry may be read in pieces. */
Test(registry_remote, what_went_just_before_comes_back)
{
	struct fl_registry *registry = the_registry();
	uint64_t published_ms;

	answer(4, 5);
	answer(3, 5);
	answer(2, 5);
	cr_expect_null(registry->held, "half of it");
	cr_expect_eq(registry->services.count, 2);
	registry->published_ms = published_ms = 1000000;
	answer(1, 5);
	cr_assert_not_null(registry->held);
	cr_expect_eq(registry->services.count, 4);
	cr_expect_eq(registry->held->gone, 15);
	cr_expect_eq(registry->held->of, 20);
	cr_expect_eq(registry->published_ms, published_ms, "it is not younger");
	answer(0, 0);
	cr_expect_eq(registry->held->gone, 20);
	restart();
	cr_expect_eq(the_registry()->services.count, 4, "also on disk");
}

Test(registry_remote, what_went_long_before_is_gone)
{
	struct fl_registry *registry = the_registry();

	answer(4, 5);
	answer(3, 5);
	registry->before_ms -= FL_GUARD_WINDOW_MS;
	registry->guard.most_ms -= FL_GUARD_WINDOW_MS;
	answer(2, 5);
	cr_expect_null(registry->held);
	answer(1, 5);
	cr_assert_not_null(registry->held);
	cr_expect_eq(registry->services.count, 3, "the one that went within the minute");
	cr_expect_eq(registry->held->of, 15);
	cr_expect_eq(fl_registry_set_accept(&w.set, "consul", &(struct fl_failure){ 0 }), 0);
	cr_expect_eq(registry->services.count, 1);
	answer(1, 4);
	answer(1, 1);
	cr_expect_null(registry->held, "few, and what was before the accepting does not count");
}

Test(registry_remote, what_is_held_grows_old)
{
	struct fl_registry *registry = the_registry();
	uint64_t then_ms;

	answer(4, 5);
	registry->published_ms = then_ms = 1000000;
	fl_registry_confirm(registry);
	cr_expect_gt(registry->published_ms, then_ms, "the same again is young");
	answer(0, 0);
	registry->published_ms = then_ms;
	fl_registry_confirm(registry);
	cr_expect_eq(registry->published_ms, then_ms, "what is in force was not confirmed");
	fl_registry_failed(registry, "connection refused");
	cr_expect_not(registry->up);
	fl_registry_confirm(registry);
	cr_expect(registry->up);
	cr_expect_str_eq(registry->last_error, "");
}

Test(registry_remote, all_endpoints_down_is_not_held)
{
	struct fl_problems problems = { 0 };
	fl_service_vec list = { 0 };
	char text[1024] = "";

	answer(1, 12);
	for (unsigned i = 0; i < 12; i++)
		snprintf(
			text + strlen(text), sizeof(text) - strlen(text), "192.0.2.%u:80/down ", i);
	*(struct fl_service **)fl_vec_push(&list) = test_service("s0", "10.0.0.0:80/tcp", text);
	fl_registry_publish(the_registry(), &list, &problems);
	cr_expect_null(the_registry()->held, "health is another matter");
	cr_expect_eq(the_registry()->services.items[0]->endpoints[0].state, FL_DOWN);
}

/* --------------------------------------------------------------------- disk */

Test(registry_remote, serves_what_an_earlier_agent_knew)
{
	uint64_t before_ms = fl_clock_real_ms();
	struct fl_registry *registry;

	cr_expect_not(fl_registry_set_is_ready(&w.set));
	answer(3, 2);
	restart();
	registry = the_registry();
	cr_expect_eq(registry->services.count, 3);
	cr_expect(registry->restored);
	cr_expect_not(registry->up, "it has not spoken");
	cr_expect_not(registry->published);
	cr_expect_not(fl_registry_has_spoken(registry), "nothing may be pruned yet");
	cr_expect(fl_registry_set_is_ready(&w.set));
	cr_expect_eq(w.changes, 1);
	cr_expect_geq(registry->published_ms, before_ms - 1);
	cr_expect_leq(registry->published_ms, fl_clock_real_ms());
	fl_registry_failed(registry, "connection refused");
	cr_expect_eq(registry->services.count, 3);
	answer(3, 2);
	cr_expect(fl_registry_has_spoken(registry));
	cr_expect(registry->up);
}

Test(registry_remote, the_age_is_that_of_the_last_reading)
{
	struct fl_registry *registry;

	answer(3, 2);
	the_registry()->published_ms = 0;
	fl_registry_confirm(the_registry());
	stop();
	start();
	wait_for_driver();
	registry = the_registry();
	cr_expect_leq(fl_clock_real_ms() - registry->published_ms, (uint64_t)DEADLINE_MS);
	stop(); /* nobody spoke: the file is as it was */
	start();
	wait_for_driver();
	cr_expect_eq(the_registry()->services.count, 3);
}

Test(registry_remote, an_emptied_registry_after_a_restart_is_held)
{
	struct fl_registry *registry;

	answer(4, 5);
	restart();
	answer(0, 0);
	registry = the_registry();
	cr_assert_not_null(registry->held);
	cr_expect_eq(registry->services.count, 4);
	cr_expect(fl_registry_has_spoken(registry));
	cr_expect_not(registry->published);
	restart(); /* what was held is not what was good */
	cr_expect_eq(the_registry()->services.count, 4);
	cr_expect_null(the_registry()->held);
}

Test(registry_remote, changes_reach_the_disk_while_it_runs)
{
	struct fl_kept kept = { 0 };
	size_t count = 0;
	char directory[128];

	snprintf(directory, sizeof(directory), "%s/registries/consul", w.root);
	answer(1, 2);
	answer(2, 2);
	WAIT_FOR(access(snapshot_path(), F_OK) == 0);
	cr_assert_eq(fl_kept_load(directory, "consul", fl_clock_real_ms(), &kept), 0);
	cr_expect_eq(kept.services.count, 2);
	fl_kept_done(&kept);
	answer(5, 2);
	WAIT_FOR((fl_kept_load(directory, "consul", fl_clock_real_ms(), &kept),
		count = kept.services.count, fl_kept_done(&kept), count == 5));
}

Test(registry_remote, a_damaged_snapshot_is_not_obeyed)
{
	FILE *file;

	answer(3, 2);
	stop();
	file = fopen(snapshot_path(), "a");
	cr_assert_not_null(file);
	fputs("- name: intruder\n", file);
	fclose(file);
	start();
	wait_for_driver();
	cr_expect_eq(the_registry()->services.count, 0);
	cr_expect_not(the_registry()->restored);
	cr_expect_not(fl_registry_set_is_ready(&w.set));
	cr_expect_neq(access(snapshot_path(), F_OK), 0);
	answer(1, 1);
	cr_expect(fl_registry_set_is_ready(&w.set));
}

Test(registry_remote, a_driver_that_cannot_start_leaves_the_snapshot_in_force)
{
	answer(3, 2);
	start_result = -ENOENT;
	restart();
	cr_expect_eq(the_registry()->services.count, 3);
	cr_expect(the_registry()->broken);
	cr_expect_str_eq(the_registry()->last_error, "the token file is not there");
	fl_registry_set_refresh(&w.set);
	cr_expect(fl_registry_set_is_ready(&w.set));
}

/* ------------------------------------------------------------ configuration */

static void configure(const char *registries)
{
	struct fl_config *config = config_of(registries);

	cr_assert_eq(fl_registry_set_configure(&w.set, config), 0);
	fl_config_free(config);
}

Test(registry_remote, another_configuration_goes_on_with_what_was_known)
{
	struct fl_registry *before = the_registry();

	answer(4, 5);
	configure("consul: { url: \"http://127.0.0.1:8500\" }");
	cr_expect_eq(the_registry(), before, "it means the same");
	configure("consul: { filter: x }");
	cr_expect_eq(starts, 2);
	cr_expect_eq(stops, 1);
	cr_expect_eq(the_registry()->services.count, 4);
	cr_expect(fl_registry_set_is_ready(&w.set));
	cr_expect_not(fl_registry_has_spoken(the_registry()));
	answer(0, 0);
	cr_expect_not_null(the_registry()->held, "a filter with a typing error");
	configure("consul: {}");
	cr_expect_null(the_registry()->held);
	answer(4, 5);
	restart();
	cr_expect_eq(the_registry()->services.count, 4);
}

Test(registry_remote, one_that_is_gone_is_forgotten)
{
	answer(4, 5);
	WAIT_FOR(access(snapshot_path(), F_OK) == 0);
	configure("");
	cr_expect_eq(w.set.count, 0);
	WAIT_FOR(access(snapshot_path(), F_OK) != 0);
	configure("consul: {}");
	wait_for_driver();
	cr_expect_eq(the_registry()->services.count, 0);
	cr_expect_not(the_registry()->restored);
}

Test(registry_remote, stopped_while_it_loads)
{
	answer(4, 5);
	stop();
	start();
	configure("consul: { filter: x }");
	fl_registry_set_refresh(&w.set);
	wait_for_driver();
	cr_expect_eq(the_registry()->services.count, 4);
	stop();
	start();
	stop();
	start();
	wait_for_driver();
}

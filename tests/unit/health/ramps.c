/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "health/ramps.h"

#include <criterion/criterion.h>

#include "health/overlay.h"
#include "lib/declared.h"

TestSuite(ramps);

#define S 1000ull

/* As the agent goes about it: user/agent/merge.c. */
struct world {
	struct fl_health *health;
	struct fl_overlay *overlay;
	struct fl_ramps *ramps;
	uint64_t generation;
	struct fl_snapshot *laid; /* as last applied */
};

static void world_init(struct world *w)
{
	*w = (struct world){ fl_health_new(NULL, NULL), fl_overlay_new(), fl_ramps_new(), 1, NULL };
}

static void world_done(struct world *w)
{
	fl_snapshot_unref(w->laid);
	fl_ramps_free(w->ramps);
	fl_overlay_free(w->overlay);
	fl_health_free(w->health);
}

static void lay(struct world *w, struct fl_snapshot *merged, uint64_t now_ms)
{
	fl_snapshot_unref(w->laid);
	w->laid = NULL;
	cr_assert_eq(
		fl_overlay_lay(w->overlay, w->health, merged, ++w->generation, now_ms, &w->laid),
		0);
}

static void apply(struct world *w, struct fl_snapshot *merged, uint64_t now_ms)
{
	int r;

	cr_assert_eq(fl_ramps_step(w->ramps, w->health, now_ms), 0);
	lay(w, merged, now_ms);
	r = fl_ramps_look(w->ramps, w->health, w->laid, now_ms);
	cr_assert_geq(r, 0);
	if (r == 0)
		return;
	lay(w, merged, now_ms);
}

static struct fl_snapshot *declared(const char *text)
{
	struct fl_snapshot *s = test_snapshot_parse(text);

	s->services[0]->slow_start.window_s = 20;
	return s;
}

static void probe(struct world *w, const char *socket, enum fl_sign sign)
{
	struct fl_health_key key = { .service = "web" };

	cr_assert_eq(fl_socket_parse(socket, false, &key.addr, &key.port), 0);
	cr_assert_eq(fl_health_set_probe(w->health, &key, sign, NULL), 0);
}

static void expect(
	const struct world *w, const char *when, unsigned first, unsigned second, uint64_t next_ms)
{
	const struct fl_service *web = w->laid->services[0];

	cr_expect_eq(fl_endpoint_share(&web->endpoints[0]), first, "%s: %u", when,
		fl_endpoint_share(&web->endpoints[0]));
	cr_expect_eq(fl_endpoint_share(&web->endpoints[1]), second, "%s: %u", when,
		fl_endpoint_share(&web->endpoints[1]));
	cr_expect_eq(fl_ramps_next_ms(w->ramps), next_ms, "%s: next at %llu", when,
		(unsigned long long)fl_ramps_next_ms(w->ramps));
}

Test(ramps, an_endpoint_that_comes_back_grows)
{
	struct fl_snapshot *web = declared("web 10.0.0.1:80/tcp = 192.0.2.1:80 192.0.2.2:80*3");
	struct world w;

	world_init(&w);
	apply(&w, web, 1000 * S);
	expect(&w, "when the service is new all are warm", 1, 3, 0);
	probe(&w, "192.0.2.2:80", FL_SIGN_DOWN);
	apply(&w, web, 1100 * S);
	expect(&w, "down", 1, 3, 0);
	probe(&w, "192.0.2.2:80", FL_SIGN_UP);
	apply(&w, web, 1200 * S);
	expect(&w, "it begins with its first flow", 100, 30, 1205 * S);
	apply(&w, web, 1203 * S);
	expect(&w, "within a step", 100, 30, 1205 * S);
	apply(&w, web, 1205 * S);
	expect(&w, "a quarter", 100, 75, 1210 * S);
	probe(&w, "192.0.2.2:80", FL_SIGN_DOWN);
	apply(&w, web, 1206 * S);
	expect(&w, "down again: nobody ramps", 1, 3, 0);
	probe(&w, "192.0.2.2:80", FL_SIGN_UP);
	apply(&w, web, 1207 * S);
	expect(&w, "from the begin", 100, 30, 1212 * S);
	apply(&w, web, 1226 * S);
	expect(&w, "three quarters", 100, 225, 1227 * S);
	apply(&w, web, 1227 * S);
	expect(&w, "all of it, and weights are weights again", 1, 3, 0);
	fl_snapshot_unref(web);
	world_done(&w);
}

Test(ramps, a_new_endpoint_grows_and_a_weight_of_0_does_not_begin)
{
	struct fl_snapshot *one = declared("web 10.0.0.1:80/tcp = 192.0.2.2:80");
	struct fl_snapshot *two = declared("web 10.0.0.1:80/tcp = 192.0.2.1:80 192.0.2.2:80");
	struct fl_snapshot *nil = declared("web 10.0.0.1:80/tcp = 192.0.2.1:80*0 192.0.2.2:80");
	struct world w;

	world_init(&w);
	apply(&w, one, 1000 * S);
	apply(&w, nil, 1010 * S);
	expect(&w, "weight 0", 0, 1, 0);
	apply(&w, two, 1020 * S);
	expect(&w, "it begins when it takes flows", 10, 100, 1025 * S);
	apply(&w, one, 1021 * S);
	cr_expect_eq(fl_ramps_next_ms(w.ramps), 0, "it went");
	cr_expect_eq(fl_endpoint_share(&w.laid->services[0]->endpoints[0]), 1);
	apply(&w, two, 1022 * S);
	expect(&w, "and is new again", 10, 100, 1027 * S);
	fl_snapshot_unref(one);
	fl_snapshot_unref(two);
	fl_snapshot_unref(nil);
	world_done(&w);
}

Test(ramps, large_weights_and_services_without_a_slow_start)
{
	struct fl_snapshot *large =
		declared("web 10.0.0.1:80/tcp = 192.0.2.1:80*40000 192.0.2.2:80*20000");
	struct fl_snapshot *off =
		test_snapshot_parse("web 10.0.0.1:80/tcp = 192.0.2.1:80*40000 192.0.2.2:80*20000");
	struct world w;

	world_init(&w);
	apply(&w, large, 1000 * S);
	probe(&w, "192.0.2.2:80", FL_SIGN_DOWN);
	apply(&w, large, 1001 * S);
	probe(&w, "192.0.2.2:80", FL_SIGN_UP);
	apply(&w, large, 1002 * S);
	expect(&w, "there is no room to scale, and no need", 40000, 2000, 1007 * S);
	apply(&w, off, 1003 * S);
	cr_expect_eq(fl_ramps_next_ms(w.ramps), 0, "it was switched off");
	cr_expect_eq(fl_endpoint_share(&w.laid->services[0]->endpoints[1]), 20000);
	fl_snapshot_unref(large);
	fl_snapshot_unref(off);
	world_done(&w);
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "health/overlay.h"

#include <criterion/criterion.h>
#include <string.h>

#include "lib/declared.h"

TestSuite(overlay);

struct world {
	struct fl_health *health;
	struct fl_overlay *overlay;
	unsigned asked; /* how often a snapshot was wanted */
	uint64_t generation;
};

static void on_changed(void *context)
{
	struct world *w = context;

	w->asked++;
}

static void world_init(struct world *w)
{
	*w = (struct world){ .overlay = fl_overlay_new(), .generation = 100 };
	w->health = fl_health_new(on_changed, w);
}

static void world_done(struct world *w)
{
	fl_overlay_free(w->overlay);
	fl_health_free(w->health);
}

static struct fl_snapshot *lay(struct world *w, struct fl_snapshot *merged, uint64_t now_ms)
{
	struct fl_snapshot *laid = NULL;

	cr_assert_eq(
		fl_overlay_lay(w->overlay, w->health, merged, ++w->generation, now_ms, &laid), 0);
	return laid;
}

static struct fl_health_key key(const char *service, const char *socket)
{
	struct fl_health_key key = { .service = service };

	cr_assert_eq(fl_socket_parse(socket, false, &key.addr, &key.port), 0);
	return key;
}

static void probe(struct world *w, const char *service, const char *socket, enum fl_sign sign,
	const char *detail)
{
	struct fl_health_key k = key(service, socket);

	cr_assert_eq(fl_health_set_probe(w->health, &k, sign, detail), 0);
}

static void word(struct world *w, const char *service, const char *socket, enum fl_word_kind kind,
	uint32_t weight)
{
	struct fl_health_key k = key(service, socket);
	struct fl_word said = { .kind = kind, .weight = weight, .note = "so", .said_ms = 5 };

	cr_assert_eq(fl_health_set_word(w->health, &k, &said), 0);
}

static const struct fl_endpoint *endpoint(
	const struct fl_snapshot *s, const char *service, size_t at)
{
	return &fl_snapshot_find(s, service)->endpoints[at];
}

#define TWO                                                                                        \
	"shop 10.0.0.2:80/tcp = 192.0.2.1 192.0.2.2; web 10.0.0.1:80/tcp = 192.0.2.1:80*3 "        \
	"192.0.2.2:80"

Test(overlay, without_signals_is_the_merged_snapshot)
{
	struct fl_snapshot *merged = test_snapshot_parse(TWO), *laid;
	struct world w;

	world_init(&w);
	laid = lay(&w, merged, 1000);
	cr_assert_eq(laid, merged);
	fl_snapshot_unref(laid);
	fl_snapshot_unref(merged);
	world_done(&w);
}

Test(overlay, a_verdict_makes_a_copy_of_its_service_alone)
{
	struct fl_snapshot *merged = test_snapshot_parse(TWO), *laid, *again;
	struct world w;

	world_init(&w);
	probe(&w, "web", "192.0.2.1:80", FL_SIGN_DOWN, "connection refused");
	cr_assert_eq(w.asked, 1);
	laid = lay(&w, merged, 7000);
	cr_assert_eq(fl_snapshot_find(laid, "shop"), fl_snapshot_find(merged, "shop"));
	cr_assert_neq(fl_snapshot_find(laid, "web"), fl_snapshot_find(merged, "web"));
	cr_assert_eq(endpoint(laid, "web", 0)->state, FL_DOWN);
	cr_assert_eq(endpoint(laid, "web", 0)->cause, FL_CAUSE_PROBE);
	cr_assert_eq(endpoint(laid, "web", 0)->since_ms, 7000);
	cr_assert_str_eq(endpoint(laid, "web", 0)->detail, "connection refused");
	cr_assert_eq(endpoint(laid, "web", 1)->state, FL_UP);
	cr_assert_eq(endpoint(merged, "web", 0)->state, FL_UP, "what is declared stays");
	cr_assert_eq(laid->endpoint_count, merged->endpoint_count);
	again = lay(&w, merged, 8000);
	cr_assert_eq(again, laid, "nothing changed");
	fl_snapshot_unref(again);
	fl_snapshot_unref(laid);
	fl_snapshot_unref(merged);
	world_done(&w);
}

Test(overlay, a_copy_outlives_what_it_was_made_of)
{
	struct fl_snapshot *merged = test_snapshot_parse(TWO), *laid;
	struct world w;

	world_init(&w);
	probe(&w, "web", "192.0.2.1:80", FL_SIGN_DOWN, NULL);
	laid = lay(&w, merged, 7000);
	fl_snapshot_unref(merged);
	world_done(&w);
	cr_assert_str_eq(fl_snapshot_find(laid, "web")->name, "web");
	fl_snapshot_unref(laid);
}

Test(overlay, what_did_not_change_is_the_same_object)
{
	struct fl_snapshot *merged = test_snapshot_parse(TWO), *laid[2];
	struct world w;

	world_init(&w);
	probe(&w, "web", "192.0.2.1:80", FL_SIGN_UP, NULL);
	probe(&w, "shop", "192.0.2.1", FL_SIGN_UP, NULL);
	laid[0] = lay(&w, merged, 1000);
	probe(&w, "web", "192.0.2.1:80", FL_SIGN_DOWN, NULL);
	laid[1] = lay(&w, merged, 2000);
	cr_assert_neq(laid[0], laid[1]);
	cr_assert_gt(laid[1]->generation, laid[0]->generation);
	cr_assert_eq(fl_snapshot_find(laid[0], "shop"), fl_snapshot_find(laid[1], "shop"));
	cr_assert_eq(endpoint(laid[0], "web", 0)->state, FL_UP, "a snapshot does not change");
	cr_assert_eq(endpoint(laid[1], "web", 0)->state, FL_DOWN);
	for (int i = 0; i < 2; i++)
		fl_snapshot_unref(laid[i]);
	fl_snapshot_unref(merged);
	world_done(&w);
}

Test(overlay, the_same_sign_again_asks_for_nothing)
{
	struct fl_snapshot *merged = test_snapshot_parse(TWO), *laid[2];
	struct world w;

	world_init(&w);
	probe(&w, "web", "192.0.2.1:80", FL_SIGN_DOWN, "connection refused");
	cr_assert_eq(w.asked, 1);
	laid[0] = lay(&w, merged, 1000);
	cr_assert(!fl_health_is_stale(w.health));
	probe(&w, "web", "192.0.2.1:80", FL_SIGN_DOWN, "timed out");
	cr_assert_eq(w.asked, 1);
	cr_assert(fl_health_is_stale(w.health), "but whoever looks by and by will see");
	laid[1] = lay(&w, merged, 2000);
	cr_assert_str_eq(endpoint(laid[1], "web", 0)->detail, "timed out");
	cr_assert_eq(endpoint(laid[1], "web", 0)->since_ms, 1000);
	probe(&w, "web", "192.0.2.1:80", FL_SIGN_DOWN, "timed out");
	cr_assert(!fl_health_is_stale(w.health), "nothing is new");
	for (int i = 0; i < 2; i++)
		fl_snapshot_unref(laid[i]);
	fl_snapshot_unref(merged);
	world_done(&w);
}

Test(overlay, a_service_that_is_declared_anew_keeps_its_verdicts)
{
	struct fl_snapshot *merged[2] = { test_snapshot_parse(TWO), test_snapshot_parse(TWO) };
	struct fl_snapshot *laid[2];
	struct world w;

	world_init(&w);
	probe(&w, "web", "192.0.2.2:80", FL_SIGN_DOWN, NULL);
	for (int i = 0; i < 2; i++)
		laid[i] = lay(&w, merged[i], 1000 + (uint64_t)i);
	cr_assert_eq(endpoint(laid[1], "web", 1)->state, FL_DOWN);
	cr_assert_eq(endpoint(laid[1], "web", 1)->since_ms, 1000);
	for (int i = 0; i < 2; i++) {
		fl_snapshot_unref(laid[i]);
		fl_snapshot_unref(merged[i]);
	}
	world_done(&w);
}

Test(overlay, words_wait_for_an_endpoint_and_observations_do_not)
{
	struct fl_snapshot *both = test_snapshot_parse(TWO);
	struct fl_snapshot *less = test_snapshot_parse(
		"shop 10.0.0.2:80/tcp = 192.0.2.1 192.0.2.2; web 10.0.0.1:80/tcp = 192.0.2.3:80");
	struct fl_snapshot *laid;
	struct world w;

	world_init(&w);
	word(&w, "web", "192.0.2.1:80", FL_WORD_DRAIN, FL_WEIGHT_DECLARED);
	probe(&w, "web", "192.0.2.2:80", FL_SIGN_DOWN, NULL);
	fl_snapshot_unref(lay(&w, both, 1000));
	cr_assert_eq(fl_health_count(w.health), 2);
	fl_snapshot_unref(lay(&w, less, 2000));
	cr_assert_eq(fl_health_count(w.health), 1);
	laid = lay(&w, both, 3000);
	cr_assert_eq(endpoint(laid, "web", 0)->state, FL_DRAINING);
	cr_assert_eq(endpoint(laid, "web", 0)->cause, FL_CAUSE_WORD);
	cr_assert_eq(endpoint(laid, "web", 1)->state, FL_UP);
	fl_snapshot_unref(laid);
	fl_snapshot_unref(both);
	fl_snapshot_unref(less);
	world_done(&w);
}

Test(overlay, what_is_known_of_a_service_that_went_is_forgotten)
{
	struct fl_snapshot *both = test_snapshot_parse(TWO);
	struct fl_snapshot *one = test_snapshot_parse("web 10.0.0.1:80/tcp = 192.0.2.1:80");
	struct world w;

	world_init(&w);
	probe(&w, "shop", "192.0.2.1", FL_SIGN_DOWN, NULL);
	probe(&w, "never", "192.0.2.1", FL_SIGN_DOWN, NULL);
	fl_snapshot_unref(lay(&w, both, 1000));
	cr_assert_eq(fl_health_count(w.health), 1, "what never was is forgotten at the first");
	fl_snapshot_unref(lay(&w, one, 2000));
	cr_assert_eq(fl_health_count(w.health), 0);
	fl_snapshot_unref(both);
	fl_snapshot_unref(one);
	world_done(&w);
}

Test(overlay, a_word_that_is_taken_back_leaves_what_is_declared)
{
	struct fl_snapshot *merged = test_snapshot_parse(TWO), *laid[3];
	struct fl_health_key k = key("web", "192.0.2.1:80");
	struct fl_word said;
	struct world w;

	world_init(&w);
	laid[0] = lay(&w, merged, 1000);
	word(&w, "web", "192.0.2.1:80", FL_WORD_DOWN, 9);
	laid[1] = lay(&w, merged, 2000);
	cr_assert(fl_health_word(w.health, &k, &said));
	cr_assert_eq(said.kind, FL_WORD_DOWN);
	cr_assert_eq(said.said_ms, 5);
	cr_assert_str_eq(said.note, "so");
	cr_assert_eq(endpoint(laid[1], "web", 0)->weight, 9);
	word(&w, "web", "192.0.2.1:80", FL_WORD_NONE, FL_WEIGHT_DECLARED);
	laid[2] = lay(&w, merged, 3000);
	cr_assert(!fl_health_word(w.health, &k, &said));
	cr_assert_eq(endpoint(laid[2], "web", 0)->state, FL_UP);
	cr_assert_eq(endpoint(laid[2], "web", 0)->weight, 3);
	cr_assert_gt(laid[2]->generation, laid[1]->generation, "generations grow");
	for (int i = 0; i < 3; i++)
		fl_snapshot_unref(laid[i]);
	fl_snapshot_unref(merged);
	world_done(&w);
}

Test(overlay, nothing_is_made_of_a_word_that_was_never_said)
{
	struct world w;

	world_init(&w);
	word(&w, "web", "192.0.2.1:80", FL_WORD_NONE, FL_WEIGHT_DECLARED);
	probe(&w, "web", "192.0.2.1:80", FL_SIGN_NONE, NULL);
	cr_assert_eq(fl_health_count(w.health), 0);
	cr_assert_eq(w.asked, 0);
	world_done(&w);
}

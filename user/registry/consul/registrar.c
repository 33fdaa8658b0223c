/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "registry/consul/registrar.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "core/random.h"
#include "net/backoff.h"
#include "registry/consul/errand.h"
#include "registry/consul/owner.h"
#include "registry/consul/wanted.h"

#define RESYNC_MS    60000
#define BACKOFF_BASE 500
#define BACKOFF_CAP  30000

struct fl_consul_registrar {
	const char *registry;
	const struct fl_consul_registering *how;
	fl_consul_wanted_vec wanted;
	uv_timer_t sync_timer, beat_timer;
	int open_handles;
	struct fl_consul_errands errands;
	bool is_busy;    /* a round is being sent, or one of it is under way */
	bool is_beating; /* this round only renews */
	bool has_failed; /* one of the round */
	bool again;      /* something changed meanwhile */
	bool is_wanted;  /* fl_consul_registrar_want was called, and no pause since */
	struct fl_backoff backoff;
	char error[256];
};

/* ------------------------------------------------------------------- failures */

static void note_failure(struct fl_consul_registrar *registrar, const char *what, const char *why)
{
	char error[sizeof(registrar->error)];

	snprintf(error, sizeof(error), "%s: %s", what, why);
	if (strcmp(error, registrar->error) != 0)
		fl_log(FL_LOG_WARNING, "consul", "cannot write, trying again",
			FL_STR("registry", registrar->registry), FL_STR("err", error));
	memcpy(registrar->error, error, sizeof(error));
	registrar->has_failed = true;
}

static bool is_good(struct fl_consul_registrar *registrar, const char *what,
	const struct fl_http_answer *answer)
{
	char why[200];

	if (!answer->error && answer->status == 200)
		return true;
	note_failure(registrar, what,
		fl_consul_explain(registrar->errands.client, answer, why, sizeof(why)));
	return false;
}

/* --------------------------------------------------------------------- rounds */

static void sync_in(struct fl_consul_registrar *registrar, uint64_t delay_ms);

/* The last call of a round came back. */
static void finish(struct fl_consul_registrar *registrar)
{
	bool was_beating = registrar->is_beating;

	registrar->is_beating = false;
	if (registrar->has_failed) {
		sync_in(registrar, fl_backoff_next(&registrar->backoff, fl_random_bits()));
		return;
	}
	fl_backoff_reset(&registrar->backoff);
	registrar->error[0] = '\0';
	if (registrar->again)
		sync_in(registrar, 0);
	else if (!was_beating)
		sync_in(registrar, RESYNC_MS);
}

/* What was to be sent is sent, or one came back. */
static void finish_if_done(struct fl_consul_registrar *registrar)
{
	if (registrar->errands.count)
		return;
	registrar->is_busy = false;
	finish(registrar);
}

static void do_errand(struct fl_consul_registrar *registrar, enum fl_consul_errand_kind kind,
	const char *id, const struct fl_consul_instance *instance)
{
	struct fl_consul_errand what = { .kind = kind };
	struct fl_failure failure = { 0 };
	int r;

	snprintf(what.id, sizeof(what.id), "%s", id);
	if (instance) {
		memcpy(what.hash, instance->hash, sizeof(what.hash));
		what.status = instance->status;
	}
	r = fl_consul_errands_send(&registrar->errands, &what, instance, &failure);
	if (r < 0)
		note_failure(registrar, "not sent",
			failure.message[0] ? failure.message : fl_log_errno(r));
}

static void maintain(struct fl_consul_registrar *registrar, const struct fl_consul_wanted *wanted)
{
	do_errand(registrar, FL_CONSUL_MAINTAIN, wanted->instance.id, NULL);
}

static void beat(struct fl_consul_registrar *registrar, const struct fl_consul_wanted *wanted)
{
	do_errand(registrar, FL_CONSUL_BEAT, wanted->instance.id, &wanted->instance);
}

/* Of a check that was there before, Consul keeps the status, whatever the document says;
 * so it is told once more. */
static void on_registered(
	struct fl_consul_registrar *registrar, const struct fl_consul_errand *errand)
{
	struct fl_consul_wanted *wanted = fl_consul_wanted_find(&registrar->wanted, errand->id);

	fl_log(FL_LOG_INFO, "consul", "registered", FL_STR("registry", registrar->registry),
		FL_STR("instance", errand->id));
	if (!wanted || strcmp(wanted->instance.hash, errand->hash) != 0)
		return; /* it changed meanwhile: the next round sees to it */
	wanted->is_in_place = true;
	wanted->is_maintained = wanted->instance.maintenance;
	if (wanted->instance.maintenance)
		maintain(registrar, wanted);
	if (registrar->how->verdict)
		beat(registrar, wanted);
}

/* A check that Consul does not know is one of a Consul that was wiped. */
static void on_beat(struct fl_consul_registrar *registrar, const struct fl_consul_errand *errand,
	const struct fl_http_answer *answer)
{
	struct fl_consul_wanted *wanted = fl_consul_wanted_find(&registrar->wanted, errand->id);

	if (!answer->error && answer->status == 200) {
		if (wanted)
			wanted->told = errand->status;
		return;
	}
	if (wanted && (answer->status == 404 || answer->status == 500))
		wanted->is_in_place = false;
	is_good(registrar, "health not written", answer);
}

static void on_maintained(struct fl_consul_registrar *registrar,
	const struct fl_consul_errand *errand, const struct fl_http_answer *answer)
{
	struct fl_consul_wanted *wanted = fl_consul_wanted_find(&registrar->wanted, errand->id);
	bool is_done = is_good(registrar, "maintenance not written", answer);

	if (wanted)
		wanted->is_maintained = is_done;
}

static void on_deregistered(struct fl_consul_registrar *registrar,
	const struct fl_consul_errand *errand, const struct fl_http_answer *answer)
{
	if (answer->status == 404 || is_good(registrar, "not deregistered", answer))
		fl_log(FL_LOG_INFO, "consul", "deregistered",
			FL_STR("registry", registrar->registry), FL_STR("instance", errand->id));
}

/* ------------------------------------------------------------- synchronisation */

static const char *meta_of(json_t *service, const char *key)
{
	const char *value =
		json_string_value(json_object_get(json_object_get(service, "Meta"), key));

	return value ? value : "";
}

/* What Consul has of ours, by id: keep what is as it shall be, remove the rest. */
static void compare(struct fl_consul_registrar *registrar, json_t *services)
{
	const char *id;
	json_t *service;

	for (size_t i = 0; i < registrar->wanted.count; i++)
		registrar->wanted.items[i].is_in_place = false;
	json_object_foreach(services, id, service) {
		struct fl_consul_wanted *wanted = fl_consul_wanted_find(&registrar->wanted, id);

		if (strcmp(meta_of(service, FL_CONSUL_OWNER_META), registrar->how->owner) != 0)
			continue;
		if (!wanted)
			do_errand(registrar, FL_CONSUL_DEREGISTER, id, NULL);
		else if (strcmp(meta_of(service, FL_CONSUL_META_HASH), wanted->instance.hash) == 0)
			wanted->is_in_place = true;
	}
}

static void put_right(struct fl_consul_registrar *registrar)
{
	for (size_t i = 0; i < registrar->wanted.count; i++) {
		struct fl_consul_wanted *wanted = &registrar->wanted.items[i];

		if (!wanted->is_in_place) {
			do_errand(registrar, FL_CONSUL_REGISTER, wanted->instance.id,
				&wanted->instance);
			continue;
		}
		if (wanted->instance.maintenance && !wanted->is_maintained) {
			maintain(registrar, wanted);
			wanted->is_maintained = true;
		}
		if (registrar->how->verdict && wanted->told != wanted->instance.status)
			beat(registrar, wanted);
	}
}

static void on_list(struct fl_consul_registrar *registrar, const struct fl_http_answer *answer)
{
	json_t *services;

	if (!is_good(registrar, "cannot list what is registered", answer))
		return;
	services = json_loadb(answer->body, answer->length, JSON_REJECT_DUPLICATES, NULL);
	if (json_is_object(services)) {
		compare(registrar, services);
		put_right(registrar);
	} else {
		note_failure(registrar, "cannot list what is registered",
			"the answer is no JSON object");
	}
	json_decref(services);
}

static void on_errand(
	void *context, const struct fl_consul_errand *errand, const struct fl_http_answer *answer)
{
	struct fl_consul_registrar *registrar = context;

	switch (errand->kind) {
	case FL_CONSUL_LIST:
		on_list(registrar, answer);
		break;
	case FL_CONSUL_REGISTER:
		if (is_good(registrar, "not registered", answer))
			on_registered(registrar, errand);
		break;
	case FL_CONSUL_DEREGISTER:
		on_deregistered(registrar, errand, answer);
		break;
	case FL_CONSUL_MAINTAIN:
		on_maintained(registrar, errand, answer);
		break;
	case FL_CONSUL_BEAT:
		on_beat(registrar, errand, answer);
		break;
	}
	finish_if_done(registrar);
}

static void begin_round(struct fl_consul_registrar *registrar, bool is_beating)
{
	registrar->is_busy = true;
	registrar->is_beating = is_beating;
	registrar->has_failed = false;
}

static void synchronise(struct fl_consul_registrar *registrar)
{
	if (registrar->is_busy) {
		registrar->again = true;
		return;
	}
	registrar->again = false;
	begin_round(registrar, false);
	do_errand(registrar, FL_CONSUL_LIST, "", NULL);
	finish_if_done(registrar);
}

static void on_sync_timer(uv_timer_t *timer)
{
	synchronise(timer->data);
}

static void sync_in(struct fl_consul_registrar *registrar, uint64_t delay_ms)
{
	uv_timer_start(&registrar->sync_timer, on_sync_timer, delay_ms, 0);
}

static void on_beat_timer(uv_timer_t *timer);

/* Three times in the time to live, not in step with other nodes. */
static void beat_later(struct fl_consul_registrar *registrar)
{
	uint64_t third_ms = registrar->how->ttl_s * 1000ull / 3;

	uv_timer_start(&registrar->beat_timer, on_beat_timer,
		third_ms - fl_random_bits() % (third_ms / 5 + 1), 0);
}

static void on_beat_timer(uv_timer_t *timer)
{
	struct fl_consul_registrar *registrar = timer->data;

	beat_later(registrar);
	if (registrar->is_busy || !registrar->is_wanted)
		return; /* the next one is soon enough */
	begin_round(registrar, true);
	for (size_t i = 0; i < registrar->wanted.count; i++)
		if (registrar->wanted.items[i].is_in_place)
			beat(registrar, &registrar->wanted.items[i]);
	finish_if_done(registrar);
}

/* --------------------------------------------------------------------- wanting */

static void tell(const struct fl_consul_registrar *registrar, struct fl_problems *problems)
{
	for (size_t i = 0; i < problems->count; i++) {
		char line[1024];

		fl_log(FL_LOG_WARNING, "consul", "cannot say it all in Consul",
			FL_STR("registry", registrar->registry),
			FL_STR("problem",
				fl_problem_format(&problems->items[i], line, sizeof(line))));
	}
	fl_problems_done(problems);
}

void fl_consul_registrar_want(
	struct fl_consul_registrar *registrar, const struct fl_snapshot *snapshot)
{
	struct fl_problems problems = { 0 };
	fl_consul_wanted_vec next;
	bool is_news;
	int r = fl_consul_wanted_make(snapshot, registrar->registry, registrar->how,
		&registrar->wanted, &problems, &next);

	if (r < 0) {
		note_failure(registrar, "not registered", fl_log_errno(r));
		fl_problems_done(&problems);
		return;
	}
	is_news = !registrar->is_wanted || !fl_consul_wanted_equal(&next, &registrar->wanted);
	fl_consul_wanted_done(&registrar->wanted);
	registrar->wanted = next;
	registrar->is_wanted = true;
	if (is_news) {
		tell(registrar, &problems);
		synchronise(registrar);
	}
	fl_problems_done(&problems);
}

/* ------------------------------------------------------------------ start, stop */

int fl_consul_registrar_start(uv_loop_t *loop, struct fl_consul_client *client,
	const char *registry, const struct fl_consul_registering *how,
	struct fl_consul_registrar **ret)
{
	struct fl_consul_registrar *registrar = calloc(1, sizeof(*registrar));

	if (!registrar)
		return -ENOMEM;
	registrar->errands = (struct fl_consul_errands){ client, on_errand, registrar, NULL, 0 };
	registrar->registry = registry;
	registrar->how = how;
	registrar->backoff = (struct fl_backoff){ BACKOFF_BASE, BACKOFF_CAP, 0 };
	uv_timer_init(loop, &registrar->sync_timer);
	uv_timer_init(loop, &registrar->beat_timer);
	registrar->sync_timer.data = registrar->beat_timer.data = registrar;
	registrar->open_handles = 2;
	if (how->verdict)
		beat_later(registrar);
	*ret = registrar;
	return 0;
}

static void on_closed(uv_handle_t *handle)
{
	struct fl_consul_registrar *registrar = handle->data;

	if (--registrar->open_handles)
		return;
	fl_consul_wanted_done(&registrar->wanted);
	free(registrar);
}

void fl_consul_registrar_pause(struct fl_consul_registrar *registrar)
{
	fl_consul_errands_forget(&registrar->errands);
	registrar->is_busy = false;
	uv_timer_stop(&registrar->sync_timer);
	registrar->is_wanted = false;
}

void fl_consul_registrar_stop(struct fl_consul_registrar *registrar)
{
	if (!registrar)
		return;
	fl_consul_errands_forget(&registrar->errands);
	uv_close((uv_handle_t *)&registrar->sync_timer, on_closed);
	uv_close((uv_handle_t *)&registrar->beat_timer, on_closed);
}

void fl_consul_registrar_stats(
	const struct fl_consul_registrar *registrar, struct fl_consul_registrar_stats *ret)
{
	*ret = (struct fl_consul_registrar_stats){ .wanted = registrar->wanted.count,
		.error = registrar->error };
	for (size_t i = 0; i < registrar->wanted.count; i++)
		ret->in_place += registrar->wanted.items[i].is_in_place;
}

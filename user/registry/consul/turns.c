/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "registry/consul/turns.h"

#include <utlist.h>

#include "core/clock.h"
#include "core/random.h"

#define GRAIN_MS 50 /* of the timer: many delays end at once */

/* ---------------------------------------------------------------------- lists */

static struct fl_consul_watch **list_of(struct fl_consul_watch *watch)
{
	switch (watch->state) {
	case FL_WATCH_READY:
		return watch->urgent ? &watch->set->urgent : &watch->set->ready;
	case FL_WATCH_DELAYED:
		return &watch->set->delayed;
	case FL_WATCH_ASKING:
		return &watch->set->asking;
	case FL_WATCH_READING:
		return &watch->set->reading;
	case FL_WATCH_NEW:
		break;
	}
	return NULL;
}

static bool is_busy(enum fl_consul_watch_state state)
{
	return state == FL_WATCH_ASKING || state == FL_WATCH_READING;
}

void fl_consul_turns_enter(struct fl_consul_watch *watch, enum fl_consul_watch_state state)
{
	struct fl_consul_watches *set = watch->set;
	struct fl_consul_watch **list = list_of(watch);

	if (list)
		DL_DELETE(*list, watch);
	if (is_busy(watch->state) && !is_busy(state)) {
		set->busy_count -= !watch->urgent;
		set->busy_big -= watch->asked_big;
		watch->asked_big = false;
		if (set->probe == watch)
			set->probe = NULL; /* how it went is told elsewhere; another one may try */
	} else if (!is_busy(watch->state) && is_busy(state)) {
		set->busy_count += !watch->urgent;
		set->busy_big += watch->is_big;
		watch->asked_big = watch->is_big;
	}
	watch->state = state;
	list = list_of(watch);
	if (list)
		DL_APPEND(*list, watch);
}

static void on_timer(uv_timer_t *timer)
{
	fl_consul_turns_pump(timer->data);
}

/* Come back at that time at the latest. */
static void wake_at(struct fl_consul_watches *set, uint64_t when_ms)
{
	uint64_t now_ms = uv_now(set->loop);
	uint64_t delay_ms = when_ms > now_ms ? when_ms - now_ms : 0;

	if (!uv_is_active((uv_handle_t *)&set->timer) ||
		uv_timer_get_due_in(&set->timer) > delay_ms)
		uv_timer_start(&set->timer, on_timer, delay_ms, 0);
}

void fl_consul_turns_ask_after(struct fl_consul_watch *watch, uint32_t delay_ms)
{
	if (!delay_ms) {
		fl_consul_turns_enter(watch, FL_WATCH_READY);
		wake_at(watch->set, 0);
		return;
	}
	watch->not_before_ms = uv_now(watch->set->loop) + delay_ms;
	fl_consul_turns_enter(watch, FL_WATCH_DELAYED);
	wake_at(watch->set, watch->not_before_ms);
}

/* Those whose time has come; those that only waited for the server, when it is back.
 * @return when the next is due; UINT64_MAX = none */
static uint64_t release(struct fl_consul_watches *set, bool server_is_back)
{
	uint64_t now_ms = uv_now(set->loop);
	uint64_t next_ms = UINT64_MAX;
	struct fl_consul_watch *watch, *after;

	DL_FOREACH_SAFE(set->delayed, watch, after) {
		if (watch->not_before_ms <= now_ms || (server_is_back && watch->server_failed))
			fl_consul_turns_enter(watch, FL_WATCH_READY);
		else if (watch->not_before_ms < next_ms)
			next_ms = watch->not_before_ms;
	}
	return next_ms;
}

/* ------------------------------------------------------------- health of it all */

void fl_consul_turns_succeeded(struct fl_consul_watch *watch)
{
	struct fl_consul_watches *set = watch->set;

	watch->failed = watch->server_failed = false;
	fl_backoff_reset(&watch->backoff);
	set->suspect = NULL;
	set->addresses = 0;
	fl_backoff_reset(&set->backoff);
	if (set->gate == FL_GATE_OPEN)
		return;
	set->gate = FL_GATE_OPEN;
	set->probe = NULL;
	release(set, true);
	wake_at(set, 0);
}

static void shut(struct fl_consul_watches *set)
{
	if (set->gate == FL_GATE_SHUT)
		return;
	set->gate = FL_GATE_SHUT;
	set->probe = NULL;
	set->gate_until_ms = uv_now(set->loop) + fl_backoff_next(&set->backoff, fl_random_bits());
	wake_at(set, set->gate_until_ms);
}

static void tell(struct fl_consul_watch *watch, const char *message)
{
	struct fl_consul_watches *set = watch->set;

	watch->failed = true;
	set->hooks->failed(set->context, watch, message);
}

void fl_consul_turns_failed(
	struct fl_consul_watch *watch, bool by_server, uint32_t least_ms, const char *message)
{
	struct fl_consul_watches *set = watch->set;
	bool was_probe = set->probe == watch;
	uint32_t delay_ms = fl_backoff_next(&watch->backoff, fl_random_bits());

	watch->server_failed = by_server;
	fl_consul_turns_ask_after(watch, delay_ms > least_ms ? delay_ms : least_ms);
	if (by_server) {
		if (was_probe || (set->suspect && set->suspect != watch))
			shut(set);
		set->suspect = watch;
	} else if (was_probe) { /* the server answers */
		set->gate = FL_GATE_OPEN;
		set->probe = NULL;
		wake_at(set, 0);
	}
	tell(watch, message);
}

void fl_consul_turns_cut_off(struct fl_consul_watch *watch, const char *message)
{
	struct fl_consul_watches *set = watch->set;

	watch->server_failed = true;
	if (set->gate == FL_GATE_OPEN || set->probe == watch)
		shut(set);
	fl_consul_turns_ask_after(watch, 0);
	tell(watch, message);
}

void fl_consul_turns_lost(struct fl_consul_watch *watch, const char *message)
{
	struct fl_consul_watches *set = watch->set;
	const char *url = fl_consul_client_url(set->client);

	if (set->url != url)
		set->addresses++;
	set->url = url;
	if (url != watch->asked_url && set->addresses < set->config->url_count &&
		set->gate != FL_GATE_SHUT) {
		fl_consul_turns_ask_after(watch, 0);
		return;
	}
	set->addresses = 0;
	fl_consul_turns_cut_off(watch, message);
}

/* ----------------------------------------------------------------------- turns */

/* How many share the connections that are left. */
static size_t slots_of(const struct fl_consul_watches *set)
{
	size_t all = set->config->connections;

	return all > set->urgent_count ? all - set->urgent_count : 1;
}

uint32_t fl_consul_turns_wait_ms(const struct fl_consul_watch *watch)
{
	const struct fl_consul_watches *set = watch->set;
	uint32_t wait_ms = set->config->wait_s * 1000;

	/* After a failure, hear soon that all is well. */
	if (watch->failed || set->gate == FL_GATE_PROBING)
		return FL_CONSUL_WAIT_MIN_MS;
	if (watch->urgent)
		return wait_ms;
	if (watch->is_big)
		wait_ms = fl_consul_turn_ms(wait_ms, set->big_count, FL_CONSUL_BIGS);
	return fl_consul_turn_ms(wait_ms, set->count - set->urgent_count, slots_of(set));
}

/* The next that may ask now, NULL = none. */
static struct fl_consul_watch *next_of(struct fl_consul_watches *set)
{
	struct fl_consul_watch *watch;

	if (set->gate == FL_GATE_SHUT || (set->gate == FL_GATE_PROBING && set->probe))
		return NULL;
	if (set->urgent)
		return set->urgent;
	if (set->busy_count >= slots_of(set))
		return NULL;
	DL_FOREACH(set->ready, watch)
		if (!watch->is_big || set->busy_big < FL_CONSUL_BIGS)
			return watch;
	return NULL;
}

void fl_consul_turns_pump(struct fl_consul_watches *set)
{
	struct fl_consul_watch *watch;
	uint64_t next_ms = release(set, false);

	if (set->gate == FL_GATE_SHUT && set->gate_until_ms <= uv_now(set->loop))
		set->gate = FL_GATE_PROBING;
	while ((watch = next_of(set))) {
		if (set->gate == FL_GATE_PROBING)
			set->probe = watch;
		if (!fl_consul_watch_ask(watch))
			break;
	}
	if (set->gate == FL_GATE_SHUT)
		wake_at(set, set->gate_until_ms);
	if (next_ms != UINT64_MAX)
		wake_at(set, next_ms + GRAIN_MS);
}

void fl_consul_turns_wake(struct fl_consul_watches *set)
{
	wake_at(set, 0);
}

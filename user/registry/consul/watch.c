/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "registry/consul/watch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "core/cleanup.h"
#include "core/clock.h"
#include "core/log.h"
#include "registry/consul/turns.h"

/* How much an answer may have. Most are small; memory is bounded by what may be under
 * way at once: one URGENT each for catalogue and store, SMALL for each connection, and
 * FL_CONSUL_BIGS times BIG. */
#define SMALL_BYTES  ((size_t)1 << 20)
#define BIG_BYTES    ((size_t)16 << 20)
#define URGENT_BYTES ((size_t)64 << 20)

#define REFUSED_MS 10000 /* a token or a parameter is wrong: somebody must act */

/* --------------------------------------------------------------------- answers */

static void note_answer(const struct fl_consul_watch *watch, const struct fl_http_answer *answer)
{
	char contact[32];

	if (!fl_log_is_on(FL_LOG_DEBUG))
		return;
	fl_log(FL_LOG_DEBUG, "consul", "answer", FL_STR("about", watch->subject),
		FL_UINT("status", answer->status), FL_UINT("bytes", answer->length),
		FL_UINT("asked_index", watch->asked_index), FL_UINT("index", watch->next_index),
		FL_STR("last_contact_ms",
			fl_http_header(answer, "X-Consul-LastContact", contact, sizeof(contact))
				? contact
				: ""));
}

/* The index went backwards: a snapshot was restored, or the agent's stream of changes
 * broke off and has nothing yet, which reads as an empty list (seen with 1.22). Only the
 * answer to a question for everything tells which. */
static bool begin_anew(struct fl_consul_watch *watch, const struct fl_http_answer *answer)
{
	char text[64];

	watch->next_index = fl_consul_index_next(
		watch->asked_index, fl_http_header(answer, "X-Consul-Index", text, sizeof(text)));
	if (watch->next_index)
		return false;
	note_answer(watch, answer);
	watch->index = 0;
	fl_consul_turns_ask_after(watch, watch->next_delay_ms);
	return true;
}

/* A good answer: is it new? */
static void take(struct fl_consul_watch *watch, struct fl_http_answer *answer)
{
	struct fl_consul_watches *set = watch->set;
	char text[64];
	bool is_absent = answer->status == 404;
	const char *bytes = is_absent ? "[]" : answer->body ? answer->body : "";
	size_t length = is_absent ? 2 : answer->length;

	watch->is_partial =
		fl_http_header(answer, "X-Consul-Results-Filtered-By-ACLs", text, sizeof(text)) &&
		strcasecmp(text, "true") == 0;
	watch->next_index = fl_consul_index_next(
		watch->asked_index, fl_http_header(answer, "X-Consul-Index", text, sizeof(text)));
	watch->next_hash = XXH3_64bits(bytes, length);
	note_answer(watch, answer);
	if (watch->has_hash && watch->hash == watch->next_hash) {
		fl_consul_watch_accept(watch);
		return;
	}
	bytes = is_absent || !answer->body ? strdup(bytes) : TAKE_PTR(answer->body);
	if (bytes)
		set->hooks->answered(set->context, watch, (char *)bytes, length);
	else
		fl_consul_watch_refuse(watch, "out of memory");
}

static bool is_by_server(unsigned status)
{
	return status == 429 || status >= 500;
}

static uint32_t least_delay_ms(const struct fl_http_answer *answer)
{
	char text[64];
	uint32_t asked_ms = fl_http_header(answer, "Retry-After", text, sizeof(text))
				    ? fl_retry_after_ms(text, (int64_t)(fl_clock_real_ms() / 1000))
				    : 0;

	if (!is_by_server(answer->status) && asked_ms < REFUSED_MS)
		return REFUSED_MS;
	return asked_ms;
}

/* Whether the server was there, but did not answer, or not to the end. */
static bool is_half_way(int error)
{
	return error == -ETIMEDOUT || error == -ECONNRESET;
}

/* What went wrong, with the watch it happened to where that matters. */
static void explain(const struct fl_consul_watch *watch, const struct fl_http_answer *answer,
	char *buffer, size_t size)
{
	char words[320];

	if (answer->error == -EFBIG || is_half_way(answer->error))
		snprintf(buffer, size, "%s: %s%s", watch->subject,
			answer->error == -EFBIG ? "the answer is larger than it may be: " : "",
			answer->message);
	else if (answer->error) /* names the host */
		snprintf(buffer, size, "%s",
			*answer->message ? answer->message : fl_log_errno(answer->error));
	else
		snprintf(buffer, size, "%s: %s", watch->subject,
			fl_consul_explain(watch->set->client, answer, words, sizeof(words)));
}

/* A larger answer than this watch had room for: with more room, if there is more. */
static bool grow(struct fl_consul_watch *watch)
{
	if (watch->urgent || watch->is_big)
		return false;
	watch->is_big = true;
	watch->set->big_count++;
	return true;
}

static bool is_behind(const struct fl_consul_watch *watch, const struct fl_http_answer *answer,
	char *message, size_t size)
{
	char leader[16], contact[32], backend[32];
	char why[160];

	if (!fl_consul_is_behind(
		    fl_http_header(answer, "X-Consul-KnownLeader", leader, sizeof(leader)),
		    fl_http_header(answer, "X-Consul-LastContact", contact, sizeof(contact)),
		    fl_http_header(answer, "X-Consul-Query-Backend", backend, sizeof(backend)), why,
		    sizeof(why)))
		return false;
	snprintf(message, size, "%s: the answer is not used: %s", watch->subject, why);
	return true;
}

static void judge(struct fl_consul_watch *watch, struct fl_http_answer *answer)
{
	uint32_t elapsed_ms = (uint32_t)(uv_now(watch->set->loop) - watch->asked_ms);
	char message[480];

	if (answer->error == -EFBIG && grow(watch)) {
		fl_consul_turns_ask_after(watch, 0);
		return;
	}
	if (answer->error ||
		(answer->status != 200 && !(answer->status == 404 && watch->may_be_absent))) {
		explain(watch, answer, message, sizeof(message));
		if (answer->error == -EFBIG)
			fl_consul_turns_failed(watch, false, REFUSED_MS, message);
		else if (is_half_way(answer->error) && watch->set->config->url_count == 1)
			fl_consul_turns_failed(watch, true, 0, message);
		else if (answer->error)
			fl_consul_turns_lost(watch, message);
		else
			fl_consul_turns_failed(watch, is_by_server(answer->status),
				least_delay_ms(answer), message);
		return;
	}
	if (is_behind(watch, answer, message, sizeof(message))) {
		fl_consul_turns_failed(watch, false, 0, message);
		return;
	}
	watch->next_delay_ms =
		watch->asked_index && elapsed_ms < watch->asked_wait_ms - watch->asked_wait_ms / 10
			? fl_consul_pace_take(&watch->pace, uv_now(watch->set->loop))
			: 0;
	if (!begin_anew(watch, answer))
		take(watch, answer);
}

static void on_done(void *context, struct fl_http_answer *answer)
{
	struct fl_consul_watch *watch = context;
	struct fl_consul_watches *set = watch->set;

	watch->call = NULL;
	fl_consul_turns_enter(watch, FL_WATCH_READING);
	judge(watch, answer);
	fl_consul_turns_pump(set);
}

void fl_consul_watch_accept(struct fl_consul_watch *watch)
{
	struct fl_consul_watches *set = watch->set;

	if (!set) {
		free(watch);
		return;
	}
	watch->index = watch->next_index;
	watch->hash = watch->next_hash;
	watch->has_hash = true;
	fl_consul_turns_succeeded(watch);
	fl_consul_turns_ask_after(watch, watch->next_delay_ms);
	set->hooks->confirmed(set->context, watch);
}

void fl_consul_watch_refuse(struct fl_consul_watch *watch, const char *message)
{
	if (!watch->set) {
		free(watch);
		return;
	}
	watch->index = 0;
	watch->has_hash = false;
	fl_consul_turns_failed(watch, false, 0, message);
}

/* ----------------------------------------------------------------------- asking */

static int send_question(struct fl_consul_watch *watch, struct fl_failure *failure)
{
	struct fl_consul_watches *set = watch->set;
	_cleanup_free_ char *path = NULL;
	struct fl_consul_request request = {
		.scoped = true,
		.max_bytes = watch->urgent   ? URGENT_BYTES
			     : watch->is_big ? BIG_BYTES
					     : SMALL_BYTES,
	};

	watch->asked_index = watch->index;
	watch->asked_wait_ms = fl_consul_turns_wait_ms(watch);
	watch->asked_ms = uv_now(set->loop);
	watch->asked_url = fl_consul_client_url(set->client);
	path = fl_consul_query_path(watch->path, set->config, watch->filtered, watch->asked_index,
		watch->asked_wait_ms);
	if (!path)
		return -ENOMEM;
	request.path = path;
	request.timeout_ms = fl_consul_query_timeout_ms(watch->asked_index, watch->asked_wait_ms);
	return fl_consul_client_send(set->client, &request, on_done, watch, failure, &watch->call);
}

bool fl_consul_watch_ask(struct fl_consul_watch *watch)
{
	struct fl_failure failure = { 0 };
	int r = send_question(watch, &failure);

	if (r == 0) {
		fl_consul_turns_enter(watch, FL_WATCH_ASKING);
		return true;
	}
	/* No token, no certificate: nobody can ask. */
	fl_consul_turns_cut_off(watch, failure.message[0] ? failure.message : fl_log_errno(r));
	return false;
}

/* ------------------------------------------------------------------------ life */

struct fl_consul_watches *fl_consul_watches_open(uv_loop_t *loop,
	const struct fl_consul_config *config, struct fl_consul_client *client,
	const struct fl_consul_watch_hooks *hooks, void *context)
{
	struct fl_consul_watches *set = calloc(1, sizeof(*set));

	if (!set)
		return NULL;
	set->loop = loop;
	set->config = config;
	set->client = client;
	set->url = fl_consul_client_url(client);
	set->hooks = hooks;
	set->context = context;
	set->backoff =
		(struct fl_backoff){ FL_CONSUL_BACKOFF_BASE_MS, FL_CONSUL_BACKOFF_CAP_MS, 0 };
	uv_timer_init(loop, &set->timer);
	set->timer.data = set;
	return set;
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void end_all(struct fl_consul_watch **list)
{
	struct fl_consul_watch *watch, *after;

	DL_FOREACH_SAFE(*list, watch, after)
		fl_consul_watch_end(watch);
}

void fl_consul_watches_close(struct fl_consul_watches *set)
{
	if (!set)
		return;
	end_all(&set->urgent);
	end_all(&set->ready);
	end_all(&set->delayed);
	end_all(&set->asking);
	end_all(&set->reading);
	uv_close((uv_handle_t *)&set->timer, on_closed);
}

struct fl_consul_watch *fl_consul_watch_add(
	struct fl_consul_watches *set, const struct fl_consul_watch_options *options, void *owner)
{
	struct fl_consul_watch *watch = calloc(1, sizeof(*watch));

	if (!watch)
		return NULL;
	watch->path = strdup(options->path);
	watch->subject = strdup(options->subject);
	if (!watch->path || !watch->subject) {
		free(watch->path);
		free(watch->subject);
		free(watch);
		return NULL;
	}
	watch->set = set;
	watch->owner = owner;
	watch->urgent = options->urgent;
	watch->filtered = options->filtered;
	watch->may_be_absent = options->may_be_absent;
	watch->backoff =
		(struct fl_backoff){ FL_CONSUL_BACKOFF_BASE_MS, FL_CONSUL_BACKOFF_CAP_MS, 0 };
	set->count++;
	set->urgent_count += watch->urgent;
	fl_consul_turns_ask_after(watch, 0);
	return watch;
}

void fl_consul_watch_end(struct fl_consul_watch *watch)
{
	struct fl_consul_watches *set = watch ? watch->set : NULL;
	bool is_read;

	if (!set)
		return;
	is_read = watch->state == FL_WATCH_READING;
	if (watch->state == FL_WATCH_ASKING)
		fl_consul_client_cancel(watch->call);
	fl_consul_turns_enter(watch, FL_WATCH_NEW);
	set->count--;
	set->urgent_count -= watch->urgent;
	set->big_count -= watch->is_big;
	if (set->suspect == watch)
		set->suspect = NULL;
	if (set->probe == watch) {
		set->probe = NULL; /* another one tries */
		fl_consul_turns_wake(set);
	}
	free(watch->path);
	free(watch->subject);
	watch->path = watch->subject = NULL;
	watch->owner = NULL;
	watch->set = NULL;
	fl_consul_turns_wake(set); /* its connection is free */
	if (!is_read)
		free(watch);
}

void fl_consul_watches_refresh(struct fl_consul_watches *set)
{
	struct fl_consul_watch *lists[] = { set->delayed, set->asking };
	struct fl_consul_watch *watch, *after;

	set->gate = FL_GATE_OPEN;
	set->probe = set->suspect = NULL;
	fl_backoff_reset(&set->backoff);
	for (size_t i = 0; i < 2; i++)
		DL_FOREACH_SAFE(lists[i], watch, after) {
			if (watch->state == FL_WATCH_ASKING)
				fl_consul_client_cancel(watch->call);
			fl_consul_turns_enter(watch, FL_WATCH_READY);
		}
	for (watch = set->ready; watch; watch = watch->next)
		watch->index = 0;
	for (watch = set->urgent; watch; watch = watch->next)
		watch->index = 0;
	fl_consul_turns_wake(set);
}

bool fl_consul_watches_are_cut_off(const struct fl_consul_watches *set)
{
	return set->gate != FL_GATE_OPEN;
}

void *fl_consul_watch_owner(const struct fl_consul_watch *watch)
{
	return watch->owner;
}

const char *fl_consul_watch_subject(const struct fl_consul_watch *watch)
{
	return watch->subject;
}

bool fl_consul_watch_is_partial(const struct fl_consul_watch *watch)
{
	return watch->is_partial;
}

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
#include "net/backoff.h"
#include "registry/consul/query.h"

/* How much an answer may have. Most are small; memory is bounded by what may be under
 * way at once: one URGENT each for catalogue and store, SMALL for each connection, and
 * BIGS times BIG. */
#define SMALL_BYTES  ((size_t)1 << 20)
#define BIG_BYTES    ((size_t)16 << 20)
#define URGENT_BYTES ((size_t)64 << 20)
#define BIGS         8

#define BACKOFF_BASE_MS 500
#define BACKOFF_CAP_MS  30000
#define REFUSED_MS      10000 /* a token or a parameter is wrong: somebody must act */
#define GRAIN_MS        50    /* of the timer: many delays end at once */

enum state {
	NEW,
	READY,   /* asks as soon as there is a connection */
	ASKING,  /* `call` is under way */
	READING, /* its owner reads the answer; holds its connection's place, so that no more are */
	DELAYED, /* until `not_before_ms` */
};

struct fl_consul_watch {
	struct fl_consul_watches *set; /* NULL = ended while its answer was being read */
	void *owner;
	char *path, *subject;
	bool urgent, filtered, may_be_absent;

	enum state state;
	struct fl_consul_watch *prev, *next; /* in the list of its state */
	struct fl_consul_call *call;
	const char *asked_url; /* whom; compared only */
	uint64_t asked_ms;
	uint32_t asked_wait_ms;
	uint64_t asked_index;
	bool asked_big; /* counts among the big ones that are busy */

	uint64_t index; /* of the last answer that was accepted; 0 = ask for everything */
	uint64_t hash;  /* of that answer */
	bool has_hash;
	uint64_t next_index; /* of the one being read */
	uint64_t next_hash;
	uint32_t next_delay_ms;
	bool is_partial;

	bool is_big;
	bool failed;        /* since its last success */
	bool server_failed; /* and it seemed to be the server's fault */
	uint64_t not_before_ms;
	struct fl_backoff backoff;
	struct fl_consul_pace pace;
};

enum gate {
	OPEN,
	SHUT,    /* until `gate_until_ms` */
	PROBING, /* one asks, the others wait for how it goes */
};

struct fl_consul_watches {
	uv_loop_t *loop;
	const struct fl_consul_config *config;
	const struct fl_consul_watch_hooks *hooks;
	void *context;
	struct fl_consul_client *client;
	uv_timer_t timer; /* the next delay or the gate */
	struct fl_consul_watch *urgent, *ready, *delayed, *asking, *reading; /* lists */
	size_t count, urgent_count, big_count; /* watches; the latter without urgent ones */
	size_t busy_count, busy_big;           /* asking or reading, without urgent ones */

	enum gate gate;
	uint64_t gate_until_ms;
	struct fl_consul_watch *probe;
	struct fl_consul_watch *suspect; /* failed last, and nobody has succeeded since */
	struct fl_backoff backoff;
	const char *url;  /* in use when the last failure was judged */
	size_t addresses; /* that failed since the last success */
};

static void pump(struct fl_consul_watches *set);

/* ---------------------------------------------------------------------- lists */

static uint32_t random_bits(void)
{
	uint32_t bits = 0;

	if (uv_random(NULL, NULL, &bits, sizeof(bits), 0, NULL) < 0)
		bits = (uint32_t)fl_clock_mono_ns();
	return bits;
}

static struct fl_consul_watch **list_of(struct fl_consul_watch *watch)
{
	switch (watch->state) {
	case READY:
		return watch->urgent ? &watch->set->urgent : &watch->set->ready;
	case DELAYED:
		return &watch->set->delayed;
	case ASKING:
		return &watch->set->asking;
	case READING:
		return &watch->set->reading;
	case NEW:
		break;
	}
	return NULL;
}

static bool is_busy(enum state state)
{
	return state == ASKING || state == READING;
}

static void enter(struct fl_consul_watch *watch, enum state state)
{
	struct fl_consul_watches *set = watch->set;
	struct fl_consul_watch **list = list_of(watch);

	if (list)
		DL_DELETE(*list, watch);
	if (is_busy(watch->state) && !is_busy(state)) {
		set->busy_count -= !watch->urgent;
		set->busy_big -= watch->asked_big;
		watch->asked_big = false;
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
	pump(timer->data);
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

static void ask_after(struct fl_consul_watch *watch, uint32_t delay_ms)
{
	if (!delay_ms) {
		enter(watch, READY);
		wake_at(watch->set, 0);
		return;
	}
	watch->not_before_ms = uv_now(watch->set->loop) + delay_ms;
	enter(watch, DELAYED);
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
			enter(watch, READY);
		else if (watch->not_before_ms < next_ms)
			next_ms = watch->not_before_ms;
	}
	return next_ms;
}

/* ------------------------------------------------------------- health of it all */

static void succeeded(struct fl_consul_watch *watch)
{
	struct fl_consul_watches *set = watch->set;

	watch->failed = watch->server_failed = false;
	fl_backoff_reset(&watch->backoff);
	set->suspect = NULL;
	set->addresses = 0;
	fl_backoff_reset(&set->backoff);
	if (set->gate == OPEN)
		return;
	set->gate = OPEN;
	set->probe = NULL;
	release(set, true);
	wake_at(set, 0);
}

static void shut(struct fl_consul_watches *set)
{
	if (set->gate == SHUT)
		return;
	set->gate = SHUT;
	set->probe = NULL;
	set->gate_until_ms = uv_now(set->loop) + fl_backoff_next(&set->backoff, random_bits());
	wake_at(set, set->gate_until_ms);
}

static void tell(struct fl_consul_watch *watch, const char *message)
{
	struct fl_consul_watches *set = watch->set;

	watch->failed = true;
	set->hooks->failed(set->context, watch, message);
}

/* It failed, and waits. When another one failed before it, and none succeeded between
 * the two, the server is in trouble. */
static void failed(
	struct fl_consul_watch *watch, bool by_server, uint32_t least_ms, const char *message)
{
	struct fl_consul_watches *set = watch->set;
	bool was_probe = set->probe == watch;
	uint32_t delay_ms = fl_backoff_next(&watch->backoff, random_bits());

	watch->server_failed = by_server;
	ask_after(watch, delay_ms > least_ms ? delay_ms : least_ms);
	if (by_server) {
		if (was_probe || (set->suspect && set->suspect != watch))
			shut(set);
		set->suspect = watch;
	} else if (was_probe) { /* the server answers */
		set->gate = OPEN;
		set->probe = NULL;
		wake_at(set, 0);
	}
	tell(watch, message);
}

/* Nothing can be had from Consul: all wait together. */
static void cut_off(struct fl_consul_watch *watch, const char *message)
{
	struct fl_consul_watches *set = watch->set;

	watch->server_failed = true;
	if (set->gate == OPEN || set->probe == watch)
		shut(set);
	ask_after(watch, 0);
	tell(watch, message);
}

/* No connection. With several addresses each gets its chance before anybody waits; a
 * watch that had asked one that is given up already just asks the next. */
static void lost(struct fl_consul_watch *watch, const char *message)
{
	struct fl_consul_watches *set = watch->set;
	const char *url = fl_consul_client_url(set->client);

	if (set->url != url)
		set->addresses++;
	set->url = url;
	if (url != watch->asked_url && set->addresses < set->config->url_count &&
		set->gate != SHUT) {
		if (set->probe == watch)
			set->probe = NULL;
		ask_after(watch, 0);
		return;
	}
	set->addresses = 0;
	cut_off(watch, message);
}

/* --------------------------------------------------------------------- answers */

static const char *header(
	const struct fl_http_answer *answer, const char *name, char *buffer, size_t size)
{
	return fl_http_header(answer, name, buffer, size);
}

static void note_answer(const struct fl_consul_watch *watch, const struct fl_http_answer *answer)
{
	char contact[32];

	if (!fl_log_is_on(FL_LOG_DEBUG))
		return;
	fl_log(FL_LOG_DEBUG, "consul", "answer", FL_STR("about", watch->subject),
		FL_UINT("status", answer->status), FL_UINT("bytes", answer->length),
		FL_UINT("asked_index", watch->asked_index), FL_UINT("index", watch->next_index),
		FL_STR("last_contact_ms",
			header(answer, "X-Consul-LastContact", contact, sizeof(contact)) ? contact
											 : ""));
}

/* The index went backwards: a snapshot was restored, or the agent's stream of changes
 * broke off and has nothing yet, which reads as an empty list (seen with 1.22). Only the
 * answer to a question for everything tells which. */
static bool begin_anew(struct fl_consul_watch *watch, const struct fl_http_answer *answer)
{
	char text[64];

	watch->next_index = fl_consul_index_next(
		watch->asked_index, header(answer, "X-Consul-Index", text, sizeof(text)));
	if (watch->next_index)
		return false;
	note_answer(watch, answer);
	watch->index = 0;
	ask_after(watch, watch->next_delay_ms);
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
		header(answer, "X-Consul-Results-Filtered-By-ACLs", text, sizeof(text)) &&
		strcasecmp(text, "true") == 0;
	watch->next_index = fl_consul_index_next(
		watch->asked_index, header(answer, "X-Consul-Index", text, sizeof(text)));
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
	uint32_t asked_ms = header(answer, "Retry-After", text, sizeof(text))
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

	if (!fl_consul_is_behind(header(answer, "X-Consul-KnownLeader", leader, sizeof(leader)),
		    header(answer, "X-Consul-LastContact", contact, sizeof(contact)),
		    header(answer, "X-Consul-Query-Backend", backend, sizeof(backend)), why,
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
		ask_after(watch, 0);
		return;
	}
	if (answer->error ||
		(answer->status != 200 && !(answer->status == 404 && watch->may_be_absent))) {
		explain(watch, answer, message, sizeof(message));
		if (answer->error == -EFBIG)
			failed(watch, false, REFUSED_MS, message);
		else if (is_half_way(answer->error) && watch->set->config->url_count == 1)
			failed(watch, true, 0, message);
		else if (answer->error)
			lost(watch, message);
		else
			failed(watch, is_by_server(answer->status), least_delay_ms(answer),
				message);
		return;
	}
	if (is_behind(watch, answer, message, sizeof(message))) {
		failed(watch, false, 0, message);
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
	enter(watch, READING);
	judge(watch, answer);
	pump(set);
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
	succeeded(watch);
	ask_after(watch, watch->next_delay_ms);
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
	failed(watch, false, 0, message);
}

/* ----------------------------------------------------------------------- asking */

/* How many share the connections that are left. */
static size_t slots_of(const struct fl_consul_watches *set)
{
	size_t all = set->config->connections;

	return all > set->urgent_count ? all - set->urgent_count : 1;
}

static uint32_t wait_of(const struct fl_consul_watch *watch)
{
	const struct fl_consul_watches *set = watch->set;
	uint32_t wait_ms = set->config->wait_s * 1000;

	/* After a failure, hear soon that all is well. */
	if (watch->failed || set->gate == PROBING)
		return FL_CONSUL_WAIT_MIN_MS;
	if (watch->urgent)
		return wait_ms;
	if (watch->is_big)
		wait_ms = fl_consul_turn_ms(wait_ms, set->big_count, BIGS);
	return fl_consul_turn_ms(wait_ms, set->count - set->urgent_count, slots_of(set));
}

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
	watch->asked_wait_ms = wait_of(watch);
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

/* @return whether it could be sent */
static bool ask(struct fl_consul_watch *watch)
{
	struct fl_failure failure = { 0 };
	int r = send_question(watch, &failure);

	if (r == 0) {
		enter(watch, ASKING);
		return true;
	}
	/* No token, no certificate: nobody can ask. */
	cut_off(watch, failure.message[0] ? failure.message : fl_log_errno(r));
	return false;
}

/* The next that may ask now, NULL = none. */
static struct fl_consul_watch *next_of(struct fl_consul_watches *set)
{
	struct fl_consul_watch *watch;

	if (set->gate == SHUT || (set->gate == PROBING && set->probe))
		return NULL;
	if (set->urgent)
		return set->urgent;
	if (set->busy_count >= slots_of(set))
		return NULL;
	DL_FOREACH(set->ready, watch)
		if (!watch->is_big || set->busy_big < BIGS)
			return watch;
	return NULL;
}

/* Ask whatever can be asked now, and come back for the rest. */
static void pump(struct fl_consul_watches *set)
{
	struct fl_consul_watch *watch;
	uint64_t next_ms = release(set, false);

	if (set->gate == SHUT && set->gate_until_ms <= uv_now(set->loop))
		set->gate = PROBING;
	while ((watch = next_of(set))) {
		if (set->gate == PROBING)
			set->probe = watch;
		if (!ask(watch))
			break;
	}
	if (set->gate == SHUT)
		wake_at(set, set->gate_until_ms);
	if (next_ms != UINT64_MAX)
		wake_at(set, next_ms + GRAIN_MS);
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
	set->backoff = (struct fl_backoff){ BACKOFF_BASE_MS, BACKOFF_CAP_MS, 0 };
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
	watch->backoff = (struct fl_backoff){ BACKOFF_BASE_MS, BACKOFF_CAP_MS, 0 };
	set->count++;
	set->urgent_count += watch->urgent;
	ask_after(watch, 0);
	return watch;
}

void fl_consul_watch_end(struct fl_consul_watch *watch)
{
	struct fl_consul_watches *set = watch ? watch->set : NULL;
	bool is_read;

	if (!set)
		return;
	is_read = watch->state == READING;
	if (watch->state == ASKING)
		fl_consul_client_cancel(watch->call);
	enter(watch, NEW);
	set->count--;
	set->urgent_count -= watch->urgent;
	set->big_count -= watch->is_big;
	if (set->suspect == watch)
		set->suspect = NULL;
	if (set->probe == watch) {
		set->probe = NULL; /* another one tries */
		wake_at(set, 0);
	}
	free(watch->path);
	free(watch->subject);
	watch->path = watch->subject = NULL;
	watch->owner = NULL;
	watch->set = NULL;
	wake_at(set, 0); /* its connection is free */
	if (!is_read)
		free(watch);
}

void fl_consul_watches_refresh(struct fl_consul_watches *set)
{
	struct fl_consul_watch *lists[] = { set->delayed, set->asking };
	struct fl_consul_watch *watch, *after;

	set->gate = OPEN;
	set->probe = set->suspect = NULL;
	fl_backoff_reset(&set->backoff);
	for (size_t i = 0; i < 2; i++)
		DL_FOREACH_SAFE(lists[i], watch, after) {
			if (watch->state == ASKING)
				fl_consul_client_cancel(watch->call);
			enter(watch, READY);
		}
	for (watch = set->ready; watch; watch = watch->next)
		watch->index = 0;
	for (watch = set->urgent; watch; watch = watch->next)
		watch->index = 0;
	wake_at(set, 0);
}

bool fl_consul_watches_are_cut_off(const struct fl_consul_watches *set)
{
	return set->gate != OPEN;
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

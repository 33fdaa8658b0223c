/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "registry/consul/lock.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "core/base64.h"
#include "core/cleanup.h"
#include "core/log.h"
#include "core/random.h"
#include "net/backoff.h"

#define TIMEOUT_MS    10000
#define WAIT_S        15
#define REST_MS       50 /* between two looks, however fast the answers come */
#define LOCK_DELAY_S  5  /* after a session died; nobody gets the key for so long */
#define BACKOFF_BASE  500
#define BACKOFF_CAP   10000
#define ANSWER_BYTES  (1u << 20)
#define SESSION_BYTES 64
/* The flag by which users of such locks know each other. */
#define LOCK_FLAG "3304740253564472344"

/*
 * Two strands: the session (create or adopt, renew in time, or lose it), and the key
 * (look until it is free, acquire, look that it stays ours). Each has one call or
 * one timer under way.
 */
struct fl_consul_lock {
	uv_loop_t *loop;
	struct fl_consul_client *client;
	const struct fl_consul_lock_options *options;
	void (*changed)(void *context);
	void *context;

	char session[SESSION_BYTES]; /* "" = none */
	uint64_t asking_ms;          /* when the renewal under way was sent */
	uint64_t index;              /* of the key, as last seen */
	enum fl_consul_lock_state state;

	struct fl_consul_call *session_call, *key_call;
	uv_timer_t session_timer, key_timer, deadline;
	int open_handles;
	struct fl_backoff session_backoff, key_backoff;
	char error[256];
};

static void renew(struct fl_consul_lock *lock);
static void create(struct fl_consul_lock *lock);
static void look(struct fl_consul_lock *lock);
static void look_now(struct fl_consul_lock *lock);

/* -------------------------------------------------------------------- sending */

static void note_failure(struct fl_consul_lock *lock, const char *what, const char *why)
{
	char error[sizeof(lock->error)];

	snprintf(error, sizeof(error), "lock %s: %s: %s", lock->options->key, what, why);
	if (strcmp(error, lock->error) != 0)
		fl_log(FL_LOG_WARNING, "consul", "cannot hold the lock, trying again",
			FL_STR("err", error));
	memcpy(lock->error, error, sizeof(error));
}

static void note_answer(
	struct fl_consul_lock *lock, const char *what, const struct fl_http_answer *answer)
{
	char why[200];

	note_failure(lock, what, fl_consul_explain(lock->client, answer, why, sizeof(why)));
}

static uint32_t pause_ms(struct fl_backoff *backoff)
{
	return fl_backoff_next(backoff, fl_random_bits());
}

/* @return whether it was sent; the failure is noted */
static bool ask(struct fl_consul_lock *lock, const char *what,
	const struct fl_consul_request *request, fl_http_done done, struct fl_consul_call **call)
{
	struct fl_failure failure = { 0 };
	int r = fl_consul_client_send(lock->client, request, done, lock, &failure, call);

	if (r < 0)
		note_failure(lock, what, failure.message[0] ? failure.message : fl_log_errno(r));
	return r >= 0;
}

static struct fl_consul_request put(const char *path, const char *body)
{
	return (struct fl_consul_request){ .method = "PUT",
		.path = path,
		.body = body,
		.scoped = true,
		.timeout_ms = TIMEOUT_MS,
		.max_bytes = ANSWER_BYTES };
}

/* ---------------------------------------------------------------- got and lost */

/* Called last: the owner may do anything when it hears of it. */
static void set_state(struct fl_consul_lock *lock, enum fl_consul_lock_state state, const char *why)
{
	static const char *const messages[] = {
		[FL_CONSUL_LOCK_UNKNOWN] = "lock lost",
		[FL_CONSUL_LOCK_HELD] = "lock got",
		[FL_CONSUL_LOCK_ELSEWHERE] = "another node has the lock",
	};

	if (lock->state == state)
		return;
	lock->state = state;
	fl_log(FL_LOG_INFO, "consul", messages[state], FL_STR("key", lock->options->key),
		FL_STR("why", why));
	lock->changed(lock->context);
}

static void on_create_timer(uv_timer_t *timer)
{
	create(timer->data);
}

/* The session is no more, or must be taken for that: begin again. */
static void lose_session(struct fl_consul_lock *lock, const char *why)
{
	uv_timer_stop(&lock->deadline);
	uv_timer_stop(&lock->key_timer);
	if (lock->key_call)
		fl_consul_client_cancel(lock->key_call);
	if (lock->session_call)
		fl_consul_client_cancel(lock->session_call);
	lock->key_call = lock->session_call = NULL;
	lock->session[0] = '\0';
	uv_timer_start(&lock->session_timer, on_create_timer, pause_ms(&lock->session_backoff), 0);
	set_state(lock, FL_CONSUL_LOCK_UNKNOWN, why);
}

static void on_deadline(uv_timer_t *timer)
{
	lose_session(timer->data, "it could not be renewed in time");
}

/* -------------------------------------------------------------------- session */

static void on_renew_timer(uv_timer_t *timer)
{
	renew(timer->data);
}

/* Good from when it was sent: Consul cannot have counted from earlier. */
static void session_is_alive(struct fl_consul_lock *lock)
{
	uint64_t ttl_ms = lock->options->ttl_s * 1000ull;
	uint64_t past_ms = uv_now(lock->loop) - lock->asking_ms;

	fl_backoff_reset(&lock->session_backoff);
	uv_timer_start(&lock->deadline, on_deadline, ttl_ms > past_ms ? ttl_ms - past_ms : 0, 0);
	uv_timer_start(&lock->session_timer, on_renew_timer, ttl_ms / 3, 0);
}

static void on_renewed(void *context, struct fl_http_answer *answer)
{
	struct fl_consul_lock *lock = context;

	lock->session_call = NULL;
	if (!answer->error && answer->status == 200) {
		session_is_alive(lock);
		if (!lock->key_call && !uv_is_active((uv_handle_t *)&lock->key_timer))
			look_now(lock); /* it was adopted */
		return;
	}
	if (!answer->error && answer->status == 404) {
		lose_session(lock, "its session is gone");
		return;
	}
	note_answer(lock, "not renewed", answer);
	uv_timer_start(&lock->session_timer, on_renew_timer, pause_ms(&lock->session_backoff), 0);
}

static void renew(struct fl_consul_lock *lock)
{
	char path[SESSION_BYTES + 32];
	struct fl_consul_request request = put(path, NULL);

	snprintf(path, sizeof(path), "/v1/session/renew/%s", lock->session);
	lock->asking_ms = uv_now(lock->loop);
	if (!ask(lock, "not renewed", &request, on_renewed, &lock->session_call))
		uv_timer_start(
			&lock->session_timer, on_renew_timer, pause_ms(&lock->session_backoff), 0);
}

static bool take_session(struct fl_consul_lock *lock, const struct fl_http_answer *answer)
{
	json_t *json = json_loadb(answer->body, answer->length, 0, NULL);
	const char *id = json_string_value(json_object_get(json, "ID"));
	size_t length = id ? strspn(id, "0123456789abcdefABCDEF-") : 0;
	bool is_good = length > 0 && !id[length] && length < sizeof(lock->session);

	if (is_good)
		memcpy(lock->session, id, length + 1);
	else
		note_failure(lock, "no session", "the answer holds no id");
	json_decref(json);
	return is_good;
}

static void on_created(void *context, struct fl_http_answer *answer)
{
	struct fl_consul_lock *lock = context;

	lock->session_call = NULL;
	if (answer->error || answer->status != 200) {
		note_answer(lock, "no session", answer);
	} else if (take_session(lock, answer)) {
		session_is_alive(lock);
		look_now(lock);
		return;
	}
	uv_timer_start(&lock->session_timer, on_create_timer, pause_ms(&lock->session_backoff), 0);
}

/* No checks are bound to it: its time to live alone decides. */
static void create(struct fl_consul_lock *lock)
{
	char body[256];
	struct fl_consul_request request = put("/v1/session/create", body);

	snprintf(body, sizeof(body),
		"{\"Name\":\"fairlead\",\"TTL\":\"%us\",\"LockDelay\":\"%ds\","
		"\"Behavior\":\"release\",\"NodeChecks\":[]}",
		lock->options->ttl_s, LOCK_DELAY_S);
	lock->asking_ms = uv_now(lock->loop);
	if (!ask(lock, "no session", &request, on_created, &lock->session_call))
		uv_timer_start(
			&lock->session_timer, on_create_timer, pause_ms(&lock->session_backoff), 0);
}

/* ------------------------------------------------------------------------ key */

static void on_look_timer(uv_timer_t *timer)
{
	look(timer->data);
}

static void look_in(struct fl_consul_lock *lock, uint64_t delay_ms)
{
	uv_timer_start(&lock->key_timer, on_look_timer, delay_ms, 0);
}

static void write_key_path(const struct fl_consul_lock *lock, char *path, size_t size)
{
	size_t length = (size_t)snprintf(path, size, "/v1/kv/");

	fl_consul_escape(lock->options->key, path + length, size - length);
}

static void on_acquired(void *context, struct fl_http_answer *answer)
{
	struct fl_consul_lock *lock = context;

	lock->key_call = NULL;
	if (answer->error || answer->status != 200) {
		note_answer(lock, "not acquired", answer);
		look_in(lock, pause_ms(&lock->key_backoff));
		return;
	}
	fl_backoff_reset(&lock->key_backoff);
	if (answer->length < 4 || memcmp(answer->body, "true", 4) != 0) {
		lock->index = 0;
		look_in(lock, LOCK_DELAY_S * 1000 / 2); /* another was faster, or the delay runs */
		return;
	}
	lock->error[0] = '\0';
	lock->index = 0;
	look_in(lock, REST_MS);
	set_state(lock, FL_CONSUL_LOCK_HELD, "it was free");
}

static void acquire(struct fl_consul_lock *lock)
{
	char path[1024];
	struct fl_consul_request request = put(path, lock->options->identity);
	size_t length;

	write_key_path(lock, path, sizeof(path) - 128);
	length = strlen(path);
	snprintf(path + length, sizeof(path) - length, "?acquire=%s&flags=" LOCK_FLAG,
		lock->session);
	if (!ask(lock, "not acquired", &request, on_acquired, &lock->key_call))
		look_in(lock, pause_ms(&lock->key_backoff));
}

/* Who holds the key. */
struct holder {
	char session[SESSION_BYTES]; /* "" = nobody */
	bool is_us;                  /* by the name it wrote */
};

static bool is_text(const char *value, const char *text)
{
	size_t length = value ? strlen(value) : 0;
	_cleanup_free_ char *decoded = malloc(FL_BASE64_DECODED(length) + 1);

	return decoded && length && fl_base64_decode(value, length, decoded, &length) == 0 &&
	       length == strlen(text) && memcmp(decoded, text, length) == 0;
}

/* @return false when the answer is none */
static bool read_holder(
	const struct fl_consul_lock *lock, const struct fl_http_answer *answer, struct holder *ret)
{
	const char *session;
	json_t *json, *row;
	bool is_good;

	*ret = (struct holder){ 0 };
	if (answer->status == 404)
		return true; /* no such key */
	json = json_loadb(answer->body, answer->length, 0, NULL);
	row = json_array_get(json, 0);
	session = json_string_value(json_object_get(row, "Session"));
	if (session)
		snprintf(ret->session, sizeof(ret->session), "%s", session);
	ret->is_us =
		is_text(json_string_value(json_object_get(row, "Value")), lock->options->identity);
	is_good = json_is_object(row);
	json_decref(json);
	return is_good;
}

static void take_index(struct fl_consul_lock *lock, const struct fl_http_answer *answer)
{
	char text[32];
	uint64_t index = 0;

	if (fl_http_header(answer, "X-Consul-Index", text, sizeof(text)))
		index = strtoull(text, NULL, 10);
	if (!index)
		index = 1; /* 0 would not block */
	lock->index = index < lock->index ? 0 : index;
}

/* There is no session yet: go on with that of an earlier run, or make one. */
static void begin(struct fl_consul_lock *lock, const struct holder *holder)
{
	if (holder->session[0] && holder->is_us) {
		memcpy(lock->session, holder->session, sizeof(lock->session));
		renew(lock);
		return;
	}
	create(lock);
	if (holder->session[0])
		set_state(lock, FL_CONSUL_LOCK_ELSEWHERE, "it is held");
}

static void decide(struct fl_consul_lock *lock, const struct holder *holder)
{
	if (!lock->session[0]) {
		begin(lock, holder);
	} else if (strcmp(holder->session, lock->session) == 0) {
		look_in(lock, REST_MS);
		set_state(lock, FL_CONSUL_LOCK_HELD, "its session has it");
	} else if (holder->session[0]) {
		look_in(lock, REST_MS);
		set_state(lock, FL_CONSUL_LOCK_ELSEWHERE, "it is held");
	} else {
		acquire(lock);
		if (lock->state == FL_CONSUL_LOCK_HELD)
			set_state(lock, FL_CONSUL_LOCK_UNKNOWN, "it was released");
	}
}

static void on_looked(void *context, struct fl_http_answer *answer)
{
	struct fl_consul_lock *lock = context;
	struct holder holder;

	lock->key_call = NULL;
	if (answer->error || (answer->status != 200 && answer->status != 404) ||
		!read_holder(lock, answer, &holder)) {
		note_answer(lock, "not seen", answer);
		look_in(lock, pause_ms(&lock->key_backoff));
		return; /* still ours as long as the session is: the deadline tells */
	}
	fl_backoff_reset(&lock->key_backoff);
	lock->error[0] = '\0';
	take_index(lock, answer);
	decide(lock, &holder);
}

static void look(struct fl_consul_lock *lock)
{
	char path[1024];
	struct fl_consul_request request = { .path = path,
		.scoped = true,
		.timeout_ms = (WAIT_S + WAIT_S / 16) * 1000 + 5000,
		.max_bytes = ANSWER_BYTES };
	size_t length;

	write_key_path(lock, path, sizeof(path) - 128);
	length = strlen(path);
	length += (size_t)snprintf(
		path + length, sizeof(path) - length, "?consistent&wait=%ds", WAIT_S);
	if (lock->index)
		snprintf(path + length, sizeof(path) - length, "&index=%" PRIu64, lock->index);
	if (!ask(lock, "not seen", &request, on_looked, &lock->key_call))
		look_in(lock, pause_ms(&lock->key_backoff));
}

/* As it is, not only when it becomes different. */
static void look_now(struct fl_consul_lock *lock)
{
	lock->index = 0;
	look(lock);
}

/* ------------------------------------------------------------------ start, stop */

static void timer_init(struct fl_consul_lock *lock, uv_timer_t *timer)
{
	uv_timer_init(lock->loop, timer);
	timer->data = lock;
	lock->open_handles++;
}

int fl_consul_lock_start(uv_loop_t *loop, struct fl_consul_client *client,
	const struct fl_consul_lock_options *options, void (*changed)(void *context), void *context,
	struct fl_consul_lock **ret)
{
	struct fl_consul_lock *lock = calloc(1, sizeof(*lock));

	if (!lock)
		return -ENOMEM;
	lock->loop = loop;
	lock->client = client;
	lock->options = options;
	lock->changed = changed;
	lock->context = context;
	lock->session_backoff = (struct fl_backoff){ BACKOFF_BASE, BACKOFF_CAP, 0 };
	lock->key_backoff = lock->session_backoff;
	timer_init(lock, &lock->session_timer);
	timer_init(lock, &lock->key_timer);
	timer_init(lock, &lock->deadline);
	look(lock);
	*ret = lock;
	return 0;
}

static void on_closed(uv_handle_t *handle)
{
	struct fl_consul_lock *lock = handle->data;

	if (--lock->open_handles == 0)
		free(lock);
}

void fl_consul_lock_stop(struct fl_consul_lock *lock)
{
	if (!lock)
		return;
	if (lock->key_call)
		fl_consul_client_cancel(lock->key_call);
	if (lock->session_call)
		fl_consul_client_cancel(lock->session_call);
	uv_close((uv_handle_t *)&lock->session_timer, on_closed);
	uv_close((uv_handle_t *)&lock->key_timer, on_closed);
	uv_close((uv_handle_t *)&lock->deadline, on_closed);
}

enum fl_consul_lock_state fl_consul_lock_state(const struct fl_consul_lock *lock)
{
	return lock->state;
}

const char *fl_consul_lock_error(const struct fl_consul_lock *lock)
{
	return lock->error;
}

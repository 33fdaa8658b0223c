/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "net/http.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "core/cleanup.h"
#include "net/call.h"

/*
 * How libcurl and the loop meet: libcurl says which sockets to watch and when to
 * call next (watch_socket, set_timer); the loop says what happened to a socket or that
 * the time has come (on_socket, on_timer). What is complete is handed over then
 * (deliver), outside of libcurl, so that whoever gets an answer may do anything.
 *
 * Calls beyond the limit wait in a list of ours and cost no more than their copies.
 */

#define DEFAULT_CONNECTIONS 64
#define DEFAULT_TIMEOUT_MS  30000
#define PEM_LOOK_BYTES      (256 << 10)

struct fl_http {
	uv_loop_t *loop;
	struct fl_http_options options; /* strings are ours */
	CURLM *multi;                   /* NULL = closed */
	uv_timer_t timer;               /* libcurl's */
	uv_timer_t patience;            /* until the first waiting call is too late */
	unsigned handles;               /* not closed yet, `timer` and `patience` included */
	struct fl_http_call *waiting, *running;
	unsigned running_count;
};

/* A socket that libcurl wants to be watched. */
struct watched {
	uv_poll_t poll;
	struct fl_http *http;
	curl_socket_t fd;
	int events; /* that libcurl waits for */
};

/* -------------------------------------------------------------------- close */

static void free_options(struct fl_http_options *options)
{
	free((char *)options->ca);
	free((char *)options->cert);
	free((char *)options->key);
	free((char *)options->server_name);
	free((char *)options->unix_socket);
}

static void closed_one(struct fl_http *http)
{
	if (--http->handles)
		return;
	free_options(&http->options);
	free(http);
}

static void on_closed(uv_handle_t *handle)
{
	closed_one(handle->data);
}

static void on_watched_closed(uv_handle_t *handle)
{
	struct watched *watched = handle->data;

	closed_one(watched->http);
	free(watched);
}

static void on_patience(uv_timer_t *timer);

void fl_http_cancel(struct fl_http_call *call)
{
	struct fl_http *http = call->http;

	if (call->easy) {
		curl_multi_remove_handle(http->multi, call->easy);
		DL_DELETE(http->running, call);
		http->running_count--;
		if (http->waiting) /* another may have its place: not from within this */
			uv_timer_start(&http->patience, on_patience, 0, 0);
	} else {
		DL_DELETE(http->waiting, call);
	}
	fl_http_call_free(call);
}

void fl_http_close(struct fl_http *http)
{
	if (!http)
		return;
	while (http->waiting)
		fl_http_cancel(http->waiting);
	while (http->running)
		fl_http_cancel(http->running);
	curl_multi_cleanup(TAKE_PTR(http->multi)); /* unwatches what is left */
	uv_close((uv_handle_t *)&http->timer, on_closed);
	uv_close((uv_handle_t *)&http->patience, on_closed);
}

/* ------------------------------------------------------------------ deliver */

/* The call is over: it is freed once `done` has seen what came of it. */
static void complete(struct fl_http_call *call, CURLcode code)
{
	struct fl_http *http = call->http;
	struct fl_http_answer answer;

	fl_http_call_answer(call, code, &answer);
	if (call->easy) {
		curl_multi_remove_handle(http->multi, call->easy);
		DL_DELETE(http->running, call);
		http->running_count--;
	} else {
		DL_DELETE(http->waiting, call);
	}
	call->done(call->context, &answer);
	free(answer.body);
	fl_http_call_free(call);
}

/* Of those that wait, or new. @return 0, -ENOMEM (as before) */
static int start(struct fl_http *http, struct fl_http_call *call)
{
	uint64_t now_ms = uv_now(http->loop);
	long left_ms = call->deadline_ms > now_ms ? (long)(call->deadline_ms - now_ms) : 1;
	int r = fl_http_call_prepare(call, &http->options, left_ms);

	if (r == 0 && curl_multi_add_handle(http->multi, call->easy) != CURLM_OK)
		r = -ENOMEM;
	if (r < 0) {
		curl_easy_cleanup(TAKE_PTR(call->easy));
		return r;
	}
	if (call->prev)
		DL_DELETE(http->waiting, call);
	DL_APPEND(http->running, call);
	http->running_count++;
	return 0;
}

/* Whoever gets an answer may send, cancel and close. */
static void start_waiting(struct fl_http *http)
{
	while (http->multi && http->waiting && http->running_count < http->options.connections) {
		struct fl_http_call *call = http->waiting;

		if (start(http, call) < 0)
			complete(call, CURLE_OUT_OF_MEMORY);
	}
}

static void deliver(struct fl_http *http)
{
	CURLMsg *message;
	int left;

	while (http->multi && (message = curl_multi_info_read(http->multi, &left))) {
		struct fl_http_call *call = NULL;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &call);
		complete(call, message->data.result);
	}
	start_waiting(http);
}

/* ----------------------------------------------------------------- patience */

/* @return the waiting call whose time ends first; NULL = none waits */
static struct fl_http_call *most_urgent(struct fl_http *http)
{
	struct fl_http_call *call, *first = NULL;

	DL_FOREACH(http->waiting, call)
		if (!first || call->deadline_ms < first->deadline_ms)
			first = call;
	return first;
}

static void await(struct fl_http *http, uint64_t deadline_ms)
{
	uint64_t now_ms = uv_now(http->loop);

	uv_timer_start(
		&http->patience, on_patience, deadline_ms > now_ms ? deadline_ms - now_ms : 0, 0);
}

static void on_patience(uv_timer_t *timer)
{
	struct fl_http *http = timer->data;
	struct fl_http_call *first = NULL;

	start_waiting(http); /* a place may have become free */
	while (http->multi && (first = most_urgent(http)) &&
		first->deadline_ms <= uv_now(http->loop))
		complete(first, CURLE_OPERATION_TIMEDOUT);
	if (http->multi && http->waiting)
		await(http, first->deadline_ms);
}

/* ----------------------------------------------------------------- the loop */

static void on_timer(uv_timer_t *timer)
{
	struct fl_http *http = timer->data;
	int running;

	curl_multi_socket_action(http->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	deliver(http);
}

static int set_timer(CURLM *multi, long timeout_ms, void *context)
{
	struct fl_http *http = context;

	(void)multi;
	if (timeout_ms < 0)
		uv_timer_stop(&http->timer);
	else
		uv_timer_start(&http->timer, on_timer, (uint64_t)timeout_ms, 0);
	return 0;
}

static void on_socket(uv_poll_t *poll, int status, int events)
{
	struct watched *watched = poll->data;
	struct fl_http *http = watched->http;
	int flags = (events & UV_READABLE ? CURL_CSELECT_IN : 0) |
		    (events & UV_WRITABLE ? CURL_CSELECT_OUT : 0);
	int running;

	if (status < 0) { /* libcurl finds the error when it tries; libuv stopped the watch */
		flags = CURL_CSELECT_IN | CURL_CSELECT_OUT;
		uv_poll_start(poll, watched->events, on_socket);
	}
	curl_multi_socket_action(http->multi, watched->fd, flags, &running);
	deliver(http);
}

static struct watched *watch(struct fl_http *http, curl_socket_t fd)
{
	struct watched *watched = calloc(1, sizeof(*watched));

	if (!watched)
		return NULL;
	watched->http = http;
	watched->fd = fd;
	if (uv_poll_init_socket(http->loop, &watched->poll, fd) < 0) {
		free(watched);
		return NULL;
	}
	watched->poll.data = watched;
	http->handles++;
	curl_multi_assign(http->multi, fd, watched);
	return watched;
}

static void unwatch(struct watched *watched)
{
	uv_poll_stop(&watched->poll); /* at once: libcurl closes the descriptor next */
	uv_close((uv_handle_t *)&watched->poll, on_watched_closed);
}

static int watch_socket(CURL *easy, curl_socket_t fd, int what, void *context, void *socket_context)
{
	struct fl_http *http = context;
	struct watched *watched = socket_context;
	int events =
		(what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (watched)
			unwatch(watched);
		return 0;
	}
	if (!watched)
		watched = watch(http, fd);
	if (!watched)
		return -1; /* libcurl gives the transfers up */
	watched->events = events;
	return uv_poll_start(&watched->poll, events, on_socket) < 0 ? -1 : 0;
}

/* --------------------------------------------------------------------- open */

static int init_result;

static void init_library(void)
{
	init_result = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? 0 : -ENOMEM;
}

/* Find out now what would fail at each connection. */
static int check_pem(const char *path, const char *label, struct fl_failure *failure)
{
	_cleanup_close_ int fd = -1;
	_cleanup_free_ char *text = NULL;
	ssize_t length;

	if (!path)
		return 0;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return fl_fail(failure, -errno, "%s: %s", path, strerror(errno));
	text = malloc(PEM_LOOK_BYTES);
	if (!text)
		return fl_fail(failure, -ENOMEM, "out of memory");
	length = read(fd, text, PEM_LOOK_BYTES);
	if (length < 0)
		return fl_fail(failure, -errno, "%s: %s", path, strerror(errno));
	if (!memmem(text, (size_t)length, label, strlen(label)))
		return fl_fail(failure, -EINVAL, "%s: holds no %.*s in PEM", path,
			(int)(strlen(label) - strlen("-----")), label);
	return 0;
}

static int check_files(const struct fl_http_options *options, struct fl_failure *failure)
{
	int r = check_pem(options->ca, "CERTIFICATE-----", failure);

	if (r == 0)
		r = check_pem(options->cert, "CERTIFICATE-----", failure);
	if (r == 0 && options->cert)
		r = check_pem(
			options->key ? options->key : options->cert, "PRIVATE KEY-----", failure);
	return r;
}

/* @return 0, -ENOMEM */
static int copy_options(struct fl_http_options *to, const struct fl_http_options *from)
{
	const char *const sources[] = { from->ca, from->cert, from->key, from->server_name,
		from->unix_socket };
	const char **const targets[] = { &to->ca, &to->cert, &to->key, &to->server_name,
		&to->unix_socket };

	to->connections = from->connections ? from->connections : DEFAULT_CONNECTIONS;
	to->connect_ms = from->connect_ms;
	to->unverified = from->unverified;
	for (size_t i = 0; i < sizeof(sources) / sizeof(*sources); i++)
		if (sources[i] && !(*targets[i] = strdup(sources[i])))
			return -ENOMEM;
	return 0;
}

static void set_multi(struct fl_http *http)
{
	curl_multi_setopt(http->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
	curl_multi_setopt(http->multi, CURLMOPT_SOCKETDATA, http);
	curl_multi_setopt(http->multi, CURLMOPT_TIMERFUNCTION, set_timer);
	curl_multi_setopt(http->multi, CURLMOPT_TIMERDATA, http);
	curl_multi_setopt(http->multi, CURLMOPT_MAXCONNECTS, (long)http->options.connections);
}

int fl_http_open(uv_loop_t *loop, const struct fl_http_options *options, struct fl_failure *failure,
	struct fl_http **ret)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct fl_http *http;
	int r = check_files(options, failure);

	if (r < 0)
		return r;
	pthread_once(&once, init_library);
	http = calloc(1, sizeof(*http));
	if (!http || init_result < 0 || copy_options(&http->options, options) < 0 ||
		!(http->multi = curl_multi_init())) {
		if (http)
			free_options(&http->options);
		free(http);
		return fl_fail(failure, -ENOMEM, "out of memory");
	}
	http->loop = loop;
	set_multi(http);
	uv_timer_init(loop, &http->timer);
	uv_timer_init(loop, &http->patience);
	http->timer.data = http->patience.data = http;
	http->handles = 2;
	*ret = http;
	return 0;
}

/* --------------------------------------------------------------------- send */

/* @return 0, -ENOMEM */
static int enlist(struct fl_http *http, struct fl_http_call *call)
{
	if (http->running_count < http->options.connections && !http->waiting)
		return start(http, call);
	DL_APPEND(http->waiting, call);
	if (!uv_is_active((uv_handle_t *)&http->patience) ||
		call->deadline_ms < uv_now(http->loop) + uv_timer_get_due_in(&http->patience))
		await(http, call->deadline_ms);
	return 0;
}

int fl_http_send(struct fl_http *http, const struct fl_http_request *request, fl_http_done done,
	void *context, struct fl_http_call **ret)
{
	struct fl_http_call *call;
	int r = fl_http_call_new(&http->options, request, &call);

	if (r < 0)
		return r;
	call->http = http;
	call->done = done;
	call->context = context;
	call->deadline_ms = uv_now(http->loop) +
			    (request->timeout_ms ? request->timeout_ms : DEFAULT_TIMEOUT_MS);
	r = enlist(http, call);
	if (r < 0) {
		fl_http_call_free(call);
		return r;
	}
	if (ret)
		*ret = call;
	return 0;
}

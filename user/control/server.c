/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "control/server.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <utlist.h>

#include "control/listen.h"
#include "control/listener.h"
#include "control/pages.h"
#include "core/cleanup.h"
#include "core/log.h"
#include "net/bind.h"

/*
 * The life of a request: libmicrohttpd calls on_request when the headers are
 * there (check_request refuses what is wrong), again for pieces of a body (which
 * most pages have no use for: they are thrown away), and once more at its end.
 * Then the page is looked up. Its
 * first half answers on the spot; with a second half, the connection is
 * suspended until a worker thread has written it, and on_request is called once
 * more to send it.
 */

#define BODY_MAX 65536 /**< bytes of a body we are ready to read */

static const struct fl_server_limits usual_limits = {
	.connections = 64, .large = 8, .request_ms = 10000, .answer_ms = 60000
};

enum listener_kind { ON_UNIX, ON_TCP, LISTENERS };

struct fl_server {
	struct fl_server_hooks hooks;
	struct fl_server_limits limits;
	uv_loop_t *loop;
	struct fl_unix_socket unix_socket;
	struct fl_listener listeners[LISTENERS];
	struct listening {
		struct fl_server *server;
		struct fl_listener *listener;
		bool check_host; /**< a loopback listener, see fl_host_is_local */
	} listening[LISTENERS];
	struct exchange *working; /**< whose answer a worker thread writes */
	unsigned large;           /**< answers in memory that may be large */
	unsigned holders;         /**< listeners to close and workers to return */
	/* Workers that run: the one thing that another thread touches. */
	pthread_mutex_t mutex;
	pthread_cond_t idle;
	unsigned busy;
};

enum phase { BODY, WORKING, ANSWERED };

struct exchange {
	struct exchange *prev, *next; /* in server->working */
	struct listening *on;
	struct MHD_Connection *connection; /**< NULL = gone while a worker writes */
	enum phase phase;
	size_t body_bytes;
	struct fl_text body; /**< of a page that takes one */
	bool large;          /**< counted in server->large */
	uv_work_t work;
	struct fl_snapshot *snapshot; /**< kept while a worker reads it */
	struct fl_view frozen;
	const struct fl_page *page;
	struct fl_request request;
	unsigned seen_arguments; /* bits of enum fl_argument */
	struct fl_answer answer;
};

static void release_server(struct fl_server *server)
{
	if (--server->holders)
		return;
	pthread_mutex_destroy(&server->mutex);
	pthread_cond_destroy(&server->idle);
	free(server);
}

static void exchange_free(struct exchange *exchange)
{
	if (exchange->large)
		exchange->on->server->large--;
	fl_snapshot_unref(exchange->snapshot);
	fl_text_done(&exchange->answer.body);
	fl_text_done(&exchange->body);
	free(exchange);
}

/* ------------------------------------------------------------- answering */

static enum MHD_Result send_answer(struct exchange *exchange)
{
	struct fl_answer *answer = &exchange->answer;
	struct MHD_Response *response;
	enum MHD_Result result;

	if (answer->body.failed)
		fl_answer_error(answer, 500, NULL, "out of memory");
	response = MHD_create_response_from_buffer(
		answer->body.length, answer->body.data, MHD_RESPMEM_MUST_FREE);
	if (!response)
		return MHD_NO;
	answer->body = (struct fl_text){ 0 };
	MHD_add_response_header(response, "Content-Type", answer->type);
	MHD_add_response_header(response, "Cache-Control", "no-store");
	MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
	MHD_add_response_header(response, "Connection", "close");
	if (answer->status == 405)
		MHD_add_response_header(
			response, "Allow", exchange->page->act ? "POST" : "GET, HEAD");
	if (answer->status == 503)
		MHD_add_response_header(response, "Retry-After", "1");
	exchange->phase = ANSWERED;
	result = MHD_queue_response(exchange->connection, answer->status, response);
	MHD_destroy_response(response);
	return result;
}

static void write_later(uv_work_t *work)
{
	struct exchange *exchange = work->data;
	struct fl_server *server = exchange->on->server;

	exchange->page->later(&exchange->frozen, &exchange->request, &exchange->answer);
	pthread_mutex_lock(&server->mutex);
	if (--server->busy == 0)
		pthread_cond_signal(&server->idle);
	pthread_mutex_unlock(&server->mutex);
}

static void on_written(uv_work_t *work, int status)
{
	struct exchange *exchange = work->data;
	struct listening *on = exchange->on;
	struct fl_server *server = on->server;

	(void)status;
	if (exchange->connection) {
		DL_DELETE(server->working, exchange);
		MHD_resume_connection(exchange->connection);
		fl_listener_pump(on->listener);
	} else {
		exchange_free(exchange);
	}
	release_server(server);
}

static enum MHD_Result hand_to_worker(struct exchange *exchange, const struct fl_view *view)
{
	struct fl_server *server = exchange->on->server;

	if (server->large >= server->limits.large) {
		fl_answer_error(&exchange->answer, 503, "try again in a second",
			"%u large answers are being written or read already", server->large);
		return send_answer(exchange);
	}
	server->large++;
	exchange->large = true;
	if (view->applied)
		exchange->snapshot = fl_snapshot_ref((struct fl_snapshot *)view->applied);
	exchange->frozen = (struct fl_view){ .applied = exchange->snapshot,
		.maps = view->maps,
		.no_edge = view->no_edge,
		.node_path = view->node_path };
	exchange->phase = WORKING;
	exchange->work.data = exchange;
	DL_APPEND(server->working, exchange);
	server->holders++;
	pthread_mutex_lock(&server->mutex);
	server->busy++;
	pthread_mutex_unlock(&server->mutex);
	MHD_suspend_connection(exchange->connection);
	uv_queue_work(server->loop, &exchange->work, write_later, on_written);
	return MHD_YES;
}

static enum MHD_Result answer(struct exchange *exchange)
{
	struct fl_server *server = exchange->on->server;
	const struct fl_page *page = exchange->page;
	struct fl_view view = { 0 };

	server->hooks.view(server->hooks.context, &view);
	exchange->answer.status = 200;
	exchange->answer.type = "text/plain; charset=utf-8";
	if (exchange->body.failed) {
		fl_answer_error(&exchange->answer, 500, NULL, "out of memory");
		return send_answer(exchange);
	}
	if (page->act) {
		exchange->request.body = exchange->body.data;
		exchange->request.body_length = exchange->body.length;
		page->act(&server->hooks.actions, &view, &exchange->request, &exchange->answer);
		return send_answer(exchange);
	}
	if (page->now && page->now(&view, &exchange->request, &exchange->answer))
		return send_answer(exchange);
	return hand_to_worker(exchange, &view);
}

/* -------------------------------------------------------------- checking */

struct seen_headers {
	unsigned host, authorization, length, encoding;
	const char *host_value;
};

static enum MHD_Result see_header(
	void *context, enum MHD_ValueKind kind, const char *key, const char *value)
{
	struct seen_headers *seen = context;

	(void)kind;
	if (strcasecmp(key, "Host") == 0) {
		seen->host++;
		seen->host_value = value ? value : "";
	}
	seen->authorization += strcasecmp(key, "Authorization") == 0;
	seen->length += strcasecmp(key, "Content-Length") == 0;
	seen->encoding += strcasecmp(key, "Transfer-Encoding") == 0;
	return MHD_YES;
}

static bool check_headers(struct exchange *exchange, const char *version)
{
	struct fl_answer *answer = &exchange->answer;
	struct seen_headers seen = { 0 };

	MHD_get_connection_values(exchange->connection, MHD_HEADER_KIND, see_header, &seen);
	if (seen.length + seen.encoding > 1)
		fl_answer_error(answer, 400, NULL, "the request says twice how long its body is");
	else if (seen.host > 1 || seen.authorization > 1)
		fl_answer_error(answer, 400, NULL, "a header that may stand once stands twice");
	else if (!seen.host && strcmp(version, MHD_HTTP_VERSION_1_1) == 0)
		fl_answer_error(answer, 400, NULL, "the request has no Host header");
	else if (exchange->on->check_host && seen.host && !fl_host_is_local(seen.host_value))
		fl_answer_error(answer, 403,
			"use the address or localhost, or set http.listen to another address",
			"this address answers to no name but localhost");
	else
		return true;
	return false;
}

/* Where an argument goes. */
static const struct {
	const char *key;
	enum fl_argument bit;
	size_t offset, size;
} argument_rows[] = {
#define ROW(name, bit)                                                                             \
	{ #name, bit, offsetof(struct fl_request, name), sizeof(((struct fl_request *)0)->name) }
	ROW(service, FL_ARGUMENT_SERVICE),
	ROW(endpoint, FL_ARGUMENT_ENDPOINT),
	ROW(status, FL_ARGUMENT_STATUS),
	ROW(note, FL_ARGUMENT_NOTE),
	ROW(word, FL_ARGUMENT_WORD),
	ROW(weight, FL_ARGUMENT_WEIGHT),
	ROW(deadline, FL_ARGUMENT_DEADLINE),
	ROW(change, FL_ARGUMENT_CHANGE),
#undef ROW
};
#define ARGUMENTS (sizeof(argument_rows) / sizeof(argument_rows[0]))

/* One argument of the request. Stops at what is wrong with it. */
static enum MHD_Result see_argument(
	void *context, enum MHD_ValueKind kind, const char *key, const char *value)
{
	struct exchange *exchange = context;
	struct fl_request *request = &exchange->request;
	struct fl_answer *answer = &exchange->answer;
	size_t i = 0;

	(void)kind;
	while (i < ARGUMENTS && strcmp(argument_rows[i].key, key) != 0)
		i++;
	if (i == ARGUMENTS || !(exchange->page->arguments & argument_rows[i].bit))
		fl_answer_error(answer, 400, NULL, "unknown argument \"%.64s\"", key);
	else if (exchange->seen_arguments & argument_rows[i].bit)
		fl_answer_error(answer, 400, NULL, "the argument \"%s\" stands twice", key);
	else if (!fl_percent_decode(value ? value : "", (char *)request + argument_rows[i].offset,
			 argument_rows[i].size))
		fl_answer_error(answer, 400, NULL, "the argument \"%s\" is malformed", key);
	else
		exchange->seen_arguments |= argument_rows[i].bit;
	request->has_service = exchange->seen_arguments & FL_ARGUMENT_SERVICE;
	return answer->status ? MHD_NO : MHD_YES;
}

/* Whether what is asked may be done with this page, from there. */
static bool check_method(struct exchange *exchange)
{
	const struct fl_request *request = &exchange->request;
	bool reads = request->head_only || strcmp(request->method, "GET") == 0;
	bool acts = strcmp(request->method, "POST") == 0;

	if (exchange->page->act ? !acts : !reads)
		fl_answer_error(&exchange->answer, 405,
			exchange->page->act ? "this page takes POST"
					    : "this page is read: GET and HEAD",
			"%s cannot be used here", request->method);
	else if (acts && exchange->on == &exchange->on->server->listening[ON_TCP])
		fl_answer_error(&exchange->answer, 403, "use the fairlead command on the node",
			"changes are made over the Unix socket only");
	else
		return true;
	return false;
}

/* Fill exchange->request and ->page. @return false when the answer is an error */
static bool check_request(
	struct exchange *exchange, const char *url, const char *method, const char *version)
{
	struct fl_request *request = &exchange->request;
	struct fl_answer *answer = &exchange->answer;

	snprintf(request->method, sizeof(request->method), "%s", method);
	request->head_only = strcmp(method, "HEAD") == 0;
	if (!check_headers(exchange, version))
		return false;
	if (!fl_percent_decode(url, request->path, sizeof(request->path))) {
		fl_answer_error(answer, 400, NULL, "the path is malformed or longer than %d bytes",
			FL_REQUEST_PATH_MAX - 1);
		return false;
	}
	exchange->page = fl_page_find(request->path);
	if (!exchange->page) {
		fl_answer_error(answer, 404, "the list of pages is at /", "there is no page %s",
			request->path);
		return false;
	}
	if (!check_method(exchange))
		return false;
	if (!exchange->page->open)
		MHD_get_connection_values(
			exchange->connection, MHD_GET_ARGUMENT_KIND, see_argument, exchange);
	request->openmetrics = fl_accepts_openmetrics(MHD_lookup_connection_value(
		exchange->connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT));
	return !answer->status;
}

/* ------------------------------------------------ libmicrohttpd's callbacks */

static void take_body(struct exchange *exchange, const char *bytes, size_t count)
{
	exchange->body_bytes += count;
	if (exchange->body_bytes <= BODY_MAX && exchange->page && exchange->page->takes_body)
		fl_text_put(&exchange->body, bytes, count);
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *url,
	const char *method, const char *version, const char *upload, size_t *upload_size,
	void **ret)
{
	struct listening *on = context;
	struct exchange *exchange = *ret;

	if (!exchange) {
		exchange = calloc(1, sizeof(*exchange));
		if (!exchange)
			return MHD_NO;
		*ret = exchange;
		exchange->on = on;
		exchange->connection = connection;
		exchange->phase = BODY;
		check_request(exchange, url, method, version);
		return exchange->answer.status == 400 ? send_answer(exchange) : MHD_YES;
	}
	if (*upload_size) {
		take_body(exchange, upload, *upload_size);
		*upload_size = 0;
		return exchange->body_bytes > BODY_MAX ? MHD_NO : MHD_YES;
	}
	if (exchange->phase == WORKING)
		return send_answer(exchange);
	if (exchange->phase == ANSWERED)
		return MHD_YES;
	fl_listener_asked(on->listener, connection);
	return exchange->answer.status ? send_answer(exchange) : answer(exchange);
}

static void on_completed(void *context, struct MHD_Connection *connection, void **ret,
	enum MHD_RequestTerminationCode code)
{
	struct exchange *exchange = *ret;

	(void)context;
	(void)connection;
	(void)code;
	*ret = NULL;
	if (exchange && exchange->connection) /* else on_written frees it */
		exchange_free(exchange);
}

/* -------------------------------------------------------- start and stop */

static void on_listener_closed(void *context)
{
	struct listening *on = context;

	release_server(on->server);
}

static int listen_on(
	struct fl_server *server, enum listener_kind kind, int fd, struct fl_failure *failure)
{
	struct listening *on = &server->listening[kind];
	struct fl_listener *listener = &server->listeners[kind];
	int r;

	on->server = server;
	on->listener = listener;
	listener->client_max = server->limits.connections;
	listener->request_ms = server->limits.request_ms;
	listener->answer_ms = server->limits.answer_ms;
	listener->closed = on_listener_closed;
	listener->context = on;
	r = fl_listener_start(listener, server->loop, fd, on_request, on_completed, on);
	if (r < 0)
		return fl_fail(failure, r, "cannot start the HTTP server: %s", fl_log_errno(r));
	server->holders++;
	return 0;
}

static int start_unix(
	struct fl_server *server, const struct fl_config *config, struct fl_failure *failure)
{
	struct fl_unix_socket *made = &server->unix_socket;
	int r = fl_unix_socket_listen(
		config->control_socket, config->control_mode, config->control_group, failure, made);

	if (r < 0)
		return r;
	if (made->group_missing)
		fl_log(FL_LOG_WARNING, "control",
			"no such group, the control socket is for root alone",
			FL_STR("group", config->control_group), FL_STR("socket", made->path));
	return listen_on(server, ON_UNIX, TAKE_FD(made->fd), failure);
}

static int start_tcp(
	struct fl_server *server, const struct fl_config *config, struct fl_failure *failure)
{
	int fd;
	int r;

	if (!config->http.port)
		return 0;
	r = fl_bind(
		SOCK_STREAM, &config->http.addr, config->http.port, "http.listen", failure, &fd);
	if (r < 0)
		return r;
	server->listening[ON_TCP].check_host = fl_ip_is_loopback(&config->http.addr);
	return listen_on(server, ON_TCP, fd, failure);
}

int fl_server_start(const struct fl_config *config, uv_loop_t *loop,
	const struct fl_server_hooks *hooks, struct fl_failure *failure, struct fl_server **ret)
{
	struct fl_server *server = calloc(1, sizeof(*server));
	int r;

	if (!server)
		return fl_fail(failure, -ENOMEM, "out of memory");
	server->hooks = *hooks;
	server->limits = hooks->limits ? *hooks->limits : usual_limits;
	server->loop = loop;
	server->unix_socket.fd = -1;
	server->holders = 1; /* this function, then fl_server_stop */
	pthread_mutex_init(&server->mutex, NULL);
	pthread_cond_init(&server->idle, NULL);
	r = start_unix(server, config, failure);
	if (r == 0)
		r = start_tcp(server, config, failure);
	if (r < 0) {
		fl_server_stop(server);
		return r;
	}
	*ret = server;
	return 0;
}

/* Wait for the workers that run, call off those that do not, and let go of all
 * their connections: libmicrohttpd ends no suspended one. */
static void end_workers(struct fl_server *server)
{
	struct exchange *exchange, *next;

	pthread_mutex_lock(&server->mutex);
	DL_FOREACH(server->working, exchange)
		if (uv_cancel((uv_req_t *)&exchange->work) == 0)
			server->busy--;
	while (server->busy)
		pthread_cond_wait(&server->idle, &server->mutex);
	pthread_mutex_unlock(&server->mutex);
	DL_FOREACH_SAFE(server->working, exchange, next) {
		DL_DELETE(server->working, exchange);
		MHD_resume_connection(exchange->connection);
		exchange->connection = NULL; /* on_written frees it */
	}
}

void fl_server_stop(struct fl_server *server)
{
	if (!server)
		return;
	end_workers(server);
	fl_unix_socket_close(&server->unix_socket); /* before its descriptor goes */
	for (int i = 0; i < LISTENERS; i++)
		if (server->listeners[i].daemon)
			fl_listener_stop(&server->listeners[i]);
	release_server(server);
}

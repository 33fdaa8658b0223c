/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Ask for a page and look at the status, and perhaps for a text in the page. Redirects
 * are answers like others. Checks with the same TLS files share a client.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "core/cleanup.h"
#include "core/text.h"
#include "health/probe.h"
#include "net/http.h"

/* Of a page; more is a failure. */
#define PAGE_MAX ((size_t)1 << 20)
/* The checker bounds how many probes run. */
#define CONNECTIONS UINT16_MAX
/* Headers of a request, beside those of the check. */
#define OWN_HEADERS 1
#define HEADERS_MAX 32
#define HEADER_TEXT 704

struct client {
	struct client *next;
	struct fl_http *http;
	char *ca, *cert, *key;
	bool unverified;
};

struct fl_prober {
	struct client *clients;
};

struct run {
	struct fl_http_call *call;
	const struct fl_probe_target *target;
	fl_probe_done done;
	void *context;
};

/* -------------------------------------------------------------------- clients */

static int open_prober(uv_loop_t *loop, struct fl_prober **ret)
{
	(void)loop;
	*ret = calloc(1, sizeof(**ret));
	return *ret ? 0 : -ENOMEM;
}

static void free_client(struct client *client)
{
	fl_http_close(client->http);
	free(client->ca);
	free(client->cert);
	free(client->key);
	free(client);
}

static void close_prober(struct fl_prober *prober)
{
	struct client *client, *next;

	LL_FOREACH_SAFE(prober->clients, client, next)
		free_client(client);
	free(prober);
}

static bool is_for(const struct client *client, const struct fl_check *check)
{
	return client->unverified == check->tls_unverified &&
	       fl_text_is_same(client->ca, check->tls_ca) &&
	       fl_text_is_same(client->cert, check->tls_cert) &&
	       fl_text_is_same(client->key, check->tls_key);
}

static char *copy(const char *text, bool *failed)
{
	char *copied = text ? strdup(text) : NULL;

	*failed = *failed || (text && !copied);
	return copied;
}

static int new_client(uv_loop_t *loop, const struct fl_check *check, struct fl_failure *failure,
	struct client **ret)
{
	const struct fl_http_options options = {
		.ca = check->tls_ca,
		.cert = check->tls_cert,
		.key = check->tls_key,
		.unverified = check->tls_unverified,
		.connections = CONNECTIONS,
		.connect_ms = UINT32_MAX / 2, /* the checker's patience is the only one */
	};
	struct client *client = calloc(1, sizeof(*client));
	bool failed = !client;
	int r;

	if (client) {
		client->ca = copy(check->tls_ca, &failed);
		client->cert = copy(check->tls_cert, &failed);
		client->key = copy(check->tls_key, &failed);
		client->unverified = check->tls_unverified;
	}
	r = failed ? fl_fail(failure, -ENOMEM, "out of memory")
		   : fl_http_open(loop, &options, failure, &client->http);
	if (r < 0 && client)
		free_client(client);
	if (r == 0)
		*ret = client;
	return r;
}

static int find_client(struct fl_prober *prober, uv_loop_t *loop, const struct fl_check *check,
	struct fl_probe_outcome *outcome, struct client **ret)
{
	struct fl_failure failure = { 0 };
	struct client *client;
	int r;

	LL_FOREACH(prober->clients, client)
		if (is_for(client, check)) {
			*ret = client;
			return 0;
		}
	r = new_client(loop, check, &failure, &client);
	if (r < 0) {
		outcome->result = FL_PROBE_UNABLE;
		fl_probe_say(outcome, "%s", failure.message);
		return r;
	}
	LL_PREPEND(prober->clients, client);
	*ret = client;
	return 0;
}

/* ------------------------------------------------------------------------ run */

static void judge(const struct fl_check *check, const struct fl_http_answer *answer,
	struct fl_probe_outcome *outcome)
{
	outcome->result = FL_PROBE_FAILED;
	if (answer->error) {
		/* "192.0.2.1:80: Connection refused": everybody knows which endpoint it is */
		const char *words = strstr(answer->message, ": ");

		if (answer->error == -ENOMEM)
			outcome->result = FL_PROBE_UNABLE;
		fl_probe_say(outcome, "%s", words ? words + 2 : answer->message);
	} else if (!fl_check_expects(check, answer->status)) {
		fl_probe_say(outcome, "HTTP %u", answer->status);
	} else if (check->contains && !memmem(answer->body, answer->length, check->contains,
					      strlen(check->contains))) {
		fl_probe_say(outcome, "HTTP %u, but the page does not have the text in it",
			answer->status);
	} else {
		outcome->result = FL_PROBE_PASSED;
		fl_probe_say(outcome, "HTTP %u", answer->status);
	}
}

static void on_answer(void *context, struct fl_http_answer *answer)
{
	struct fl_probe_outcome outcome = FL_PROBE_OUTCOME(FL_PROBE_FAILED);
	struct run *run = context;

	judge(run->target->check, answer, &outcome);
	run->done(run->context, &outcome);
	free(run);
}

/* Headers as libcurl wants them, in memory of the caller. */
static void fill_headers(const struct fl_check *check, char (*texts)[HEADER_TEXT],
	const char *headers[HEADERS_MAX + OWN_HEADERS + 1])
{
	size_t count = 0;

	if (check->host) {
		snprintf(texts[count], HEADER_TEXT, "Host: %s", check->host);
		headers[count] = texts[count];
		count++;
	}
	for (size_t i = 0; i < check->header_count && i < HEADERS_MAX; i++, count++) {
		snprintf(texts[count], HEADER_TEXT, "%s: %s", check->headers[i].key,
			check->headers[i].value);
		headers[count] = texts[count];
	}
	headers[count] = NULL;
}

static int ask(struct run *run, struct client *client)
{
	const struct fl_check *check = run->target->check;
	const struct fl_ip *from = fl_probe_source(run->target);
	const char *path = check->https ? check->https : check->http;
	char texts[HEADERS_MAX + OWN_HEADERS][HEADER_TEXT];
	const char *headers[HEADERS_MAX + OWN_HEADERS + 1];
	char peer[FL_SOCKET_TEXT], source[FL_IP_TEXT];
	_cleanup_free_ char *url = NULL;
	struct fl_http_request request = {
		.method = check->method,
		.headers = headers,
		.peer = fl_socket_format(&run->target->addr, run->target->port, peer),
		.timeout_ms = UINT32_MAX / 2,
		.max_bytes = PAGE_MAX,
		.once = true,
		.mark = run->target->mark,
	};
	int printed =
		check->https && check->host
			? asprintf(&url, "https://%s:%u%s", check->host, run->target->port, path)
			: asprintf(&url, "%s://%s%s", check->https ? "https" : "http", peer, path);

	if (printed < 0) {
		url = NULL;
		return -ENOMEM;
	}
	request.url = url;
	if (from)
		request.source = fl_ip_format(from, source);
	fill_headers(check, texts, headers);
	return fl_http_send(client->http, &request, on_answer, run, &run->call);
}

static int start(struct fl_prober *prober, uv_loop_t *loop, const struct fl_probe_target *target,
	fl_probe_done done, void *context, struct fl_probe_outcome *outcome, void **ret)
{
	struct client *client;
	struct run *run;
	int r = find_client(prober, loop, target->check, outcome, &client);

	if (r < 0)
		return r;
	run = calloc(1, sizeof(*run));
	if (!run)
		return fl_probe_errno(outcome, ENOMEM);
	*run = (struct run){ .target = target, .done = done, .context = context };
	r = ask(run, client);
	if (r < 0) {
		free(run);
		return fl_probe_errno(outcome, r);
	}
	*ret = run;
	return 0;
}

static void cancel(void *context)
{
	struct run *run = context;

	fl_http_cancel(run->call);
	free(run);
}

const struct fl_probe_driver fl_probe_http = {
	.open = open_prober, .close = close_prober, .start = start, .cancel = cancel
};

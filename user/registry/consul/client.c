/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "registry/consul/client.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/log.h"
#include "net/secret.h"

#define UNIX_SCHEME "unix://"

struct fl_consul_client {
	const struct fl_consul_config *config;
	struct fl_http **https; /* one for each address */
	size_t current;         /* of the addresses */
	struct fl_secret *token;
	struct fl_consul_call *calls; /* under way; doubly linked */
};

struct fl_consul_call {
	struct fl_consul_client *client;
	struct fl_consul_call *next, **link;
	struct fl_http_call *http;
	size_t address; /* it was sent to */
	fl_http_done done;
	void *context;
};

size_t fl_consul_escape(const char *text, char *buffer, size_t size)
{
	size_t length = 0;

	for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
		bool is_plain = isalnum(*c) || strchr("-._~/", *c);

		if (length + 4 > size)
			break;
		length += (size_t)sprintf(buffer + length, is_plain ? "%c" : "%%%02X", *c);
	}
	if (size)
		buffer[length] = '\0';
	return length;
}

const char *fl_consul_client_url(const struct fl_consul_client *client)
{
	return client->config->urls[client->current];
}

/* ---------------------------------------------------------------- open, close */

static bool is_unix(const char *url)
{
	return strncmp(url, UNIX_SCHEME, strlen(UNIX_SCHEME)) == 0;
}

static int open_address(struct fl_consul_client *client, uv_loop_t *loop, const char *url,
	struct fl_failure *failure, struct fl_http **ret)
{
	const struct fl_consul_config *config = client->config;
	struct fl_http_options options = {
		.ca = config->tls.ca,
		.cert = config->tls.cert,
		.key = config->tls.key,
		.server_name = config->tls.server_name,
		.unix_socket = is_unix(url) ? url + strlen(UNIX_SCHEME) : NULL,
		/* Blocking queries keep theirs for minutes: what is written needs some, too. */
		.connections = config->connections + 8,
	};

	return fl_http_open(loop, &options, failure, ret);
}

int fl_consul_client_open(uv_loop_t *loop, const struct fl_consul_config *config,
	struct fl_failure *failure, struct fl_consul_client **ret)
{
	struct fl_consul_client *client = calloc(1, sizeof(*client));
	int r = 0;

	if (!client)
		return -ENOMEM;
	client->config = config;
	client->https = calloc(config->url_count + 1, sizeof(struct fl_http *));
	if (config->token_file)
		client->token = fl_secret_open(config->token_file);
	if (!client->https || (config->token_file && !client->token))
		r = -ENOMEM;
	for (size_t i = 0; i < config->url_count && r == 0; i++)
		r = open_address(client, loop, config->urls[i], failure, &client->https[i]);
	if (r < 0) {
		fl_consul_client_close(client);
		return r;
	}
	*ret = client;
	return 0;
}

static void call_free(struct fl_consul_call *call)
{
	*call->link = call->next;
	if (call->next)
		call->next->link = call->link;
	free(call);
}

void fl_consul_client_close(struct fl_consul_client *client)
{
	if (!client)
		return;
	while (client->calls)
		fl_consul_client_cancel(client->calls);
	for (size_t i = 0; client->https && i < client->config->url_count; i++)
		fl_http_close(client->https[i]);
	free(client->https);
	fl_secret_close(client->token);
	free(client);
}

/* ----------------------------------------------------------------------- send */

static void on_done(void *context, struct fl_http_answer *answer)
{
	struct fl_consul_call *call = context;
	struct fl_consul_client *client = call->client;
	fl_http_done done = call->done;
	void *its_context = call->context;

	if (answer->error && call->address == client->current)
		client->current = (client->current + 1) % client->config->url_count;
	if (!answer->error && answer->status == 403 && client->token)
		fl_secret_refused(client->token);
	call_free(call);
	done(its_context, answer);
}

static void add_parameter(FILE *out, char *separator, const char *name, const char *value)
{
	char escaped[3 * 256 + 1];

	if (!value)
		return;
	fl_consul_escape(value, escaped, sizeof(escaped));
	fprintf(out, "%c%s=%s", *separator, name, escaped);
	*separator = '&';
}

/* @return to be freed, NULL = out of memory */
static char *url_of(const struct fl_consul_client *client, const struct fl_consul_request *request)
{
	const struct fl_consul_config *config = client->config;
	const char *base = fl_consul_client_url(client);
	char separator = strchr(request->path, '?') ? '&' : '?';
	size_t length = 0, base_length;
	char *url = NULL;
	FILE *out = open_memstream(&url, &length);

	if (!out)
		return NULL;
	if (is_unix(base))
		base = "http://localhost";
	base_length = strlen(base);
	while (base_length && base[base_length - 1] == '/')
		base_length--;
	fprintf(out, "%.*s%s", (int)base_length, base, request->path);
	if (request->scoped) {
		add_parameter(out, &separator, "dc", config->datacenter);
		add_parameter(out, &separator, "ns", config->namespace);
		add_parameter(out, &separator, "partition", config->partition);
	}
	if (fclose(out) == 0)
		return url;
	free(url);
	return NULL;
}

/* @param ret  to be freed; NULL = no token is configured */
static int token_header(struct fl_consul_client *client, struct fl_failure *failure, char **ret)
{
	const char *token;
	int r;

	*ret = NULL;
	if (!client->token)
		return 0;
	r = fl_secret_get(client->token, &token);
	if (r < 0)
		return fl_fail(failure, r, "token_file %s: %s", client->config->token_file,
			r == -EINVAL ? "holds no token" : fl_log_errno(r));
	if (asprintf(ret, "X-Consul-Token: %s", token) >= 0)
		return 0;
	*ret = NULL;
	return -ENOMEM;
}

int fl_consul_client_send(struct fl_consul_client *client, const struct fl_consul_request *request,
	fl_http_done done, void *context, struct fl_failure *failure, struct fl_consul_call **ret)
{
	_cleanup_free_ char *url = url_of(client, request);
	_cleanup_free_ char *token = NULL;
	struct fl_consul_call *call = calloc(1, sizeof(*call));
	int r = url && call ? token_header(client, failure, &token) : -ENOMEM;
	const char *headers[] = { token, NULL };
	struct fl_http_request http = {
		.method = request->method,
		.url = url,
		.headers = headers,
		.body = request->body,
		.length = request->body ? strlen(request->body) : 0,
		.timeout_ms = request->timeout_ms,
		.max_bytes = request->max_bytes,
	};

	if (r < 0) {
		free(call);
		return r;
	}
	*call = (struct fl_consul_call){ client, client->calls, &client->calls, NULL,
		client->current, done, context };
	r = fl_http_send(client->https[client->current], &http, on_done, call, &call->http);
	if (r < 0) {
		free(call);
		return r;
	}
	if (call->next)
		call->next->link = &call->next;
	client->calls = call;
	if (ret)
		*ret = call;
	return 0;
}

void fl_consul_client_cancel(struct fl_consul_call *call)
{
	fl_http_cancel(call->http);
	call_free(call);
}

/* -------------------------------------------------------------------- explain */

static const struct {
	unsigned status;
	const char *hint;
} hints[] = {
	{ 400, "check filter and datacenter; namespace and partition need Consul Enterprise" },
	{ 403, "the ACL token (token_file) is unknown or may not do this" },
	{ 413, "the value is larger than Consul takes" },
	{ 429, "a rate limit, or http_max_conns_per_client (see connections), is reached" },
	{ 500, "Consul cannot answer now" },
	{ 503, "no server could answer: out of reach, or rate limited" },
};

char *fl_consul_explain(const struct fl_consul_client *client, const struct fl_http_answer *answer,
	char *buffer, size_t size)
{
	const char *hint = "";
	int shown = 0;

	if (answer->error) {
		snprintf(buffer, size, "%s: %s", fl_consul_client_url(client),
			*answer->message ? answer->message : fl_log_errno(answer->error));
		return buffer;
	}
	for (size_t i = 0; i < sizeof(hints) / sizeof(hints[0]); i++)
		if (hints[i].status == answer->status)
			hint = hints[i].hint;
	if (answer->body && strstr(answer->body, "boolean expression")) /* with 500 (1.22) */
		hint = "the filter is wrong";
	/* Consul says why in plain text; of a page somebody else sent, the first line tells. */
	while (answer->body && shown < 120 && (size_t)shown < answer->length &&
		(unsigned char)answer->body[shown] >= 0x20)
		shown++;
	snprintf(buffer, size, "%s: %u %.*s%s%s", fl_consul_client_url(client), answer->status,
		shown, answer->body ? answer->body : "", *hint ? ": " : "", hint);
	return buffer;
}

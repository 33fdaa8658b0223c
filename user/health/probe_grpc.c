/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * grpc.health.v1.Health/Check over HTTP/2 without TLS. The two messages are small enough
 * to be written and read by hand (protobuf encoding; gRPC over HTTP/2, "Length-Prefixed-
 * Message"): healthy is HTTP 200, grpc-status 0 and SERVING.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "health/probe.h"
#include "net/http.h"

#define CONNECTIONS UINT16_MAX
#define ANSWER_MAX  4096
#define PREFIX      5 /* flag byte and length of a message */
#define SERVICE_MAX 255
#define SERVING     1

struct fl_prober {
	struct fl_http *http;
};

struct run {
	struct fl_http_call *call;
	const struct fl_probe_target *target;
	fl_probe_done done;
	void *context;
};

static int open_prober(uv_loop_t *loop, struct fl_prober **ret)
{
	const struct fl_http_options options = { .connections = CONNECTIONS,
		.connect_ms = UINT32_MAX / 2 };
	struct fl_failure failure = { 0 };
	struct fl_prober *prober = calloc(1, sizeof(*prober));
	int r = prober ? fl_http_open(loop, &options, &failure, &prober->http) : -ENOMEM;

	if (r < 0)
		free(prober);
	else
		*ret = prober;
	return r;
}

static void close_prober(struct fl_prober *prober)
{
	fl_http_close(prober->http);
	free(prober);
}

/* ------------------------------------------------------------------- messages */

/* HealthCheckRequest: field 1 is the service's name. @return bytes written */
static size_t put_request(const char *service, unsigned char *out)
{
	size_t length = strlen(service), message = length ? length + (length > 127 ? 3 : 2) : 0;
	unsigned char *at = out + PREFIX;

	memset(out, 0, PREFIX);
	out[3] = (unsigned char)(message >> 8);
	out[4] = (unsigned char)message;
	if (!length)
		return PREFIX;
	*at++ = 0x0a; /* field 1, length-delimited */
	if (length > 127) {
		*at++ = (unsigned char)(length | 0x80);
		*at++ = (unsigned char)(length >> 7);
	} else {
		*at++ = (unsigned char)length;
	}
	memcpy(at, service, length);
	return PREFIX + message;
}

/* HealthCheckResponse: field 1 is the status, absent = 0. @return it, -1 = no such message */
static int read_status(const unsigned char *bytes, size_t length)
{
	size_t message;

	if (length < PREFIX || bytes[0] != 0)
		return -1;
	message =
		(size_t)bytes[1] << 24 | (size_t)bytes[2] << 16 | (size_t)bytes[3] << 8 | bytes[4];
	if (message != length - PREFIX)
		return -1;
	if (message == 0)
		return 0;
	return message == 2 && bytes[PREFIX] == 0x08 && bytes[PREFIX + 1] < 0x80 ? bytes[PREFIX + 1]
										 : -1;
}

/* ------------------------------------------------------------------------ run */

static const char *status_name(int status)
{
	static const char *const names[] = { "UNKNOWN", "SERVING", "NOT_SERVING",
		"SERVICE_UNKNOWN" };

	return status < 0 || status > 3 ? "an answer that is no health" : names[status];
}

static void judge(const struct fl_http_answer *answer, struct fl_probe_outcome *outcome)
{
	char code[16], words[96];
	bool known, said;
	int status;

	if (answer->error) {
		const char *text = strstr(answer->message, ": ");

		if (answer->error == -ENOMEM)
			outcome->result = FL_PROBE_UNABLE;
		fl_probe_say(outcome, "%s", text ? text + 2 : answer->message);
		return;
	}
	if (answer->status != 200) {
		fl_probe_say(outcome, "HTTP %u", answer->status);
		return;
	}
	known = fl_http_header(answer, "grpc-status", code, sizeof(code));
	said = fl_http_header(answer, "grpc-message", words, sizeof(words)) && *words;
	if (!known || strcmp(code, "0") != 0) {
		fl_probe_say(outcome, "grpc-status %s%s%s", known ? code : "is missing",
			said ? ": " : "", said ? words : "");
		return;
	}
	status = read_status((const unsigned char *)answer->body, answer->length);
	outcome->result = status == SERVING ? FL_PROBE_PASSED : FL_PROBE_FAILED;
	fl_probe_say(outcome, "%s", status_name(status));
}

static void on_answer(void *context, struct fl_http_answer *answer)
{
	struct fl_probe_outcome outcome = FL_PROBE_OUTCOME(FL_PROBE_FAILED);
	struct run *run = context;

	judge(answer, &outcome);
	run->done(run->context, &outcome);
	free(run);
}

static int ask(struct fl_prober *prober, struct run *run)
{
	const struct fl_check *check = run->target->check;
	const struct fl_ip *from = fl_probe_source(run->target);
	char host[300], url[FL_SOCKET_TEXT + 64], peer[FL_SOCKET_TEXT], source[FL_IP_TEXT];
	const char *headers[] = { "content-type: application/grpc", "te: trailers",
		check->host ? host : NULL, NULL };
	unsigned char message[PREFIX + 3 + SERVICE_MAX];
	struct fl_http_request request = {
		.method = "POST",
		.url = url,
		.headers = headers,
		.body = message,
		.length = put_request(check->grpc, message),
		.timeout_ms = UINT32_MAX / 2,
		.max_bytes = ANSWER_MAX,
		.once = true,
		.mark = run->target->mark,
		.http2 = true,
	};

	fl_socket_format(&run->target->addr, run->target->port, peer);
	snprintf(url, sizeof(url), "http://%s/grpc.health.v1.Health/Check", peer);
	snprintf(host, sizeof(host), "Host: %s", check->host ? check->host : "");
	if (from)
		request.source = fl_ip_format(from, source);
	return fl_http_send(prober->http, &request, on_answer, run, &run->call);
}

static int start(struct fl_prober *prober, uv_loop_t *loop, const struct fl_probe_target *target,
	fl_probe_done done, void *context, struct fl_probe_outcome *outcome, void **ret)
{
	struct run *run = calloc(1, sizeof(*run));
	int r;

	(void)loop;
	if (!run)
		return fl_probe_errno(outcome, ENOMEM);
	*run = (struct run){ .target = target, .done = done, .context = context };
	r = ask(prober, run);
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

const struct fl_probe_driver fl_probe_grpc = {
	.open = open_prober, .close = close_prober, .start = start, .cancel = cancel
};

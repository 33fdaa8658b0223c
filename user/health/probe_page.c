/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * http without TLS, when only the status matters: the most frequent of all checks, and
 * the first line of the answer tells all (RFC 9112, 4). So it needs no HTTP client, which
 * would cost ten times as much. What has to be read out of a page, or over TLS, is
 * probe_http.c's.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/text.h"
#include "health/talk.h"

/* "HTTP/1.1 200" */
#define STATUS_AT     9
#define STATUS_LENGTH 12

static char *question(const struct fl_probe_target *target, size_t *ret_length)
{
	const struct fl_check *check = target->check;
	struct fl_text text = { 0 };
	char host[FL_SOCKET_TEXT];

	fl_text_printf(&text,
		"%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: fairlead/" FL_VERSION
		"\r\nAccept: */*\r\nConnection: close\r\n",
		check->method ? check->method : "GET", check->http,
		check->host ? check->host : fl_socket_format(&target->addr, target->port, host));
	for (size_t i = 0; i < check->header_count; i++)
		fl_text_printf(&text, "%s: %s\r\n", check->headers[i].key, check->headers[i].value);
	fl_text_puts(&text, "\r\n");
	*ret_length = text.failed ? 1 : text.length;
	if (!text.failed)
		return text.data;
	fl_text_done(&text);
	return NULL;
}

/* @return the status, 0 = it is none of HTTP/1 */
static unsigned read_status(const char *line)
{
	unsigned status = 0;

	if (strncmp(line, "HTTP/1.", 7) != 0 || line[STATUS_AT - 1] != ' ')
		return 0;
	for (int i = STATUS_AT; i < STATUS_LENGTH; i++) {
		if (line[i] < '0' || line[i] > '9')
			return 0;
		status = status * 10 + (unsigned)(line[i] - '0');
	}
	return status;
}

/* Behind an interim answer (100-199) comes another one. @return NULL = not yet */
static const char *after_interim(const char *answer, const char *end)
{
	const char *blank = memmem(answer, (size_t)(end - answer), "\r\n\r\n", 4);

	return blank ? blank + 4 : NULL;
}

static bool judge(const struct fl_probe_target *target, const char *answer, size_t length,
	bool over, struct fl_probe_outcome *outcome)
{
	const char *end = answer + length;

	while (answer && end - answer >= STATUS_LENGTH) {
		unsigned status = read_status(answer);

		if (!status) {
			fl_probe_say(outcome, "the answer is no HTTP/1");
			return true;
		}
		if (status >= 200) {
			if (fl_check_expects(target->check, status))
				outcome->result = FL_PROBE_PASSED;
			fl_probe_say(outcome, "HTTP %u", status);
			return true;
		}
		answer = after_interim(answer, end);
	}
	fl_probe_say(outcome, "closed without a whole answer");
	return over;
}

static const struct fl_talk_kind kind = { question, NULL, judge };

static int start(struct fl_prober *prober, uv_loop_t *loop, const struct fl_probe_target *target,
	fl_probe_done done, void *context, struct fl_probe_outcome *outcome, void **ret)
{
	(void)prober;
	return fl_talk_start(&kind, loop, target, done, context, outcome, ret);
}

const struct fl_probe_driver fl_probe_page = { .start = start, .cancel = fl_talk_cancel };

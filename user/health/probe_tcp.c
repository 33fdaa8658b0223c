/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Connect; perhaps send a text; perhaps wait until the answer has a text in it, or for the
 * line that an agent says. The
 * connection is reset in the end: thousands of probes a second would fill the node
 * with connections in TIME_WAIT otherwise.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "health/probe.h"

/* Of an answer that is searched for a text. */
#define ANSWER_MAX 16384

struct run {
	uv_poll_t poll;
	int fd;
	const struct fl_probe_target *target;
	fl_probe_done done;
	void *context;
	size_t sent;
	char *answer; /* NULL = nothing is waited for */
	size_t length;
};

static void on_closed(uv_handle_t *handle)
{
	struct run *run = handle->data;

	free(run->answer);
	free(run);
}

static void cancel(void *context)
{
	struct run *run = context;

	uv_poll_stop(&run->poll);
	close(TAKE_FD(run->fd));
	uv_close((uv_handle_t *)&run->poll, on_closed);
}

/* The run goes first: whoever hears of it may begin another. */
static void finish(struct run *run, const struct fl_probe_outcome *outcome)
{
	fl_probe_done done = run->done;
	void *context = run->context;

	cancel(run);
	done(context, outcome);
}

static void fail_errno(struct run *run, int code)
{
	struct fl_probe_outcome outcome = FL_PROBE_OUTCOME(FL_PROBE_FAILED);

	fl_probe_errno(&outcome, code);
	finish(run, &outcome);
}

static void pass(struct run *run, const char *detail)
{
	struct fl_probe_outcome outcome = FL_PROBE_OUTCOME(FL_PROBE_PASSED);

	fl_probe_say(&outcome, "%s", detail);
	finish(run, &outcome);
}

static void fail(struct run *run, const char *detail)
{
	struct fl_probe_outcome outcome = FL_PROBE_OUTCOME(FL_PROBE_FAILED);

	fl_probe_say(&outcome, "%s", detail);
	finish(run, &outcome);
}

/* The line of an agent. */
static void read_line(struct run *run, bool closed)
{
	size_t length = 0;
	char line[FL_DETAIL_MAX];

	while (length < run->length && run->answer[length] != '\n' && run->answer[length] != '\r')
		length++;
	if (length == run->length && !closed && length < ANSWER_MAX)
		return;
	if (!length) {
		fail(run, "closed without a word");
		return;
	}
	snprintf(line, sizeof(line), "%.*s", (int)length, run->answer);
	pass(run, line);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct run *run = poll->data;
	const char *wanted = run->target->check->contains;
	ssize_t count = recv(run->fd, run->answer + run->length, ANSWER_MAX - run->length, 0);

	(void)status, (void)events;
	if (count < 0 && errno == EAGAIN)
		return;
	if (count < 0) {
		fail_errno(run, errno);
		return;
	}
	run->length += (size_t)count;
	if (!wanted)
		read_line(run, count == 0);
	else if (memmem(run->answer, run->length, wanted, strlen(wanted)))
		pass(run, "connected, the answer fits");
	else if (count == 0)
		fail(run, "closed, and the answer does not have the text in it");
	else if (run->length == ANSWER_MAX)
		fail(run, "a long answer that does not have the text in it");
}

static void after_sending(struct run *run)
{
	if (!run->target->check->contains && !run->target->check->agent) {
		pass(run, "connected");
		return;
	}
	run->answer = malloc(ANSWER_MAX);
	if (!run->answer)
		fail_errno(run, ENOMEM);
	else
		uv_poll_start(&run->poll, UV_READABLE, on_readable);
}

static void on_writable(uv_poll_t *poll, int status, int events)
{
	struct run *run = poll->data;
	const char *text = run->target->check->send;
	socklen_t length = sizeof(int);
	int code = 0;
	ssize_t count;

	(void)status, (void)events;
	if (getsockopt(run->fd, SOL_SOCKET, SO_ERROR, &code, &length) < 0)
		code = errno;
	if (code) {
		fail_errno(run, code);
		return;
	}
	while (text && run->sent < strlen(text)) {
		count = send(run->fd, text + run->sent, strlen(text) - run->sent, MSG_NOSIGNAL);
		if (count < 0 && errno == EAGAIN)
			return;
		if (count < 0) {
			fail_errno(run, errno);
			return;
		}
		run->sent += (size_t)count;
	}
	after_sending(run);
}

static int start(struct fl_prober *prober, uv_loop_t *loop, const struct fl_probe_target *target,
	fl_probe_done done, void *context, struct fl_probe_outcome *outcome, void **ret)
{
	const struct linger reset = { .l_onoff = 1 };
	_cleanup_close_ int fd = fl_probe_connect(target, SOCK_STREAM, outcome);
	struct run *run;

	(void)prober;
	if (fd < 0)
		return fd;
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	run = calloc(1, sizeof(*run));
	if (!run || uv_poll_init_socket(loop, &run->poll, fd) < 0) {
		free(run);
		return fl_probe_errno(outcome, ENOMEM);
	}
	run->poll.data = run;
	run->fd = TAKE_FD(fd);
	run->target = target;
	run->done = done;
	run->context = context;
	uv_poll_start(&run->poll, UV_WRITABLE, on_writable);
	*ret = run;
	return 0;
}

const struct fl_probe_driver fl_probe_tcp = { .start = start, .cancel = cancel };

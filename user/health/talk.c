/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "health/talk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/cleanup.h"

struct talk {
	uv_poll_t poll;
	int fd;
	const struct fl_talk_kind *kind;
	const struct fl_probe_target *target;
	fl_probe_done done;
	void *context;
	char *question; /* NULL = nothing is said */
	size_t question_length, said;
	char *answer; /* NULL = nothing was heard yet */
	size_t length;
};

static void on_closed(uv_handle_t *handle)
{
	struct talk *talk = handle->data;

	free(talk->question);
	free(talk->answer);
	free(talk);
}

void fl_talk_cancel(void *run)
{
	struct talk *talk = run;

	uv_poll_stop(&talk->poll);
	close(TAKE_FD(talk->fd));
	uv_close((uv_handle_t *)&talk->poll, on_closed);
}

/* The talk goes first: whoever hears of it may begin another. */
static void finish(struct talk *talk, const struct fl_probe_outcome *outcome)
{
	fl_probe_done done = talk->done;
	void *context = talk->context;

	fl_talk_cancel(talk);
	done(context, outcome);
}

static void fail(struct talk *talk, int code)
{
	struct fl_probe_outcome outcome = FL_PROBE_OUTCOME(FL_PROBE_FAILED);

	fl_probe_errno(&outcome, code);
	finish(talk, &outcome);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct fl_probe_outcome outcome = FL_PROBE_OUTCOME(FL_PROBE_FAILED);
	struct talk *talk = poll->data;
	ssize_t count;

	(void)status, (void)events;
	if (!talk->answer && !(talk->answer = malloc(FL_TALK_MAX))) {
		fail(talk, ENOMEM);
		return;
	}
	count = recv(talk->fd, talk->answer + talk->length, FL_TALK_MAX - talk->length, 0);
	if (count < 0 && errno == EAGAIN)
		return;
	if (count < 0) {
		fail(talk, errno);
		return;
	}
	talk->length += (size_t)count;
	if (talk->kind->judge(talk->target, talk->answer, talk->length,
		    count == 0 || talk->length == FL_TALK_MAX, &outcome))
		finish(talk, &outcome);
}

static void listen_to(struct talk *talk)
{
	struct fl_probe_outcome outcome = FL_PROBE_OUTCOME(FL_PROBE_PASSED);

	if (talk->kind->is_mute && talk->kind->is_mute(talk->target)) {
		fl_probe_say(&outcome, "connected");
		finish(talk, &outcome);
	} else {
		uv_poll_start(&talk->poll, UV_READABLE, on_readable);
	}
}

/* Connected, or not; or there is room for more of the question. */
static void on_writable(uv_poll_t *poll, int status, int events)
{
	struct talk *talk = poll->data;
	socklen_t length = sizeof(int);
	int code = 0;

	(void)status, (void)events;
	if (!talk->said && getsockopt(talk->fd, SOL_SOCKET, SO_ERROR, &code, &length) < 0)
		code = errno;
	while (!code && talk->said < talk->question_length) {
		ssize_t count = send(talk->fd, talk->question + talk->said,
			talk->question_length - talk->said, MSG_NOSIGNAL);

		if (count < 0 && errno == EAGAIN)
			return;
		if (count < 0)
			code = errno;
		else
			talk->said += (size_t)count;
	}
	if (code)
		fail(talk, code);
	else
		listen_to(talk);
}

int fl_talk_start(const struct fl_talk_kind *kind, uv_loop_t *loop,
	const struct fl_probe_target *target, fl_probe_done done, void *context,
	struct fl_probe_outcome *outcome, void **ret)
{
	const struct linger reset = { .l_onoff = 1 };
	_cleanup_close_ int fd = fl_probe_connect(target, SOCK_STREAM, outcome);
	struct talk *talk;

	if (fd < 0)
		return fd;
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	talk = calloc(1, sizeof(*talk));
	if (!talk)
		return fl_probe_errno(outcome, ENOMEM);
	talk->question = kind->question(target, &talk->question_length);
	if ((talk->question_length && !talk->question) ||
		uv_poll_init_socket(loop, &talk->poll, fd) < 0) {
		free(talk->question);
		free(talk);
		return fl_probe_errno(outcome, ENOMEM);
	}
	talk->poll.data = talk;
	talk->fd = TAKE_FD(fd);
	talk->kind = kind;
	talk->target = target;
	talk->done = done;
	talk->context = context;
	uv_poll_start(&talk->poll, UV_WRITABLE, on_writable);
	*ret = talk;
	return 0;
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Send a datagram. If an answer with some text in it is expected, it must come; else only
 * a "port unreachable" is a failure, and silence is none.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "health/probe.h"

#define ANSWER_MAX 16384

struct run {
	uv_poll_t poll;
	int fd;
	const struct fl_probe_target *target;
	fl_probe_done done;
	void *context;
};

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void cancel(void *context)
{
	struct run *run = context;

	uv_poll_stop(&run->poll);
	close(TAKE_FD(run->fd));
	uv_close((uv_handle_t *)&run->poll, on_closed);
}

static void finish(struct run *run, const struct fl_probe_outcome *outcome)
{
	fl_probe_done done = run->done;
	void *context = run->context;

	cancel(run);
	done(context, outcome);
}

/* An answer without the text is somebody's late one, or none of ours: wait on. */
static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct fl_probe_outcome outcome = FL_PROBE_OUTCOME(FL_PROBE_PASSED);
	struct run *run = poll->data;
	const char *wanted = run->target->check->contains;
	char answer[ANSWER_MAX];
	ssize_t count = recv(run->fd, answer, sizeof(answer), 0);

	(void)status, (void)events;
	if (count < 0 && errno == EAGAIN)
		return;
	if (count < 0)
		fl_probe_errno(&outcome, errno);
	else if (wanted && !memmem(answer, (size_t)count, wanted, strlen(wanted)))
		return;
	else
		fl_probe_say(&outcome, "%s", wanted ? "the answer fits" : "answered");
	finish(run, &outcome);
}

static int start(struct fl_prober *prober, uv_loop_t *loop, const struct fl_probe_target *target,
	fl_probe_done done, void *context, struct fl_probe_outcome *outcome, void **ret)
{
	const char *text = target->check->send ? target->check->send : "";
	_cleanup_close_ int fd = fl_probe_connect(target, SOCK_DGRAM, outcome);
	struct run *run;

	(void)prober;
	if (fd < 0)
		return fd;
	if (send(fd, text, strlen(text), 0) < 0)
		return fl_probe_errno(outcome, errno);
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
	uv_poll_start(&run->poll, UV_READABLE, on_readable);
	*ret = run;
	return 0;
}

static void expire(void *context, struct fl_probe_outcome *outcome)
{
	struct run *run = context;

	if (!run->target->check->contains) {
		outcome->result = FL_PROBE_PASSED;
		fl_probe_say(outcome, "sent, and nobody complained");
	}
	cancel(run);
}

const struct fl_probe_driver fl_probe_udp = { .start = start, .cancel = cancel, .expire = expire };

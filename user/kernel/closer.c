/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "kernel/closer.h"

#include <errno.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/capabilities.h"
#include "core/log.h"

struct fl_closer {
	uv_poll_t poll;
	int fd; /* the agent's end */
	pid_t process;
	bool busy; /* a walk is under way */
	bool dead;
	struct fl_closer_hooks hooks;
};

/* One message of the process: a socket, or the end of the walk. */
struct message {
	enum { MET, WALKED } kind;
	int error;
	struct fl_stale_socket socket;
};

/* ------------------------------------------------------------------ the process */

static int tell_met(void *context, const struct fl_stale_socket *socket)
{
	const struct message message = { .kind = MET, .socket = *socket };
	const int *fd = context;

	return send(*fd, &message, sizeof(message), MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* Of what root has, only what walks need. */
#define CAPABILITIES                                                                               \
	(1ull << CAP_SYS_ADMIN | 1ull << CAP_SYS_PTRACE | 1ull << CAP_NET_ADMIN |                  \
		1ull << CAP_BPF | 1ull << CAP_PERFMON)

/* Everything else that the agent has open is none of its business. */
static void close_others(const int *keep, size_t count)
{
	for (int fd = 3; fd < 1024; fd++) {
		bool kept = false;

		for (size_t i = 0; i < count; i++)
			kept |= keep[i] == fd;
		if (!kept)
			close(fd);
	}
	close_range(1024, ~0u, 0);
}

static void live(const struct fl_sock_walk *walk, int fd)
{
	const int keep[] = { fd, walk->find, walk->tcp, walk->udp };
	char word;

	prctl(PR_SET_NAME, "fairlead-closer", 0, 0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	signal(SIGTERM, SIG_IGN); /* whoever ends the group wants the agent's end to decide */
	signal(SIGINT, SIG_IGN);
	close_others(keep, sizeof(keep) / sizeof(keep[0]));
	fl_capabilities_keep(CAPABILITIES);
	while (recv(fd, &word, sizeof(word), 0) == sizeof(word)) {
		struct message end = { .kind = WALKED };

		end.error = fl_sock_walk(walk, tell_met, &fd);
		if (send(fd, &end, sizeof(end), MSG_NOSIGNAL) < 0 || end.error == -EXDEV)
			break;
	}
	_exit(0);
}

/* --------------------------------------------------------------------- the agent */

static void end_walk(struct fl_closer *closer, int error)
{
	closer->busy = false;
	closer->hooks.walked(closer->hooks.context, error);
}

static void on_dead(struct fl_closer *closer)
{
	fl_log(FL_LOG_ERROR, "node", "the process that closes stale connections is gone: they stay",
		FL_INT("pid", closer->process));
	uv_poll_stop(&closer->poll);
	closer->dead = true;
	if (closer->busy)
		end_walk(closer, -EPIPE);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct fl_closer *closer = poll->data;
	struct message message;

	(void)status, (void)events;
	for (;;) {
		ssize_t length = recv(closer->fd, &message, sizeof(message), MSG_DONTWAIT);

		if (length < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (length != sizeof(message)) {
			on_dead(closer);
			return;
		}
		if (message.kind == MET) {
			closer->hooks.met(closer->hooks.context, &message.socket);
			continue;
		}
		end_walk(closer, message.error);
	}
}

int fl_closer_start(struct fl_sock_walk *walk, uv_loop_t *loop, const struct fl_closer_hooks *hooks,
	struct fl_failure *failure, struct fl_closer **ret)
{
	struct fl_closer *closer = calloc(1, sizeof(*closer));
	int ends[2];

	if (!closer)
		return fl_fail(failure, -ENOMEM, "out of memory");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) {
		free(closer);
		return fl_fail(
			failure, -errno, "cannot make a pair of sockets: %s", strerror(errno));
	}
	closer->process = fork();
	if (closer->process == 0)
		live(walk, ends[1]);
	close(ends[1]);
	if (closer->process < 0) {
		close(ends[0]);
		free(closer);
		return fl_fail(
			failure, -errno, "cannot start another process: %s", strerror(errno));
	}
	fl_sock_walk_close(walk);
	closer->fd = ends[0];
	closer->hooks = *hooks;
	closer->poll.data = closer;
	uv_poll_init(loop, &closer->poll, closer->fd);
	uv_poll_start(&closer->poll, UV_READABLE, on_readable);
	*ret = closer;
	return 0;
}

bool fl_closer_walk(struct fl_closer *closer)
{
	const char word = 'w';

	if (closer->dead || closer->busy)
		return false;
	closer->busy =
		send(closer->fd, &word, sizeof(word), MSG_NOSIGNAL | MSG_DONTWAIT) == sizeof(word);
	return closer->busy;
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

void fl_closer_stop(struct fl_closer *closer)
{
	if (!closer)
		return;
	close(closer->fd); /* which ends it */
	kill(closer->process, SIGKILL);
	waitpid(closer->process, NULL, 0);
	uv_close((uv_handle_t *)&closer->poll, on_closed);
}

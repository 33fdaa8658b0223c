/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Run a command; exit code 0 is healthy, and the first line it writes is the detail.
 *
 * No shell is involved. The command gets a process group of its own, which is killed as a
 * whole when it is over or has taken too long; no capability and no way to get one;
 * limits on CPU time, memory, files and descriptors; a small environment. What it is told
 * of the endpoint is FAIRLEAD_SERVICE, FAIRLEAD_ADDRESS and FAIRLEAD_PORT.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/capabilities.h"
#include "core/cleanup.h"
#include "health/probe.h"

#define OUTPUT_MAX     4096 /* the rest is not read */
#define ENVIRONMENT    6
#define VARIABLE_ROOM  192
#define DESCRIPTORS    64
#define FILE_BYTES     (1u << 20)
#define MEMORY_BYTES   (1u << 30)
#define NOT_RUN        127
#define P_PIDFD_NUMBER 3 /* P_PIDFD, which old headers lack */

struct run {
	uv_poll_t exit, output;
	int pidfd, fd;
	pid_t pid;
	int handles;        /* not closed yet */
	fl_probe_done done; /* NULL = nobody wants to know any more */
	void *context;
	char text[OUTPUT_MAX + 1];
	size_t length;
};

/* --------------------------------------------------------------------- the child */

/* Everything that the child needs, made before the fork: after it there is no malloc. */
struct command {
	char **argv; /* ends with NULL */
	char environment[ENVIRONMENT][VARIABLE_ROOM];
	char *envp[ENVIRONMENT + 1];
	int null, output;
	rlim_t cpu_s;
};

static void limit(int resource, rlim_t value)
{
	const struct rlimit limit = { value, value };

	setrlimit(resource, &limit);
}

static void reset_signals(void)
{
	sigset_t none;

	for (int number = 1; number < NSIG; number++)
		signal(number, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static void become(const struct command *command) __attribute__((noreturn));
static void become(const struct command *command)
{
	setsid();
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	reset_signals();
	dup2(command->null, STDIN_FILENO);
	dup2(command->output, STDOUT_FILENO);
	dup2(command->output, STDERR_FILENO);
	syscall(SYS_close_range, STDERR_FILENO + 1, ~0u, 0);
	limit(RLIMIT_CORE, 0);
	limit(RLIMIT_CPU, command->cpu_s);
	limit(RLIMIT_AS, MEMORY_BYTES);
	limit(RLIMIT_FSIZE, FILE_BYTES);
	limit(RLIMIT_NOFILE, DESCRIPTORS);
	umask(077);
	if (chdir("/") == 0) {
		fl_capabilities_keep(0);
		execve(command->argv[0], command->argv, command->envp);
	}
	_exit(NOT_RUN);
}

static void set_variable(struct command *command, size_t at, const char *name, const char *value)
{
	snprintf(command->environment[at], VARIABLE_ROOM, "%s=%s", name, value);
	command->envp[at] = command->environment[at];
}

static void fill_environment(struct command *command, const struct fl_probe_target *target)
{
	char address[FL_IP_TEXT], port[8];

	snprintf(port, sizeof(port), "%u", target->port);
	set_variable(
		command, 0, "PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
	set_variable(command, 1, "LC_ALL", "C");
	set_variable(command, 2, "HOME", "/");
	set_variable(command, 3, "FAIRLEAD_SERVICE", target->service);
	set_variable(command, 4, "FAIRLEAD_ADDRESS", fl_ip_format(&target->addr, address));
	set_variable(command, 5, "FAIRLEAD_PORT", port);
}

/* @param fd  the end that the child writes to. @return its pid, -errno */
static pid_t spawn(const struct fl_probe_target *target, int fd)
{
	const struct fl_check *check = target->check;
	_cleanup_free_ char **argv = calloc(check->exec_count + 1, sizeof(char *));
	_cleanup_close_ int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct command command = {
		.argv = argv, .null = null, .output = fd, .cpu_s = check->timeout_ms / 1000 + 1
	};
	pid_t pid;

	if (!argv || null < 0)
		return argv ? -errno : -ENOMEM;
	memcpy(argv, check->exec, check->exec_count * sizeof(char *));
	fill_environment(&command, target);
	pid = fork();
	if (pid == 0)
		become(&command);
	return pid < 0 ? -errno : pid;
}

/* --------------------------------------------------------------------- the parent */

static void on_closed(uv_handle_t *handle)
{
	struct run *run = handle->data;

	if (--run->handles == 0)
		free(run);
}

static void close_all(struct run *run)
{
	uv_poll_stop(&run->exit);
	uv_poll_stop(&run->output);
	close(TAKE_FD(run->pidfd));
	close(TAKE_FD(run->fd));
	uv_close((uv_handle_t *)&run->exit, on_closed);
	uv_close((uv_handle_t *)&run->output, on_closed);
}

/* It may not have its own group yet. */
static void kill_all(const struct run *run)
{
	kill(-run->pid, SIGKILL);
	kill(run->pid, SIGKILL);
}

/* What there is to be read. @return whether there may be more later */
static bool read_output(struct run *run)
{
	char rest[512];

	for (;;) {
		bool full = run->length == OUTPUT_MAX;
		ssize_t count =
			full ? read(run->fd, rest, sizeof(rest))
			     : read(run->fd, run->text + run->length, OUTPUT_MAX - run->length);

		if (count <= 0)
			return count < 0 && (errno == EAGAIN || errno == EINTR);
		if (!full)
			run->length += (size_t)count;
	}
}

static void on_output(uv_poll_t *poll, int status, int events)
{
	(void)status, (void)events;
	if (!read_output(poll->data))
		uv_poll_stop(poll);
}

static void describe(struct run *run, const siginfo_t *info, struct fl_probe_outcome *outcome)
{
	const char *line = run->text;
	int length;

	run->text[run->length] = '\0';
	length = (int)strcspn(line, "\r\n");
	if (info->si_code == CLD_EXITED && info->si_status == 0) {
		outcome->result = FL_PROBE_PASSED;
		fl_probe_say(outcome, "%.*s", length ? length : 11, length ? line : "exit code 0");
	} else if (info->si_code == CLD_EXITED) {
		fl_probe_say(outcome, "exit code %d%s%.*s", info->si_status, length ? ": " : "",
			length, line);
	} else {
		fl_probe_say(outcome, "killed by signal %d%s%.*s", info->si_status,
			length ? ": " : "", length, line);
	}
}

static void on_exit_(uv_poll_t *poll, int status, int events)
{
	struct fl_probe_outcome outcome = FL_PROBE_OUTCOME(FL_PROBE_FAILED);
	struct run *run = poll->data;
	fl_probe_done done = run->done;
	void *context = run->context;
	siginfo_t info = { 0 };

	(void)status, (void)events;
	if (waitid((idtype_t)P_PIDFD_NUMBER, (id_t)run->pidfd, &info, WEXITED | WNOHANG) == 0 &&
		!info.si_pid)
		return;           /* not yet */
	kill(-run->pid, SIGKILL); /* what it left behind */
	read_output(run);
	describe(run, &info, &outcome);
	close_all(run);
	if (done)
		done(context, &outcome);
}

/* A missing command says nothing about endpoints. */
static int look_for(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return -errno;
	return S_ISREG(st.st_mode) && st.st_mode & 0111 ? 0 : -EACCES;
}

static int watch(struct run *run, uv_loop_t *loop)
{
	int r = uv_poll_init(loop, &run->exit, run->pidfd);

	if (r < 0)
		return r;
	run->exit.data = run->output.data = run;
	run->handles = 1;
	r = uv_poll_init(loop, &run->output, run->fd);
	if (r < 0) {
		uv_close((uv_handle_t *)&run->exit, on_closed);
		return r;
	}
	run->handles = 2;
	uv_poll_start(&run->exit, UV_READABLE, on_exit_);
	uv_poll_start(&run->output, UV_READABLE, on_output);
	return 0;
}

static int start(struct fl_prober *prober, uv_loop_t *loop, const struct fl_probe_target *target,
	fl_probe_done done, void *context, struct fl_probe_outcome *outcome, void **ret)
{
	int r = look_for(target->check->exec[0]), ends[2] = { -1, -1 };
	struct run *run = r == 0 ? calloc(1, sizeof(*run)) : NULL;

	(void)prober;
	if (r == 0 && !run)
		r = -ENOMEM;
	if (r == 0 && pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		r = -errno;
	if (r == 0) {
		fcntl(ends[1], F_SETFL, 0); /* commands expect to wait */
		run->pid = spawn(target, ends[1]);
		r = run->pid < 0 ? run->pid : 0;
	}
	if (ends[1] >= 0)
		close(ends[1]);
	if (r == 0) {
		run->fd = TAKE_FD(ends[0]);
		run->done = done;
		run->context = context;
		run->pidfd = (int)syscall(SYS_pidfd_open, run->pid, 0);
		r = run->pidfd < 0 ? -errno : watch(run, loop);
		if (r < 0) {
			kill_all(run);
			waitpid(run->pid, NULL, 0);
			close(run->fd);
			run = run->handles ? NULL : run; /* on_closed frees it then */
		}
	}
	if (r < 0) {
		if (ends[0] >= 0)
			close(ends[0]);
		free(run);
		outcome->result = FL_PROBE_UNABLE;
		fl_probe_say(outcome, "%s: %s", target->check->exec[0], strerror(-r));
		return r;
	}
	*ret = run;
	return 0;
}

/* It is waited for, but nobody else waits for that. */
static void cancel(void *context)
{
	struct run *run = context;

	run->done = NULL;
	kill_all(run);
}

const struct fl_probe_driver fl_probe_exec = { .start = start, .cancel = cancel };

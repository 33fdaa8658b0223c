/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "subject.h"

#include <bpf/bpf.h>
#include <err.h>
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "kernel/reader.h"

#define PATIENCE_MS  60000
#define NOTIFY_PATH  "/run/bench-notify"
#define REFERENCE    "tests/bench/reference.yaml"
#define REFERENCE_ID "fairlead-bench"

/* ----------------------------------------------------------------- agent */

/** The daemon that was built with this program. */
static void daemon_path(char *buffer, size_t size)
{
	ssize_t length = readlink("/proc/self/exe", buffer, size - 1);
	int up;

	if (length < 0)
		err(1, "/proc/self/exe");
	buffer[length] = '\0';
	for (up = 0; up < 3; up++)
		*strrchr(buffer, '/') = '\0';
	strncat(buffer, "/fairleadd", size - strlen(buffer) - 1);
}

static int notify_socket(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = NOTIFY_PATH };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	unlink(NOTIFY_PATH);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		err(1, "%s", NOTIFY_PATH);
	return fd;
}

/** Wait for READY=1, or for the end of the agent. */
static void await_ready(int fd, pid_t pid)
{
	char message[4096];
	int waited, status;

	for (waited = 0; waited < PATIENCE_MS; waited += 100) {
		struct pollfd poll_fd = { fd, POLLIN, 0 };
		ssize_t length;

		if (waitpid(pid, &status, WNOHANG) == pid)
			errx(1, "the agent ended with status %d", WEXITSTATUS(status));
		if (poll(&poll_fd, 1, 100) <= 0)
			continue;
		length = recv(fd, message, sizeof(message) - 1, 0);
		message[length < 0 ? 0 : length] = '\0';
		if (strstr(message, "READY=1"))
			return;
	}
	errx(1, "the agent was not ready within %d s", PATIENCE_MS / 1000);
}

static void run_agent(const char *config)
{
	cpu_set_t all;
	char path[4096];

	daemon_path(path, sizeof(path));
	memset(&all, 0xff, sizeof(all));
	sched_setaffinity(0, sizeof(all), &all);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setenv("NOTIFY_SOCKET", NOTIFY_PATH, 1);
	if (!freopen(BENCH_AGENT_LOG, "a", stderr))
		_exit(126);
	execl(path, path, "-c", config, (char *)NULL);
	_exit(127);
}

pid_t bench_agent_start(const char *config)
{
	int fd = notify_socket();
	pid_t pid = fork();

	if (pid < 0)
		err(1, "fork");
	if (pid == 0)
		run_agent(config);
	await_ready(fd, pid);
	close(fd);
	return pid;
}

void bench_agent_stop(pid_t pid)
{
	kill(pid, SIGTERM);
	if (waitpid(pid, NULL, 0) < 0)
		err(1, "waiting for the agent to end");
}

/* --------------------------------------------------------------- subject */

/** Write the variant of reference.yaml; the text is simple enough for sed. */
static void write_config(
	struct bench_subject *s, const char *name, const char *forward, const char *interface)
{
	if (access(REFERENCE, R_OK) < 0)
		err(1, "%s (run this from the top of the source tree)", REFERENCE);
	snprintf(s->config, sizeof(s->config), "/run/bench%s.yaml", name);
	snprintf(s->bpffs, sizeof(s->bpffs), "/sys/fs/bpf/" REFERENCE_ID "%s", name);
	bench_shell("sed -e 's|" REFERENCE_ID "|&%s|' -e 's|forward: .*|forward: %s|' "
		    "-e 's|interfaces: .*|interfaces: [%s]|' " REFERENCE " > %s",
		name, forward, interface, s->config);
}

/** Every endpoint has its next hop, or it is too late. */
static void await_routes(const struct bench_subject *s)
{
	uint32_t i, count, waiting, limit = s->maps.limits.endpoints;
	int waited;

	for (waited = 0; waited < PATIENCE_MS; waited += 20) {
		for (i = 1, count = waiting = 0; i <= limit; i++) {
			count += s->maps.endpoints[i].service != 0;
			waiting += s->maps.endpoints[i].service && !s->maps.endpoints[i].nexthop;
		}
		if (count && !waiting)
			return;
		usleep(20000);
	}
	errx(1, "%u of %u endpoints have no next hop", waiting, count);
}

static uint32_t find_service(const struct fl_maps *maps, const char *name)
{
	uint32_t i;

	for (i = 1; i <= maps->limits.services; i++)
		if (!strcmp(maps->names[i].name, name))
			return i;
	errx(1, "there is no service %s in the maps", name);
}

static void save_slots(struct bench_subject *s)
{
	static const uint32_t sizes[] = FL_SIZES;
	enum fl_family family;

	for (family = 0; family < FL_FAMILIES; family++) {
		fl_region region = s->maps.services[s->service].region[family];
		uint32_t size = sizes[FL_REGION_CLASS(region)], base = FL_REGION_BASE(region);

		s->settled[family] = malloc(size * sizeof(fl_slot));
		if (!s->settled[family] || fl_maps_reach(&s->maps, FL_MAP_slots, base + size) < 0)
			errx(1, "out of memory");
		memcpy(s->settled[family], s->maps.slots + base, size * sizeof(fl_slot));
	}
}

void bench_subject_start(
	struct bench_subject *s, const char *name, const char *forward, const char *interface)
{
	struct fl_failure failure = { 0 };
	char path[256];

	write_config(s, name, forward, interface);
	s->pid = bench_agent_start(s->config);
	if (fl_maps_open(&s->maps, s->bpffs, true, &failure) < 0)
		errx(1, "%s", failure.message);
	await_routes(s);
	s->service = find_service(&s->maps, "bench");
	save_slots(s);
	snprintf(path, sizeof(path), "%s/edge", s->bpffs);
	s->edge_fd = bpf_obj_get(path);
	if (s->edge_fd < 0)
		err(1, "%s", path);
}

void bench_subject_stop(struct bench_subject *s)
{
	char path[256];

	bench_agent_stop(s->pid);
	s->pid = 0;
	/* Nor must the kernel's timer sweep a million flows that only we speak for. It
	 * ends with the last name and descriptor of its map. */
	snprintf(path, sizeof(path), "%s/maps/%s", s->bpffs, fl_map_name(FL_MAP_timers));
	if (unlink(path) < 0)
		err(1, "%s", path);
	close(s->maps.fd[FL_MAP_timers]);
	s->maps.fd[FL_MAP_timers] = -1;
}

uint64_t bench_subject_count(const struct bench_subject *s, enum fl_reason reason)
{
	uint64_t counts[FL_REASON_COUNT];

	if (fl_read_reasons(&s->maps, FL_PATH_EDGE, counts) < 0)
		errx(1, "reading the counters failed");
	return counts[reason];
}

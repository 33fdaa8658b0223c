/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "bench.h"
#include "core/clock.h"
#include "core/log.h"
#include "health/checker.h"
#include "model/merger.h"

/*
 * What it costs to probe 10 000 endpoints every 2 s, and how soon it is noticed that some of
 * them are gone. They are addresses of 127.0.0.0/8, behind which a thread answers; what the
 * kernel does on behalf of the probing thread is in its time.
 */

#define ENDPOINTS   10000
#define MORTAL      100 /* of them go and come back */
#define PER_SERVICE 100
#define INTERVAL_MS 2000
#define MEASURED_MS 10000
#define WARM_UP_MS  3000
#define FIRST       0x7f010000u /* 127.1.0.0 */
#define EVENTS      256

static const char page[] = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";

/* ------------------------------------------------------------------------ server */

struct server {
	pthread_t thread;
	int epoll, listener[2]; /* for those that stay, and for the mortal */
	uint16_t port[2];
	volatile bool stop;
};

static int listen_anywhere(uint16_t *port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(*port) };
	socklen_t length = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&address, length) < 0 || listen(fd, 4096) < 0 ||
		getsockname(fd, (struct sockaddr *)&address, &length) < 0)
		err(1, "cannot listen");
	*port = ntohs(address.sin_port);
	return fd;
}

static void watch(struct server *s, int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

	if (epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &event) < 0)
		err(1, "epoll");
}

static void accept_all(struct server *s, int listener)
{
	int fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
		watch(s, fd);
}

static void answer(int fd)
{
	char request[2048];
	ssize_t count = recv(fd, request, sizeof(request), 0);

	if (count < 0 && errno == EAGAIN)
		return;
	if (count > 0)
		send(fd, page, sizeof(page) - 1, MSG_NOSIGNAL);
	else
		close(fd);
}

static void *serve(void *context)
{
	struct epoll_event events[EVENTS];
	struct server *s = context;

	while (!s->stop) {
		int count = epoll_wait(s->epoll, events, EVENTS, 100);

		for (int i = 0; i < count; i++) {
			int fd = events[i].data.fd;

			if (fd == s->listener[0] || fd == s->listener[1])
				accept_all(s, fd);
			else
				answer(fd);
		}
	}
	return NULL;
}

static void start_server(struct server *s)
{
	s->epoll = epoll_create1(EPOLL_CLOEXEC);
	for (int i = 0; i < 2; i++) {
		s->listener[i] = listen_anywhere(&s->port[i]);
		watch(s, s->listener[i]);
	}
	if (pthread_create(&s->thread, NULL, serve, s))
		errx(1, "no thread");
}

static void stop_server(struct server *s)
{
	s->stop = true;
	pthread_join(s->thread, NULL);
	close(s->epoll);
	close(s->listener[0]);
	close(s->listener[1]);
}

/* ---------------------------------------------------------------------- declared */

static void fill_check(struct fl_check *check, const char *http)
{
	check->interval_ms = INTERVAL_MS;
	check->timeout_ms = 1000;
	check->rise = 2;
	check->fall = 3;
	check->tcp = !http;
	check->http = http ? strdup(http) : NULL;
}

static struct fl_service *make_service(size_t first, const struct server *s, const char *http)
{
	struct fl_problems problems = { 0 };
	struct fl_service *service;
	char name[32];

	snprintf(name, sizeof(name), "s%05zu", first);
	service = fl_service_new(name);
	*fl_service_add_frontend(service) =
		(struct fl_frontend){ .addr = fl_ip_from_ipv4(htonl(0x0a000000u + (uint32_t)first)),
			.port = 80,
			.proto = IPPROTO_TCP };
	for (size_t i = first; i < first + PER_SERVICE; i++) {
		struct fl_endpoint *endpoint = fl_service_add_endpoint(service);

		endpoint->addr = fl_ip_from_ipv4(htonl(FIRST + (uint32_t)i));
		endpoint->port = s->port[i < MORTAL];
	}
	fill_check(&service->check, http);
	fl_service_finish(service, &problems); /* warns of loopback addresses */
	fl_problems_done(&problems);
	return service;
}

static struct fl_snapshot *make_snapshot(const struct server *s, const char *http)
{
	struct fl_snapshot *snapshot = fl_snapshot_new(ENDPOINTS / PER_SERVICE, 1);

	for (size_t i = 0; i < ENDPOINTS; i += PER_SERVICE)
		snapshot->services[snapshot->service_count++] = make_service(i, s, http);
	return snapshot;
}

/* ----------------------------------------------------------------------- measure */

struct run {
	uv_loop_t loop;
	struct fl_health *health;
	struct fl_checker *checker;
	uint16_t mortal_port;
};

static void run_ms(struct run *run, uint64_t ms)
{
	uint64_t end_ns = fl_clock_mono_ns() + ms * 1000000;

	while (fl_clock_mono_ns() < end_ns)
		uv_run(&run->loop, UV_RUN_ONCE);
}

static size_t count_mortal(const struct run *run, enum fl_sign sign)
{
	size_t count = 0;

	for (uint32_t i = 0; i < MORTAL; i++) {
		const struct fl_health_key key = { "s00000", fl_ip_from_ipv4(htonl(FIRST + i)),
			run->mortal_port };

		count += fl_health_signals(run->health, &key)->probe == sign;
	}
	return count;
}

/* @return milliseconds until all of them were found to be so */
static double wait_mortal(struct run *run, enum fl_sign sign)
{
	uint64_t begin_ns = fl_clock_mono_ns();

	while (count_mortal(run, sign) < MORTAL) {
		if (fl_clock_mono_ns() - begin_ns > 60000000000ull)
			errx(1, "the checks do not notice");
		uv_run(&run->loop, UV_RUN_ONCE);
	}
	return (double)(fl_clock_mono_ns() - begin_ns) / 1e6;
}

struct figures {
	double share, per_second, us, worst_down_ms, worst_up_ms;
	uint64_t late, failed;
};

static void measure_rest(struct run *run, struct figures *ret)
{
	struct fl_checker_stats before = *fl_checker_stats(run->checker), after;
	double begin = bench_thread_ns();
	uint64_t began_ns = fl_clock_mono_ns();
	double cpu_ns, wall_ns, probes;

	run_ms(run, MEASURED_MS);
	after = *fl_checker_stats(run->checker);
	cpu_ns = bench_thread_ns() - begin;
	wall_ns = (double)(fl_clock_mono_ns() - began_ns);
	probes = (double)(after.passed - before.passed);
	*ret = (struct figures){
		.share = 100 * cpu_ns / wall_ns,
		.per_second = probes / wall_ns * 1e9,
		.us = cpu_ns / probes / 1e3,
		.late = after.late - before.late,
		.failed = after.failed - before.failed + after.unable - before.unable,
	};
}

static json_t *measure(const char *name, const char *http)
{
	struct server server = { 0 };
	struct fl_snapshot *snapshot;
	struct figures f;
	struct run run;

	start_server(&server);
	run.mortal_port = server.port[1];
	uv_loop_init(&run.loop);
	run.health = fl_health_new(NULL, NULL);
	if (!run.health || fl_checker_start(&run.loop, run.health, &run.checker) < 0)
		errx(1, "out of memory");
	snapshot = make_snapshot(&server, http);
	if (fl_checker_configure(run.checker, snapshot) < 0)
		errx(1, "out of memory");
	run_ms(&run, WARM_UP_MS);
	measure_rest(&run, &f);
	close(server.listener[1]);
	f.worst_down_ms = wait_mortal(&run, FL_SIGN_DOWN);
	server.listener[1] = listen_anywhere(&server.port[1]);
	watch(&server, server.listener[1]);
	f.worst_up_ms = wait_mortal(&run, FL_SIGN_UP);
	printf("  %-6s %10.0f %10.1f %10.1f %8lu %8lu %12.0f %12.0f\n", name, f.per_second, f.us,
		f.share, (unsigned long)f.late, (unsigned long)f.failed, f.worst_down_ms,
		f.worst_up_ms);
	fl_checker_stop(run.checker);
	uv_run(&run.loop, UV_RUN_DEFAULT);
	uv_loop_close(&run.loop);
	fl_health_free(run.health);
	fl_snapshot_unref(snapshot);
	stop_server(&server);
	return json_pack("{s:s, s:i, s:i, s:f, s:f, s:f, s:I, s:I, s:f, s:f}", "probe", name,
		"endpoints", ENDPOINTS, "interval_ms", INTERVAL_MS, "probes_per_second",
		f.per_second, "us_per_probe", f.us, "percent_of_a_core", f.share, "late",
		(json_int_t)f.late, "failed", (json_int_t)f.failed, "worst_down_ms",
		f.worst_down_ms, "worst_up_ms", f.worst_up_ms);
}

json_t *bench_checks(void)
{
	struct rlimit limit;
	json_t *rows = json_array();

	fl_log_setup(FL_LOG_ERROR, FL_LOG_TEXT);
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	bench_shell("ip link set lo up");
	printf("\nChecks: %d endpoints every %d ms, rise 2, fall 3. Processor time of the agent's "
	       "thread, the kernel's part\nincluded; then %d of them go, and come back: "
	       "milliseconds "
	       "until the last was noticed:\n\n"
	       "  %-6s %10s %10s %10s %8s %8s %12s %12s\n",
		ENDPOINTS, INTERVAL_MS, MORTAL, "probe", "probes/s", "us each", "% of core", "late",
		"failed", "all down", "all up");
	json_array_append_new(rows, measure("tcp", NULL));
	json_array_append_new(rows, measure("http", "/healthz"));
	return rows;
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "fake_consul.h"

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/clock.h"

#define CONNECTIONS_MAX 512
#define HEAD_MAX        4096
#define ANSWER_MAX      (1 << 20)
#define CATALOGUE       UINT32_MAX /* in place of a service */
#define NOBODY          (UINT32_MAX - 1)

/* One connection, with the question that it waits with. */
struct caller {
	int fd; /* -1 = free */
	char head[HEAD_MAX + 1];
	size_t count;
	bool held;
	uint32_t service;
	uint64_t until_ns;
};

struct server {
	struct fake_consul_shared *shared;
	struct caller callers[CONNECTIONS_MAX];
	uint64_t *index;  /* by service */
	uint32_t *weight; /* of its first instance */
	uint32_t services;
	uint32_t done;    /* changes that were taken up */
	uint32_t changed; /* the service whose answer is awaited; NOBODY = none */
	int epoll, listener;
	char *answer;
};

/* -------------------------------------------------------------------- answers */

static void send_all(int fd, const char *bytes, size_t count)
{
	while (count) {
		ssize_t sent = send(fd, bytes, count, MSG_NOSIGNAL);

		if (sent < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (sent <= 0)
			return; /* the next read tells */
		bytes += sent;
		count -= (size_t)sent;
	}
}

static int put_instance(char *out, uint32_t service, uint32_t i, uint32_t weight)
{
	uint32_t number = service * FAKE_ENDPOINTS + i;

	return sprintf(out,
		"%s{\"Node\":{\"ID\":\"9f6e1d3e-0000-4000-8000-%012u\",\"Node\":\"n%u\","
		"\"Address\":"
		"\"10.%u.%u.%u\",\"Datacenter\":\"dc1\",\"Meta\":{\"zone\":\"a\"}},\"Service\":{"
		"\"ID\":\"service-%05u-%u\",\"Service\":\"service-%05u\",\"Tags\":[],\"Address\":"
		"\"10.%u.%u.%u\",\"Meta\":{\"fairlead-frontends\":\"10.200.%u.%u:80/tcp\","
		"\"fairlead-forward\":\"ipip\"},\"Port\":80,\"Weights\":{\"Passing\":%u,"
		"\"Warning\":"
		"1},\"EnableTagOverride\":false,\"CreateIndex\":12,\"ModifyIndex\":12},\"Checks\":["
		"{"
		"\"Node\":\"n%u\",\"CheckID\":\"serfHealth\",\"Name\":\"Serf Health Status\","
		"\"Status\":\"passing\",\"Notes\":\"\",\"Output\":\"Agent alive and reachable\","
		"\"ServiceID\":\"\",\"ServiceName\":\"\",\"ServiceTags\":[]},{\"Node\":\"n%u\","
		"\"CheckID\":\"service:service-%05u-%u\",\"Status\":\"passing\",\"Output\":\"HTTP "
		"GET "
		"ok\",\"ServiceID\":\"service-%05u-%u\"}]}",
		i ? "," : "[", number, number, 64 + (number >> 16), number >> 8 & 255, number & 255,
		service, i, service, 64 + (number >> 16), number >> 8 & 255, number & 255,
		service >> 8, service & 255, i ? 1 : weight, number, number, service, i, service,
		i);
}

static size_t put_service(const struct server *server, uint32_t service, char *out)
{
	char *at = out;

	for (uint32_t i = 0; i < FAKE_ENDPOINTS; i++)
		at += put_instance(at, service, i, server->weight[service]);
	*at++ = ']';
	return (size_t)(at - out);
}

static size_t put_catalogue(const struct server *server, char *out)
{
	char *at = out;

	for (uint32_t i = 0; i < server->services; i++)
		at += sprintf(at, "%s\"service-%05u\":[]", i ? "," : "{", i);
	*at++ = '}';
	return (size_t)(at - out);
}

static void answer(struct server *server, struct caller *caller)
{
	char *body = server->answer + HEAD_MAX, head[HEAD_MAX];
	bool catalogue = caller->service == CATALOGUE;
	size_t size = catalogue ? put_catalogue(server, body)
				: put_service(server, caller->service, body);
	int length = sprintf(head,
		"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Consul-Index: %lu\r\n"
		"X-Consul-Knownleader: true\r\nX-Consul-Lastcontact: 0\r\nContent-Length: "
		"%zu\r\n\r\n",
		catalogue ? 1 : (unsigned long)server->index[caller->service], size);

	memcpy(body - length, head, (size_t)length);
	send_all(caller->fd, body - length, size + (size_t)length);
	caller->held = false;
	server->shared->answers++;
	server->shared->bytes += size;
	if (caller->service != server->changed)
		return;
	server->changed = NOBODY;
	server->shared->told_ns = fl_clock_mono_ns();
	__atomic_store_n(&server->shared->told, server->done, __ATOMIC_RELEASE);
}

/* No keys, nothing registered here. */
static void answer_nothing(struct caller *caller, const char *target)
{
	static const char no_key[] = "HTTP/1.1 404 Not Found\r\nX-Consul-Index: 1\r\n"
				     "Content-Length: 0\r\n\r\n";
	static const char nothing[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
				      "Content-Length: 2\r\n\r\n{}";

	if (strncmp(target, "/v1/kv/", 7) == 0)
		send_all(caller->fd, no_key, sizeof(no_key) - 1);
	else
		send_all(caller->fd, nothing, sizeof(nothing) - 1);
}

/* ------------------------------------------------------------------- questions */

static uint64_t parameter(const char *target, const char *name)
{
	const char *at = strstr(target, name);

	return at ? strtoull(at + strlen(name), NULL, 10) : 0;
}

/* "GET /v1/health/service/service-00007?stale&index=10&wait=500ms" */
static void ask(struct server *server, struct caller *caller, const char *target)
{
	static const char catalogue[] = "/v1/catalog/services",
			  health[] = "/v1/health/service/service-";
	uint64_t index = parameter(target, "index="), wait_ms = parameter(target, "wait=");
	uint64_t now;

	if (!server->shared->first_ns)
		server->shared->first_ns = fl_clock_mono_ns();
	if (strncmp(target, catalogue, sizeof(catalogue) - 1) == 0)
		caller->service = CATALOGUE;
	else if (strncmp(target, health, sizeof(health) - 1) == 0)
		caller->service = (uint32_t)strtoul(target + sizeof(health) - 1, NULL, 10);
	else {
		answer_nothing(caller, target);
		return;
	}
	now = caller->service == CATALOGUE ? 1 : server->index[caller->service];
	caller->held = index == now;
	caller->until_ns = fl_clock_mono_ns() + wait_ms * 1000000;
	if (!caller->held)
		answer(server, caller);
}

static void hang_up(struct caller *caller)
{
	close(caller->fd);
	caller->fd = -1;
	caller->held = false;
	caller->count = 0;
}

static void hear(struct server *server, struct caller *caller)
{
	ssize_t count = recv(
		caller->fd, caller->head + caller->count, HEAD_MAX - caller->count, MSG_DONTWAIT);
	char *end;

	if (count < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (count <= 0) {
		hang_up(caller);
		return;
	}
	caller->count += (size_t)count;
	caller->head[caller->count] = '\0';
	end = strstr(caller->head, "\r\n\r\n");
	if (!end || strncmp(caller->head, "GET ", 4) != 0)
		return;
	caller->head[4 + strcspn(caller->head + 4, " ")] = '\0';
	caller->count = 0;
	ask(server, caller, caller->head + 4);
}

static void accept_one(struct server *server)
{
	struct epoll_event event = { .events = EPOLLIN };
	int fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC), one = 1;

	for (uint32_t i = 0; fd >= 0 && i < CONNECTIONS_MAX; i++)
		if (server->callers[i].fd < 0) {
			server->callers[i].fd = fd;
			setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
			event.data.u32 = i;
			epoll_ctl(server->epoll, EPOLL_CTL_ADD, fd, &event);
			return;
		}
	close(fd);
}

/* ------------------------------------------------------------------------ life */

/* Whoever has waited the least: he would not be answered soon for another reason. */
static struct caller *find_asker(struct server *server)
{
	struct caller *found = NULL;

	for (uint32_t i = 0; i < CONNECTIONS_MAX; i++) {
		struct caller *caller = &server->callers[i];

		if (caller->held && caller->service != CATALOGUE &&
			(!found || caller->until_ns > found->until_ns))
			found = caller;
	}
	return found;
}

static void take_change_up(struct server *server)
{
	uint32_t wanted = __atomic_load_n(&server->shared->wanted, __ATOMIC_ACQUIRE);
	struct caller *asker = wanted == server->done ? NULL : find_asker(server);

	if (!asker)
		return;
	server->done = wanted;
	server->changed = asker->service;
	server->weight[server->changed] = server->shared->weight;
	server->index[server->changed]++;
	answer(server, asker);
}

static void answer_overdue(struct server *server)
{
	uint64_t now_ns = fl_clock_mono_ns();

	for (uint32_t i = 0; i < CONNECTIONS_MAX; i++)
		if (server->callers[i].held && now_ns >= server->callers[i].until_ns)
			answer(server, &server->callers[i]);
}

static void serve(struct server *server)
{
	struct epoll_event events[64];

	for (;;) {
		int count = epoll_wait(server->epoll, events, 64, 1);

		for (int i = 0; i < count; i++)
			if (events[i].data.u32 == CONNECTIONS_MAX)
				accept_one(server);
			else
				hear(server, &server->callers[events[i].data.u32]);
		take_change_up(server);
		answer_overdue(server);
	}
}

static void live(int listener, struct fake_consul_shared *shared, uint32_t services)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u32 = CONNECTIONS_MAX };
	struct server *server = calloc(1, sizeof(*server));

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	server->shared = shared;
	server->services = services;
	server->listener = listener;
	server->changed = NOBODY;
	server->index = calloc(services, sizeof(*server->index));
	server->weight = calloc(services, sizeof(*server->weight));
	server->answer = malloc(ANSWER_MAX);
	for (uint32_t i = 0; i < services; i++)
		server->index[i] = 10, server->weight[i] = 1;
	for (uint32_t i = 0; i < CONNECTIONS_MAX; i++)
		server->callers[i].fd = -1;
	server->epoll = epoll_create1(EPOLL_CLOEXEC);
	epoll_ctl(server->epoll, EPOLL_CTL_ADD, listener, &event);
	serve(server);
}

struct fake_consul fake_consul_start(uint32_t services)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct fake_consul consul = { 0 };
	socklen_t length = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	consul.shared = mmap(NULL, sizeof(*consul.shared), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (fd < 0 || consul.shared == MAP_FAILED || bind(fd, (struct sockaddr *)&at, length) < 0 ||
		listen(fd, 512) < 0 || getsockname(fd, (struct sockaddr *)&at, &length) < 0)
		err(1, "a server to read from");
	consul.port = ntohs(at.sin_port);
	consul.process = fork();
	if (consul.process < 0)
		err(1, "fork");
	if (consul.process == 0)
		live(fd, consul.shared, services);
	close(fd);
	return consul;
}

void fake_consul_change(const struct fake_consul *consul, uint32_t weight)
{
	consul->shared->weight = weight;
	__atomic_fetch_add(&consul->shared->wanted, 1, __ATOMIC_RELEASE);
}

void fake_consul_stop(struct fake_consul *consul)
{
	kill(consul->process, SIGKILL);
	waitpid(consul->process, NULL, 0);
	munmap(consul->shared, sizeof(*consul->shared));
}

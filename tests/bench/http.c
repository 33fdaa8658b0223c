/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "http.h"

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "core/clock.h"

#define EVENTS 64

static const char request[] = "GET / HTTP/1.1\r\nHost: bench\r\n\r\n";
static const char response[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

static void watch(int epoll, int fd, uint32_t events, void *pointer)
{
	struct epoll_event event = { .events = events, .data.ptr = pointer };

	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
		err(1, "epoll");
}

static struct sockaddr_in address_of(uint32_t addr, uint16_t port)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = addr
	};
}

/* --------------------------------------------------------------------- server */

/* Descriptors stand in the events themselves; a listener's are negative. */
static void accept_all(int epoll, int listener)
{
	int fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
		watch(epoll, fd, EPOLLIN, (void *)(intptr_t)fd);
}

/* A request comes in one piece: it is as short as can be. */
static void answer(int fd)
{
	char buffer[4096];
	ssize_t count = recv(fd, buffer, sizeof(buffer), 0);

	if (count < 0 && errno == EAGAIN)
		return;
	if (count <= 0 ||
		send(fd, response, sizeof(response) - 1, MSG_NOSIGNAL) != sizeof(response) - 1)
		close(fd);
}

static void serve(const int *listeners, unsigned count)
{
	struct epoll_event events[EVENTS];
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	bench_go_first();
	for (unsigned i = 0; i < count; i++)
		watch(epoll, listeners[i], EPOLLIN, (void *)(intptr_t)-listeners[i]);
	for (;;) {
		int ready = epoll_wait(epoll, events, EVENTS, -1);

		for (int i = 0; i < ready; i++) {
			int fd = (int)(intptr_t)events[i].data.ptr;

			if (fd < 0)
				accept_all(epoll, -fd);
			else
				answer(fd);
		}
	}
}

static int listen_at(const char *address, uint16_t port)
{
	struct sockaddr_in at = address_of(inet_addr(address), port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, 4096) < 0)
		err(1, "listening at %s:%u", address, port);
	return fd;
}

pid_t http_serve(const char *const *addresses, unsigned count, uint16_t port)
{
	int listeners[HTTP_TARGETS_MAX];
	pid_t child;

	for (unsigned i = 0; i < count; i++)
		listeners[i] = listen_at(addresses[i], port);
	child = fork();
	if (child < 0)
		err(1, "fork");
	if (child == 0)
		serve(listeners, count);
	for (unsigned i = 0; i < count; i++)
		close(listeners[i]);
	return child;
}

/* --------------------------------------------------------------------- client */

struct connection {
	int fd;
	bool connected;
	uint64_t began_ns;
};

struct client {
	const struct http_load *load;
	struct http_result *result;
	struct connection connections[256];
	int epoll;
	uint32_t turn;
	uint64_t done;
};

static void begin(struct client *client, struct connection *connection)
{
	const struct http_load *load = client->load;
	const struct http_target *target = &load->target[client->turn++ % load->targets];
	struct sockaddr_in to = address_of(target->addr, target->port);
	/* Reset at the end, so that no port waits for a minute. */
	static const struct linger linger = { 1, 0 };

	connection->connected = false;
	connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	connection->began_ns = fl_clock_mono_ns();
	if (connect(connection->fd, (struct sockaddr *)&to, sizeof(to)) < 0 &&
		errno != EINPROGRESS) {
		client->result->failed++;
		close(connection->fd);
		connection->fd = -1;
		return;
	}
	watch(client->epoll, connection->fd, EPOLLIN | EPOLLOUT | EPOLLET, connection);
}

static void end(struct client *client, struct connection *connection, bool failed)
{
	client->result->failed += failed;
	close(connection->fd);
	begin(client, connection);
}

static void ask(struct client *client, struct connection *connection)
{
	if (send(connection->fd, request, sizeof(request) - 1, MSG_NOSIGNAL) != sizeof(request) - 1)
		end(client, connection, true);
}

static void on_connected(struct client *client, struct connection *connection)
{
	struct http_result *result = client->result;

	connection->connected = true;
	if (result->samples < HTTP_SAMPLES_MAX)
		result->connect_us[result->samples++] =
			(float)(fl_clock_mono_ns() - connection->began_ns) / 1e3f;
	ask(client, connection);
}

static void on_answer(struct client *client, struct connection *connection)
{
	char buffer[4096];
	ssize_t count = recv(connection->fd, buffer, sizeof(buffer), 0);

	if (count < 0 && errno == EAGAIN)
		return;
	if (count != sizeof(response) - 1) {
		end(client, connection, true);
		return;
	}
	client->done++;
	if (client->load->keep_alive)
		ask(client, connection);
	else
		end(client, connection, false);
}

static void on_event(struct client *client, const struct epoll_event *event)
{
	struct connection *connection = event->data.ptr;

	if (event->events & (EPOLLERR | EPOLLHUP)) {
		end(client, connection, true);
		return;
	}
	if (!connection->connected && event->events & EPOLLOUT)
		on_connected(client, connection);
	else if (event->events & EPOLLIN)
		on_answer(client, connection);
}

static void run(struct client *client)
{
	uint64_t began_ns = fl_clock_mono_ns(),
		 until_ns = began_ns + client->load->for_ms * 1000000ull;
	struct epoll_event events[EVENTS];

	double cpu_ns = bench_thread_ns();

	client->epoll = epoll_create1(EPOLL_CLOEXEC);
	for (unsigned i = 0; i < client->load->at_once; i++)
		begin(client, &client->connections[i]);
	while (fl_clock_mono_ns() < until_ns) {
		int ready = epoll_wait(client->epoll, events, EVENTS, 100);

		for (int i = 0; i < ready; i++)
			on_event(client, &events[i]);
	}
	client->result->cpu_ns = bench_thread_ns() - cpu_ns;
	client->result->done = client->done;
	client->result->requests_s =
		(double)client->done / ((double)(fl_clock_mono_ns() - began_ns) / 1e9);
}

static void enter(const char *cgroup)
{
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "0", 1) != 1)
		err(1, "%s", path);
	close(fd);
}

struct http_result *http_result_new(void)
{
	void *memory = mmap(NULL, sizeof(struct http_result), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		err(1, "mmap");
	return memory;
}

void http_ask(const struct http_load *load, struct http_result *ret)
{
	struct client *client;
	pid_t child = fork();
	int status;

	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		bench_go_first();
		if (load->cgroup)
			enter(load->cgroup);
		client = calloc(1, sizeof(*client));
		client->load = load;
		client->result = ret;
		ret->samples = ret->failed = 0;
		run(client);
		_exit(0);
	}
	if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
		errx(1, "the client died");
}

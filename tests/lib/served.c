/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "lib/served.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/text.h"
#include "fairlead/slot.h"
#include "lib/declared.h"
#include "lib/netns.h"
#include "registry/publish.h"

/* --------------------------------------------------------------------- view */

static const struct fl_registry_driver files_driver = { .type = "file" };

static void number_service(
	struct fl_service *service, uint32_t *id, uint32_t *frontend, uint32_t *endpoint)
{
	service->id = (*id)++;
	service->registry = strdup("files");
	for (size_t i = 0; i < service->frontend_count; i++)
		service->frontends[i].id = (*frontend)++;
	for (size_t i = 0; i < service->endpoint_count; i++)
		service->endpoints[i].id = (*endpoint)++;
}

static void number(struct fl_snapshot *snapshot)
{
	uint32_t service = 1, frontend = 1, endpoint = 1;

	for (size_t i = 0; i < snapshot->service_count; i++)
		number_service(snapshot->services[i], &service, &frontend, &endpoint);
}

/* Rows of endpoints as the agent would write them, since a minute ago. */
static void fill_endpoints(struct test_view *t, const struct fl_snapshot *snapshot)
{
	for (size_t i = 0; i < snapshot->service_count; i++)
		for (size_t j = 0; j < snapshot->services[i]->endpoint_count; j++) {
			const struct fl_endpoint *endpoint = &snapshot->services[i]->endpoints[j];

			t->maps.endpoints[endpoint->id] = (struct fl_endpoint_row){
				.addr = endpoint->addr,
				.state = (uint8_t)endpoint->state,
				.service = snapshot->services[i]->id,
				.nexthop = 1,
				.since = fl_clock_boot_s() - 60,
			};
		}
}

/* One table of 251 slots for each service that there is. */
static void fill_tables(struct test_view *t, const struct fl_snapshot *snapshot)
{
	for (uint32_t i = 0; i < snapshot->service_count; i++) {
		t->maps.services[snapshot->services[i]->id].region[FL_IPV4] =
			FL_REGION(i * 251, 0, 1);
		for (uint32_t j = 0; j < 251; j++)
			t->maps.slots[i * 251 + j] = fl_slot_settled(1);
	}
}

static void open_maps(struct test_view *t)
{
	const struct fl_limits limits = { 64, 256, 64 * 251, 1024 };

	t->config.limits = t->maps.limits = limits;
	for (int i = 0; i < FL_MAP_COUNT; i++)
		t->maps.fd[i] = -1;
	t->maps.services = calloc(limits.services + 1, sizeof(*t->maps.services));
	t->maps.endpoints = calloc(limits.endpoints + 1, sizeof(*t->maps.endpoints));
	t->maps.slots = calloc(limits.slots, sizeof(*t->maps.slots));
	t->maps.nexthops = calloc(FL_NEXTHOPS_MAX, sizeof(*t->maps.nexthops));
	t->maps.nat_used = calloc(limits.endpoints + 1, sizeof(*t->maps.nat_used));
	t->maps.shape[FL_MAP_opening].max_entries = FL_OPENING_MAX;
	t->maps.pressure = calloc(1, sizeof(*t->maps.pressure));
	*t->maps.pressure = (struct fl_pressure_row){ .refused = 12, .postponed = 3 };
	t->maps.nat_used[1] = (struct fl_nat_used_row){ .tcp = 2, .udp = 1 };
	t->maps.nat_used[limits.endpoints].tcp = 1; /* of an endpoint that is gone */
}

struct test_view *test_view_new(void)
{
	struct test_view *t = calloc(1, sizeof(*t));
	struct fl_service *services[] = {
		test_service("dns", "10.0.0.53:53/udp", "192.0.2.53:53 192.0.2.54:53/down"),
		test_service("team/web", "10.0.0.10:80/tcp [2001:db8::10]:80/tcp",
			"192.0.2.1:8080*2 192.0.2.2:8080*0 192.0.2.3:8080/draining "
			"[2001:db8::1]:8080"),
	};
	struct fl_snapshot *snapshot = test_snapshot(7, services, 2);

	open_maps(t);
	number(snapshot);
	fill_endpoints(t, snapshot);
	fill_tables(t, snapshot);
	t->maps.slots[251] = t->maps.slots[252] = fl_slot_moving(2, 1, 5);
	t->maps.slots[253] = fl_slot_moving(3, 3, 5);
	t->config.node_name = strdup("edge-1");
	t->config.file = strdup("/etc/fairlead/fairlead.yaml");
	t->config.bpffs = strdup("/sys/fs/bpf/fairlead");
	t->config.control_mode = 0600;
	t->registry_config = (struct fl_registry_config){ .name = "files", .type = "file" };
	t->registry = (struct fl_registry){ .driver = &files_driver,
		.config = &t->registry_config,
		.set = &t->registries,
		.up = true,
		.published = true,
		.published_ms = fl_clock_real_ms() - 5000,
		.updates = 3 };
	t->registry_list[0] = &t->registry;
	t->registries = (struct fl_registry_set){ .registries = t->registry_list, .count = 1 };
	t->apply = (struct fl_apply_stats){ .buckets = { 1, 0, 2 }, .count = 3, .sum_s = 0.0125 };
	t->writes = (struct fl_writes){ .slots = 502, .services = 2 };
	t->view = (struct fl_view){ .config = &t->config,
		.applied = snapshot,
		.maps = &t->maps,
		.registries = &t->registries,
		.apply = &t->apply,
		.writes = &t->writes,
		.conflicts = &t->conflicts,
		.started_ms = fl_clock_real_ms() - 90000,
		.applied_ms = fl_clock_real_ms() - 30000 };
	return t;
}

void test_view_grow(struct test_view *t, unsigned services, unsigned endpoints)
{
	struct fl_service **list = calloc(services, sizeof(struct fl_service *));

	for (unsigned i = 0; i < services; i++) {
		struct fl_frontend *frontend;
		char name[32];

		snprintf(name, sizeof(name), "service-%u", i);
		list[i] = fl_service_new(name);
		frontend = fl_service_add_frontend(list[i]);
		frontend->addr = fl_ip_from_ipv4(htonl(0x0a000000 + i));
		frontend->port = 80;
		frontend->proto = IPPROTO_TCP;
		for (unsigned j = 0; j < endpoints; j++) {
			struct fl_endpoint *endpoint = fl_service_add_endpoint(list[i]);

			endpoint->addr = fl_ip_from_ipv4(htonl(0xc0000200 + j));
			endpoint->port = 8080;
			endpoint->weight = 1;
			endpoint->state = FL_UP;
		}
	}
	fl_snapshot_unref((struct fl_snapshot *)t->view.applied);
	t->view.applied = test_snapshot(8, list, services);
	number((struct fl_snapshot *)t->view.applied);
	free(list);
}

void test_view_hold(struct test_view *t)
{
	struct fl_held *held = calloc(1, sizeof(*held));

	held->gone = 15;
	held->of = 20;
	held->removal.services = 3;
	held->since_ms = 1700000000000;
	t->registry.held = held;
}

void test_view_free(struct test_view *t)
{
	fl_snapshot_unref((struct fl_snapshot *)t->view.applied);
	fl_problems_done(&t->conflicts);
	fl_held_free(t->registry.held);
	free(t->config.node_name);
	free(t->config.file);
	free(t->config.bpffs);
	free(t->maps.services);
	free(t->maps.endpoints);
	free(t->maps.slots);
	free(t->maps.nexthops);
	free(t->maps.nat_used);
	free(t->maps.pressure);
	free(t);
}

/* ------------------------------------------------------------------- server */

struct test_server {
	struct test_view *view;
	char directory[32];
	char socket[64];
	pthread_t thread;
	uv_loop_t loop;
	uv_async_t stop;
	struct fl_server *server;
};

static void show(void *context, struct fl_view *ret)
{
	*ret = ((struct test_view *)context)->view;
}

static int accept_registry(void *context, const char *name, struct fl_failure *failure)
{
	return fl_registry_set_accept(&((struct test_view *)context)->registries, name, failure);
}

/* Says what it was asked, as if it had no room for it. */
static int refuse_local(
	void *context, const struct fl_local_order *order, struct fl_failure *failure)
{
	(void)context;
	if (strcmp(order->change, "delete") == 0)
		return 0;
	return fl_fail(failure, -EEXIST, "%s %s %s: %zu bytes, %.20s", order->change,
		order->service, order->endpoint, order->length, order->text ? order->text : "none");
}

static void on_stop(uv_async_t *async)
{
	struct test_server *server = async->data;

	fl_server_stop(server->server);
	uv_close((uv_handle_t *)async, NULL);
}

static void *serve(void *context)
{
	struct test_server *server = context;

	uv_run(&server->loop, UV_RUN_DEFAULT);
	return NULL;
}

/* A port of 127.0.0.1 that was free a moment ago. */
static uint16_t free_port(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t length = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	cr_assert_eq(bind(fd, (struct sockaddr *)&address, length), 0);
	cr_assert_eq(getsockname(fd, (struct sockaddr *)&address, &length), 0);
	close(fd);
	return ntohs(address.sin_port);
}

struct test_server *test_server_start(
	struct test_view *view, bool tcp, const struct fl_server_limits *limits)
{
	struct test_server *server = calloc(1, sizeof(*server));
	struct fl_server_hooks hooks = { .view = show,
		.context = view,
		.actions = { .accept_registry = accept_registry,
			.local = refuse_local,
			.context = view },
		.limits = limits };
	struct fl_failure failure = { 0 };
	int r = -EADDRINUSE;

	server->view = view;
	strcpy(server->directory, "/tmp/fl-served-XXXXXX");
	cr_assert_not_null(mkdtemp(server->directory));
	snprintf(server->socket, sizeof(server->socket), "%s/socket", server->directory);
	view->config.control_socket = server->socket;
	fl_ip_parse("127.0.0.1", &view->config.http.addr);
	cr_assert_eq(uv_loop_init(&server->loop), 0);
	for (int tries = 0; tries < 20 && r == -EADDRINUSE; tries++) {
		view->config.http.port = tcp ? free_port() : 0;
		r = fl_server_start(
			&view->config, &server->loop, &hooks, &failure, &server->server);
		if (r < 0)
			uv_run(&server->loop, UV_RUN_DEFAULT); /* closes what was begun */
	}
	cr_assert_eq(r, 0, "%s", failure.message);
	cr_assert_eq(uv_async_init(&server->loop, &server->stop, on_stop), 0);
	server->stop.data = server;
	cr_assert_eq(pthread_create(&server->thread, NULL, serve, server), 0);
	return server;
}

void test_server_stop(struct test_server *server)
{
	uv_async_send(&server->stop);
	pthread_join(server->thread, NULL);
	cr_expect_eq(uv_loop_close(&server->loop), 0, "a handle was left open");
	cr_expect_neq(access(server->socket, F_OK), 0, "the socket was left behind");
	rmdir(server->directory);
	free(server);
}

const char *test_server_socket(const struct test_server *server)
{
	return server->socket;
}

uint16_t test_server_port(const struct test_server *server)
{
	return server->view->config.http.port;
}

int test_server_connect(const struct test_server *server, bool tcp)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct sockaddr_in in = { .sin_family = AF_INET,
		.sin_addr = { htonl(INADDR_LOOPBACK) },
		.sin_port = htons(test_server_port(server)) };
	int fd = socket(tcp ? AF_INET : AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(un.sun_path, server->socket);
	cr_assert_eq(connect(fd, tcp ? (struct sockaddr *)&in : (struct sockaddr *)&un,
			     tcp ? sizeof(in) : sizeof(un)),
		0, "connect: %s", strerror(errno));
	return fd;
}

char *test_read_all(int fd)
{
	struct fl_text text = { 0 };
	uint64_t end_ns = fl_clock_mono_ns() + TEST_DEADLINE_MS * 1000000ull;
	char piece[65536];

	for (;;) {
		struct pollfd wait = { .fd = fd, .events = POLLIN };
		ssize_t got;

		cr_assert_lt(fl_clock_mono_ns(), end_ns, "no end after %zu bytes", text.length);
		if (poll(&wait, 1, 1000) <= 0)
			continue;
		got = read(fd, piece, sizeof(piece));
		if (got <= 0) /* a reset is an end, too */
			break;
		fl_text_put(&text, piece, (size_t)got);
	}
	fl_text_putc(&text, '\0');
	return text.data;
}

char *test_server_talk(const struct test_server *server, bool tcp, const char *bytes, size_t count)
{
	int fd = test_server_connect(server, tcp);
	char *answer;

	while (count) {
		ssize_t sent = send(fd, bytes, count, MSG_NOSIGNAL);

		if (sent <= 0)
			break; /* it may have answered and closed already */
		bytes += sent;
		count -= (size_t)sent;
	}
	answer = test_read_all(fd);
	close(fd);
	return answer;
}

char *test_server_get(const struct test_server *server, const char *path, int *ret_status)
{
	char request[2048];
	int length = snprintf(
		request, sizeof(request), "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path);
	char *answer = test_server_talk(server, false, request, (size_t)length);
	char *body = strstr(answer, "\r\n\r\n");

	if (ret_status)
		*ret_status = atoi(answer + strlen("HTTP/1.1 "));
	cr_assert_not_null(body, "no answer to %s", path);
	body = strdup(body + 4);
	free(answer);
	return body;
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * DNS over TCP: real sockets and a loop, and an answerer that repeats what it hears.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dns/message.h"
#include "dns/stream.h"
#include "net/bind.h"

#define PATIENCE_S 60

/* A server, and its clients in the same thread. */
struct world {
	uv_loop_t loop;
	struct fl_dns_streams *streams;
	uint16_t port;
	unsigned asked;
	unsigned most_in_a_turn, in_this_turn;
	uv_check_t check; /* a turn is over */
};

/* "b" is answered with 64 KiB of b, "q" with silence, others with themselves. */
static size_t repeat(void *context, const uint8_t *query, size_t size, uint8_t *bytes)
{
	struct world *w = context;

	w->asked++;
	w->in_this_turn++;
	if (w->in_this_turn > w->most_in_a_turn)
		w->most_in_a_turn = w->in_this_turn;
	if (!size || query[0] == 'q')
		return 0;
	if (query[0] == 'b') {
		memset(bytes, 'b', FL_DNS_MESSAGE_MAX);
		return FL_DNS_MESSAGE_MAX;
	}
	memcpy(bytes, query, size);
	return size;
}

static void on_turn_over(uv_check_t *check)
{
	struct world *w = check->data;

	w->in_this_turn = 0;
}

static void world_open(struct world *w, unsigned connections, uint32_t idle_ms)
{
	const struct fl_dns_stream_options options = { .connections = connections,
		.per_turn = 5,
		.idle_ms = idle_ms,
		.answer = repeat,
		.context = w };
	struct fl_failure failure = { 0 };
	struct sockaddr_in address;
	socklen_t length = sizeof(address);
	struct fl_ip loopback;
	int fd;

	memset(w, 0, sizeof(*w));
	cr_assert_eq(uv_loop_init(&w->loop), 0);
	uv_check_init(&w->loop, &w->check);
	w->check.data = w;
	uv_check_start(&w->check, on_turn_over);
	fl_ip_parse("127.0.0.1", &loopback);
	cr_assert_eq(
		fl_bind(SOCK_STREAM, &loopback, 0, "x", &failure, &fd), 0, "%s", failure.message);
	getsockname(fd, (struct sockaddr *)&address, &length);
	w->port = ntohs(address.sin_port);
	cr_assert_eq(fl_dns_streams_start(&w->loop, fd, &options, &w->streams), 0);
}

static void world_close(struct world *w)
{
	fl_dns_streams_stop(w->streams);
	uv_close((uv_handle_t *)&w->check, NULL);
	uv_run(&w->loop, UV_RUN_DEFAULT);
	cr_expect_eq(uv_loop_close(&w->loop), 0);
}

static int client(const struct world *w)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_port = htons(w->port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void say(int fd, const char *text)
{
	size_t length = strlen(text);
	uint8_t message[300] = { (uint8_t)(length >> 8), (uint8_t)length };

	memcpy(message + 2, text, length);
	cr_assert_eq(send(fd, message, length + 2, MSG_NOSIGNAL), (ssize_t)length + 2);
}

/* Run the loop until `fd` gave `size` bytes, or its end. @return how many */
static size_t hear(struct world *w, int fd, uint8_t *bytes, size_t size)
{
	uint64_t until_ns = uv_hrtime() + PATIENCE_S * 1000000000ull;
	size_t have = 0;

	while (have < size && uv_hrtime() < until_ns) {
		ssize_t count;

		uv_run(&w->loop, UV_RUN_NOWAIT);
		count = recv(fd, bytes + have, size - have, MSG_DONTWAIT);
		if (count > 0)
			have += (size_t)count;
		else if (count == 0 || errno != EAGAIN)
			return have;
	}
	cr_assert(have == size, "nothing came in time");
	return have;
}

static void expect_answer(struct world *w, int fd, const char *text)
{
	size_t length = strlen(text);
	uint8_t bytes[300];

	cr_assert_eq(hear(w, fd, bytes, length + 2), length + 2, "%s", text);
	cr_expect(bytes[0] == 0 && bytes[1] == length && memcmp(bytes + 2, text, length) == 0, "%s",
		text);
}

static void expect_end(struct world *w, int fd)
{
	uint8_t byte;

	cr_expect_eq(hear(w, fd, &byte, 1), 0, "the connection is still open");
	close(fd);
}

static const struct fl_dns_stream_counts *counts(const struct world *w)
{
	return fl_dns_streams_counts(w->streams);
}

/* Run until `count` connections are open. */
static void wait_for(struct world *w, unsigned count)
{
	uint64_t until_ns = uv_hrtime() + PATIENCE_S * 1000000000ull;

	while (counts(w)->connections != count && uv_hrtime() < until_ns)
		uv_run(&w->loop, UV_RUN_NOWAIT);
	cr_assert_eq(counts(w)->connections, count);
}

Test(dns_stream, many_questions_on_one_connection)
{
	struct world w;
	int fd;

	world_open(&w, 4, 600000);
	fd = client(&w);
	for (int round = 0; round < 3; round++) {
		char text[32];

		for (int i = 0; i < 100; i++) {
			snprintf(text, sizeof(text), "number %d", i);
			say(fd, text);
		}
		for (int i = 0; i < 100; i++) {
			snprintf(text, sizeof(text), "number %d", i);
			expect_answer(&w, fd, text);
		}
	}
	cr_expect_eq(w.asked, 300);
	cr_expect_leq(w.most_in_a_turn, 5, "%u in one turn", w.most_in_a_turn);
	close(fd);
	wait_for(&w, 0);
	world_close(&w);
}

Test(dns_stream, byte_by_byte)
{
	static const char bytes[] = "\0\5hello\0\5again";
	struct world w;
	int fd;

	world_open(&w, 4, 600000);
	fd = client(&w);
	for (unsigned i = 0; i < sizeof(bytes) - 1; i++) {
		send(fd, bytes + i, 1, MSG_NOSIGNAL);
		for (int turn = 0; turn < 3; turn++)
			uv_run(&w.loop, UV_RUN_NOWAIT);
		cr_expect_leq(w.asked, (i >= 6) + (i >= 13), "after byte %u", i);
	}
	expect_answer(&w, fd, "hello");
	expect_answer(&w, fd, "again");
	close(fd);
	world_close(&w);
}

/* What was asked before the end is answered, then comes our end. */
Test(dns_stream, a_client_that_says_no_more)
{
	struct world w;
	int fd;

	world_open(&w, 4, 600000);
	fd = client(&w);
	say(fd, "one");
	say(fd, "two");
	shutdown(fd, SHUT_WR);
	expect_answer(&w, fd, "one");
	expect_answer(&w, fd, "two");
	expect_end(&w, fd);
	world_close(&w);
}

/* It asks for megabytes and does not take them: it is read no more, and others are
 * answered. Then it takes them, and all are there. */
Test(dns_stream, a_client_that_takes_its_time)
{
	enum { QUESTIONS = 400, READ_ON = 3000 }; /* 26 MB, more than sockets hold */
	static uint8_t bytes[2 + FL_DNS_MESSAGE_MAX];
	struct world w;
	unsigned asked;
	int slow, other;

	world_open(&w, 4, 600000);
	slow = client(&w);
	for (int i = 0; i < QUESTIONS; i++)
		say(slow, "b");
	for (int i = 0; i < READ_ON; i++)
		uv_run(&w.loop, UV_RUN_NOWAIT);
	asked = w.asked;
	cr_expect_lt(asked, QUESTIONS, "everything is on its way at once");
	other = client(&w);
	say(other, "hello");
	expect_answer(&w, other, "hello");
	close(other);
	for (int i = 0; i < QUESTIONS; i++) {
		cr_assert_eq(hear(&w, slow, bytes, sizeof(bytes)), sizeof(bytes), "answer %d", i);
		cr_assert(bytes[0] == 0xff && bytes[1] == 0xff && bytes[2] == 'b' &&
				  bytes[sizeof(bytes) - 1] == 'b',
			"answer %d", i);
	}
	cr_expect_eq(w.asked, QUESTIONS + 1);
	close(slow);
	world_close(&w);
}

Test(dns_stream, what_ends_a_connection)
{
	static const struct {
		const char *bytes;
		size_t size;
	} rows[] = {
		{ "\0\4quit", 6 }, /* no answer */
		{ "\0\0", 2 },     /* an empty message */
		{ "\x10\x01", 2 }, /* longer than any query */
		{ "GET / HTTP/1.0", 14 },
	};
	struct world w;

	world_open(&w, 8, 600000);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int fd = client(&w);

		send(fd, rows[i].bytes, rows[i].size, MSG_NOSIGNAL);
		expect_end(&w, fd);
		cr_expect_eq(counts(&w)->invalid, i + 1);
	}
	world_close(&w);
}

/* Of three, the one that asked longest ago goes when a fourth comes. */
Test(dns_stream, no_more_than_there_may_be)
{
	struct world w;
	int fds[3], fourth;

	world_open(&w, 3, 600000);
	for (int i = 0; i < 3; i++) {
		fds[i] = client(&w);
		wait_for(&w, (unsigned)i + 1);
	}
	say(fds[0], "still here");
	expect_answer(&w, fds[0], "still here");
	fourth = client(&w);
	expect_end(&w, fds[1]);
	say(fourth, "hello");
	expect_answer(&w, fourth, "hello");
	say(fds[0], "and I");
	expect_answer(&w, fds[0], "and I");
	say(fds[2], "and I");
	expect_answer(&w, fds[2], "and I");
	cr_expect_eq(counts(&w)->evicted, 1);
	cr_expect_eq(counts(&w)->connections, 3);
	world_close(&w);
	close(fds[0]);
	close(fds[2]);
	close(fourth);
}

/* Bytes that are no whole query buy no time, and neither does an answer not taken. */
Test(dns_stream, patience_ends)
{
	struct world w;
	int silent, dribbling, full;
	uint64_t until_ns;

	world_open(&w, 8, 200);
	silent = client(&w);
	dribbling = client(&w);
	full = client(&w);
	for (int i = 0; i < 200; i++)
		say(full, "b");
	until_ns = uv_hrtime() + PATIENCE_S * 1000000000ull;
	while (counts(&w)->accepted < 3 && uv_hrtime() < until_ns)
		uv_run(&w.loop, UV_RUN_NOWAIT);
	while (counts(&w)->connections && uv_hrtime() < until_ns) {
		send(dribbling, "\x0f", 1, MSG_NOSIGNAL | MSG_DONTWAIT); /* length 0x0f0f */
		uv_run(&w.loop, UV_RUN_NOWAIT);
		usleep(1000);
	}
	cr_expect_eq(counts(&w)->expired, 3);
	world_close(&w);
	close(silent);
	close(dribbling);
	close(full);
}

/* Stopping with answers under way leaves nothing behind; the sanitised run looks. */
Test(dns_stream, stopped_in_the_middle)
{
	struct world w;
	int fd;

	world_open(&w, 8, 600000);
	fd = client(&w);
	for (int i = 0; i < 200; i++)
		say(fd, "b");
	while (!w.asked)
		uv_run(&w.loop, UV_RUN_NOWAIT);
	world_close(&w);
	close(fd);
}

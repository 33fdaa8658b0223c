/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "dns/stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utlist.h>

#include "dns/message.h"

/*
 * The life of a connection: bytes are read into `in`. Once a whole query is there it
 * stands in `ready`, where the idle handle takes the first, answers it, and puts it
 * back at the end if there is more. What the socket does not take at once is kept in
 * `out` until it does; meanwhile nothing is answered and, once `in` is full, nothing
 * read. After the end of the client's stream it gets what it asked for, and then the
 * end of ours.
 */

#define PREFIX 2 /* bytes of length before a message */

struct connection {
	uv_tcp_t handle;
	uv_write_t write;
	struct fl_dns_streams *streams;
	struct connection *prev, *next;             /* by deadline, the soonest first */
	struct connection *prev_ready, *next_ready; /* those with a whole query */
	uint64_t deadline_ms;
	bool ready;
	bool closing;
	bool reading;
	bool ended;   /* the client sends no more */
	uint8_t *out; /* what is left of an answer; NULL = nothing */
	size_t have;
	uint8_t in[PREFIX + FL_DNS_QUERY_MAX];
};

struct fl_dns_streams {
	uv_tcp_t listener;
	uv_idle_t turn;
	uv_timer_t timer;
	uv_loop_t *loop;
	struct fl_dns_stream_options options;
	struct fl_dns_stream_counts counts;
	struct connection *open;
	struct connection *ready;
	unsigned handles; /* to be closed before this may be freed */
	bool stopping;
	uint8_t answer[PREFIX + FL_DNS_MESSAGE_MAX];
};

static void release(struct fl_dns_streams *streams)
{
	if (--streams->handles == 0 && streams->stopping)
		free(streams);
}

/* ------------------------------------------------------------ connections */

static void on_connection_closed(uv_handle_t *handle)
{
	struct connection *c = handle->data;
	struct fl_dns_streams *streams = c->streams;

	free(c->out);
	free(c);
	release(streams);
}

static void leave_ready(struct connection *c)
{
	if (c->ready)
		DL_DELETE2(c->streams->ready, c, prev_ready, next_ready);
	c->ready = false;
}

static void close_connection(struct connection *c)
{
	if (c->closing)
		return;
	c->closing = true;
	leave_ready(c);
	DL_DELETE(c->streams->open, c);
	c->streams->counts.connections--;
	uv_close((uv_handle_t *)&c->handle, on_connection_closed);
}

static void on_timer(uv_timer_t *timer);

/* Something came of it: it has its patience again. All have the same, so that the
 * list stays in order. */
static void touch(struct connection *c)
{
	struct fl_dns_streams *streams = c->streams;

	c->deadline_ms = uv_now(streams->loop) + streams->options.idle_ms;
	DL_DELETE(streams->open, c);
	DL_APPEND(streams->open, c);
	if (!uv_is_active((uv_handle_t *)&streams->timer))
		uv_timer_start(&streams->timer, on_timer, streams->options.idle_ms, 0);
}

static void on_timer(uv_timer_t *timer)
{
	struct fl_dns_streams *streams = timer->data;
	uint64_t now_ms = uv_now(streams->loop);

	while (streams->open && streams->open->deadline_ms <= now_ms) {
		streams->counts.expired++;
		close_connection(streams->open);
	}
	if (streams->open)
		uv_timer_start(timer, on_timer, streams->open->deadline_ms - now_ms, 0);
}

/* ---------------------------------------------------------------- reading */

static size_t message_length(const struct connection *c)
{
	return (size_t)c->in[0] << 8 | c->in[1];
}

static bool has_query(const struct connection *c)
{
	return c->have >= PREFIX && c->have >= PREFIX + message_length(c);
}

static void on_alloc(uv_handle_t *handle, size_t wished, uv_buf_t *ret)
{
	struct connection *c = handle->data;

	(void)wished;
	*ret = uv_buf_init((char *)c->in + c->have, (unsigned)(sizeof(c->in) - c->have));
}

static void on_turn(uv_idle_t *turn);
static void proceed(struct connection *c);

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer)
{
	struct connection *c = stream->data;

	(void)buffer;
	if (count == UV_EOF)
		c->ended = true;
	else if (count < 0)
		close_connection(c);
	else
		c->have += (size_t)count;
	proceed(c);
}

static void keep_reading(struct connection *c)
{
	bool wanted = !c->ended && c->have < sizeof(c->in);

	if (wanted == c->reading)
		return;
	c->reading = wanted;
	if (!wanted)
		uv_read_stop((uv_stream_t *)&c->handle);
	else if (uv_read_start((uv_stream_t *)&c->handle, on_alloc, on_read) < 0)
		close_connection(c);
}

/* What comes next, after bytes came or an answer went. */
static void proceed(struct connection *c)
{
	struct fl_dns_streams *streams = c->streams;

	if (c->closing)
		return;
	if (c->have >= PREFIX && message_length(c) > FL_DNS_QUERY_MAX) {
		streams->counts.invalid++;
		close_connection(c);
		return;
	}
	if (has_query(c) && !c->out && !c->ready) {
		c->ready = true;
		DL_APPEND2(streams->ready, c, prev_ready, next_ready);
		uv_idle_start(&streams->turn, on_turn);
	}
	if (c->ended && !c->out && !c->ready)
		close_connection(c);
	else
		keep_reading(c);
}

/* -------------------------------------------------------------- answering */

static void on_written(uv_write_t *write, int status)
{
	struct connection *c = write->data;

	free(c->out);
	c->out = NULL;
	if (status < 0)
		close_connection(c);
	if (c->closing)
		return;
	touch(c);
	proceed(c);
}

/* Send what lies in streams->answer. @return false when that is the end */
static bool send_answer(struct connection *c, size_t size)
{
	uint8_t *bytes = c->streams->answer;
	uv_buf_t buffer = uv_buf_init((char *)bytes, (unsigned)size);
	int sent = uv_try_write((uv_stream_t *)&c->handle, &buffer, 1);

	if (sent == UV_EAGAIN)
		sent = 0;
	if (sent < 0)
		return false;
	if ((size_t)sent == size)
		return true;
	c->out = malloc(size - (size_t)sent);
	if (!c->out)
		return false;
	memcpy(c->out, bytes + sent, size - (size_t)sent);
	buffer = uv_buf_init((char *)c->out, (unsigned)(size - (size_t)sent));
	c->write.data = c;
	return uv_write(&c->write, (uv_stream_t *)&c->handle, &buffer, 1, on_written) == 0;
}

static void serve(struct connection *c)
{
	struct fl_dns_streams *streams = c->streams;
	const struct fl_dns_stream_options *options = &streams->options;
	size_t taken = PREFIX + message_length(c);
	size_t length = options->answer(
		options->context, c->in + PREFIX, message_length(c), streams->answer + PREFIX);

	if (!length) {
		streams->counts.invalid++;
		close_connection(c);
		return;
	}
	memmove(c->in, c->in + taken, c->have - taken);
	c->have -= taken;
	streams->answer[0] = (uint8_t)(length >> 8);
	streams->answer[1] = (uint8_t)length;
	if (!send_answer(c, PREFIX + length)) {
		close_connection(c);
		return;
	}
	touch(c);
	proceed(c);
}

static void on_turn(uv_idle_t *turn)
{
	struct fl_dns_streams *streams = turn->data;

	for (unsigned i = 0; i < streams->options.per_turn && streams->ready; i++) {
		struct connection *c = streams->ready;

		leave_ready(c);
		serve(c);
	}
	if (!streams->ready)
		uv_idle_stop(turn);
}

/* --------------------------------------------------------- start and stop */

static void on_connection(uv_stream_t *listener, int status)
{
	struct fl_dns_streams *streams = listener->data;
	struct connection *c;

	if (status < 0)
		return;
	c = calloc(1, sizeof(*c));
	if (!c)
		return;
	if (uv_tcp_init(streams->loop, &c->handle) < 0) {
		free(c);
		return;
	}
	c->streams = streams;
	c->handle.data = c;
	streams->handles++;
	if (streams->counts.connections >= streams->options.connections) {
		streams->counts.evicted++;
		close_connection(streams->open);
	}
	DL_APPEND(streams->open, c);
	streams->counts.connections++;
	if (uv_accept(listener, (uv_stream_t *)&c->handle) < 0) {
		close_connection(c);
		return;
	}
	streams->counts.accepted++;
	uv_tcp_nodelay(&c->handle, 1);
	touch(c);
	proceed(c);
}

static void on_handle_closed(uv_handle_t *handle)
{
	release(handle->data);
}

static void close_handle(uv_handle_t *handle)
{
	uv_close(handle, on_handle_closed);
}

void fl_dns_streams_stop(struct fl_dns_streams *streams)
{
	if (!streams)
		return;
	streams->stopping = true;
	while (streams->open)
		close_connection(streams->open);
	close_handle((uv_handle_t *)&streams->listener);
	close_handle((uv_handle_t *)&streams->turn);
	close_handle((uv_handle_t *)&streams->timer);
}

int fl_dns_streams_start(uv_loop_t *loop, int fd, const struct fl_dns_stream_options *options,
	struct fl_dns_streams **ret)
{
	struct fl_dns_streams *streams = calloc(1, sizeof(*streams));
	int r;

	if (!streams) {
		close(fd);
		return -ENOMEM;
	}
	streams->loop = loop;
	streams->options = *options;
	uv_tcp_init(loop, &streams->listener);
	uv_idle_init(loop, &streams->turn);
	uv_timer_init(loop, &streams->timer);
	streams->listener.data = streams->turn.data = streams->timer.data = streams;
	streams->handles = 3;
	r = uv_tcp_open(&streams->listener, fd);
	if (r < 0)
		close(fd);
	else
		r = uv_listen((uv_stream_t *)&streams->listener, SOMAXCONN, on_connection);
	if (r < 0) {
		fl_dns_streams_stop(streams);
		return r;
	}
	*ret = streams;
	return 0;
}

const struct fl_dns_stream_counts *fl_dns_streams_counts(const struct fl_dns_streams *streams)
{
	return &streams->counts;
}

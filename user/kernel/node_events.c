/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "kernel/node_events.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"

struct fl_node_events {
	uv_poll_t poll;
	struct ring_buffer *ring;
	fl_node_event_fn *each;
	void *context;
};

/* @return 0: others may follow */
static int on_event(void *context, void *data, size_t size)
{
	struct fl_node_events *events = context;

	if (size >= sizeof(struct fl_node_event)) /* else it is of another version */
		events->each(events->context, data);
	return 0;
}

static void on_readable(uv_poll_t *poll, int status, int what)
{
	struct fl_node_events *events = poll->data;

	(void)what;
	if (status == 0)
		ring_buffer__consume(events->ring);
}

static void on_closed(uv_handle_t *handle)
{
	struct fl_node_events *events = handle->data;

	ring_buffer__free(events->ring);
	free(events);
}

void fl_node_events_stop(struct fl_node_events *events)
{
	if (events)
		uv_close((uv_handle_t *)&events->poll, on_closed);
}

/* The program wakes nobody up for what was there before. */
static int begin(struct fl_node_events *events)
{
	int r = uv_poll_start(&events->poll, UV_READABLE, on_readable);

	if (r == 0)
		ring_buffer__consume(events->ring);
	return r;
}

int fl_node_events_start(const struct fl_node_maps *maps, uv_loop_t *loop, fl_node_event_fn *each,
	void *context, struct fl_failure *failure, struct fl_node_events **ret)
{
	struct fl_node_events *events = calloc(1, sizeof(*events));
	int r;

	if (!events)
		return fl_fail(failure, -ENOMEM, "out of memory");
	events->each = each;
	events->context = context;
	events->ring = ring_buffer__new(maps->fd[FL_NODE_MAP_events], on_event, events, NULL);
	r = events->ring ? uv_poll_init(loop, &events->poll, ring_buffer__epoll_fd(events->ring))
			 : -errno;
	if (r < 0) {
		ring_buffer__free(events->ring);
		free(events);
		return fl_fail(
			failure, r, "cannot read the events of the node path: %s", fl_log_errno(r));
	}
	events->poll.data = events;
	r = begin(events);
	if (r < 0) {
		fl_node_events_stop(events);
		return fl_fail(
			failure, r, "cannot wait for events of the node path: %s", fl_log_errno(r));
	}
	*ret = events;
	return 0;
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "kernel/sweeper.h"

#include <errno.h>
#include <stdlib.h>

#include "core/log.h"

struct fl_sweeper {
	const struct fl_kernel *kernel;
	uv_timer_t timer;
	uv_work_t work;
	bool busy;    /* `work` is under way */
	bool closed;  /* the timer's handle is, and nobody uses the sweeper any more */
	int result;   /* of the sweep under way */
	bool failing; /* the last one failed, which has been said */
};

static void free_when_done(struct fl_sweeper *sweeper)
{
	if (sweeper->closed && !sweeper->busy)
		free(sweeper);
}

static void on_worker(uv_work_t *work)
{
	struct fl_sweeper *sweeper = work->data;
	uint32_t freed;

	sweeper->result = fl_kernel_sweep(sweeper->kernel, 0, &freed);
}

static void on_swept(uv_work_t *work, int status)
{
	struct fl_sweeper *sweeper = work->data;
	bool failed = status == 0 && sweeper->result < 0;

	sweeper->busy = false;
	if (failed && !sweeper->failing)
		fl_log(FL_LOG_WARNING, "kernel",
			"cannot sweep expired flows, the kernel's timer does it later",
			FL_ERR(sweeper->result));
	sweeper->failing = failed;
	free_when_done(sweeper);
}

static void on_timer(uv_timer_t *timer)
{
	struct fl_sweeper *sweeper = timer->data;

	if (!sweeper->busy)
		sweeper->busy =
			uv_queue_work(timer->loop, &sweeper->work, on_worker, on_swept) == 0;
}

int fl_sweeper_start(const struct fl_kernel *kernel, uv_loop_t *loop, struct fl_sweeper **ret)
{
	struct fl_sweeper *sweeper = calloc(1, sizeof(*sweeper));

	if (!sweeper)
		return -ENOMEM;
	sweeper->kernel = kernel;
	sweeper->timer.data = sweeper->work.data = sweeper;
	uv_timer_init(loop, &sweeper->timer);
	/* At once: agents that end before their turn comes would leave ports taken. */
	uv_timer_start(&sweeper->timer, on_timer, 0, FL_NAT_SWEEP_S * 1000);
	*ret = sweeper;
	return 0;
}

static void on_closed(uv_handle_t *timer)
{
	struct fl_sweeper *sweeper = timer->data;

	sweeper->closed = true;
	free_when_done(sweeper);
}

void fl_sweeper_stop(struct fl_sweeper *sweeper)
{
	if (sweeper)
		uv_close((uv_handle_t *)&sweeper->timer, on_closed);
}

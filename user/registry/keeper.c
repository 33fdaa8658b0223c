/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "registry/keeper.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/clock.h"
#include "core/log.h"

/*
 * What waits is either a list or a time. A timer lets changes gather, the longer
 * the longer the last writing took; then a job takes what waits to a worker
 * thread. References to services are counted on the loop alone, and only when a
 * job begins: a change among thousands costs nothing here.
 */
#define GATHER_MS      1000
#define GATHER_TOUCHES 10000
#define RETRY_MS       60000
#define SHARE          20 /* of the time at most 1/SHARE is spent writing */

enum job { NOTHING, LOAD, STORE, TOUCH, FORGET };

struct fl_keeper {
	uv_loop_t *loop;
	char *directory, *registry;
	uv_timer_t timer;
	bool closing, forget;
	fl_keeper_loaded loaded; /* NULL = nobody waits */
	void *context;

	bool has_list;                /* to be written */
	const fl_service_vec *source; /* where it is; NULL = in `list` */
	fl_service_vec list;          /* references, taken when it is written */
	bool has_time;
	uint64_t taken_ms; /* of both */
	uint64_t gather_ms;
	int told; /* error that was logged last */

	/* the worker thread's */
	uv_work_t work;
	enum job job;
	struct fl_kept kept;
	fl_service_vec writing;
	uint64_t writing_ms;
	uint64_t took_ms;
	int result;
};

/* --------------------------------------------------------------------- jobs */

static void do_job(uv_work_t *work)
{
	struct fl_keeper *keeper = work->data;
	uint64_t began_ns = fl_clock_mono_ns();

	if (keeper->job == LOAD)
		keeper->result = fl_kept_load(
			keeper->directory, keeper->registry, fl_clock_real_ms(), &keeper->kept);
	else if (keeper->job == STORE)
		keeper->result = fl_kept_store(keeper->directory, keeper->registry,
			keeper->writing_ms, keeper->writing.items, keeper->writing.count);
	else if (keeper->job == TOUCH)
		keeper->result = fl_kept_touch(keeper->directory, keeper->writing_ms);
	else if (keeper->job == FORGET)
		fl_kept_forget(keeper->directory);
	keeper->took_ms = (fl_clock_mono_ns() - began_ns) / 1000000;
}

static void go_on(struct fl_keeper *keeper);

/* What could not be written is tried again, as it is then. */
static void stored(struct fl_keeper *keeper)
{
	int r = keeper->result;

	if (r < 0 && r != keeper->told)
		fl_log(FL_LOG_WARNING, "registry",
			"cannot keep the snapshot in the state directory; a restart while the "
			"registry is away would lose its services",
			FL_STR("registry", keeper->registry), FL_ERR(r));
	else if (r == 0 && keeper->told)
		fl_log(FL_LOG_INFO, "registry", "the snapshot is kept again",
			FL_STR("registry", keeper->registry));
	keeper->told = r;
	keeper->gather_ms = keeper->took_ms * SHARE;
	if (r < 0 && !keeper->closing) {
		keeper->has_list = true;
		keeper->gather_ms = RETRY_MS;
	}
	fl_services_done(&keeper->writing);
}

static void after_job(uv_work_t *work, int status)
{
	struct fl_keeper *keeper = work->data;
	enum job job = keeper->job;

	(void)status;
	keeper->job = NOTHING;
	if (job == LOAD) {
		fl_keeper_loaded loaded = TAKE_PTR(keeper->loaded);

		if (loaded)
			loaded(keeper->context, keeper->result, &keeper->kept);
		fl_kept_done(&keeper->kept);
	} else if (job == STORE) {
		stored(keeper);
	}
	go_on(keeper);
}

/* @return 0, -errno */
static int begin(struct fl_keeper *keeper, enum job job)
{
	int r;

	keeper->job = job;
	keeper->result = 0;
	keeper->work.data = keeper;
	r = uv_queue_work(keeper->loop, &keeper->work, do_job, after_job);
	if (r < 0)
		keeper->job = NOTHING;
	return r;
}

/* The list as it is now. @return false when out of memory */
static bool take_list(struct fl_keeper *keeper)
{
	const fl_service_vec *source = keeper->source;

	for (size_t i = 0; source && i < source->count; i++) {
		struct fl_service **service = fl_vec_push(&keeper->list);

		if (!service) {
			fl_services_done(&keeper->list);
			return false;
		}
		*service = fl_service_ref(source->items[i]);
	}
	return true;
}

static void begin_writing(struct fl_keeper *keeper)
{
	enum job job = keeper->has_list ? STORE : TOUCH;

	if (keeper->job != NOTHING || (!keeper->has_list && !keeper->has_time))
		return;
	if (job == STORE && !take_list(keeper))
		return; /* the file stays as it is; the next change tries again */
	keeper->writing = keeper->list;
	keeper->writing_ms = keeper->taken_ms;
	keeper->list = (fl_service_vec){ 0 };
	keeper->has_list = keeper->has_time = false;
	if (begin(keeper, job) < 0)
		fl_services_done(&keeper->writing);
}

/* ------------------------------------------------------------------- timing */

static void on_timer(uv_timer_t *timer)
{
	begin_writing(timer->data);
}

static void on_closed(uv_handle_t *handle)
{
	struct fl_keeper *keeper = handle->data;

	free(keeper->directory);
	free(keeper->registry);
	free(keeper);
}

static void finish(struct fl_keeper *keeper)
{
	if (keeper->forget) {
		keeper->has_list = keeper->has_time = false;
		keeper->forget = false;
		begin(keeper, FORGET);
	} else {
		begin_writing(keeper);
	}
	if (keeper->job != NOTHING || uv_is_closing((uv_handle_t *)&keeper->timer))
		return; /* after_job comes here again */
	fl_services_done(&keeper->list);
	uv_close((uv_handle_t *)&keeper->timer, on_closed);
}

/* See what is to be done next. */
static void go_on(struct fl_keeper *keeper)
{
	uint64_t wait_ms = keeper->has_list ? GATHER_MS : GATHER_TOUCHES;

	if (keeper->job != NOTHING)
		return;
	if (keeper->closing) {
		finish(keeper);
		return;
	}
	if (!keeper->has_list && !keeper->has_time)
		return;
	if (keeper->has_list && keeper->gather_ms > wait_ms)
		wait_ms = keeper->gather_ms;
	if (!uv_is_active((uv_handle_t *)&keeper->timer) ||
		uv_timer_get_due_in(&keeper->timer) > wait_ms)
		uv_timer_start(&keeper->timer, on_timer, wait_ms, 0);
}

/* ------------------------------------------------------------------- public */

struct fl_keeper *fl_keeper_new(uv_loop_t *loop, const char *directory, const char *registry)
{
	struct fl_keeper *keeper = calloc(1, sizeof(*keeper));

	if (!keeper)
		return NULL;
	keeper->loop = loop;
	keeper->directory = strdup(directory);
	keeper->registry = strdup(registry);
	if (!keeper->directory || !keeper->registry) {
		free(keeper->directory);
		free(keeper->registry);
		free(keeper);
		return NULL;
	}
	uv_timer_init(loop, &keeper->timer);
	keeper->timer.data = keeper;
	return keeper;
}

int fl_keeper_load(struct fl_keeper *keeper, fl_keeper_loaded done, void *context)
{
	int r = begin(keeper, LOAD);

	if (r < 0)
		return r;
	keeper->loaded = done;
	keeper->context = context;
	return 0;
}

void fl_keeper_keep(struct fl_keeper *keeper, const fl_service_vec *services, uint64_t taken_ms)
{
	keeper->source = services;
	keeper->has_list = true;
	keeper->taken_ms = taken_ms;
	go_on(keeper);
}

void fl_keeper_touch(struct fl_keeper *keeper, uint64_t taken_ms)
{
	keeper->has_time = true;
	keeper->taken_ms = taken_ms;
	go_on(keeper);
}

void fl_keeper_leave(struct fl_keeper *keeper, const fl_service_vec *services)
{
	keeper->loaded = NULL;
	keeper->source = services;
}

void fl_keeper_close(struct fl_keeper *keeper, bool forget)
{
	if (!keeper)
		return;
	keeper->loaded = NULL;
	if (keeper->has_list)
		keeper->has_list = take_list(keeper);
	keeper->source = NULL;
	keeper->closing = true;
	keeper->forget = forget;
	go_on(keeper);
}

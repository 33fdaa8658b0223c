/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "health/keeper.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/log.h"
#include "core/sealed.h"
#include "health/record.h"

#define FILE_NAME "health"
#define LOOK_MS   1000

struct fl_health_keeper {
	uv_loop_t *loop;
	const struct fl_health *health;
	char *state_dir;
	uv_timer_t timer;
	uint64_t written; /* version of `health` that is on disk, or on its way */
	int told;         /* error that was logged last */
	bool closing;

	/* the worker thread's */
	uv_work_t work;
	bool working;
	struct fl_text text;
	int result;
};

/* ------------------------------------------------------------------------ store */

static void take_text(struct fl_health_keeper *keeper)
{
	keeper->written = fl_health_version(keeper->health);
	fl_health_write(keeper->health, &keeper->text);
}

static void store(uv_work_t *work)
{
	struct fl_health_keeper *keeper = work->data;

	keeper->result = keeper->text.failed ? -ENOMEM
					     : fl_sealed_store(keeper->state_dir, FILE_NAME,
						       keeper->text.data ? keeper->text.data : "",
						       keeper->text.length);
}

/* What could not be written is tried again at the next look. */
static void stored(struct fl_health_keeper *keeper)
{
	int r = keeper->result;

	fl_text_done(&keeper->text);
	keeper->text = (struct fl_text){ 0 };
	if (r < 0)
		keeper->written = 0;
	if (r < 0 && r != keeper->told)
		fl_log(FL_LOG_WARNING, "health",
			"cannot keep the health of endpoints in the state directory; a restart "
			"would take those that are down for up",
			FL_ERR(r));
	else if (r == 0 && keeper->told)
		fl_log(FL_LOG_INFO, "health", "the health of endpoints is kept again");
	keeper->told = r;
}

static void on_closed(uv_handle_t *handle)
{
	struct fl_health_keeper *keeper = handle->data;

	free(keeper->state_dir);
	free(keeper);
}

static void finish(struct fl_health_keeper *keeper)
{
	if (keeper->written != fl_health_version(keeper->health)) {
		take_text(keeper);
		store(&keeper->work);
		stored(keeper);
	}
	uv_close((uv_handle_t *)&keeper->timer, on_closed);
}

static void after_store(uv_work_t *work, int status)
{
	struct fl_health_keeper *keeper = work->data;

	(void)status;
	keeper->working = false;
	stored(keeper);
	if (keeper->closing)
		finish(keeper);
}

static void on_look(uv_timer_t *timer)
{
	struct fl_health_keeper *keeper = timer->data;

	if (keeper->working || keeper->written == fl_health_version(keeper->health))
		return;
	take_text(keeper);
	keeper->working = uv_queue_work(keeper->loop, &keeper->work, store, after_store) == 0;
}

/* ------------------------------------------------------------------------- load */

static int load(struct fl_health *health, const char *state_dir)
{
	_cleanup_free_ char *text = NULL;
	struct fl_failure failure = { 0 };
	size_t length = 0;
	int r = fl_sealed_load(state_dir, FILE_NAME, &failure, &text, &length);

	if (r == -ENOENT)
		return 0;
	if (r < 0) {
		fl_log(FL_LOG_WARNING, "health", "what was known of endpoints is lost",
			FL_STR("err", failure.message));
		return r == -ENOMEM ? r : 0;
	}
	r = fl_health_read(health, text);
	if (r > 0)
		fl_log(FL_LOG_INFO, "health", "what was known of endpoints is taken over",
			FL_INT("endpoints", r));
	return r < 0 ? r : 0;
}

int fl_health_keeper_start(uv_loop_t *loop, struct fl_health *health, const char *state_dir,
	struct fl_health_keeper **ret)
{
	struct fl_health_keeper *keeper;
	int r = load(health, state_dir);

	if (r < 0)
		return r;
	keeper = calloc(1, sizeof(*keeper));
	if (!keeper || !(keeper->state_dir = strdup(state_dir))) {
		free(keeper);
		return -ENOMEM;
	}
	keeper->loop = loop;
	keeper->health = health;
	keeper->written = fl_health_version(health);
	keeper->work.data = keeper;
	uv_timer_init(loop, &keeper->timer);
	keeper->timer.data = keeper;
	uv_timer_start(&keeper->timer, on_look, LOOK_MS, LOOK_MS);
	*ret = keeper;
	return 0;
}

void fl_health_keeper_stop(struct fl_health_keeper *keeper)
{
	if (!keeper)
		return;
	uv_timer_stop(&keeper->timer);
	keeper->closing = true;
	if (!keeper->working)
		finish(keeper);
}

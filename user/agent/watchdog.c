/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "agent/watchdog.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/notify.h"
#include "core/log.h"

/* @return 0 = it is no number above 0 */
static uint64_t number_of(const char *text)
{
	char *end;
	unsigned long long number;

	if (!text || *text < '0' || *text > '9')
		return 0;
	errno = 0;
	number = strtoull(text, &end, 10);
	return *end || errno ? 0 : number;
}

uint64_t fl_watchdog_interval_ms(const char *usec, const char *pid, pid_t self)
{
	uint64_t allowed_us = number_of(usec);

	if (!allowed_us || (pid && *pid && number_of(pid) != (uint64_t)self))
		return 0;
	return allowed_us < 2000 ? 1 : allowed_us / 2000;
}

bool fl_watchdog_look(struct fl_watchdog *watchdog)
{
	uint64_t now = watchdog->progress(watchdog->context);

	watchdog->looks = now && now == watchdog->last ? watchdog->looks + 1 : 0;
	watchdog->last = now;
	return watchdog->looks < FL_WATCHDOG_PATIENCE;
}

static void on_timer(uv_timer_t *timer)
{
	struct fl_watchdog *watchdog = timer->data;

	if (fl_watchdog_look(watchdog))
		fl_notify("WATCHDOG=1");
	else if (watchdog->looks == FL_WATCHDOG_PATIENCE)
		fl_log(FL_LOG_ERROR, "agent",
			"changes do not reach the kernel; the watchdog is told no more");
}

void fl_watchdog_start(struct fl_watchdog *watchdog, uv_loop_t *loop,
	uint64_t (*progress)(void *context), void *context)
{
	uint64_t ms =
		fl_watchdog_interval_ms(getenv("WATCHDOG_USEC"), getenv("WATCHDOG_PID"), getpid());

	watchdog->progress = progress;
	watchdog->context = context;
	uv_timer_init(loop, &watchdog->timer);
	watchdog->timer.data = watchdog;
	if (ms)
		uv_timer_start(&watchdog->timer, on_timer, ms, ms);
}

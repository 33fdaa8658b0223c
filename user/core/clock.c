/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "core/clock.h"

#include <stdio.h>
#include <time.h>

static uint64_t read_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t fl_clock_real_ms(void)
{
	return read_ns(CLOCK_REALTIME) / 1000000u;
}

uint64_t fl_clock_mono_ns(void)
{
	return read_ns(CLOCK_MONOTONIC);
}

uint32_t fl_clock_boot_s(void)
{
	return (uint32_t)(read_ns(CLOCK_BOOTTIME) / 1000000000u);
}

static void format_utc(uint64_t real_s, char buffer[20])
{
	time_t seconds = (time_t)real_s;
	struct tm tm;

	gmtime_r(&seconds, &tm);
	strftime(buffer, 20, "%Y-%m-%dT%H:%M:%S", &tm);
}

char *fl_time_format_ms(uint64_t real_ms, char buffer[FL_TIME_TEXT])
{
	char seconds[20];

	format_utc(real_ms / 1000, seconds);
	snprintf(buffer, FL_TIME_TEXT, "%s.%03uZ", seconds, (unsigned)(real_ms % 1000));
	return buffer;
}

char *fl_time_format_s(uint64_t real_s, char buffer[FL_TIME_TEXT])
{
	char seconds[20];

	format_utc(real_s, seconds);
	snprintf(buffer, FL_TIME_TEXT, "%sZ", seconds);
	return buffer;
}

/*
 * Second 0 of CLOCK_BOOTTIME as CLOCK_REALTIME. The two clocks cannot be read at
 * once, so a fresh difference would flicker between two seconds; it is kept until
 * somebody sets the clock.
 */
static int64_t boot_at_s(void)
{
	static _Atomic int64_t kept_s = INT64_MIN;
	int64_t fresh_ns = (int64_t)(read_ns(CLOCK_REALTIME) - read_ns(CLOCK_BOOTTIME));
	int64_t fresh_s = fresh_ns / 1000000000;
	int64_t at_s = kept_s;

	if (at_s != INT64_MIN && fresh_s - at_s <= 1 && at_s - fresh_s <= 1)
		return at_s;
	kept_s = fresh_s;
	return fresh_s;
}

uint64_t fl_clock_boot_to_real_s(uint32_t boot_s)
{
	uint32_t now_s = fl_clock_boot_s();

	return (uint64_t)(boot_at_s() + now_s) - (uint32_t)(now_s - boot_s);
}

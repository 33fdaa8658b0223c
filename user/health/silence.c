/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "health/silence.h"

#include <stddef.h>

#include "fairlead/eject.h"

bool fl_silence_is_out(const struct fl_silence *silence)
{
	return silence->until_s != 0;
}

void fl_silence_count_row(struct fl_silence_row *refusals, uint32_t row)
{
	if (row < refusals->row) {
		refusals->counts.answered++;
		refusals->row = 0;
	}
	refusals->counts.refused += row - refusals->row;
	refusals->row = row;
}

static void begin_window(
	struct fl_silence *silence, const struct fl_silence_counts *counts, uint32_t now_s)
{
	silence->base = silence->last = *counts;
	silence->since_s = now_s;
}

static void leave_out(struct fl_silence *silence, const struct fl_silence_rules *rules,
	uint32_t fails, bool refuses, uint32_t now_s)
{
	uint32_t base_s = rules->fail_timeout_s;
	uint32_t worked_s = silence->works_s ? now_s - silence->works_s : 0;

	silence->times = (uint16_t)fl_eject_remembered(silence->times, base_s, worked_s);
	if (silence->times < UINT16_MAX)
		silence->times++;
	silence->works_s = 0;
	silence->fails = fails < UINT16_MAX ? (uint16_t)fails : UINT16_MAX;
	silence->refuses = refuses;
	silence->until_s = now_s + fl_eject_s(base_s, silence->times);
}

/* @return openings that failed; 0 = too few to tell */
static uint32_t count_fails(const struct fl_silence *silence, const struct fl_silence_rules *rules,
	const struct fl_silence_counts *counts, uint32_t now_s, bool *ret_refuses)
{
	uint32_t refused = counts->refused - silence->base.refused;
	uint32_t openings = silence->last.openings - silence->base.openings;

	*ret_refuses = refused >= rules->max_fails;
	if (*ret_refuses)
		return refused;
	if (now_s - silence->since_s < FL_SILENCE_AGE_S || openings < rules->max_fails)
		return 0;
	return openings;
}

enum fl_silence_change fl_silence_feed(struct fl_silence *silence,
	const struct fl_silence_rules *rules, const struct fl_silence_counts *counts, bool spare,
	uint32_t now_s)
{
	uint32_t fails;
	bool refuses;

	if (silence->until_s) {
		if (rules->max_fails && (int32_t)(now_s - silence->until_s) < 0)
			return FL_SILENCE_SAME;
		silence->until_s = 0;
		begin_window(silence, counts, now_s);
		return FL_SILENCE_TRY;
	}
	if (!silence->since_s || !rules->max_fails) {
		begin_window(silence, counts, now_s);
		return FL_SILENCE_SAME;
	}
	if (counts->answered != silence->base.answered) {
		if (!silence->works_s)
			silence->works_s = now_s;
		begin_window(silence, counts, now_s);
		return FL_SILENCE_SAME;
	}
	fails = count_fails(silence, rules, counts, now_s, &refuses);
	silence->last = *counts;
	if (fails && !spare) {
		leave_out(silence, rules, fails, refuses, now_s);
		return FL_SILENCE_FAILS;
	}
	if (now_s - silence->since_s > rules->fail_timeout_s && !fails)
		begin_window(silence, counts, now_s);
	return FL_SILENCE_SAME;
}

bool fl_silence_must_spare(const struct fl_silence_share *share, uint8_t max_percent)
{
	return share->takers < 2 || !fl_eject_fits(max_percent, share->endpoints, share->out);
}

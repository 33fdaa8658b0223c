/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "model/check.h"

/**
 * @file streak.h
 * Rise and fall: turns single probes into a steady up or down, and says how soon the
 * next probe is due. The very first probe decides at once, as Envoy has it: what was
 * believed before it was no more than a guess. Pure.
 */
struct fl_streak {
	bool decided; /**< some probe was heard; before, `up` is a guess */
	bool up;
	uint8_t length; /**< probes in a row that disagree with `up` */
};

/** @return whether `up` changed, or was decided just now */
bool fl_streak_feed(struct fl_streak *streak, const struct fl_check *check, bool ok);

/**
 * From the begin of one probe to that of the next.
 * @param random  32 random bits: each interval is shortened by up to a tenth, so that many
 *                checks drift apart, and none is ever later than its interval says
 */
uint32_t fl_streak_next_ms(
	const struct fl_streak *streak, const struct fl_check *check, uint32_t random);
/** When the first of all probes is due, from now: anywhere in the first interval. */
uint32_t fl_streak_first_ms(const struct fl_check *check, uint32_t random);

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/**
 * @file silence.h
 * What the edge path sees of an endpoint's health: connections that are opened towards it, and
 * whether anything comes of them.
 *
 * In nat answers pass by: an opening is answered, refused (by RST, or by an ICMP error that says
 * that nobody gets there), or meets silence. UDP has no openings, and silence means nothing
 * there: its flows are answered or refused. In tunnel modes answers do not pass by, but a
 * client that hears nothing sends nothing but openings, so other packets are the sign that
 * openings were answered.
 *
 * The conclusion is a careful one: an endpoint fails when `max_fails` openings failed within
 * `fail_timeout` (nginx's words) and none at all succeeded. It is left out for as long as the
 * node path ejects (fairlead/eject.h): longer each time in a row, one of which is forgotten
 * with each `fail_timeout` that it worked since; then it is tried again. Pure: counts and
 * times are handed in.
 */

/** Running totals, which wrap. */
struct fl_silence_counts {
	uint32_t openings;
	uint32_t answered; /**< of these, or packets that show that some were */
	uint32_t refused;
};

struct fl_silence_rules {
	uint16_t max_fails; /**< 0 = never */
	uint16_t fail_timeout_s;
};

/** Of one endpoint; begins zeroed. */
struct fl_silence {
	struct fl_silence_counts base; /**< when the window began */
	struct fl_silence_counts
		last;     /**< as of the last feed: what is newer may yet be answered */
	uint32_t since_s; /**< when the window began; 0 = nothing was fed yet */
	uint32_t until_s; /**< left out until then; 0 = it is not */
	uint32_t works_s; /**< it works since then; 0 = not since it was left out last */
	uint16_t fails;   /**< openings that failed, when it was left out */
	uint16_t times;   /**< in a row, when it was left out last */
	bool refuses;     /**< it failed by refusing, not by silence */
};

/** How long nothing may be answered before openings, each a second old at least, count as met
 * by silence: SYN was sent again by then (RFC 6298). */
#define FL_SILENCE_AGE_S 3

enum fl_silence_change { FL_SILENCE_SAME, FL_SILENCE_FAILS, FL_SILENCE_TRY };

/**
 * Feed the totals, about once a second.
 * @param spare  more endpoints must not be left out: this one goes on
 * @param now_s  CLOCK_BOOTTIME
 * @return FAILS = leave it out from now on; TRY = use it again; else it stays as it is
 */
enum fl_silence_change fl_silence_feed(struct fl_silence *silence,
	const struct fl_silence_rules *rules, const struct fl_silence_counts *counts, bool spare,
	uint32_t now_s);
/**
 * Refusals in a row, which one success sets back to 0, as running totals: how UDP is counted
 * in `answers`. Begins zeroed.
 */
struct fl_silence_row {
	uint32_t row; /**< as of the last look */
	struct fl_silence_counts counts;
};
void fl_silence_count_row(struct fl_silence_row *refusals, uint32_t row);
/** Whether it is left out. */
bool fl_silence_is_out(const struct fl_silence *silence);

/** Of one service. */
struct fl_silence_share {
	uint32_t endpoints;
	uint32_t out;    /**< left out */
	uint32_t takers; /**< that get new flows, as applied */
};

/**
 * Whether no more of the service's endpoints may be left out: never the last that takes new
 * flows (nginx ignores max_fails where there is a single server), nor more than the share of
 * fl_eject_fits.
 */
bool fl_silence_must_spare(const struct fl_silence_share *share, uint8_t max_percent);

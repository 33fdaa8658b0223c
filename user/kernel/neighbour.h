/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/**
 * @file neighbour.h
 * What we believe of one neighbour, and when the kernel is to be asked to
 * resolve it again.
 *
 * The kernel keeps a neighbour fresh while its own stack talks to it; packets
 * that XDP sends are no such talk. So we play the stack: an entry that went stale
 * is probed, one that was flushed is asked for again. While that is under way the old
 * address stays in use; only a neighbour that did not answer is given up, and
 * asked for again at growing intervals. Pure.
 */
enum fl_neighbour_belief {
	FL_NEIGHBOUR_UNKNOWN, /**< asked for, no answer yet */
	FL_NEIGHBOUR_KNOWN,
	FL_NEIGHBOUR_CONFIRMING, /**< the kernel forgot it; our old address holds meanwhile */
	FL_NEIGHBOUR_LOST,       /**< does not answer */
};

/** Embed it; all zeroes is a neighbour never heard of. */
struct fl_neighbour {
	enum fl_neighbour_belief belief;
	uint8_t mac[6];      /**< valid while known or confirming */
	bool probed;         /**< since it was last known */
	uint64_t probed_ms;  /**< when it was last asked for */
	uint64_t due_ms;     /**< when fl_neighbour_tick() has something to say; 0 = never */
	uint32_t backoff_ms; /**< while lost */
};

/** A stale entry is probed at most so often. */
#define FL_NEIGHBOUR_STALE_MS 20000
/** How long a flushed entry is left alone. */
#define FL_NEIGHBOUR_FLUSH_MS 50
/** When an answer, or the kernel's word that there is none, is looked for again. */
#define FL_NEIGHBOUR_PATIENCE_MS    5000
#define FL_NEIGHBOUR_BACKOFF_MIN_MS 1000
#define FL_NEIGHBOUR_BACKOFF_MAX_MS 30000

/** What the caller is to do; any of these, or-ed. */
#define FL_NEIGHBOUR_CHANGED 1 /**< belief in `mac` or in being reachable changed */
#define FL_NEIGHBOUR_PROBE   2 /**< make the kernel resolve it, now */
#define FL_NEIGHBOUR_LOOK    4 /**< read the kernel's entry and feed it */

/**
 * Tell what the kernel's entry holds.
 * @param nud     NUD_* of the entry; 0 = there is none
 * @param mac     its address, or NULL
 * @param now_ms  any clock that does not go back
 * @return FL_NEIGHBOUR_CHANGED, FL_NEIGHBOUR_PROBE
 */
unsigned fl_neighbour_feed(
	struct fl_neighbour *neighbour, uint16_t nud, const uint8_t *mac, uint64_t now_ms);

/** `due_ms` has come. @return FL_NEIGHBOUR_PROBE, FL_NEIGHBOUR_LOOK; 0 when it is not yet due */
unsigned fl_neighbour_tick(struct fl_neighbour *neighbour, uint64_t now_ms);

/** Whether `mac` can be used. */
bool fl_neighbour_is_usable(const struct fl_neighbour *neighbour);

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"

/**
 * @file query.h
 * The rules of blocking queries (Consul's documentation, "Blocking Queries"). Pure.
 *
 * A question carries the index of the last answer; Consul answers when its own is
 * higher, or after `wait`, to which it adds up to a sixteenth. An answer is no proof
 * of a change.
 */

/**
 * The index for the next question.
 * @param current  of the question that was answered
 * @param header   X-Consul-Index; NULL = there is none
 * @return 0 when it went backwards (a restored snapshot, a deleted key, a stream that broke
 *         off): leave the answer alone and ask for everything. Never block on less than 1
 *         otherwise: that would be answered at once, for ever
 */
uint64_t fl_consul_index_next(uint64_t current, const char *header);

/**
 * How often something may be asked whose answers come sooner than they were asked for:
 * a bucket of tokens. A burst of changes is followed at once; one that does not end
 * costs FL_CONSUL_PACE_MS for each answer, and since each tells the whole state, nothing
 * is lost. (Consul's own watchers refill one token in 15 s; a change must be in force within
 * a second here, also the tenth in a row.)
 */
#define FL_CONSUL_PACE_BURST 20
#define FL_CONSUL_PACE_MS    500
struct fl_consul_pace {
	uint32_t used;      /**< tokens */
	uint64_t filled_ms; /**< until when refilling was counted */
};
/** An answer came early. @return milliseconds to wait before the next question */
uint32_t fl_consul_pace_take(struct fl_consul_pace *pace, uint64_t now_ms);

/**
 * Whether an answer tells of a past that is not worth following: the server does not know
 * a leader, or has not heard from it for more than 10 seconds. What an agent answers from its
 * stream of changes never claims to know one (seen with 1.22).
 * @param known_leader, last_contact, backend  the headers; NULL = there is none
 * @param why  set when it is
 */
bool fl_consul_is_behind(const char *known_leader, const char *last_contact, const char *backend,
	char *why, size_t why_size);

/**
 * A question's path with its parameters.
 * @param path     "/v1/health/service/web", escaped; may have parameters
 * @param filter   add the configured filter
 * @param index    0 = answer at once
 * @return to be freed; NULL when out of memory
 */
char *fl_consul_query_path(const char *path, const struct fl_consul_config *config, bool filter,
	uint64_t index, uint32_t wait_ms);

/** How long the answer may take. */
uint32_t fl_consul_query_timeout_ms(uint64_t index, uint32_t wait_ms);

/**
 * How long to let a question wait when `count` of them share `slots` connections: as
 * configured if there is one for each, else so that each has its turn within
 * FL_CONSUL_ROUND_MS if that is possible.
 */
#define FL_CONSUL_ROUND_MS    5000
#define FL_CONSUL_WAIT_MIN_MS 100
uint32_t fl_consul_turn_ms(uint32_t wait_ms, size_t count, size_t slots);

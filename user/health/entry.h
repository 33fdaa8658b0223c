/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "health/health.h"
#include "model/service.h"

/* Out of memory leaves an entry out of its table, and says so in the entry. */
#define HASH_NONFATAL_OOM        1
#define uthash_nonfatal_oom(elt) ((elt)->lost = true)
#include <uthash.h>

/**
 * @file entry.h
 * The table behind health.h, as health/ alone sees it.
 */

/** What makes the detail of a verdict. */
enum fl_source {
	FL_SOURCE_WORD,
	FL_SOURCE_PROBE,
	FL_SOURCE_HEARTBEAT,
	FL_SOURCE_AGENT,
	FL_SOURCE_PASSIVE,
	FL_SOURCES
};

struct fl_entry_key {
	struct fl_ip addr;
	uint16_t port;
	uint16_t pad; /**< 0: keys are compared as bytes */
};

/** One endpoint. */
struct fl_entry {
	UT_hash_handle hh;
	struct fl_entry_key key;
	struct fl_signals signals; /**< the declared ones as of the last snapshot */
	char *details[FL_SOURCES];
	enum fl_source last; /**< who was heard last */
	uint64_t said_ms;    /**< the operator's word */
	uint64_t until_ms;   /**< when that turns into "down"; 0 = never */
	struct fl_verdict verdict;
	uint16_t ramp; /**< thousandths of the weight; 0 = all of it */
	bool lost;
	bool seen; /**< by the overlay, in the service as it is now */
};

/** Entries of one service. */
struct fl_ward {
	UT_hash_handle hh;
	char *service;
	struct fl_entry *entries;
	bool dirty; /**< is among those that changed since the last snapshot */
	bool lost;
	struct fl_ward *next_dirty;
};

struct fl_health {
	struct fl_ward *wards; /**< by name */
	struct fl_ward *dirty; /**< in no order */
	size_t count;          /**< of entries */
	uint64_t version;      /**< see fl_health_version */
	fl_health_changed changed;
	void *context;
};

/** @return NULL = none */
struct fl_ward *fl_health_ward(const struct fl_health *health, const char *service);
/** @return NULL = none */
struct fl_entry *fl_ward_entry(const struct fl_ward *ward, const struct fl_ip *addr, uint16_t port);
/** Forget an entry; the ward goes with its last one. */
void fl_health_forget(struct fl_health *health, struct fl_ward *ward, struct fl_entry *entry);
/** The detail that goes with a cause. @return borrowed, NULL = none */
const char *fl_entry_detail(const struct fl_entry *entry, enum fl_cause cause);
/** Whether the operator said anything of it. */
bool fl_entry_has_word(const struct fl_entry *entry);

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "fairlead/reasons.h"
#include "headers.h"
#include "world.h"

/**
 * @file spec.h
 * What the edge path has to do with a frame: a model, slow and plain, that shares
 * with the programs what include/fairlead defines (hash, timeouts, flags) and
 * nothing of bpf/lib.
 *
 * It remembers what connections and pins there are. It leaves one choice to the
 * programs: the source address and port of a new nat connection, which
 * spec_source tells it and which must be one that may be chosen.
 */
#define SPEC_FLOWS_MAX 128

/** One nat connection, by its four ends. */
struct spec_connection {
	bool used;
	struct fl_flow client;  /**< as the client sends */
	struct fl_flow forward; /**< as it leaves for the endpoint */
	uint8_t endpoint, frontend;
	uint8_t flags[2]; /**< FL_NAT_SEEN_* of client → endpoint, and back */
	uint32_t seen[2];
	bool refused; /**< an ICMP error said so before any answer */
};

struct spec_pin {
	struct fl_flow flow;
	uint8_t endpoint, service;
	bool proven;
	bool opening; /**< in `opening`, not in `pins` */
	uint32_t seen;
};

/** What stands against pins. */
struct spec_pressure {
	uint32_t old_pins;    /**< of flows that were there before */
	uint32_t refused;     /**< pins that were not made */
	uint32_t failed_s;    /**< when a table had no room; 0 = never */
	uint32_t window;      /**< the last one of 5 s in which flows opened */
	uint32_t openings[2]; /**< pins made in it, and in the one before it */
};

struct spec_state {
	struct spec_connection connections[SPEC_FLOWS_MAX];
	struct spec_pin pins[SPEC_FLOWS_MAX];
	uint32_t connection_count, pin_count;
	struct spec_pressure pressure;
	struct fl_answers answers[WORLD_ENDPOINTS];
};

/** What becomes of the bytes. */
enum spec_output { UNCHANGED, REWRITTEN, WRAPPED, QUOTING };

struct spec_verdict {
	enum fl_reason reason;
	uint8_t endpoint; /**< 0 = none was chosen */
	uint8_t frontend; /**< number of its row */
	uint8_t service;
	bool opens;  /**< a nat connection, whose source is to be told */
	bool full;   /**< there was no room for its pin, which `explain` cannot foresee */
	bool loses;  /**< the slot has to go on moving, for a pin that was not made */
	bool begins; /**< it is counted as a new flow */
	enum { NOT_COUNTED, COUNTED, COUNTED_REPLY } counted;
	enum spec_output output;
	struct fl_flow to;    /**< REWRITTEN, QUOTING: how it leaves */
	struct headers quote; /**< QUOTING: the packet that an ICMP error quotes */
	uint8_t hop;          /**< WRAPPED: row of the next hop */
	uint32_t hash;
	/* Where there is an Ethernet header to write: */
	bool sent;
	uint8_t macs; /**< number for world_macs */
	uint32_t ifindex;
};

/** Judge a frame, and remember what it does. */
struct spec_verdict spec_judge(const struct world *w, struct spec_state *s, struct headers *h,
	const uint8_t *frame, uint32_t length);

/** How the connection that the last verdict opened leaves, and so its answers arrive.
 * @return what is wrong with it, or NULL. The verdict is completed: spec_judge could not
 * tell what depends on the source. */
const char *spec_source(const struct world *w, struct spec_state *s, const struct headers *h,
	const struct fl_flow *forward, struct spec_verdict *v);

/** Forget nat connections that were silent too long. @return how many */
uint32_t spec_sweep(const struct world *w, struct spec_state *s);

/** The tuple of a packet. */
struct fl_flow spec_flow(const struct headers *h);

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <uv.h>

#include "core/addr.h"
#include "health/health.h"
#include "health/verdict.h"
#include "model/check.h"

/**
 * @file probe.h
 * What a kind of probe is to the checker: one attempt on one endpoint, without
 * a clock of its own. When, how often and for how long is the checker's to say.
 *
 * A kind is one file that exports one of these, and a row in probe.c. It never blocks.
 */

/** What all probes of one kind share, such as an HTTP client. */
struct fl_prober;

struct fl_probe_target {
	const struct fl_check *check;
	struct fl_ip addr;
	uint16_t port; /**< host order; never 0, but for exec */
	const char *service;
	/* Of probes that take another road than the straight one. */
	struct fl_ip source; /**< address that it comes from; unspecified = as the check says */
	uint32_t mark;       /**< SO_MARK of its socket; 0 = none */
};

/**
 * Knows the road of probes through the tunnel (`through: tunnel`).
 * @param key     the endpoint
 * @param target  addr and port are set to the frontend's, source and mark to what leads there
 * @param words   set on failure: why there is no such road
 * @return 0, -errno
 */
typedef int fl_probe_road(void *context, const struct fl_health_key *key,
	struct fl_probe_target *target, char words[FL_DETAIL_MAX]);

enum fl_probe_result {
	FL_PROBE_PASSED,
	FL_PROBE_FAILED,
	FL_PROBE_UNABLE, /**< the agent itself could not probe: that says nothing of the endpoint */
};

struct fl_probe_outcome {
	enum fl_probe_result result;
	char detail[FL_DETAIL_MAX]; /**< what was seen, in words; of agent-checks the line */
};
/** Nothing seen yet. */
#define FL_PROBE_OUTCOME(what) { .result = (what) }

/** Called once for a probe that was neither cancelled nor failed to start; from the loop, never
 * from within `start`. The run is gone by then. */
typedef void (*fl_probe_done)(void *context, const struct fl_probe_outcome *outcome);

struct fl_probe_driver {
	/** For all probes of this kind. NULL = nothing is shared. @return 0, -ENOMEM */
	int (*open)(uv_loop_t *loop, struct fl_prober **ret);
	/** Runs were cancelled before. Handles close in the next turns of the loop. */
	void (*close)(struct fl_prober *prober);
	/**
	 * Begin. The target lives until `done` was called or the run cancelled.
	 * @param outcome  filled on failure: it failed or could not be tried at once
	 * @param ret  the run, to cancel it
	 * @return 0, -errno
	 */
	int (*start)(struct fl_prober *prober, uv_loop_t *loop,
		const struct fl_probe_target *target, fl_probe_done done, void *context,
		struct fl_probe_outcome *outcome, void **ret);
	/** `done` will not be called. */
	void (*cancel)(void *run);
	/** Cancel it since patience has ended, and say what its silence means; the outcome is
	 * a failure that says how long it was. NULL = that is what it means. */
	void (*expire)(void *run, struct fl_probe_outcome *outcome);
};

extern const struct fl_probe_driver fl_probe_tcp, fl_probe_http, fl_probe_page, fl_probe_grpc,
	fl_probe_udp, fl_probe_exec, fl_probe_agent;

/** Who carries a check out. The check must have a kind. */
const struct fl_probe_driver *fl_probe_driver(const struct fl_check *check);

/** Note what an errno of connect, send or recv says: of the endpoint, or of ourselves.
 * @return -errno */
int fl_probe_errno(struct fl_probe_outcome *outcome, int code);
void fl_probe_say(struct fl_probe_outcome *outcome, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/** The address that probes of this target come from. @return NULL = what the route prefers; one of
 * the other family is of no use here */
const struct fl_ip *fl_probe_source(const struct fl_probe_target *target);
/**
 * A non-blocking socket that is connecting (or connected, by datagrams).
 * @return a descriptor; -errno with the outcome filled
 */
int fl_probe_connect(
	const struct fl_probe_target *target, int type, struct fl_probe_outcome *outcome);

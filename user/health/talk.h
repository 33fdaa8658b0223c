/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "health/probe.h"

/**
 * @file talk.h
 * Probes that are one short talk over TCP: connect, say something, and listen until
 * somebody can tell what the answer means. The connection is reset in the end: thousands of
 * probes a second would fill the node with connections in TIME_WAIT otherwise.
 */

/** Bytes of an answer that are looked at. */
#define FL_TALK_MAX 16384

struct fl_talk_kind {
	/** What is said. @param ret_length  of it. @return malloc'ed; NULL = nothing is said, or
	 * out of memory, when the length is not 0 */
	char *(*question)(const struct fl_probe_target *target, size_t *ret_length);
	/** Whether nothing is to be heard: a connection is enough. NULL = something always is. */
	bool (*is_mute)(const struct fl_probe_target *target);
	/**
	 * What the answer means, as far as it came.
	 * @param over     there will be no more: it is closed, or too long
	 * @param outcome  filled when it can be told; begins as a failure
	 * @return whether it can be told; must be when it is over
	 */
	bool (*judge)(const struct fl_probe_target *target, const char *answer, size_t length,
		bool over, struct fl_probe_outcome *outcome);
};

/** As `start` and `cancel` of struct fl_probe_driver. */
int fl_talk_start(const struct fl_talk_kind *kind, uv_loop_t *loop,
	const struct fl_probe_target *target, fl_probe_done done, void *context,
	struct fl_probe_outcome *outcome, void **ret);
void fl_talk_cancel(void *run);

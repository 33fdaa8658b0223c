/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "core/vec.h"
#include "kernel/maps.h"
#include "kernel/writer.h"
#include "model/service.h"

/**
 * @file leavers.h
 * Endpoints that are to drain, but not yet. Part of the writer.
 *
 * UDP shows no opening, so with `udp: keep` a datagram without a pin goes to
 * `before` while that is up, and else to `now`. Were its state lowered at once, old
 * flows that have no pin yet would lose their endpoint. So it stays up until no
 * slot has it as `before`; new flows are kept away by the slots already.
 */
struct fl_leaver {
	uint32_t service;
	uint32_t endpoint;
};

/** Begins zeroed; free with fl_vec_done. */
typedef FL_VEC(struct fl_leaver) fl_leavers;

/** Whether the endpoint has to wait until it may drain, and be up until then: also one
 * that was down, since flows that were silent meanwhile have no pin either. Walks the
 * service's tables. */
bool fl_leavers_must_wait(
	const struct fl_maps *maps, const struct fl_service *service, uint32_t endpoint);
/** Remember it; again is a no-op. @return 0, -ENOMEM */
int fl_leavers_add(fl_leavers *leavers, uint32_t service, uint32_t endpoint);
/** Its state was decided otherwise. */
void fl_leavers_forget(fl_leavers *leavers, uint32_t endpoint);
/** Let those drain that may by now. */
void fl_leavers_tick(
	fl_leavers *leavers, const struct fl_maps *maps, uint32_t now_s, struct fl_writes *writes);

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdint.h>

struct fl_agent;

/**
 * @file passive.h
 * What the edge path sees of endpoints' health (health/silence), turned into signals.
 * Only endpoints that nothing answers for are left out, for a while, as if they were
 * draining; never the last that takes new flows, nor more than `max_ejected` percent.
 */
struct fl_passive;

/** @return NULL when out of memory */
struct fl_passive *fl_passive_new(uint32_t endpoints);
/** NULL is welcome. */
void fl_passive_free(struct fl_passive *passive);
/** Once a second: look at some thousand endpoints of what is applied. */
void fl_passive_tick(struct fl_passive *passive, struct fl_agent *agent, uint32_t now_s);

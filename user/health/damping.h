/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/**
 * @file damping.h
 * Flap damping, as routers have it (RFC 2439): each time that an endpoint goes down costs
 * it one point, and points decay by half within a half-life. Whoever has more than
 * 2.5 gets no new flows, until less than one is left; nobody gets more than 6, so it
 * is over after 2.6 half-lives of peace. Pure.
 */
struct fl_damping {
	double points;
	uint64_t at_ms; /**< when they were so many */
	bool held;
};

/** It went down. @param now_ms  on any clock that goes on */
void fl_damping_add(struct fl_damping *damping, uint32_t half_life_ms, uint64_t now_ms);
/** Whether it is to be held back now. */
bool fl_damping_look(struct fl_damping *damping, uint32_t half_life_ms, uint64_t now_ms);

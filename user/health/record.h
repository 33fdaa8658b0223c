/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "core/text.h"
#include "health/health.h"

/**
 * @file record.h
 * What observers found, as text and back: for the next agent, which begins where
 * this one was. One line for each endpoint that somebody observes:
 *
 *     probe=down heartbeat=none since=1767225845678 state=down web 192.0.2.11:7000 Connection refused
 *
 * What an agent-check said follows heartbeat=, in its own words: agent=drain,75%.
 *
 * The operator's words are kept elsewhere. Pure.
 */
void fl_health_write(const struct fl_health *health, struct fl_text *out);

/**
 * Take over what an earlier agent wrote. Lines that make no sense are left out.
 * @param text  changed on the way; a NUL at its end
 * @return how many lines were taken over; -ENOMEM
 */
int fl_health_read(struct fl_health *health, char *text);

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "core/text.h"
#include "health/health.h"

/**
 * @file words.h
 * The operator's words over time: as text for the next agent, and when their deadlines come.
 * One line for each:
 *
 *     word=drain weight=- said=1767225845678 until=1767226145678 web 192.0.2.11:8080 drain
 *
 * What comes last is the note, up to the end of the line. Pure.
 */
void fl_words_write(const struct fl_health *health, struct fl_text *out);

/**
 * Take over what an earlier agent wrote.
 * @param text  changed on the way; a NUL at its end
 * @param ret_bad  lines that make no sense, which were left out
 * @return how many words were taken over; -ENOMEM
 */
int fl_words_read(struct fl_health *health, char *text, size_t *ret_bad);

/**
 * Turn drains whose deadline has come into "down".
 * @param now_ms       CLOCK_REALTIME
 * @param ret_next_ms  the nearest deadline that is left; 0 = none
 * @return how many there were; -ENOMEM
 */
int fl_words_expire(struct fl_health *health, uint64_t now_ms, uint64_t *ret_next_ms);

/**
 * Take back what was said of an endpoint that its operator removed, or of all of a service.
 * @param endpoint  NULL = all
 * @return how many words there were; -ENOMEM
 */
int fl_words_forget(
	struct fl_health *health, const char *service, const struct fl_health_key *endpoint);

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "health/silence.h"

/**
 * @file silences.h
 * What the edge path sees of an endpoint, second by second, in a line of text.
 *
 * A second is what happened in it: o openings, a answered, r refused, each with a number before
 * it; "s" = no more may be left out; "-" = nothing. Blanks separate seconds. What came of it is a
 * letter for each: F leave it out, T try it again, '.' nothing.
 */

/** @param ret  room for as many letters as there are seconds, and NUL */
void test_silences_tell(const struct fl_silence_rules *rules, const char *seconds, char *ret);

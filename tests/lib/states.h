/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "model/service.h"

/**
 * @file states.h
 * The endpoints of a service in a line of text, one character for each:
 *
 *     U up, d down by a probe, D down by declaration, m maintenance, r draining, x the
 *     operator's down, e ejected, f flapping, 0 up without weight; behind a |, backups
 *
 * and what the rules of the service make of them: P = up by panic, b = a backup that rests.
 */

/** @return a service of such endpoints; one reference */
struct fl_service *test_states_service(const char *states);
/** @param like  the line that it was made from: where the | stands @param ret  room for as much */
void test_states_tell(const struct fl_service *service, const char *like, char *ret);

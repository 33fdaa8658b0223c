/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "model/snapshot.h"

/**
 * @file declared.h
 * Services and snapshots in a line of text each.
 */

/**
 * A finished service with one reference.
 * @param frontends  "10.0.0.1:80/tcp [2001:db8::1]:80/udp"
 * @param endpoints  "192.0.2.1:80 192.0.2.2:80*3 192.0.2.3:80*0/draining": weight after
 *                   the star (1), state after the slash (up)
 * Fails the test when it is not well-formed.
 */
struct fl_service *test_service(const char *name, const char *frontends, const char *endpoints);

/** Merge into a snapshot; takes the references over. Fails the test on any problem. */
struct fl_snapshot *test_snapshot(uint64_t generation, struct fl_service **services, size_t count);

/**
 * A snapshot in one line, of no more than 8 services with semicolons between:
 * "web 10.0.0.1:80/tcp = 192.0.2.1 192.0.2.2*3; dns+move 10.0.0.1:53/udp = 192.0.2.1". The
 * name may be followed by +move (`udp: move`), +ipip, +slots (1021), +panic (30 %), +calm (never
 * ejects) and
 * +zone (of the first endpoint).
 */
struct fl_snapshot *test_snapshot_parse(const char *text);

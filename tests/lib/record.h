/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "lib/edge.h"

/**
 * @file record.h
 * Writes down each packet that a test sent through a program, for the oracle.
 *
 * One JSON line each in $FAIRLEAD_BUILD/bpf-ring/RUN-PROCESS.jsonl; a run is one
 * start of the test program, whose tests are processes of their own.
 */

/** @param row  name of the row; must be plain ASCII without quotes */
void record_packet(const char *row, const struct frame *in, const struct outcome *outcome);

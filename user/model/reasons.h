/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "fairlead/reasons.h"

/**
 * @file reasons.h
 * What the reasons of fairlead/reasons.h and the paths that count them are called.
 */

/** The label in metrics, JSON and the CLI. @return NULL for one that we do not know */
const char *fl_reason_name(unsigned reason);
/** What it means, in words. @return NULL for one that we do not know */
const char *fl_reason_text(unsigned reason);
/** The reason of that name. @return FL_REASON_COUNT when there is none */
unsigned fl_reason_find(const char *name);
/** @return NULL for one that we do not know */
const char *fl_path_name(unsigned path);

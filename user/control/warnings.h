/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "control/view.h"
#include "core/json_text.h"

/**
 * @file warnings.h
 * What an operator would want to be told without having asked: things that are
 * allowed, and that usually mean traffic goes nowhere.
 */

/** Write each as a string into the list that `json` has open. Needs the loop;
 * costs a walk over all endpoints and a dump of the interfaces' addresses. */
void fl_warnings_write(const struct fl_view *view, struct fl_json_text *json);

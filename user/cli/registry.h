/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "cli/table.h"

/**
 * @file registry.h
 * How registries are shown, in `registry list` and in `status`.
 */
extern const struct fl_column fl_registry_columns[];

/** What is wrong in what they declare. @param registries  the list of `registry list` */
void fl_registry_problems_print(json_t *registries, FILE *out);

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <jansson.h>

#include "kernel/maps.h"

/**
 * @file decode.h
 * Rows of maps as JSON: addresses in text, states, reasons and services by name,
 * times as people write them. Part of the reader.
 */

/** @param key  as fl_walk gives it @return new reference, NULL when out of memory */
json_t *fl_decode_key(const struct fl_maps *maps, enum fl_map map, const void *key);
/** @param value  as fl_walk gives it @return new reference, NULL when out of memory */
json_t *fl_decode_value(
	const struct fl_maps *maps, enum fl_map map, const void *key, const void *value);

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

/* What rows name by number. New references, JSON's null for what there is none of. */
json_t *fl_decode_service(const struct fl_maps *maps, uint32_t id);  /**< its name */
json_t *fl_decode_endpoint(const struct fl_maps *maps, uint32_t id); /**< "192.0.2.1:80" */
json_t *fl_decode_time(uint32_t boot_s); /**< a second of CLOCK_BOOTTIME; 0 = null */

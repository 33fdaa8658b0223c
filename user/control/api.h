/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <jansson.h>

#include "control/view.h"

/**
 * @file api.h
 * The JSON objects of the contract, from a view. Each returns a new reference,
 * NULL when out of memory. The same objects are the CLI's -j.
 */
json_t *fl_api_services(const struct fl_view *view);
/** @return NULL also when there is no such service */
json_t *fl_api_service(const struct fl_view *view, const char *name);
/** @param service  NULL = all */
json_t *fl_api_endpoints(const struct fl_view *view, const char *service);
json_t *fl_api_stats(const struct fl_view *view, const char *service);
json_t *fl_api_status(const struct fl_view *view);
json_t *fl_api_registries(const struct fl_view *view);

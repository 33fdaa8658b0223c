/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "control/view.h"
#include "core/json_text.h"

/**
 * @file api.h
 * The JSON objects of the API, from a view; the CLI's -j prints the same.
 *
 * Services, endpoints and stats read nothing of the view but `applied`, `maps`
 * and, when it is there, `routes`, so that a worker thread may write them. What
 * the kernel knows (counters, connections, since when) is null where the maps
 * are not open. On failure part of the value may have been written.
 *
 * @return 0, -ENOENT (no such service), -ENOMEM
 */
int fl_api_services(const struct fl_view *view, struct fl_json_text *json);
int fl_api_service(const struct fl_view *view, const char *name, struct fl_json_text *json);
/** @param service  NULL = all */
int fl_api_endpoints(const struct fl_view *view, const char *service, struct fl_json_text *json);
int fl_api_stats(const struct fl_view *view, const char *service, struct fl_json_text *json);
/** These two need the whole view, and so the loop. */
int fl_api_status(const struct fl_view *view, struct fl_json_text *json);
int fl_api_registries(const struct fl_view *view, struct fl_json_text *json);
/** One of them. @return -ENOENT when there is none of this name */
int fl_api_registry(const struct fl_view *view, const char *name, struct fl_json_text *json);
/** The registries alone, into the list that `json` has open. */
void fl_api_registry_items(const struct fl_view *view, struct fl_json_text *json);

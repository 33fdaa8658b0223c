/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "kernel/maps.h"
#include "model/service.h"

/**
 * @file rows.h
 * Rows of the maps, one at a time: written so that a reader, or an agent that
 * starts after this one was killed in between, never takes half a row for a
 * whole one. What makes a row valid is stored last and cleared first.
 */

/* --------------------------------------------------------------- frontends */

struct fl_frontend_key fl_frontend_key(const struct fl_frontend *frontend);
/** A pinned row as the frontend that it stands for, with its number. */
struct fl_frontend fl_frontend_from_row(
	const struct fl_frontend_key *key, const struct fl_frontend_row *row);
/** @return 0, -ENOENT, -errno */
int fl_frontend_row_get(const struct fl_maps *maps, const struct fl_frontend *frontend,
	struct fl_frontend_row *ret);
/** Insert or replace. Counters of a new one begin at 0.
 * @return 1 (written), 0 (was so already), -E2BIG (full), -errno */
int fl_frontend_row_put(
	const struct fl_maps *maps, const struct fl_frontend *frontend, uint32_t service);
/** @return 1 (removed), 0 (was not there), -errno */
int fl_frontend_row_remove(const struct fl_maps *maps, const struct fl_frontend *frontend);
/** Programs remember no row from before this call (see fl_meta_row.frontends_epoch);
 * the two above see to that themselves. */
void fl_frontend_rows_forget(const struct fl_maps *maps);

/** One row of the map, for walks. */
struct fl_frontend_pair {
	struct fl_frontend_key key;
	struct fl_frontend_row row;
};
/** All rows, in no order. @return 0 with an array to free, -ENOMEM, -errno */
int fl_frontend_rows_list(
	const struct fl_maps *maps, struct fl_frontend_pair **ret, size_t *ret_count);

/* --------------------------------------------------- services and endpoints */

/** The name of a service, 1-128 bytes; `buffer` holds FL_NAME_MAX + 1. @return `buffer` */
char *fl_name_row_text(const struct fl_name_row *row, char *buffer);
/** The number belongs to this service from now on.
 * @return whether the name was written */
bool fl_service_row_claim(const struct fl_maps *maps, uint32_t id, const char *name);
/** How it forwards. @return whether something was written */
bool fl_service_row_put(const struct fl_maps *maps, const struct fl_service *service);
/** The row is free. Its tables must have been dropped before. */
void fl_service_row_clear(const struct fl_maps *maps, uint32_t id);

/** The row has this address, and belongs to `service`. A row of another address is
 * rewritten, and its counters begin at 0. @return whether something was written */
bool fl_endpoint_row_put(const struct fl_maps *maps, uint32_t service,
	const struct fl_endpoint *endpoint, uint32_t now_s);
/** @return whether something was written */
bool fl_endpoint_row_set_state(
	const struct fl_maps *maps, uint32_t id, enum fl_state state, uint32_t now_s);
/** The row is free. Nothing may hold its number any more. */
void fl_endpoint_row_clear(const struct fl_maps *maps, uint32_t id);

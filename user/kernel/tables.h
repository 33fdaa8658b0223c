/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "core/failure.h"
#include "kernel/maps.h"
#include "kernel/writer.h"
#include "model/service.h"

/**
 * @file tables.h
 * Slot tables in the map `slots`: builds the table of a service, gives it a
 * place, and writes the slots that differ. Part of the writer.
 *
 * A table keeps its place while its size stays, and is edited there. Another
 * size gets another place, is written in full, and then the service's row swings
 * over in one store.
 *
 * In `nat` slots are always settled, and the old place is given back at once. In
 * the other modes flows are found by their slots, which move by the rules of
 * fairlead/slot.h: a changed slot is marked, and the old place stays, frozen,
 * until the flows in it are known. settler.h brings all that to rest.
 */
struct fl_tables;

/** Slots of the table at a region; 0 = there is none. */
uint32_t fl_table_size(fl_region region);

/** Takes over the tables that the rows of services name.
 * @return 0, -EPROTO (they overlap or lie outside), -ENOMEM */
int fl_tables_new(struct fl_maps *maps, struct fl_failure *failure, struct fl_tables **ret);
/** NULL is welcome. */
void fl_tables_free(struct fl_tables *tables);

/**
 * Make the table of one family what the service says. Only endpoints that are up
 * and have a weight get slots. Where the map has no room for the wished size, or a
 * change of size is under way, a table that is there is edited in its size, and
 * waits (fl_tables_retry): whoever shows the service can see that.
 * @param writes  counts are added
 * @return 0, -ENOSPC (no room for a first table), -ENOMEM
 */
int fl_tables_put(struct fl_tables *tables, const struct fl_service *service, enum fl_family family,
	uint32_t now_s, struct fl_writes *writes, struct fl_failure *failure);

/** The service has no table of that family any more. Without effect if it had none. */
void fl_tables_drop(struct fl_tables *tables, uint32_t service, enum fl_family family,
	uint32_t now_s, struct fl_writes *writes);

/** Whether the table waits for another size. */
bool fl_tables_wait(const struct fl_tables *tables, uint32_t service, enum fl_family family);
/** Try again, silently: put what waits if there is room by now. */
void fl_tables_retry(struct fl_tables *tables, const struct fl_service *service,
	enum fl_family family, uint32_t now_s, struct fl_writes *writes);

/* For the settler. */

/** Whether any slot of the table, or of any, may be marked, or an old table be there. */
bool fl_tables_move(const struct fl_tables *tables, uint32_t service, enum fl_family family);
bool fl_tables_any_moves(const struct fl_tables *tables);
/** None is marked any more. */
void fl_tables_come_to_rest(struct fl_tables *tables, uint32_t service, enum fl_family family);
/** Give the place of the old table back: no slot refers to it any more. */
void fl_tables_drop_old(struct fl_tables *tables, uint32_t service, enum fl_family family,
	uint32_t now_s, struct fl_writes *writes);

/** Make places free that have rested. */
void fl_tables_rest(struct fl_tables *tables, uint32_t now_s);
uint32_t fl_tables_slots_in_use(const struct fl_tables *tables);

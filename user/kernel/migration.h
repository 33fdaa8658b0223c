/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "core/failure.h"
#include "kernel/maps.h"

struct bpf_object;

/**
 * @file migration.h
 * Maps of another size in place of those that are in use, without a flow noticing: what a
 * start does whose `limits:` differ from those of the pinned maps, or that finds maps of
 * an older ABI. Those came without some of today's maps, which begin empty then; where rows
 * of a later ABI have another layout, this is where they are converted.
 *
 * New maps are made and filled beside the old ones, and take their name. Until the new
 * programs are on the interfaces, the old programs go on with the old maps, which are
 * kept as `maps_old`; what they wrote meanwhile is carried over afterwards. Tables
 * of nat flows are not copied: both outer maps lead to the same ones. Counters of
 * packets in that second are lost.
 *
 * A start that is killed on the way leaves either the old maps under their name, or the
 * new ones and `maps_old` beside them, from which the next start carries over.
 */
struct fl_migration;

/**
 * Make maps for `limits` with everything that `old` holds in them.
 * @param object  with every map, sized for `limits`, not loaded; good for nothing else then
 * @param old     open for writing; taken over and emptied on success
 * @return 0; -EPROTO (a number or a slot in use is beyond the new limits: says which; nothing
 *         has changed then); -errno
 */
int fl_migration_begin(struct bpf_object *object, const char *bpffs, const struct fl_limits *limits,
	struct fl_maps *old, struct fl_failure *failure, struct fl_migration **ret);

/** What a start left that was killed after its maps had taken their name; *ret is NULL when there
 * is nothing. @return 0, -errno */
int fl_migration_resume(const char *bpffs, struct fl_failure *failure, struct fl_migration **ret);

/**
 * Carry over what the old programs did meanwhile: pins that they made, ports that they took. As
 * soon as the new programs are on the interfaces, since flows depend on it. @return 0, -errno
 */
int fl_migration_follow(struct fl_migration *migration, struct fl_maps *maps);

/** Once no old program runs any more: carry the last over, and remove the old maps.
 * Frees `migration`; NULL is welcome. @return 0, -errno */
int fl_migration_end(struct fl_migration *migration, struct fl_maps *maps);
/** Only free it: the next start goes on. NULL is welcome. */
void fl_migration_free(struct fl_migration *migration);

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "config/services.h"

/**
 * @file kept.h
 * The last good snapshot of a remote registry, on disk: what a restarted agent
 * serves while its registry is away.
 *
 * A file `snapshot.yaml` in a directory of the registry's own. Its first lines are comments
 * that say when it was taken, how long the rest is and its checksum (XXH3, 64
 * bits). The rest is YAML that people can read: documents with a `services:` list
 * each, cut into pieces so that reading a big one needs little memory. It is written
 * aside and renamed, so that it is whole or the one before. The file's time is
 * that of the last reading that found nothing new. Blocks; used on worker threads.
 */
#define FL_KEPT_FILE  "snapshot.yaml"
#define FL_KEPT_ASIDE "snapshot.yaml.bad" /**< one that cannot be used is renamed to this */

struct fl_kept {
	fl_service_vec services;
	uint64_t taken_ms;           /**< CLOCK_REALTIME of the last reading that said so */
	struct fl_problems problems; /**< of services that could not be read back */
	char message[512];           /**< why there is none */
};

/**
 * @param directory  made if need be, with the one it is in
 * @param registry   its name, for people
 * @return 0, -errno (the one before is still there)
 */
int fl_kept_store(const char *directory, const char *registry, uint64_t taken_ms,
	struct fl_service *const *services, size_t count);
/** The registry said the same again. @return 0, -errno */
int fl_kept_touch(const char *directory, uint64_t taken_ms);
/**
 * @param now_ms  CLOCK_REALTIME: a file from the future is as old as its first line says
 * @param ret     fl_kept_done
 * @return 0; -ENOENT: there is none; -EBADMSG: it was set aside; -errno. With a
 *         message but for -ENOENT.
 */
int fl_kept_load(const char *directory, const char *registry, uint64_t now_ms, struct fl_kept *ret);
void fl_kept_done(struct fl_kept *kept);
/** Remove it, and its directory if nothing else is there. */
void fl_kept_forget(const char *directory);

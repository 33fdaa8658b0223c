/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

/**
 * @file watch.h
 * Tells when something changes in a directory, which need not exist.
 *
 * inotify itself rather than uv_fs_event: that one does not pass on when a
 * file that was written is closed (so half a file cannot be told from a whole one), follows no
 * symbolic links, and falls silent for good when the directory goes. No polling.
 */
struct fl_watch;

/**
 * Begin. @param path absolute
 * @param pause_ms  how long a writer may be silent before its file counts as written
 * @param changed  called on the loop, perhaps often: look again soon
 * @return 0, -ENOMEM, -EMFILE and others of inotify_init1
 */
int fl_watch_open(uv_loop_t *loop, const char *path, uint64_t pause_ms,
	void (*changed)(void *context), void *context, struct fl_watch **ret);

/**
 * Watch what is there now: the directory and the one it is in, or the nearest
 * that exists. To be called before each look, so that nothing is missed after
 * it. @return 0, -ENOSPC (out of inotify watches), -errno
 */
int fl_watch_arm(struct fl_watch *watch);

/**
 * Watch the files that symbolic links in the directory lead to, in place of
 * those of the last call. @return true when one is new: look once more, since
 * it may have changed before it was watched
 */
bool fl_watch_links(struct fl_watch *watch, char *const *names, size_t count);

/** The files that are being written: a change was seen, but not yet their closing.
 * @return borrowed until the next turn of the loop */
char *const *fl_watch_busy(const struct fl_watch *watch, size_t *ret_count);

/** End; freed some turns of the loop later. NULL is welcome. */
void fl_watch_close(struct fl_watch *watch);

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Removal of everything that is pinned: links first, so that no packet meets half
 * of it. Only names that are ours are touched.
 */
#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "kernel/bpffs.h"
#include "kernel/kernel.h"
#include "kernel/probe_tunnel.h"

/* Of this version, and of others that may have run before. */
static const char *const programs[] = { "edge", "edge_frags", "explain", "sweep", "target" };

/* Detached before unpinned, so that it is gone even while somebody holds it. */
static void detach_links(const char *dir)
{
	DIR *entries = opendir(dir);

	if (!entries)
		return;
	for (struct dirent *entry; (entry = readdir(entries));) {
		_cleanup_free_ char *path = NULL;
		_cleanup_close_ int fd = -1;

		if (asprintf(&path, "%s/%s", dir, entry->d_name) < 0)
			continue;
		fd = bpf_obj_get(path);
		if (fd >= 0)
			bpf_link_detach(fd); /* fails when its interface is gone: as well */
	}
	closedir(entries);
}

static int unpin_program(const char *bpffs, const char *name)
{
	_cleanup_free_ char *path = NULL, *fresh = NULL;

	if (asprintf(&path, "%s/%s", bpffs, name) < 0 ||
		asprintf(&fresh, "%s/%s_new", bpffs, name) < 0)
		return -ENOMEM;
	unlink(fresh);
	return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
}

static int unpin_programs(const char *bpffs)
{
	int r = 0;

	for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]) && r == 0; i++)
		r = unpin_program(bpffs, programs[i]);
	return r;
}

static int remove_directory(const char *bpffs, const char *name)
{
	_cleanup_free_ char *path = NULL;

	if (asprintf(&path, "%s/%s", bpffs, name) < 0)
		return -ENOMEM;
	if (strcmp(name, "links") == 0)
		detach_links(path);
	return fl_bpffs_remove_dir(path);
}

int fl_kernel_detach(const char *bpffs, struct fl_failure *failure)
{
	int r;

	if (!fl_bpffs_is_there(bpffs))
		return 0;
	if (!fl_bpffs_holds(bpffs))
		return fl_fail(
			failure, -EINVAL, "%s is no directory of a bpffs: nothing removed", bpffs);
	fl_probe_tunnel_remove(bpffs);
	r = remove_directory(bpffs, "links");
	if (r == 0)
		r = unpin_programs(bpffs);
	if (r == 0)
		r = remove_directory(bpffs, "node_new");
	if (r == 0)
		r = remove_directory(bpffs, "node");
	if (r == 0)
		r = remove_directory(bpffs, "maps_new");
	if (r == 0)
		r = remove_directory(bpffs, "maps_old");
	if (r == 0)
		r = remove_directory(bpffs, "maps");
	/* EBUSY: it is the root of the bpffs, which is not ours to unmount. */
	if (r == 0 && rmdir(bpffs) < 0 && errno != EBUSY)
		r = -errno;
	if (r == 0)
		return 0;
	fl_fail(failure, r, "cannot remove everything below %s: %s", bpffs, strerror(-r));
	if (r == -ENOTEMPTY)
		fl_fail_hint(failure, "something else is pinned there too; what was ours is gone");
	return r;
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "kernel/object.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "core/cleanup.h"
#include "kernel/bpffs.h"
#include "kernel/libbpf_log.h"

/* The kernel adds this one to device maps by itself. */
#define FLAGS_OF_THE_KERNEL BPF_F_RDONLY_PROG

/* The map that is pinned under this name; NULL = not in the object. */
static struct bpf_map *find_map(const struct bpf_object *object, enum fl_map map)
{
	char name[64];

	snprintf(name, sizeof(name), "fl_%s", fl_map_name(map));
	return bpf_object__find_map_by_name(object, name);
}

static uint32_t opening_rows(void)
{
	uint32_t rows = 512 * (uint32_t)libbpf_num_possible_cpus();

	return rows > FL_OPENING_MAX ? rows : FL_OPENING_MAX;
}

int fl_object_size_maps(
	struct bpf_object *object, const struct fl_limits *limits, struct fl_failure *failure)
{
	for (int i = 0; i < FL_MAP_COUNT; i++) {
		struct bpf_map *map = find_map(object, i);
		uint32_t rows = i == FL_MAP_opening ? opening_rows() : fl_map_rows(i, limits);
		int r = map && rows ? bpf_map__set_max_entries(map, rows) : 0;

		if (r < 0)
			return fl_fail(failure, r, "cannot size the map %s: %s", fl_map_name(i),
				strerror(-r));
	}
	return 0;
}

/* --------------------------------------------------------------------- make */

static int pin_maps(const char *bpffs, const struct bpf_object *object)
{
	_cleanup_free_ char *fresh = NULL;
	int r;

	if (asprintf(&fresh, "%s/maps_new", bpffs) < 0)
		return -ENOMEM;
	r = fl_bpffs_remove_dir(fresh); /* of a start that was killed */
	if (r < 0)
		return r;
	if (mkdir(fresh, 0700) < 0)
		return -errno;
	for (int i = 0; i < FL_MAP_COUNT && r == 0; i++)
		r = fl_bpffs_pin(bpf_map__fd(find_map(object, i)), fresh, fl_map_name(i));
	return r;
}

static int write_meta(const struct bpf_object *object, const struct fl_meta_row *meta)
{
	const uint32_t zero = 0;

	return bpf_map_update_elem(
		       bpf_map__fd(find_map(object, FL_MAP_meta)), &zero, meta, BPF_ANY) < 0
		       ? -errno
		       : 0;
}

int fl_object_make_maps_aside(struct bpf_object *object, const char *bpffs,
	const struct fl_meta_row *meta, struct fl_failure *failure)
{
	struct bpf_program *program;
	int r;

	for (int i = 0; i < FL_MAP_COUNT; i++)
		if (!find_map(object, i))
			return fl_fail(
				failure, -EINVAL, "the programs have no map %s", fl_map_name(i));
	bpf_object__for_each_program(program, object) bpf_program__set_autoload(program, false);
	r = bpf_object__load(object);
	if (r < 0)
		return fl_libbpf_log_explain(failure, r);
	r = write_meta(object, meta);
	if (r == 0)
		r = pin_maps(bpffs, object);
	return r < 0 ? fl_fail(failure, r, "cannot pin the maps below %s: %s", bpffs, strerror(-r))
		     : 0;
}

int fl_object_make_maps(struct bpf_object *object, const char *bpffs,
	const struct fl_meta_row *meta, struct fl_failure *failure)
{
	_cleanup_free_ char *fresh = NULL, *final = NULL;
	int r = fl_object_make_maps_aside(object, bpffs, meta, failure);

	if (r < 0)
		return r;
	if (asprintf(&fresh, "%s/maps_new", bpffs) < 0 || asprintf(&final, "%s/maps", bpffs) < 0)
		return fl_fail(failure, -ENOMEM, "out of memory");
	return rename(fresh, final) < 0 ? fl_fail(failure, -errno, "cannot pin the maps in %s: %s",
						  final, strerror(errno))
					: 0;
}

/* -------------------------------------------------------------------- reuse */

bool fl_object_has_shape(const struct bpf_map *map, const struct fl_map_shape *found)
{
	return found->type == bpf_map__type(map) && found->key_size == bpf_map__key_size(map) &&
	       found->value_size == bpf_map__value_size(map) &&
	       found->max_entries == bpf_map__max_entries(map) &&
	       (found->flags & ~FLAGS_OF_THE_KERNEL) == bpf_map__map_flags(map);
}

int fl_object_reuse_maps(
	struct bpf_object *object, const struct fl_maps *maps, struct fl_failure *failure)
{
	for (int i = 0; i < FL_MAP_COUNT; i++) {
		struct bpf_map *map = find_map(object, i);
		int r;

		if (!map)
			continue;
		if (!fl_object_has_shape(map, &maps->shape[i]))
			return fl_fail(failure, -EPROTO,
				"the pinned map %s has another shape than this version gives it",
				fl_map_name(i));
		r = bpf_map__reuse_fd(map, maps->fd[i]);
		if (r < 0)
			return fl_fail(failure, r, "cannot adopt the pinned map %s: %s",
				fl_map_name(i), strerror(-r));
	}
	return 0;
}

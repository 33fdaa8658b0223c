/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "kernel/node_maps.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "kernel/bpffs.h"
#include "kernel/libbpf_log.h"
#include "kernel/object.h"

#define MAP_NAME(name) #name,
static const char *const map_names[FL_NODE_MAP_COUNT] = { FL_NODE_MAPS(MAP_NAME) };
#undef MAP_NAME

/* Maps that are mapped into memory. */
static const struct mapping {
	enum fl_node_map map;
	size_t row_size;
	size_t member; /* of struct fl_node_maps, which points to it */
} mappings[] = {
	{ FL_NODE_MAP_node, sizeof(struct fl_node_row), offsetof(struct fl_node_maps, node) },
	{ FL_NODE_MAP_node_services, sizeof(struct fl_node_service_row),
		offsetof(struct fl_node_maps, services) },
	{ FL_NODE_MAP_pools, sizeof(union fl_pool_row), offsetof(struct fl_node_maps, pools) },
	{ FL_NODE_MAP_live, sizeof(struct fl_live_row), offsetof(struct fl_node_maps, live) },
};
#define MAPPING_COUNT (sizeof(mappings) / sizeof(mappings[0]))

const char *fl_node_map_name(enum fl_node_map map)
{
	return map_names[map];
}

/* Two families of each service have a head and at least a row of members; turns come in
 * addition, where a service asks for them. */
static uint32_t pool_rows(const struct fl_limits *limits)
{
	return 1 + 4 * limits->services + limits->endpoints / 2;
}

/* 0 = as the object declares. */
static uint32_t rows_of(enum fl_node_map map, const struct fl_limits *limits)
{
	switch (map) {
	case FL_NODE_MAP_node_services:
		return limits->services + 1;
	case FL_NODE_MAP_pools:
		return pool_rows(limits);
	case FL_NODE_MAP_live:
	case FL_NODE_MAP_histograms:
	case FL_NODE_MAP_stale:
		return limits->endpoints + 1;
	default:
		return 0;
	}
}

static struct bpf_map *find_map(const struct bpf_object *object, enum fl_node_map map)
{
	char name[64];

	snprintf(name, sizeof(name), "fl_%s", map_names[map]);
	return bpf_object__find_map_by_name(object, name);
}

int fl_node_maps_size(
	struct bpf_object *object, const struct fl_limits *limits, struct fl_failure *failure)
{
	for (int i = 0; i < FL_NODE_MAP_COUNT; i++) {
		struct bpf_map *map = find_map(object, i);
		uint32_t rows = rows_of(i, limits);
		int r = map && rows ? bpf_map__set_max_entries(map, rows) : 0;

		if (r < 0)
			return fl_fail(failure, r, "cannot size the map %s: %s", map_names[i],
				strerror(-r));
	}
	return 0;
}

/* ----------------------------------------------------------------------- pins */

static int pin_path(char path[512], const char *bpffs, const char *folder, const char *name)
{
	return snprintf(path, 512, "%s/%s/%s", bpffs, folder, name) < 512 ? 0 : -ENAMETOOLONG;
}

int fl_node_maps_remove(const char *bpffs)
{
	_cleanup_free_ char *path = NULL;

	if (asprintf(&path, "%s/node", bpffs) < 0)
		return -ENOMEM;
	return fl_bpffs_remove_dir(path);
}

static int open_pins(struct fl_node_maps *maps, const char *bpffs)
{
	char path[512];

	for (int i = 0; i < FL_NODE_MAP_COUNT; i++) {
		int r = pin_path(path, bpffs, "node", map_names[i]);

		if (r < 0)
			return r;
		maps->fd[i] = bpf_obj_get(path);
		if (maps->fd[i] < 0)
			return -errno;
		r = fl_map_shape(maps->fd[i], &maps->shape[i]);
		if (r < 0)
			return r;
	}
	return 0;
}

static bool have_shapes(const struct fl_node_maps *maps, const struct bpf_object *object)
{
	for (int i = 0; i < FL_NODE_MAP_COUNT; i++)
		if (!find_map(object, i) ||
			!fl_object_has_shape(find_map(object, i), &maps->shape[i]))
			return false;
	return true;
}

/* --------------------------------------------------------------------- memory */

static void **mapped_at(struct fl_node_maps *maps, const struct mapping *mapping)
{
	return (void **)((char *)maps + mapping->member);
}

static int map_all(struct fl_node_maps *maps, int protection)
{
	for (size_t i = 0; i < MAPPING_COUNT; i++) {
		const struct fl_map_shape *shape = &maps->shape[mappings[i].map];
		void *memory;

		if (shape->value_size != mappings[i].row_size)
			return -EPROTO;
		memory = mmap(NULL, fl_map_mapped_size(shape), protection, MAP_SHARED,
			maps->fd[mappings[i].map], 0);
		if (memory == MAP_FAILED)
			return -errno;
		*mapped_at(maps, &mappings[i]) = memory;
	}
	return 0;
}

void fl_node_maps_close(struct fl_node_maps *maps)
{
	for (size_t i = 0; i < MAPPING_COUNT; i++) {
		void **memory = mapped_at(maps, &mappings[i]);

		if (*memory)
			munmap(*memory, fl_map_mapped_size(&maps->shape[mappings[i].map]));
	}
	for (int i = 0; i < FL_NODE_MAP_COUNT; i++)
		if (maps->fd[i] >= 0)
			close(maps->fd[i]);
	*maps = FL_NODE_MAPS_NONE;
}

/* ----------------------------------------------------------------------- make */

static int pin_all(const struct bpf_object *object, const char *bpffs, struct fl_failure *failure)
{
	_cleanup_free_ char *fresh = NULL, *final = NULL;
	char path[512];
	int r;

	if (asprintf(&fresh, "%s/node_new", bpffs) < 0 || asprintf(&final, "%s/node", bpffs) < 0)
		return fl_fail(failure, -ENOMEM, "out of memory");
	r = fl_bpffs_remove_dir(fresh); /* of a start that was killed */
	if (r == 0 && mkdir(fresh, 0700) < 0)
		r = -errno;
	for (int i = 0; i < FL_NODE_MAP_COUNT && r == 0; i++) {
		const struct bpf_map *map = find_map(object, i);

		r = map ? pin_path(path, bpffs, "node_new", map_names[i]) : -EINVAL;
		if (r == 0)
			r = fl_bpffs_pin(bpf_map__fd(map), fresh, map_names[i]);
	}
	if (r == 0 && rename(fresh, final) < 0)
		r = -errno;
	return r < 0 ? fl_fail(failure, r, "cannot pin the maps of the node path below %s: %s",
			       bpffs, strerror(-r))
		     : 0;
}

/* libbpf makes maps when it loads an object, also one without programs. */
static int make(struct bpf_object *object, const char *bpffs, struct fl_failure *failure)
{
	struct bpf_program *program;
	int r;

	bpf_object__for_each_program(program, object) bpf_program__set_autoload(program, false);
	r = bpf_object__load(object);
	if (r < 0)
		return fl_libbpf_log_explain(failure, r);
	return pin_all(object, bpffs, failure);
}

static int adopt(struct fl_node_maps *maps, const struct bpf_object *object, const char *bpffs,
	int protection)
{
	int r = open_pins(maps, bpffs);

	if (r == 0 && object && !have_shapes(maps, object))
		r = -EPROTO;
	if (r == 0)
		r = map_all(maps, protection);
	if (r < 0)
		fl_node_maps_close(maps);
	return r;
}

int fl_node_maps_prepare(struct fl_node_maps *maps, struct bpf_object *object, const char *bpffs,
	struct fl_failure *failure)
{
	int r;

	*maps = FL_NODE_MAPS_NONE;
	if (adopt(maps, object, bpffs, PROT_READ | PROT_WRITE) == 0) {
		maps->adopted = true;
		return 0;
	}
	r = fl_node_maps_remove(bpffs);
	if (r < 0)
		return fl_fail(failure, r, "cannot remove %s/node: %s", bpffs, strerror(-r));
	r = make(object, bpffs, failure);
	if (r < 0)
		return r;
	r = adopt(maps, NULL, bpffs, PROT_READ | PROT_WRITE);
	return r < 0 ? fl_fail(failure, r, "cannot open the maps of the node path: %s",
			       strerror(-r))
		     : 0;
}

int fl_node_maps_open(struct fl_node_maps *maps, const char *bpffs, struct fl_failure *failure)
{
	int r;

	*maps = FL_NODE_MAPS_NONE;
	r = adopt(maps, NULL, bpffs, PROT_READ);
	if (r == -ENOENT)
		return fl_fail(failure, r, "there is no node path below %s", bpffs);
	return r < 0 ? fl_fail(failure, r, "cannot open the maps of the node path below %s: %s",
			       bpffs, strerror(-r))
		     : 0;
}

int fl_node_maps_reuse(
	struct bpf_object *object, const struct fl_node_maps *maps, struct fl_failure *failure)
{
	for (int i = 0; i < FL_NODE_MAP_COUNT; i++) {
		struct bpf_map *map = find_map(object, i);
		int r = map ? bpf_map__reuse_fd(map, maps->fd[i]) : 0;

		if (r < 0)
			return fl_fail(failure, r, "cannot adopt the map %s: %s", map_names[i],
				strerror(-r));
	}
	return 0;
}

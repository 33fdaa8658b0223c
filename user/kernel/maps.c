/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "kernel/maps.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/cleanup.h"

#define MAP_NAME(name) #name,
static const char *const map_names[FL_MAP_COUNT] = { FL_MAPS(MAP_NAME) };
#undef MAP_NAME

/* Maps that are mapped into memory. */
struct mapping {
	enum fl_map map;
	size_t row_size;
	size_t member; /* of struct fl_maps, which points to it */
	bool grows;    /* its users call fl_maps_reach */
};
#define MAPPING(name, type, grows)                                                                 \
	{ FL_MAP_##name, sizeof(type), offsetof(struct fl_maps, name), grows }
static const struct mapping mappings[] = {
	MAPPING(meta, struct fl_meta_row, false), /* first: the ABI is read from it */
	MAPPING(services, struct fl_service_row, true),
	MAPPING(names, struct fl_name_row, true),
	MAPPING(slots, fl_slot, true),
	MAPPING(endpoints, struct fl_endpoint_row, true),
	MAPPING(nexthops, struct fl_nexthop_row, true),
	MAPPING(nat_used, struct fl_nat_used_row, true),
	MAPPING(pressure, struct fl_pressure_row, false),
};
#define MAPPING_COUNT (sizeof(mappings) / sizeof(mappings[0]))

/* Sizes that the rest of the agent relies on for maps that are not mapped. */
static const struct {
	enum fl_map map;
	uint32_t key_size, value_size;
} sizes[] = {
	{ FL_MAP_frontends, sizeof(struct fl_frontend_key), sizeof(struct fl_frontend_row) },
	{ FL_MAP_vips, sizeof(struct fl_ip), sizeof(struct fl_frontend_row) },
	{ FL_MAP_pins, sizeof(struct fl_flow), sizeof(struct fl_pin) },
	{ FL_MAP_opening, sizeof(struct fl_flow), sizeof(struct fl_pin) },
	{ FL_MAP_reasons, 4, 8 },
	{ FL_MAP_frontend_stats, 4, sizeof(struct fl_frontend_stats) },
	{ FL_MAP_endpoint_stats, 4, sizeof(struct fl_endpoint_stats) },
	{ FL_MAP_answers, 4, sizeof(struct fl_answers) },
	{ FL_MAP_balancers, sizeof(struct fl_prefix_key), 4 },
	{ FL_MAP_addresses, sizeof(struct fl_ip), 4 },
};

/* ABI that a map came with, where that is not the first. */
static const uint32_t since_abi[FL_MAP_COUNT] = { [FL_MAP_answers] = 2 };

const char *fl_map_name(enum fl_map map)
{
	return map_names[map];
}

uint32_t fl_map_rows(enum fl_map map, const struct fl_limits *limits)
{
	switch (map) {
	case FL_MAP_services:
	case FL_MAP_names:
		return limits->services + 1;
	case FL_MAP_endpoints:
	case FL_MAP_nat_used:
	case FL_MAP_answers:
	case FL_MAP_endpoint_stats:
		return limits->endpoints + 1;
	case FL_MAP_frontend_stats:
		return FL_FRONTENDS_MAX + 1;
	case FL_MAP_slots:
		return limits->slots;
	default:
		return 0;
	}
}

uint32_t fl_maps_opening_limit(const struct fl_maps *maps)
{
	return maps->shape[FL_MAP_opening].max_entries / 2;
}

int fl_map_shape(int fd, struct fl_map_shape *ret)
{
	struct bpf_map_info info = { 0 };
	uint32_t length = sizeof(info);

	if (bpf_obj_get_info_by_fd(fd, &info, &length) < 0)
		return -errno;
	*ret = (struct fl_map_shape){ info.type, info.key_size, info.value_size, info.max_entries,
		info.map_flags };
	return 0;
}

static size_t round_up(size_t size, size_t step)
{
	return (size + step - 1) / step * step;
}

/* The kernel lays array values out in steps of 8 bytes. */
size_t fl_map_mapped_size(const struct fl_map_shape *shape)
{
	size_t row = round_up(shape->value_size, 8);

	return round_up(shape->max_entries * row, (size_t)sysconf(_SC_PAGESIZE));
}

static int open_pin(const char *dir, const char *name, bool write)
{
	LIBBPF_OPTS(bpf_obj_get_opts, options, .file_flags = write ? 0 : BPF_F_RDONLY);
	_cleanup_free_ char *path = NULL;
	int fd;

	if (asprintf(&path, "%s/%s", dir, name) < 0)
		return -ENOMEM;
	fd = bpf_obj_get_opts(path, &options);
	return fd < 0 ? -errno : fd;
}

/* What BPF_OBJ_GET says, in words. */
static int explain_open(struct fl_failure *failure, int code, const char *dir, const char *name)
{
	if (code == -ENOENT)
		return fl_fail(failure, -EPROTO, "%s is incomplete: the map %s is not pinned there",
			dir, name);
	fl_fail(failure, code, "cannot open the pinned map %s/%s: %s", dir, name, strerror(-code));
	if (code == -EPERM || code == -EACCES)
		fl_fail_hint(failure, "pinned maps belong to root: run this as root");
	return code;
}

/* ------------------------------------------------------------------- memory
 *
 * A mapping of an array shows all of it, and the kernel counts every page as
 * resident. So what lies beyond the rows in use is covered by empty pages, which
 * cost nothing, and uncovered step by step as ids and slots grow from below.
 */

#define REACH_STEP 65536 /* bytes; a multiple of every page size */

static void **mapped_at(struct fl_maps *maps, const struct mapping *mapping)
{
	return (void **)((char *)maps + mapping->member);
}

static const struct mapping *mapping_of(enum fl_map map)
{
	for (size_t i = 0; i < MAPPING_COUNT; i++)
		if (mappings[i].map == map)
			return &mappings[i];
	return NULL;
}

static int map_memory(
	struct fl_maps *maps, const struct mapping *mapping, bool write, struct fl_failure *failure)
{
	const struct fl_map_shape *shape = &maps->shape[mapping->map];
	const char *name = map_names[mapping->map];
	int protection = write ? PROT_READ | PROT_WRITE : PROT_READ;
	void *memory;

	if (shape->value_size != mapping->row_size || !(shape->flags & BPF_F_MMAPABLE))
		return fl_fail(failure, -EPROTO,
			"the pinned map %s has rows of %u bytes, where this version maps rows of "
			"%zu",
			name, shape->value_size, mapping->row_size);
	memory = mmap(
		NULL, fl_map_mapped_size(shape), protection, MAP_SHARED, maps->fd[mapping->map], 0);
	if (memory == MAP_FAILED)
		return fl_fail(
			failure, -errno, "cannot map %s into memory: %s", name, strerror(errno));
	*mapped_at(maps, mapping) = memory;
	maps->reached[mapping->map] = fl_map_mapped_size(shape);
	return 0;
}

/* Cover what lies beyond the last row in use. Without memory for that it stays. */
static void cover_rest(struct fl_maps *maps, const struct mapping *mapping)
{
	const uint64_t *words = *mapped_at(maps, mapping);
	size_t size = maps->reached[mapping->map], used = size;

	while (used > 0 && words[used / sizeof(*words) - 1] == 0)
		used -= sizeof(*words);
	used = round_up(used, REACH_STEP);
	if (used >= size)
		return;
	if (mmap((char *)words + used, size - used, PROT_READ,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) != MAP_FAILED)
		maps->reached[mapping->map] = used;
}

int fl_maps_reach(struct fl_maps *maps, enum fl_map map, uint64_t rows)
{
	const struct mapping *mapping = mapping_of(map);
	size_t have = maps->reached[map], size = fl_map_mapped_size(&maps->shape[map]), want;

	if (!mapping || rows > maps->shape[map].max_entries)
		return -ERANGE;
	if (rows * mapping->row_size <= have)
		return 0;
	want = round_up(rows * mapping->row_size, REACH_STEP);
	want = want < size ? want : size;
	if (mmap((char *)*mapped_at(maps, mapping) + have, want - have, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_FIXED, maps->fd[map], (off_t)have) == MAP_FAILED)
		return -ENOMEM;
	maps->reached[map] = want;
	return 0;
}

static void unmap(struct fl_maps *maps, const struct mapping *mapping)
{
	void **memory = mapped_at(maps, mapping);

	if (*memory)
		munmap(*memory, fl_map_mapped_size(&maps->shape[mapping->map]));
	*memory = NULL;
}

/* ------------------------------------------------------------------- checks */

static int check_abi(const struct fl_maps *maps, struct fl_failure *failure)
{
	/* The row may be of another, even shorter, layout: `abi` comes first in all. */
	uint32_t abi = maps->meta->abi;

	if (abi >= 1 && abi <= FL_ABI_VERSION)
		return 0;
	return fl_fail(failure, -EPROTO,
		"the maps in %s were made by a version with another layout (ABI %u; this one has "
		"%u)",
		maps->dir, abi, FL_ABI_VERSION);
}

static int check_sizes(const struct fl_maps *maps, struct fl_failure *failure)
{
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		const struct fl_map_shape *shape = &maps->shape[sizes[i].map];

		if (maps->fd[sizes[i].map] < 0) /* of a later ABI */
			continue;
		if (shape->key_size != sizes[i].key_size ||
			shape->value_size != sizes[i].value_size)
			return fl_fail(failure, -EPROTO,
				"the pinned map %s has keys of %u and values of %u bytes, where "
				"this "
				"version has %u and %u",
				map_names[sizes[i].map], shape->key_size, shape->value_size,
				sizes[i].key_size, sizes[i].value_size);
	}
	return 0;
}

/* Ids and slots are checked against the limits in `meta`: these had better be true. */
static int check_limits(struct fl_maps *maps, struct fl_failure *failure)
{
	const struct fl_limits limits = { maps->meta->services, maps->meta->endpoints,
		maps->meta->slots, maps->meta->flows };

	for (int map = 0; map < FL_MAP_COUNT; map++) {
		uint32_t rows = fl_map_rows(map, &limits);

		if (rows && maps->fd[map] >= 0 && maps->shape[map].max_entries != rows)
			return fl_fail(failure, -EPROTO,
				"the pinned map %s has %u rows, where this version has %u for the "
				"limits beside it",
				map_names[map], maps->shape[map].max_entries, rows);
	}
	maps->limits = limits;
	return 0;
}

static int newest_first(const void *a, const void *b)
{
	unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;

	return x < y ? 1 : x > y ? -1 : 0;
}

/* Numbers of the pins nat_N, newest first; only as many as there are positions. */
static int list_nat_tables(struct fl_maps *maps, size_t *ret_count)
{
	DIR *dir = opendir(maps->dir);
	unsigned number;
	size_t count = 0;
	char rest;

	if (!dir)
		return -errno;
	for (struct dirent *entry; (entry = readdir(dir));)
		if (sscanf(entry->d_name, "nat_%u%c", &number, &rest) == 1 &&
			count < FL_NAT_GENERATIONS)
			maps->nat_number[count++] = number;
	closedir(dir);
	qsort(maps->nat_number, count, sizeof(maps->nat_number[0]), newest_first);
	*ret_count = count;
	return 0;
}

static int open_nat_tables(struct fl_maps *maps, bool write, struct fl_failure *failure)
{
	size_t count = 0;
	int r = list_nat_tables(maps, &count);

	if (r < 0)
		return fl_fail(failure, r, "cannot list %s: %s", maps->dir, strerror(-r));
	for (size_t i = 0; i < count; i++) {
		struct fl_map_shape shape;
		char name[32];

		snprintf(name, sizeof(name), "nat_%u", maps->nat_number[i]);
		maps->nat_fd[i] = open_pin(maps->dir, name, write);
		if (maps->nat_fd[i] < 0)
			return explain_open(failure, maps->nat_fd[i], maps->dir, name);
		r = fl_map_shape(maps->nat_fd[i], &shape);
		if (r < 0)
			return fl_fail(failure, r, "cannot ask the map %s for its shape: %s", name,
				strerror(-r));
		maps->nat_size[i] = shape.max_entries;
	}
	return 0;
}

static int open_map(struct fl_maps *maps, enum fl_map map, bool write, struct fl_failure *failure)
{
	/* The kernel maps no map through a read-only descriptor, not even for reading. */
	int r = open_pin(maps->dir, map_names[map], write || mapping_of(map));

	if (r < 0)
		return explain_open(failure, r, maps->dir, map_names[map]);
	maps->fd[map] = r;
	r = fl_map_shape(maps->fd[map], &maps->shape[map]);
	if (r < 0)
		return fl_fail(failure, r, "cannot ask the map %s for its shape: %s",
			map_names[map], strerror(-r));
	return 0;
}

/* Flows of endpoints that are in use may begin at any moment, and are to be seen. */
static int cover_unused(struct fl_maps *maps, struct fl_failure *failure)
{
	int r;

	for (size_t i = 0; i < MAPPING_COUNT; i++)
		if (mappings[i].grows)
			cover_rest(maps, &mappings[i]);
	r = fl_maps_reach(
		maps, FL_MAP_nat_used, maps->reached[FL_MAP_endpoints] / sizeof(*maps->endpoints));
	return r == -ENOMEM ? fl_fail(failure, r, "out of memory") : 0;
}

static int open_rest(struct fl_maps *maps, bool write, struct fl_failure *failure)
{
	int r = 0;

	for (int map = 0; map < FL_MAP_COUNT && r == 0; map++)
		if (map != FL_MAP_meta && maps->meta->abi >= since_abi[map])
			r = open_map(maps, map, write, failure);
	for (size_t i = 1; i < MAPPING_COUNT && r == 0; i++)
		r = map_memory(maps, &mappings[i], write, failure);
	if (r == 0)
		r = check_sizes(maps, failure);
	if (r == 0)
		r = check_limits(maps, failure);
	if (r == 0 && write)
		r = cover_unused(maps, failure);
	return r < 0 ? r : open_nat_tables(maps, write, failure);
}

static int open_all(struct fl_maps *maps, bool write, struct fl_failure *failure)
{
	int r;

	if (access(maps->dir, F_OK) < 0 && errno == ENOENT) {
		fl_fail(failure, -ENOENT, "no maps are pinned in %s", maps->dir);
		fl_fail_hint(failure, "has fairleadd run on this node, with this bpffs directory?");
		return -ENOENT;
	}
	r = open_map(maps, FL_MAP_meta, write, failure);
	if (r == 0)
		r = map_memory(maps, &mappings[0], write, failure);
	if (r == 0)
		r = check_abi(maps, failure);
	return r < 0 ? r : open_rest(maps, write, failure);
}

int fl_maps_open_at(struct fl_maps *maps, const char *dir, bool write, struct fl_failure *failure)
{
	int cpus = libbpf_num_possible_cpus();
	int r;

	memset(maps, 0, sizeof(*maps));
	memset(maps->fd, -1, sizeof(maps->fd));
	memset(maps->nat_fd, -1, sizeof(maps->nat_fd));
	if (cpus < 0)
		return fl_fail(
			failure, cpus, "cannot count the possible CPUs: %s", strerror(-cpus));
	maps->cpus = (unsigned)cpus;
	maps->dir = strdup(dir);
	if (!maps->dir)
		return fl_fail(failure, -ENOMEM, "out of memory");
	r = open_all(maps, write, failure);
	if (r < 0) {
		fl_maps_close(maps);
		return r;
	}
	return 0;
}

int fl_maps_open(struct fl_maps *maps, const char *bpffs, bool write, struct fl_failure *failure)
{
	_cleanup_free_ char *dir = NULL;

	if (asprintf(&dir, "%s/maps", bpffs) < 0) {
		*maps = (struct fl_maps){ 0 };
		return fl_fail(failure, -ENOMEM, "out of memory");
	}
	return fl_maps_open_at(maps, dir, write, failure);
}

static void close_fds(int *fds, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (fds[i] >= 0)
			close(fds[i]);
		fds[i] = -1;
	}
}

void fl_maps_close(struct fl_maps *maps)
{
	if (!maps->dir)
		return; /* never opened, or closed already */
	for (size_t i = 0; i < MAPPING_COUNT; i++)
		unmap(maps, &mappings[i]);
	close_fds(maps->fd, FL_MAP_COUNT);
	close_fds(maps->nat_fd, FL_NAT_GENERATIONS);
	free(maps->dir);
	maps->dir = NULL;
}

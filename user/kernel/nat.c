/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Generations move, and no flow may be invisible meanwhile. Programs search the
 * positions from 0 up to the first empty one. So a new table is let in by copying
 * the last position first: [b a] → [b a a] → [b b a] → [c b a]; and one that goes
 * is closed over from its own position on: [c b a] → [c a a] → [c a]. A program
 * may meet a table twice, but it meets all.
 */
#include "kernel/nat.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/log.h"
#include "kernel/bpffs.h"

#define LOOK_IDLE_MS    1000
#define LOOK_FILLING_MS 100
#define RETRY_S         60 /* after a failure to grow */
#define SEARCH_S        60 /* between searches for empty tables: they walk buckets */
#define GROWTH          4

static unsigned count_tables(const struct fl_maps *maps)
{
	unsigned count = 0;

	while (count < FL_NAT_GENERATIONS && maps->nat_fd[count] >= 0)
		count++;
	return count;
}

/* Entries that the newest table should have when the node is full. */
static uint32_t largest(const struct fl_maps *maps)
{
	uint64_t entries = 2ull * maps->limits.flows;

	return entries > INT32_MAX ? INT32_MAX : (uint32_t)entries;
}

static int put_at(const struct fl_maps *maps, uint32_t position)
{
	const int *fd = &maps->nat_fd[position];

	return bpf_map_update_elem(maps->fd[FL_MAP_nat], &position, fd, BPF_ANY) < 0 ? -errno : 0;
}

static char *pin_name(unsigned number, char buffer[32])
{
	snprintf(buffer, 32, "nat_%u", number);
	return buffer;
}

/* Make and pin a table; not in `nat` yet. @return descriptor, -errno */
static int create(const struct fl_maps *maps, unsigned number, uint32_t entries)
{
	LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_NO_PREALLOC);
	_cleanup_close_ int fd = bpf_map_create(BPF_MAP_TYPE_HASH, "fl_nat_flows",
		sizeof(struct fl_flow), sizeof(struct fl_nat_entry), entries, &options);
	char name[32];
	int r;

	if (fd < 0)
		return -errno;
	r = fl_bpffs_pin(fd, maps->dir, pin_name(number, name));
	return r < 0 ? r : TAKE_FD(fd);
}

static void shift_up(struct fl_maps *maps, unsigned count)
{
	memmove(&maps->nat_fd[1], &maps->nat_fd[0], count * sizeof(maps->nat_fd[0]));
	memmove(&maps->nat_number[1], &maps->nat_number[0], count * sizeof(maps->nat_number[0]));
	memmove(&maps->nat_size[1], &maps->nat_size[0], count * sizeof(maps->nat_size[0]));
}

/* Write every position from the last to the first. */
static int place_all(struct fl_maps *maps)
{
	int r = 0;

	for (unsigned i = count_tables(maps); i-- > 0 && r == 0;)
		r = put_at(maps, i);
	return r;
}

static int add_newest(struct fl_maps *maps, uint32_t entries, struct fl_failure *failure)
{
	unsigned count = count_tables(maps);
	unsigned number = count ? maps->nat_number[0] + 1 : 1;
	int fd = create(maps, number, entries);
	int r;

	if (fd < 0)
		return fl_fail(failure, fd, "cannot make a table for %u nat flows: %s", entries / 2,
			fl_log_errno(fd));
	shift_up(maps, count);
	maps->nat_fd[0] = fd;
	maps->nat_number[0] = number;
	maps->nat_size[0] = entries;
	r = place_all(maps);
	if (r < 0)
		return fl_fail(failure, r, "cannot put a table of nat flows into use: %s",
			fl_log_errno(r));
	return 0;
}

int fl_nat_open(struct fl_maps *maps, struct fl_failure *failure)
{
	uint32_t first = 2 * FL_NAT_FIRST_SIZE;
	int r;

	if (count_tables(maps) == 0)
		return add_newest(maps, first < largest(maps) ? first : largest(maps), failure);
	r = place_all(maps);
	return r < 0 ? fl_fail(failure, r, "cannot adopt the tables of nat flows: %s",
			       fl_log_errno(r))
		     : 0;
}

/* --------------------------------------------------------------------- tick */

/* Entries over all tables: two for each flow that holds a port. */
static uint64_t entries_in_use(const struct fl_maps *maps)
{
	uint64_t flows = 0;

	for (uint32_t id = 1; id <= maps->limits.endpoints; id++)
		flows += fl_nat_flows(maps, id);
	return 2 * flows;
}

static uint32_t next_size(const struct fl_maps *maps)
{
	uint64_t next = (uint64_t)maps->nat_size[0] * GROWTH;

	/* The last free position has to do for good. */
	if (next > largest(maps) || count_tables(maps) == FL_NAT_GENERATIONS - 1)
		return largest(maps);
	return (uint32_t)next;
}

static bool is_empty(int fd)
{
	struct fl_flow key;

	return bpf_map_get_next_key(fd, NULL, &key) < 0 && errno == ENOENT;
}

static int drop(struct fl_maps *maps, unsigned at, struct fl_failure *failure)
{
	uint32_t last = count_tables(maps) - 1;
	int fd = maps->nat_fd[at];
	char name[32];
	_cleanup_free_ char *path = NULL;
	int r = 0;

	if (asprintf(&path, "%s/%s", maps->dir, pin_name(maps->nat_number[at], name)) < 0)
		return fl_fail(failure, -ENOMEM, "out of memory");
	for (unsigned i = at; i < last; i++) {
		maps->nat_fd[i] = maps->nat_fd[i + 1];
		maps->nat_number[i] = maps->nat_number[i + 1];
		maps->nat_size[i] = maps->nat_size[i + 1];
	}
	maps->nat_fd[last] = -1;
	maps->nat_size[last] = 0;
	for (unsigned i = at; i < last && r == 0; i++)
		r = put_at(maps, i);
	if (r == 0 && bpf_map_delete_elem(maps->fd[FL_MAP_nat], &last) < 0)
		r = -errno;
	if (unlink(path) < 0 && r == 0)
		r = -errno;
	close(fd);
	return r < 0 ? fl_fail(failure, r, "cannot drop an empty table of nat flows: %s",
			       fl_log_errno(r))
		     : 0;
}

static int drop_empty(struct fl_maps *maps, struct fl_failure *failure)
{
	int r = 0;

	/* Never [0]: it takes flows at any moment. */
	for (unsigned i = count_tables(maps) - 1; i > 0 && r == 0; i--)
		if (is_empty(maps->nat_fd[i]))
			r = drop(maps, i, failure);
	return r;
}

static bool is_past(uint32_t now_s, uint32_t then_s)
{
	return (int32_t)(now_s - then_s) >= 0;
}

static bool wants_room(const struct fl_maps *maps, uint64_t used)
{
	return used >= maps->nat_size[0] / 4 * 3 && maps->nat_size[0] < largest(maps) &&
	       count_tables(maps) < FL_NAT_GENERATIONS;
}

int fl_nat_tick(struct fl_maps *maps, uint32_t now_s, struct fl_failure *failure)
{
	uint64_t used = entries_in_use(maps);
	int r = 0;

	if (wants_room(maps, used) && is_past(now_s, maps->nat_retry_s)) {
		r = add_newest(maps, next_size(maps), failure);
		if (r < 0)
			maps->nat_retry_s = now_s + RETRY_S;
	} else if (count_tables(maps) > 1 && is_past(now_s, maps->nat_look_s)) {
		maps->nat_look_s = now_s + SEARCH_S;
		r = drop_empty(maps, failure);
	}
	if (r < 0)
		return r;
	return used >= maps->nat_size[0] / 8 && maps->nat_size[0] < largest(maps) ? LOOK_FILLING_MS
										  : LOOK_IDLE_MS;
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "kernel/vips.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/vec.h"
#include "kernel/walk.h"

struct vip {
	struct fl_ip addr;
	struct fl_frontend_row row;
};

struct vips {
	struct vip *items; /* sorted by address */
	size_t count, room;
};

static int compare(const void *a, const void *b)
{
	return fl_ip_compare(&((const struct vip *)a)->addr, &((const struct vip *)b)->addr);
}

/* One row for each address: whoever shares it takes the owner away. */
static void merge(struct vips *vips)
{
	size_t kept = 0;

	for (size_t i = 0; i < vips->count; i++) {
		struct vip *last = kept ? &vips->items[kept - 1] : NULL;

		if (!last || !fl_ip_equal(&last->addr, &vips->items[i].addr))
			vips->items[kept++] = vips->items[i];
		else if (last->row.service != vips->items[i].row.service)
			last->row = (struct fl_frontend_row){ 0 };
	}
	vips->count = kept;
}

/* ------------------------------------------------------------ what shall be */

static const struct vip *find(const struct vips *vips, const struct fl_ip *addr)
{
	struct vip wanted = { .addr = *addr };

	return vips->count ? bsearch(&wanted, vips->items, vips->count, sizeof(wanted), compare)
			   : NULL;
}

/* @param of  only these addresses; NULL = all */
static int add(struct vips *vips, const struct fl_service *service, const struct vips *of)
{
	for (size_t i = 0; i < service->frontend_count; i++) {
		const struct fl_frontend *frontend = &service->frontends[i];
		struct vip *vip;

		if (of && !find(of, &frontend->addr))
			continue;
		vip = fl_vec_push(vips);
		if (!vip)
			return -ENOMEM;
		*vip = (struct vip){ frontend->addr, { service->id, frontend->id } };
	}
	return 0;
}

static void sort(struct vips *vips)
{
	if (vips->count)
		qsort(vips->items, vips->count, sizeof(*vips->items), compare);
}

/* Addresses of services that came, went or changed; their rows say nothing. */
static int collect_changed(
	const struct fl_snapshot *last, const struct fl_snapshot *snapshot, struct vips *ret)
{
	struct fl_snapshot_change change = { 0 };
	int r = 0;

	while (r == 0 && fl_snapshot_next_change(last, snapshot, &change)) {
		if (change.old)
			r = add(ret, change.old, NULL);
		if (change.new && r == 0)
			r = add(ret, change.new, NULL);
	}
	sort(ret);
	return r;
}

/* The rows of a snapshot. @param of  only these addresses; NULL = all */
static int collect(const struct fl_snapshot *snapshot, const struct vips *of, struct vips *ret)
{
	int r = 0;

	for (size_t i = 0; i < snapshot->service_count && r == 0; i++)
		r = add(ret, snapshot->services[i], of);
	sort(ret);
	merge(ret);
	return r;
}

/* ---------------------------------------------------------- look at every address */

static int note(void *context, const void *key, const void *value)
{
	struct vips *found = context;
	struct vip *vip = fl_vec_push(found);

	if (!vip)
		return -ENOMEM;
	memcpy(&vip->addr, key, sizeof(vip->addr));
	memcpy(&vip->row, value, sizeof(vip->row));
	return 0;
}

/* Write the rows that the map lacks, or has otherwise. @return how many, -errno */
static int put_all(int fd, const struct vips *vips, const struct vips *found)
{
	int written = 0;

	for (size_t i = 0; i < vips->count; i++) {
		const struct vip *vip = &vips->items[i], *old = find(found, &vip->addr);

		if (old && memcmp(&old->row, &vip->row, sizeof(old->row)) == 0)
			continue;
		if (bpf_map_update_elem(fd, &vip->addr, &vip->row, BPF_ANY) < 0)
			return -errno;
		written++;
	}
	return written;
}

/* Remove the row of an address that nobody has any more. @return rows removed, -errno */
static int remove_row(int fd, const struct fl_ip *addr)
{
	if (bpf_map_delete_elem(fd, addr) == 0)
		return 1;
	return errno == ENOENT ? 0 : -errno;
}

/* @param of  addresses that may have rows */
static int prune(int fd, const struct vips *vips, const struct vips *of)
{
	int removed = 0, r;

	for (size_t i = 0; i < of->count; i++) {
		if (find(vips, &of->items[i].addr))
			continue;
		r = remove_row(fd, &of->items[i].addr);
		if (r < 0)
			return r;
		removed += r;
	}
	return removed;
}

static int write_all(const struct fl_maps *maps, const struct fl_snapshot *snapshot)
{
	struct vips vips = { 0 }, found = { 0 };
	int fd = maps->fd[FL_MAP_vips], written = 0;
	int r = collect(snapshot, NULL, &vips);

	if (r == 0)
		r = fl_walk(maps, FL_MAP_vips, note, &found);
	sort(&found);
	if (r == 0)
		r = written = put_all(fd, &vips, &found);
	if (r >= 0)
		r = prune(fd, &vips, &found);
	fl_vec_done(&vips);
	fl_vec_done(&found);
	return r < 0 ? r : written + r;
}

/* --------------------------------------------------- look at those that may differ */

static int put(int fd, const struct vip *vip)
{
	struct fl_frontend_row found;

	if (bpf_map_lookup_elem(fd, &vip->addr, &found) == 0 &&
		memcmp(&found, &vip->row, sizeof(found)) == 0)
		return 0;
	return bpf_map_update_elem(fd, &vip->addr, &vip->row, BPF_ANY) < 0 ? -errno : 1;
}

static int write_changed(const struct fl_maps *maps, const struct fl_snapshot *last,
	const struct fl_snapshot *snapshot)
{
	struct vips vips = { 0 }, changed = { 0 };
	int fd = maps->fd[FL_MAP_vips], written = 0;
	int r = collect_changed(last, snapshot, &changed);

	if (r == 0)
		r = collect(snapshot, &changed, &vips);
	for (size_t i = 0; i < vips.count && r >= 0; i++) {
		r = put(fd, &vips.items[i]);
		written += r > 0;
	}
	if (r >= 0)
		r = prune(fd, &vips, &changed);
	fl_vec_done(&vips);
	fl_vec_done(&changed);
	return r < 0 ? r : written + r;
}

int fl_vips_put(const struct fl_maps *maps, const struct fl_snapshot *last,
	const struct fl_snapshot *snapshot)
{
	return last ? write_changed(maps, last, snapshot) : write_all(maps, snapshot);
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "kernel/vips.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct vip {
	struct fl_ip addr;
	struct fl_frontend_row row;
};

struct vips {
	struct vip *items; /* sorted by address */
	size_t count;
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

static int collect(const struct fl_snapshot *snapshot, struct vips *ret)
{
	size_t count = 0;

	for (size_t i = 0; i < snapshot->service_count; i++)
		count += snapshot->services[i]->frontend_count;
	ret->items = calloc(count + 1, sizeof(*ret->items));
	if (!ret->items)
		return -ENOMEM;
	for (size_t i = 0; i < snapshot->service_count; i++) {
		const struct fl_service *service = snapshot->services[i];

		for (size_t j = 0; j < service->frontend_count; j++)
			ret->items[ret->count++] = (struct vip){ service->frontends[j].addr,
				{ service->id, service->frontends[j].id } };
	}
	qsort(ret->items, ret->count, sizeof(*ret->items), compare);
	merge(ret);
	return 0;
}

static int put(int fd, const struct vip *vip)
{
	struct fl_frontend_row found;

	if (bpf_map_lookup_elem(fd, &vip->addr, &found) == 0 &&
		memcmp(&found, &vip->row, sizeof(found)) == 0)
		return 0;
	return bpf_map_update_elem(fd, &vip->addr, &vip->row, BPF_ANY) < 0 ? -errno : 1;
}

/* Remove the rows of addresses that nobody has any more. */
static int prune(int fd, const struct vips *vips)
{
	struct fl_ip addr, *previous = NULL, next;
	int removed = 0;

	while (bpf_map_get_next_key(fd, previous, &next) == 0) {
		struct vip wanted = { .addr = next };

		if (bsearch(&wanted, vips->items, vips->count, sizeof(wanted), compare)) {
			addr = next;
			previous = &addr;
			continue;
		}
		if (bpf_map_delete_elem(fd, &next) < 0)
			return -errno;
		removed++;
	}
	return removed;
}

int fl_vips_put(const struct fl_maps *maps, const struct fl_snapshot *snapshot)
{
	struct vips vips = { 0 };
	int r = collect(snapshot, &vips), written = 0;

	for (size_t i = 0; i < vips.count && r >= 0; i++) {
		r = put(maps->fd[FL_MAP_vips], &vips.items[i]);
		written += r > 0;
	}
	if (r >= 0)
		r = prune(maps->fd[FL_MAP_vips], &vips);
	free(vips.items);
	return r < 0 ? r : written + r;
}

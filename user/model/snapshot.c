/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "model/snapshot.h"

#include <stdlib.h>
#include <string.h>

struct fl_snapshot *fl_snapshot_new(size_t room, uint64_t generation)
{
	struct fl_snapshot *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->references = 1;
	s->generation = generation;
	s->services = calloc(room + 1, sizeof(*s->services));
	if (!s->services) {
		free(s);
		return NULL;
	}
	return s;
}

struct fl_snapshot *fl_snapshot_ref(struct fl_snapshot *snapshot)
{
	snapshot->references++;
	return snapshot;
}

void fl_snapshot_unref(struct fl_snapshot *snapshot)
{
	if (!snapshot || --snapshot->references)
		return;
	for (size_t i = 0; i < snapshot->service_count; i++)
		fl_service_unref(snapshot->services[i]);
	free(snapshot->services);
	free(snapshot);
}

size_t fl_snapshot_position(const struct fl_snapshot *snapshot, const char *name)
{
	size_t low = 0, high = snapshot->service_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(snapshot->services[middle]->name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct fl_service *fl_snapshot_find(const struct fl_snapshot *snapshot, const char *name)
{
	size_t at = snapshot ? fl_snapshot_position(snapshot, name) : 0;

	if (!snapshot || at == snapshot->service_count ||
		strcmp(snapshot->services[at]->name, name) != 0)
		return NULL;
	return snapshot->services[at];
}

/* Services are sorted by name in both: one walk along both pairs them. */
bool fl_snapshot_next_change(
	const struct fl_snapshot *old, const struct fl_snapshot *new, struct fl_snapshot_change *at)
{
	size_t olds = old ? old->service_count : 0, news = new->service_count;
	int order;

	while (at->olds < olds && at->news < news &&
		old->services[at->olds] == new->services[at->news]) {
		at->olds++;
		at->news++;
	}
	if (at->olds == olds && at->news == news)
		return false;
	if (at->olds == olds || at->news == news)
		order = at->olds == olds ? 1 : -1;
	else
		order = strcmp(old->services[at->olds]->name, new->services[at->news]->name);
	at->old = order <= 0 ? old->services[at->olds++] : NULL;
	at->new = order >= 0 ? new->services[at->news++] : NULL;
	return true;
}

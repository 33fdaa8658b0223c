/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The laid snapshot has the services of the merged one, one by one, in the same
 * order. So what was laid last time is found by its place, and a service is looked
 * into only when another one is declared, or when a signal of it changed.
 */
#include "health/overlay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "health/entry.h"
#include "health/rules.h"

struct fl_overlay {
	struct fl_snapshot *merged; /* of the last time; NULL = there was none */
	struct fl_snapshot *laid;   /* `merged` itself when nothing was to be laid */
};

struct fl_overlay *fl_overlay_new(void)
{
	return calloc(1, sizeof(struct fl_overlay));
}

static void forget(struct fl_overlay *overlay)
{
	fl_snapshot_unref(overlay->merged);
	fl_snapshot_unref(overlay->laid);
	*overlay = (struct fl_overlay){ 0 };
}

void fl_overlay_free(struct fl_overlay *overlay)
{
	if (overlay)
		forget(overlay);
	free(overlay);
}

/* --------------------------------------------------------------------- one service */

static void judge(struct fl_entry *entry, const struct fl_endpoint *declared, uint64_t now_ms)
{
	struct fl_judgement judgement;

	entry->seen = true;
	entry->signals.declared = declared->state;
	entry->signals.declared_weight = declared->weight;
	judgement = fl_judge(&entry->signals);
	fl_verdict_take(
		&entry->verdict, &judgement, fl_entry_detail(entry, judgement.cause), now_ms);
}

static int lay_endpoint(struct fl_endpoint *endpoint, const struct fl_verdict *verdict)
{
	endpoint->state = verdict->now.state;
	endpoint->weight = verdict->now.weight;
	endpoint->cause = verdict->now.cause;
	endpoint->since_ms = verdict->since_ms;
	if (!verdict->detail)
		return 0;
	endpoint->detail = strdup(verdict->detail);
	return endpoint->detail ? 0 : -ENOMEM;
}

/* Entries of endpoints that the service no longer has; the ward may go with them. */
static void forget_absent(struct fl_health *health, struct fl_ward *ward)
{
	struct fl_entry *entry, *next;
	size_t left = HASH_COUNT(ward->entries);

	HASH_ITER(hh, ward->entries, entry, next) {
		bool absent = !entry->seen && !fl_entry_has_word(entry);

		entry->seen = false;
		if (!absent)
			continue;
		fl_health_forget(health, ward, entry);
		if (--left == 0)
			return;
	}
}

/* @return 0, -ENOMEM */
static int lay_service(struct fl_health *health, struct fl_service *declared, uint64_t now_ms,
	struct fl_service **ret)
{
	struct fl_ward *ward = fl_health_ward(health, declared->name);
	struct fl_service *laid;
	bool differs = false;
	int r = 0;

	if (!ward && !fl_service_has_rules(declared)) {
		*ret = fl_service_ref(declared);
		return 0;
	}
	laid = fl_service_overlay(declared);
	if (!laid)
		return -ENOMEM;
	for (size_t i = 0; i < laid->endpoint_count && r == 0; i++) {
		struct fl_endpoint *endpoint = &laid->endpoints[i];
		struct fl_entry *entry =
			ward ? fl_ward_entry(ward, &endpoint->addr, endpoint->port) : NULL;

		if (!entry)
			continue;
		judge(entry, &declared->endpoints[i], now_ms);
		r = lay_endpoint(endpoint, &entry->verdict);
		endpoint->ramp = entry->ramp;
		differs = true;
	}
	if (r == 0 && ward)
		forget_absent(health, ward);
	differs = fl_rules_apply(laid) || differs;
	differs = fl_service_share(laid) || differs;
	if (r < 0 || !differs) {
		fl_service_unref(laid);
		laid = r < 0 ? NULL : fl_service_ref(declared);
	}
	*ret = laid;
	return r;
}

/* ---------------------------------------------------------------------- all of them */

/* What was laid for the service that stands at `at` in the last merged snapshot. */
static struct fl_service *laid_before(
	const struct fl_overlay *overlay, size_t *at, const struct fl_service *service)
{
	const struct fl_snapshot *last = overlay->merged;

	while (last && *at < last->service_count && last->services[*at] != service &&
		strcmp(last->services[*at]->name, service->name) < 0)
		(*at)++;
	if (!last || *at == last->service_count || last->services[*at] != service)
		return NULL;
	return overlay->laid->services[(*at)++];
}

/* Services that are declared as before are laid as before, for now. */
static int lay_declared(const struct fl_overlay *overlay, struct fl_health *health,
	const struct fl_snapshot *merged, uint64_t now_ms, struct fl_snapshot *laid)
{
	size_t at = 0;

	for (size_t i = 0; i < merged->service_count; i++) {
		struct fl_service *before = laid_before(overlay, &at, merged->services[i]);
		int r = 0;

		if (before)
			laid->services[i] = fl_service_ref(before);
		else
			r = lay_service(health, merged->services[i], now_ms, &laid->services[i]);
		if (r < 0)
			return r;
		laid->service_count++;
	}
	laid->endpoint_count = merged->endpoint_count;
	return 0;
}

/* Those whose signals changed. */
static int lay_changed(struct fl_health *health, const struct fl_snapshot *merged, uint64_t now_ms,
	struct fl_snapshot *laid)
{
	for (struct fl_ward *ward = health->dirty, *next; ward; ward = next) {
		size_t at = fl_snapshot_position(merged, ward->service);
		struct fl_service *service;
		int r;

		next = ward->next_dirty; /* the ward may go */
		if (at == merged->service_count ||
			strcmp(merged->services[at]->name, ward->service) != 0)
			continue;
		r = lay_service(health, merged->services[at], now_ms, &service);
		if (r < 0)
			return r;
		fl_service_unref(laid->services[at]);
		laid->services[at] = service;
	}
	return 0;
}

/* Signals of services that do not exist, or no longer. */
static void forget_gone(
	struct fl_health *health, const struct fl_snapshot *old, const struct fl_snapshot *merged)
{
	struct fl_snapshot_change change = { 0 };
	struct fl_ward *ward, *next;

	if (!old) {
		HASH_ITER(hh, health->wards, ward, next)
			if (!fl_snapshot_find(merged, ward->service))
				forget_absent(health, ward);
		return;
	}
	while (fl_snapshot_next_change(old, merged, &change)) {
		ward = change.new ? NULL : fl_health_ward(health, change.old->name);
		if (ward)
			forget_absent(health, ward);
	}
}

static void clean(struct fl_health *health)
{
	for (struct fl_ward *ward = health->dirty; ward; ward = ward->next_dirty)
		ward->dirty = false;
	health->dirty = NULL;
}

static bool is_all_as_declared(const struct fl_snapshot *laid, const struct fl_snapshot *merged)
{
	return memcmp(laid->services, merged->services,
		       merged->service_count * sizeof(struct fl_service *)) == 0;
}

static int lay(struct fl_overlay *overlay, struct fl_health *health, struct fl_snapshot *merged,
	uint64_t generation, uint64_t now_ms, struct fl_snapshot **ret)
{
	/* A snapshot's generation is its own: one that was given out is not laid aside
	 * and taken up again. */
	bool may_be_merged = merged != overlay->merged || overlay->laid == overlay->merged;
	struct fl_snapshot *laid = fl_snapshot_new(merged->service_count, generation);
	int r = laid ? lay_declared(overlay, health, merged, now_ms, laid) : -ENOMEM;

	if (r == 0)
		r = lay_changed(health, merged, now_ms, laid);
	if (r < 0) {
		fl_snapshot_unref(laid);
		return r;
	}
	if (may_be_merged && is_all_as_declared(laid, merged)) {
		fl_snapshot_unref(laid);
		laid = fl_snapshot_ref(merged);
	}
	*ret = laid;
	return 0;
}

int fl_overlay_lay(struct fl_overlay *overlay, struct fl_health *health, struct fl_snapshot *merged,
	uint64_t generation, uint64_t now_ms, struct fl_snapshot **ret)
{
	struct fl_snapshot *laid;
	int r;

	if (merged != overlay->merged || health->dirty) {
		r = lay(overlay, health, merged, generation, now_ms, &laid);
		if (r < 0)
			return r;
		forget_gone(health, overlay->merged, merged);
		clean(health);
		fl_snapshot_ref(merged);
		forget(overlay);
		*overlay = (struct fl_overlay){ merged, laid };
	}
	*ret = fl_snapshot_ref(overlay->laid);
	return 0;
}

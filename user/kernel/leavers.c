/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "kernel/leavers.h"

#include <netinet/in.h>

#include "fairlead/slot.h"
#include "kernel/rows.h"
#include "kernel/tables.h"

static bool table_has_before(const struct fl_maps *maps, fl_region region, uint32_t endpoint)
{
	uint32_t base = FL_REGION_BASE(region), size = fl_table_size(region);

	for (uint32_t i = base; i < base + size; i++)
		if (fl_slot_before(__atomic_load_n(&maps->slots[i], __ATOMIC_RELAXED)) == endpoint)
			return true;
	return false;
}

static bool any_has_before(const struct fl_maps *maps, uint32_t service, uint32_t endpoint)
{
	const struct fl_service_row *row = &maps->services[service];

	for (int family = 0; family < FL_FAMILIES; family++)
		if (table_has_before(maps, row->region[family], endpoint) ||
			table_has_before(maps, row->old_region[family], endpoint))
			return true;
	return false;
}

static bool has_udp(const struct fl_service *service)
{
	for (size_t i = 0; i < service->frontend_count; i++)
		if (service->frontends[i].proto == IPPROTO_UDP)
			return true;
	return false;
}

bool fl_leavers_must_wait(
	const struct fl_maps *maps, const struct fl_service *service, uint32_t endpoint)
{
	return service->forward != FL_NAT && service->udp == FL_UDP_KEEP && has_udp(service) &&
	       any_has_before(maps, service->id, endpoint);
}

static struct fl_leaver *find(fl_leavers *leavers, uint32_t endpoint)
{
	for (size_t i = 0; i < leavers->count; i++)
		if (leavers->items[i].endpoint == endpoint)
			return &leavers->items[i];
	return NULL;
}

int fl_leavers_add(fl_leavers *leavers, uint32_t service, uint32_t endpoint)
{
	struct fl_leaver *leaver = find(leavers, endpoint);

	if (!leaver)
		leaver = fl_vec_push(leavers);
	if (!leaver)
		return -ENOMEM;
	*leaver = (struct fl_leaver){ .service = service, .endpoint = endpoint };
	return 0;
}

void fl_leavers_forget(fl_leavers *leavers, uint32_t endpoint)
{
	struct fl_leaver *leaver = find(leavers, endpoint);

	if (leaver)
		*leaver = leavers->items[--leavers->count];
}

void fl_leavers_tick(
	fl_leavers *leavers, const struct fl_maps *maps, uint32_t now_s, struct fl_writes *writes)
{
	for (size_t i = leavers->count; i-- > 0;) {
		struct fl_leaver *leaver = &leavers->items[i];

		if (any_has_before(maps, leaver->service, leaver->endpoint))
			continue;
		writes->endpoints +=
			fl_endpoint_row_set_state(maps, leaver->endpoint, FL_DRAINING, now_s);
		*leaver = leavers->items[--leavers->count];
	}
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "registry/consul/wanted.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int by_id(const void *a, const void *b)
{
	return strcmp(((const struct fl_consul_wanted *)a)->instance.id,
		((const struct fl_consul_wanted *)b)->instance.id);
}

struct fl_consul_wanted *fl_consul_wanted_find(const fl_consul_wanted_vec *list, const char *id)
{
	struct fl_consul_wanted key = { 0 };

	if (!list->count || strlen(id) >= sizeof(key.instance.id))
		return NULL;
	strcpy(key.instance.id, id);
	return bsearch(&key, list->items, list->count, sizeof(key), by_id);
}

void fl_consul_wanted_done(fl_consul_wanted_vec *list)
{
	for (size_t i = 0; i < list->count; i++)
		fl_consul_instance_done(&list->items[i].instance);
	fl_vec_done(list);
}

static void keep_known(struct fl_consul_wanted *wanted, const fl_consul_wanted_vec *before)
{
	const struct fl_consul_wanted *old = fl_consul_wanted_find(before, wanted->instance.id);

	if (!old)
		return;
	wanted->told = old->told;
	wanted->is_maintained = old->is_maintained;
	wanted->is_in_place =
		old->is_in_place && strcmp(old->instance.hash, wanted->instance.hash) == 0;
}

static int add_service(const struct fl_service *service, const struct fl_consul_registering *how,
	struct fl_problems *problems, fl_consul_wanted_vec *list)
{
	for (size_t i = 0; i < service->endpoint_count; i++) {
		struct fl_consul_wanted *wanted = fl_vec_push(list);
		int r = wanted ? fl_consul_instance_make(service, &service->endpoints[i], how,
					 problems, &wanted->instance)
			       : -ENOMEM;

		if (r < 0)
			return r;
		/* What its check says is not known: anything but the verdict. */
		wanted->told = wanted->instance.status == FL_CONSUL_PASSING ? FL_CONSUL_CRITICAL
									    : FL_CONSUL_PASSING;
	}
	return 0;
}

static bool is_ours(const struct fl_service *service, const char *registry)
{
	const char *wanted = service->registration.registry;

	return wanted && strcmp(wanted, registry) == 0 && strcmp(service->registry, registry) != 0;
}

int fl_consul_wanted_make(const struct fl_snapshot *snapshot, const char *registry,
	const struct fl_consul_registering *how, const fl_consul_wanted_vec *before,
	struct fl_problems *problems, fl_consul_wanted_vec *ret)
{
	*ret = (fl_consul_wanted_vec){ 0 };
	for (size_t i = 0; snapshot && i < snapshot->service_count; i++) {
		if (!is_ours(snapshot->services[i], registry))
			continue;
		if (add_service(snapshot->services[i], how, problems, ret) < 0) {
			fl_consul_wanted_done(ret);
			return -ENOMEM;
		}
	}
	if (ret->count)
		qsort(ret->items, ret->count, sizeof(*ret->items), by_id);
	for (size_t i = 0; i < ret->count; i++)
		keep_known(&ret->items[i], before);
	return 0;
}

bool fl_consul_wanted_equal(const fl_consul_wanted_vec *a, const fl_consul_wanted_vec *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++) {
		const struct fl_consul_instance *x = &a->items[i].instance;
		const struct fl_consul_instance *y = &b->items[i].instance;

		if (strcmp(x->id, y->id) != 0 || strcmp(x->hash, y->hash) != 0 ||
			x->status != y->status)
			return false;
	}
	return true;
}

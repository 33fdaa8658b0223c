/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "model/plan.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/text.h"
#include "core/vec.h"

/*
 * Each changed service adds its steps to one list per kind; the lists end to
 * end, in the order of enum fl_step_kind, are the plan.
 */
struct builder {
	const struct fl_snapshot *applied, *desired;
	FL_VEC(struct fl_step) steps[FL_STEP_KINDS];
	bool out_of_memory;
	/* Frontends of the services of `desired` that changed, sorted; made when first
	 * asked for. */
	FL_VEC(const struct fl_frontend *) frontends;
	bool has_frontends;
};

static void add(struct builder *builder, struct fl_step step)
{
	struct fl_step *place = fl_vec_push(&builder->steps[step.kind]);

	if (place)
		*place = step;
	else
		builder->out_of_memory = true;
}

static void add_endpoint(struct builder *builder, enum fl_step_kind kind,
	const struct fl_service *service, const struct fl_endpoint *endpoint)
{
	add(builder, (struct fl_step){ .kind = kind, .service = service, .endpoint = endpoint });
}

static void add_frontend(struct builder *builder, enum fl_step_kind kind,
	const struct fl_service *service, const struct fl_frontend *frontend)
{
	add(builder, (struct fl_step){ .kind = kind, .service = service, .frontend = frontend });
}

/* ------------------------------------------------------------- frontends */

static int compare_frontends(const struct fl_frontend *a, const struct fl_frontend *b)
{
	int order = fl_ip_compare(&a->addr, &b->addr);

	if (order == 0)
		order = (a->port > b->port) - (a->port < b->port);
	if (order == 0)
		order = (a->proto > b->proto) - (a->proto < b->proto);
	return order;
}

static int compare_frontend_pointers(const void *a, const void *b)
{
	return compare_frontends(
		*(const struct fl_frontend *const *)a, *(const struct fl_frontend *const *)b);
}

static bool service_has_frontend(
	const struct fl_service *service, const struct fl_frontend *frontend)
{
	for (size_t i = 0; service && i < service->frontend_count; i++) {
		if (compare_frontends(&service->frontends[i], frontend) == 0)
			return true;
	}
	return false;
}

/* A service that did not change has no frontend that another one had. */
static void collect_changed_frontends(struct builder *builder)
{
	struct fl_snapshot_change change = { 0 };

	while (fl_snapshot_next_change(builder->applied, builder->desired, &change)) {
		const struct fl_service *service = change.new;

		for (size_t i = 0; service && i < service->frontend_count; i++) {
			const struct fl_frontend **place = fl_vec_push(&builder->frontends);

			if (place)
				*place = &service->frontends[i];
			else
				builder->out_of_memory = true;
		}
	}
	if (builder->frontends.count)
		qsort(builder->frontends.items, builder->frontends.count,
			sizeof(*builder->frontends.items), compare_frontend_pointers);
	builder->has_frontends = true;
}

/** Whether any service of the new snapshot has it: then that one's step takes it over. */
static bool is_still_desired(struct builder *builder, const struct fl_frontend *frontend)
{
	if (!builder->has_frontends)
		collect_changed_frontends(builder);
	return builder->frontends.count &&
	       bsearch(&frontend, builder->frontends.items, builder->frontends.count,
		       sizeof(*builder->frontends.items), compare_frontend_pointers);
}

static void diff_frontends(
	struct builder *builder, const struct fl_service *old, const struct fl_service *new)
{
	for (size_t i = 0; new && i < new->frontend_count; i++) {
		if (!service_has_frontend(old, &new->frontends[i]))
			add_frontend(builder, FL_STEP_FRONTEND, new, &new->frontends[i]);
	}
	for (size_t i = 0; old && i < old->frontend_count; i++) {
		if (!service_has_frontend(new, &old->frontends[i]) &&
			!is_still_desired(builder, &old->frontends[i]))
			add_frontend(builder, FL_STEP_FRONTEND_GONE, old, &old->frontends[i]);
	}
}

/* ------------------------------------------------------------- endpoints */

static int compare_endpoints(const struct fl_endpoint *a, const struct fl_endpoint *b)
{
	int order = fl_ip_compare(&a->addr, &b->addr);

	return order ? order : (a->port > b->port) - (a->port < b->port);
}

/** One endpoint before and after; either may be NULL. */
static void diff_endpoint(struct builder *builder, const struct fl_service *old_service,
	const struct fl_endpoint *old, const struct fl_service *new_service,
	const struct fl_endpoint *new)
{
	enum fl_state state;

	if (!new) {
		add_endpoint(builder, FL_STEP_ENDPOINT_GONE, old_service, old);
		return;
	}
	state = fl_endpoint_flow_state(new);
	if (old && fl_endpoint_flow_state(old) == state)
		return;
	if (!old || state == FL_UP)
		add_endpoint(builder, FL_STEP_ENDPOINT, new_service, new);
	if (state != FL_UP)
		add_endpoint(builder, FL_STEP_ENDPOINT_STATE, new_service, new);
}

/** Both lists are sorted alike, so one walk along both pairs them. */
static void diff_endpoints(
	struct builder *builder, const struct fl_service *old, const struct fl_service *new)
{
	size_t olds = old ? old->endpoint_count : 0, news = new ? new->endpoint_count : 0;
	size_t i = 0, j = 0;

	while (i < olds || j < news) {
		const struct fl_endpoint *a = i < olds ? &old->endpoints[i] : NULL;
		const struct fl_endpoint *b = j < news ? &new->endpoints[j] : NULL;
		int order = !a ? 1 : !b ? -1 : compare_endpoints(a, b);

		diff_endpoint(builder, old, order <= 0 ? a : NULL, new, order >= 0 ? b : NULL);
		i += order <= 0;
		j += order >= 0;
	}
}

/* ---------------------------------------------------------------- tables */

static const struct fl_endpoint *next_usable(
	const struct fl_service *service, enum fl_family family, size_t *i)
{
	while (*i < service->endpoint_count) {
		const struct fl_endpoint *endpoint = &service->endpoints[(*i)++];

		if (fl_service_uses(service, family, endpoint))
			return endpoint;
	}
	return NULL;
}

typedef bool (*alike)(const struct fl_endpoint *a, const struct fl_endpoint *b);

/** Whether both have the same endpoints for `family`, in all that matters to `is_alike`. */
static bool same_usable(const struct fl_service *old, const struct fl_service *new,
	enum fl_family family, alike is_alike)
{
	size_t i = 0, j = 0;

	for (;;) {
		const struct fl_endpoint *a = next_usable(old, family, &i);
		const struct fl_endpoint *b = next_usable(new, family, &j);

		if (!a || !b)
			return a == b;
		if (compare_endpoints(a, b) != 0 || !is_alike(a, b))
			return false;
	}
}

static bool take_alike(const struct fl_endpoint *a, const struct fl_endpoint *b)
{
	return fl_endpoint_share(a) == fl_endpoint_share(b) && a->weight == b->weight &&
	       a->state == b->state;
}

static bool take_alike_there(const struct fl_endpoint *a, const struct fl_endpoint *b)
{
	return take_alike(a, b) && fl_text_is_same(a->zone, b->zone) &&
	       fl_text_is_same(a->node, b->node);
}

/** Whether both would fill a table of `family` with the same slots. */
static bool same_table(
	const struct fl_service *old, const struct fl_service *new, enum fl_family family)
{
	/* nat keeps its slots settled, the other modes let them move: a change
	 * between them has to see to the marks. */
	return fl_service_has_family(old, family) && old->panic_percent == new->panic_percent &&
	       (old->forward == FL_NAT) == (new->forward == FL_NAT) &&
	       fl_service_table_size(old, family) == fl_service_table_size(new, family) &&
	       same_usable(old, new, family, take_alike);
}

/** Whether the node path would choose alike, from the same endpoints. */
static bool same_pool(
	const struct fl_service *old, const struct fl_service *new, enum fl_family family)
{
	return fl_service_has_family(old, family) && fl_service_chooses_alike(old, new) &&
	       same_usable(old, new, family,
		       new->locality == FL_LOCALITY_OFF ? take_alike : take_alike_there);
}

static void diff_family(struct builder *builder, const struct fl_service *old,
	const struct fl_service *new, enum fl_family family)
{
	struct fl_step step = { .service = new, .family = family };

	if (!fl_service_has_family(new, family)) {
		step.kind = FL_STEP_TABLE_GONE;
		if (old && fl_service_has_family(old, family))
			add(builder, step);
		return;
	}
	step.kind = FL_STEP_TABLE;
	if (!old || !same_table(old, new, family))
		add(builder, step);
	step.kind = FL_STEP_POOL;
	if (!old || !same_pool(old, new, family))
		add(builder, step);
}

static void diff_tables(
	struct builder *builder, const struct fl_service *old, const struct fl_service *new)
{
	for (int family = 0; family < FL_FAMILIES; family++)
		diff_family(builder, old, new, (enum fl_family)family);
}

/* -------------------------------------------------------------- services */

/** What the packet path reads in the row, tables aside. */
static bool same_row(const struct fl_service *old, const struct fl_service *new)
{
	return old->forward == new->forward && old->udp == new->udp;
}

/** One service before and after; either may be NULL. */
static void diff_service(
	struct builder *builder, const struct fl_service *old, const struct fl_service *new)
{
	if (old && new && fl_service_equal(old, new))
		return;
	diff_endpoints(builder, old, new);
	diff_frontends(builder, old, new);
	if (!new) {
		add(builder, (struct fl_step){ .kind = FL_STEP_SERVICE_GONE, .service = old });
		return;
	}
	diff_tables(builder, old, new);
	if (!old || !same_row(old, new))
		add(builder, (struct fl_step){ .kind = FL_STEP_SERVICE, .service = new });
}

static int join(const struct builder *builder, struct fl_plan *ret)
{
	struct fl_plan plan = { 0 };
	size_t total = 0;

	for (int kind = 0; kind < FL_STEP_KINDS; kind++)
		total += builder->steps[kind].count;
	plan.steps = calloc(total + 1, sizeof(*plan.steps));
	if (!plan.steps)
		return -ENOMEM;
	for (int kind = 0; kind < FL_STEP_KINDS; kind++) {
		size_t count = builder->steps[kind].count;

		if (count > 0)
			memcpy(&plan.steps[plan.count], builder->steps[kind].items,
				count * sizeof(*plan.steps));
		plan.count += count;
	}
	*ret = plan;
	return 0;
}

int fl_plan_diff(
	const struct fl_snapshot *applied, const struct fl_snapshot *desired, struct fl_plan *ret)
{
	struct builder builder = { .applied = applied, .desired = desired };
	struct fl_snapshot_change change = { 0 };
	int r;

	assert(desired);
	assert(ret);

	while (fl_snapshot_next_change(applied, desired, &change))
		diff_service(&builder, change.old, change.new);
	r = builder.out_of_memory ? -ENOMEM : join(&builder, ret);
	for (int kind = 0; kind < FL_STEP_KINDS; kind++)
		fl_vec_done(&builder.steps[kind]);
	fl_vec_done(&builder.frontends);
	return r;
}

void fl_plan_done(struct fl_plan *plan)
{
	free(plan->steps);
	*plan = (struct fl_plan){ 0 };
}

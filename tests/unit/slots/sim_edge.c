/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "unit/slots/sim_edge.h"

#include <stddef.h>

#undef FL_PINS_MAX
#define FL_PINS_MAX SIM_PINS

#include "fairlead/hash.h"
#include "fairlead/slot.h"

/** One packet on its way. */
struct way {
	struct sim_edge *edge;
	const struct sim_tuple *tuple;
	uint32_t id; /**< of the tuple */
	uint32_t second;
	fl_slot *slot;
	struct fl_slot_query query;
	struct sim_pins *place; /**< where the pin was found */
	struct sim_answer answer;
};

/* ---------------------------------------------------------------------- pins */

static struct fl_pin *find(struct sim_edge *edge, struct sim_pins *pins, uint32_t tuple)
{
	if (!pins->used[tuple])
		return NULL;
	pins->used[tuple] = ++edge->uses;
	return &pins->pin[tuple];
}

void sim_pins_delete(struct sim_pins *pins, uint32_t tuple)
{
	pins->count -= pins->used[tuple] != 0;
	pins->used[tuple] = 0;
}

static void insert(struct way *w, struct sim_pins *pins, const struct fl_pin *pin)
{
	pins->count += pins->used[w->id] == 0;
	pins->pin[w->id] = *pin;
	pins->used[w->id] = ++w->edge->uses;
}

static void evict_oldest(struct sim_edge *edge)
{
	uint32_t oldest = 0, used = UINT32_MAX;

	for (uint32_t i = 0; i < SIM_TUPLES; i++) {
		if (edge->opening.used[i] && edge->opening.used[i] < used) {
			oldest = i;
			used = edge->opening.used[i];
		}
	}
	edge->lost[oldest] = true;
	edge->counts.evicted++;
	sim_pins_delete(&edge->opening, oldest);
}

static void fill(const struct way *w, struct fl_pin *pin, bool old)
{
	fl_pin_init(pin, w->answer.endpoint, w->tuple->service, w->tuple->hash, FL_IPV4, old,
		w->query.packet, w->second);
}

/* -------------------------------------------------------------------- actions */

static void lose(struct way *w)
{
	struct sim_edge *edge = w->edge;

	w->answer.unpinned = true;
	edge->pressure.refused++;
	if (!fl_slot_must_postpone(w->query.slot, w->second) || edge->flaw == SIM_LOSS_UNWRITTEN)
		return;
	*w->slot = fl_slot_postponed(w->query.slot, w->second);
	edge->pressure.postponed++;
}

static void forgo(struct way *w)
{
	w->answer.unpinned = w->answer.forgone = true;
	w->edge->pressure.refused++;
}

static void refuse(struct way *w)
{
	struct fl_slot_answer answer = fl_slot_refuse(&w->query);

	w->answer.endpoint = answer.endpoint;
	if (answer.action == FL_PIN_LOSE)
		lose(w);
	else
		forgo(w);
}

/** An LRU map refuses an insert now and then, when all its free cells are elsewhere. */
static void pin_opening(struct way *w)
{
	struct fl_pin pin;

	fill(w, &pin, false);
	if (sim_happens(&w->edge->random, 2000)) {
		w->edge->pressure.failed = w->second;
		refuse(w);
		return;
	}
	if (w->edge->opening.count == SIM_OPENING)
		evict_oldest(w->edge);
	insert(w, &w->edge->opening, &pin);
	fl_pressure_count(&w->edge->pressure, w->second);
}

static void pin_old(struct way *w)
{
	struct fl_pin pin;

	if (w->edge->flaw == SIM_OLD_UNPINNED)
		return;
	if (w->edge->pins.count == SIM_PINS) {
		w->edge->pressure.failed = w->second;
		refuse(w);
		return;
	}
	fill(w, &pin, true);
	insert(w, &w->edge->pins, &pin);
	w->edge->pressure.old_pins++;
	sim_pins_delete(&w->edge->opening, w->id);
}

static void promote(struct way *w, struct fl_pin *found)
{
	struct fl_pin pin;

	if (w->edge->pins.count == SIM_PINS) {
		w->edge->pressure.failed = w->second;
		fl_pin_touch(found, w->query.packet, w->second);
		lose(w);
		return;
	}
	fill(w, &pin, false);
	insert(w, &w->edge->pins, &pin);
	sim_pins_delete(&w->edge->opening, w->id);
	w->edge->counts.promoted++;
}

static void act(struct way *w, enum fl_pin_action action, struct fl_pin *found)
{
	switch (action) {
	case FL_PIN_NONE:
		break;
	case FL_PIN_TOUCH:
		fl_pin_touch(found, w->query.packet, w->second);
		break;
	case FL_PIN_PROMOTE:
		promote(w, found);
		break;
	case FL_PIN_REPLACE:
		fill(w, found, found->old);
		break;
	case FL_PIN_OPENING:
		pin_opening(w);
		break;
	case FL_PIN_OLD:
		pin_old(w);
		break;
	case FL_PIN_LOSE:
		lose(w);
		break;
	case FL_PIN_FORGO:
		forgo(w);
		break;
	}
}

/* --------------------------------------------------------------------- packet */

uint32_t sim_edge_size(fl_region region)
{
	static const uint32_t sizes[] = FL_SIZES;

	return region ? sizes[FL_REGION_CLASS(region)] : 0;
}

static fl_slot *find_slot(struct sim_edge *edge, fl_region region, uint32_t hash)
{
	return &edge->slots[FL_REGION_BASE(region) + fl_hash_slot(hash, sim_edge_size(region))];
}

static uint32_t find_before(const struct way *w)
{
	fl_region old = w->edge->old_region[w->tuple->service];

	if (!fl_slot_is_old(w->query.slot) || !old || w->edge->flaw == SIM_OLD_FORGOTTEN)
		return fl_slot_before(w->query.slot);
	return fl_slot_before(*find_slot(w->edge, old, w->tuple->hash));
}

static void decide(struct way *w)
{
	struct fl_slot_query *q = &w->query;
	struct sim_edge *edge = w->edge;
	struct fl_pin *found = find(edge, &edge->pins, w->id);
	struct fl_slot_answer answer;

	if (!found) {
		found = find(edge, &edge->opening, w->id);
		q->pin_is_opening = found != NULL;
	}
	q->before = find_before(w);
	q->now_state = edge->state[fl_slot_now(q->slot)];
	q->before_state = edge->state[q->before];
	q->pin_state = found ? edge->state[found->endpoint] : FL_DOWN;
	q->pressure = fl_pressure_is_high(&edge->pressure, w->second, SIM_OPENING / 2);
	q->old_room = fl_pressure_has_old_room(&edge->pressure);
	q->pin = found;
	answer = fl_slot_decide(q);
	w->answer.endpoint = answer.endpoint;
	w->answer.moving = true;
	act(w, answer.action, found);
}

struct sim_answer sim_edge_packet(struct sim_edge *edge, const struct sim_tuple *tuples,
	uint32_t tuple, int packet, uint32_t second)
{
	struct way w = {
		.edge = edge,
		.tuple = &tuples[tuple],
		.id = tuple,
		.second = second,
		.query = { .packet = (enum fl_packet)packet, .second = second },
	};

	w.slot = find_slot(edge, edge->region[w.tuple->service], w.tuple->hash);
	w.query.slot = *w.slot;
	w.answer.now = fl_slot_now(*w.slot);
	if (fl_slot_is_moving(*w.slot))
		decide(&w);
	else if (fl_state_takes_old(edge->state[w.answer.now]))
		w.answer.endpoint = w.answer.now;
	return w.answer;
}

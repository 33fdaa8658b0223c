/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <criterion/criterion.h>

#include "fairlead/slot.h"
#include "unit/slots/sim_agent.h"

/*
 * The agent's sweep, in steps: it begins, reads a quarter of a table of pins at a
 * time, settles slots, and gives numbers free that nothing holds.
 */

static void free_numbers(struct sim_agent *agent)
{
	for (uint32_t s = 0; s < SIM_SERVICES; s++) {
		for (uint32_t a = 0; a < SIM_ADDRESSES; a++) {
			uint32_t id = agent->id[s][a];
			uint32_t since = agent->resting_since[id];

			if (!since || (int32_t)(agent->sweep_begun - since) < FL_GRACE_S ||
				!fl_settle_is_unused(agent->settle, id))
				continue;
			agent->id[s][a] = 0;
			agent->resting_since[id] = 0;
			agent->counts.reused++;
		}
	}
}

static void note_slots(struct sim_agent *agent, fl_region region)
{
	for (uint32_t i = 0; i < sim_edge_size(region); i++) {
		fl_slot slot = sim_agent_slots(agent, region)[i];

		fl_settle_note(agent->settle, fl_slot_now(slot));
		fl_settle_note(agent->settle, fl_slot_before(slot));
	}
}

static void begin_sweep(struct sim_agent *agent, uint32_t second)
{
	if (!fl_settle_may_begin(agent->settle, second) ||
		(int32_t)(second - agent->sweep_begun) < 5)
		return;
	cr_assert_eq(fl_settle_begin(agent->settle, second), 0);
	for (uint32_t s = 0; s < SIM_SERVICES; s++) {
		note_slots(agent, agent->edge->region[s]);
		note_slots(agent, agent->edge->old_region[s]);
	}
	agent->sweep_begun = second;
	agent->sweep_cursor = agent->swept_old_pins = 0;
	agent->sweep = SWEEP_OPENING;
}

static struct fl_slot_table table_of(const struct sim_agent *agent, uint32_t service)
{
	uint32_t part = agent->edge->flaw == SIM_SWEEP_EAGER ? 2 : 1;
	fl_region region = agent->edge->region[service];

	return (struct fl_slot_table){ .slots = sim_agent_slots(agent, region),
		.size = sim_edge_size(region),
		.base = FL_REGION_BASE(region),
		.keep_tcp_s = SIM_TCP_S / part,
		.keep_udp_s = SIM_UDP_S / part,
		.silence_s = SIM_TCP_S };
}

static void sweep_pin(
	struct sim_agent *agent, struct sim_pins *pins, uint32_t tuple, uint32_t second)
{
	const struct sim_tuple *t = &agent->tuples[tuple];
	struct fl_slot_table table = table_of(agent, t->service);
	const struct fl_pin *pin = &pins->pin[tuple];

	if (!fl_settle_pin(agent->settle, &table, pin, t->proto,
		    agent->resting_since[pin->endpoint] != 0, second)) {
		agent->swept_old_pins += pins == &agent->edge->pins && pin->old;
		return;
	}
	sim_pins_delete(pins, tuple);
	agent->counts.freed++;
}

static void end_sweep(struct sim_agent *agent)
{
	struct fl_slot_tally tally = { 0 };

	for (uint32_t s = 0; s < SIM_SERVICES; s++) {
		struct fl_slot_table table = table_of(agent, s);

		fl_settle_table(agent->settle, &table, &tally);
	}
	agent->edge->pressure.old_pins = agent->swept_old_pins;
	agent->counts.settled += tally.settled;
	agent->counts.sweeps++;
	fl_settle_end(agent->settle);
	free_numbers(agent);
	agent->sweep = SWEEP_REST;
}

void sim_agent_sweep(struct sim_agent *agent, uint32_t second)
{
	struct sim_pins *pins =
		agent->sweep == SWEEP_OPENING ? &agent->edge->opening : &agent->edge->pins;
	uint32_t end = agent->sweep_cursor + SIM_TUPLES / 4;

	if (!agent->alive)
		return;
	if (agent->sweep == SWEEP_REST) {
		begin_sweep(agent, second);
		return;
	}
	if (agent->sweep == SWEEP_TABLES) {
		end_sweep(agent);
		return;
	}
	for (; agent->sweep_cursor < end; agent->sweep_cursor++) {
		if (pins->used[agent->sweep_cursor] &&
			!(agent->sweep == SWEEP_OPENING && agent->edge->flaw == SIM_SWEEP_BLIND))
			sweep_pin(agent, pins, agent->sweep_cursor, second);
	}
	if (agent->sweep_cursor == SIM_TUPLES) {
		agent->sweep_cursor = 0;
		agent->sweep++;
	}
}

bool sim_agent_is_at_rest(const struct sim_agent *agent)
{
	for (uint32_t s = 0; s < SIM_SERVICES; s++) {
		fl_region region = agent->edge->region[s];

		if (agent->edge->old_region[s])
			return false;
		for (uint32_t i = 0; i < sim_edge_size(region); i++) {
			if (fl_slot_is_moving(sim_agent_slots(agent, region)[i]))
				return false;
		}
	}
	for (uint32_t id = 1; id <= SIM_ENDPOINTS; id++) {
		if (agent->resting_since[id] || agent->leaving[id])
			return false;
	}
	return agent->edge->pins.count == 0 && agent->edge->opening.count == 0;
}

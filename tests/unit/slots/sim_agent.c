/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "unit/slots/sim_agent.h"

#include <criterion/criterion.h>
#include <string.h>

#include "balance/maglev.h"
#include "fairlead/slot.h"

#define SLOTS_A_STEP 100

fl_slot *sim_agent_slots(const struct sim_agent *agent, fl_region region)
{
	return &agent->edge->slots[FL_REGION_BASE(region)];
}

/* --------------------------------------------------------------------- numbers */

static uint32_t free_number(const struct sim_agent *agent)
{
	bool taken[SIM_ENDPOINTS + 1] = { true };

	for (uint32_t s = 0; s < SIM_SERVICES; s++) {
		for (uint32_t a = 0; a < SIM_ADDRESSES; a++)
			taken[agent->id[s][a]] = true;
	}
	for (uint32_t id = 1; id <= SIM_ENDPOINTS; id++) {
		if (!taken[id])
			return id;
	}
	return 0;
}

/** An address keeps its number while that rests, and gets it back. */
static uint32_t number(struct sim_agent *agent, uint32_t service, uint32_t address)
{
	uint32_t *id = &agent->id[service][address];

	if (*id == 0)
		*id = free_number(agent);
	agent->resting_since[*id] = 0;
	return *id;
}

/* ---------------------------------------------------------------------- tables */

static bool is_before(const struct sim_agent *agent, fl_region region, uint32_t id)
{
	for (uint32_t i = 0; i < sim_edge_size(region); i++) {
		if (fl_slot_before(sim_agent_slots(agent, region)[i]) == id)
			return true;
	}
	return false;
}

static bool must_wait(const struct sim_agent *agent, uint32_t service, uint32_t id)
{
	return service == FL_UDP_KEEP &&
	       (is_before(agent, agent->edge->region[service], id) ||
		       is_before(agent, agent->edge->old_region[service], id));
}

/** The smallest of the ladder for the declared ones, whatever their state. */
static int class_of(const struct sim_member *members)
{
	static const uint32_t sizes[] = FL_SIZES;
	uint32_t count = 0;
	int class = 0;

	for (uint32_t a = 0; a < SIM_ADDRESSES; a++)
		count += members[a].exists;
	while (sizes[class] < 100 * count)
		class ++;
	return class;
}

static void build(struct sim_agent *agent)
{
	struct fl_maglev_entry entries[SIM_ADDRESSES];
	struct sim_job *job = &agent->job;
	size_t count = 0;

	for (uint32_t a = 0; a < SIM_ADDRESSES; a++) {
		const struct sim_member *m = &job->members[a];

		if (!m->exists || m->wants != FL_UP)
			continue;
		entries[count++] = (struct fl_maglev_entry){
			.addr = fl_ip_from_ipv4((__be32)(0x0a | job->service << 8 | a << 24)),
			.port = 80,
			.weight = m->weight,
			.id = agent->id[job->service][a],
		};
	}
	cr_assert_eq(fl_maglev_build(entries, count, sim_edge_size(job->region), job->table), 0);
}

/** Another size gets another place, if there is room and no other change of size. */
static void choose_place(struct sim_agent *agent)
{
	struct sim_job *job = &agent->job;
	fl_region now = agent->edge->region[job->service];
	int class = class_of(job->members);
	fl_region wanted = FL_REGION(0, class, 0);
	uint32_t base;

	job->region = now;
	if (now && FL_REGION_CLASS(now) == class)
		return;
	if (agent->edge->old_region[job->service] ||
		fl_regions_take(agent->regions, sim_edge_size(wanted), &base) < 0)
		agent->waits[job->service] = true;
	else
		job->region = FL_REGION(base, class, ++agent->generation);
}

static void swing_over(struct sim_agent *agent)
{
	struct sim_job *job = &agent->job;
	fl_region *now = &agent->edge->region[job->service];

	agent->counts.resizes += *now != 0;
	agent->edge->old_region[job->service] = *now;
	*now = job->region;
}

/** A table of another size is written at one go: its slots begin to wait when it takes
 * over. @return whether that was the last of them */
static bool write_slots(struct sim_agent *agent, uint32_t second)
{
	struct sim_job *job = &agent->job;
	fl_region now = agent->edge->region[job->service];
	fl_slot *slots = sim_agent_slots(agent, job->region);
	uint32_t size = sim_edge_size(job->region);
	uint32_t end = job->region == now ? job->cursor + SLOTS_A_STEP : size;

	for (; job->cursor < size && job->cursor < end; job->cursor++) {
		uint32_t id = job->table[job->cursor];

		if (job->region == now)
			fl_settle_change(&slots[job->cursor], id, second);
		else
			slots[job->cursor] =
				now ? fl_slot_resized(id, second) : fl_slot_settled(id);
	}
	if (job->cursor < size)
		return false;
	if (job->region != now)
		swing_over(agent);
	return true;
}

/* --------------------------------------------------------------------- changes */

static void begin_job(struct sim_agent *agent)
{
	struct sim_job *job = &agent->job;

	for (uint32_t s = 0; s < SIM_SERVICES && job->stage == JOB_NONE; s++) {
		if (!agent->dirty[s])
			continue;
		agent->dirty[s] = agent->waits[s] = false;
		job->service = s;
		job->cursor = 0;
		memcpy(job->members, agent->declared[s], sizeof(job->members));
		job->stage = JOB_UP;
	}
}

/** First those who come. */
static void raise_states(struct sim_agent *agent)
{
	struct sim_job *job = &agent->job;

	for (uint32_t a = 0; a < SIM_ADDRESSES; a++) {
		uint32_t id;

		if (!job->members[a].exists)
			continue;
		id = number(agent, job->service, a);
		if (job->members[a].wants == FL_UP) {
			agent->edge->state[id] = FL_UP;
			agent->leaving[id] = false;
		}
	}
	choose_place(agent);
	build(agent);
}

static void remove_member(struct sim_agent *agent, uint32_t id, uint32_t second)
{
	agent->edge->state[id] = FL_DOWN;
	agent->leaving[id] = false;
	if (agent->resting_since[id])
		return;
	agent->resting_since[id] = second;
	agent->incarnation[id]++;
}

/** Last those who leave: no slot sends new flows to them any more. */
static void lower_states(struct sim_agent *agent, uint32_t second)
{
	struct sim_job *job = &agent->job;

	for (uint32_t a = 0; a < SIM_ADDRESSES; a++) {
		uint32_t id = agent->id[job->service][a];

		if (id && !job->members[a].exists) {
			remove_member(agent, id, second);
		} else if (id && job->members[a].wants == FL_DOWN) {
			agent->edge->state[id] = FL_DOWN;
			agent->leaving[id] = false;
		} else if (id && job->members[a].wants == FL_DRAINING) {
			agent->leaving[id] = must_wait(agent, job->service, id);
			agent->edge->state[id] = agent->leaving[id] ? FL_UP : FL_DRAINING;
		}
	}
}

void sim_agent_step(struct sim_agent *agent, uint32_t second)
{
	struct sim_job *job = &agent->job;

	if (!agent->alive)
		return;
	switch (job->stage) {
	case JOB_NONE:
		begin_job(agent);
		break;
	case JOB_UP:
		raise_states(agent);
		if (agent->edge->flaw == SIM_STATE_FIRST)
			lower_states(agent, second);
		job->stage = JOB_SLOTS;
		break;
	case JOB_SLOTS:
		if (write_slots(agent, second))
			job->stage = JOB_STATES;
		break;
	case JOB_STATES:
		lower_states(agent, second);
		agent->counts.jobs++;
		job->stage = JOB_NONE;
		break;
	}
}

void sim_agent_tick(struct sim_agent *agent, uint32_t second)
{
	if (!agent->alive)
		return;
	fl_settle_tick(agent->settle, second);
	fl_regions_rest(agent->regions, second);
	for (uint32_t s = 0; s < SIM_SERVICES; s++) {
		fl_region *old = &agent->edge->old_region[s], region = agent->edge->region[s];
		struct fl_slot_table table = { .slots = sim_agent_slots(agent, region),
			.size = sim_edge_size(region),
			.silence_s = SIM_TCP_S };
		struct fl_slot_tally tally = { 0 };

		fl_settle_hold(&table, second, &tally);
		agent->counts.held += tally.held;
		if (*old && tally.old == 0) {
			fl_regions_give(agent->regions, FL_REGION_BASE(*old), second);
			*old = 0;
		}
		if (agent->waits[s] && !*old)
			agent->dirty[s] = true;
		for (uint32_t a = 0; a < SIM_ADDRESSES; a++) {
			uint32_t id = agent->id[s][a];

			if (agent->leaving[id] && !must_wait(agent, s, id)) {
				agent->edge->state[id] = FL_DRAINING;
				agent->leaving[id] = false;
			}
		}
	}
}

/* ---------------------------------------------------------------- life and death */

void sim_agent_start(struct sim_agent *agent, uint32_t second)
{
	agent->regions = fl_regions_new(SIM_SLOTS);
	agent->settle = fl_settle_new(SIM_SLOTS, SIM_ENDPOINTS);
	cr_assert(agent->regions && agent->settle);
	for (uint32_t s = 0; s < SIM_SERVICES; s++) {
		fl_region regions[] = { agent->edge->region[s], agent->edge->old_region[s] };

		for (uint32_t i = 0; i < 2; i++) {
			if (regions[i])
				cr_assert_eq(
					fl_regions_adopt(agent->regions, FL_REGION_BASE(regions[i]),
						sim_edge_size(regions[i])),
					0);
		}
		agent->dirty[s] = true;
	}
	for (uint32_t id = 1; id <= SIM_ENDPOINTS; id++) {
		if (agent->resting_since[id])
			agent->resting_since[id] = second;
	}
	agent->alive = true;
}

void sim_agent_kill(struct sim_agent *agent)
{
	if (!agent->alive)
		return;
	fl_regions_free(agent->regions);
	fl_settle_free(agent->settle);
	agent->regions = NULL;
	agent->settle = NULL;
	memset(agent->leaving, 0, sizeof(agent->leaving));
	agent->job.stage = JOB_NONE;
	agent->sweep = SWEEP_REST;
	agent->alive = false;
	agent->counts.deaths++;
}

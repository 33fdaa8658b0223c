/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <criterion/criterion.h>
#include <criterion/logging.h>
#include <criterion/parameterized.h>
#include <stdio.h>
#include <stdlib.h>

#include "fairlead/slot.h"
#include "unit/slots/sim_flows.h"

/*
 * Random traces of changes and traffic over whole tables: no live flow may move,
 * but for what is exempt, which is counted by name. What fails, fails again with
 * the seed that is printed:
 *
 *   FAIRLEAD_SEED=1234 build/tests/unit-tests --filter 'slots/a_seed*'
 *   FAIRLEAD_SEED=1 FAIRLEAD_SEEDS=1000 …     soaks seeds 1 … 1000
 */
#define BEGINS_S 1000
#define LASTS_S  2000
#define REST_S   (6 * SIM_TCP_S)

/** Everything of one trace. */
struct trace {
	struct sim_edge edge;
	struct sim_agent agent;
	struct sim_flows flows;
	struct sim_tuple tuples[SIM_TUPLES];
	uint64_t random;
	uint32_t busy_until, calm_until, flood_until, dead_until;
};

/* --------------------------------------------------------------------- changes */

static void change_member(struct trace *t, struct sim_member *m)
{
	switch (sim_random(&t->random, 8)) {
	case 0:
		*m = (struct sim_member){ .exists = !m->exists, .weight = 1, .wants = FL_UP };
		break;
	case 1:
		m->weight = (uint8_t)sim_random(&t->random, 4);
		break;
	case 2:
	case 3:
		m->wants = FL_DRAINING;
		break;
	case 4:
		m->wants = FL_DOWN;
		break;
	default:
		m->wants = FL_UP;
	}
}

/** Now and then all at once; else one. The table may have to change its size. */
static void change(struct trace *t)
{
	uint32_t s = sim_random(&t->random, SIM_SERVICES);
	struct sim_member *members = t->agent.declared[s];
	uint32_t among = 1 + sim_random(&t->random, sim_happens(&t->random, 3) ? 12 : 4);

	if (sim_happens(&t->random, 30)) {
		for (uint32_t a = 0; a < SIM_ADDRESSES; a++)
			members[a].wants = sim_happens(&t->random, 2) ? FL_UP : FL_DOWN;
	} else if (sim_happens(&t->random, 12)) {
		uint32_t count = 1 + sim_random(&t->random, 12);

		for (uint32_t a = 0; a < SIM_ADDRESSES; a++)
			members[a] = (struct sim_member){ a < count, 1, FL_UP };
	} else {
		change_member(t, &members[sim_random(&t->random, among)]);
	}
	t->agent.dirty[s] = true;
}

/** Busy and calm times take turns: in the one slots move, in the other they settle. */
static void changes(struct trace *t, uint32_t second)
{
	if (second >= t->calm_until) {
		t->busy_until = second + 20 + sim_random(&t->random, 150);
		t->calm_until = t->busy_until + 30 + sim_random(&t->random, 4 * SIM_TCP_S);
	}
	if (second < t->busy_until && sim_happens(&t->random, 4))
		change(t);
}

static void deaths(struct trace *t, uint32_t second)
{
	if (t->agent.alive && sim_happens(&t->random, 150)) {
		sim_agent_kill(&t->agent);
		t->dead_until = second + sim_random(&t->random, 20);
	} else if (!t->agent.alive && second >= t->dead_until) {
		sim_agent_start(&t->agent, second);
	}
}

/** SYN, ACK and SYN+ACK, from everywhere. */
static void flood(struct trace *t, uint32_t second)
{
	if (second >= t->flood_until + 200 && sim_happens(&t->random, 100))
		t->flood_until = second + 10 + sim_random(&t->random, 60);
	for (uint32_t i = 0; second < t->flood_until && i < 150; i++) {
		uint32_t tuple = SIM_CLIENTS + sim_random(&t->random, SIM_TUPLES - SIM_CLIENTS);

		sim_edge_packet(&t->edge, t->tuples, tuple,
			sim_happens(&t->random, 3) ? FL_PACKET_DATA : FL_PACKET_OPEN, second);
	}
}

/* ----------------------------------------------------------------------- trace */

static struct trace *begin(uint64_t seed, enum sim_flaw flaw)
{
	struct trace *t = calloc(1, sizeof(*t));

	cr_assert_not_null(t);
	t->random = seed * 0x2545f4914f6cdd1dull;
	t->edge.random = t->random + 1;
	t->edge.flaw = flaw;
	t->agent.edge = &t->edge;
	t->agent.tuples = t->tuples;
	t->flows.edge = &t->edge;
	t->flows.agent = &t->agent;
	t->flows.tuples = t->tuples;
	t->flows.random = t->random + 2;
	for (uint32_t i = 0; i < SIM_TUPLES; i++)
		t->tuples[i] = sim_flows_tuple(i, &t->random);
	for (uint32_t i = 0; i < SIM_CLIENTS; i++)
		t->flows.flow[i].next = BEGINS_S + sim_random(&t->random, 300);
	for (uint32_t s = 0; s < SIM_SERVICES; s++) {
		for (uint32_t a = 0; a < 3; a++)
			t->agent.declared[s][a] = (struct sim_member){ true, 1, FL_UP };
	}
	sim_agent_start(&t->agent, BEGINS_S);
	while (t->agent.counts.jobs < SIM_SERVICES)
		sim_agent_step(&t->agent, BEGINS_S);
	return t;
}

/** One second: steps of the agent between packets of clients. */
static void pass(struct trace *t, uint32_t second)
{
	sim_agent_tick(&t->agent, second);
	for (uint32_t i = 0; i < 4; i++) {
		sim_agent_step(&t->agent, second);
		sim_flows_tick(&t->flows, second, i, 4);
		sim_agent_sweep(&t->agent, second);
	}
}

static bool rests(struct trace *t, uint32_t second)
{
	if (!t->agent.alive)
		sim_agent_start(&t->agent, second);
	for (uint32_t end = second + REST_S; second < end; second++) {
		sim_agent_tick(&t->agent, second);
		sim_agent_step(&t->agent, second);
		sim_agent_sweep(&t->agent, second);
	}
	return sim_agent_is_at_rest(&t->agent);
}

static void tell(const struct trace *t, uint64_t seed)
{
	static const char *const names[] = {
#define NAME(name, says) says,
		SIM_EXEMPTIONS(NAME)
	};

	cr_log_info("seed %llu: %u flows, %u packets, %u in marked slots; %u jobs, %u sizes, "
		    "%u sweeps, %u deaths, %u numbers reused; slots held %u, settled %u; pins "
		    "promoted %u, freed %u, evicted %u, refused %llu, slots postponed %llu; "
		    "flows ended by their endpoints %u\n",
		(unsigned long long)seed, t->flows.opened, t->flows.packets, t->flows.moving,
		t->agent.counts.jobs, t->agent.counts.resizes, t->agent.counts.sweeps,
		t->agent.counts.deaths, t->agent.counts.reused, t->agent.counts.held,
		t->agent.counts.settled, t->edge.counts.promoted, t->agent.counts.freed,
		t->edge.counts.evicted, (unsigned long long)t->edge.pressure.refused,
		(unsigned long long)t->edge.pressure.postponed, t->flows.ended);
	for (int i = 0; i < SIM_EXEMPTION_COUNT; i++)
		cr_log_info("    exempt: %5u %s\n", t->flows.exempt[i], names[i]);
}

/** @return a trace that was run to its end, or until something broke */
static struct trace *run(uint64_t seed, enum sim_flaw flaw)
{
	struct trace *t = begin(seed, flaw);
	uint32_t second = BEGINS_S;

	for (; second < BEGINS_S + LASTS_S && !t->flows.broken[0]; second++) {
		changes(t, second);
		deaths(t, second);
		flood(t, second);
		pass(t, second);
	}
	if (!t->flows.broken[0] && !rests(t, second))
		snprintf(t->flows.broken, sizeof(t->flows.broken),
			"slots, pins or numbers do not come to rest");
	return t;
}

static void end(struct trace *t)
{
	sim_agent_kill(&t->agent);
	free(t);
}

static struct trace *check_seed(uint64_t seed)
{
	struct trace *t = run(seed, SIM_FLAWLESS);

	tell(t, seed);
	cr_expect_str_empty(t->flows.broken, "FAIRLEAD_SEED=%llu: %s", (unsigned long long)seed,
		t->flows.broken);
	return t;
}

struct seed {
	uint64_t seed;
};

ParameterizedTestParameters(slots, random_traces)
{
	static struct seed rows[] = { { 1 }, { 2 }, { 3 }, { 4 } };

	return cr_make_param_array(struct seed, rows, sizeof(rows) / sizeof(rows[0]));
}

ParameterizedTest(struct seed *row, slots, random_traces)
{
	struct trace *t = check_seed(row->seed);

	/* A trace in which nothing happens shows nothing. */
	cr_expect(t->agent.counts.resizes && t->agent.counts.settled && t->agent.counts.deaths &&
			  t->agent.counts.reused && t->edge.counts.promoted &&
			  t->edge.pressure.postponed && t->edge.counts.evicted,
		"seed %llu is idle", (unsigned long long)row->seed);
	end(t);
}

Test(slots, a_seed_from_outside)
{
	const char *seed = getenv("FAIRLEAD_SEED"), *seeds = getenv("FAIRLEAD_SEEDS");
	uint64_t first = seed ? strtoull(seed, NULL, 10) : 7;
	uint64_t count = seeds ? strtoull(seeds, NULL, 10) : 1;

	for (uint64_t i = 0; i < count; i++)
		end(check_seed(first + i));
}

/* --------------------------------------------------------------- that it notices */

struct flaw {
	enum sim_flaw flaw;
	char name[40];
};

ParameterizedTestParameters(slots, random_traces_show_flaws)
{
	static struct flaw rows[] = {
		{ SIM_LOSS_UNWRITTEN, "losses are not written" },
		{ SIM_OLD_UNPINNED, "old flows are not pinned" },
		{ SIM_OLD_FORGOTTEN, "the old table is not asked" },
		{ SIM_STATE_FIRST, "states are lowered before slots change" },
		{ SIM_SWEEP_BLIND, "sweeps look at one table of pins" },
		{ SIM_SWEEP_EAGER, "sweeps delete pins too early" },
	};

	_Static_assert(sizeof(rows) / sizeof(rows[0]) == SIM_FLAWS - 1, "a flaw has no row");
	return cr_make_param_array(struct flaw, rows, sizeof(rows) / sizeof(rows[0]));
}

ParameterizedTest(struct flaw *row, slots, random_traces_show_flaws)
{
	struct trace *t = NULL;

	for (uint64_t seed = 1; seed <= 20; seed++) {
		t = run(seed, row->flaw);
		if (t->flows.broken[0])
			break;
		end(t);
		t = NULL;
	}
	cr_assert_not_null(t, "%s: nothing breaks", row->name);
	cr_log_info("%s: %s\n", row->name, t->flows.broken);
	end(t);
}

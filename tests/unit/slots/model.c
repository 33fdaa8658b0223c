/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <criterion/criterion.h>
#include <criterion/logging.h>
#include <criterion/parameterized.h>
#include <string.h>

#include "lib/sanitised.h"
#include "unit/slots/model.h"

/*
 * What holds in every order of events, and what breaks without each rule. Run
 * with --verbose to read the table of rules, each with the shortest story of what
 * happens without it.
 */

/* Far more than there are; under sanitisers the larger worlds are looked at only
 * so far. */
#define STATES_MAX (TEST_IS_SANITISED ? 300000 : 8000000)

struct world {
	char name[72];
	int silence; /**< W */
	unsigned world;
};

ParameterizedTestParameters(slots, every_order)
{
	static struct world rows[] = {
		{ "TCP, all but packets under way", 2,
			WORLD_CLOSE | WORLD_LOSS | WORLD_RESIZE | WORLD_RESTART | WORLD_IDS },
		{ "UDP, all", 2,
			WORLD_UDP | WORLD_RACE | WORLD_TWO | WORLD_LOSS | WORLD_RESIZE |
				WORLD_RESTART | WORLD_IDS },
		{ "UDP, long silence", 3, WORLD_UDP | WORLD_RESTART },
		{ "TCP to the end, long silence", 3, WORLD_CLOSE },
		{ "TCP to the end, packets under way", 2, WORLD_CLOSE | WORLD_RACE },
		{ "TCP to the end, pins refused, packets under way", 1,
			WORLD_CLOSE | WORLD_RACE | WORLD_LOSS },
		{ "pins refused, packets overtake", 1, WORLD_RACE | WORLD_TWO | WORLD_LOSS },
		{ "change of size", 2, WORLD_RESIZE },
		{ "change of size, pins refused, packets overtake", 1,
			WORLD_RESIZE | WORLD_RACE | WORLD_TWO | WORLD_LOSS },
		{ "the agent starts again, pins refused, packets under way", 1,
			WORLD_RESTART | WORLD_RACE | WORLD_LOSS },
		{ "ids find new owners", 2, WORLD_IDS },
		{ "ids find new owners, packets under way", 1, WORLD_IDS | WORLD_RACE },
	};

	return cr_make_param_array(struct world, rows, sizeof(rows) / sizeof(rows[0]));
}

ParameterizedTest(struct world *row, slots, every_order)
{
	struct model_result result;

	rule_silence = row->silence;
	cr_assert_eq(model_search((enum model_world)row->world, STATES_MAX, &result), 0);
	cr_log_info("%s, W = %d: %zu states%s\n", row->name, row->silence, result.states,
		result.closed ? ", all there are" : "");
	cr_expect_null(result.violation, "%s: %s:%s\n", row->name, result.violation, result.story);
	cr_expect(result.closed || TEST_IS_SANITISED, "%s: more than %zu states", row->name,
		result.states);
	free(result.story);
}

/* ------------------------------------------------------------ rules taken away */

struct mutant {
	enum rule rule;
	int silence;
	unsigned world;
	char breaks[64];
};

#define MUTANT(rule, silence, world, breaks) { RULE_##rule, silence, world, breaks }

static const struct {
	const char *name, *says;
} rules[] = {
#define RULE_TEXT(name, says) [RULE_##name] = { #name, says },
	RULES_OF_HEADERS(RULE_TEXT) RULES_OF_USERS(RULE_TEXT)
};

static const char *world_name(unsigned world, char buffer[64])
{
	static const char *const names[] = { "", " race", " overtake", " loss", " resize",
		" restart", " ids", " close" };

	strcpy(buffer, (world & WORLD_UDP) ? "UDP" : "TCP");
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (world & 1u << i)
			strcat(buffer, names[i]);
	}
	return buffer;
}

/** The smallest world that shows what is lost. */
ParameterizedTestParameters(slots, every_rule_is_needed)
{
	static struct mutant rows[] = {
		MUTANT(pin_is_refreshed, 3, WORLD_UDP, FLOW_MOVES),
		MUTANT(pin_is_proven, 3, 0, FLOW_MOVES),
		MUTANT(closing_is_undone, 3, WORLD_CLOSE, FLOW_MOVES),
		MUTANT(down_is_left, 3, WORLD_UDP, TO_DOWN),
		MUTANT(reuse_is_new, 3, 0, TO_DRAINING),
		MUTANT(duplicates_are_obeyed, 3, 0, DUPLICATE_MOVES),
		MUTANT(opening_to_now, 3, 0, TO_BEFORE),
		MUTANT(old_to_before, 3, 0, FLOW_MOVES),
		MUTANT(before_may_drain, 3, 0, FLOW_MOVES),
		MUTANT(new_to_up, 2, WORLD_LOSS, TO_DRAINING),
		MUTANT(three_must_agree, 2, WORLD_RESIZE, FLOW_MOVES),
		MUTANT(agreed_needs_no_pin, 3, WORLD_UDP, USELESS_PIN),
		MUTANT(proven_moves_on, 2, WORLD_LOSS, FLOW_MOVES),
		MUTANT(fin_is_pinned, 3, WORLD_CLOSE, FLOW_MOVES),
		MUTANT(rst_is_traceless, 3, WORLD_CLOSE, USELESS_PIN),
		MUTANT(quote_is_traceless, 3, 0, USELESS_PIN),
		MUTANT(loose_is_traceless, 3, WORLD_UDP, USELESS_PIN),
		MUTANT(refused_to_before, 2, WORLD_LOSS, FLOW_MOVES),
		MUTANT(before_is_kept, 3, WORLD_UDP, FLOW_MOVES),
		MUTANT(return_is_a_write, 2, WORLD_UDP | WORLD_RACE, PIN_AT_REST),
		MUTANT(hold_waits, 3, WORLD_UDP, FLOW_MOVES),
		MUTANT(hold_has_grace, 1, WORLD_RACE | WORLD_LOSS, FLOW_MOVES),
		MUTANT(hold_before_settle, 3, WORLD_UDP, PIN_AT_REST),
		MUTANT(old_before_settle, 2, WORLD_RESIZE, PIN_AT_REST),
		MUTANT(settle_waits, 3, WORLD_UDP, PIN_AT_REST),
		MUTANT(expiry_has_grace, 2, WORLD_UDP | WORLD_RACE, FLOW_MOVES),
		MUTANT(sweep_keeps_live_pins, 3, WORLD_UDP, FLOW_MOVES),
		MUTANT(sweep_frees_pins, 3, WORLD_UDP, NEVER_SETTLES),
		MUTANT(free_waits, 1, WORLD_RACE | WORLD_TWO, FLOW_MOVES),
		MUTANT(pins_looked_up_twice, 1, WORLD_RACE | WORLD_TWO, FLOW_MOVES),
		MUTANT(flow_has_one_pin, 1, WORLD_RACE | WORLD_TWO, FLOW_MOVES),
		MUTANT(promote_inserts_first, 1, WORLD_RACE, PIN_AT_REST),
		MUTANT(replace_needs_pin, 2, WORLD_UDP | WORLD_RACE, FLOW_MOVES),
		MUTANT(loss_is_written, 2, WORLD_UDP | WORLD_LOSS, FLOW_MOVES),
		MUTANT(loss_is_compared, 1, WORLD_RACE | WORLD_LOSS, FLOW_MOVES),
		MUTANT(sweep_reads_opening_first, 3, 0, PIN_AT_REST),
		MUTANT(sweep_minds_pins, 3, WORLD_UDP, PIN_AT_REST),
		MUTANT(sweeps_are_apart, 1, WORLD_RACE, PIN_AT_REST),
		MUTANT(restart_is_an_end, 1, WORLD_RACE | WORLD_RESTART, PIN_AT_REST),
		MUTANT(slots_before_states, 3, WORLD_UDP, TO_DRAINING),
		MUTANT(udp_drains_after_hold, 3, WORLD_UDP, FLOW_MOVES),
		MUTANT(resize_keeps_old, 2, WORLD_RESIZE, FLOW_MOVES),
		MUTANT(old_is_frozen, 2, WORLD_RESIZE, FLOW_MOVES),
		MUTANT(ids_rest, 1, WORLD_RACE | WORLD_IDS, ID_IN_USE),
		MUTANT(ids_are_swept, 2, WORLD_IDS, ID_IN_USE),
	};

	_Static_assert(sizeof(rows) / sizeof(rows[0]) == RULES - 1, "a rule has no row");
	return cr_make_param_array(struct mutant, rows, sizeof(rows) / sizeof(rows[0]));
}

ParameterizedTest(struct mutant *row, slots, every_rule_is_needed)
{
	struct model_result result;
	char world[64];

	rule_silence = row->silence;
	rule_off = row->rule;
	cr_assert_eq(model_search((enum model_world)row->world, 8000000, &result), 0);
	cr_assert_not_null(result.violation, "without %s nothing breaks in %zu states",
		rules[row->rule].name, result.states);
	cr_expect_str_eq(result.violation, row->breaks, "without %s: %s:%s", rules[row->rule].name,
		result.violation, result.story);
	cr_log_info("%-25s %-72s | %s, W = %d | without it %s, after %u steps of %zu states%s\n",
		rules[row->rule].name, rules[row->rule].says, world_name(row->world, world),
		row->silence, result.violation, result.steps, result.states, result.story);
	free(result.story);
}

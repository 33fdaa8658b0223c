/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdbool.h>

/**
 * @file rules.h
 * The slot rules by name, and the functions of fairlead/slot.h and pin.h as the
 * model calls them: each passes on to the header's own, unless a rule of it is
 * switched off; then it does what code without that rule would do. So the headers
 * know nothing of this, and a rule that nobody would miss is found.
 */

/** In the functions of the headers. */
#define RULES_OF_HEADERS(X)                                                                        \
	X(pin_is_refreshed, "a packet leaves its second in the pin")                               \
	X(pin_is_proven, "a packet that does not open proves the pin")                             \
	X(closing_is_undone, "a packet after FIN opens the pin again")                             \
	X(down_is_left, "a pin at an endpoint that is down is not obeyed")                         \
	X(reuse_is_new, "an opening leaves an old pin at a draining endpoint")                     \
	X(duplicates_are_obeyed, "an opening obeys a young pin there")                             \
	X(opening_to_now, "an opening without a pin goes to `now`")                                \
	X(old_to_before, "other packets without a pin go to `before`")                             \
	X(before_may_drain, "… while that drains, too")                                            \
	X(new_to_up, "… but what may be a new flow only while it is up")                           \
	X(three_must_agree, "no pin is needed only where `now` and both `before` agree")           \
	X(agreed_needs_no_pin, "… and then none is made")                                          \
	X(proven_moves_on, "a proven pin leaves `opening`, where pins are evicted")                \
	X(fin_is_pinned, "a FIN makes a pin")                                                      \
	X(rst_is_traceless, "a RST makes none")                                                    \
	X(quote_is_traceless, "nor does an ICMP quote")                                            \
	X(loose_is_traceless, "nor does a datagram of `udp: move`, which goes to `now`")           \
	X(refused_to_before, "a packet whose pin is refused goes to `before`")                     \
	X(before_is_kept, "a moving slot that changes keeps its `before`")                         \
	X(return_is_a_write, "a slot that changes back begins to wait anew")                       \
	X(hold_waits, "a slot is held after silence")                                              \
	X(hold_has_grace, "… and a second more, for losses under way")                             \
	X(hold_before_settle, "only a held slot settles")                                          \
	X(old_before_settle, "… that does not ask the old table")                                  \
	X(settle_waits, "… by a sweep begun a second after its last write")                        \
	X(expiry_has_grace, "a pin lives a second longer than is promised")                        \
	X(sweep_keeps_live_pins, "a sweep leaves pins of live flows")                              \
	X(sweep_frees_pins, "a sweep deletes pins that are not needed")                            \
	X(free_waits, "… not before the slot is ripe")

/** In the packet path, the sweep and the agent, which use the headers. */
#define RULES_OF_USERS(X)                                                                          \
	X(pins_looked_up_twice, "`pins` is looked up again after `opening`")                       \
	X(flow_has_one_pin, "a flow has a pin in one of the two tables")                           \
	X(promote_inserts_first, "a promotion inserts, then deletes")                              \
	X(replace_needs_pin, "a pin is replaced only while it exists")                             \
	X(loss_is_written, "a loss makes the slot wait anew")                                      \
	X(loss_is_compared, "… if the slot is what the packet read")                               \
	X(sweep_reads_opening_first, "a sweep reads `opening` before `pins`")                      \
	X(sweep_minds_pins, "a slot with a pin does not settle")                                   \
	X(sweeps_are_apart, "a sweep begins a second after the last")                              \
	X(restart_is_an_end, "… or after the agent did")                                           \
	X(slots_before_states, "an endpoint leaves the slots before it drains")                    \
	X(udp_drains_after_hold, "… for UDP also as `before`")                                     \
	X(resize_keeps_old, "a new table asks the old one")                                        \
	X(old_is_frozen, "the old table is not written")                                           \
	X(ids_rest, "an id rests a second before the sweep that frees it")                         \
	X(ids_are_swept, "an id is given out again after a sweep found it nowhere")

#define RULE_ENUM(name, says) RULE_##name,
enum rule { RULE_NONE, RULES_OF_HEADERS(RULE_ENUM) RULES_OF_USERS(RULE_ENUM) RULES };

/** The rule that is switched off in this process. */
extern enum rule rule_off;
#define RULE(name) (rule_off != RULE_##name)

/** How long flows may be silent, in this process: W, and E. Ticks stand for seconds:
 * what matters is the order of clocks. */
extern int rule_silence;
#define FL_PIN_DUPLICATE_S 0
#define FL_PIN_HANDSHAKE_S 1

#include "fairlead/slot.h"

/** fl_slot_decide, also for slots at rest. */
struct fl_slot_answer rule_decide(const struct fl_slot_query *q);
/** fl_slot_refuse */
struct fl_slot_answer rule_refuse(const struct fl_slot_query *q);
/** fl_pin_touch */
void rule_touch(struct fl_pin *pin, enum fl_packet packet, __u32 second);
/** fl_slot_change */
fl_slot rule_change(fl_slot s, __u32 now, __u32 second);
/** fl_slot_hold_is_due */
bool rule_hold_is_due(fl_slot s, __u32 second);
/** fl_slot_settle_is_due */
bool rule_settle_is_due(fl_slot s, __u32 begun, __u32 second);
/** fl_slot_frees_pin */
bool rule_frees_pin(fl_slot s, const struct fl_pin *pin, __u32 begun, __u32 second);

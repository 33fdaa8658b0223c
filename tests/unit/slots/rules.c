/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "unit/slots/rules.h"

enum rule rule_off;
int rule_silence = 2;

/* ------------------------------------------------------------------ packets
 *
 * A rule is taken away by telling the header's function something else than what
 * is, or by overruling its answer.
 */

static bool traceless(enum fl_packet packet)
{
	return (packet == FL_PACKET_QUOTE && RULE(quote_is_traceless)) ||
	       (packet == FL_PACKET_RST && RULE(rst_is_traceless)) ||
	       (packet == FL_PACKET_FIN && !RULE(fin_is_pinned));
}

/** What code without a rule about pins that were found takes for true. */
static void mistake_hit(struct fl_slot_query *q, struct fl_pin *pin)
{
	if (!RULE(reuse_is_new))
		pin->seen = q->second;
	if (!RULE(duplicates_are_obeyed))
		pin->seen = q->second - 1000;
	if (!RULE(down_is_left))
		q->pin_state = FL_UP;
}

/** … and without one about packets that have none. */
static void mistake_miss(struct fl_slot_query *q)
{
	bool may_open = q->packet == FL_PACKET_OPEN || q->packet == FL_PACKET_UDP;
	__u32 now = fl_slot_now(q->slot);

	if (!RULE(three_must_agree) && now == q->before)
		q->slot = fl_slot_moving(now, now, fl_slot_since(q->slot));
	if (!RULE(old_to_before) && q->packet != FL_PACKET_OPEN)
		q->before_state = FL_DOWN;
	if (!RULE(before_may_drain) && !may_open && q->before_state == FL_DRAINING)
		q->before_state = FL_DOWN;
	if (!RULE(new_to_up) && q->before_state == FL_DRAINING)
		q->before_state = FL_UP;
}

static void mistake_packet(struct fl_slot_query *q)
{
	if ((q->packet == FL_PACKET_RST && !RULE(rst_is_traceless)) ||
		(q->packet == FL_PACKET_QUOTE && !RULE(quote_is_traceless)))
		q->packet = FL_PACKET_DATA;
	if (q->packet == FL_PACKET_LOOSE && !RULE(loose_is_traceless))
		q->packet = FL_PACKET_UDP;
}

/** What it does instead of the right answer to a packet without a pin. */
static struct fl_slot_answer mistaken_miss(
	const struct fl_slot_query *q, struct fl_slot_answer answer)
{
	bool opens = q->packet == FL_PACKET_OPEN;

	if (answer.action == FL_PIN_LOSE && !RULE(refused_to_before))
		return fl_slot_to_now(q, FL_PIN_FORGO);
	if (opens && q->before_state == FL_UP && !RULE(opening_to_now))
		answer.endpoint = q->before;
	if (answer.action == FL_PIN_NONE && answer.endpoint && !traceless(q->packet) &&
		!RULE(agreed_needs_no_pin))
		answer.action = opens ? FL_PIN_OPENING : FL_PIN_OLD;
	return answer;
}

struct fl_slot_answer rule_decide(const struct fl_slot_query *q)
{
	struct fl_slot_query seen = *q;
	struct fl_slot_answer answer;
	struct fl_pin pin;

	if (!fl_slot_is_moving(q->slot))
		return fl_slot_to_now(q, FL_PIN_NONE);
	if (rule_off == RULE_NONE)
		return fl_slot_decide(q);
	mistake_packet(&seen);
	if (q->pin) {
		pin = *q->pin;
		seen.pin = &pin;
		mistake_hit(&seen, &pin);
	} else {
		mistake_miss(&seen);
	}
	answer = fl_slot_decide(&seen);
	if (answer.action == FL_PIN_PROMOTE && !RULE(proven_moves_on))
		answer.action = FL_PIN_TOUCH;
	if (!q->pin)
		answer = mistaken_miss(&seen, answer);
	if (q->packet == FL_PACKET_FIN && traceless(q->packet) && answer.action != FL_PIN_TOUCH &&
		answer.action != FL_PIN_PROMOTE)
		answer.action = FL_PIN_NONE;
	return answer;
}

struct fl_slot_answer rule_refuse(const struct fl_slot_query *q)
{
	struct fl_slot_query seen = *q;

	mistake_miss(&seen);
	return RULE(refused_to_before) ? fl_slot_refuse(&seen) : fl_slot_to_now(q, FL_PIN_FORGO);
}

void rule_touch(struct fl_pin *pin, enum fl_packet packet, __u32 second)
{
	struct fl_pin old = *pin;

	fl_pin_touch(pin, packet, second);
	if (!RULE(pin_is_refreshed))
		pin->seen = old.seen;
	if (!RULE(pin_is_proven))
		pin->proven = old.proven;
	if (!RULE(closing_is_undone))
		pin->closing |= old.closing;
}

/* -------------------------------------------------------------------- agent */

fl_slot rule_change(fl_slot s, __u32 now, __u32 second)
{
	fl_slot old = s & FL_SLOT_OLD;

	if (!RULE(before_is_kept) && now != fl_slot_now(s))
		return fl_slot_moving(now, fl_slot_now(s), second) | old;
	if (!RULE(return_is_a_write) && now == fl_slot_before(s) && now != fl_slot_now(s))
		return fl_slot_moving(now, now, fl_slot_since(s)) | old;
	return fl_slot_change(s, now, second);
}

bool rule_hold_is_due(fl_slot s, __u32 second)
{
	if (!RULE(hold_waits))
		return fl_slot_is_moving(s) && (!fl_slot_is_held(s) || fl_slot_is_old(s));
	return fl_slot_hold_is_due(s, rule_silence - !RULE(hold_has_grace), second);
}

bool rule_settle_is_due(fl_slot s, __u32 begun, __u32 second)
{
	if (!RULE(hold_before_settle) && fl_slot_hold_is_due(s, rule_silence, second))
		return true;
	if (!RULE(settle_waits))
		return fl_slot_is_held(s) && !fl_slot_is_old(s);
	return fl_slot_settle_is_due(RULE(old_before_settle) ? s : s & ~FL_SLOT_OLD, begun);
}

bool rule_frees_pin(fl_slot s, const struct fl_pin *pin, __u32 begun, __u32 second)
{
	if (!RULE(sweep_frees_pins))
		return false;
	if (!RULE(free_waits) && fl_slot_is_held(s) && !fl_slot_is_old(s) &&
		pin->endpoint == fl_slot_now(s))
		return true;
	return fl_slot_frees_pin(s, pin, RULE(sweep_keeps_live_pins) ? rule_silence : 0, begun,
		second + !RULE(expiry_has_grace));
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "unit/slots/sim_flows.h"

#include <netinet/in.h>
#include <stdio.h>

#include "fairlead/slot.h"

/** Every tuple is in use from time to time; so many seconds are between two uses. */
#define IDLE_S 300

struct sim_tuple sim_flows_tuple(uint32_t tuple, uint64_t *random)
{
	return (struct sim_tuple){
		.hash = sim_random(random, UINT32_MAX),
		.service = tuple % SIM_SERVICES,
		.proto = tuple % 2 ? IPPROTO_TCP : IPPROTO_UDP,
	};
}

/* -------------------------------------------------------------------- promises */

static void broken(struct sim_flows *flows, const struct sim_flow *flow, const char *what,
	const struct sim_answer *answer, uint32_t second)
{
	uint32_t tuple = (uint32_t)(flow - flows->flow);
	const struct sim_tuple *t = &flows->tuples[tuple];

	if (flows->broken[0])
		return;
	snprintf(flows->broken, sizeof(flows->broken),
		"%s: second %u, tuple %u, %s, udp policy %u, phase %d, at %u, seen %u, goes to %u "
		"(state %u), now %u, marked %d",
		what, second, tuple, t->proto == IPPROTO_TCP ? "tcp" : "udp", t->service,
		flow->phase, flow->at, flow->seen, answer->endpoint,
		flows->edge->state[answer->endpoint], answer->now, answer->moving);
}

static bool is_served(const struct sim_flows *flows, const struct sim_flow *flow)
{
	return flow->at && flow->incarnation == flows->agent->incarnation[flow->at] &&
	       fl_state_takes_old(flows->edge->state[flow->at]);
}

static void settle_at(
	struct sim_flows *flows, struct sim_flow *flow, const struct sim_answer *answer)
{
	flow->at = answer->endpoint;
	flow->incarnation = flows->agent->incarnation[answer->endpoint];
	flow->unpinned = answer->unpinned;
	flow->forgone = answer->forgone;
}

/** @return whether nothing was promised to it, which is counted */
static bool is_exempt_by_silence(
	struct sim_flows *flows, const struct sim_flow *flow, uint32_t second)
{
	bool is_tcp = flows->tuples[flow - flows->flow].proto == IPPROTO_TCP;
	uint32_t silence = second - flow->seen;

	if (silence > (uint32_t)(is_tcp ? SIM_TCP_S : SIM_UDP_S)) {
		flows->exempt[SIM_SILENT]++;
		return true;
	}
	if (silence <= FL_PIN_HANDSHAKE_S || (flow->proven && flow->phase != SIM_CLOSING))
		return false;
	flows->exempt[SIM_HALF_SILENT]++;
	return true;
}

/** The flow is at an endpoint that serves, and its packet went elsewhere. */
static void judge(struct sim_flows *flows, struct sim_flow *flow, const struct sim_answer *answer,
	uint32_t second)
{
	if (is_exempt_by_silence(flows, flow, second))
		return;
	if (flow->forgone || (flows->edge->lost[flow - flows->flow] && !flow->proven))
		flows->exempt[SIM_UNPROVEN_LOST]++;
	else if (flows->edge->lost[flow - flows->flow] && flow->unpinned)
		flows->exempt[SIM_STUCK_LOST]++;
	else
		broken(flows, flow, "a live flow moves", answer, second);
}

/** An opening that is not the first may reach another endpoint only after a change. */
static void judge_repeated(struct sim_flows *flows, struct sim_flow *flow,
	const struct sim_answer *answer, uint32_t second)
{
	const struct sim_tuple *t = &flows->tuples[flow - flows->flow];

	if (flow->unpinned || flows->edge->lost[flow - flows->flow])
		flows->exempt[SIM_UNPROVEN_LOST]++;
	else if (is_exempt_by_silence(flows, flow, second))
		return;
	else if (answer->now == flow->opened_now && is_served(flows, flow) &&
		 flows->edge->state[flow->at] == FL_UP)
		broken(flows, flow, "a repeated opening moves without a change", answer, second);
	else
		flows->exempt[t->proto == IPPROTO_TCP ? SIM_SYN_REPEATED : SIM_SECOND_INITIAL]++;
}

/* --------------------------------------------------------------------- packets */

static struct sim_answer transmit(
	struct sim_flows *flows, struct sim_flow *flow, int packet, uint32_t second)
{
	uint32_t tuple = (uint32_t)(flow - flows->flow);
	struct sim_answer answer =
		sim_edge_packet(flows->edge, flows->tuples, tuple, packet, second);

	flows->packets++;
	flows->moving += answer.moving;
	if (answer.endpoint && !fl_state_takes_old(flows->edge->state[answer.endpoint]))
		broken(flows, flow, "a packet goes to an endpoint that is down", &answer, second);
	if (!answer.endpoint && fl_state_takes_old(flows->edge->state[answer.now]))
		broken(flows, flow, "a packet is dropped though an endpoint takes it", &answer,
			second);
	return answer;
}

/** A new flow finds who drains only by a pin so young that it may be a duplicate. */
static void check_new(struct sim_flows *flows, const struct sim_flow *flow,
	const struct sim_answer *answer, uint32_t second)
{
	uint32_t young = flow->proven ? FL_PIN_DUPLICATE_S : FL_PIN_HANDSHAKE_S;

	if (flows->edge->state[answer->endpoint] == FL_DRAINING &&
		(!flow->seen || second - flow->seen > young))
		broken(flows, flow, "a draining endpoint gets a new flow", answer, second);
}

static void open_flow(struct sim_flows *flows, struct sim_flow *flow, uint32_t second)
{
	uint32_t tuple = (uint32_t)(flow - flows->flow);
	struct sim_answer answer;

	flows->edge->lost[tuple] = false;
	answer = transmit(flows, flow, FL_PACKET_OPEN, second);
	check_new(flows, flow, &answer, second);
	flow->next = second + 1 + sim_random(&flows->random, IDLE_S);
	flow->seen = second;
	flow->proven = false;
	if (!answer.endpoint)
		return;
	settle_at(flows, flow, &answer);
	flows->opened++;
	flow->opened_now = answer.now;
	flow->phase = SIM_OPENING_FLOW;
	flow->repeats = sim_happens(&flows->random, 6) ? 1 + sim_random(&flows->random, 2) : 0;
	flow->next = second + (flow->repeats ? 1 + sim_random(&flows->random, 3)
					     : sim_random(&flows->random, 3));
	if (sim_happens(&flows->random, 12))
		flow->next = second + sim_random(&flows->random, FL_PIN_HANDSHAKE_S + 20);
}

static void repeat_opening(struct sim_flows *flows, struct sim_flow *flow, uint32_t second)
{
	struct sim_answer answer = transmit(flows, flow, FL_PACKET_OPEN, second);

	flow->repeats--;
	if (answer.endpoint != flow->at) {
		judge_repeated(flows, flow, &answer, second);
		flow->phase = SIM_IDLE;
	}
	flow->seen = second;
	flow->next = second + 1 + sim_random(&flows->random, 3);
}

/** Any other packet. @return whether the flow goes on */
static bool speak(struct sim_flows *flows, struct sim_flow *flow, int packet, uint32_t second)
{
	bool served = is_served(flows, flow);
	struct sim_answer answer = transmit(flows, flow, packet, second);

	bool stays = served && answer.endpoint == flow->at;

	if (served && !stays)
		judge(flows, flow, &answer, second);
	flows->ended += !served;
	flow->seen = second;
	flow->proven |= answer.endpoint != 0;
	if (stays) { /* pinned, or where it needs no pin: what was lost is made good */
		flow->unpinned = answer.unpinned;
		flow->forgone = answer.forgone;
		flows->edge->lost[flow - flows->flow] = false;
	}
	return stays;
}

/* ----------------------------------------------------------------------- lives */

/** How long until the flow speaks again: mostly soon, now and then just in time, or
 * too late. */
static uint32_t silence_of(struct sim_flows *flows, uint32_t keep)
{
	switch (sim_random(&flows->random, 24)) {
	case 0:
		return keep;
	case 1:
		return keep - sim_random(&flows->random, keep / 2);
	case 2:
		return sim_happens(&flows->random, 4) ? keep + 1 + sim_random(&flows->random, keep)
						      : 1;
	case 3: /* … and at once */
		return 0;
	default:
		return 1 + sim_random(&flows->random, 15);
	}
}

static void end_flow(struct sim_flows *flows, struct sim_flow *flow, uint32_t second)
{
	flow->phase = SIM_IDLE;
	flow->at = 0;
	flow->next = second + (sim_happens(&flows->random, 8) ? sim_random(&flows->random, 4)
							      : sim_random(&flows->random, IDLE_S));
}

static void talk(struct sim_flows *flows, struct sim_flow *flow, uint32_t keep, uint32_t second)
{
	int packet = FL_PACKET_DATA;

	flow->next = second + silence_of(flows, keep);
	if (flow->phase == SIM_TALKING && sim_happens(&flows->random, 20)) {
		packet = FL_PACKET_FIN;
		flow->next = second + sim_random(&flows->random, FL_PIN_HANDSHAKE_S + 8);
	} else if (sim_happens(&flows->random, flow->phase == SIM_CLOSING ? 3 : 40)) {
		packet = FL_PACKET_RST;
	}
	if (!speak(flows, flow, packet, second) || packet == FL_PACKET_RST)
		end_flow(flows, flow, second);
	else
		flow->phase = packet == FL_PACKET_FIN ? SIM_CLOSING : SIM_TALKING;
}

static void live(struct sim_flows *flows, struct sim_flow *flow, uint32_t keep, uint32_t second)
{
	if (flow->phase == SIM_IDLE)
		open_flow(flows, flow, second);
	else if (flow->repeats)
		repeat_opening(flows, flow, second);
	else
		talk(flows, flow, keep, second);
}

/** QUIC: closes without a sign. */
static void live_quic(struct sim_flows *flows, struct sim_flow *flow, uint32_t second)
{
	if (flow->phase == SIM_IDLE || flow->repeats) {
		live(flows, flow, SIM_UDP_S, second);
		return;
	}
	flow->next = second + silence_of(flows, SIM_UDP_S);
	flow->phase = SIM_TALKING;
	if (!speak(flows, flow, FL_PACKET_DATA, second) || sim_happens(&flows->random, 20))
		end_flow(flows, flow, second);
}

/** `udp: keep`: nobody can tell where a flow ends, so a tuple is one for ever. */
static void live_keep(struct sim_flows *flows, struct sim_flow *flow, uint32_t second)
{
	flow->next = second + silence_of(flows, SIM_UDP_S);
	if (flow->phase == SIM_IDLE || !speak(flows, flow, FL_PACKET_UDP, second)) {
		struct sim_answer answer = transmit(flows, flow, FL_PACKET_UDP, second);

		settle_at(flows, flow, &answer);
		flows->opened++;
		flow->seen = second;
		flow->phase = answer.endpoint ? SIM_TALKING : SIM_IDLE;
	}
	if (sim_happens(&flows->random, 20))
		flow->next = second + sim_random(&flows->random, IDLE_S);
}

/** `udp: move`: to `now`, and no trace. */
static void live_move(struct sim_flows *flows, struct sim_flow *flow, uint32_t second)
{
	uint32_t pins = flows->edge->pins.count + flows->edge->opening.count;
	struct sim_answer answer = transmit(flows, flow, FL_PACKET_LOOSE, second);

	if (answer.endpoint && answer.endpoint != answer.now)
		broken(flows, flow, "a loose datagram does not go to `now`", &answer, second);
	if (flows->edge->pins.count + flows->edge->opening.count != pins)
		broken(flows, flow, "a loose datagram makes a pin", &answer, second);
	flow->next = second + 1 + sim_random(&flows->random, IDLE_S / 2);
}

void sim_flows_tick(struct sim_flows *flows, uint32_t second, uint32_t part, uint32_t parts)
{
	for (uint32_t i = part; i < SIM_CLIENTS && !flows->broken[0]; i += parts) {
		struct sim_flow *flow = &flows->flow[i];
		const struct sim_tuple *tuple = &flows->tuples[i];

		if (flow->next > second)
			continue;
		if (tuple->proto == IPPROTO_TCP)
			live(flows, flow, SIM_TCP_S, second);
		else if (tuple->service == FL_UDP_QUIC)
			live_quic(flows, flow, second);
		else if (tuple->service == FL_UDP_KEEP)
			live_keep(flows, flow, second);
		else
			live_move(flows, flow, second);
	}
}

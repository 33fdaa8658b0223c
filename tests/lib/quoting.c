/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "lib/quoting.h"

#include <criterion/criterion.h>
#include <string.h>

#include "lib/edge.h"

static void run(const struct packet *packet, int reason, struct frame *ret)
{
	struct outcome outcome;
	struct frame in;

	packet_build(packet, &in);
	edge_run(&in, &outcome);
	cr_assert_eq(outcome.reason, reason, "%s", edge_reason_name(outcome.reason));
	*ret = outcome.out;
}

void quote_open(const struct packet *packet, struct quoted *ret)
{
	bool ipv6 = strchr(packet->src, ':');

	*ret = (struct quoted){ .original = *packet,
		.sender = ipv6 ? NODE6 : NODE,
		.receiver = ipv6 ? ENDPOINT_1_6 : ENDPOINT_1,
		.router = ipv6 ? ENDPOINT_3_6 : ENDPOINT_3,
		.shown = packet->dst,
		.concerned = packet->src,
		.dmac = MAC_ROUTER,
		.smac = MAC_NODE,
		.is_redirected = true,
		.packet = *packet };
	ret->original.ttl = 63;
	run(packet, FL_SENT, &ret->sent);
}

struct packet quote_turned(const struct quoted *request, uint8_t flags)
{
	struct packet answer = request->packet;
	struct tuple tuple;

	frame_tuple(&request->sent, &tuple);
	answer.src = request->receiver;
	answer.dst = request->sender;
	answer.sport = tuple.dport;
	answer.dport = tuple.sport;
	answer.flags = flags;
	return answer;
}

void quote_answer(const struct quoted *request, struct quoted *ret)
{
	const struct packet *packet = &request->packet;
	bool ipv6 = strchr(packet->src, ':');
	struct packet answer = quote_turned(request, packet->flags ? SYN | ACK : 0);

	*ret = (struct quoted){ .original = answer,
		.sender = packet->dst,
		.receiver = packet->src,
		.router = ipv6 ? STRANGER6 : STRANGER,
		.shown = request->sender,
		.concerned = request->receiver,
		.dmac = MAC_ENDPOINT,
		.smac = MAC_EGRESS,
		.packet = answer };
	ret->original.ttl = 63;
	run(&answer, FL_SENT_REPLY, &ret->sent);
}

void quote_bytes(
	const struct frame *frame, uint32_t behind, const uint8_t **ret, uint32_t *ret_length)
{
	const uint8_t *ip = frame->bytes + frame->ip;
	uint32_t header = ip[0] >> 4 == 6 ? 40 : (ip[0] & 15) * 4u;

	*ret = ip;
	*ret_length = behind ? header + behind : frame->length - frame->ip;
}

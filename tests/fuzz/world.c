// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "world.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

const struct world_service world_services[WORLD_SERVICES] = {
	[1] = { true, true, false, FL_NAT, FL_UDP_KEEP, { { 1, 2, 3, 4, 5, 6, 7 }, { 8, 9 } } },
	[2] = { true, true, false, FL_IPIP, FL_UDP_KEEP,
		{ { 10, 11, 12, 13, 14, 15, 16 }, { 10, 12, 13, 14, 17 } } },
	[3] = { true, true, true, FL_IPIP, FL_UDP_QUIC, { { 18, 19, 20 }, { 18, 19, 20 } } },
	[4] = { true, true, false, FL_IPIP, FL_UDP_MOVE, { { 21, 22 }, { 21, 22 } } },
	[5] = { true, false, false, FL_IPIP, FL_UDP_KEEP, { { 0 } } },
	[6] = { false, true, false, FL_NAT, FL_UDP_KEEP, { { 0 } } },
	[7] = { true, true, false, FL_NAT, FL_UDP_KEEP,
		{ { 23, 24, 25 }, { 24 } } }, /* nat cannot use 24 for IPv4 */
};

const struct world_frontend world_frontends[] = {
	{ 1, 80, IPPROTO_TCP, 1 },
	{ 1, 53, IPPROTO_UDP, 1 },
	{ 2, 80, IPPROTO_TCP, 2 },
	{ 2, 443, IPPROTO_UDP, 2 },
	{ 3, 0, IPPROTO_TCP, 3 },
	{ 3, 0, IPPROTO_UDP, 3 },
	{ 4, 80, IPPROTO_TCP, 4 },
	{ 4, 443, IPPROTO_UDP, 4 },
	{ 5, 80, IPPROTO_TCP, 2 },
	{ 5, 0, IPPROTO_TCP, 1 },
	{ 5, 0, IPPROTO_UDP, 3 },
	{ 6, 80, IPPROTO_TCP, 5 },
	{ 7, 80, IPPROTO_TCP, 6 },
	{ 8, 0, IPPROTO_TCP, 7 },
	{ 8, 0, IPPROTO_UDP, 7 },
};
const uint32_t world_frontend_count = sizeof(world_frontends) / sizeof(world_frontends[0]);

#define V4 FL_IPV4
#define V6 FL_IPV6

const struct world_endpoint world_endpoints[WORLD_ENDPOINTS] = {
	[1] = { 1, V4, 8080, 1, 1 },
	[2] = { 2, V4, 8080, 2, 1 },
	[3] = { 3, V4, 80, 1, 1 },
	[4] = { 4, V4, 8080, 0, 1 }, /* not resolved */
	[5] = { 5, V4, 8080, 3, 1 }, /* this node itself */
	[6] = { 6, V4, 8080, 4, 1 }, /* out of an interface that is not ours */
	[7] = { 7, V4, 8080, 5, 1 }, /* behind a small MTU */
	[8] = { 8, V6, 8080, 6, 1 },
	[9] = { 9, V6, 8080, 7, 1 },
	[10] = { 10, V4, 80, 1, 2 },
	[11] = { 11, V4, 80, 2, 2 },
	[12] = { 12, V6, 80, 6, 2 },
	[13] = { 13, V6, 80, 7, 2 },
	[14] = { 14, V4, 80, 3, 2 },
	[15] = { 15, V4, 80, 0, 2 },
	[16] = { 16, V4, 80, 5, 2 },
	[17] = { 17, V4, 80, 4, 2 },
	[18] = { 18, V4, 0, 1, 3 },
	[19] = { 19, V6, 0, 6, 3 },
	[20] = { 20, V4, 0, 2, 3 },
	[21] = { 21, V4, 80, 1, 4 },
	[22] = { 22, V6, 80, 7, 4 },
	[23] = { 23, V4, 0, 1, 7 },
	[24] = { 24, V6, 0, 6, 7 },
	[25] = { 25, V4, 0, 0, 7 }, /* not resolved, and no neighbour is known */
};

const struct world_hop world_hops[WORLD_HOPS] = {
	[1] = { WORLD_INGRESS, V4, 1500, false },
	[2] = { WORLD_EGRESS, V4, 1500, false },
	[3] = { WORLD_INGRESS, V4, 1500, true },
	[4] = { 9, V4, 1500, false },
	[5] = { WORLD_INGRESS, V4, 100, false },
	[6] = { WORLD_INGRESS, V6, 1500, false },
	[7] = { WORLD_EGRESS, V6, 1500, false },
};

static uint32_t stir(uint32_t a, uint32_t b)
{
	a = (a ^ b) * 0x9e3779b1;
	return a ^ a >> 15;
}

static uint8_t pick(const uint8_t list[8], uint32_t n)
{
	uint32_t count = 1;

	while (list[count - 1])
		count++;
	return list[n % count];
}

struct world_slot world_slot(
	const struct world *w, uint32_t service, enum fl_family family, uint32_t index)
{
	const struct world_service *s = &world_services[service];
	uint32_t n = stir(stir(stir(w->shuffle, service), family), index);
	struct world_slot slot = { .now = pick(s->endpoints[family], n >> 4) };

	slot.before = slot.now;
	if (s->forward == FL_NAT || (n & 3) < 2)
		return slot;
	slot.moving = true;
	if ((n & 3) == 2)
		slot.before = pick(s->endpoints[family], n >> 12);
	slot.old = s->has_old && (n >> 20 & 1);
	return slot;
}

uint8_t world_old_before(
	const struct world *w, uint32_t service, enum fl_family family, uint32_t index)
{
	return pick(world_services[service].endpoints[family],
		stir(stir(w->shuffle + 1, family), index) >> 4);
}

struct fl_ip world_ip(enum fl_family family, uint8_t net, uint8_t number)
{
	struct fl_ip ip = { 0 };

	if (family == FL_IPV4) {
		ip.word[2] = htonl(0xffff);
		ip.word[3] = htonl(0x0a000000u | net << 16 | number);
	} else {
		ip.word[0] = htonl(0xfd000000u | net);
		ip.word[3] = htonl(number);
	}
	return ip;
}

uint8_t world_frontend_service(const struct world *w, const struct world_frontend *f)
{
	if (!w->moved)
		return f->service;
	if (f->address == 8 && f->proto == IPPROTO_TCP)
		return 0;
	return f->address == 2 ? 3 : f->service;
}

uint32_t world_address_owner(const struct world *w, uint8_t address)
{
	uint32_t i, owner = 0, service;

	for (i = 0; i < world_frontend_count; i++) {
		service = world_frontend_service(w, &world_frontends[i]);
		if (world_frontends[i].address != address || !service)
			continue;
		if (owner && owner != service)
			return 0;
		owner = service;
	}
	return owner;
}

void world_macs(uint8_t number, uint8_t dmac[6], uint8_t smac[6])
{
	memcpy(dmac, "\x02\x00\x00\x00\xdd", 5);
	memcpy(smac, "\x02\x00\x00\x00\x55", 5);
	dmac[5] = smac[5] = number;
}

struct world_route world_route(const uint8_t *daddr, uint32_t bytes, uint32_t ip_len)
{
	uint8_t kind = daddr[bytes - 1] & 7;
	struct world_route route = { BPF_FIB_LKUP_RET_SUCCESS, 0x80 + kind, WORLD_INGRESS };

	if (kind == 1)
		route.answer = BPF_FIB_LKUP_RET_NO_NEIGH;
	else if (kind == 2)
		route.answer = BPF_FIB_LKUP_RET_UNREACHABLE;
	else if (kind == 3)
		route.ifindex = WORLD_EGRESS;
	else if (kind == 5 && ip_len > 100)
		route.answer = BPF_FIB_LKUP_RET_FRAG_NEEDED;
	else if (kind == 6)
		route.ifindex = 9;
	return route;
}

long world_fib(struct bpf_fib_lookup *params)
{
	bool ipv4 = params->family == AF_INET;
	struct world_route route = world_route(
		ipv4 ? (const uint8_t *)&params->ipv4_dst : (const uint8_t *)params->ipv6_dst,
		ipv4 ? 4 : 16, params->tot_len);

	if (route.answer == BPF_FIB_LKUP_RET_SUCCESS) {
		params->ifindex = route.ifindex;
		world_macs(route.number, params->dmac, params->smac);
	}
	return route.answer;
}

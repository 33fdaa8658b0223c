/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <linux/bpf.h>
#include <stdbool.h>
#include <stdint.h>

#include "fairlead/abi.h"

/**
 * @file world.h
 * The services, endpoints, routes and switches that fuzzed packets meet.
 *
 * Plain tables, from which the maps of the programs are filled (edge_native.c) and
 * which the model asks (spec.c). Who exists is fixed; the input chooses
 * switches, states of endpoints and what is in the slots.
 */
#define WORLD_SLOTS     251  /**< of each table */
#define WORLD_OLD_SLOTS 1021 /**< of a table of the size before */
#define WORLD_SERVICES  8
#define WORLD_SHUFFLES  16
#define WORLD_ENDPOINTS 32
#define WORLD_HOPS      16
#define WORLD_ADDRESSES 8 /**< frontend addresses per family: 10.0.0.N, fd00::N, N from 1 */
#define WORLD_INGRESS   1
#define WORLD_EGRESS    2 /**< another interface that may be redirected to */
#define WORLD_SEED      0x5eed

struct world_service {
	bool in_use, has_table, has_old;
	uint8_t forward, udp;
	uint8_t endpoints[FL_FAMILIES]
			 [8]; /**< by family of the table; 0 ends the list and is in it */
};

struct world_frontend {
	uint8_t address; /**< N */
	uint16_t port;   /**< host order; 0 = all */
	uint8_t proto;
	uint8_t service;
};

struct world_endpoint {
	uint8_t number; /**< last byte of its address; 0 = there is no such endpoint */
	uint8_t family;
	uint16_t port;
	uint8_t hop;
	uint8_t service;
};

struct world_hop {
	uint32_t ifindex; /**< 0 = there is no such row */
	uint8_t family;   /**< of its source */
	uint16_t mtu;
	bool local;
};

extern const struct world_service world_services[WORLD_SERVICES];
extern const struct world_frontend world_frontends[];
extern const uint32_t world_frontend_count;
extern const struct world_endpoint world_endpoints[WORLD_ENDPOINTS];
extern const struct world_hop world_hops[WORLD_HOPS];

/** What the input chose. */
struct world {
	struct fl_edge_conf conf;
	uint32_t headroom;
	uint32_t now_s;
	uint8_t state[WORLD_ENDPOINTS]; /**< enum fl_state */
	uint8_t shuffle;                /**< below WORLD_SHUFFLES: decides what is in the slots */
	bool moved; /**< frontends have other services: world_frontend_service */
	uint32_t pin_room, opening_room; /**< entries that `pins` and `opening` take */
	uint32_t old_pins;               /**< that are counted when it begins */
};

/** A slot in words. */
struct world_slot {
	uint8_t now, before;
	bool moving, old;
};
struct world_slot world_slot(
	const struct world *w, uint32_t service, enum fl_family family, uint32_t index);
/** `before` of a slot of the old table. */
uint8_t world_old_before(
	const struct world *w, uint32_t service, enum fl_family family, uint32_t index);

struct fl_ip world_ip(enum fl_family family, uint8_t net, uint8_t number);
#define WORLD_NET_FRONTEND 0
#define WORLD_NET_ENDPOINT 1
#define WORLD_NET_NODE     2
#define WORLD_NET_CLIENT   3

/** The service of a frontend; 0 = it is gone. */
uint8_t world_frontend_service(const struct world *w, const struct world_frontend *f);

/** The service that owns all frontends of an address; 0 = several do. */
uint32_t world_address_owner(const struct world *w, uint8_t address);

/** MAC addresses of a next hop, numbered as its row, or of a route 0x80 + its number. */
void world_macs(uint8_t number, uint8_t dmac[6], uint8_t smac[6]);

/** What the kernel's routing table says. */
struct world_route {
	long answer; /**< BPF_FIB_LKUP_RET_* */
	uint8_t number;
	uint32_t ifindex;
};
struct world_route world_route(const uint8_t *daddr, uint32_t bytes, uint32_t ip_len);
/** The same for bpf_fib_lookup. */
long world_fib(struct bpf_fib_lookup *params);

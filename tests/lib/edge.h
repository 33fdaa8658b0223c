/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <linux/bpf.h>
#include <stdbool.h>

#include "fairlead/abi.h"
#include "fairlead/reasons.h"
#include "lib/actors.h"
#include "lib/packet.h"

/**
 * @file edge.h
 * The edge and target programs with maps that a test fills, fed one packet at a time.
 *
 * Everything lives in a private network namespace whose interfaces are:
 * `lo`, from which packets come unless a test says otherwise, and `clients`, a
 * veth towards CLIENT_A and CLIENT_B (and their IPv6), whose neighbours are known.
 *
 * Each packet is checked as it goes through: exactly one reason is counted, the
 * action is the one of that reason, and a packet that is passed is unchanged
 * byte for byte. What went in and came out is written down for the oracle.
 */

/** The programs; opened from the skeleton, private to edge.c otherwise. */
struct xdp_edge;
extern struct xdp_edge *edge;
extern uint32_t edge_clients; /**< ifindex of `clients` */
#define EDGE_LO 1             /**< ifindex of `lo` */

/** Cells of `pins`, for edge_open. */
extern uint32_t edge_pins_max;

/**
 * Enter a private world and load the programs.
 * @param conf  switches; NULL = defaults
 */
void edge_open(const struct fl_edge_conf *conf);

/* Filling maps. Ids are the test's; a call again changes the row. */

void edge_service(uint32_t id, enum fl_forward forward);
void edge_udp(uint32_t id, enum fl_udp udp);
/** A table of 251 slots for one family, all of them `endpoint`. */
void edge_table(uint32_t service, enum fl_family family, uint32_t endpoint);
/** The same with any value. */
void edge_slots(uint32_t service, enum fl_family family, fl_slot value);
/** The table of the size before: `value` everywhere, in a region of its own; 0 = none. */
void edge_old_slots(uint32_t service, enum fl_family family, fl_slot value);
/** Another table of the service, elsewhere and larger, with all slots settled at
 * `endpoint`. 0 = it has none. */
void edge_table_elsewhere(uint32_t service, enum fl_family family, uint32_t endpoint);
void edge_slot(uint32_t service, enum fl_family family, uint32_t slot, fl_slot value);
void edge_frontend(const char *addr, uint16_t port, uint8_t proto, uint32_t service, uint32_t id);
/** What tells programs that remembered frontends are old; edge_frontend does that itself. */
void edge_frontends_epoch(uint32_t add);
/** The row of an address in `vips`. */
void edge_address(const char *addr, uint32_t service, uint32_t frontend);
void edge_endpoint(uint32_t id, const char *addr, uint16_t port, uint32_t nexthop);
void edge_state(uint32_t endpoint, enum fl_state state);
/** @param src  source for nat and outer headers */
void edge_nexthop(uint32_t id, uint32_t ifindex, const char *src, uint16_t mtu, uint16_t flags);
/** Empty nat tables of these sizes; the first takes new flows. */
void edge_nat_tables(uint32_t count, const uint32_t sizes[]);
/** Forget all nat flows: one table of the usual size. */
void edge_nat_reset(void);
/** Descriptor of a generation; -1 = there is none. The caller closes it. */
int edge_nat_table(uint32_t position);
/** Put tables at the first positions, newest first, and nothing behind them. The
 * descriptors stay the caller's. */
void edge_nat_place(uint32_t count, const int tables[]);
/** A table that is not placed yet. The caller closes it. */
int edge_nat_table_new(uint32_t size);
uint32_t edge_nat_used(uint32_t endpoint, uint8_t proto);
/** Zeroes when nothing was opened there. */
struct fl_answers edge_answers(uint32_t endpoint);
void edge_answers_clear(uint32_t endpoint);
/** Entries over all generations. */
uint32_t edge_nat_entries(void);

/**
 * The world most rows want: service 1 `web` in mode nat with the frontends
 * VIP_WEB:80/tcp (1), VIP_WEB:53/udp (2), and the same on VIP_WEB6 (3, 4);
 * endpoints 1-3 (IPv4) and 4-6 (IPv6), port 8080, all up; every slot is 1 or 4;
 * next hop 1 and 2 (by family) out of `lo` with source NODE and NODE6.
 */
void edge_world(void);

/* Running. */

struct outcome {
	int action; /**< XDP_* */
	int reason; /**< enum fl_reason */
	struct frame out;
};

/** Feed a frame to `edge`, arriving on `lo`; not written down. */
void edge_run(const struct frame *in, struct outcome *ret);
/** The same from another interface. `row` names it in messages and for the oracle;
 * NULL = it is not written down. */
void edge_run_from(uint32_t ifindex, const char *row, const struct frame *in, struct outcome *ret);
/** Feed a frame to `target`, arriving on `lo`. */
void target_run(const char *row, const struct frame *in, struct outcome *ret);
/** What this node is called: FL_ADDRESS_* bits for `target`. */
void target_address(const char *addr, uint32_t bits);
/** Who may send it tunnelled packets: "192.0.2.0/24". */
void target_balancer(const char *prefix);
/** Feed a frame to `explain`. */
void edge_explain(const struct frame *in, struct fl_explanation *ret, int *ret_action);
/** Run `sweep` at a second of our choice. @return connections it forgot */
uint32_t edge_sweep(uint32_t now_s);

/** Is the sum over all reasons the number of packets that were run? Call it at the end. */
void edge_check_sum(void);

struct fl_frontend_stats edge_frontend_stats(uint32_t frontend);
struct fl_endpoint_stats edge_endpoint_stats(uint32_t endpoint);

const char *edge_reason_name(int reason);
const char *edge_action_name(int action);

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "balance/ramp.h"
#include "core/addr.h"
#include "core/problem.h"
#include "fairlead/node.h"
#include "model/cause.h"
#include "model/check.h"
#include "model/registration.h"

/**
 * @file service.h
 * A service as somebody declared it: the unit that registries publish, plans
 * compare and the kernel serves.
 *
 * A finished service is immutable and counted by reference, so that snapshots
 * share the ones that did not change. Only its ids are filled in later, once,
 * by model/ids. Pure: no sockets, maps, clock or log.
 */

struct fl_frontend {
	struct fl_ip addr;
	uint16_t port;         /**< host order; 0 = every port */
	uint8_t proto;         /**< IPPROTO_TCP or IPPROTO_UDP */
	unsigned line, column; /**< where it was declared, in the service's file */
	uint32_t id;           /**< 0 until model/ids gave one */
};

struct fl_endpoint {
	struct fl_ip addr;
	uint16_t port;   /**< host order; 0 = the frontend's */
	uint16_t weight; /**< 0 = takes no new flows */
	/** What it weighs among the endpoints of its service just now: see fl_endpoint_share. */
	uint16_t share;
	uint16_t ramp; /**< thousandths of its weight that it has in its slow start; 0 = all */
	enum fl_state state;
	bool backup; /**< takes new flows only while no other does */
	char *zone;  /**< NULL = unknown */
	char *node;  /**< NULL = unknown */
	unsigned line, column;
	uint32_t id; /**< 0 until model/ids gave one */
	/* Filled by health/overlay; no part of what the service is. */
	enum fl_cause cause; /**< of state and weight */
	uint64_t
		since_ms; /**< when `state` became what it is, CLOCK_REALTIME; 0 = not known here */
	char *detail;     /**< what was seen; NULL = nothing */
};

struct fl_service {
	unsigned references;
	struct fl_service *declared; /**< one that this is an overlay of: owns names, texts and the
				      * registration; NULL = it is declared itself */
	char *name;
	enum fl_forward forward;
	enum fl_balance balance;
	enum fl_key key;           /**< of FL_MAGLEV on the node path */
	enum fl_locality locality; /**< of the node path, as all below it down to fail_timeout_s */
	uint32_t affinity_s;       /**< 0 = off */
	uint16_t spill_percent;    /**< of the load of a farther endpoint; 0 = off */
	uint16_t max_fails;        /**< failed connects within fail_timeout_s; 0 = never eject */
	uint8_t max_ejected_percent;
	uint16_t fail_timeout_s;
	/** Seconds after which connections of this node to an endpoint that went are closed. */
	uint32_t stale_s;
	enum fl_udp udp;
	uint32_t slots;        /**< table size asked for; 0 = from the ladder */
	uint32_t settle_tcp_s; /**< W and E of design 3.1, default 900 */
	uint32_t settle_udp_s; /**< default 60 */
	uint8_t panic_percent; /**< 0 = off */
	bool cross_family;     /**< ipip, gue: use endpoints of both families for each frontend */
	struct fl_frontend *frontends;
	size_t frontend_count;
	struct fl_endpoint *endpoints; /**< sorted by address, then port */
	size_t endpoint_count;
	size_t family_endpoints[FL_FAMILIES]; /**< endpoints of each family; counted by finish */
	struct fl_registration registration;  /**< how it is written into a registry, if it is */
	uint32_t min_healthy;                 /**< endpoints up below which all are used; 0 = off */
	bool in_panic; /**< of an overlay: too few are up, and all are used */
	struct fl_slow_start slow_start;
	uint32_t heartbeat_ms; /**< within which each endpoint sends one; 0 = none is expected */
	struct fl_check check; /**< how its endpoints are probed, if they are */
	bool varies;     /**< endpoints come and go by themselves: a family without is no error */
	bool incomplete; /**< parts had errors and are missing: what lacks is not told again */
	char *registry;  /**< name of the registry that declared it: "inline" for the config file */
	char *file;      /**< NULL = not from a file */
	unsigned line, column;
	uint32_t id; /**< 0 until model/ids gave one */
};

/** stale_s: they are left alone. */
#define FL_STALE_KEEP           UINT32_MAX
#define FL_SETTLE_TCP_DEFAULT_S 900
#define FL_SETTLE_UDP_DEFAULT_S 60
#define FL_MAX_FAILS_DEFAULT    3
#define FL_FAIL_TIMEOUT_DEFAULT 10
#define FL_MAX_EJECTED_DEFAULT  50

/** A service with defaults and one reference. @return NULL when out of memory */
struct fl_service *fl_service_new(const char *name);
struct fl_service *fl_service_ref(struct fl_service *service);
/**
 * The same service with endpoints whose state, weight, cause, since_ms and detail (malloc)
 * may be set before it is published. Numbers are not taken along. Keeps a reference to `declared`.
 * @return one reference, NULL when out of memory
 */
struct fl_service *fl_service_overlay(struct fl_service *declared);
/** NULL is welcome. */
void fl_service_unref(struct fl_service *service);

/** Append one; the caller fills it in. Only before the service is published.
 * An endpoint begins up, with weight 1. @return NULL when out of memory */
struct fl_frontend *fl_service_add_frontend(struct fl_service *service);
struct fl_endpoint *fl_service_add_endpoint(struct fl_service *service);
/** Take the endpoint back that was added last. */
void fl_service_drop_endpoint(struct fl_service *service);

/**
 * Sort the endpoints and check what needs the whole service: duplicate
 * frontends and endpoints, ports that the forward mode cannot change, a frontend
 * without any usable endpoint or with itself as endpoint, counts, an unusable
 * `slots`. Says what is wrong with file, line and column. A service that
 * declares no endpoint at all is only warned about: it was drained to zero.
 * O(n log n) in its endpoints.
 * @return false when an error was added
 */
bool fl_service_finish(struct fl_service *service, struct fl_problems *problems);

/** Whether frontends of `family` may use the endpoint: its own family's, and in
 * ipip and gue also the other's when `cross_family` says so or there are no
 * others. Of a finished service. */
bool fl_service_uses(const struct fl_service *service, enum fl_family family,
	const struct fl_endpoint *endpoint);
/** Whether it gets new flows: it is up and has a weight. */
bool fl_endpoint_takes_flows(const struct fl_endpoint *endpoint);
/** The endpoint of an address. @param port  as declared: 0 = the frontend's @return NULL = none */
const struct fl_endpoint *fl_service_endpoint_at(
	const struct fl_service *service, const struct fl_ip *addr, uint16_t port);
/** The same by its text (fl_socket_parse), with its port, or without one if it takes the
 * frontend's. */
const struct fl_endpoint *fl_service_endpoint_named(
	const struct fl_service *service, const char *address);
/** Its weight, as long as no endpoint of its service is in its slow start; then all are
 * scaled up, so that a part of weight 1 can be told from none. What is proportional to weights
 * does not notice. */
uint16_t fl_endpoint_share(const struct fl_endpoint *endpoint);
/** Fill the shares of an overlay from weights and ramps. @return whether any ramps */
bool fl_service_share(struct fl_service *service);
/** The state that its flows meet: one without a weight takes old flows only, as if it were
 * draining, also where no slot decides (a port that is used again, say). */
enum fl_state fl_endpoint_flow_state(const struct fl_endpoint *endpoint);
/** Whether it has a frontend of that family, and so a table. */
bool fl_service_has_family(const struct fl_service *service, enum fl_family family);
/** How many endpoints frontends of `family` may use, whatever their state and
 * weight. Of a finished service. */
size_t fl_service_usable(const struct fl_service *service, enum fl_family family);

/** Size of the table for a family: `slots`, or the smallest of the ladder that
 * is ≥ 100 × the usable endpoints whatever their health, at least the first.
 * 0 = no frontend of it. Of a finished service. */
uint32_t fl_service_table_size(const struct fl_service *service, enum fl_family family);

/** Whether the node path chooses alike for both, as far as their settings go. */
bool fl_service_chooses_alike(const struct fl_service *a, const struct fl_service *b);
/** Whether two services are the same to everybody who looks. Ids, references
 * and the place of declaration do not count. */
bool fl_service_equal(const struct fl_service *a, const struct fl_service *b);

/** Whether the agent probes its endpoints, rather than the registry it is written into. */
bool fl_service_is_probed(const struct fl_service *service);
/** The port that a probe of the endpoint goes to: the check's, its own, or that of the first
 * frontend that has one. @return host order, 0 = there is none */
uint16_t fl_service_probe_port(
	const struct fl_service *service, const struct fl_endpoint *endpoint);

const char *fl_forward_name(enum fl_forward forward);
const char *fl_balance_name(enum fl_balance balance);
const char *fl_key_name(enum fl_key key);
const char *fl_locality_name(enum fl_locality locality);
const char *fl_state_name(enum fl_state state);
const char *fl_proto_name(uint8_t proto); /**< "tcp", "udp" */
/** "10.0.0.10:80/tcp". @return `buffer` */
char *fl_frontend_format(const struct fl_frontend *frontend, char buffer[FL_SOCKET_TEXT]);

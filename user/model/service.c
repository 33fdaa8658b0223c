/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "model/service.h"

#include <assert.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "core/text.h"

static const uint32_t ladder[FL_SIZE_CLASSES] = FL_SIZES;

/* Slots per endpoint that keep the shares even (design 3.1). */
#define SLOTS_PER_ENDPOINT 100

static const char *const forward_names[FL_FORWARDS] = {
	[FL_NAT] = "nat",
	[FL_L2] = "l2",
	[FL_IPIP] = "ipip",
	[FL_GUE] = "gue",
};

static const char *const balance_names[FL_BALANCES] = {
	[FL_MAGLEV] = "maglev",
	[FL_RANDOM] = "random",
	[FL_ROUND_ROBIN] = "round-robin",
	[FL_LEAST_CONNECTIONS] = "least-connections",
	[FL_P2C] = "p2c",
};

struct fl_service *fl_service_new(const char *name)
{
	struct fl_service *service = calloc(1, sizeof(*service));

	if (!service)
		return NULL;
	service->references = 1;
	service->settle_tcp_s = FL_SETTLE_TCP_DEFAULT_S;
	service->settle_udp_s = FL_SETTLE_UDP_DEFAULT_S;
	service->stale_s = FL_STALE_KEEP;
	service->slow_start =
		(struct fl_slow_start){ .aggression_hundredths = FL_AGGRESSION_DEFAULT,
			.min_percent = FL_MIN_PERCENT_DEFAULT };
	service->max_fails = FL_MAX_FAILS_DEFAULT;
	service->fail_timeout_s = FL_FAIL_TIMEOUT_DEFAULT;
	service->max_ejected_percent = FL_MAX_EJECTED_DEFAULT;
	service->name = strdup(name);
	if (!service->name) {
		fl_service_unref(service);
		return NULL;
	}
	return service;
}

struct fl_service *fl_service_ref(struct fl_service *service)
{
	service->references++;
	return service;
}

/* What an overlay shares with the service that it is one of. */
static void free_declared(struct fl_service *service)
{
	for (size_t i = 0; i < service->endpoint_count; i++) {
		free(service->endpoints[i].zone);
		free(service->endpoints[i].node);
	}
	fl_registration_done(&service->registration);
	fl_check_done(&service->check);
	free(service->name);
	free(service->registry);
	free(service->file);
}

void fl_service_unref(struct fl_service *service)
{
	if (!service || --service->references)
		return;
	if (!service->declared)
		free_declared(service);
	for (size_t i = 0; i < service->endpoint_count; i++)
		free(service->endpoints[i].detail);
	fl_service_unref(service->declared);
	free(service->endpoints);
	free(service->frontends);
	free(service);
}

struct fl_service *fl_service_overlay(struct fl_service *declared)
{
	struct fl_service *service = malloc(sizeof(*service));

	assert(!declared->declared);
	if (!service)
		return NULL;
	*service = *declared;
	service->references = 1;
	service->id = 0;
	service->declared = fl_service_ref(declared);
	service->endpoints = calloc(declared->endpoint_count + 1, sizeof(*service->endpoints));
	service->frontends = calloc(declared->frontend_count + 1, sizeof(*service->frontends));
	if (!service->endpoints || !service->frontends) {
		service->endpoint_count = 0;
		fl_service_unref(service);
		return NULL;
	}
	for (size_t i = 0; i < declared->endpoint_count; i++) {
		service->endpoints[i] = declared->endpoints[i];
		service->endpoints[i].id = 0;
	}
	for (size_t i = 0; i < declared->frontend_count; i++) {
		service->frontends[i] = declared->frontends[i];
		service->frontends[i].id = 0;
	}
	return service;
}

/* Arrays grow by doubling: there is room whenever the count is no power of two. */
static void *append(void **items, size_t *count, size_t size)
{
	char *item;

	if ((*count & (*count - 1)) == 0) {
		void *moved = reallocarray(*items, *count ? *count * 2 : 1, size);

		if (!moved)
			return NULL;
		*items = moved;
	}
	item = (char *)*items + *count * size;
	memset(item, 0, size);
	(*count)++;
	return item;
}

struct fl_frontend *fl_service_add_frontend(struct fl_service *service)
{
	return append((void **)&service->frontends, &service->frontend_count,
		sizeof(*service->frontends));
}

struct fl_endpoint *fl_service_add_endpoint(struct fl_service *service)
{
	struct fl_endpoint *endpoint = append((void **)&service->endpoints,
		&service->endpoint_count, sizeof(*service->endpoints));

	if (endpoint) {
		endpoint->weight = 1;
		endpoint->state = FL_UP;
	}
	return endpoint;
}

void fl_service_drop_endpoint(struct fl_service *service)
{
	struct fl_endpoint *endpoint = &service->endpoints[--service->endpoint_count];

	free(endpoint->zone);
	free(endpoint->node);
}

/* ------------------------------------------------------------------ finish */

static bool is_tunnel(const struct fl_service *service)
{
	return service->forward == FL_IPIP || service->forward == FL_GUE;
}

static struct fl_place place_of(const struct fl_service *service, unsigned line, unsigned column)
{
	return (struct fl_place){ service->file, line, column };
}

static int by_address(const void *a, const void *b)
{
	const struct fl_endpoint *x = a;
	const struct fl_endpoint *y = b;
	int order = fl_ip_compare(&x->addr, &y->addr);

	if (order)
		return order;
	if (x->port != y->port)
		return x->port < y->port ? -1 : 1;
	if (x->line != y->line)
		return x->line < y->line ? -1 : 1;
	return x->column < y->column ? -1 : x->column > y->column;
}

static void sort_endpoints(struct fl_service *service)
{
	if (service->endpoint_count)
		qsort(service->endpoints, service->endpoint_count, sizeof(*service->endpoints),
			by_address);
	service->family_endpoints[FL_IPV4] = service->family_endpoints[FL_IPV6] = 0;
	for (size_t i = 0; i < service->endpoint_count; i++)
		service->family_endpoints[fl_ip_family(&service->endpoints[i].addr)]++;
}

static void check_counts(const struct fl_service *service, struct fl_problems *problems)
{
	struct fl_place place = place_of(service, service->line, service->column);

	if (service->frontend_count > FL_FRONTENDS_PER_SERVICE)
		fl_problem_add(problems, place,
			"services.frontends: %s has %zu frontends, expected at most %d",
			service->name, service->frontend_count, FL_FRONTENDS_PER_SERVICE);
	if (service->endpoint_count > FL_ENDPOINTS_PER_SERVICE)
		fl_problem_add(problems, place,
			"services.endpoints: %s has %zu endpoints, expected at most %d",
			service->name, service->endpoint_count, FL_ENDPOINTS_PER_SERVICE);
	if (service->incomplete)
		return;
	if (!service->frontend_count)
		fl_problem_add(problems, place,
			"services.frontends: %s has none, expected at least one "
			"ADDRESS:PORT/PROTOCOL",
			service->name);
	if (!service->endpoint_count)
		fl_problem_warn(problems, place,
			"services.endpoints: %s has none: what is sent to it is dropped "
			"(no_endpoint)",
			service->name);
}

static bool is_same_frontend(const struct fl_frontend *a, const struct fl_frontend *b)
{
	return a->proto == b->proto && a->port == b->port && fl_ip_equal(&a->addr, &b->addr);
}

static void check_duplicate_frontends(
	const struct fl_service *service, struct fl_problems *problems)
{
	char text[FL_SOCKET_TEXT];

	/* Pairs: there are at most 64 in a service that passes check_counts. */
	if (service->frontend_count > FL_FRONTENDS_PER_SERVICE)
		return;
	for (size_t i = 0; i < service->frontend_count; i++) {
		const struct fl_frontend *frontend = &service->frontends[i];

		for (size_t j = 0; j < i; j++) {
			const struct fl_frontend *first = &service->frontends[j];

			if (!is_same_frontend(frontend, first))
				continue;
			fl_problem_add(problems,
				place_of(service, frontend->line, frontend->column),
				"services.frontends: %s stands at %u:%u already, expected each "
				"only once",
				fl_frontend_format(frontend, text), first->line, first->column);
			break;
		}
	}
}

static void check_duplicate_endpoints(
	const struct fl_service *service, struct fl_problems *problems)
{
	char text[FL_SOCKET_TEXT];

	for (size_t i = 1; i < service->endpoint_count; i++) {
		const struct fl_endpoint *first = &service->endpoints[i - 1];
		const struct fl_endpoint *endpoint = &service->endpoints[i];

		if (endpoint->port != first->port || !fl_ip_equal(&endpoint->addr, &first->addr))
			continue;
		fl_problem_add(problems, place_of(service, endpoint->line, endpoint->column),
			"services.endpoints: %s stands at %u:%u already, expected each only once",
			fl_socket_format(&endpoint->addr, endpoint->port, text), first->line,
			first->column);
	}
}

/* Only nat can change a port. One message for an endpoint, however many frontends. */
static void check_port(const struct fl_service *service, const struct fl_endpoint *endpoint,
	struct fl_problems *problems)
{
	char text[FL_SOCKET_TEXT];

	if (service->forward == FL_NAT || !endpoint->port)
		return;
	for (size_t i = 0; i < service->frontend_count; i++) {
		const struct fl_frontend *frontend = &service->frontends[i];

		if (frontend->port == endpoint->port ||
			!fl_service_uses(service, fl_ip_family(&frontend->addr), endpoint))
			continue;
		fl_problem_add(problems, place_of(service, endpoint->line, endpoint->column),
			"services.endpoints.address: port %u cannot differ from the frontend's "
			"(%s) in %s, expected the same port or none",
			endpoint->port, fl_frontend_format(frontend, text),
			fl_forward_name(service->forward));
		return;
	}
}

/* A packet sent to its own frontend would come back for ever. */
static void check_loop(const struct fl_service *service, const struct fl_endpoint *endpoint,
	struct fl_problems *problems)
{
	char text[FL_SOCKET_TEXT];

	for (size_t i = 0; i < service->frontend_count; i++) {
		const struct fl_frontend *frontend = &service->frontends[i];

		if (!fl_ip_equal(&frontend->addr, &endpoint->addr))
			continue;
		if (service->forward == FL_NAT && endpoint->port && frontend->port &&
			endpoint->port != frontend->port)
			continue;
		fl_problem_add(problems, place_of(service, endpoint->line, endpoint->column),
			"services.endpoints.address: is the frontend %s itself, expected the "
			"address of a server behind it",
			fl_frontend_format(frontend, text));
		return;
	}
}

static void check_endpoints(const struct fl_service *service, struct fl_problems *problems)
{
	char text[FL_IP_TEXT];

	/* The checks go through all frontends: not with more than there may be. */
	if (service->frontend_count > FL_FRONTENDS_PER_SERVICE)
		return;
	for (size_t i = 0; i < service->endpoint_count; i++) {
		const struct fl_endpoint *endpoint = &service->endpoints[i];

		check_port(service, endpoint, problems);
		check_loop(service, endpoint, problems);
		if (fl_ip_is_loopback(&endpoint->addr))
			fl_problem_warn(problems,
				place_of(service, endpoint->line, endpoint->column),
				"services.endpoints.address: %s is a loopback address: what comes "
				"from the network cannot be sent there",
				fl_ip_format(&endpoint->addr, text));
	}
}

static void check_families(const struct fl_service *service, struct fl_problems *problems)
{
	char text[FL_SOCKET_TEXT];

	if (service->incomplete || !service->endpoint_count)
		return;
	for (size_t i = 0; i < service->frontend_count; i++) {
		const struct fl_frontend *frontend = &service->frontends[i];
		enum fl_family family = fl_ip_family(&frontend->addr);

		if (fl_service_usable(service, family))
			continue;
		if (service->varies) {
			fl_problem_warn(problems,
				place_of(service, frontend->line, frontend->column),
				"services.frontends: %s has no usable endpoint now: what is sent "
				"to it is dropped (no_endpoint)",
				fl_frontend_format(frontend, text));
			continue;
		}
		fl_problem_add(problems, place_of(service, frontend->line, frontend->column),
			"services.frontends: %s has no usable endpoint: %s forwards %s only to "
			"endpoints of that family, expected at least one",
			fl_frontend_format(frontend, text), fl_forward_name(service->forward),
			family == FL_IPV4 ? "IPv4" : "IPv6");
	}
}

static bool is_on_ladder(uint32_t size)
{
	for (int i = 0; i < FL_SIZE_CLASSES; i++)
		if (ladder[i] == size)
			return true;
	return false;
}

static void check_slots(const struct fl_service *service, struct fl_problems *problems)
{
	struct fl_place place = place_of(service, service->line, service->column);
	size_t most = 0;

	for (enum fl_family family = 0; family < FL_FAMILIES; family++)
		if (fl_service_has_family(service, family) &&
			fl_service_usable(service, family) > most)
			most = fl_service_usable(service, family);
	if (service->slots && !is_on_ladder(service->slots))
		fl_problem_add(problems, place,
			"services.slots: %u is none of the sizes there are, expected 251, 1021, "
			"4093, 16381 or 65537",
			service->slots);
	else if (service->slots && service->slots <= most)
		fl_problem_add(problems, place,
			"services.slots: %u are too few for the %zu endpoints of %s, expected more "
			"than there are endpoints (100 for each keeps the shares even)",
			service->slots, most, service->name);
	else if (!service->slots && most <= FL_ENDPOINTS_PER_SERVICE &&
		 most * SLOTS_PER_ENDPOINT > ladder[FL_SIZE_CLASSES - 1])
		fl_problem_warn(problems, place,
			"services.endpoints: %s has %zu endpoints in one table: beyond 655 the "
			"largest one (65537 slots) has fewer than 100 for each, and shares are "
			"less even",
			service->name, most);
}

bool fl_service_finish(struct fl_service *service, struct fl_problems *problems)
{
	size_t errors = problems->errors;

	assert(service->references == 1);
	sort_endpoints(service);
	check_counts(service, problems);
	check_duplicate_frontends(service, problems);
	check_duplicate_endpoints(service, problems);
	check_endpoints(service, problems);
	check_families(service, problems);
	check_slots(service, problems);
	return problems->errors == errors;
}

/* ----------------------------------------------------------------- queries */

bool fl_service_uses(
	const struct fl_service *service, enum fl_family family, const struct fl_endpoint *endpoint)
{
	if (fl_ip_family(&endpoint->addr) == family)
		return true;
	return is_tunnel(service) && (service->cross_family || !service->family_endpoints[family]);
}

const struct fl_endpoint *fl_service_endpoint_at(
	const struct fl_service *service, const struct fl_ip *addr, uint16_t port)
{
	for (size_t i = 0; i < service->endpoint_count; i++)
		if (service->endpoints[i].port == port &&
			fl_ip_equal(&service->endpoints[i].addr, addr))
			return &service->endpoints[i];
	return NULL;
}

const struct fl_endpoint *fl_service_endpoint_named(
	const struct fl_service *service, const char *address)
{
	struct fl_ip addr;
	uint16_t port;

	if (fl_socket_parse(address, false, &addr, &port) < 0)
		return NULL;
	return fl_service_endpoint_at(service, &addr, port);
}

bool fl_endpoint_takes_flows(const struct fl_endpoint *endpoint)
{
	return endpoint->state == FL_UP && endpoint->weight > 0;
}

uint16_t fl_endpoint_share(const struct fl_endpoint *endpoint)
{
	return endpoint->share ? endpoint->share : endpoint->weight;
}

#define SHARE_SCALE 100

bool fl_service_share(struct fl_service *service)
{
	uint32_t largest = 1, scale;
	bool ramps = false;

	for (size_t i = 0; i < service->endpoint_count; i++) {
		const struct fl_endpoint *endpoint = &service->endpoints[i];

		largest = endpoint->weight > largest ? endpoint->weight : largest;
		ramps = ramps || (endpoint->ramp && endpoint->weight);
	}
	scale = UINT16_MAX / largest < SHARE_SCALE ? UINT16_MAX / largest : SHARE_SCALE;
	for (size_t i = 0; ramps && i < service->endpoint_count; i++) {
		struct fl_endpoint *endpoint = &service->endpoints[i];
		uint32_t share = endpoint->weight * scale;

		if (endpoint->ramp)
			share = share * endpoint->ramp / FL_RAMP_WHOLE;
		endpoint->share = (uint16_t)(share || !endpoint->weight ? share : 1);
	}
	return ramps;
}

enum fl_state fl_endpoint_flow_state(const struct fl_endpoint *endpoint)
{
	return endpoint->state == FL_UP && !endpoint->weight ? FL_DRAINING : endpoint->state;
}

bool fl_service_is_probed(const struct fl_service *service)
{
	return fl_check_probe(&service->check) != FL_PROBE_NONE && !service->registration.registry;
}

uint16_t fl_service_probe_port(const struct fl_service *service, const struct fl_endpoint *endpoint)
{
	uint16_t port = service->check.port ? service->check.port : endpoint->port;

	for (size_t i = 0; i < service->frontend_count && !port; i++)
		port = service->frontends[i].port;
	return port;
}

bool fl_service_has_family(const struct fl_service *service, enum fl_family family)
{
	for (size_t i = 0; i < service->frontend_count; i++)
		if (fl_ip_family(&service->frontends[i].addr) == family)
			return true;
	return false;
}

size_t fl_service_usable(const struct fl_service *service, enum fl_family family)
{
	size_t own = service->family_endpoints[family];

	if (is_tunnel(service) && (service->cross_family || !own))
		return service->endpoint_count;
	return own;
}

uint32_t fl_service_table_size(const struct fl_service *service, enum fl_family family)
{
	size_t wanted;

	if (!fl_service_has_family(service, family))
		return 0;
	if (service->slots)
		return service->slots;
	wanted = SLOTS_PER_ENDPOINT * fl_service_usable(service, family);
	for (int i = 0; i < FL_SIZE_CLASSES; i++)
		if (ladder[i] >= wanted)
			return ladder[i];
	return ladder[FL_SIZE_CLASSES - 1];
}

static bool is_same_endpoint(const struct fl_endpoint *a, const struct fl_endpoint *b)
{
	return a->port == b->port && a->weight == b->weight && a->share == b->share &&
	       a->ramp == b->ramp && a->state == b->state && a->backup == b->backup &&
	       fl_ip_equal(&a->addr, &b->addr) && fl_text_is_same(a->zone, b->zone) &&
	       fl_text_is_same(a->node, b->node);
}

bool fl_service_chooses_alike(const struct fl_service *a, const struct fl_service *b)
{
	return a->balance == b->balance && a->key == b->key && a->locality == b->locality &&
	       a->affinity_s == b->affinity_s && a->spill_percent == b->spill_percent &&
	       a->max_fails == b->max_fails && a->fail_timeout_s == b->fail_timeout_s &&
	       a->max_ejected_percent == b->max_ejected_percent &&
	       a->panic_percent == b->panic_percent;
}

bool fl_service_equal(const struct fl_service *a, const struct fl_service *b)
{
	if (strcmp(a->name, b->name) != 0 || a->forward != b->forward ||
		!fl_service_chooses_alike(a, b) || a->stale_s != b->stale_s || a->udp != b->udp ||
		a->slots != b->slots || a->settle_tcp_s != b->settle_tcp_s ||
		a->settle_udp_s != b->settle_udp_s || a->cross_family != b->cross_family ||
		a->frontend_count != b->frontend_count || a->endpoint_count != b->endpoint_count ||
		!fl_registration_equal(&a->registration, &b->registration) ||
		a->heartbeat_ms != b->heartbeat_ms ||
		a->slow_start.window_s != b->slow_start.window_s ||
		a->slow_start.aggression_hundredths != b->slow_start.aggression_hundredths ||
		a->slow_start.min_percent != b->slow_start.min_percent ||
		a->min_healthy != b->min_healthy || a->in_panic != b->in_panic ||
		!fl_check_equal(&a->check, &b->check))
		return false;
	for (size_t i = 0; i < a->frontend_count; i++)
		if (!is_same_frontend(&a->frontends[i], &b->frontends[i]))
			return false;
	for (size_t i = 0; i < a->endpoint_count; i++)
		if (!is_same_endpoint(&a->endpoints[i], &b->endpoints[i]))
			return false;
	return true;
}

/* ------------------------------------------------------------------- words */

const char *fl_forward_name(enum fl_forward forward)
{
	return forward_names[forward];
}

const char *fl_balance_name(enum fl_balance balance)
{
	return balance_names[balance];
}

const char *fl_key_name(enum fl_key key)
{
	static const char *const names[FL_KEYS] = { "random", "source", "cgroup" };

	return names[key];
}

const char *fl_locality_name(enum fl_locality locality)
{
	return locality == FL_LOCALITY_NODE   ? "node"
	       : locality == FL_LOCALITY_ZONE ? "zone"
					      : "off";
}

const char *fl_state_name(enum fl_state state)
{
	switch (state) {
	case FL_UP:
		return "up";
	case FL_DRAINING:
		return "draining";
	case FL_MAINTENANCE:
		return "maintenance";
	case FL_DOWN:
		break;
	}
	return "down";
}

const char *fl_proto_name(uint8_t proto)
{
	return proto == IPPROTO_UDP ? "udp" : "tcp";
}

char *fl_frontend_format(const struct fl_frontend *frontend, char buffer[FL_SOCKET_TEXT])
{
	size_t length = strlen(fl_socket_format(&frontend->addr, frontend->port, buffer));

	snprintf(buffer + length, FL_SOCKET_TEXT - length, "/%s", fl_proto_name(frontend->proto));
	return buffer;
}

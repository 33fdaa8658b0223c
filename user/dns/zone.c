/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "dns/zone.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "dns/index.h"

struct fl_dns_zone {
	struct fl_dns_name domain;
	uint32_t ttl_s;
	struct fl_ip server;
	uint64_t seed;
	uint64_t random; /* state of the generator; never 0 */
	struct fl_dns_index index;
	struct fl_dns_record records[FL_DNS_RECORDS_MAX];
};

int fl_dns_zone_new(const char *domain, uint32_t ttl_s, const struct fl_ip *server, uint64_t seed,
	struct fl_dns_zone **ret)
{
	struct fl_dns_zone *zone = calloc(1, sizeof(*zone));
	int r;

	if (!zone)
		return -ENOMEM;
	zone->server = *server;
	zone->seed = seed;
	zone->random = seed | 1;
	r = fl_dns_zone_set(zone, domain, ttl_s);
	if (r < 0) {
		fl_dns_zone_free(zone);
		return r;
	}
	*ret = zone;
	return 0;
}

void fl_dns_zone_free(struct fl_dns_zone *zone)
{
	if (!zone)
		return;
	fl_dns_index_done(&zone->index);
	free(zone);
}

int fl_dns_zone_set(struct fl_dns_zone *zone, const char *domain, uint32_t ttl_s)
{
	int r = fl_dns_name_from_text(domain, &zone->domain);

	if (r < 0)
		return r;
	zone->ttl_s = ttl_s;
	return 0;
}

const struct fl_dns_name *fl_dns_zone_domain(const struct fl_dns_zone *zone)
{
	return &zone->domain;
}

uint32_t fl_dns_zone_ttl_s(const struct fl_dns_zone *zone)
{
	return zone->ttl_s;
}

const struct fl_ip *fl_dns_zone_server(const struct fl_dns_zone *zone)
{
	return &zone->server;
}

/* xorshift64* (Vigna 2016), its high half brought below the bound by a multiplication. */
uint32_t fl_dns_zone_random(struct fl_dns_zone *zone, uint32_t bound)
{
	zone->random ^= zone->random >> 12;
	zone->random ^= zone->random << 25;
	zone->random ^= zone->random >> 27;
	return (uint32_t)((zone->random * 0x2545f4914f6cdd1d >> 32) * bound >> 32);
}

/* ------------------------------------------------------------------- names */

/* A question on its way: its labels, and what was found so far. */
struct lookup {
	struct fl_dns_zone *zone;
	struct fl_snapshot *snapshot;
	const struct fl_dns_query *query;
	const uint8_t *labels[FL_DNS_LABELS_MAX]; /* those below the domain: length, bytes */
	size_t count;
	struct fl_dns_found *found;
};

/* Split the question's name where the domain begins. @return false when it is not in it */
static bool split(struct lookup *l)
{
	const struct fl_dns_name *name = &l->query->name;
	const struct fl_dns_name *domain = &l->zone->domain;
	size_t at = 0;

	if (name->length < domain->length)
		return false;
	while (at < (size_t)(name->length - domain->length)) {
		l->labels[l->count++] = name->wire + at;
		at += 1u + name->wire[at];
	}
	l->found->domain_at = at;
	/* Lengths of labels are no letters, and the root ends the domain alone. */
	return at == (size_t)(name->length - domain->length) &&
	       strncasecmp((const char *)name->wire + at, (const char *)domain->wire,
		       domain->length) == 0;
}

static bool label_is(const uint8_t *label, const char *word)
{
	return label[0] == strlen(word) &&
	       strncasecmp((const char *)label + 1, word, label[0]) == 0;
}

#define NAME_SIZE (FL_NAME_MAX + 1)

/* The first `end` labels as the name of a service, without its first `skip` bytes.
 * @return false when no service can be called so */
static bool join(const struct lookup *l, size_t end, size_t skip, char ret[NAME_SIZE])
{
	size_t length = 0;

	for (size_t i = 0; i < end; i++) {
		size_t from = i == 0 ? skip : 0;
		size_t count = l->labels[i][0] - from;
		const char *bytes = (const char *)l->labels[i] + 1 + from;

		if (!count || memchr(bytes, '.', count) || memchr(bytes, '\0', count) ||
			length + count + 1 > NAME_SIZE)
			return false;
		memcpy(ret + length, bytes, count);
		length += count;
		ret[length++] = '.';
	}
	ret[length - 1] = '\0';
	return true;
}

/* ----------------------------------------------------------------- records */

/* Whether records of the question's type can be made of the address. */
static bool suits(const struct lookup *l, const struct fl_ip *addr)
{
	enum fl_dns_type type = l->found->type;

	return type == FL_DNS_SRV ||
	       type == (fl_ip_family(addr) == FL_IPV4 ? FL_DNS_A : FL_DNS_AAAA);
}

/* Add one, unless it would stand twice. Endpoints are sorted by address, so that only the
 * last ones can be equal; frontends are not, and few. */
static void add(
	struct lookup *l, const struct fl_ip *addr, uint16_t port, uint16_t weight, bool sorted)
{
	struct fl_dns_found *found = l->found;
	bool repeats = false;

	for (size_t i = found->count; i-- > 0;) {
		bool same = fl_ip_equal(&found->records[i].addr, addr);

		if (same && (found->type != FL_DNS_SRV || found->records[i].port == port))
			return;
		if (sorted && !same)
			break;
		repeats |= same;
	}
	if (found->count < FL_DNS_RECORDS_MAX)
		found->records[found->count++] = (struct fl_dns_record){
			.addr = *addr, .port = port, .weight = weight, .repeats = repeats
		};
}

static bool is_of(const struct fl_frontend *frontend, uint8_t proto)
{
	return !proto || frontend->proto == proto;
}

/* An endpoint without a port of its own listens on those of the frontends. */
static void add_srv(struct lookup *l, const struct fl_service *service,
	const struct fl_endpoint *endpoint, uint8_t proto)
{
	if (endpoint->port) {
		add(l, &endpoint->addr, endpoint->port, endpoint->weight, true);
		return;
	}
	for (size_t i = 0; i < service->frontend_count; i++) {
		const struct fl_frontend *frontend = &service->frontends[i];

		if (frontend->port && is_of(frontend, proto))
			add(l, &endpoint->addr, frontend->port, endpoint->weight, true);
	}
}

static void add_endpoints(struct lookup *l, const struct fl_service *service, uint8_t proto)
{
	for (size_t i = 0; i < service->endpoint_count; i++) {
		const struct fl_endpoint *endpoint = &service->endpoints[i];

		if (!fl_endpoint_takes_flows(endpoint) || !suits(l, &endpoint->addr))
			continue;
		if (l->found->type == FL_DNS_SRV)
			add_srv(l, service, endpoint, proto);
		else
			add(l, &endpoint->addr, 0, 0, true);
	}
}

static void add_frontends(struct lookup *l, const struct fl_service *service, uint8_t proto)
{
	for (size_t i = 0; i < service->frontend_count; i++) {
		const struct fl_frontend *frontend = &service->frontends[i];
		bool is_srv = l->found->type == FL_DNS_SRV;

		if (is_of(frontend, proto) && suits(l, &frontend->addr) &&
			(!is_srv || frontend->port))
			add(l, &frontend->addr, frontend->port, 1, false);
	}
}

/* ------------------------------------------------------------------- kinds */

/* Each returns the code; records are in l->found. */

static enum fl_dns_rcode find_apex(struct lookup *l)
{
	uint16_t type = l->query->type;

	l->found->count = type == FL_DNS_SOA || type == FL_DNS_NS;
	return FL_DNS_NOERROR;
}

static enum fl_dns_rcode find_address(struct lookup *l, const struct fl_ip *addr)
{
	if (l->found->type != FL_DNS_SRV && suits(l, addr))
		add(l, addr, 0, 0, false);
	return FL_DNS_NOERROR;
}

static int hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static enum fl_dns_rcode find_hex(struct lookup *l)
{
	const uint8_t *label = l->labels[0];
	uint8_t bytes[16];
	struct fl_ip addr;

	if (l->count == 1)
		return FL_DNS_NOERROR; /* addr.DOMAIN itself */
	if (l->count != 2 || (label[0] != 8 && label[0] != 32))
		return FL_DNS_NXDOMAIN;
	for (size_t i = 0; i < label[0] / 2u; i++) {
		int high = hex_digit(label[1 + 2 * i]);
		int low = hex_digit(label[2 + 2 * i]);

		if (high < 0 || low < 0)
			return FL_DNS_NXDOMAIN;
		bytes[i] = (uint8_t)(high << 4 | low);
	}
	addr = fl_ip_from_bytes(label[0] == 8 ? FL_IPV4 : FL_IPV6, bytes);
	if (label[0] == 32 && fl_ip_family(&addr) == FL_IPV4)
		return FL_DNS_NXDOMAIN; /* IPv4 has the short form */
	return find_address(l, &addr);
}

static bool has_proto(const struct fl_service *service, uint8_t proto)
{
	for (size_t i = 0; i < service->frontend_count; i++)
		if (is_of(&service->frontends[i], proto))
			return true;
	return false;
}

typedef void (*add_all)(struct lookup *, const struct fl_service *, uint8_t proto);

/* @return the service that the first `end` labels name, or NULL */
static const struct fl_service *find_named(
	const struct lookup *l, size_t end, size_t skip, bool *ret_above)
{
	char name[NAME_SIZE];

	*ret_above = false;
	if (!join(l, end, skip, name))
		return NULL;
	return fl_dns_index_find(&l->zone->index, l->zone->seed, name, ret_above);
}

/* "_NAME._tcp" (RFC 2782) holds SRV records and nothing else. */
static enum fl_dns_rcode find_by_proto(
	struct lookup *l, size_t end, uint8_t proto, add_all add_all_of)
{
	bool is_whole = l->labels[0][0] && l->labels[0][1] == '_';
	bool above;
	const struct fl_service *service = find_named(l, end, is_whole, &above);

	if (!is_whole)
		return above ? FL_DNS_NOERROR : FL_DNS_NXDOMAIN;
	if (!service || !has_proto(service, proto))
		return FL_DNS_NXDOMAIN;
	if (l->found->type == FL_DNS_SRV)
		add_all_of(l, service, proto);
	return FL_DNS_NOERROR;
}

static enum fl_dns_rcode find_service(struct lookup *l, add_all add_all_of)
{
	size_t end = l->count - 1; /* labels of the name */
	const struct fl_service *service;
	uint8_t proto = 0;
	bool above;

	if (end && label_is(l->labels[end - 1], "_tcp"))
		proto = IPPROTO_TCP;
	else if (end && label_is(l->labels[end - 1], "_udp"))
		proto = IPPROTO_UDP;
	end -= proto != 0;
	if (!end)
		return FL_DNS_NOERROR; /* service.DOMAIN, _tcp.service.DOMAIN: above others */
	if (fl_dns_index_follow(&l->zone->index, l->snapshot, l->zone->seed) < 0)
		return FL_DNS_SERVFAIL;
	if (proto)
		return find_by_proto(l, end, proto, add_all_of);
	service = find_named(l, end, 0, &above);
	if (service)
		add_all_of(l, service, 0);
	return service || above ? FL_DNS_NOERROR : FL_DNS_NXDOMAIN;
}

static enum fl_dns_rcode find_below(struct lookup *l)
{
	const uint8_t *kind = l->labels[l->count - 1];

	if (label_is(kind, "service"))
		return find_service(l, add_endpoints);
	if (label_is(kind, "virtual"))
		return find_service(l, add_frontends);
	if (label_is(kind, "addr"))
		return find_hex(l);
	if (label_is(kind, "ns") && l->count == 1)
		return find_address(l, &l->zone->server);
	return FL_DNS_NXDOMAIN;
}

void fl_dns_zone_look_up(struct fl_dns_zone *zone, struct fl_snapshot *snapshot,
	const struct fl_dns_query *query, struct fl_dns_found *ret)
{
	struct lookup l = { .zone = zone, .snapshot = snapshot, .query = query, .found = ret };
	bool is_any = query->type == FL_DNS_ANY;

	*ret = (struct fl_dns_found){ .rcode = FL_DNS_REFUSED, .records = zone->records };
	if (query->class != FL_DNS_CLASS_IN || query->type == FL_DNS_AXFR ||
		query->type == FL_DNS_IXFR || !split(&l))
		return;
	if (!snapshot) {
		ret->rcode = FL_DNS_SERVFAIL;
		return;
	}
	ret->ours = true;
	ret->type = is_any ? FL_DNS_HINFO : query->type;
	ret->rcode = l.count ? find_below(&l) : find_apex(&l);
	if (ret->rcode == FL_DNS_SERVFAIL)
		ret->ours = false;
	if (is_any)
		ret->count = ret->rcode == FL_DNS_NOERROR;
}

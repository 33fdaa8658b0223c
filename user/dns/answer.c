/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "dns/answer.h"

/* One answer being made. */
struct answer {
	struct fl_dns_zone *zone;
	const struct fl_snapshot *snapshot;
	enum fl_dns_transport transport;
	struct fl_dns_found found;
	struct fl_dns_writer writer;
};

static size_t room_for(enum fl_dns_transport transport, const struct fl_dns_query *query)
{
	if (transport == FL_DNS_TCP)
		return FL_DNS_MESSAGE_MAX;
	return query->payload < FL_DNS_UDP_MAX ? query->payload : FL_DNS_UDP_MAX;
}

/* ------------------------------------------------------- many, in any order */

static size_t size_of(const struct answer *a, const struct fl_dns_record *record)
{
	if (a->found.type == FL_DNS_SRV)
		return fl_dns_srv_size(&record->addr, fl_dns_zone_domain(a->zone));
	return fl_dns_address_size(fl_ip_family(&record->addr));
}

/* Fisher and Yates. */
static void shuffle(struct answer *a, size_t count)
{
	struct fl_dns_record *records = a->found.records;

	for (size_t i = count; i > 1; i--) {
		size_t other = fl_dns_zone_random(a->zone, (uint32_t)i);
		struct fl_dns_record held = records[i - 1];

		records[i - 1] = records[other];
		records[other] = held;
	}
}

/* How many of the records fit, counted from the first. */
static size_t fitting(const struct answer *a)
{
	size_t room = fl_dns_room(&a->writer);
	size_t count = 0;

	for (; count < a->found.count; count++) {
		size_t size = size_of(a, &a->found.records[count]);

		if (size > room)
			break;
		room -= size;
	}
	return count;
}

static size_t choose(struct answer *a)
{
	size_t count;

	if (a->transport == FL_DNS_UDP)
		shuffle(a, a->found.count);
	count = fitting(a);
	if (a->transport == FL_DNS_TCP)
		shuffle(a, count);
	a->writer.truncated = count < a->found.count;
	return count;
}

/* ----------------------------------------------------------------- records */

static void put_addresses(struct answer *a)
{
	size_t count = choose(a);

	for (size_t i = 0; i < count; i++)
		fl_dns_put_address(&a->writer, FL_DNS_ANSWER, fl_dns_question_at(0),
			fl_dns_zone_ttl_s(a->zone), &a->found.records[i].addr);
}

/* The addresses of targets are a courtesy: each once, and as far as they fit. */
static void put_srvs(struct answer *a)
{
	uint32_t ttl_s = fl_dns_zone_ttl_s(a->zone);
	size_t count = choose(a);

	for (size_t i = 0; i < count; i++) {
		struct fl_dns_record *record = &a->found.records[i];

		fl_dns_put_srv(&a->writer, fl_dns_question_at(0), ttl_s, record->weight,
			record->port, &record->addr, fl_dns_zone_domain(a->zone), &record->target);
	}
	for (size_t i = 0; i < count; i++) {
		const struct fl_dns_record *record = &a->found.records[i];

		if (record->target && !record->repeats)
			fl_dns_put_address(&a->writer, FL_DNS_ADDITIONAL, record->target, ttl_s,
				&record->addr);
	}
}

static void put_records(struct answer *a)
{
	uint32_t ttl_s = fl_dns_zone_ttl_s(a->zone);
	fl_dns_place domain = fl_dns_question_at(a->found.domain_at);
	struct fl_dns_writer *w = &a->writer;
	fl_dns_place target;

	switch (a->found.type) {
	case FL_DNS_A:
	case FL_DNS_AAAA:
		put_addresses(a);
		break;
	case FL_DNS_SRV:
		put_srvs(a);
		break;
	case FL_DNS_SOA:
		fl_dns_put_soa(w, FL_DNS_ANSWER, domain, ttl_s, (uint32_t)a->snapshot->generation);
		break;
	case FL_DNS_NS:
		fl_dns_put_ns(w, domain, ttl_s, &target);
		fl_dns_put_address(
			w, FL_DNS_ADDITIONAL, target, ttl_s, fl_dns_zone_server(a->zone));
		break;
	default:
		fl_dns_put_hinfo(w, fl_dns_question_at(0), ttl_s);
	}
}

size_t fl_dns_answer(struct fl_dns_zone *zone, struct fl_snapshot *snapshot,
	enum fl_dns_transport transport, const uint8_t *query, size_t size, uint8_t *bytes,
	struct fl_dns_outcome *ret)
{
	struct answer a = { .zone = zone, .snapshot = snapshot, .transport = transport };
	struct fl_dns_query q;

	if (fl_dns_query_parse(query, size, &q) < 0)
		return 0;
	a.found.rcode = q.rcode;
	if (q.rcode == FL_DNS_NOERROR)
		fl_dns_zone_look_up(zone, snapshot, &q, &a.found);
	fl_dns_begin(&a.writer, &q, bytes, room_for(transport, &q));
	a.writer.authoritative = a.found.ours;
	if (a.found.count)
		put_records(&a);
	else if (a.found.ours)
		fl_dns_put_soa(&a.writer, FL_DNS_AUTHORITY, fl_dns_question_at(a.found.domain_at),
			fl_dns_zone_ttl_s(zone), (uint32_t)snapshot->generation);
	*ret = (struct fl_dns_outcome){ a.found.rcode, a.writer.truncated };
	return fl_dns_end(&a.writer, a.found.rcode);
}

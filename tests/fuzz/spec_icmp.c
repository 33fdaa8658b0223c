// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "spec_icmp.h"

#include <netinet/in.h>
#include <string.h>

#include "spec_nat.h"

/** Types of errors: RFC 792 and RFC 4443. */
static bool is_error(enum fl_family family, uint8_t type)
{
	if (family == FL_IPV4)
		return type == 3 || type == 11 || type == 12;
	return type == 1 || type == 2 || type == 3 || type == 4;
}

/** Errors that say that their packet reached nobody. */
static bool refuses(enum fl_family family, uint8_t type, uint8_t code)
{
	if (family == FL_IPV6)
		return type == 1;
	return type == 3 && (code <= 3 || code == 9 || code == 10 || code == 13);
}

/** Whether it is a whole ICMP packet of its family right behind the IP header. */
static bool is_icmp(const struct headers *h, const uint8_t *frame, uint32_t length)
{
	if (h->l3 + h->ip_len > length || h->part != WHOLE)
		return false;
	if (h->family == FL_IPV4)
		return h->proto == IPPROTO_ICMP;
	return frame[h->l3 + 6] == IPPROTO_ICMPV6;
}

/** The quoted packet. @return whether it is one of TCP or UDP, with 8 bytes behind IP */
static bool read_quote(
	const struct headers *h, const uint8_t *frame, uint32_t length, struct headers *ret)
{
	uint32_t end = h->l3 + h->ip_len;

	if (!is_icmp(h, frame, length) || h->l4 + 8 > end || !is_error(h->family, frame[h->l4]))
		return false;
	*ret = headers_read_ip(frame, end, h->l4 + 8, h->family);
	return ret->readable && (ret->part == WHOLE || ret->part == FIRST_FRAGMENT) &&
	       (ret->proto == IPPROTO_TCP || ret->proto == IPPROTO_UDP) && ret->l4 + 8 <= end;
}

/** What the quoted packet answers. */
static struct headers turn(const struct headers *quote)
{
	return (struct headers){ .readable = true,
		.family = quote->family,
		.proto = quote->proto,
		.part = FIRST_FRAGMENT, /* which leaves no trace */
		.saddr = quote->daddr,
		.daddr = quote->saddr,
		.sport = quote->dport,
		.dport = quote->sport };
}

struct spec_verdict spec_icmp(struct spec_state *s, const struct headers *h, const uint8_t *frame,
	uint32_t length, struct headers *flow)
{
	struct spec_verdict v = { .reason = FL_PASS_PROTOCOL };
	struct headers quote;
	struct spec_found found;

	if (!read_quote(h, frame, length, &quote) ||
		memcmp(&h->daddr, &quote.saddr, sizeof(h->daddr)) != 0)
		return v;
	found = spec_nat_quoted(s, &quote);
	if (!found.connection) {
		*flow = turn(&quote);
		return v;
	}
	v.endpoint = found.connection->endpoint;
	if (h->hops < 2) {
		v.reason = FL_DROP_TTL;
		return v;
	}
	if (found.by_client && refuses(h->family, frame[h->l4], frame[h->l4 + 1]))
		spec_nat_refuse(s, found.connection);
	spec_nat_return(h, &found, &v);
	if (v.reason == FL_SENT)
		v.reason = FL_SENT_ICMP;
	if (v.sent || v.reason == FL_PASS_NEIGHBOUR)
		v.output = QUOTING;
	v.quote = quote;
	return v;
}

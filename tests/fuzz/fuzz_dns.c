// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause

/*
 * DNS queries, answered from a few services. The first byte says over what, and whether
 * a header is put before the rest that is that of a good query. Answers must be what
 * every rule of DNS allows, and as short as the client asked for.
 */
#include <stdlib.h>
#include <string.h>

#include "config/services.h"
#include "dns/answer.h"
#include "lib/dns_text.h"
#include "model/merger.h"
#include "native.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static const char services[] =
	"services:\n"
	"- name: a\n"
	"  frontends: ['10.0.0.1:80/tcp', '[2001:db8::1]:0/udp', '10.0.0.1:53/udp']\n"
	"  endpoints: [{address: '192.0.2.1'}, {address: '192.0.2.2:8080'},\n"
	"    {address: '192.0.2.2:8081'}, {address: '192.0.2.3', weight: 0},\n"
	"    {address: '2001:db8:1::1'}]\n"
	"- {name: b.c, frontends: ['10.0.0.2:80/tcp'], endpoints: [{address: '192.0.2.4'}]}\n";

static struct fl_snapshot *snapshot_make(void)
{
	const struct fl_limits limits = { 16, 16384, 1 << 20, 1 << 20 };
	struct fl_problems problems = { 0 };
	struct fl_declaration declaration = { "fuzz" };
	fl_service_vec list = { 0 };
	struct fl_service *many = fl_service_new("many");
	struct fl_snapshot *snapshot;

	if (!many || fl_services_parse(
			     services, strlen(services), "fuzz.yaml", "fuzz", &problems, &list) < 0)
		native_fail("dns: the services are wrong");
	for (unsigned i = 0; i < 2000; i++) {
		struct fl_endpoint *endpoint = fl_service_add_endpoint(many);

		endpoint->addr = fl_ip_from_ipv4(__builtin_bswap32(0xc6120000 + i));
		endpoint->port = 80;
	}
	*fl_vec_push(&list) = many;
	declaration.services = list.items;
	declaration.count = list.count;
	if (fl_snapshot_merge(&declaration, 1, &limits, 1, &problems, &snapshot) < 0)
		native_fail("dns: no snapshot");
	fl_services_done(&list);
	fl_problems_done(&problems);
	return snapshot;
}

static void check(const uint8_t *query, size_t size, enum fl_dns_transport transport,
	const struct fl_dns_outcome *outcome, const uint8_t *answer, size_t length)
{
	static char text[DNS_TEXT_SIZE];
	unsigned code = answer[3] & 0xf;

	if (size < FL_DNS_HEADER || query[2] & 0x80)
		native_fail("dns: this must not be answered");
	if (length < FL_DNS_HEADER || memcmp(query, answer, 2) != 0)
		native_fail("dns: an answer to something else");
	if (transport == FL_DNS_UDP && length > FL_DNS_UDP_MAX)
		native_fail("dns: %zu bytes over UDP", length);
	if (!dns_answer_text(answer, length, text))
		native_fail("dns: the answer is wrong: %s", text);
	if (transport == FL_DNS_UDP && !strstr(text, "; edns") && length > FL_DNS_UDP_MIN)
		native_fail("dns: %zu bytes without EDNS", length);
	if (code != (outcome->rcode & 0xf) || outcome->truncated != !!(answer[2] & 2))
		native_fail("dns: told otherwise than written");
	if ((code == FL_DNS_REFUSED || code == FL_DNS_FORMERR || code == FL_DNS_NOTIMP) &&
		length > size + 11) /* what EDNS may add */
		native_fail("dns: a refusal is longer than the question");
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static const uint8_t header[FL_DNS_HEADER] = { 0x12, 0x34, 1, 0, 0, 1 };
	static uint8_t answer[FL_DNS_MESSAGE_MAX];
	static struct fl_snapshot *snapshot;
	static struct fl_dns_zone *zone;
	struct fl_ip server = fl_ip_from_ipv4(0x0100007f);
	struct fl_dns_outcome outcome;
	enum fl_dns_transport transport;
	size_t before, length;
	uint8_t *query;

	if (!snapshot) {
		snapshot = snapshot_make();
		if (fl_dns_zone_new("d", 0, &server, 1, &zone) < 0)
			native_fail("dns: no zone");
	}
	if (!size)
		return 0;
	transport = bytes[0] & 1 ? FL_DNS_TCP : FL_DNS_UDP;
	before = bytes[0] & 2 ? sizeof(header) : 0;
	query = malloc(before + size); /* of its own, so that no byte behind it is read unseen */
	if (!query)
		native_fail("dns: no memory");
	memcpy(query, header, before);
	memcpy(query + before, bytes + 1, size - 1);
	size += before - 1;
	query = realloc(query, size ? size : 1);
	length = fl_dns_answer(
		zone, bytes[0] & 4 ? NULL : snapshot, transport, query, size, answer, &outcome);
	if (length)
		check(query, size, transport, &outcome, answer, length);
	else if (size >= FL_DNS_HEADER && !(query[2] & 0x80))
		native_fail("dns: no answer");
	free(query);
	return 0;
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What names mean: a question each, and the whole answer.
 */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dns/answer.h"
#include "lib/declared.h"
#include "lib/dns_text.h"

enum { A = 1, NS = 2, SOA = 6, MX = 15, TXT = 16, AAAA = 28, SRV = 33, AXFR = 252, ANY = 255 };

/* A zone over a few services. */
struct world {
	struct fl_snapshot *snapshot;
	struct fl_dns_zone *zone;
	char *text;
	size_t length; /* of the last answer */
};

static struct world open_world(struct fl_service **services, size_t count, uint32_t ttl_s)
{
	struct world w = { .text = malloc(DNS_TEXT_SIZE) };
	struct fl_ip server;

	fl_ip_parse("127.0.0.1", &server);
	w.snapshot = test_snapshot(7, services, count);
	cr_assert_eq(fl_dns_zone_new("fairlead", ttl_s, &server, 42, &w.zone), 0);
	return w;
}

static void close_world(struct world *w)
{
	fl_dns_zone_free(w->zone);
	fl_snapshot_unref(w->snapshot);
	free(w->text);
}

/* Ask, and read the answer into w->text. */
static struct fl_dns_outcome ask(struct world *w, enum fl_dns_transport transport, const char *name,
	uint16_t type, uint16_t payload)
{
	static uint8_t answer[FL_DNS_MESSAGE_MAX];
	struct fl_dns_outcome outcome;
	uint8_t query[512];
	size_t size = dns_query_make(query, name, type, payload);

	w->length = fl_dns_answer(w->zone, w->snapshot, transport, query, size, answer, &outcome);
	cr_assert(w->length > 0, "%s", name);
	cr_assert(dns_answer_text(answer, w->length, w->text), "%s: %s", name, w->text);
	return outcome;
}

#define NO_DATA   "NOERROR aa rd; ! fairlead. SOA ns.fairlead. hostmaster.fairlead. 7 0"
#define NO_DOMAIN "NXDOMAIN aa rd; ! fairlead. SOA ns.fairlead. hostmaster.fairlead. 7 0"
#define REFUSED   "REFUSED rd"

static struct world small_world(void)
{
	struct fl_service *services[] = {
		test_service("web", "10.0.0.10:80/tcp 10.0.0.10:443/tcp [2001:db8::10]:80/tcp",
			"192.0.2.11:8080*2 192.0.2.12:8080 192.0.2.12:8081 192.0.2.13:8080*0 "
			"192.0.2.14:8080/down 192.0.2.15:8080/draining "
			"[2001:db8:1::11]:8080*65535"),
		test_service("team/dns", "10.0.0.53:53/udp 10.0.0.53:53/tcp 10.0.0.54:853/tcp",
			"192.0.2.21 192.0.2.22:53"),
		test_service("a.b.c", "10.0.0.3:80/tcp", "192.0.2.31:80"),
		test_service("every", "10.0.0.4:0/tcp", "192.0.2.41"),
		test_service("gone", "10.0.0.5:80/udp", "192.0.2.51:80/down"),
		test_service("Case", "10.0.0.6:80/tcp", "192.0.2.61:80"),
		test_service("case", "10.0.0.7:80/tcp", "192.0.2.71:80"),
	};

	return open_world(services, sizeof(services) / sizeof(services[0]), 0);
}

static const struct {
	const char *name;
	uint16_t type;
	const char *answer;
} rows[] = {
	/* what is up and has a weight, each address once */
	{ "web.service.fairlead", A, "NOERROR aa rd; = A 192.0.2.11; = A 192.0.2.12" },
	{ "web.service.fairlead", AAAA, "NOERROR aa rd; = AAAA 2001:db8:1::11" },
	{ "WEB.Service.FAIRLEAD", AAAA, "NOERROR aa rd; = AAAA 2001:db8:1::11" },
	{ "web.service.fairlead", SRV,
		"NOERROR aa rd; = SRV 1 1 8080 c000020c.addr.fairlead.; "
		"= SRV 1 1 8081 c000020c.addr.fairlead.; = SRV 1 2 8080 c000020b.addr.fairlead.; "
		"= SRV 1 65535 8080 20010db8000100000000000000000011.addr.fairlead.; "
		"+ 20010db8000100000000000000000011.addr.fairlead. AAAA 2001:db8:1::11; "
		"+ c000020b.addr.fairlead. A 192.0.2.11; + c000020c.addr.fairlead. A 192.0.2.12" },
	{ "web.service.fairlead", TXT, NO_DATA },
	{ "web.service.fairlead", NS, NO_DATA },
	{ "web.service.fairlead", SOA, NO_DATA },
	{ "web.service.fairlead", ANY, "NOERROR aa rd; = HINFO \"RFC8482\"" },
	{ "gone.service.fairlead", A, NO_DATA },
	{ "gone.service.fairlead", SRV, NO_DATA },
	{ "a.b.c.service.fairlead", A, "NOERROR aa rd; = A 192.0.2.31" },
	{ "team/dns.service.fairlead", A, "NOERROR aa rd; = A 192.0.2.21; = A 192.0.2.22" },

	/* ports: the endpoint's own, or those of the frontends */
	{ "team/dns.service.fairlead", SRV,
		"NOERROR aa rd; = SRV 1 1 53 c0000215.addr.fairlead.; "
		"= SRV 1 1 53 c0000216.addr.fairlead.; = SRV 1 1 853 c0000215.addr.fairlead.; "
		"+ c0000215.addr.fairlead. A 192.0.2.21; + c0000216.addr.fairlead. A 192.0.2.22" },
	{ "_team/dns._udp.service.fairlead", SRV,
		"NOERROR aa rd; = SRV 1 1 53 c0000215.addr.fairlead.; "
		"= SRV 1 1 53 c0000216.addr.fairlead.; "
		"+ c0000215.addr.fairlead. A 192.0.2.21; + c0000216.addr.fairlead. A 192.0.2.22" },
	{ "every.service.fairlead", SRV, NO_DATA },
	{ "every.service.fairlead", A, "NOERROR aa rd; = A 192.0.2.41" },

	/* RFC 2782 */
	{ "_a.b.c._tcp.service.fairlead", SRV,
		"NOERROR aa rd; = SRV 1 1 80 c000021f.addr.fairlead.; "
		"+ c000021f.addr.fairlead. A 192.0.2.31" },
	{ "_A.b.c._TCP.service.fairlead", A, NO_DATA },
	{ "_a.b.c._udp.service.fairlead", SRV, NO_DOMAIN },
	{ "_web._tcp.service.fairlead", ANY, "NOERROR aa rd; = HINFO \"RFC8482\"" },
	{ "_nobody._tcp.service.fairlead", SRV, NO_DOMAIN },
	{ "web._tcp.service.fairlead", SRV, NO_DOMAIN },
	{ "_web.service.fairlead", SRV, NO_DOMAIN },
	{ "_._tcp.service.fairlead", SRV, NO_DOMAIN },
	{ "_web._sctp.service.fairlead", SRV, NO_DOMAIN },

	/* through the balancer */
	{ "web.virtual.fairlead", A, "NOERROR aa rd; = A 10.0.0.10" },
	{ "web.virtual.fairlead", AAAA, "NOERROR aa rd; = AAAA 2001:db8::10" },
	{ "web.virtual.fairlead", SRV,
		"NOERROR aa rd; = SRV 1 1 443 0a00000a.addr.fairlead.; "
		"= SRV 1 1 80 0a00000a.addr.fairlead.; "
		"= SRV 1 1 80 20010db8000000000000000000000010.addr.fairlead.; "
		"+ 0a00000a.addr.fairlead. A 10.0.0.10; "
		"+ 20010db8000000000000000000000010.addr.fairlead. AAAA 2001:db8::10" },
	{ "team/dns.virtual.fairlead", SRV,
		"NOERROR aa rd; = SRV 1 1 53 0a000035.addr.fairlead.; "
		"= SRV 1 1 853 0a000036.addr.fairlead.; "
		"+ 0a000035.addr.fairlead. A 10.0.0.53; + 0a000036.addr.fairlead. A 10.0.0.54" },
	{ "_team/dns._udp.virtual.fairlead", SRV,
		"NOERROR aa rd; = SRV 1 1 53 0a000035.addr.fairlead.; "
		"+ 0a000035.addr.fairlead. A 10.0.0.53" },
	{ "every.virtual.fairlead", A, "NOERROR aa rd; = A 10.0.0.4" },
	{ "every.virtual.fairlead", SRV, NO_DATA },
	{ "gone.virtual.fairlead", A, "NOERROR aa rd; = A 10.0.0.5" },
	{ "nobody.virtual.fairlead", A, NO_DOMAIN },

	/* names that only lie above others exist */
	{ "service.fairlead", A, NO_DATA },
	{ "virtual.fairlead", SRV, NO_DATA },
	{ "addr.fairlead", A, NO_DATA },
	{ "_tcp.service.fairlead", SRV, NO_DATA },
	{ "_udp.virtual.fairlead", A, NO_DATA },
	{ "b.c.service.fairlead", A, NO_DATA },
	{ "c.service.fairlead", A, NO_DATA },
	{ "B.C._tcp.service.fairlead", SRV, NO_DATA },
	{ "c.service.fairlead", ANY, "NOERROR aa rd; = HINFO \"RFC8482\"" },
	{ "a.b.service.fairlead", A, NO_DOMAIN },
	{ "x.c.service.fairlead", A, NO_DOMAIN },
	{ "x.web.service.fairlead", A, NO_DOMAIN },
	{ "nobody.service.fairlead", A, NO_DOMAIN },
	{ "nobody.service.fairlead", ANY, NO_DOMAIN },

	/* of two that differ in case alone, capitals come first */
	{ "case.service.fairlead", A, "NOERROR aa rd; = A 192.0.2.61" },
	{ "CASE.service.fairlead", A, "NOERROR aa rd; = A 192.0.2.61" },

	/* addresses */
	{ "c000020b.addr.fairlead", A, "NOERROR aa rd; = A 192.0.2.11" },
	{ "C000020B.addr.fairlead", A, "NOERROR aa rd; = A 192.0.2.11" },
	{ "c000020b.addr.fairlead", AAAA, NO_DATA },
	{ "c000020b.addr.fairlead", SRV, NO_DATA },
	{ "20010db8000100000000000000000011.addr.fairlead", AAAA,
		"NOERROR aa rd; = AAAA 2001:db8:1::11" },
	{ "00000000000000000000ffffc000020b.addr.fairlead", A, NO_DOMAIN },
	{ "00000000000000000000ffffc000020b.addr.fairlead", AAAA, NO_DOMAIN },
	{ "c000020.addr.fairlead", A, NO_DOMAIN },
	{ "c000020g.addr.fairlead", A, NO_DOMAIN },
	{ "c000020b0.addr.fairlead", A, NO_DOMAIN },
	{ "x.c000020b.addr.fairlead", A, NO_DOMAIN },

	/* the zone itself */
	{ "fairlead", SOA, "NOERROR aa rd; = SOA ns.fairlead. hostmaster.fairlead. 7 0" },
	{ "fairlead", NS, "NOERROR aa rd; = NS ns.fairlead.; + ns.fairlead. A 127.0.0.1" },
	{ "fairlead", A, "NOERROR aa rd; ! SOA ns.fairlead. hostmaster.fairlead. 7 0" },
	{ "fairlead", MX, "NOERROR aa rd; ! SOA ns.fairlead. hostmaster.fairlead. 7 0" },
	{ "fairlead", ANY, "NOERROR aa rd; = HINFO \"RFC8482\"" },
	{ "fairlead", AXFR, REFUSED },
	{ "ns.fairlead", A, "NOERROR aa rd; = A 127.0.0.1" },
	{ "ns.fairlead", AAAA, NO_DATA },
	{ "x.ns.fairlead", A, NO_DOMAIN },
	{ "web.fairlead", A, NO_DOMAIN },

	/* not ours */
	{ "", NS, REFUSED },
	{ "example", A, REFUSED },
	{ "fairlead.example", A, REFUSED },
	{ "xfairlead", A, REFUSED },
	{ "web.service.xfairlead", A, REFUSED },
	{ "web.service", A, REFUSED },
	{ "1.0.0.127.in-addr.arpa", 12, REFUSED },
};

Test(dns_zone, answers)
{
	struct world w = small_world();

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (int transport = 0; transport < FL_DNS_TRANSPORTS; transport++) {
			ask(&w, (enum fl_dns_transport)transport, rows[i].name, rows[i].type, 0);
			cr_expect_str_eq(w.text, rows[i].answer, "%s %u\n  gives  %s\n  wanted %s",
				rows[i].name, rows[i].type, w.text, rows[i].answer);
		}
	close_world(&w);
}

/* Labels may hold any byte, names of services may not: a dot in a label is no dot
 * between labels, and an empty piece is none. */
Test(dns_zone, strange_labels)
{
	static const struct {
		const char *labels;
		size_t size;
	} names[] = {
		{ "\5a.b.c\7service\10fairlead", 23 },
		{ "\4web\0\7service\10fairlead", 22 },
		{ "\3w\0b\7service\10fairlead", 21 },
		{ "\1\0\7service\10fairlead", 19 },
	};
	struct world w = small_world();

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		uint8_t query[64] = { 0, 1, 0, 0, 0, 1 };
		uint8_t answer[FL_DNS_UDP_MAX];
		struct fl_dns_outcome outcome;

		memcpy(query + FL_DNS_HEADER, names[i].labels, names[i].size);
		query[FL_DNS_HEADER + names[i].size + 2] = A;
		query[FL_DNS_HEADER + names[i].size + 4] = 1;
		cr_assert_gt(fl_dns_answer(w.zone, w.snapshot, FL_DNS_UDP, query,
				     FL_DNS_HEADER + names[i].size + 5, answer, &outcome),
			0);
		cr_expect_eq(outcome.rcode, FL_DNS_NXDOMAIN, "row %zu", i);
	}
	close_world(&w);
}

Test(dns_zone, before_the_first_snapshot)
{
	struct world w = small_world();
	struct fl_snapshot *snapshot = w.snapshot;

	w.snapshot = NULL;
	ask(&w, FL_DNS_UDP, "web.service.fairlead", A, 0);
	cr_expect_str_eq(w.text, "SERVFAIL rd");
	ask(&w, FL_DNS_UDP, "example", A, 0);
	cr_expect_str_eq(w.text, REFUSED);
	w.snapshot = snapshot;
	close_world(&w);
}

Test(dns_zone, another_snapshot_and_another_domain)
{
	struct fl_service *none[] = { test_service("new", "10.0.0.1:80/tcp", "192.0.2.1:80") };
	struct world w = small_world();

	ask(&w, FL_DNS_UDP, "web.service.fairlead", A, 0);
	fl_snapshot_unref(w.snapshot);
	w.snapshot = test_snapshot(8, none, 1);
	ask(&w, FL_DNS_UDP, "web.service.fairlead", A, 0);
	cr_expect_str_eq(
		w.text, "NXDOMAIN aa rd; ! fairlead. SOA ns.fairlead. hostmaster.fairlead. 8 0");
	cr_assert_eq(fl_dns_zone_set(w.zone, "lb.example", 30), 0);
	cr_assert_eq(fl_dns_zone_set(w.zone, "lb..example", 60), -EINVAL);
	ask(&w, FL_DNS_UDP, "new.service.lb.example", SRV, 0);
	cr_expect_str_eq(w.text, "NOERROR aa rd; = 30 SRV 1 1 80 c0000201.addr.lb.example.; "
				 "+ c0000201.addr.lb.example. 30 A 192.0.2.1");
	ask(&w, FL_DNS_UDP, "old.service.lb.example", A, 0);
	cr_expect_str_eq(w.text, "NXDOMAIN aa rd; ! lb.example. 30 SOA ns.lb.example. "
				 "hostmaster.lb.example. 8 30");
	ask(&w, FL_DNS_UDP, "new.service.fairlead", A, 0);
	cr_expect_str_eq(w.text, REFUSED);
	close_world(&w);
}

/* The index of names stays while the names do; what is behind them is never the old. */
Test(dns_zone, other_services_of_the_same_names)
{
	static const char *const endpoints[] = { "192.0.2.1:80", "192.0.2.2:80 192.0.2.3:80", "" };
	static const char *const answers[] = { "NOERROR aa rd; = A 192.0.2.1",
		"NOERROR aa rd; = A 192.0.2.2; = A 192.0.2.3",
		"NOERROR aa rd; ! fairlead. SOA ns.fairlead. hostmaster.fairlead. 12 0" };
	struct world w = open_world(NULL, 0, 0);

	for (unsigned i = 0; i < 3; i++) {
		struct fl_service *services[] = {
			test_service("a.b", "10.0.0.1:80/tcp", endpoints[i]),
			test_service("c", "10.0.0.2:80/tcp", "192.0.2.9:80"),
		};

		fl_snapshot_unref(w.snapshot);
		w.snapshot = test_snapshot(10 + i, services, 2);
		ask(&w, FL_DNS_UDP, "a.b.service.fairlead", A, 0);
		cr_expect_str_eq(w.text, answers[i], "%s", w.text);
		cr_expect_eq(ask(&w, FL_DNS_UDP, "b.service.fairlead", A, 0).rcode, FL_DNS_NOERROR);
	}
	close_world(&w);
}

/* --------------------------------------------------------- more than fits */

/* A service "many" with `count` endpoints, IPv4 or IPv6. */
static struct world crowd(unsigned count, bool v6)
{
	struct fl_service *service =
		test_service("many", v6 ? "[2001:db8::10]:80/tcp" : "10.0.0.10:80/tcp", "");

	for (unsigned i = 0; i < count; i++) {
		struct fl_endpoint *endpoint = fl_service_add_endpoint(service);
		char text[FL_IP_TEXT];

		snprintf(text, sizeof(text), v6 ? "2001:db8:1::%x:%x" : "192.0.%u.%u", i / 256 + 1,
			i % 256);
		cr_assert_eq(fl_ip_parse(text, &endpoint->addr), 0);
		endpoint->port = 80;
	}
	return open_world(&service, 1, 0);
}

static unsigned count_of(const char *text, const char *what)
{
	unsigned count = 0;

	for (; (text = strstr(text, what)); text++)
		count++;
	return count;
}

Test(dns_zone, as_many_as_fit)
{
	/* 38 bytes are header and question; with EDNS 11 more. An A record has 16 bytes,
	 * AAAA 28, SRV 42 or 66. */
	static const struct {
		const char *story;
		unsigned endpoints;
		bool v6;
		enum fl_dns_transport transport;
		uint16_t type, payload;
		unsigned answers, additional;
		bool truncated;
	} crowds[] = {
		{ "all of few", 29, false, FL_DNS_UDP, A, 0, 29, 0, false },
		{ "512 bytes without EDNS", 30, false, FL_DNS_UDP, A, 0, 29, 0, true },
		{ "as the client says", 100, false, FL_DNS_UDP, A, 600, 34, 0, true },
		{ "but at least 512", 100, false, FL_DNS_UDP, A, 100, 28, 0, true },
		{ "and at most 1232", 100, false, FL_DNS_UDP, A, 4096, 73, 0, true },
		{ "IPv6", 100, true, FL_DNS_UDP, AAAA, 4096, 42, 0, true },
		{ "SRV", 100, false, FL_DNS_UDP, SRV, 4096, 28, 0, true },
		{ "addresses as far as they fit", 20, false, FL_DNS_UDP, SRV, 4096, 20, 20, false },
		{ "without a TC flag for those", 25, false, FL_DNS_UDP, SRV, 4096, 25, 8, false },
		{ "SRV over IPv6", 100, true, FL_DNS_UDP, SRV, 4096, 17, 2, true },
		{ "all over TCP", 1000, false, FL_DNS_TCP, A, 0, 1000, 0, false },
		{ "SRV over TCP", 400, false, FL_DNS_TCP, SRV, 0, 400, 389, false },
		{ "64 KiB are the end", 4096, false, FL_DNS_TCP, A, 0, 4093, 0, true },
		{ "for IPv6 as well", 4096, true, FL_DNS_TCP, AAAA, 1232, 2338, 0, true },
		{ "and for SRV", 4096, false, FL_DNS_TCP, SRV, 0, 1559, 1, true },
	};

	for (size_t i = 0; i < sizeof(crowds) / sizeof(crowds[0]); i++) {
		struct world w = crowd(crowds[i].endpoints, crowds[i].v6);
		struct fl_dns_outcome outcome = ask(&w, crowds[i].transport,
			"many.service.fairlead", crowds[i].type, crowds[i].payload);
		size_t limit = crowds[i].transport == FL_DNS_TCP ? FL_DNS_MESSAGE_MAX
			       : crowds[i].payload > 1232        ? 1232
			       : crowds[i].payload < 512         ? 512
								 : crowds[i].payload;

		cr_expect_eq(count_of(w.text, "; = "), crowds[i].answers, "%s: %u", crowds[i].story,
			count_of(w.text, "; = "));
		cr_expect_eq(count_of(w.text, "; + "), crowds[i].additional, "%s: %u",
			crowds[i].story, count_of(w.text, "; + "));
		cr_expect_eq(strstr(w.text, "NOERROR aa tc rd") == w.text, crowds[i].truncated,
			"%s", crowds[i].story);
		cr_expect_eq(outcome.truncated, crowds[i].truncated, "%s", crowds[i].story);
		cr_expect_leq(w.length, limit, "%s: %zu", crowds[i].story, w.length);
		close_world(&w);
	}
}

/* Over UDP each is among the chosen now and then; over TCP the chosen are the same. */
Test(dns_zone, who_is_among_those_that_fit)
{
	struct world w = crowd(60, false);
	char first[32];
	unsigned seen = 0;
	char *before;

	for (unsigned i = 0; i < 60; i++) {
		snprintf(first, sizeof(first), "; = A 192.0.1.%u", i);
		for (int tries = 0; tries < 1000; tries++) {
			char *found;

			ask(&w, FL_DNS_UDP, "many.service.fairlead", A, 0);
			found = strstr(w.text, first);
			if (found && (!found[strlen(first)] || found[strlen(first)] == ';')) {
				seen++;
				break;
			}
		}
	}
	cr_expect_eq(seen, 60);
	close_world(&w);

	w = crowd(4096, false);
	ask(&w, FL_DNS_TCP, "many.service.fairlead", A, 0);
	before = strdup(w.text);
	ask(&w, FL_DNS_TCP, "many.service.fairlead", A, 0);
	cr_expect_str_eq(before, w.text);
	free(before);
	close_world(&w);
}

/* The first record is each endpoint about as often: chi-square with 9 degrees of
 * freedom; the seed is fixed, and so is the outcome. */
Test(dns_zone, orders_vary)
{
	struct world w = crowd(10, false);
	unsigned counts[10] = { 0 };
	double chi = 0;

	for (int i = 0; i < 10000; i++) {
		uint8_t query[512], answer[FL_DNS_UDP_MAX];
		struct fl_dns_outcome outcome;
		size_t size = dns_query_make(query, "many.service.fairlead", A, 0);

		fl_dns_answer(w.zone, w.snapshot, FL_DNS_UDP, query, size, answer, &outcome);
		counts[answer[size + 15]]++; /* last byte of the first address */
	}
	for (int i = 0; i < 10; i++)
		chi += (counts[i] - 1000.0) * (counts[i] - 1000.0) / 1000.0;
	cr_expect_lt(chi, 33.7, "chi-square %f", chi); /* p = 0.0001 */
	close_world(&w);
}

/* Ten thousand services below one name and with one spelling in many cases are found
 * as fast as others: an index that walks them would not come to an end here. */
Test(dns_zone, many_services)
{
	enum { COUNT = 20000 };
	struct fl_service **services = calloc(COUNT, sizeof(*services));
	struct world w;
	char name[64];

	for (unsigned i = 0; i < COUNT; i++) {
		if (i % 2) {
			snprintf(name, sizeof(name), "s%u.eu.prod", i);
		} else {
			strcpy(name, "abcdefghijklmnop");
			for (unsigned bit = 0; bit < 16; bit++)
				if (i >> bit & 1)
					name[bit] = (char)(name[bit] - 'a' + 'A');
		}
		services[i] = fl_service_new(name);
	}
	w = open_world(services, COUNT, 0);
	for (unsigned i = 1; i < COUNT; i += 2) {
		snprintf(name, sizeof(name), "S%u.EU.prod.service.fairlead", i);
		cr_assert_eq(ask(&w, FL_DNS_UDP, name, A, 0).rcode, FL_DNS_NOERROR, "%s", name);
	}
	cr_expect_eq(ask(&w, FL_DNS_UDP, "eu.prod.service.fairlead", A, 0).rcode, FL_DNS_NOERROR);
	cr_expect_eq(ask(&w, FL_DNS_UDP, "us.prod.service.fairlead", A, 0).rcode, FL_DNS_NXDOMAIN);
	close_world(&w);
	free(services);
}

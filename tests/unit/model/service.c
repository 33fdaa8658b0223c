/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The rules of one service. What is told with places is in config/broken.c; here
 * are families, sizes and equality.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/services.h"
#include "model/service.h"

/* A service in a few words: options as in the file, frontends and endpoints as
 * lists. Errors are counted in `problems`. */
static struct fl_service *declare(const char *options, const char *frontends, const char *endpoints,
	struct fl_problems *problems)
{
	fl_service_vec services = { 0 };
	struct fl_service *service = NULL;
	char text[2048];

	snprintf(text, sizeof(text), "services: [{name: s, %s%s frontends: [%s], endpoints: [%s]}]",
		options, *options ? "," : "", frontends, endpoints);
	fl_services_parse(text, strlen(text), "s.yaml", "file", problems, &services);
	if (services.count)
		service = fl_service_ref(services.items[0]);
	fl_services_done(&services);
	return service;
}

#define V4 "'10.0.0.1:80/tcp'"
#define V6 "'[2001:db8::1]:80/tcp'"
#define E4 "{address: 192.0.2.1}"
#define E6 "{address: '2001:db8:1::1'}"

Test(model_service, families)
{
	static const struct {
		const char *options, *frontends, *endpoints;
		size_t usable[FL_FAMILIES];
		size_t errors;
	} rows[] = {
		{ "", V4, E4, { 1, 0 }, 0 },
		{ "", V6, E6, { 0, 1 }, 0 },
		{ "", V4 "," V6, E4 "," E6, { 1, 1 }, 0 },
		{ "", V4, E4 "," E6, { 1, 1 }, 0 },
		{ "", V4, E6, { 0 }, 1 },
		{ "", V6, E4, { 0 }, 1 },
		{ "", V4 "," V6, E4, { 0 }, 1 },
		{ "", V4 "," V6, "", { 0, 0 }, 0 },
		/* nat never crosses, whatever is asked for */
		{ "cross_family: true", V4, E6, { 0 }, 1 },
		/* tunnels do when told to, or when there is nothing else */
		{ "forward: ipip", V4, E6, { 1, 1 }, 0 },
		{ "forward: ipip", V6, E4, { 1, 1 }, 0 },
		{ "forward: ipip", V4 "," V6, E4, { 1, 1 }, 0 },
		{ "forward: ipip", V4 "," V6, E4 "," E6, { 1, 1 }, 0 },
		{ "forward: ipip, cross_family: true", V4, E4 "," E6, { 2, 2 }, 0 },
		{ "forward: ipip, cross_family: true", V4, E6, { 1, 1 }, 0 },
		/* weight and state do not make an endpoint unusable */
		{ "", V4, "{address: 192.0.2.1, weight: 0}", { 1, 0 }, 0 },
		{ "", V4, "{address: 192.0.2.1, state: down}", { 1, 0 }, 0 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fl_problems problems = { 0 };
		struct fl_service *service =
			declare(rows[i].options, rows[i].frontends, rows[i].endpoints, &problems);

		cr_expect_eq(problems.errors, rows[i].errors, "row %zu", i);
		cr_expect_eq(service == NULL, rows[i].errors > 0, "row %zu", i);
		for (enum fl_family f = 0; service && f < FL_FAMILIES; f++) {
			size_t used = 0;

			for (size_t j = 0; j < service->endpoint_count; j++)
				used += fl_service_uses(service, f, &service->endpoints[j]);
			cr_expect_eq(fl_service_usable(service, f), rows[i].usable[f],
				"row %zu, family %d", i, f);
			cr_expect_eq(used, rows[i].usable[f], "row %zu, family %d", i, f);
		}
		fl_service_unref(service);
		fl_problems_done(&problems);
	}
}

/* `count` endpoints of a family. */
static struct fl_service *with_endpoints(unsigned ipv4, unsigned ipv6)
{
	struct fl_service *service = fl_service_new("s");
	struct fl_problems problems = { 0 };
	char text[FL_IP_TEXT];

	for (unsigned i = 0; i < ipv4 + ipv6; i++) {
		struct fl_endpoint *endpoint = fl_service_add_endpoint(service);

		snprintf(text, sizeof(text), i < ipv4 ? "192.168.%u.%u" : "2001:db8:1::%x:%x",
			i >> 8, i & 255);
		cr_assert_eq(fl_ip_parse(text, &endpoint->addr), 0);
	}
	for (int i = 0; i < 2; i++) {
		struct fl_frontend *frontend = fl_service_add_frontend(service);

		fl_ip_parse(i ? "2001:db8::1" : "10.0.0.1", &frontend->addr);
		frontend->port = 80;
		frontend->proto = 6;
	}
	fl_service_finish(service, &problems);
	fl_problems_done(&problems);
	return service;
}

Test(model_service, table_sizes)
{
	static const struct {
		unsigned ipv4, ipv6;
		uint32_t sizes[FL_FAMILIES];
	} rows[] = {
		{ 0, 0, { 251, 251 } },
		{ 1, 2, { 251, 251 } },
		{ 2, 3, { 251, 1021 } },
		{ 10, 11, { 1021, 4093 } },
		{ 40, 41, { 4093, 16381 } },
		{ 163, 164, { 16381, 65537 } },
		{ 655, 656, { 65537, 65537 } },
		{ 4095, 1, { 65537, 251 } },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fl_service *service = with_endpoints(rows[i].ipv4, rows[i].ipv6);

		for (enum fl_family f = 0; f < FL_FAMILIES; f++)
			cr_expect_eq(fl_service_table_size(service, f), rows[i].sizes[f],
				"row %zu: %u", i, fl_service_table_size(service, f));
		service->slots = 4093;
		cr_expect_eq(fl_service_table_size(service, FL_IPV6), 4093);
		service->frontend_count = 1; /* IPv4 alone */
		cr_expect_eq(fl_service_table_size(service, FL_IPV6), 0);
		cr_expect(fl_service_has_family(service, FL_IPV4));
		cr_expect_not(fl_service_has_family(service, FL_IPV6));
		fl_service_unref(service);
	}
}

/* Fewer slots than endpoints would leave some without any. */
Test(model_service, slots_must_hold_all_endpoints)
{
	static const struct {
		unsigned endpoints, slots;
		bool is_good;
	} rows[] = { { 250, 251, true }, { 251, 251, false }, { 1020, 1021, true },
		{ 1021, 1021, false }, { 1, 252, false }, { 4095, 65537, true } };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fl_service *service = with_endpoints(rows[i].endpoints, 1);
		struct fl_problems problems = { 0 };

		service->slots = rows[i].slots;
		cr_expect_eq(fl_service_finish(service, &problems), rows[i].is_good, "row %zu", i);
		cr_expect_eq(problems.errors, rows[i].is_good ? 0 : 1, "row %zu", i);
		fl_problems_done(&problems);
		fl_service_unref(service);
	}
}

Test(model_service, finishing_sorts_the_endpoints)
{
	struct fl_problems problems = { 0 };
	struct fl_service *service = declare("", V4 "," V6,
		E6 ", {address: '192.0.2.2:1'}, {address: '192.0.2.1:2'}, {address: "
		   "'192.0.2.1:1'}, {address: '::1'}",
		&problems);
	static const char *const order[] = { "[::1]:0", "192.0.2.1:1", "192.0.2.1:2", "192.0.2.2:1",
		"[2001:db8:1::1]:0" };

	cr_assert_not_null(service);
	cr_assert_eq(service->endpoint_count, 5);
	for (size_t i = 0; i < 5; i++) {
		char text[FL_SOCKET_TEXT];

		cr_expect_str_eq(fl_socket_format(&service->endpoints[i].addr,
					 service->endpoints[i].port, text),
			order[i]);
	}
	cr_expect_eq(problems.count, 1, "the loopback address is warned about");
	cr_expect(problems.items[0].warning);
	fl_service_unref(service);
	fl_problems_done(&problems);
}

Test(model_service, ports_and_loops)
{
	static const struct {
		const char *options, *frontends, *endpoints;
		bool is_good;
	} rows[] = {
		{ "", V4, "{address: '192.0.2.1:8080'}", true },
		{ "", "'10.0.0.1:0/tcp'", "{address: '192.0.2.1:8080'}", true },
		{ "forward: ipip", V4, "{address: '192.0.2.1:80'}", true },
		{ "forward: ipip", V4, "{address: '192.0.2.1'}", true },
		{ "forward: ipip", V4, "{address: '192.0.2.1:81'}", false },
		{ "forward: ipip", "'10.0.0.1:0/tcp'", "{address: '192.0.2.1:80'}", false },
		{ "forward: ipip", "'10.0.0.1:0/tcp'", "{address: '192.0.2.1'}", true },
		{ "forward: ipip", V4 ",'10.0.0.1:81/tcp'", "{address: '192.0.2.1:80'}", false },
		/* each family's frontends see their own endpoints */
		{ "forward: ipip", V4 ",'[2001:db8::1]:81/tcp'",
			"{address: '192.0.2.1:80'}, {address: '[2001:db8:1::1]:81'}", true },
		{ "forward: ipip, cross_family: true", V4 ",'[2001:db8::1]:81/tcp'",
			"{address: '192.0.2.1:80'}, {address: '[2001:db8:1::1]:81'}", false },
		{ "", V4, "{address: '10.0.0.1:80'}", false },
		{ "", V4, "{address: '10.0.0.1'}", false },
		{ "", V4, "{address: '10.0.0.1:8080'}", true },
		{ "", "'10.0.0.1:0/tcp'", "{address: '10.0.0.1:8080'}", false },
		{ "forward: ipip", V4, "{address: '10.0.0.1:80'}", false },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fl_problems problems = { 0 };
		struct fl_service *service =
			declare(rows[i].options, rows[i].frontends, rows[i].endpoints, &problems);

		cr_expect_eq(service != NULL, rows[i].is_good, "row %zu: %s", i,
			problems.count ? problems.items[0].message : "");
		fl_service_unref(service);
		fl_problems_done(&problems);
	}
}

Test(model_service, equality)
{
	static const struct {
		const char *options, *frontends, *endpoints;
	} others[] = {
		{ "forward: ipip", V4, E4 },
		{ "udp: move", V4, E4 },
		{ "slots: 251", V4, E4 },
		{ "settle: {tcp: 1s}", V4, E4 },
		{ "settle: {udp: 1s}", V4, E4 },
		{ "cross_family: true", V4, E4 },
		{ "", "'10.0.0.1:80/udp'", E4 },
		{ "", "'10.0.0.1:81/tcp'", E4 },
		{ "", "'10.0.0.2:80/tcp'", E4 },
		{ "", V4 ",'10.0.0.2:80/tcp'", E4 },
		{ "", V4, "" },
		{ "", V4, "{address: 192.0.2.2}" },
		{ "", V4, "{address: 192.0.2.1:80}" },
		{ "", V4, "{address: 192.0.2.1, weight: 2}" },
		{ "", V4, "{address: 192.0.2.1, state: draining}" },
		{ "", V4, "{address: 192.0.2.1, zone: a}" },
		{ "", V4, "{address: 192.0.2.1, node: a}" },
		{ "", V4, E4 ", {address: 192.0.2.2}" },
	};
	struct fl_problems problems = { 0 };
	struct fl_service *service = declare("", V4, E4, &problems);
	struct fl_service *same = declare("forward: nat,  settle: {tcp: 900s}", V4,
		"{weight: 1, address: '192.0.2.1'}", &problems);

	cr_expect(fl_service_equal(service, same));
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		struct fl_service *other = declare(
			others[i].options, others[i].frontends, others[i].endpoints, &problems);

		cr_assert_not_null(other, "row %zu", i);
		cr_expect_not(fl_service_equal(service, other), "row %zu", i);
		cr_expect_not(fl_service_equal(other, service), "row %zu", i);
		fl_service_unref(other);
	}
	fl_service_unref(service);
	fl_service_unref(same);
	fl_problems_done(&problems);
}

Test(model_service, references)
{
	struct fl_service *service = fl_service_new("s");

	cr_assert_eq(service->references, 1);
	cr_expect_eq(fl_service_ref(service), service);
	fl_service_unref(service);
	cr_expect_str_eq(service->name, "s");
	fl_service_unref(service);
	fl_service_unref(NULL);
}

Test(model_service, words)
{
	cr_expect_str_eq(fl_forward_name(FL_NAT), "nat");
	cr_expect_str_eq(fl_forward_name(FL_L2), "l2");
	cr_expect_str_eq(fl_forward_name(FL_IPIP), "ipip");
	cr_expect_str_eq(fl_forward_name(FL_GUE), "gue");
	cr_expect_str_eq(fl_balance_name(FL_MAGLEV), "maglev");
	cr_expect_str_eq(fl_balance_name(FL_RANDOM), "random");
	cr_expect_str_eq(fl_balance_name(FL_ROUND_ROBIN), "round-robin");
	cr_expect_str_eq(fl_balance_name(FL_LEAST_CONNECTIONS), "least-connections");
	cr_expect_str_eq(fl_balance_name(FL_P2C), "p2c");
	cr_expect_str_eq(fl_key_name(FL_KEY_RANDOM), "random");
	cr_expect_str_eq(fl_key_name(FL_KEY_SOURCE), "source");
	cr_expect_str_eq(fl_key_name(FL_KEY_CGROUP), "cgroup");
	cr_expect_str_eq(fl_locality_name(FL_LOCALITY_OFF), "off");
	cr_expect_str_eq(fl_locality_name(FL_LOCALITY_ZONE), "zone");
	cr_expect_str_eq(fl_locality_name(FL_LOCALITY_NODE), "node");
	cr_expect_str_eq(fl_state_name(FL_UP), "up");
	cr_expect_str_eq(fl_state_name(FL_DOWN), "down");
	cr_expect_str_eq(fl_state_name(FL_DRAINING), "draining");
	cr_expect_str_eq(fl_state_name(FL_MAINTENANCE), "maintenance");
	cr_expect_str_eq(fl_proto_name(6), "tcp");
	cr_expect_str_eq(fl_proto_name(17), "udp");
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "core/addr.h"

Test(core_addr, addresses)
{
	static const struct {
		const char *text;
		const char *again; /* how it is written; NULL = refused */
		enum fl_family family;
		bool unspecified, multicast, loopback;
	} rows[] = {
		{ "192.0.2.1", "192.0.2.1", FL_IPV4 },
		{ "0.0.0.0", "0.0.0.0", FL_IPV4, .unspecified = true },
		{ "255.255.255.255", "255.255.255.255", FL_IPV4 },
		{ "224.0.0.1", "224.0.0.1", FL_IPV4, .multicast = true },
		{ "239.255.255.255", "239.255.255.255", FL_IPV4, .multicast = true },
		{ "240.0.0.1", "240.0.0.1", FL_IPV4 },
		{ "127.1.2.3", "127.1.2.3", FL_IPV4, .loopback = true },
		{ "2001:DB8:0:0::1", "2001:db8::1", FL_IPV6 },
		{ "::", "::", FL_IPV6, .unspecified = true },
		{ "::1", "::1", FL_IPV6, .loopback = true },
		{ "::2", "::2", FL_IPV6 },
		{ "ff02::1", "ff02::1", FL_IPV6, .multicast = true },
		{ "fe80::1", "fe80::1", FL_IPV6 },
		{ "::ffff:192.0.2.1", "192.0.2.1", FL_IPV4 },
		{ "::ffff:0.0.0.0", "0.0.0.0", FL_IPV4, .unspecified = true },
		{ "", NULL },
		{ "192.0.2", NULL },
		{ "192.0.2.1.5", NULL },
		{ "192.0.2.256", NULL },
		{ "192.0.02.1", NULL },
		{ " 192.0.2.1", NULL },
		{ "192.0.2.1 ", NULL },
		{ "[::1]", NULL },
		{ "fe80::1%eth0", NULL },
		{ "2001:db8::1::2", NULL },
		{ "12345::1", NULL },
		{ "localhost", NULL },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[FL_IP_TEXT];
		struct fl_ip ip;
		int r = fl_ip_parse(rows[i].text, &ip);

		cr_assert_eq(r, rows[i].again ? 0 : -EINVAL, "%s", rows[i].text);
		if (r < 0)
			continue;
		cr_expect_str_eq(fl_ip_format(&ip, text), rows[i].again);
		cr_expect_eq(fl_ip_family(&ip), rows[i].family, "%s", rows[i].text);
		cr_expect_eq(fl_ip_is_unspecified(&ip), rows[i].unspecified, "%s", rows[i].text);
		cr_expect_eq(fl_ip_is_multicast(&ip), rows[i].multicast, "%s", rows[i].text);
		cr_expect_eq(fl_ip_is_loopback(&ip), rows[i].loopback, "%s", rows[i].text);
	}
}

Test(core_addr, bytes_and_order)
{
	static const uint8_t v4[4] = { 192, 0, 2, 1 };
	static const uint8_t v6[16] = { 0x20, 0x01, 0x0d, 0xb8, [15] = 1 };
	struct fl_ip a = fl_ip_from_bytes(FL_IPV4, v4);
	struct fl_ip b = fl_ip_from_bytes(FL_IPV6, v6);
	char text[FL_IP_TEXT];

	cr_expect_str_eq(fl_ip_format(&a, text), "192.0.2.1");
	cr_expect_str_eq(fl_ip_format(&b, text), "2001:db8::1");
	cr_expect_arr_eq(fl_ip_bytes(&a), v4, sizeof(v4));
	cr_expect_arr_eq(fl_ip_bytes(&b), v6, sizeof(v6));
	cr_expect(fl_ip_equal(&a, &a));
	cr_expect_not(fl_ip_equal(&a, &b));
	cr_expect_eq(fl_ip_compare(&a, &a), 0);
	cr_expect_lt(fl_ip_compare(&a, &b), 0);
	cr_expect_gt(fl_ip_compare(&b, &a), 0);
}

Test(core_addr, sockets)
{
	static const struct {
		const char *text;
		bool port_required;
		const char *again; /* NULL = refused */
	} rows[] = {
		{ "192.0.2.1:80", true, "192.0.2.1:80" },
		{ "192.0.2.1:0", true, "192.0.2.1:0" },
		{ "192.0.2.1:65535", true, "192.0.2.1:65535" },
		{ "[2001:db8::1]:80", true, "[2001:db8::1]:80" },
		{ "192.0.2.1", false, "192.0.2.1:0" },
		{ "2001:db8::1", false, "[2001:db8::1]:0" },
		{ "[2001:db8::1]", false, "[2001:db8::1]:0" },
		{ "[::ffff:192.0.2.1]:80", true, "192.0.2.1:80" },
		{ "192.0.2.1", true, NULL },
		{ "[2001:db8::1]", true, NULL },
		{ "2001:db8::1", true, NULL },
		{ "192.0.2.1:", false, NULL },
		{ "192.0.2.1:x", false, NULL },
		{ "192.0.2.1:65536", false, NULL },
		{ "192.0.2.1:-1", false, NULL },
		{ "192.0.2.1:+1", false, NULL },
		{ "192.0.2.1:080", false, NULL },
		{ "192.0.2.1:4294967376", false, NULL },
		{ "192.0.2.1: 80", false, NULL },
		{ ":80", false, NULL },
		{ "", false, NULL },
		{ "[192.0.2.1]:80", false, NULL },
		{ "[2001:db8::1", false, NULL },
		{ "[2001:db8::1]80", false, NULL },
		{ "[]:80", false, NULL },
		{ "[[::1]]:80", false, NULL },
		{ "[0000000000000000000000000000000000000000000000000000000000000000::1]:1", false,
			NULL },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[FL_SOCKET_TEXT];
		struct fl_ip ip;
		uint16_t port;
		int r = fl_socket_parse(rows[i].text, rows[i].port_required, &ip, &port);

		cr_assert_eq(r, rows[i].again ? 0 : -EINVAL, "%s", rows[i].text);
		if (r == 0)
			cr_expect_str_eq(fl_socket_format(&ip, port, text), rows[i].again);
	}
}

Test(core_addr, prefixes)
{
	static const struct {
		const char *text;
		int bits; /* -1 = refused */
		const char *inside, *outside;
	} rows[] = {
		{ "192.0.2.0/24", 24, "192.0.2.255", "192.0.3.0" },
		{ "192.0.2.1", 32, "192.0.2.1", "192.0.2.0" },
		{ "192.0.2.128/25", 25, "192.0.2.129", "192.0.2.127" },
		{ "0.0.0.0/0", 0, "255.255.255.255", "::1" },
		{ "2001:db8::/32", 32, "2001:db8:ffff::1", "2001:db9::" },
		{ "2001:db8::1", 128, "2001:db8::1", "2001:db8::2" },
		{ "2001:db8::/33", 33, "2001:db8:7fff::", "2001:db8:8000::" },
		{ "::/0", 0, "2001:db8::1", "192.0.2.1" },
		{ "192.0.2.1/24", -1 },
		{ "192.0.2.0/33", -1 },
		{ "2001:db8::/129", -1 },
		{ "192.0.2.0/", -1 },
		{ "192.0.2.0/x", -1 },
		{ "192.0.2.0/024", -1 },
		{ "/24", -1 },
		{ "192.0.2.0/24/24", -1 },
		{ "2001:db8::1/64", -1 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fl_prefix prefix;
		struct fl_ip ip;

		cr_assert_eq(fl_prefix_parse(rows[i].text, &prefix), rows[i].bits < 0 ? -EINVAL : 0,
			"%s", rows[i].text);
		if (rows[i].bits < 0)
			continue;
		cr_expect_eq(prefix.bits, rows[i].bits, "%s", rows[i].text);
		fl_ip_parse(rows[i].inside, &ip);
		cr_expect(fl_prefix_contains(&prefix, &ip), "%s: %s", rows[i].text, rows[i].inside);
		fl_ip_parse(rows[i].outside, &ip);
		cr_expect_not(
			fl_prefix_contains(&prefix, &ip), "%s: %s", rows[i].text, rows[i].outside);
	}
}

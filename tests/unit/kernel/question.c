/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "kernel/explain.h"

static const struct row {
	const char *proto, *source, *destination;
	int result;
	const char *says; /* part of the complaint */
} rows[] = {
	{ "tcp", "198.51.100.7:4242", "10.0.0.10:80", 0, NULL },
	{ "udp", "[2001:db8::7]:4242", "[2001:db8::10]:53", 0, NULL },
	{ "icmp", "198.51.100.7:4242", "10.0.0.10:80", -EINVAL, "icmp" },
	{ "TCP", "198.51.100.7:4242", "10.0.0.10:80", -EINVAL, "TCP" },
	{ "tcp", "198.51.100.7", "10.0.0.10:80", -EINVAL, "198.51.100.7" },
	{ "tcp", "198.51.100.7:0", "10.0.0.10:80", -EINVAL, "198.51.100.7:0" },
	{ "tcp", "198.51.100.7:4242", "10.0.0.10:65536", -EINVAL, "10.0.0.10:65536" },
	{ "tcp", "198.51.100.7:4242", "web", -EINVAL, "web" },
	{ "tcp", "[2001:db8::7]:1", "10.0.0.10:80", -EINVAL, "families" },
};

Test(kernel_question, is_parsed_or_complained_about)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *row = &rows[i];
		struct fl_failure failure = { 0 };
		struct fl_question got;
		int r = fl_question_parse(
			row->proto, row->source, row->destination, &got, &failure);

		cr_expect_eq(r, row->result, "%s %s %s: %d", row->proto, row->source,
			row->destination, r);
		if (row->says)
			cr_expect(strstr(failure.message, row->says), "%s", failure.message);
	}
}

Test(kernel_question, becomes_a_packet)
{
	struct fl_failure failure;
	struct fl_question question;
	uint8_t frame[FL_QUESTION_FRAME];
	static const uint8_t ipv4[] = { 0x08, 0x00, 0x45, 0x00, 0x00, 0x28, 0, 0, 0, 0, 64, 6 };
	static const uint8_t ipv6[] = { 0x86, 0xdd, 0x60, 0, 0, 0, 0, 8, 17, 64 };

	fl_question_parse("tcp", "198.51.100.7:4242", "10.0.0.10:80", &question, &failure);
	fl_question_build(&question, frame);
	cr_expect_arr_eq(frame + 12, ipv4, sizeof(ipv4));
	cr_expect_eq(frame[14 + 20 + 13], 0x02, "a SYN");
	question.opens = false;
	fl_question_build(&question, frame);
	cr_expect_eq(frame[14 + 20 + 13], 0x10, "an ACK");
	fl_question_parse("udp", "[2001:db8::7]:4242", "[2001:db8::10]:53", &question, &failure);
	fl_question_build(&question, frame);
	cr_expect_arr_eq(frame + 12, ipv6, sizeof(ipv6));
	cr_expect_eq(frame[14 + 40 + 5], 8, "the length of the datagram");
}

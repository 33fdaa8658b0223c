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

/* A process of the node has no port yet, and perhaps no address. */
Test(question, of_a_process_of_the_node)
{
	static const struct {
		const char *proto, *source, *frontend;
		const char *error; /* NULL = it is one */
		bool is_bound;
	} rows[] = {
		{ "tcp", "node", "10.0.0.10:80", NULL, false },
		{ "udp", "node@192.0.2.7", "10.0.0.10:80", NULL, true },
		{ "tcp", "node@2001:db8::7", "[2001:db8::10]:80", NULL, true },
		{ "tcp", "node@192.0.2.7:80", "10.0.0.10:80", "expected node or node@ADDRESS",
			false },
		{ "tcp", "node@", "10.0.0.10:80", "expected node or node@ADDRESS", false },
		{ "tcp", "node@2001:db8::7", "10.0.0.10:80", "different address families", false },
		{ "icmp", "node", "10.0.0.10:80", "is no protocol", false },
		{ "tcp", "node", "10.0.0.10", "is no frontend", false },
	};
	struct fl_failure failure;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fl_question question = { 0 };
		int r = fl_question_parse_node(
			rows[i].proto, rows[i].source, rows[i].frontend, &question, &failure);

		cr_expect(fl_question_is_of_node(rows[i].source), "row %zu", i);
		cr_expect_eq(r == 0, !rows[i].error, "row %zu", i);
		if (rows[i].error)
			cr_expect(strstr(failure.message, rows[i].error), "row %zu: %s", i,
				failure.message);
		else
			cr_expect_eq(question.is_bound, rows[i].is_bound, "row %zu", i);
	}
	cr_expect_not(fl_question_is_of_node("198.51.100.7:4242"));
	cr_expect_not(fl_question_is_of_node("nodes"));
}

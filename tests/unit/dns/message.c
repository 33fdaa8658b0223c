/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Reading queries: which are answered at all, what is wrong with others, and what an
 * answer to them looks like.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dns/answer.h"
#include "lib/declared.h"
#include "lib/dns_text.h"

/* A message in hex; blanks do not count. @return its length */
static size_t unhex(const char *text, uint8_t *bytes)
{
	size_t length = 0;

	for (; *text; text++) {
		unsigned value;

		if (*text == ' ')
			continue;
		cr_assert_eq(sscanf(text, "%2x", &value), 1, "%s", text);
		bytes[length++] = (uint8_t)value;
		text++;
	}
	return length;
}

/* "a.fairlead", type A, class IN. */
#define ASK_A "01 61 08 666169726c656164 00 0001 0001"
#define PLAIN "1234 0100 0001 0000 0000 0000"
#define MORE  "1234 0100 0001 0000 0000 0001"

/* What is read, and the first words of the answer (NULL = silence). */
static const struct {
	const char *story;
	const char *hex;
	const char *answer;
} rows[] = {
	{ "a good one", PLAIN ASK_A, "NXDOMAIN aa rd" },
	{ "nothing", "", NULL },
	{ "shorter than a header", "1234 0100 0001 0000 0000 00", NULL },
	{ "an answer", "1234 8100 0001 0000 0000 0000" ASK_A, NULL },
	{ "a header alone, that is an answer", "1234 8000 0000 0000 0000 0000", NULL },
	{ "without a question", "1234 0100 0000 0000 0000 0000", "FORMERR rd" },
	{ "two questions", "1234 0100 0002 0000 0000 0000" ASK_A ASK_A, "FORMERR rd" },
	{ "two questions promised", "1234 0100 0002 0000 0000 0000" ASK_A, "FORMERR rd" },
	{ "an update", "1234 2800 0001 0000 0000 0000" ASK_A, "NOTIMP" },
	{ "a status", "1234 1100 0000 0000 0000 0000", "NOTIMP rd" },
	{ "question cut off", PLAIN "01 61 08 6661", "FORMERR rd" },
	{ "type cut off", PLAIN "01 61 00 00", "FORMERR rd" },
	{ "name without its end", PLAIN "01 61", "FORMERR rd" },
	{ "a pointer in the question", PLAIN "c00c 0001 0001", "FORMERR rd" },
	{ "a pointer behind a label", PLAIN "01 61 c00c 0001 0001", "FORMERR rd" },
	{ "a label of a kind unknown", PLAIN "41 61 00 0001 0001", "FORMERR rd" },
	{ "class CH", PLAIN "01 61 08 666169726c656164 00 0001 0003", "REFUSED rd" },
	{ "the root", PLAIN "00 0001 0001", "REFUSED rd" },
	{ "bytes behind it", PLAIN ASK_A "ff ff ff", "NXDOMAIN aa rd" },

	{ "EDNS", MORE ASK_A "00 0029 04d0 00000000 0000", "NXDOMAIN aa rd; edns 1232" },
	{ "EDNS that wants DNSSEC", MORE ASK_A "00 0029 04d0 00008000 0000",
		"NXDOMAIN aa rd; edns 1232 do" },
	{ "EDNS with a cookie", MORE ASK_A "00 0029 04d0 00000000 000c 000a 0008 0102030405060708",
		"NXDOMAIN aa rd; edns 1232" },
	{ "EDNS of version 1", MORE ASK_A "00 0029 04d0 00010000 0000",
		"NOERROR rd; edns 1232 rcode 1" },
	{ "EDNS with a tiny size", MORE ASK_A "00 0029 0001 00000000 0000",
		"NXDOMAIN aa rd; edns 1232" },
	{ "EDNS twice",
		"1234 0100 0001 0000 0000 0002" ASK_A "00 0029 04d0 00000000 0000"
		"00 0029 04d0 00000000 0000",
		"FORMERR rd" },
	{ "EDNS that belongs to a name", MORE ASK_A "01 61 00 0029 04d0 00000000 0000",
		"FORMERR rd" },
	{ "EDNS that belongs to a pointer", MORE ASK_A "c00c 0029 04d0 00000000 0000",
		"FORMERR rd" },
	{ "EDNS among the answers",
		"1234 0100 0001 0001 0000 0000" ASK_A "00 0029 04d0 00000000 0000", "FORMERR rd" },
	{ "EDNS with options cut off", MORE ASK_A "00 0029 04d0 00000000 0004 000a", "FORMERR rd" },
	{ "a record promised", MORE ASK_A, "FORMERR rd" },
	{ "another record", MORE ASK_A "c00c 0001 0001 00000000 0004 c0000201", "NXDOMAIN aa rd" },
	{ "a pointer to itself", MORE ASK_A "c01d 0001 0001 00000000 0000", "FORMERR rd" },
	{ "a pointer forward", MORE ASK_A "c0ff 0001 0001 00000000 0000", "FORMERR rd" },
	{ "a pointer into the header", MORE ASK_A "c002 0001 0001 00000000 0000", "FORMERR rd" },
	{ "a pointer cut off", MORE ASK_A "c0", "FORMERR rd" },
};

Test(dns_message, what_is_answered_and_how)
{
	struct fl_snapshot *snapshot = test_snapshot(7, NULL, 0);
	struct fl_ip server;
	struct fl_dns_zone *zone;
	char *text = malloc(DNS_TEXT_SIZE);

	fl_ip_parse("127.0.0.1", &server);
	cr_assert_eq(fl_dns_zone_new("fairlead", 0, &server, 1, &zone), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t query[512], answer[FL_DNS_UDP_MAX];
		struct fl_dns_outcome outcome;
		size_t size = unhex(rows[i].hex, query);
		size_t length =
			fl_dns_answer(zone, snapshot, FL_DNS_UDP, query, size, answer, &outcome);
		char *soa;

		cr_expect_eq(length > 0, rows[i].answer != NULL, "%s", rows[i].story);
		if (!length)
			continue;
		cr_expect(dns_answer_text(answer, length, text), "%s: %s", rows[i].story, text);
		soa = strstr(text, "; ! ");
		if (soa) /* told elsewhere */
			memmove(soa, soa + strcspn(soa + 2, ";") + 2,
				strlen(soa + strcspn(soa + 2, ";") + 2) + 1);
		cr_expect_str_eq(text, rows[i].answer, "%s: %s", rows[i].story, text);
		cr_expect(answer[0] == 0x12 && answer[1] == 0x34, "%s", rows[i].story);
	}
	free(text);
	fl_dns_zone_free(zone);
	fl_snapshot_unref(snapshot);
}

Test(dns_message, the_longest_names)
{
	/* 63.63.63.61: 255 bytes on the wire; one more is too long, and so is a label of 64. */
	static const struct {
		unsigned labels[5];
		enum fl_dns_rcode rcode;
	} names[] = {
		{ { 63, 63, 63, 61 }, FL_DNS_NOERROR },
		{ { 63, 63, 63, 62 }, FL_DNS_FORMERR },
		{ { 63, 63, 63, 59, 1 }, FL_DNS_NOERROR },
		{ { 63, 63, 63, 60, 1 }, FL_DNS_FORMERR },
		{ { 64 }, FL_DNS_FORMERR },
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		uint8_t bytes[512] = { 0, 1, 0, 0, 0, 1 };
		struct fl_dns_query query;
		size_t at = FL_DNS_HEADER;

		for (size_t j = 0; j < 5 && names[i].labels[j]; j++) {
			bytes[at++] = (uint8_t)names[i].labels[j];
			memset(bytes + at, 'x', names[i].labels[j]);
			at += names[i].labels[j];
		}
		bytes[at] = 0;
		bytes[at + 2] = bytes[at + 4] = 1;
		cr_assert_eq(fl_dns_query_parse(bytes, at + 5, &query), 0);
		cr_expect_eq(query.rcode, names[i].rcode, "row %zu", i);
		for (size_t size = 0; size < at + 5; size++) /* every way to cut it off */
			cr_expect(fl_dns_query_parse(bytes, size, &query) == -ENOMSG ||
					  query.rcode == FL_DNS_FORMERR,
				"row %zu cut at %zu", i, size);
	}
}

Test(dns_message, domains)
{
	static const struct {
		const char *text;
		int result;
		unsigned length;
	} names[] = {
		{ "fairlead", 0, 10 },
		{ "a.b-c.Example", 0, 15 },
		{ "_x", 0, 4 },
		{ "", -EINVAL, 0 },
		{ ".", -EINVAL, 0 },
		{ "a.", -EINVAL, 0 },
		{ "a..b", -EINVAL, 0 },
		{ ".a", -EINVAL, 0 },
		{ "a b", -EINVAL, 0 },
		{ "\xc3\xbc", -EINVAL, 0 },
		{ "0123456789012345678901234567890123456789012345678901234567890123", -EINVAL, 0 },
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct fl_dns_name name = { 0 };

		cr_expect_eq(fl_dns_name_from_text(names[i].text, &name), names[i].result, "%s",
			names[i].text);
		cr_expect_eq(name.length, names[i].length, "%s", names[i].text);
	}
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "lib/dns_text.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_TEXT 1100 /* every byte of 255 may be written as \DDD */
#define LINES_MAX 8192
#define LINE_SIZE 4096

static size_t put_u16(uint8_t *bytes, size_t at, unsigned value)
{
	bytes[at] = (uint8_t)(value >> 8);
	bytes[at + 1] = (uint8_t)value;
	return at + 2;
}

size_t dns_query_make(uint8_t *bytes, const char *name, uint16_t type, uint16_t payload)
{
	size_t at = 12;

	memset(bytes, 0, 12);
	put_u16(bytes, 0, 0x1234);
	put_u16(bytes, 2, 0x0100);
	put_u16(bytes, 4, 1);
	put_u16(bytes, 10, payload != 0);
	while (*name) {
		size_t length = strcspn(name, ".");

		bytes[at++] = (uint8_t)length;
		memcpy(bytes + at, name, length);
		at += length;
		name += length + (name[length] == '.');
	}
	bytes[at++] = 0;
	at = put_u16(bytes, at, type);
	at = put_u16(bytes, at, 1);
	if (payload) {
		bytes[at++] = 0;
		at = put_u16(bytes, at, 41);
		at = put_u16(bytes, at, payload);
		memset(bytes + at, 0, 6);
		at += 6;
	}
	return at;
}

/* ------------------------------------------------------------------ reading */

struct reader {
	const uint8_t *bytes;
	size_t size, at;
	const char *wrong; /* the first thing that is */
};

static bool fail(struct reader *r, const char *why)
{
	if (!r->wrong)
		r->wrong = why;
	return false;
}

static unsigned get(struct reader *r, unsigned count)
{
	unsigned value = 0;

	if (r->size - r->at < count) {
		fail(r, "ends too early");
		return 0;
	}
	while (count--)
		value = value << 8 | r->bytes[r->at++];
	return value;
}

/* A name at `at`, written with its last dot. @return where it ends in the message */
static size_t name_at(struct reader *r, size_t at, char *text)
{
	size_t end = 0, length = 1, before = at;

	for (;;) {
		unsigned count = at < r->size ? r->bytes[at++] : 0xff;

		if (count >= 0xc0) {
			size_t target = at < r->size ? (count & 0x3f) << 8 | r->bytes[at] : r->size;

			if (!end)
				end = at + 1;
			if (target >= before || target < 12) {
				fail(r, "a pointer does not go back");
				return r->size;
			}
			at = before = target;
			continue;
		}
		if (count > 63 || r->size - at < count || (length += count + (count != 0)) > 255) {
			fail(r, "no name");
			return r->size;
		}
		if (!count)
			break;
		for (unsigned i = 0; i < count; i++, at++)
			text += r->bytes[at] > ' ' && r->bytes[at] < 0x7f && r->bytes[at] != '.' &&
						r->bytes[at] != ';'
					? sprintf(text, "%c", r->bytes[at])
					: sprintf(text, "\\%03u", r->bytes[at]);
		text += sprintf(text, ".");
	}
	if (length == 1)
		text += sprintf(text, ".");
	*text = '\0';
	return end ? end : at;
}

static void read_name(struct reader *r, char *text)
{
	*text = '\0';
	r->at = name_at(r, r->at, text);
}

/* The data of a record, of which `end` is the end. */
static int read_data(struct reader *r, unsigned type, size_t end, char *text)
{
	char name[NAME_TEXT], other[NAME_TEXT];
	char address[INET6_ADDRSTRLEN];
	unsigned a, b, c;

	switch (type) {
	case 1:
	case 28:
		if (end - r->at != (type == 1 ? 4 : 16))
			return fail(r, "an address of the wrong length");
		inet_ntop(
			type == 1 ? AF_INET : AF_INET6, r->bytes + r->at, address, sizeof(address));
		r->at = end;
		return sprintf(text, "%s %s", type == 1 ? "A" : "AAAA", address);
	case 2:
		read_name(r, name);
		return sprintf(text, "NS %s", name);
	case 6:
		read_name(r, name);
		read_name(r, other);
		a = get(r, 4);
		get(r, 4), get(r, 4), get(r, 4);
		b = get(r, 4);
		return sprintf(text, "SOA %s %s %u %u", name, other, a, b);
	case 13:
		a = get(r, 1);
		if (r->size - r->at < a)
			return fail(r, "ends too early");
		r->at += a;
		b = get(r, 1);
		r->at += b;
		return sprintf(text, "HINFO \"%.*s\"", (int)a, r->bytes + r->at - b - 1 - a);
	case 33:
		a = get(r, 2), b = get(r, 2), c = get(r, 2);
		read_name(r, name);
		return sprintf(text, "SRV %u %u %u %s", a, b, c, name);
	default:
		r->at = end;
		return sprintf(text, "TYPE%u", type);
	}
}

/* One record as a line. @return false when it is malformed */
static bool read_record(struct reader *r, char section, const char *question, char *line)
{
	char name[NAME_TEXT];
	unsigned type, class, ttl, length;
	size_t end;

	read_name(r, name);
	type = get(r, 2), class = get(r, 2), ttl = get(r, 4), length = get(r, 2);
	if (r->wrong || r->size - r->at < length)
		return fail(r, "ends too early");
	end = r->at + length;
	if (type == 41) {
		if (section != '+' || strcmp(name, ".") != 0 || length)
			return fail(r, "EDNS is malformed");
		line += sprintf(line, "edns %u", class);
		if (ttl & 0xff000000)
			line += sprintf(line, " rcode %u", ttl >> 24);
		sprintf(line, "%s", ttl & 0x8000 ? " do" : "");
		return true;
	}
	if (class != 1)
		return fail(r, "another class");
	line += sprintf(line, "%c ", section);
	if (strcmp(name, question) != 0)
		line += sprintf(line, "%s ", name);
	if (ttl)
		line += sprintf(line, "%u ", ttl);
	read_data(r, type, end, line);
	return r->at == end ? !r->wrong : fail(r, "data is longer or shorter than it says");
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* All records, sorted within their sections, behind `text`. */
static void read_records(
	struct reader *r, const unsigned counts[3], const char *question, char *text)
{
	static char *lines[LINES_MAX];
	char line[LINE_SIZE];

	for (int section = 0; section < 3; section++) {
		size_t count = 0;

		for (unsigned i = 0; i < counts[section] && !r->wrong; i++)
			if (count == LINES_MAX)
				fail(r, "too many records");
			else if (read_record(r, "=!+"[section], question, line))
				lines[count++] = strdup(line);
		qsort(lines, count, sizeof(lines[0]), by_text);
		for (size_t i = 0; i < count; i++) {
			text += sprintf(text, "; %s", lines[i]);
			free(lines[i]);
		}
	}
}

bool dns_answer_text(const uint8_t *bytes, size_t size, char *text)
{
	static const char *const codes[] = { "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP",
		"REFUSED" };
	struct reader r = { .bytes = bytes, .size = size, .at = 2 };
	char question[NAME_TEXT] = "";
	unsigned flags = get(&r, 2);
	unsigned questions = get(&r, 2);
	unsigned counts[3];
	char *start = text;

	for (int i = 0; i < 3; i++)
		counts[i] = get(&r, 2);
	if (!(flags & 0x8000))
		fail(&r, "is no answer");
	if ((flags & 0xf) > 5 || flags & 0x00f0)
		fail(&r, "unexpected flags");
	if (questions > 1)
		fail(&r, "several questions");
	if (questions) {
		read_name(&r, question);
		get(&r, 4);
	}
	if (!r.wrong) {
		text += sprintf(text, "%s%s%s%s", codes[flags & 0xf], flags & 0x0400 ? " aa" : "",
			flags & 0x0200 ? " tc" : "", flags & 0x0100 ? " rd" : "");
		read_records(&r, counts, question, text);
	}
	if (!r.wrong && r.at != size)
		fail(&r, "bytes behind the last record");
	if (r.wrong)
		strcpy(start, r.wrong);
	return !r.wrong;
}

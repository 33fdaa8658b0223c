/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "dns/message.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <string.h>

/* Header flags (RFC 1035, 4.1.1). */
#define QR           0x8000
#define OPCODE_SHIFT 11
#define OPCODE_MASK  0xf
#define AA           0x0400
#define TC           0x0200
#define RD           0x0100

#define POINTER     0xc0 /* of the first byte: a pointer follows, no label */
#define POINTER_MAX 0x3fff
#define OPT_SIZE    11
#define DNSSEC_OK   0x8000
#define EDNS        0 /* the version we speak */
#define PAYLOAD     FL_DNS_UDP_MAX

/* Timers of the SOA record: nobody transfers this zone, so they only have to look sane. */
#define REFRESH_S 3600
#define RETRY_S   600
#define EXPIRE_S  86400

int fl_dns_name_from_text(const char *text, struct fl_dns_name *ret)
{
	struct fl_dns_name name = { 0 };

	do {
		size_t length = strcspn(text, ".");

		if (!length || length > FL_DNS_LABEL_MAX ||
			name.length + 1 + length + 1 > FL_DNS_NAME_MAX)
			return -EINVAL;
		for (size_t i = 0; i < length; i++)
			if (!isalnum((unsigned char)text[i]) && text[i] != '-' && text[i] != '_')
				return -EINVAL;
		name.wire[name.length++] = (uint8_t)length;
		memcpy(name.wire + name.length, text, length);
		name.length = (uint8_t)(name.length + length);
		text += length;
	} while (*text && *text++ == '.');
	name.wire[name.length++] = 0;
	*ret = name;
	return 0;
}

/* ----------------------------------------------------------------- reading */

/* What is left to read of a message. */
struct reader {
	const uint8_t *bytes;
	size_t size;
	size_t at;
};

static bool read_u8(struct reader *r, uint8_t *ret)
{
	if (r->at >= r->size)
		return false;
	*ret = r->bytes[r->at++];
	return true;
}

static bool read_u16(struct reader *r, uint16_t *ret)
{
	if (r->size - r->at < 2)
		return false;
	*ret = (uint16_t)(r->bytes[r->at] << 8 | r->bytes[r->at + 1]);
	r->at += 2;
	return true;
}

static bool skip(struct reader *r, size_t count)
{
	if (r->size - r->at < count)
		return false;
	r->at += count;
	return true;
}

/* The question's name. Nothing stands before it that a pointer could mean. */
static bool read_name(struct reader *r, struct fl_dns_name *ret)
{
	uint8_t length;

	ret->length = 0;
	do {
		if (!read_u8(r, &length) || length > FL_DNS_LABEL_MAX ||
			ret->length + 1u + length + (length ? 1 : 0) > FL_DNS_NAME_MAX ||
			r->size - r->at < length)
			return false;
		ret->wire[ret->length++] = length;
		memcpy(ret->wire + ret->length, r->bytes + r->at, length);
		ret->length = (uint8_t)(ret->length + length);
		r->at += length;
	} while (length);
	return true;
}

/* A name that nobody asks about: labels, and perhaps a pointer to what came before it.
 * @param ret_is_root  whether it is the root alone */
static bool skip_name(struct reader *r, bool *ret_is_root)
{
	size_t start = r->at;
	uint8_t length;

	for (;;) {
		if (!read_u8(r, &length))
			return false;
		if (length >= POINTER) {
			uint8_t low;
			size_t target;

			if (!read_u8(r, &low))
				return false;
			target = (size_t)(length & ~POINTER) << 8 | low;
			*ret_is_root = false;
			return target >= FL_DNS_HEADER && target < start;
		}
		if (length > FL_DNS_LABEL_MAX || !skip(r, length))
			return false;
		if (r->at - start > FL_DNS_NAME_MAX)
			return false;
		if (!length)
			break;
	}
	*ret_is_root = r->at - start == 1;
	return true;
}

/* The pseudo-record of EDNS: its class and TTL carry other things. */
static bool take_opt(
	struct fl_dns_query *q, bool is_root, uint16_t class, uint16_t ttl_high, uint16_t ttl_low)
{
	if (!is_root || q->edns) /* RFC 6891, 6.1.1: one, owned by the root */
		return false;
	q->edns = true;
	q->dnssec_ok = ttl_low & DNSSEC_OK;
	q->payload = class < FL_DNS_UDP_MIN ? FL_DNS_UDP_MIN : class;
	if ((ttl_high & 0xff) != EDNS)
		q->rcode = FL_DNS_BADVERS;
	return true;
}

/* Records behind the question; only EDNS matters to us. */
static bool read_records(struct reader *r, size_t count, bool additional, struct fl_dns_query *q)
{
	for (size_t i = 0; i < count; i++) {
		uint16_t type, class, ttl_high, ttl_low, length;
		bool is_root;

		if (!skip_name(r, &is_root) || !read_u16(r, &type) || !read_u16(r, &class) ||
			!read_u16(r, &ttl_high) || !read_u16(r, &ttl_low) ||
			!read_u16(r, &length) || !skip(r, length))
			return false;
		if (type != FL_DNS_OPT)
			continue;
		if (!additional || !take_opt(q, is_root, class, ttl_high, ttl_low))
			return false;
	}
	return true;
}

static bool read_body(struct reader *r, const uint16_t counts[4], struct fl_dns_query *q)
{
	if (counts[0] != 1) /* RFC 9619 */
		return false;
	if (!read_name(r, &q->name) || !read_u16(r, &q->type) || !read_u16(r, &q->class))
		return false;
	if (!read_records(r, (size_t)counts[1] + counts[2], false, q) ||
		!read_records(r, counts[3], true, q))
		return false;
	q->has_question = true;
	return true;
}

int fl_dns_query_parse(const uint8_t *bytes, size_t size, struct fl_dns_query *ret)
{
	struct reader r = { .bytes = bytes, .size = size };
	struct fl_dns_query q = { .payload = FL_DNS_UDP_MIN };
	uint16_t flags, counts[4];

	if (size < FL_DNS_HEADER)
		return -ENOMSG;
	read_u16(&r, &q.id);
	read_u16(&r, &flags);
	for (int i = 0; i < 4; i++)
		read_u16(&r, &counts[i]);
	if (flags & QR)
		return -ENOMSG;
	q.opcode = flags >> OPCODE_SHIFT & OPCODE_MASK;
	q.recursion_desired = flags & RD;
	if (q.opcode != 0) {
		q.rcode = FL_DNS_NOTIMP; /* what follows the header depends on the opcode */
	} else if (!read_body(&r, counts, &q)) {
		q.rcode = FL_DNS_FORMERR;
		q.edns = false;
		q.payload = FL_DNS_UDP_MIN;
	}
	*ret = q;
	return 0;
}

/* ----------------------------------------------------------------- writing */

static void put_bytes(struct fl_dns_writer *w, const void *bytes, size_t count)
{
	assert(w->length + count <= w->room);
	memcpy(w->bytes + w->length, bytes, count);
	w->length += count;
}

static void put_u8(struct fl_dns_writer *w, uint8_t value)
{
	put_bytes(w, &value, 1);
}

static void put_u16(struct fl_dns_writer *w, uint16_t value)
{
	uint8_t bytes[2] = { (uint8_t)(value >> 8), (uint8_t)value };

	put_bytes(w, bytes, sizeof(bytes));
}

static void put_u32(struct fl_dns_writer *w, uint32_t value)
{
	put_u16(w, (uint16_t)(value >> 16));
	put_u16(w, (uint16_t)value);
}

static void put_label(struct fl_dns_writer *w, const char *label)
{
	size_t length = strlen(label);

	put_u8(w, (uint8_t)length);
	put_bytes(w, label, length);
}

static void put_place(struct fl_dns_writer *w, fl_dns_place place)
{
	put_u16(w, (uint16_t)(POINTER << 8 | place));
}

void fl_dns_begin(
	struct fl_dns_writer *w, const struct fl_dns_query *query, uint8_t *bytes, size_t room)
{
	static const uint8_t header[FL_DNS_HEADER];

	assert(room >= FL_DNS_UDP_MIN);
	*w = (struct fl_dns_writer){ .bytes = bytes, .room = room, .query = query };
	if (query->edns)
		w->room -= OPT_SIZE;
	put_bytes(w, header, sizeof(header)); /* filled in at the end */
	if (!query->has_question)
		return;
	put_bytes(w, query->name.wire, query->name.length);
	put_u16(w, query->type);
	put_u16(w, query->class);
}

fl_dns_place fl_dns_question_at(size_t offset)
{
	return (fl_dns_place)(FL_DNS_HEADER + offset);
}

size_t fl_dns_room(const struct fl_dns_writer *w)
{
	return w->room - w->length;
}

#define FIXED_SIZE 12 /* of a record: owner as a pointer, type, class, TTL, length */

/* The part that every record has. @return false when the record has no room */
static bool begin_record(struct fl_dns_writer *w, enum fl_dns_section section, fl_dns_place owner,
	enum fl_dns_type type, uint32_t ttl_s, size_t data_size)
{
	if (fl_dns_room(w) < FIXED_SIZE + data_size)
		return false;
	put_place(w, owner);
	put_u16(w, type);
	put_u16(w, FL_DNS_CLASS_IN);
	put_u32(w, ttl_s);
	put_u16(w, (uint16_t)data_size);
	w->counts[section]++;
	return true;
}

static size_t address_bytes(enum fl_family family)
{
	return family == FL_IPV4 ? 4 : 16;
}

size_t fl_dns_address_size(enum fl_family family)
{
	return FIXED_SIZE + address_bytes(family);
}

bool fl_dns_put_address(struct fl_dns_writer *w, enum fl_dns_section section, fl_dns_place owner,
	uint32_t ttl_s, const struct fl_ip *addr)
{
	enum fl_family family = fl_ip_family(addr);
	size_t size = address_bytes(family);

	if (!begin_record(
		    w, section, owner, family == FL_IPV4 ? FL_DNS_A : FL_DNS_AAAA, ttl_s, size))
		return false;
	put_bytes(w, fl_ip_bytes(addr), size);
	return true;
}

/* Priority, weight, port, "HEX.addr." and the domain. */
static size_t srv_data_size(const struct fl_ip *addr, const struct fl_dns_name *domain)
{
	return 6 + 1 + 2 * address_bytes(fl_ip_family(addr)) + 1 + strlen("addr") + domain->length;
}

size_t fl_dns_srv_size(const struct fl_ip *addr, const struct fl_dns_name *domain)
{
	return FIXED_SIZE + srv_data_size(addr, domain);
}

static void put_hex_label(struct fl_dns_writer *w, const struct fl_ip *addr)
{
	static const char digits[] = "0123456789abcdef";
	size_t count = address_bytes(fl_ip_family(addr));
	const uint8_t *bytes = fl_ip_bytes(addr);

	put_u8(w, (uint8_t)(2 * count));
	for (size_t i = 0; i < count; i++) {
		put_u8(w, (uint8_t)digits[bytes[i] >> 4]);
		put_u8(w, (uint8_t)digits[bytes[i] & 0xf]);
	}
}

bool fl_dns_put_srv(struct fl_dns_writer *w, fl_dns_place owner, uint32_t ttl_s, uint16_t weight,
	uint16_t port, const struct fl_ip *addr, const struct fl_dns_name *domain,
	fl_dns_place *ret_target)
{
	if (!begin_record(w, FL_DNS_ANSWER, owner, FL_DNS_SRV, ttl_s, srv_data_size(addr, domain)))
		return false;
	put_u16(w, 1); /* priority: all are equal, the weight decides */
	put_u16(w, weight);
	put_u16(w, port);
	*ret_target = w->length <= POINTER_MAX ? (fl_dns_place)w->length : 0;
	put_hex_label(w, addr);
	put_label(w, "addr");
	put_bytes(w, domain->wire, domain->length);
	return true;
}

bool fl_dns_put_ns(
	struct fl_dns_writer *w, fl_dns_place domain, uint32_t ttl_s, fl_dns_place *ret_target)
{
	if (!begin_record(w, FL_DNS_ANSWER, domain, FL_DNS_NS, ttl_s, 1 + strlen("ns") + 2))
		return false;
	*ret_target = (fl_dns_place)w->length;
	put_label(w, "ns");
	put_place(w, domain);
	return true;
}

bool fl_dns_put_soa(struct fl_dns_writer *w, enum fl_dns_section section, fl_dns_place domain,
	uint32_t ttl_s, uint32_t serial)
{
	size_t size = 1 + strlen("ns") + 2 + 1 + strlen("hostmaster") + 2 + 5 * sizeof(uint32_t);

	if (!begin_record(w, section, domain, FL_DNS_SOA, ttl_s, size))
		return false;
	put_label(w, "ns");
	put_place(w, domain);
	put_label(w, "hostmaster");
	put_place(w, domain);
	put_u32(w, serial);
	put_u32(w, REFRESH_S);
	put_u32(w, RETRY_S);
	put_u32(w, EXPIRE_S);
	put_u32(w, ttl_s); /* how long "there is none" may be kept (RFC 2308) */
	return true;
}

bool fl_dns_put_hinfo(struct fl_dns_writer *w, fl_dns_place owner, uint32_t ttl_s)
{
	static const char cpu[] = "RFC8482";

	if (!begin_record(w, FL_DNS_ANSWER, owner, FL_DNS_HINFO, ttl_s, sizeof(cpu) + 1))
		return false;
	put_label(w, cpu);
	put_label(w, "");
	return true;
}

static void put_opt(struct fl_dns_writer *w, enum fl_dns_rcode rcode)
{
	w->room += OPT_SIZE;
	put_u8(w, 0); /* owner: the root */
	put_u16(w, FL_DNS_OPT);
	put_u16(w, PAYLOAD);
	put_u8(w, (uint8_t)(rcode >> 4));
	put_u8(w, EDNS);
	put_u16(w, w->query->dnssec_ok ? DNSSEC_OK : 0); /* copied (RFC 3225) */
	put_u16(w, 0);
	w->counts[FL_DNS_ADDITIONAL]++;
}

size_t fl_dns_end(struct fl_dns_writer *w, enum fl_dns_rcode rcode)
{
	const struct fl_dns_query *q = w->query;
	size_t length;

	if (q->edns)
		put_opt(w, rcode);
	length = w->length;
	w->length = 0;
	put_u16(w, q->id);
	put_u16(w, (uint16_t)(QR | q->opcode << OPCODE_SHIFT | (w->authoritative ? AA : 0) |
			      (w->truncated ? TC : 0) | (q->recursion_desired ? RD : 0) |
			      (rcode & 0xf)));
	put_u16(w, q->has_question);
	for (int i = 0; i < FL_DNS_SECTIONS; i++)
		put_u16(w, w->counts[i]);
	w->length = length;
	return length;
}

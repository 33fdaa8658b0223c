/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "core/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct fl_ip mapped_prefix = { .word = { 0, 0,
						    0xffff0000 } }; /* ::ffff:0:0, as stored */

enum fl_family fl_ip_family(const struct fl_ip *ip)
{
	return memcmp(ip, &mapped_prefix, 12) == 0 ? FL_IPV4 : FL_IPV6;
}

bool fl_ip_equal(const struct fl_ip *a, const struct fl_ip *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

int fl_ip_compare(const struct fl_ip *a, const struct fl_ip *b)
{
	return memcmp(a, b, sizeof(*a));
}

bool fl_ip_is_unspecified(const struct fl_ip *ip)
{
	if (fl_ip_family(ip) == FL_IPV4)
		return ip->word[3] == 0;
	return !ip->word[0] && !ip->word[1] && !ip->word[2] && !ip->word[3];
}

bool fl_ip_is_multicast(const struct fl_ip *ip)
{
	if (fl_ip_family(ip) == FL_IPV4)
		return (ntohl(ip->word[3]) >> 28) == 0xe;
	return (ntohl(ip->word[0]) >> 24) == 0xff;
}

bool fl_ip_is_loopback(const struct fl_ip *ip)
{
	if (fl_ip_family(ip) == FL_IPV4)
		return (ntohl(ip->word[3]) >> 24) == 127;
	return !ip->word[0] && !ip->word[1] && !ip->word[2] && ip->word[3] == htonl(1);
}

bool fl_ip_is_host(const struct fl_ip *ip)
{
	static const uint8_t broadcast[4] = { 255, 255, 255, 255 };

	return !fl_ip_is_unspecified(ip) && !fl_ip_is_multicast(ip) &&
	       !(fl_ip_family(ip) == FL_IPV4 && memcmp(fl_ip_bytes(ip), broadcast, 4) == 0);
}

struct fl_ip fl_ip_from_ipv4(__be32 addr)
{
	struct fl_ip ip = mapped_prefix;

	ip.word[3] = addr;
	return ip;
}

struct fl_ip fl_ip_from_bytes(enum fl_family family, const void *bytes)
{
	struct fl_ip ip = mapped_prefix;

	if (family == FL_IPV4)
		memcpy(&ip.word[3], bytes, 4);
	else
		memcpy(&ip, bytes, 16);
	return ip;
}

const void *fl_ip_bytes(const struct fl_ip *ip)
{
	return fl_ip_family(ip) == FL_IPV4 ? &ip->word[3] : &ip->word[0];
}

int fl_ip_parse(const char *text, struct fl_ip *ret)
{
	uint8_t bytes[16];

	if (inet_pton(AF_INET, text, bytes) == 1) {
		*ret = fl_ip_from_bytes(FL_IPV4, bytes);
		return 0;
	}
	if (inet_pton(AF_INET6, text, bytes) == 1) {
		*ret = fl_ip_from_bytes(FL_IPV6, bytes);
		return 0;
	}
	return -EINVAL;
}

char *fl_ip_format(const struct fl_ip *ip, char buffer[FL_IP_TEXT])
{
	int family = fl_ip_family(ip) == FL_IPV4 ? AF_INET : AF_INET6;

	inet_ntop(family, fl_ip_bytes(ip), buffer, FL_IP_TEXT);
	return buffer;
}

/* A decimal number without sign, space or leading zero, at most `max`. */
static int parse_number(const char *text, unsigned long max, unsigned long *ret)
{
	unsigned long value = 0;

	if (!*text || (text[0] == '0' && text[1]))
		return -EINVAL;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return -EINVAL;
		value = value * 10 + (unsigned long)(*text - '0');
		if (value > max)
			return -EINVAL;
	}
	*ret = value;
	return 0;
}

int fl_socket_parse(const char *text, bool port_required, struct fl_ip *ret, uint16_t *ret_port)
{
	char address[FL_IP_TEXT];
	const char *port = NULL;
	const char *start = text;
	size_t length = strlen(text);
	unsigned long number = 0;
	struct fl_ip ip;
	bool brackets = text[0] == '[';

	if (brackets) {
		const char *end = strchr(text, ']');

		if (!end || (end[1] && end[1] != ':'))
			return -EINVAL;
		start++;
		length = (size_t)(end - start);
		port = end[1] ? end + 2 : NULL;
	} else {
		const char *colon = strchr(text, ':');

		if (colon && !strchr(colon + 1, ':')) {
			length = (size_t)(colon - text);
			port = colon + 1;
		}
	}
	if (length >= sizeof(address))
		return -EINVAL;
	memcpy(address, start, length);
	address[length] = '\0';
	if (fl_ip_parse(address, &ip) < 0)
		return -EINVAL;
	if (brackets && !strchr(address, ':'))
		return -EINVAL;
	if (port_required && !port)
		return -EINVAL;
	if (port && parse_number(port, 65535, &number) < 0)
		return -EINVAL;
	*ret = ip;
	*ret_port = (uint16_t)number;
	return 0;
}

char *fl_socket_format(const struct fl_ip *ip, uint16_t port, char buffer[FL_SOCKET_TEXT])
{
	char address[FL_IP_TEXT];
	const char *shape = fl_ip_family(ip) == FL_IPV4 ? "%s:%u" : "[%s]:%u";

	snprintf(buffer, FL_SOCKET_TEXT, shape, fl_ip_format(ip, address), (unsigned)port);
	return buffer;
}

/* The mask bit `i` (from the left) of the stored form. */
static bool bit_of(const struct fl_ip *ip, unsigned i)
{
	return ntohl(ip->word[i / 32]) >> (31 - i % 32) & 1;
}

int fl_prefix_parse(const char *text, struct fl_prefix *ret)
{
	char address[FL_IP_TEXT];
	const char *slash = strchr(text, '/');
	size_t length = slash ? (size_t)(slash - text) : strlen(text);
	struct fl_prefix prefix;
	unsigned long bits;
	unsigned width;

	if (length >= sizeof(address))
		return -EINVAL;
	memcpy(address, text, length);
	address[length] = '\0';
	if (fl_ip_parse(address, &prefix.addr) < 0)
		return -EINVAL;
	width = fl_ip_family(&prefix.addr) == FL_IPV4 ? 32 : 128;
	bits = width;
	if (slash && parse_number(slash + 1, width, &bits) < 0)
		return -EINVAL;
	for (unsigned i = 128 - width + (unsigned)bits; i < 128; i++)
		if (bit_of(&prefix.addr, i))
			return -EINVAL;
	prefix.bits = (uint8_t)bits;
	*ret = prefix;
	return 0;
}

bool fl_prefix_contains(const struct fl_prefix *prefix, const struct fl_ip *ip)
{
	enum fl_family family = fl_ip_family(&prefix->addr);
	unsigned end = (family == FL_IPV4 ? 96u : 0u) + prefix->bits;

	if (family != fl_ip_family(ip))
		return false;
	for (unsigned i = 0; i < end; i++)
		if (bit_of(&prefix->addr, i) != bit_of(ip, i))
			return false;
	return true;
}

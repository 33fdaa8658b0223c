/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "control/request.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool fl_percent_decode(const char *text, char *buffer, size_t size)
{
	size_t length = 0;

	buffer[0] = '\0';
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '%') {
			int high = hex_digit(text[1]);
			int low = high < 0 ? -1 : hex_digit(text[2]);

			if (low < 0)
				goto refuse;
			c = (unsigned char)(high << 4 | low);
			text += 2;
		}
		if (c < 0x20 || c == 0x7f || length + 1 >= size)
			goto refuse;
		buffer[length++] = (char)c;
	}
	buffer[length] = '\0';
	return true;
refuse:
	buffer[0] = '\0';
	return false;
}

bool fl_host_is_local(const char *host)
{
	char name[FL_SOCKET_TEXT + 16];
	struct fl_ip ip;
	uint16_t port;
	char *colon;

	if (fl_socket_parse(host, false, &ip, &port) == 0)
		return true;
	if (strlen(host) >= sizeof(name))
		return false;
	strcpy(name, host);
	colon = strchr(name, ':');
	if (colon) {
		if (strspn(colon + 1, "0123456789") != strlen(colon + 1))
			return false;
		*colon = '\0';
	}
	return strcasecmp(name, "localhost") == 0;
}

/* A qvalue (RFC 9110, 12.4.2) in thousandths; what is none counts as 0. */
static int parse_quality(const char *text)
{
	int thousandths = 0;

	if (text[0] == '1')
		return 1000;
	if (text[0] != '0' || text[1] != '.')
		return 0;
	text += 2;
	for (int unit = 100; unit && isdigit((unsigned char)*text); unit /= 10)
		thousandths += (*text++ - '0') * unit;
	return thousandths;
}

/* The q of one element of an Accept list; 1 when it says none. */
static int quality(const char *element, size_t length)
{
	for (size_t i = 0; i + 2 < length; i++) {
		if (element[i] != ';')
			continue;
		while (i + 1 < length && isblank((unsigned char)element[i + 1]))
			i++;
		if (i + 2 < length && (element[i + 1] | 0x20) == 'q' && element[i + 2] == '=')
			return parse_quality(element + i + 3);
	}
	return 1000;
}

bool fl_accepts_openmetrics(const char *accept)
{
	static const char openmetrics[] = "application/openmetrics-text";
	static const char plain[] = "text/plain";
	int best_open = 0, best_plain = 0;

	while (accept && *accept) {
		size_t length;

		accept += strspn(accept, ", \t");
		length = strcspn(accept, ",");
		if (strncasecmp(accept, openmetrics, sizeof(openmetrics) - 1) == 0) {
			int q = quality(accept, length);

			best_open = q > best_open ? q : best_open;
		} else if (strncasecmp(accept, plain, sizeof(plain) - 1) == 0) {
			int q = quality(accept, length);

			best_plain = q > best_plain ? q : best_plain;
		}
		accept += length;
	}
	return best_open > 0 && best_open >= best_plain;
}

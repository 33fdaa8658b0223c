// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause

/* Addresses: what is read and written is the same when it is read again; and the C
 * library reads the same. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/addr.h"
#include "native.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void address(const char *text)
{
	struct fl_ip ip, again;
	char written[FL_IP_TEXT];
	uint8_t other[16];
	int family;

	if (fl_ip_parse(text, &ip))
		return;
	if (fl_ip_parse(fl_ip_format(&ip, written), &again) || !fl_ip_equal(&ip, &again))
		native_fail("addr: %s is written as %s", text, written);
	family = strchr(text, ':') ? AF_INET6 : AF_INET;
	if (inet_pton(family, text, other) != 1 ||
		memcmp(family == AF_INET ? (uint8_t *)&ip + 12 : (uint8_t *)&ip, other,
			family == AF_INET ? 4 : 16) != 0)
		native_fail("addr: %s is %s to us alone", text, written);
}

static void socket_address(const char *text)
{
	struct fl_ip ip, again;
	uint16_t port, port_again;
	char written[FL_SOCKET_TEXT];

	if (fl_socket_parse(text, false, &ip, &port))
		return;
	fl_socket_format(&ip, port, written);
	if (port && (fl_socket_parse(written, true, &again, &port_again) ||
			    !fl_ip_equal(&ip, &again) || port != port_again))
		native_fail("addr: %s is written as %s", text, written);
}

static void prefix(const char *text)
{
	struct fl_prefix prefix;

	if (fl_prefix_parse(text, &prefix))
		return;
	if (prefix.bits > (fl_ip_family(&prefix.addr) == FL_IPV4 ? 32 : 128) ||
		!fl_prefix_contains(&prefix, &prefix.addr))
		native_fail("addr: the prefix %s does not contain itself", text);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	char *text = strndup((const char *)bytes, size);

	if (!text)
		native_fail("addr: no memory");
	address(text);
	socket_address(text);
	prefix(text);
	free(text);
	return 0;
}

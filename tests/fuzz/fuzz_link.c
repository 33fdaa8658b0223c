// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause

/* A message about an interface, as netlink delivers it. */
#include <libmnl/libmnl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/netlink.h"
#include "native.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/** Read a message that some bytes follow, which must not matter: libmnl, which is not
 * instrumented, may be the one that reads them. */
static bool parse_before(const uint8_t *bytes, size_t size, int tail, struct fl_link *ret)
{
	const size_t tail_length = tail < 0 ? 0 : 8;
	struct nlmsghdr *message = malloc(size + tail_length);
	bool ok = false;

	if (!message)
		native_fail("link: no memory");
	memcpy(message, bytes, size);
	memset((uint8_t *)message + size, tail, tail_length);
	/* What holds of every message of the kernel. (libmnl looks at lengths as signed.) */
	if (message->nlmsg_len >= sizeof(*message) && message->nlmsg_len <= size)
		ok = fl_link_parse(message, ret);
	free(message);
	return ok;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct fl_link link = { 0 }, again = { 0 };

	if (size < sizeof(struct nlmsghdr) || !parse_before(bytes, size, -1, &link))
		return 0;
	if (!memchr(link.name, 0, sizeof(link.name)) || !memchr(link.kind, 0, sizeof(link.kind)))
		native_fail("link: a name without an end");
	parse_before(bytes, size, 0, &link);
	parse_before(bytes, size, 0xff, &again);
	if (link.mtu != again.mtu || link.peer != again.peer || link.xdp_prog != again.xdp_prog ||
		link.xdp_mode != again.xdp_mode || strcmp(link.name, again.name) != 0 ||
		strcmp(link.kind, again.kind) != 0 ||
		memcmp(link.mac, again.mac, sizeof(link.mac)) != 0)
		native_fail("link: what follows the message was read");
	return 0;
}

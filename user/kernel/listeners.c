/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "kernel/listeners.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/addr.h"
#include "core/cleanup.h"

static const struct table {
	const char *file;
	uint8_t proto;
	bool is_ipv6;
	unsigned state; /* of a socket that waits for anybody, as the kernel numbers it */
} tables[] = {
	{ "/proc/net/tcp", IPPROTO_TCP, false, 10 },
	{ "/proc/net/tcp6", IPPROTO_TCP, true, 10 },
	{ "/proc/net/udp", IPPROTO_UDP, false, 7 },
	{ "/proc/net/udp6", IPPROTO_UDP, true, 7 },
};

struct search {
	const struct fl_maps *maps;
	const struct ifaddrs *local;
	struct fl_listener *found;
	size_t count;
};

/* ------------------------------------------------------------------- frontends */

static bool is_frontend(const struct fl_maps *maps, const struct fl_listener *listener)
{
	struct fl_frontend_key key = {
		.addr = listener->addr, .port = htons(listener->port), .proto = listener->proto
	};
	struct fl_frontend_row row;

	if (bpf_map_lookup_elem(maps->fd[FL_MAP_frontends], &key, &row) == 0)
		return true;
	key.port = 0;
	return bpf_map_lookup_elem(maps->fd[FL_MAP_frontends], &key, &row) == 0;
}

static bool is_known(const struct search *search, const struct fl_listener *listener)
{
	for (size_t i = 0; i < search->count; i++)
		if (memcmp(&search->found[i].addr, &listener->addr, sizeof(listener->addr)) == 0 &&
			search->found[i].port == listener->port &&
			search->found[i].proto == listener->proto)
			return true;
	return false;
}

static void look_up(struct search *search, const struct fl_listener *listener)
{
	if (search->count < FL_LISTENERS_MAX && is_frontend(search->maps, listener) &&
		!is_known(search, listener))
		search->found[search->count++] = *listener;
}

/* It waits on every address that this network namespace has; on `::` of both families. */
static void look_up_everywhere(
	struct search *search, const struct fl_listener *listener, bool is_ipv6)
{
	struct fl_listener here = *listener;

	for (const struct ifaddrs *i = search->local; i; i = i->ifa_next) {
		if (!i->ifa_addr)
			continue;
		if (i->ifa_addr->sa_family == AF_INET)
			here.addr = fl_ip_from_ipv4(
				((struct sockaddr_in *)i->ifa_addr)->sin_addr.s_addr);
		else if (i->ifa_addr->sa_family == AF_INET6 && is_ipv6)
			memcpy(&here.addr, &((struct sockaddr_in6 *)i->ifa_addr)->sin6_addr,
				sizeof(here.addr));
		else
			continue;
		look_up(search, &here);
	}
}

/* --------------------------------------------------------------------- sockets */

/* "0100007F" or four of these: words as this CPU has them in memory. */
static bool parse_address(const char *hex, bool is_ipv6, struct fl_ip *ret)
{
	uint32_t word[4];
	size_t words = is_ipv6 ? 4 : 1;

	if (strlen(hex) != words * 8)
		return false;
	for (size_t i = 0; i < words; i++) {
		char part[9] = "";

		memcpy(part, hex + 8 * i, 8);
		word[i] = (uint32_t)strtoul(part, NULL, 16);
	}
	if (is_ipv6)
		memcpy(ret, word, sizeof(*ret));
	else
		*ret = fl_ip_from_ipv4(word[0]);
	return true;
}

static void look_into(struct search *search, const struct table *table)
{
	_cleanup_fclose_ FILE *file = fopen(table->file, "re");
	char line[512], hex[33];
	unsigned port, state;

	while (file && fgets(line, sizeof(line), file)) {
		struct fl_listener listener = { .proto = table->proto };

		if (sscanf(line, " %*u: %32[0-9A-Fa-f]:%x %*s %x", hex, &port, &state) != 3)
			continue;
		if (state != table->state) {
			if (table->proto == IPPROTO_TCP)
				return; /* listening ones come first */
			continue;
		}
		if (!parse_address(hex, table->is_ipv6, &listener.addr))
			continue;
		listener.port = (uint16_t)port;
		if (fl_ip_is_unspecified(&listener.addr))
			look_up_everywhere(search, &listener, table->is_ipv6);
		else
			look_up(search, &listener);
	}
}

size_t fl_listeners_on_frontends(const struct fl_maps *maps, struct fl_listener *ret)
{
	struct search search = { .maps = maps, .found = ret };
	struct ifaddrs *local = NULL;

	if (getifaddrs(&local) == 0)
		search.local = local;
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		look_into(&search, &tables[i]);
	if (local)
		freeifaddrs(local);
	return search.count;
}

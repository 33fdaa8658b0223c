/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "kernel/target.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "core/addr.h"
#include "core/log.h"
#include "core/vec.h"
#include "kernel/netlink.h"
#include "kernel/walk.h"

#define DUMP_TRIES 5 /* a dump that a change overtook is asked again */

/* One row that a map is to have. */
struct row {
	union {
		struct fl_ip addr;
		struct fl_prefix_key prefix;
	}; /* the key, with zeroes after one that is shorter */
	uint32_t value;
};
typedef FL_VEC(struct row) rows_vec;

struct fl_target {
	struct fl_kernel *kernel;
	struct fl_netlink *netlink;
	struct fl_netlink_watch *watch;
	bool full; /* there were more addresses than the map holds, which has been said */
};

/* ------------------------------------------- a map that shall hold just some rows */

static int compare_rows(const void *a, const void *b)
{
	return memcmp(a, b, offsetof(struct row, value));
}

/* Sort, and let rows with the same key be one that has the bits of all. */
static void unite(rows_vec *rows)
{
	size_t kept = 0;

	if (rows->count > 0)
		qsort(rows->items, rows->count, sizeof(*rows->items), compare_rows);
	for (size_t i = 0; i < rows->count; i++) {
		if (kept > 0 && compare_rows(&rows->items[kept - 1], &rows->items[i]) == 0)
			rows->items[kept - 1].value |= rows->items[i].value;
		else
			rows->items[kept++] = rows->items[i];
	}
	rows->count = kept;
}

struct difference {
	const rows_vec *wanted;
	size_t key_size;
	rows_vec gone;
};

static int note_gone(void *context, const void *key, const void *value)
{
	struct difference *difference = context;
	struct row found = { 0 }, *gone;

	(void)value;
	memcpy(&found, key, difference->key_size);
	if (difference->wanted->count > 0 &&
		bsearch(&found, difference->wanted->items, difference->wanted->count, sizeof(found),
			compare_rows))
		return 0;
	gone = fl_vec_push(&difference->gone);
	if (!gone)
		return -ENOMEM;
	*gone = found;
	return 0;
}

/* @return 0, -E2BIG (as many are in it as there is room for), -errno */
static int put_rows(const struct fl_maps *maps, enum fl_map map, rows_vec *rows)
{
	struct difference difference = { .wanted = rows, .key_size = maps->shape[map].key_size };
	int r;

	unite(rows);
	r = fl_walk(maps, map, note_gone, &difference);
	for (size_t i = 0; i < difference.gone.count && r == 0; i++)
		bpf_map_delete_elem(maps->fd[map], &difference.gone.items[i]);
	for (size_t i = 0; i < rows->count && r == 0; i++)
		if (bpf_map_update_elem(
			    maps->fd[map], &rows->items[i], &rows->items[i].value, BPF_ANY) < 0)
			r = errno == ENOSPC ? -E2BIG : -errno; /* an LPM trie says ENOSPC */
	fl_vec_done(&difference.gone);
	return r;
}

/* ---------------------------------------------------------------- balancers */

static int put_balancers(const struct fl_maps *maps, const struct fl_config *config)
{
	rows_vec rows = { 0 };
	int r = 0;

	for (size_t i = 0; i < config->target_from_count && r == 0; i++) {
		const struct fl_prefix *prefix = &config->target_from[i];
		uint32_t mapped = fl_ip_family(&prefix->addr) == FL_IPV4 ? 96 : 0;
		struct row *row = fl_vec_push(&rows);

		if (row)
			*row = (struct row){ .prefix = { prefix->bits + mapped, prefix->addr },
				.value = 1 };
		else
			r = -ENOMEM;
	}
	if (r == 0)
		r = put_rows(maps, FL_MAP_balancers, &rows);
	fl_vec_done(&rows);
	return r;
}

/* ---------------------------------------------------------------- addresses */

struct dump {
	FL_VEC(uint32_t) service_devices; /* where addresses of services live */
	rows_vec rows;
	bool out_of_memory;
};

static void note_device(void *context, const struct fl_link *link)
{
	struct dump *dump = context;
	uint32_t *device;

	if (!(link->flags & IFF_LOOPBACK) && strcmp(link->kind, "dummy") != 0)
		return;
	device = fl_vec_push(&dump->service_devices);
	if (device)
		*device = link->ifindex;
	else
		dump->out_of_memory = true;
}

static bool is_service_device(const struct dump *dump, uint32_t ifindex)
{
	for (size_t i = 0; i < dump->service_devices.count; i++)
		if (dump->service_devices.items[i] == ifindex)
			return true;
	return false;
}

/* The address of this end: of a point-to-point link, IFA_ADDRESS is the other's. */
static const struct nlattr *local_address(const struct nlmsghdr *message)
{
	const struct nlattr *attribute, *address = NULL;

	mnl_attr_for_each(attribute, message, sizeof(struct ifaddrmsg)) {
		if (mnl_attr_get_type(attribute) == IFA_LOCAL)
			return attribute;
		if (mnl_attr_get_type(attribute) == IFA_ADDRESS)
			address = attribute;
	}
	return address;
}

static int note_address(const struct nlmsghdr *message, void *context)
{
	const struct ifaddrmsg *head = mnl_nlmsg_get_payload(message);
	enum fl_family family = head->ifa_family == AF_INET6 ? FL_IPV6 : FL_IPV4;
	const struct nlattr *attribute = local_address(message);
	struct dump *dump = context;
	struct row *row;

	if (message->nlmsg_type != RTM_NEWADDR || !attribute ||
		mnl_attr_get_payload_len(attribute) != (family == FL_IPV6 ? 16 : 4))
		return MNL_CB_OK;
	row = fl_vec_push(&dump->rows);
	if (!row) {
		dump->out_of_memory = true;
		return MNL_CB_OK;
	}
	row->addr = fl_ip_from_bytes(family, mnl_attr_get_payload(attribute));
	row->value = FL_ADDRESS_LOCAL;
	if (is_service_device(dump, head->ifa_index) && !fl_ip_is_loopback(&row->addr))
		row->value |= FL_ADDRESS_SERVICE;
	return MNL_CB_OK;
}

static int dump_once(struct fl_netlink *netlink, struct dump *dump)
{
	struct nlmsghdr *request;
	struct ifaddrmsg *head;
	int r = fl_netlink_links(netlink, note_device, dump);

	if (r < 0)
		return r;
	request = fl_netlink_request(netlink, RTM_GETADDR, NLM_F_DUMP);
	head = mnl_nlmsg_put_extra_header(request, sizeof(*head));
	head->ifa_family = AF_UNSPEC;
	r = fl_netlink_ask(netlink, note_address, dump);
	return r == 0 && dump->out_of_memory ? -ENOMEM : r;
}

static void dump_done(struct dump *dump)
{
	fl_vec_done(&dump->service_devices);
	fl_vec_done(&dump->rows);
}

static int put_addresses(struct fl_target *target)
{
	struct dump dump = { 0 };
	int r = dump_once(target->netlink, &dump);

	for (int i = 1; i < DUMP_TRIES && r == -EINTR; i++) {
		dump_done(&dump);
		dump = (struct dump){ 0 };
		r = dump_once(target->netlink, &dump);
	}
	if (r == 0)
		r = put_rows(&target->kernel->maps, FL_MAP_addresses, &dump.rows);
	dump_done(&dump);
	return r;
}

static void on_settled(void *context)
{
	struct fl_target *target = context;
	int r = put_addresses(target);
	bool full = r == -E2BIG;

	if (full && !target->full)
		fl_log(FL_LOG_WARNING, "target",
			"this node has more addresses than the target path can know",
			FL_INT("most", FL_ADDRESSES_MAX));
	else if (r < 0 && !full)
		fl_log(FL_LOG_WARNING, "target", "cannot follow this node's addresses", FL_ERR(r));
	target->full = full;
}

/* ----------------------------------------------------- start, configure, stop */

static int start_watch(struct fl_target *target, uv_loop_t *loop)
{
	static const unsigned groups[] = { RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_LINK };
	const struct fl_netlink_hooks hooks = { .settled = on_settled, .context = target };
	int r = fl_netlink_open(NETLINK_ROUTE, &target->netlink);

	/* Watch before the first look, so that nothing slips in between. */
	if (r == 0)
		r = fl_netlink_watch(
			loop, groups, sizeof(groups) / sizeof(groups[0]), &hooks, &target->watch);
	return r;
}

int fl_target_start(struct fl_kernel *kernel, const struct fl_config *config, uv_loop_t *loop,
	struct fl_failure *failure, struct fl_target **ret)
{
	struct fl_target *target = calloc(1, sizeof(*target));
	int r = target ? start_watch(target, loop) : -ENOMEM;

	if (r == 0) {
		target->kernel = kernel;
		r = fl_target_configure(target, config);
	}
	if (r < 0) {
		fl_target_stop(target);
		return fl_fail(failure, r, "cannot tell the target path its addresses: %s",
			fl_log_errno(r));
	}
	on_settled(target);
	*ret = target;
	return 0;
}

int fl_target_configure(struct fl_target *target, const struct fl_config *config)
{
	return put_balancers(&target->kernel->maps, config);
}

void fl_target_stop(struct fl_target *target)
{
	if (!target)
		return;
	fl_netlink_unwatch(target->watch);
	fl_netlink_close(target->netlink);
	free(target);
}

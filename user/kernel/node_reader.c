/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "kernel/node_reader.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>

#include "core/addr.h"
#include "core/clock.h"
#include "kernel/candidates.h"
#include "kernel/decode.h"
#include "model/service.h"

/* A walk over one map; without `each` its rows are counted. */
struct walk {
	const struct fl_maps *maps;
	const struct fl_node_maps *node;
	fl_read_row_fn *each;
	void *context;
	uint64_t count;
};

/* Takes key and value over. */
static int give(struct walk *walk, json_t *key, json_t *value)
{
	json_t *row = key && value ? json_pack("{so so}", "key", key, "value", value) : NULL;

	if (row)
		return walk->each(walk->context, row);
	json_decref(key);
	json_decref(value);
	return -ENOMEM;
}

static bool is_empty(const void *row, size_t size)
{
	const unsigned char *bytes = row;

	return bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0;
}

static const char *family_name(int family)
{
	return family == FL_IPV6 ? "ipv6" : "ipv4";
}

/* Nanoseconds of CLOCK_MONOTONIC: seconds from now, null when that is over. */
static json_t *seconds_until(uint64_t ns)
{
	uint64_t now_ns = fl_clock_mono_ns();

	return ns > now_ns ? json_integer((json_int_t)((ns - now_ns) / 1000000000u)) : json_null();
}

/* ----------------------------------------------------------------------- arrays */

static int walk_node(struct walk *walk)
{
	const struct fl_node_row *row = walk->node->node;

	walk->count++;
	return walk->each ? give(walk, json_integer(0),
				    json_pack("{sI sI}", "netns", (json_int_t)row->netns, "agent",
					    (json_int_t)row->agent))
			  : 0;
}

static uint32_t rows_of(const struct walk *walk, enum fl_node_map map)
{
	return walk->node->shape[map].max_entries;
}

static int walk_services(struct walk *walk)
{
	int r = 0;

	for (uint32_t id = 1; id < rows_of(walk, FL_NODE_MAP_node_services) && r == 0; id++) {
		const struct fl_node_service_row *row = &walk->node->services[id];

		if (is_empty(row, sizeof(*row)))
			continue;
		walk->count++;
		if (walk->each)
			r = give(walk,
				json_pack("{sI so}", "id", (json_int_t)id, "service",
					fl_decode_service(walk->maps, id)),
				json_pack("{s[II] s[II]}", "pool", (json_int_t)row->pool[FL_IPV4],
					(json_int_t)row->pool[FL_IPV6], "turn",
					(json_int_t)row->turn[FL_IPV4],
					(json_int_t)row->turn[FL_IPV6]));
	}
	return r;
}

static json_t *faults_json(const struct fl_live_row *row)
{
	return json_pack("{sI sI sI sI}", "given_up", (json_int_t)row->faults[FL_FAULT_NONE],
		"refused", (json_int_t)row->faults[FL_FAULT_REFUSED], "timed_out",
		(json_int_t)row->faults[FL_FAULT_TIMED_OUT], "unreachable",
		(json_int_t)row->faults[FL_FAULT_UNREACHABLE]);
}

static json_t *live_json(const struct fl_live_row *row)
{
	return json_pack("{sI sI sI so sI sI sI sI sI so sI sI so sb}", "open",
		(json_int_t)row->open, "connects", (json_int_t)row->connects, "established",
		(json_int_t)row->established, "faults", faults_json(row), "resets",
		(json_int_t)row->resets, "retransmits", (json_int_t)row->retransmits, "connect_us",
		(json_int_t)row->connect_us, "srtt_us", (json_int_t)row->srtt_us, "fails",
		(json_int_t)row->fails, "ejected", seconds_until(row->ejected), "ejections",
		(json_int_t)row->ejections, "ejected_times", (json_int_t)row->ejected_times,
		"penalty", json_integer((json_int_t)row->penalty), "trial", row->trial);
}

static int walk_live(struct walk *walk)
{
	int r = 0;

	for (uint32_t id = 1; id < rows_of(walk, FL_NODE_MAP_live) && r == 0; id++) {
		const struct fl_live_row *row = &walk->node->live[id];

		if (is_empty(row, sizeof(*row)))
			continue;
		walk->count++;
		if (walk->each)
			r = give(walk, fl_decode_endpoint(walk->maps, id), live_json(row));
	}
	return r;
}

/* ------------------------------------------------------------------------ pools */

static json_t *members_json(const struct walk *walk, const struct fl_candidates *candidates)
{
	json_t *list = json_array();

	for (size_t i = 0; list && i < candidates->count; i++) {
		const struct fl_candidate *item = &candidates->items[i];

		json_array_append_new(list, json_pack("{so si si}", "endpoint",
						    fl_decode_endpoint(walk->maps, item->endpoint),
						    "weight", item->weight, "tier", item->tier));
	}
	return list;
}

static json_t *pool_json(const struct walk *walk, const struct fl_candidates *candidates)
{
	const struct fl_pool_head *head = &candidates->head;

	return json_pack("{ss ss s[ii] si si si si si sI so}", "balance",
		fl_balance_name((enum fl_balance)head->balance), "key",
		fl_key_name((enum fl_key)head->key), "share", head->share[0], head->share[1],
		"spill", head->spill, "panic", head->panic, "max_ejected", head->max_ejected,
		"max_fails", head->max_fails, "fail_timeout", head->fail_timeout_s, "affinity",
		(json_int_t)head->affinity_s, "members", members_json(walk, candidates));
}

static int walk_pool(struct walk *walk, uint32_t id, int family)
{
	struct fl_candidates candidates = { 0 };
	int r = fl_candidates_read(walk->maps, walk->node, id, (enum fl_family)family, false, false,
		fl_clock_mono_ns(), &candidates);

	if (r < 0) /* none, or it is being replaced */
		return r == -ENOMEM ? r : 0;
	walk->count++;
	if (walk->each)
		r = give(walk,
			json_pack("{so ss}", "service", fl_decode_service(walk->maps, id), "family",
				family_name(family)),
			pool_json(walk, &candidates));
	fl_candidates_done(&candidates);
	return r;
}

static int walk_pools(struct walk *walk)
{
	int r = 0;

	for (uint32_t id = 1; id < rows_of(walk, FL_NODE_MAP_node_services) && r == 0; id++)
		for (int family = 0; family < FL_FAMILIES && r == 0; family++)
			r = walk_pool(walk, id, family);
	return r;
}

/* ----------------------------------------------------------------------- hashes */

static json_t *buckets_json(const uint32_t buckets[FL_LATENCY_BUCKETS])
{
	json_t *list = json_array();

	for (int i = 0; list && i < FL_LATENCY_BUCKETS; i++)
		json_array_append_new(list, json_integer((json_int_t)buckets[i]));
	return list;
}

static int give_histograms(struct walk *walk, const void *key, const void *value)
{
	const struct fl_histograms *row = value;

	return give(walk, fl_decode_endpoint(walk->maps, *(const uint32_t *)key),
		json_pack("{so so sI sI}", "connect", buckets_json(row->connect), "rtt",
			buckets_json(row->rtt), "connect_us", (json_int_t)row->connect_us, "rtt_us",
			(json_int_t)row->rtt_us));
}

static int give_affinity(struct walk *walk, const void *key, const void *value)
{
	const struct fl_affinity_key *of = key;
	const struct fl_affinity *row = value;

	return give(walk,
		json_pack("{sI so ss}", "netns", (json_int_t)of->netns, "service",
			fl_decode_service(walk->maps, of->service), "family",
			family_name((int)of->family)),
		json_pack("{so so}", "endpoint", fl_decode_endpoint(walk->maps, row->endpoint),
			"seen", fl_decode_time(row->seen)));
}

static int give_stale(struct walk *walk, const void *key, const void *value)
{
	const struct fl_stale_row *row = value;
	char text[FL_IP_TEXT];

	return give(walk, json_integer(*(const uint32_t *)key),
		json_pack("{ss so sI}", "address", fl_ip_format(&row->addr, text), "service",
			fl_decode_service(walk->maps, row->service), "closed",
			(json_int_t)row->closed));
}

/* What is removed meanwhile is not met; where it was the place to go on from, the kernel
 * begins anew, so a walk is over after as many rows as there can be. */
static int walk_hash(struct walk *walk, enum fl_node_map map,
	int (*give_one)(struct walk *walk, const void *key, const void *value))
{
	union {
		uint32_t id;
		struct fl_affinity_key affinity;
	} key = { 0 }, last;
	union {
		struct fl_histograms histograms;
		struct fl_affinity affinity;
		struct fl_stale_row stale;
	} value;
	int fd = walk->node->fd[map], r = 0;

	for (uint32_t n = 0; r == 0 && n < rows_of(walk, map); n++) {
		if (bpf_map_get_next_key(fd, n ? &last : NULL, &key) < 0)
			break;
		last = key;
		if (bpf_map_lookup_elem(fd, &key, &value) < 0)
			continue;
		walk->count++;
		r = walk->each ? give_one(walk, &key, &value) : 0;
	}
	return r;
}

/* ----------------------------------------------------------------------- public */

/* @return 0; -EOPNOTSUPP = nobody can walk it; what `each` returned, -ENOMEM */
static int walk_map(struct walk *walk, enum fl_node_map map)
{
	switch (map) {
	case FL_NODE_MAP_node:
		return walk_node(walk);
	case FL_NODE_MAP_node_services:
		return walk_services(walk);
	case FL_NODE_MAP_pools:
		return walk_pools(walk);
	case FL_NODE_MAP_live:
		return walk_live(walk);
	case FL_NODE_MAP_histograms:
		return walk_hash(walk, map, give_histograms);
	case FL_NODE_MAP_affinity:
		return walk_hash(walk, map, give_affinity);
	case FL_NODE_MAP_stale:
		return walk_hash(walk, map, give_stale);
	default:
		return -EOPNOTSUPP;
	}
}

int fl_node_read_map_list(const struct fl_maps *maps, const struct fl_node_maps *node, json_t *list)
{
	for (int map = 0; map < FL_NODE_MAP_COUNT; map++) {
		struct walk walk = { .maps = maps, .node = node };
		json_t *entries = walk_map(&walk, map) == 0 ? json_integer((json_int_t)walk.count)
							    : json_null();
		json_t *row = json_pack("{ss ss* sI so}", "name", fl_node_map_name(map), "type",
			libbpf_bpf_map_type_str(node->shape[map].type), "max_entries",
			(json_int_t)node->shape[map].max_entries, "entries", entries);

		if (!row || json_array_append_new(list, row) < 0)
			return -ENOMEM;
	}
	return 0;
}

int fl_node_read_map_rows(const struct fl_maps *maps, const struct fl_node_maps *node,
	const char *name, fl_read_row_fn *each, void *context)
{
	struct walk walk = { .maps = maps, .node = node, .each = each, .context = context };

	for (int map = 0; map < FL_NODE_MAP_COUNT; map++)
		if (strcmp(fl_node_map_name(map), name) == 0) {
			int r = walk_map(&walk, map);

			return r == -EOPNOTSUPP ? 0 : r;
		}
	return -ENOENT;
}

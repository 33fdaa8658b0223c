/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "kernel/node_explain.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/clock.h"
#include "core/log.h"
#include "fairlead/reasons.h"
#include "kernel/candidates.h"
#include "kernel/cgroup.h"
#include "kernel/decode.h"
#include "kernel/node_agent.h"
#include "model/reasons.h"
#include "model/service.h"

/* -------------------------------------------------------------------- asking */

int fl_node_question_fill(const struct fl_question *question, struct fl_node_question *ret,
	struct fl_failure *failure)
{
	struct fl_node_question made = {
		.frontend = question->destination,
		.port = htons(question->destination_port),
		.proto = question->proto,
		.socket_family = (__u8)fl_ip_family(&question->destination),
	};
	uint64_t netns;
	int r = fl_node_agent_netns(&netns);

	if (r < 0)
		return fl_fail(failure, r, "cannot tell which network namespace this is: %s",
			fl_log_errno(r));
	made.netns = netns;
	made.cgroup = fl_cgroup2_own();
	if (question->is_bound)
		made.source = question->source;
	*ret = made;
	return 0;
}

int fl_node_ask(const char *bpffs, struct fl_node_question *question, struct fl_failure *failure)
{
	LIBBPF_OPTS(bpf_test_run_opts, run, .ctx_in = question, .ctx_size_in = sizeof(*question));
	_cleanup_close_ int fd = -1;
	char path[4096];
	int r;

	snprintf(path, sizeof(path), "%s/node/explain", bpffs);
	fd = bpf_obj_get(path);
	if (fd < 0 && errno == ENOENT)
		return fl_fail(failure, -ENOENT, "there is no node path below %s", bpffs);
	if (fd < 0)
		return fl_fail(failure, -errno, "cannot open %s: %s", path, strerror(errno));
	r = bpf_prog_test_run_opts(fd, &run);
	if (r < 0)
		return fl_fail(
			failure, r, "the kernel does not run the program: %s", fl_log_errno(r));
	if (question->magic != FL_NODE_ANSWER_MAGIC)
		return fl_fail(
			failure, -EPROTO, "the pinned program gave no answer of this version");
	return 0;
}

/* ------------------------------------------------------------------- telling */

/* The frontend that matched: the exact one, or that of every port. */
static json_t *frontend_text(const struct fl_maps *maps, const struct fl_node_question *answered)
{
	const struct fl_frontend_key key = {
		.addr = answered->frontend, .port = answered->port, .proto = answered->proto
	};
	struct fl_frontend frontend = {
		.addr = answered->frontend,
		.port = ntohs(answered->port),
		.proto = answered->proto,
	};
	struct fl_frontend_row row;
	char text[FL_SOCKET_TEXT];

	if (!answered->service)
		return json_null();
	if (bpf_map_lookup_elem(maps->fd[FL_MAP_frontends], &key, &row) < 0 ||
		row.frontend != answered->frontend_id)
		frontend.port = 0;
	return json_string(fl_frontend_format(&frontend, text));
}

static const struct fl_endpoint_row *endpoint_of(const struct fl_maps *maps, uint32_t id)
{
	return id && id <= maps->limits.endpoints ? &maps->endpoints[id] : NULL;
}

static json_t *endpoint_text(
	const struct fl_maps *maps, const struct fl_node_question *answered, uint32_t id)
{
	const struct fl_endpoint_row *row = endpoint_of(maps, id);
	char text[FL_SOCKET_TEXT];

	if (!row)
		return json_null();
	return json_string(fl_socket_format(
		&row->addr, row->port ? ntohs(row->port) : ntohs(answered->port), text));
}

static json_t *state_text(const struct fl_maps *maps, uint32_t id)
{
	const struct fl_endpoint_row *row = endpoint_of(maps, id);

	return row ? json_string(fl_state_name((enum fl_state)row->state)) : json_null();
}

static json_t *candidate_json(const struct fl_maps *maps, const struct fl_node_question *answered,
	const struct fl_candidate *candidate)
{
	return json_pack("{so si si ss so sI so}", "endpoint",
		endpoint_text(maps, answered, candidate->endpoint), "weight", candidate->weight,
		"tier", candidate->tier, "state", fl_candidate_state_name(candidate->state),
		"share", candidate->share < 0 ? json_null() : json_real(candidate->share),
		"connections", (json_int_t)candidate->connections, "ejected",
		candidate->ejected_ns
			? json_integer((json_int_t)(candidate->ejected_ns / 1000000000u))
			: json_null());
}

static json_t *candidates_json(const struct fl_maps *maps, const struct fl_node_question *answered,
	const struct fl_candidates *candidates)
{
	json_t *list = json_array();

	for (size_t i = 0; list && i < candidates->count; i++)
		json_array_append_new(list, candidate_json(maps, answered, &candidates->items[i]));
	return list;
}

/* Whether the same question may get another answer the next time, though nothing changed. */
static bool is_chance(const struct fl_pool_head *head, const struct fl_node_question *answered)
{
	if (answered->kept)
		return false;
	if (head->balance == FL_MAGLEV)
		return head->key == FL_KEY_RANDOM;
	return head->balance != FL_ROUND_ROBIN;
}

/* How the pool says to choose. @return 0, -ENOMEM */
static int put_pool(json_t *object, const struct fl_maps *maps,
	const struct fl_node_question *answered, const struct fl_candidates *candidates)
{
	const struct fl_pool_head *head = &candidates->head;
	json_t *pool = json_pack("{ss so so sb sb so}", "balance",
		fl_balance_name((enum fl_balance)head->balance), "key",
		head->balance == FL_MAGLEV ? json_string(fl_key_name((enum fl_key)head->key))
					   : json_null(),
		"affinity",
		head->affinity_s ? json_integer((json_int_t)head->affinity_s) : json_null(), "kept",
		answered->kept, "chance", is_chance(head, answered), "candidates",
		candidates_json(maps, answered, candidates));
	int r = pool ? json_object_update(object, pool) : -1;

	json_decref(pool);
	return r < 0 ? -ENOMEM : 0;
}

/* Without a pool, slots are drawn. */
static int put_slots(json_t *object, const struct fl_node_question *answered)
{
	json_t *pool = json_pack("{sn sn sn sb sb sn}", "balance", "key", "affinity", "kept", false,
		"chance", answered->service != 0, "candidates");
	int r = pool ? json_object_update(object, pool) : -1;

	json_decref(pool);
	return r < 0 ? -ENOMEM : 0;
}

static int put_choice(json_t *object, const struct fl_maps *maps, const struct fl_node_maps *node,
	const struct fl_node_question *answered)
{
	struct fl_candidates candidates = { 0 };
	int r = answered->service ? 0 : -ENOENT;

	if (r == 0)
		r = fl_candidates_read(maps, node, answered->service,
			fl_ip_family(&answered->frontend), answered->socket_family == FL_IPV4,
			answered->proto == IPPROTO_TCP, fl_clock_mono_ns(), &candidates);
	if (r == -ENOMEM)
		return r;
	r = r == 0 ? put_pool(object, maps, answered, &candidates) : put_slots(object, answered);
	fl_candidates_done(&candidates);
	return r;
}

json_t *fl_node_explanation_json(const struct fl_maps *maps, const struct fl_node_maps *node,
	const struct fl_node_question *answered)
{
	bool known = answered->reason < FL_REASON_COUNT;
	json_t *object = json_pack("{so so so so ss ss ss}", "service",
		fl_decode_service(maps, answered->service), "frontend",
		frontend_text(maps, answered), "endpoint",
		endpoint_text(maps, answered, answered->endpoint), "state",
		state_text(maps, answered->endpoint), "reason",
		known ? fl_reason_name(answered->reason) : "unknown", "text",
		known ? fl_reason_text(answered->reason) : "", "path", "node");

	if (object && put_choice(object, maps, node, answered) < 0) {
		json_decref(object);
		return NULL;
	}
	return object;
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause

/*
 * What a connect would meet now: the same choice over the same maps as in
 * sock_connect.bpf.c, about a socket that exists in a question only. It takes no turn
 * and no trial, keeps no affinity and counts nothing. What is drawn by chance is drawn:
 * the next connect may get another.
 */
#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <linux/errno.h>
#include <linux/in.h>

#define CHOOSE_ONLY_ASKS 1

#include "lib/choose.h"
#include "lib/exempt.h"
#include "lib/sock.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Fields of the context are read one by one: it stays out of the stack, which is short. */
#define ADDRESS(ip)                                                                                \
	{                                                                                          \
		.word = {(ip).word[0], (ip).word[1], (ip).word[2], (ip).word[3] }                  \
	}

static __always_inline __u32 hash_of(const struct fl_node_question *q, __u32 key)
{
	const struct fl_ip source = ADDRESS(q->source);
	__u64 words[2] = { (__u64)source.word[0] | (__u64)source.word[1] << 32,
		(__u64)source.word[2] | (__u64)source.word[3] << 32 };

	if (key == FL_KEY_CGROUP)
		return key_of_cgroup(q->cgroup);
	return key_of_source(words[0] || source.word[3] ? words : NULL, q->netns);
}

static __always_inline __u32 pick_for(
	struct fl_node_question *q, const struct fl_pool_head *head, struct pick *p)
{
	__u32 endpoint;

	p->netns = q->netns;
	p->keyed = head->balance == FL_MAGLEV && head->key != FL_KEY_RANDOM;
	if (p->keyed)
		p->hash = hash_of(q, head->key);
	endpoint = head->affinity_s ? affinity_recall(p, head->affinity_s) : 0;
	q->kept = endpoint != 0;
	return endpoint ? endpoint : pick_from_pool(p);
}

static __always_inline int choose_for(
	struct fl_node_question *q, enum fl_family family, struct choice *c)
{
	struct pick p = { .service = c->service,
		.only = q->socket_family == FL_IPV4 ? FL_IPV4 : FL_FAMILIES,
		.tcp = q->proto == IPPROTO_TCP };
	const struct fl_pool_head *head = NULL;
	int err = choose_begin(&p, family, &head);

	if (err)
		return err;
	c->endpoint = head ? pick_for(q, head, &p) : choose_slot(&p);
	return choose_take(c, q->port);
}

static __always_inline bool is_out_of_reach(
	const struct fl_node_question *q, const struct choice *c)
{
	const struct exempt_source source = { .addr = ADDRESS(q->source),
		.netns = q->netns,
		.device = q->device,
		.port = bpf_ntohs(q->source_port) };

	return exempt_is_out_of_reach(&source, &c->addr, c->port, q->proto == IPPROTO_TCP);
}

static __always_inline int decide(struct fl_node_question *q, struct choice *c)
{
	const struct fl_ip frontend = ADDRESS(q->frontend);
	int err;

	if (q->proto != IPPROTO_TCP && q->proto != IPPROTO_UDP)
		return -FL_PASS_PROTOCOL;
	if (!choose_frontend(&frontend, q->port, q->proto, c) ||
		exempt_is_elsewhere(&frontend, q->netns))
		return -FL_PASS_NO_SERVICE;
	err = choose_for(q, sock_ip_family(&frontend), c);
	return !err && is_out_of_reach(q, c) ? -FL_PASS_SOURCE : err;
}

SEC("syscall")
int node_explain(struct fl_node_question *q)
{
	struct choice c = { 0 };
	int err = decide(q, &c);

	q->magic = FL_NODE_ANSWER_MAGIC;
	q->reason = err < 0 ? -err : FL_SENT;
	q->service = c.service;
	q->frontend_id = c.frontend;
	q->endpoint = c.endpoint;
	return 0;
}

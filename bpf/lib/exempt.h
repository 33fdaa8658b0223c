/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <bpf/bpf_endian.h>

#include "lib/choose.h"
#include "lib/kernel_types.h"
#include "lib/sock.h"

/**
 * @file exempt.h
 * Connections to frontends that are left alone, since they are meant for what is
 * really there, or would fail where they would have worked without us.
 */

/* -------------------------------------------------------------------- the agent */

static __always_inline const struct fl_node_row *exempt_node(void)
{
	__u32 row = 0;

	return bpf_map_lookup_elem(&fl_node, &row);
}

/* A number may be another process's after the agent was killed, hence the name. */
static __always_inline bool exempt_is_named(const char *comm)
{
	static const char name[] = FL_AGENT_COMM;

	for (__u32 i = 0; i < sizeof(name); i++)
		if (comm[i] != name[i])
			return false;
	return true;
}

/* A command that the agent started, to probe an endpoint. */
static __always_inline bool exempt_is_child(__u32 agent)
{
	struct task_struct *task = (void *)bpf_get_current_task_btf();
	struct task_struct *parent = task->real_parent;

	return parent && (__u32)parent->tgid == agent && exempt_is_named(parent->comm);
}

/**
 * Whether the agent itself calls, any of its threads, or a command that it runs: its probes must see
 * endpoints and its registries must be reached however services are declared. Linux gives number,
 * name and task to programs at connect and sendmsg since 6.1. Not inlined: the stack of
 * choices is short.
 */
__noinline int exempt_is_agent(void)
{
	const struct fl_node_row *node = exempt_node();
	char comm[16] = "";

	if (!node || !node->agent)
		return false;
	if (bpf_get_current_pid_tgid() >> 32 != node->agent)
		return exempt_is_child(node->agent);
	bpf_get_current_comm(comm, sizeof(comm));
	return exempt_is_named(comm);
}

/* --------------------------------------------------------------------- loopback */

/** 127.0.0.0/8, ::1. */
static __always_inline bool exempt_is_loopback(const struct fl_ip *ip)
{
	if (ip->word[0] || ip->word[1])
		return false;
	if (ip->word[2] == bpf_htonl(0xffff))
		return (ip->word[3] & bpf_htonl(0xff000000)) == bpf_htonl(0x7f000000);
	return !ip->word[2] && ip->word[3] == bpf_htonl(1);
}

/** Whether a frontend or an endpoint is on loopback, and that of another network namespace than
 * the one it was declared in: there the same address is somebody else's. */
static __always_inline bool exempt_is_elsewhere(const struct fl_ip *ip, __u64 netns)
{
	const struct fl_node_row *node;

	if (!exempt_is_loopback(ip))
		return false;
	node = exempt_node();
	return node && node->netns && node->netns != netns;
}

/* ---------------------------------------------------------------- bound sockets */

/** What a socket is bound to already. */
struct exempt_source {
	struct fl_ip addr; /**< all zeroes or ::ffff:0.0.0.0 = none yet */
	__u32 device;      /**< 0 = none */
	__u32 port;        /**< host order; 0 = none yet */
	__u64 netns;       /**< cookie of its network namespace, to which it always is */
};

#define EXEMPT_LOOPBACK_DEVICE 1 /* `lo` is the first of each network namespace */

static __always_inline bool exempt_is_bound(const struct exempt_source *source)
{
	const __be32 *word = source->addr.word;

	return word[0] || word[1] || word[3];
}

static __always_inline bool exempt_is_itself(
	const struct exempt_source *source, const struct fl_ip *endpoint, __be16 port)
{
	if (!source->port || source->port != bpf_ntohs(port))
		return false;
	return exempt_is_bound(source) ? sock_ip_equal(&source->addr, endpoint)
				       : exempt_is_loopback(endpoint);
}

/**
 * Whether a socket that is bound to `source` cannot be connected to an endpoint: what has
 * an address or the device of loopback stays there, what is bound to another device does
 * not get there, other network namespaces have another loopback, and a TCP socket that is bound to the endpoint's own address and port
 * would be connected to itself (simultaneous open, RFC 9293 3.5).
 */
static __always_inline bool exempt_is_out_of_reach(
	const struct exempt_source *source, const struct fl_ip *endpoint, __be16 port, bool tcp)
{
	bool is_near = exempt_is_loopback(endpoint);

	if (exempt_is_elsewhere(endpoint, source->netns))
		return true;
	if (!is_near &&
		(exempt_is_loopback(&source->addr) || source->device == EXEMPT_LOOPBACK_DEVICE))
		return true;
	if (is_near && source->device && source->device != EXEMPT_LOOPBACK_DEVICE)
		return true;
	return tcp && exempt_is_itself(source, endpoint, port);
}

/* ----------------------------------------------------------------------- sockets */

/** Who sends: hooks have the address of a message in another place than connect has. */
enum exempt_hook { EXEMPT_CONNECT, EXEMPT_SENDMSG };

/* A datagram's source may be its own: IP_PKTINFO, else what the socket is bound to. */
static __always_inline void exempt_message_source(
	struct bpf_sock_addr *ctx, enum fl_family socket_family, struct fl_ip *ret)
{
	if (socket_family == FL_IPV4) {
		sock_ipv4(ctx->msg_src_ip4, ret);
		return;
	}
	ret->word[0] = ctx->msg_src_ip6[0];
	ret->word[1] = ctx->msg_src_ip6[1];
	ret->word[2] = ctx->msg_src_ip6[2];
	ret->word[3] = ctx->msg_src_ip6[3];
}

static __always_inline void exempt_socket_source(
	struct bpf_sock *sk, enum fl_family socket_family, struct fl_ip *ret)
{
	if (socket_family == FL_IPV4) {
		sock_ipv4(sk->src_ip4, ret);
		return;
	}
	ret->word[0] = sk->src_ip6[0];
	ret->word[1] = sk->src_ip6[1];
	ret->word[2] = sk->src_ip6[2];
	ret->word[3] = sk->src_ip6[3];
}

static __always_inline bool exempt_look(struct bpf_sock_addr *ctx, enum exempt_hook hook,
	enum fl_family socket_family, const struct fl_ip *endpoint, __be16 port)
{
	struct exempt_source source = { 0 };
	struct bpf_sock *sk = ctx->sk;

	if (!sk)
		return false;
	source.netns = bpf_get_netns_cookie(ctx);
	source.device = sk->bound_dev_if;
	source.port = sk->src_port;
	if (hook == EXEMPT_SENDMSG)
		exempt_message_source(ctx, socket_family, &source.addr);
	else
		exempt_socket_source(sk, socket_family, &source.addr);
	return exempt_is_out_of_reach(&source, endpoint, port, ctx->protocol == IPPROTO_TCP);
}

/* One of each kind, since the verifier allows a hook only its own fields. Not inlined:
 * choices need the stack. */
#define EXEMPT_LOOK(name, hook, family)                                                            \
	static __noinline __attribute__((unused)) bool name(                                       \
		struct bpf_sock_addr *ctx, const struct fl_ip *endpoint, __be16 port)              \
	{                                                                                          \
		return exempt_look(ctx, hook, family, endpoint, port);                             \
	}
EXEMPT_LOOK(exempt_connect4, EXEMPT_CONNECT, FL_IPV4)
EXEMPT_LOOK(exempt_connect6, EXEMPT_CONNECT, FL_IPV6)
EXEMPT_LOOK(exempt_sendmsg4, EXEMPT_SENDMSG, FL_IPV4)
EXEMPT_LOOK(exempt_sendmsg6, EXEMPT_SENDMSG, FL_IPV6)

/** Whether the endpoint cannot be reached by the socket. @param hook, socket_family  constants */
static __always_inline bool exempt_socket_cannot(struct bpf_sock_addr *ctx, enum exempt_hook hook,
	enum fl_family socket_family, const struct fl_ip *endpoint, __be16 port)
{
	if (hook == EXEMPT_SENDMSG)
		return socket_family == FL_IPV4 ? exempt_sendmsg4(ctx, endpoint, port)
						: exempt_sendmsg6(ctx, endpoint, port);
	return socket_family == FL_IPV4 ? exempt_connect4(ctx, endpoint, port)
					: exempt_connect6(ctx, endpoint, port);
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause

/*
 * Walks over sockets: those that the node path connected to an endpoint which is
 * gone are closed, and nobody else's.
 *
 * `find` visits the sockets that remember something, in all network namespaces, and tells
 * in which of them there is anything to do. The others visit all sockets of the one
 * namespace that their reader is in: `close_…` end stale ones where the kernel lets a
 * program do that (bpf_sock_destroy, Linux 6.5), `list_…` only name them.
 */
#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <linux/in.h>
#include <stdbool.h>

#include "lib/kernel_types.h"
#include "lib/maps_node.h"
#include "lib/sock.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

int bpf_sock_destroy(struct sock_common *sk) __ksym __weak;

static __always_inline void ipv6(const struct in6_addr___kernel *addr, struct fl_ip *ret)
{
	ret->word[0] = addr->in6_u.u6_addr32[0];
	ret->word[1] = addr->in6_u.u6_addr32[1];
	ret->word[2] = addr->in6_u.u6_addr32[2];
	ret->word[3] = addr->in6_u.u6_addr32[3];
}

/** Whether what a socket remembers is an endpoint whose sockets are to be closed. */
static __always_inline struct fl_stale_row *stale_row(const struct fl_sock *sock)
{
	__u32 id = sock->endpoint_id;
	struct fl_stale_row *row = id ? bpf_map_lookup_elem(&fl_stale, &id) : NULL;

	return row && sock_ip_equal(&row->addr, &sock->endpoint) ? row : NULL;
}

/**
 * Whether the socket is connected to a stale endpoint, by us. It may have been
 * connected elsewhere since: then its remote end is another than it remembers.
 */
static __always_inline struct fl_stale_row *judge(
	struct sock_common *sk, struct fl_sock *sock, struct fl_stale_socket *ret)
{
	ret->family = (__u8)sk->skc_family;
	ret->remote_port = sk->skc_dport;
	if (sk->skc_family == AF_INET) {
		sock_ipv4(sk->skc_daddr, &ret->remote);
		sock_ipv4(sk->skc_rcv_saddr, &ret->local);
	} else if (sk->skc_family == AF_INET6) {
		ipv6(&sk->skc_v6_daddr, &ret->remote);
		ipv6(&sk->skc_v6_rcv_saddr, &ret->local);
	} else {
		return NULL;
	}
	if (ret->remote_port != sock->endpoint_port ||
		!sock_ip_equal(&ret->remote, &sock->endpoint))
		return NULL;
	ret->local_port = bpf_htons(sk->skc_num);
	ret->interface = (__u32)sk->skc_bound_dev_if;
	ret->endpoint = sock->endpoint_id;
	ret->proto = sock->proto;
	return stale_row(sock);
}

/** @param close  constant: also end it. @return 0 = go on */
static __always_inline int visit(
	struct bpf_iter_meta *meta, struct sock_common *sk, struct fl_sock *sock, bool close)
{
	struct fl_stale_socket told = { 0 };
	struct fl_stale_row *row;

	if (!sock)
		return 0;
	row = judge(sk, sock, &told);
	if (!row)
		return 0;
	told.cookie = bpf_get_socket_cookie(sk);
	if (close && bpf_sock_destroy(sk) == 0) {
		told.closed = 1;
		__sync_fetch_and_add(&row->closed, 1);
	}
	bpf_seq_write(meta->seq, &told, sizeof(told));
	return 0;
}

SEC("iter/tcp")
int close_tcp(struct bpf_iter__tcp *ctx)
{
	struct sock_common *sk = ctx->sk_common;

	return sk ? visit(ctx->meta, sk, bpf_sk_storage_get(&fl_sockets, sk, 0, 0), true) : 0;
}

SEC("iter/udp")
int close_udp(struct bpf_iter__udp *ctx)
{
	struct sock_common *sk = (struct sock_common *)ctx->udp_sk;

	return sk ? visit(ctx->meta, sk, bpf_sk_storage_get(&fl_sockets, sk, 0, 0), true) : 0;
}

SEC("iter/tcp")
int list_tcp(struct bpf_iter__tcp *ctx)
{
	struct sock_common *sk = ctx->sk_common;

	return sk ? visit(ctx->meta, sk, bpf_sk_storage_get(&fl_sockets, sk, 0, 0), false) : 0;
}

SEC("iter/udp")
int list_udp(struct bpf_iter__udp *ctx)
{
	struct sock_common *sk = (struct sock_common *)ctx->udp_sk;

	return sk ? visit(ctx->meta, sk, bpf_sk_storage_get(&fl_sockets, sk, 0, 0), false) : 0;
}

/** Writes the inode of the network namespace of each stale socket, as u32. */
SEC("iter/bpf_sk_storage_map")
int find(struct bpf_iter__bpf_sk_storage_map *ctx)
{
	struct fl_sock *sock = ctx->value;
	struct sock *sk = ctx->sk;
	__u32 inode;

	if (!sock || !sk || !stale_row(sock))
		return 0;
	inode = sk->__sk_common.skc_net.net->ns.inum;
	bpf_seq_write(ctx->meta->seq, &inode, sizeof(inode));
	return 0;
}

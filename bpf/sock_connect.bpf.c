// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause

/*
 * The node path: a process of this node that connects to a frontend is connected to
 * an endpoint, and nothing is left to do for each packet. Datagrams of sockets
 * that are not connected are sent to one, and their answers show the frontend
 * again; so does getpeername(2).
 *
 * IPv4 in an IPv6 socket (::ffff:a.b.c.d) is IPv4.
 */
#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <linux/errno.h>
#include <linux/in.h>

#include "lib/choose.h"
#include "lib/datagram.h"
#include "lib/exempt.h"
#include "lib/exit.h"
#include "lib/sock.h"
#include "lib/watch.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define ALLOW  1
#define REFUSE 0 /* EPERM to the caller */

/* ------------------------------------------------------------------ addresses */

static __always_inline void take_ipv4(const struct bpf_sock_addr *ctx, struct fl_ip *ret)
{
	sock_ipv4(ctx->user_ip4, ret);
}

static __always_inline void take_ipv6(const struct bpf_sock_addr *ctx, struct fl_ip *ret)
{
	ret->word[0] = ctx->user_ip6[0];
	ret->word[1] = ctx->user_ip6[1];
	ret->word[2] = ctx->user_ip6[2];
	ret->word[3] = ctx->user_ip6[3];
}

static __always_inline void put(struct bpf_sock_addr *ctx, enum fl_family socket_family,
	const struct fl_ip *ip, __be16 port)
{
	if (socket_family == FL_IPV4) {
		ctx->user_ip4 = ip->word[3];
	} else {
		ctx->user_ip6[0] = ip->word[0];
		ctx->user_ip6[1] = ip->word[1];
		ctx->user_ip6[2] = ip->word[2];
		ctx->user_ip6[3] = ip->word[3];
	}
	ctx->user_port = port;
}

/* ------------------------------------------------------------------- remember */

static __always_inline void remember_connected(struct bpf_sock_addr *ctx, const struct choice *c,
	const struct fl_ip *frontend, __be16 port)
{
	struct fl_sock *kept =
		bpf_sk_storage_get(&fl_sockets, ctx->sk, 0, BPF_SK_STORAGE_GET_F_CREATE);

	if (!kept)
		return;
	watch_forget(kept);
	kept->endpoint = c->addr;
	kept->frontend = *frontend;
	kept->endpoint_port = c->port;
	kept->frontend_port = port;
	kept->endpoint_id = c->endpoint;
	kept->service_id = c->service;
	kept->proto = (__u8)ctx->protocol;
	watch_connect(kept);
}

/* A socket that was connected through us and connects elsewhere shows that. */
static __always_inline void forget_connected(struct bpf_sock_addr *ctx)
{
	struct fl_sock *kept = bpf_sk_storage_get(&fl_sockets, ctx->sk, 0, 0);

	if (!kept)
		return;
	watch_forget(kept);
	bpf_sk_storage_delete(&fl_sockets, ctx->sk);
}

/* ------------------------------------------------------------------- translate */

static __always_inline int choose(struct bpf_sock_addr *ctx, enum exempt_hook hook,
	enum fl_family socket_family, const struct fl_ip *addr, struct choice *c)
{
	__be16 port = (__be16)ctx->user_port;
	__u8 proto = (__u8)ctx->protocol;
	int err;

	if (proto != IPPROTO_TCP && proto != IPPROTO_UDP)
		return -FL_PASS_PROTOCOL;
	if (!choose_frontend(addr, port, proto, c) ||
		exempt_is_elsewhere(addr, bpf_get_netns_cookie(ctx)))
		return -FL_PASS_NO_SERVICE;
	if (exempt_is_agent())
		return -FL_PASS_EXEMPT;
	err = choose_endpoint(ctx, socket_family, sock_ip_family(addr), port, c);
	if (err || !exempt_socket_cannot(ctx, hook, socket_family, &c->addr, c->port))
		return err;
	choose_give_back(c);
	return -FL_PASS_SOURCE;
}

static __always_inline int verdict(int err)
{
	__u32 reason = err < 0 ? -err : FL_SENT;

	exit_count(FL_PATH_NODE, reason);
	if (!err || EXIT_PASS_BITS >> reason & 1)
		return ALLOW;
	bpf_set_retval(-ECONNREFUSED);
	return REFUSE;
}

static __always_inline int connect(
	struct bpf_sock_addr *ctx, enum fl_family socket_family, const struct fl_ip *addr)
{
	__be16 port = (__be16)ctx->user_port;
	struct choice c = { 0 };
	int err = choose(ctx, EXEMPT_CONNECT, socket_family, addr, &c);

	if (err) {
		forget_connected(ctx);
		return verdict(err);
	}
	remember_connected(ctx, &c, addr, port);
	choose_count(&c);
	put(ctx, socket_family, &c.addr, c.port);
	return verdict(0);
}

/* The id may be another's by now: then the address is another, too. */
static __always_inline bool takes_traffic(const struct fl_peer *peer)
{
	struct fl_endpoint_row *row = endpoint_row(peer->endpoint_id);

	return row && (row->state == FL_UP || row->state == FL_DRAINING) &&
	       sock_ip_equal(&row->addr, &peer->endpoint);
}

static __always_inline int sendmsg(
	struct bpf_sock_addr *ctx, enum fl_family socket_family, const struct fl_ip *addr)
{
	__be16 port = (__be16)ctx->user_port;
	struct fl_peers *kept = datagram_peers(ctx, 0);
	__u32 place = datagram_find(kept, addr, port);
	struct fl_peer *known = NULL;
	struct choice c = { 0 };
	int err;

	if (kept && place < FL_PEERS)
		known = &kept->peer[place];
	if (known && takes_traffic(known) &&
		!exempt_socket_cannot(ctx, EXEMPT_SENDMSG, socket_family, &known->endpoint,
			known->endpoint_port)) {
		put(ctx, socket_family, &known->endpoint, known->endpoint_port);
		return ALLOW;
	}
	err = choose(ctx, EXEMPT_SENDMSG, socket_family, addr, &c);
	if (err)
		return verdict(err);
	datagram_remember(ctx, known, &c, addr, port);
	choose_count(&c);
	put(ctx, socket_family, &c.addr, c.port);
	return verdict(0);
}

/* --------------------------------------------------------------- translate back */

static __always_inline bool is_endpoint_of(
	const struct fl_peer *peer, const struct fl_ip *addr, __be16 port)
{
	return peer->endpoint_id && peer->endpoint_port == port &&
	       sock_ip_equal(&peer->endpoint, addr);
}

static __always_inline bool show_connected(
	struct bpf_sock_addr *ctx, enum fl_family socket_family, const struct fl_ip *addr)
{
	struct fl_sock *sock = bpf_sk_storage_get(&fl_sockets, ctx->sk, 0, 0);

	if (!sock || !sock->endpoint_id || sock->endpoint_port != (__be16)ctx->user_port ||
		!sock_ip_equal(&sock->endpoint, addr))
		return false;
	put(ctx, socket_family, &sock->frontend, sock->frontend_port);
	return true;
}

static __always_inline void show_datagram(
	struct bpf_sock_addr *ctx, enum fl_family socket_family, const struct fl_ip *addr)
{
	struct fl_peers *kept;

	if (show_connected(ctx, socket_family, addr))
		return;
	kept = bpf_sk_storage_get(&fl_datagrams, ctx->sk, 0, 0);
	if (!kept)
		return;
	for (int i = 0; i < FL_PEERS; i++) {
		struct fl_peer *peer = &kept->peer[i];

		if (!is_endpoint_of(peer, addr, (__be16)ctx->user_port))
			continue;
		put(ctx, socket_family, &peer->frontend, peer->frontend_port);
		return;
	}
}

/* ----------------------------------------------------------------------- hooks */

SEC("cgroup/connect4")
int node_connect4(struct bpf_sock_addr *ctx)
{
	struct fl_ip addr;

	take_ipv4(ctx, &addr);
	return connect(ctx, FL_IPV4, &addr);
}

SEC("cgroup/connect6")
int node_connect6(struct bpf_sock_addr *ctx)
{
	struct fl_ip addr;

	take_ipv6(ctx, &addr);
	return connect(ctx, FL_IPV6, &addr);
}

SEC("cgroup/sendmsg4")
int node_sendmsg4(struct bpf_sock_addr *ctx)
{
	struct fl_ip addr;

	take_ipv4(ctx, &addr);
	return sendmsg(ctx, FL_IPV4, &addr);
}

SEC("cgroup/sendmsg6")
int node_sendmsg6(struct bpf_sock_addr *ctx)
{
	struct fl_ip addr;

	take_ipv6(ctx, &addr);
	return sendmsg(ctx, FL_IPV6, &addr);
}

SEC("cgroup/recvmsg4")
int node_recvmsg4(struct bpf_sock_addr *ctx)
{
	struct fl_ip addr;

	take_ipv4(ctx, &addr);
	show_datagram(ctx, FL_IPV4, &addr);
	return ALLOW;
}

SEC("cgroup/recvmsg6")
int node_recvmsg6(struct bpf_sock_addr *ctx)
{
	struct fl_ip addr;

	take_ipv6(ctx, &addr);
	show_datagram(ctx, FL_IPV6, &addr);
	return ALLOW;
}

SEC("cgroup/getpeername4")
int node_getpeername4(struct bpf_sock_addr *ctx)
{
	struct fl_ip addr;

	take_ipv4(ctx, &addr);
	show_connected(ctx, FL_IPV4, &addr);
	return ALLOW;
}

SEC("cgroup/getpeername6")
int node_getpeername6(struct bpf_sock_addr *ctx)
{
	struct fl_ip addr;

	take_ipv6(ctx, &addr);
	show_connected(ctx, FL_IPV6, &addr);
	return ALLOW;
}

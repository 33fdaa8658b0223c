// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause

/*
 * What becomes of the connections that sock_connect.bpf.c gave an endpoint: counts,
 * times, and endpoints that are left out because connects to them fail.
 *
 * Everything here happens when a connection begins, changes its state, or retransmits.
 * There is nothing for a packet: the callback with each round trip that TCP measures
 * would be one, so the round trip is taken as TCP has smoothed it, when a connection is
 * established and when it ends.
 *
 * A socket that we know nothing of costs one look into its storage per event.
 */
#include <linux/bpf.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <linux/errno.h>
#include <linux/in.h>

#include "lib/kernel_types.h"
#include "lib/latency.h"
#include "lib/watch.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* What sockops programs answer, since 0 would take the word from other programs. */
#define GO_ON 1

#define WANTED (BPF_SOCK_OPS_STATE_CB_FLAG | BPF_SOCK_OPS_RETRANS_CB_FLAG)

/* ------------------------------------------------------------------- the socket */

static __always_inline struct fl_sock *recall(struct bpf_sock_ops *ctx)
{
	struct bpf_sock *sk = ctx->sk;
	struct fl_sock *kept = sk ? bpf_sk_storage_get(&fl_sockets, sk, 0, 0) : NULL;

	return kept && kept->endpoint_id ? kept : NULL;
}

/* Not where somebody else changed the address after us. The port stands in the upper half of
 * the word, in network order; on a big-endian CPU, in the lower. Fields of the context are
 * loaded one by one, since the verifier allows no other pointer into it. */
static __always_inline bool is_connected_to(
	const struct bpf_sock_ops *ctx, const struct fl_sock *kept)
{
	struct fl_ip ip;

	sock_ipv4(READ_ONCE(ctx->remote_ip4), &ip);
	if (bpf_ntohl(ctx->remote_port) != bpf_ntohs(kept->endpoint_port))
		return false;
	if (ctx->family != AF_INET) {
		ip.word[0] = READ_ONCE(ctx->remote_ip6[0]);
		ip.word[1] = READ_ONCE(ctx->remote_ip6[1]);
		ip.word[2] = READ_ONCE(ctx->remote_ip6[2]);
		ip.word[3] = READ_ONCE(ctx->remote_ip6[3]);
	}
	return sock_ip_equal(&ip, &kept->endpoint);
}

/* 0 = there is none */
static __always_inline int error_of(struct bpf_sock_ops *ctx)
{
	struct bpf_sock *sk = ctx->sk;
	struct sock *tcp = sk ? (struct sock *)bpf_skc_to_tcp_sock(sk) : NULL;

	return tcp ? tcp->sk_err : 0;
}

/* Errors of a connection that was not made. What ended it without one of these was no
 * fault of the endpoint's: it was closed, or somebody aborted it. */
static __always_inline enum fl_fault fault_of(int error)
{
	switch (error) {
	case ECONNREFUSED:
		return FL_FAULT_REFUSED;
	case ETIMEDOUT:
		return FL_FAULT_TIMED_OUT;
	case ENETUNREACH:
	case EHOSTUNREACH:
	case EHOSTDOWN:
	case ENONET:
	case ENOPROTOOPT:
	case EACCES:
	case EPROTO:
		return FL_FAULT_UNREACHABLE;
	default:
		return FL_FAULT_NONE;
	}
}

/* ----------------------------------------------------------------------- events */

/* Others may want callbacks of the same socket. */
static __always_inline void ask_for_callbacks(struct bpf_sock_ops *ctx)
{
	__u32 have = ctx->bpf_sock_ops_cb_flags;

	if ((have & WANTED) != WANTED)
		bpf_sock_ops_cb_flags_set(ctx, have | WANTED);
}

/* Its SYN is about to be sent. */
static __always_inline void begin(struct bpf_sock_ops *ctx, struct fl_sock *kept)
{
	struct fl_live_row *row = live_row(kept->endpoint_id);

	if (!row)
		return;
	if (!is_connected_to(ctx, kept)) {
		kept->begun = 0;
		return;
	}
	kept->begun = bpf_ktime_get_ns();
	kept->established = 0;
	kept->retransmits = ctx->total_retrans;
	__sync_fetch_and_add(&row->connects, 1);
	watch_count(kept, kept->endpoint_id);
	ask_for_callbacks(ctx);
}

static __always_inline void establish(struct bpf_sock_ops *ctx, struct fl_sock *kept)
{
	struct fl_live_row *row = live_row(kept->endpoint_id);
	struct fl_histograms *histograms;
	struct eject e;

	if (!row || !kept->counted || kept->established)
		return;
	kept->established = 1;
	watch_fill(&e, kept, FL_FAULT_NONE);
	__sync_fetch_and_add(&row->established, 1);
	histograms = latency_histograms(kept->endpoint_id);
	latency_add_connect(row, histograms, (e.now - e.begun) / 1000);
	latency_add_rtt(row, histograms, ctx->srtt_us >> 3);
	live_succeeded(row);
	eject_succeeded(&e, row);
	ask_for_callbacks(ctx);
}

static __always_inline void count_retransmits(
	struct bpf_sock_ops *ctx, struct fl_sock *kept, struct fl_live_row *row)
{
	__u32 total = ctx->total_retrans;

	__sync_fetch_and_add(&row->retransmits, (__u64)(total - kept->retransmits));
	kept->retransmits = total;
}

static __always_inline void retransmit(struct bpf_sock_ops *ctx, struct fl_sock *kept)
{
	struct fl_live_row *row = live_row(kept->endpoint_id);

	if (row && kept->counted)
		count_retransmits(ctx, kept, row);
}

/* The endpoint reset it: in CLOSE_WAIT TCP says that with another error. */
static __always_inline bool is_reset(int error)
{
	return error == ECONNRESET || error == EPIPE;
}

static __always_inline void end(struct bpf_sock_ops *ctx, struct fl_sock *kept)
{
	struct fl_live_row *row = live_row(kept->endpoint_id);
	int error = error_of(ctx);

	if (!row || !kept->counted)
		return;
	count_retransmits(ctx, kept, row);
	if (!kept->established)
		watch_fault(kept, row, fault_of(error));
	else if (is_reset(error))
		__sync_fetch_and_add(&row->resets, 1);
	if (kept->established)
		latency_add_rtt(row, latency_histograms(kept->endpoint_id), ctx->srtt_us >> 3);
	kept->begun = 0;
	watch_count(kept, 0);
}

/* ----------------------------------------------------------------------- hooks */

SEC("sockops")
int node_watch(struct bpf_sock_ops *ctx)
{
	__u32 op = ctx->op, state = op == BPF_SOCK_OPS_STATE_CB ? ctx->args[1] : 0;
	struct fl_sock *kept;

	if (op != BPF_SOCK_OPS_TCP_CONNECT_CB && op != BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB &&
		op != BPF_SOCK_OPS_RETRANS_CB && state != BPF_TCP_ESTABLISHED &&
		state != BPF_TCP_CLOSE)
		return GO_ON;
	kept = recall(ctx);
	if (!kept)
		return GO_ON;
	if (op == BPF_SOCK_OPS_TCP_CONNECT_CB)
		begin(ctx, kept);
	else if (op == BPF_SOCK_OPS_RETRANS_CB)
		retransmit(ctx, kept);
	else if (state == BPF_TCP_CLOSE)
		end(ctx, kept);
	else
		establish(ctx, kept);
	return GO_ON;
}

/* Another program of the same cgroup may have set the flags of a socket without keeping
 * ours: then nobody will tell when it ends. The context is the kernel's struct sock. */
static __always_inline bool is_still_told(struct bpf_sock *ctx)
{
	struct tcp_sock *tcp = (struct tcp_sock *)ctx;
	__u8 flags = 0;

	bpf_core_read(&flags, sizeof(flags), &tcp->bpf_sock_ops_cb_flags);
	return flags & BPF_SOCK_OPS_STATE_CB_FLAG;
}

/* The last descriptor of a socket was closed. A stream may live on: it counts until its
 * state says otherwise. */
SEC("cgroup/sock_release")
int node_release(struct bpf_sock *ctx)
{
	struct fl_sock *kept = bpf_sk_storage_get(&fl_sockets, ctx, 0, 0);

	if (!kept || !kept->endpoint_id)
		return GO_ON;
	if (kept->proto != IPPROTO_TCP)
		watch_forget(kept);
	else if (kept->counted ? !is_still_told(ctx) : ctx->state == BPF_TCP_CLOSE)
		watch_forget(kept);
	return GO_ON;
}

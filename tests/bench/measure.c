/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <bpf/bpf.h>
#include <err.h>
#include <errno.h>
#include <linux/bpf.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "core/clock.h"
#include "tests/bench/feeder.skel.h"

#define LIVE_BATCH 64
/** Before each run, so that caches hold what this case needs, not the one before. */
#define SETTLE_PACKETS 2048

struct bench_case *bench_add(bench_cases *cases, const char *program, int prog_fd, uint32_t action,
	const struct bench_traffic *traffic)
{
	struct bench_case *c = fl_vec_push(cases);

	if (!c)
		errx(1, "out of memory");
	c->program = program;
	c->state = "";
	c->prog_fd = prog_fd;
	c->action = action;
	c->traffic = *traffic;
	return c;
}

static int feeder_fd(const struct bench_run *run, enum feed_shape shape)
{
	struct bpf_program *programs[] = { run->feeder->progs.feed_tcp4,
		run->feeder->progs.feed_udp4, run->feeder->progs.feed_tcp6,
		run->feeder->progs.feed_udp6, run->feeder->progs.feed_answer4 };

	return bpf_program__fd(programs[shape]);
}

/** Give the feeder its frame and put the case's program behind it. */
static void aim(struct bench_run *run, struct bench_case *c)
{
	struct feed *feed = &run->feeder->bss->feed;
	uint32_t zero = 0, fd = c->prog_fd;

	bench_frame(feed, &c->traffic);
	feed->mask = c->traffic.flows ? c->traffic.flows - 1 : UINT32_MAX;
	feed->next = c->next;
	if (bpf_map_update_elem(bpf_map__fd(run->feeder->maps.next), &zero, &fd, 0) < 0)
		err(1, "putting %s behind the feeder", c->program);
}

double bench_thread_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

static void run_packets(
	struct bench_run *run, struct bench_case *c, uint32_t packets, uint32_t flags)
{
	struct xdp_md in = { .data_end = bench_frame_length(c->traffic.shape),
		.ingress_ifindex = run->ifindex };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = run->feeder->bss->feed.frame,
		.data_size_in = in.data_end, .ctx_in = &in, .ctx_size_in = sizeof(in),
		.repeat = packets, .flags = flags,
		.batch_size = flags & BPF_F_TEST_XDP_LIVE_FRAMES ? LIVE_BATCH : 0);
	char text[64];

	if (bpf_prog_test_run_opts(feeder_fd(run, c->traffic.shape), &opts) < 0)
		err(1, "running %s", c->program);
	c->next = run->feeder->bss->feed.next;
	if (!(flags & BPF_F_TEST_XDP_LIVE_FRAMES) && c->action != UINT32_MAX &&
		opts.retval != c->action)
		errx(1, "%s %s, %s: returned %u, not %u", c->program, c->state,
			bench_traffic_text(&c->traffic, text), opts.retval, c->action);
}

void bench_feed(struct bench_run *run, struct bench_case *c, uint32_t packets)
{
	if (packets == 0)
		return;
	aim(run, c);
	run_packets(run, c, packets, 0);
}

/** Every packet of the runs since `before` must have gone to an endpoint. */
static void check_sent(const struct bench_case *c, uint64_t before, uint64_t packets)
{
	uint64_t sent = c->sent ? c->sent(c) - before : packets;
	char text[64];

	if (sent != packets)
		errx(1, "%s %s, %s: %lu of %lu packets were sent", c->program, c->state,
			bench_traffic_text(&c->traffic, text), sent, packets);
}

/**
 * Run a case once.
 * @param flags     of BPF_PROG_TEST_RUN
 * @param clock_ns  the clock that tells how long it took
 * @return nanoseconds a packet
 */
static double run_once(struct bench_run *run, struct bench_case *c, uint32_t packets,
	uint32_t flags, double (*clock_ns)(void))
{
	uint32_t settle = c->packets ? 0 : SETTLE_PACKETS;
	uint64_t sent;
	double start, end;

	if (c->packets)
		packets = c->packets;
	if (c->before)
		c->before(run, c);
	sent = c->sent ? c->sent(c) : 0;
	aim(run, c);
	if (settle)
		run_packets(run, c, settle, flags);
	start = clock_ns();
	run_packets(run, c, packets, flags);
	end = clock_ns();
	check_sent(c, sent, settle + packets);
	return (end - start) / packets;
}

static double measure_once(struct bench_run *run, struct bench_case *c)
{
	return run_once(run, c, run->options->packets, 0, bench_thread_ns);
}

/** The same, and that of the kernel's thread which does what this one leaves. */
static double softirq_ns(void)
{
	return bench_thread_ns() + bench_ksoftirqd_ns();
}

/** Millions of packets a second of one processor. */
static double measure_live_once(struct bench_run *run, struct bench_case *c)
{
	return 1e3 /
	       run_once(run, c, run->options->packets, BPF_F_TEST_XDP_LIVE_FRAMES, softirq_ns);
}

static void measure_all(struct bench_run *run, bench_cases *cases, const char *what,
	double (*once)(struct bench_run *, struct bench_case *))
{
	size_t i, rounds = run->options->rounds, round;

	for (i = 0; i < cases->count; i++)
		bench_feed(run, &cases->items[i], cases->items[i].warmup);
	for (round = 0; round < rounds; round++) {
		if (isatty(STDERR_FILENO))
			fprintf(stderr, "\r%s: round %zu of %zu ", what, round + 1, rounds);
		/* Another one begins each time, so that none is always after the same. */
		for (i = 0; i < cases->count; i++) {
			struct bench_case *c = &cases->items[(i + round) % cases->count];

			c->ns[round] = once(run, c);
		}
	}
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r\033[K");
}

void bench_measure(struct bench_run *run)
{
	measure_all(run, &run->cases, "packets", measure_once);
}

void bench_measure_live(struct bench_run *run)
{
	measure_all(run, &run->live, "live frames", measure_live_once);
}

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/** Linear between neighbours; `values` are sorted. */
static double quantile(const double *values, size_t count, double q)
{
	double at = q * (count - 1);
	size_t below = at;

	if (below + 1 >= count)
		return values[count - 1];
	return values[below] + (at - below) * (values[below + 1] - values[below]);
}

double bench_quantile(double *values, size_t count, double q)
{
	if (count == 0)
		return NAN;
	qsort(values, count, sizeof(*values), compare_doubles);
	return quantile(values, count, q);
}

struct bench_figure bench_figure(double *values, size_t count)
{
	if (count == 0)
		return (struct bench_figure){ NAN, NAN };
	qsort(values, count, sizeof(*values), compare_doubles);
	return (struct bench_figure){ quantile(values, count, 0.5),
		(quantile(values, count, 0.75) - quantile(values, count, 0.25)) / 2 };
}

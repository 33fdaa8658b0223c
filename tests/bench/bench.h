/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/vec.h"
#include "feed.h"

/**
 * @file bench.h
 * What is measured, how, and what came out.
 *
 * Times of one run say little on a shared machine: all cases are run in turn, many
 * rounds, and what is told is the median over the rounds, with the distance between
 * the quartiles. A net time is the median of the differences, round by round, to
 * the program that only passes behind the same feeder.
 */

struct feeder; /* skeleton of feeder.bpf.c */
struct bench_run;

#define BENCH_ROUNDS_MAX 1000

/** What comes in, packet after packet. */
struct bench_traffic {
	enum feed_shape shape;
	uint32_t flows; /**< a power of two; 0 = every packet is of a new flow */
	bool syn;       /**< TCP: every packet opens (SYN); else established (ACK) */
};

/** One program under one kind of traffic. */
struct bench_case {
	const char *program; /**< "XDP_PASS", "floor", "ipip" … */
	const char *state;   /**< of the slots: "settled", "pin hit" …; "" for yardsticks */
	struct bench_traffic traffic;
	int prog_fd;      /**< goes behind the feeder */
	uint32_t action;  /**< what it must return; UINT32_MAX = whatever */
	uint32_t warmup;  /**< packets before the first round, to fill tables */
	uint32_t packets; /**< of a round, when it cannot take as many as others: no packet of
			       its kind may go before; 0 = as the options say */
	/** Puts maps into the state that the case is about; before each run. May be NULL. */
	void (*before)(struct bench_run *run, struct bench_case *bench_case);
	/** Packets sent to endpoints so far; each packet of a run must be. May be NULL. */
	uint64_t (*sent)(const struct bench_case *bench_case);
	void *context;

	double ns[BENCH_ROUNDS_MAX]; /**< per packet, by round; live: millions a second */
	uint32_t next; /**< where the feed stopped: so that all flows get their turn */
};
typedef FL_VEC(struct bench_case) bench_cases;

/** What can be run alone, by `--only`. */
enum bench_part {
	BENCH_PACKETS = 1, /**< programs behind the feeder, and the edge program's stages */
	BENCH_LIVE = 2,    /**< frames over veth */
	/* What the agent does, of which each prints its table and returns it as JSON. */
	BENCH_SCALE = 4,    /**< single changes among very many services */
	BENCH_RELOAD = 8,   /**< a registry's file is saved, and the kernel follows */
	BENCH_WRITES = 16,  /**< rows and slots of maps */
	BENCH_BUILDS = 32,  /**< Maglev tables */
	BENCH_CHECKS = 64,  /**< probes of very many endpoints */
	BENCH_NODE = 256,   /**< connections that start on the node */
	BENCH_CONSUL = 128, /**< very many services read from a Consul over HTTP */
};

/** What the command line says. */
struct bench_options {
	int rounds;
	uint32_t packets; /**< of each case and round */
	unsigned parts;   /**< to run: bits of enum bench_part */
	const char *json;
};

/** A run of all cases. */
struct bench_run {
	const struct bench_options *options;
	struct feeder *feeder; /**< the one that feeds */
	/** Yardsticks with a flow table of their own: for each shape, and for new flows. */
	struct feeder *known[FEED_SHAPES], *churn;
	uint32_t ifindex; /**< of v0 */
	bench_cases cases;
	bench_cases live;
};

/** Add a case; fill in what the arguments do not. Never NULL. */
struct bench_case *bench_add(bench_cases *cases, const char *program, int prog_fd, uint32_t action,
	const struct bench_traffic *traffic);

/* yardsticks.c */
/** Load feeder and yardsticks, and append the yardsticks' cases. */
void bench_add_yardsticks(struct bench_run *run);

/* edge.c */
/** Start agents on variants of reference.yaml and append the cases of their programs. */
void bench_add_edge(struct bench_run *run);

/* stages.c */
struct bench_subject;
/** Append programs that end after each stage of the subject's, and its path through an
 * LRU table. The subject's slots are settled. */
void bench_add_stages(struct bench_run *run, const struct bench_subject *subject);

/** Measure all cases, round by round. Says on stderr how far it is. */
void bench_measure(struct bench_run *run);
/** The same with frames that really leave, over veth: packets per second. */
void bench_measure_live(struct bench_run *run);

/** Run packets through a case, not to be measured. */
void bench_feed(struct bench_run *run, struct bench_case *bench_case, uint32_t packets);
/** Send `drop` to the other end of the pair, so that live frames end there. */
void bench_attach_drop(struct bench_run *run);

/** Processor time of this thread: what others run meanwhile does not count. */
double bench_thread_ns(void);

/** Median and half the distance between the quartiles. */
struct bench_figure {
	double median, spread;
};
/** Sorts `values`. @param q  0 = the least, 1 = the greatest */
double bench_quantile(double *values, size_t count, double q);
/** Sorts `values`. */
struct bench_figure bench_figure(double *values, size_t count);

/* packets.c */
/** Fill in frame and sums for a shape. */
void bench_frame(struct feed *feed, const struct bench_traffic *traffic);
int bench_frame_length(enum feed_shape shape);
/** "TCP IPv4, 65536 flows, established". @return `buffer` */
char *bench_traffic_text(const struct bench_traffic *traffic, char buffer[64]);

/* world.c */
/** Enter private network and mount namespaces with the pair v0 - v1. */
void bench_world_enter(struct bench_run *run);
/** Run a shell command, printf-like; ends the program when it fails. */
void bench_shell(const char *format, ...) __attribute__((format(printf, 1, 2)));
/** Stay on one processor. */
void bench_pin_cpu(void);
/** Have this process run before others on the machine, whose work then counts less. Where sessions
 * are scheduled as groups (sched(7), autogroup) it gets one of its own. */
void bench_go_first(void);
/** Processor time of that processor's ksoftirqd so far. */
double bench_ksoftirqd_ns(void);
const char *bench_cpu_name(char *buffer, size_t size);

/* report.c */
/** Print the tables and return them for machines. New reference. */
json_t *bench_report_packets(const struct bench_run *run);
json_t *bench_report_live(const struct bench_run *run);
json_t *bench_report_stages(const struct bench_run *run);

/* The agent's work; new reference each. */
json_t *bench_scale(void);  /**< scale.c */
json_t *bench_reload(void); /**< reload.c */
json_t *bench_writes(void); /**< writes.c */
json_t *bench_builds(void); /**< builds.c */
json_t *bench_checks(void); /**< checks.c */
json_t *bench_consul(void); /**< consul.c */
json_t *bench_node(void);   /**< node.c */

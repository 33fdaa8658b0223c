/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "net/backoff.h"
#include "registry/consul/client.h"
#include "registry/consul/query.h"
#include "registry/consul/watch.h"

/**
 * @file turns.h
 * Which watch asks next, and when: lists, delays, and the gate that shuts when the server
 * is in trouble. Private to watch.c, which asks and judges what is answered.
 */
#define FL_CONSUL_BIGS            8 /**< big answers under way at once */
#define FL_CONSUL_BACKOFF_BASE_MS 500
#define FL_CONSUL_BACKOFF_CAP_MS  30000

enum fl_consul_watch_state {
	FL_WATCH_NEW,
	FL_WATCH_READY,   /**< asks as soon as there is a connection */
	FL_WATCH_ASKING,  /**< `call` is under way */
	FL_WATCH_READING, /**< its owner reads the answer; its place is taken meanwhile */
	FL_WATCH_DELAYED, /**< until `not_before_ms` */
};

struct fl_consul_watch {
	struct fl_consul_watches *set; /**< NULL = ended while its answer was being read */
	void *owner;
	char *path, *subject;
	bool urgent, filtered, may_be_absent;

	enum fl_consul_watch_state state;
	struct fl_consul_watch *prev, *next; /**< in the list of its state */
	struct fl_consul_call *call;
	const char *asked_url; /**< whom; compared only */
	uint64_t asked_ms;
	uint32_t asked_wait_ms;
	uint64_t asked_index;
	bool asked_big; /**< counts among the big ones that are busy */

	uint64_t index; /**< of the last answer that was accepted; 0 = ask for everything */
	uint64_t hash;  /**< of that answer */
	bool has_hash;
	uint64_t next_index; /**< of the one being read */
	uint64_t next_hash;
	uint32_t next_delay_ms;
	bool is_partial;

	bool is_big;
	bool failed;        /**< since its last success */
	bool server_failed; /**< and it seemed to be the server's fault */
	uint64_t not_before_ms;
	struct fl_backoff backoff;
	struct fl_consul_pace pace;
};

enum fl_consul_gate {
	FL_GATE_OPEN,
	FL_GATE_SHUT,    /**< until `gate_until_ms` */
	FL_GATE_PROBING, /**< one asks, the others wait for how it goes */
};

struct fl_consul_watches {
	uv_loop_t *loop;
	const struct fl_consul_config *config;
	const struct fl_consul_watch_hooks *hooks;
	void *context;
	struct fl_consul_client *client;
	uv_timer_t timer; /**< the next delay or the gate */
	struct fl_consul_watch *urgent, *ready, *delayed, *asking, *reading; /**< lists */
	size_t count, urgent_count, big_count; /**< watches; the latter without urgent ones */
	size_t busy_count, busy_big;           /**< asking or reading, without urgent ones */

	enum fl_consul_gate gate;
	uint64_t gate_until_ms;
	struct fl_consul_watch *probe;
	struct fl_consul_watch *suspect; /**< failed last, and nobody has succeeded since */
	struct fl_backoff backoff;
	const char *url;  /**< in use when the last failure was judged */
	size_t addresses; /**< that failed since the last success */
};

/** Put it into the list of another state, or into none (NEW). */
void fl_consul_turns_enter(struct fl_consul_watch *watch, enum fl_consul_watch_state state);
/** It shall ask, not before some time has passed. */
void fl_consul_turns_ask_after(struct fl_consul_watch *watch, uint32_t delay_ms);
/** See who may ask, in the next turn of the loop. */
void fl_consul_turns_wake(struct fl_consul_watches *set);
/** Let all ask that may (fl_consul_watch_ask), and come back for the others. */
void fl_consul_turns_pump(struct fl_consul_watches *set);
/** How long its question may be held now. */
uint32_t fl_consul_turns_wait_ms(const struct fl_consul_watch *watch);

/** It has an answer that can be used: so the server is well. */
void fl_consul_turns_succeeded(struct fl_consul_watch *watch);
/**
 * It failed, and waits. When another one failed before it, and none succeeded between
 * the two, the server is in trouble.
 * @param by_server  rather than by what was asked
 * @param least_ms   before it asks again
 */
void fl_consul_turns_failed(
	struct fl_consul_watch *watch, bool by_server, uint32_t least_ms, const char *message);
/** Nothing can be had from Consul: all wait together. */
void fl_consul_turns_cut_off(struct fl_consul_watch *watch, const char *message);
/** No connection. With several addresses each gets its chance before anybody waits; a
 * watch that had asked one that is given up already just asks the next. */
void fl_consul_turns_lost(struct fl_consul_watch *watch, const char *message);

/** Of watch.c: ask now. @return whether the question was sent */
bool fl_consul_watch_ask(struct fl_consul_watch *watch);

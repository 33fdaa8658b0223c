/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "config/config.h"
#include "registry/consul/client.h"

/**
 * @file watch.h
 * Blocking queries to one Consul, many at once, for as long as somebody wants to know.
 *
 * Each watch asks again and again by the rules of query.h and hands over what is new.
 * While an answer is being read its watch does not ask, so no more is in memory than is
 * being read. What is asked for:
 *
 *     urgent watches (catalogue, key-value store) have a connection each;
 *     the others share what is left, in turns if there are more of them;
 *     an answer larger than usual is fetched again with more room, few of these at once.
 *
 * Failures: a watch that Consul refuses waits by itself. When the whole server seems
 * to be in trouble (no connection, or several watches fail in a row) nothing is asked
 * until a back-off has passed, then one watch tries, and when it succeeds all go on.
 */
struct fl_consul_watches;
struct fl_consul_watch;

struct fl_consul_watch_options {
	const char *path;    /**< as in fl_consul_query_path */
	const char *subject; /**< for messages: "service web" */
	bool urgent;
	bool filtered;      /**< with the configured filter */
	bool may_be_absent; /**< 404 is an answer: "[]" */
};

struct fl_consul_watch_hooks {
	/** An answer that differs from the last one. The callee owns `body`, and calls
	 * fl_consul_watch_accept or _refuse, now or later. */
	void (*answered)(void *context, struct fl_consul_watch *watch, char *body, size_t length);
	/** It was asked, and the answer is as before; or the new one was accepted. */
	void (*confirmed)(void *context, struct fl_consul_watch *watch);
	/** It could not be asked, or the answer is of no use. What to do is in the message. */
	void (*failed)(void *context, struct fl_consul_watch *watch, const char *message);
};

/** Everything given is borrowed and must outlive it. @return NULL when out of memory */
struct fl_consul_watches *fl_consul_watches_open(uv_loop_t *loop,
	const struct fl_consul_config *config, struct fl_consul_client *client,
	const struct fl_consul_watch_hooks *hooks, void *context);
/** End all. Those whose answers are being read must still be accepted or refused, which
 * does nothing then. NULL is welcome. */
void fl_consul_watches_close(struct fl_consul_watches *watches);
/** Ask everything again now, from the beginning. */
void fl_consul_watches_refresh(struct fl_consul_watches *watches);
/** Whether nothing can be had from Consul now, as far as is known. */
bool fl_consul_watches_are_cut_off(const struct fl_consul_watches *watches);

/** Begin one; it asks from the next turn of the loop on. @param owner  the caller's, for
 * fl_consul_watch_owner. @return NULL when out of memory */
struct fl_consul_watch *fl_consul_watch_add(struct fl_consul_watches *watches,
	const struct fl_consul_watch_options *options, void *owner);
/** End one; its owner will not be told anything more. NULL is welcome. */
void fl_consul_watch_end(struct fl_consul_watch *watch);

/** What was handed over is good: go on from there. */
void fl_consul_watch_accept(struct fl_consul_watch *watch);
/** It is of no use: keep what was before, and ask again a little later. */
void fl_consul_watch_refuse(struct fl_consul_watch *watch, const char *message);

/** @return NULL when the watch has ended meanwhile */
void *fl_consul_watch_owner(const struct fl_consul_watch *watch);
const char *fl_consul_watch_subject(const struct fl_consul_watch *watch);
/** Whether Consul said that ACLs hid a part of the last answer. */
bool fl_consul_watch_is_partial(const struct fl_consul_watch *watch);

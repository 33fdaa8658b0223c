/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "config/config.h"
#include "core/failure.h"
#include "net/http.h"

/**
 * @file client.h
 * Requests to the Consul that a configuration names: its addresses, of which the
 * next is taken when one cannot be reached, its ACL token, TLS files, and the
 * datacenter, namespace and partition that everything is about.
 */
struct fl_consul_client;

struct fl_consul_request {
	const char *method; /**< NULL = GET */
	const char *path;   /**< "/v1/catalog/services?index=7"; its parts are escaped already */
	const char *body;   /**< NULL = none */
	bool scoped;        /**< add dc, ns and partition where they are configured */
	uint32_t timeout_ms;
	size_t max_bytes; /**< of the answer; 0 = 64 MiB */
};

/** @param config  borrowed; must outlive the client. @return 0, -errno with message and hint */
int fl_consul_client_open(uv_loop_t *loop, const struct fl_consul_config *config,
	struct fl_failure *failure, struct fl_consul_client **ret);
/** Cancels what is under way. NULL is welcome. */
void fl_consul_client_close(struct fl_consul_client *client);

/**
 * Send. As fl_http_send; besides, an answer 403 makes the token file be read again, and
 * one that could not be had from an address makes the next request go to the next one.
 * @param ret  to cancel it with fl_consul_client_cancel; NULL = not wanted
 * @return 0, -ENOMEM; -errno when the token file cannot be read (with `failure`)
 */
struct fl_consul_call;
int fl_consul_client_send(struct fl_consul_client *client, const struct fl_consul_request *request,
	fl_http_done done, void *context, struct fl_failure *failure, struct fl_consul_call **ret);
/** `done` will not be called. */
void fl_consul_client_cancel(struct fl_consul_call *call);

/** The address in use, for messages. */
const char *fl_consul_client_url(const struct fl_consul_client *client);

/**
 * Say what an answer other than 200 means and what to do about it:
 * "http://127.0.0.1:8500: 403 Permission denied: the ACL token may not do this".
 * @return `buffer`
 */
char *fl_consul_explain(const struct fl_consul_client *client, const struct fl_http_answer *answer,
	char *buffer, size_t size);

/** Append a query parameter, its value escaped. @return what snprintf returns */
size_t fl_consul_escape(const char *text, char *buffer, size_t size);

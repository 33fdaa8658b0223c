/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "registry/consul/client.h"
#include "registry/consul/document.h"

/**
 * @file errand.h
 * What the registrar asks of Consul's agent, one call each, and which of them are
 * under way.
 */
enum fl_consul_errand_kind {
	FL_CONSUL_LIST,       /**< what is registered */
	FL_CONSUL_REGISTER,   /**< an instance, by its document */
	FL_CONSUL_DEREGISTER, /**< an instance */
	FL_CONSUL_MAINTAIN,   /**< Consul's maintenance mode for an instance */
	FL_CONSUL_BEAT,       /**< tell its verdict check how it is */
};

struct fl_consul_errand {
	enum fl_consul_errand_kind kind;
	char id[FL_CONSUL_ID];        /**< of the instance; "" for the list */
	char hash[17];                /**< FL_CONSUL_REGISTER: of the document */
	enum fl_consul_status status; /**< FL_CONSUL_BEAT: what is told */
};

/** Those under way. Zeroed but for the first three. */
struct fl_consul_errands {
	struct fl_consul_client *client;
	/** One came back; called once for each that was not forgotten. It may send others. */
	void (*done)(void *context, const struct fl_consul_errand *errand,
		const struct fl_http_answer *answer);
	void *context;
	struct fl_consul_errand_call *calls; /**< private */
	size_t count;
};

/** @param what      copied
 * @param instance  whose document or health it is; NULL where that is not needed
 * @return 0, -ENOMEM, -errno with `failure` */
int fl_consul_errands_send(struct fl_consul_errands *errands, const struct fl_consul_errand *what,
	const struct fl_consul_instance *instance, struct fl_failure *failure);
/** Cancel them all. */
void fl_consul_errands_forget(struct fl_consul_errands *errands);

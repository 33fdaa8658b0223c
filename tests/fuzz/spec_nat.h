/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "spec.h"

/**
 * @file spec_nat.h
 * Forward mode `nat` of the model: connections.
 */

/** A sound packet from a client, for a service in mode `nat`. */
struct spec_verdict spec_nat_forward(const struct world *w, struct spec_state *s,
	const struct headers *h, struct spec_verdict v);
/** A whole packet that is for no frontend. */
struct spec_verdict spec_nat_reply(const struct world *w, struct spec_state *s, struct headers *h,
	const uint8_t *frame, uint32_t length);

/** The connection that a quoted packet belongs to. */
struct spec_found {
	struct spec_connection *connection; /**< NULL = none */
	bool by_client;                     /**< the quoted packet was the client's */
};
struct spec_found spec_nat_quoted(struct spec_state *s, const struct headers *quote);
/** An error says that the last packet of the client reached nobody. */
void spec_nat_refuse(struct spec_state *s, struct spec_connection *c);
/** How an error about a packet leaves: as an answer to that would. The reason is FL_SENT when
 * it does. */
void spec_nat_return(
	const struct headers *h, const struct spec_found *found, struct spec_verdict *v);

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdbool.h>

#include "lib/packet.h"

/**
 * @file quoting.h
 * Packets of nat that ICMP errors are about: what was sent, and what the program made of it.
 */
struct quoted {
	struct frame sent;      /**< as nat sent it: what an error quotes */
	struct packet original; /**< as whoever sent it would see it quoted: a hop was taken */
	const char *sender;     /**< whose address nat put there: where errors go */
	const char *receiver;   /**< where it went */
	const char *router;     /**< somebody on the way */
	/* What becomes of an error about it: */
	const char *shown;     /**< whom it comes from */
	const char *concerned; /**< whom it goes to */
	const char *dmac, *smac;
	bool is_redirected; /**< it leaves by `clients` */
	struct packet packet;
};

/** A client's packet, in the world of edge_world. */
void quote_open(const struct packet *packet, struct quoted *ret);
/** A packet of the endpoint's, back to where the request came from. @param flags  of TCP */
struct packet quote_turned(const struct quoted *request, uint8_t flags);
/** What the endpoint answers to it. */
void quote_answer(const struct quoted *request, struct quoted *ret);
/** @param behind  bytes behind the IP header; 0 = all */
void quote_bytes(
	const struct frame *frame, uint32_t behind, const uint8_t **ret, uint32_t *ret_length);

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <jansson.h>

#include "core/failure.h"
#include "kernel/maps.h"

/**
 * @file explain.h
 * Where a packet would go, answered by the loaded program itself: the pinned
 * program `explain` is run on a packet made for the question. It shares every
 * stage and every map with `edge`, and changes nothing.
 */
struct fl_question {
	uint8_t proto;                    /**< IPPROTO_TCP or IPPROTO_UDP */
	bool opens;                       /**< tcp: ask as a SYN; else as a packet of an old flow */
	bool is_bound;                    /**< on the node: the socket has the address `source` */
	struct fl_ip source, destination; /**< of one family */
	uint16_t source_port, destination_port; /**< host order */
};

/** A question as people ask it: "tcp", "198.51.100.7:4242", "10.0.0.10:80".
 * @return 0; -EINVAL, and says which word is wrong */
int fl_question_parse(const char *proto, const char *source, const char *destination,
	struct fl_question *ret, struct fl_failure *failure);

/** Whether a source is a process of this node: "node" or "node@ADDRESS". */
bool fl_question_is_of_node(const char *source);

/** The same with such a source, for which there is no packet, but a socket.
 * @return 0; -EINVAL, and says which word is wrong */
int fl_question_parse_node(const char *proto, const char *source, const char *destination,
	struct fl_question *ret, struct fl_failure *failure);

/** The packet: Ethernet, IP, and TCP or UDP without payload, padded with zeroes.
 * @param frame  FL_QUESTION_FRAME bytes */
#define FL_QUESTION_FRAME 128
void fl_question_build(const struct fl_question *question, uint8_t *frame);

/** Run the program pinned below `bpffs`. @return 0; -ENOENT (nothing pinned), -EPERM, -EPROTO, -errno */
int fl_explain(const char *bpffs, const struct fl_question *question, struct fl_explanation *ret,
	struct fl_failure *failure);

/**
 * The answer with names: {service, frontend, slot, moving, pinned, endpoint,
 * state, reason, forward, path} and, beyond the contract, what the reason means.
 * @return new reference, NULL when out of memory
 */
json_t *fl_explanation_json(const struct fl_maps *maps, const struct fl_question *question,
	const struct fl_explanation *answer);

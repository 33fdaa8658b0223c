/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdint.h>

/**
 * @file fake_consul.h
 * As much of Consul's HTTP API as a registry reads, in a process of its own: the catalogue,
 * and the health of each of many services, held until it changes or the asked `wait` is
 * over. Service i is "service-0000i" with FAKE_ENDPOINTS instances.
 */
#define FAKE_ENDPOINTS 10

/** Seen by both processes. */
struct fake_consul_shared {
	uint32_t service;  /**< whose weight is to change; written before `wanted` */
	uint32_t weight;   /**< of its first instance */
	uint32_t wanted;   /**< counts changes; the server looks at it all the time */
	uint32_t told;     /**< changes of which the answer has been handed to the kernel */
	uint64_t told_ns;  /**< CLOCK_MONOTONIC of that */
	uint64_t first_ns; /**< of the first question */
	uint64_t answers;
	uint64_t bytes;
};

struct fake_consul {
	struct fake_consul_shared *shared;
	uint16_t port; /**< of 127.0.0.1 */
	int process;
};

/** Fork it. Ends the program on failure. */
struct fake_consul fake_consul_start(uint32_t services);
/** One more change, of a service that is being asked for; see `told`. */
void fake_consul_change(const struct fake_consul *consul, uint32_t weight);
void fake_consul_stop(struct fake_consul *consul);

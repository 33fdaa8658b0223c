/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/failure.h"

/**
 * @file actions.h
 * What may be changed through the API, over the Unix socket alone: filled by
 * agent/, called on the loop.
 */

/** What the operator says of an endpoint; each as it was asked, "" = not given. */
struct fl_word_order {
	const char *service, *endpoint;
	const char *word;     /**< drain, maintenance, up, down; none takes it back */
	const char *weight;   /**< in place of the declared one; "declared" takes it back */
	const char *deadline; /**< of a drain, in seconds: down after that */
	const char *note;     /**< why */
};

/** What stands then. */
struct fl_word_said {
	const char *word; /**< "none" */
	bool weighted;
	uint16_t weight;
	uint64_t until_ms; /**< CLOCK_REALTIME; 0 = no deadline */
};

/** A change of what is declared by command; each as it was asked, "" = not given. */
struct fl_local_order {
	const char *change;             /**< add, set, delete */
	const char *service, *endpoint; /**< no endpoint: the service itself */
	const char *text;               /**< its keys, as YAML or JSON */
	size_t length;
};

struct fl_actions {
	/** Put in force what a registry's guard holds back.
	 * @return 0, -ENOENT (no such registry), -EALREADY (nothing is held back), with words */
	int (*accept_registry)(void *context, const char *name, struct fl_failure *failure);
	/** Heed a heartbeat. @param beat  "pass", "warn" or "fail" @param note  "" = none
	 * @return 0, -ENOENT (no such service or endpoint, or it expects none), -EINVAL (an
	 *         argument makes no sense), -ENOMEM, with words */
	int (*heartbeat)(void *context, const char *service, const char *endpoint, const char *beat,
		const char *note, struct fl_failure *failure);
	/** Set the operator's word on an endpoint, and keep it over a restart.
	 * @return 0, -ENOENT (no such endpoint), -EINVAL (an argument makes no sense), -errno
	 *         (it could not be kept, and does not stand), with words */
	int (*word)(void *context, const struct fl_word_order *order, struct fl_failure *failure,
		struct fl_word_said *ret);
	/** Change what is declared by command, and keep it over a restart.
	 * @return 0, -ENOENT (it is not there), -EEXIST (it is there, here or in another
	 *         registry), -EINVAL (an argument or the text makes no sense), -errno (it could
	 *         not be kept, and is not in force), with words */
	int (*local)(void *context, const struct fl_local_order *order, struct fl_failure *failure);
	void *context;
};

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "core/failure.h"

/**
 * @file actions.h
 * What may be changed through the API, over the Unix socket alone: filled by
 * agent/, called on the loop.
 */
struct fl_actions {
	/** Put in force what a registry's guard holds back.
	 * @return 0, -ENOENT (no such registry), -EALREADY (nothing is held back), with words */
	int (*accept_registry)(void *context, const char *name, struct fl_failure *failure);
	/** Heed a heartbeat. @param beat  "pass", "warn" or "fail" @param note  "" = none
	 * @return 0, -ENOENT (no such service or endpoint, or it expects none), -EINVAL (an
	 *         argument makes no sense), -ENOMEM, with words */
	int (*heartbeat)(void *context, const char *service, const char *endpoint, const char *beat,
		const char *note, struct fl_failure *failure);
	void *context;
};

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "control/actions.h"
#include "control/request.h"
#include "control/view.h"
#include "core/text.h"

/**
 * @file pages.h
 * What the server answers, path by path: one row each.
 *
 * A page that may grow with the number of services is written in two halves, so
 * that a list of 60 000 endpoints does not hold up the agent: `now` runs on the
 * loop and sees everything, `later` runs on a worker thread and sees the
 * snapshot and the maps only, which nobody changes under it.
 */
struct fl_answer {
	unsigned status; /**< 200 unless a page says otherwise */
	const char *type;
	struct fl_text body;
};

enum fl_argument {
	FL_ARGUMENT_SERVICE = 1,
	FL_ARGUMENT_ENDPOINT = 2,
	FL_ARGUMENT_STATUS = 4,
	FL_ARGUMENT_NOTE = 8,
	FL_ARGUMENT_WORD = 16,
	FL_ARGUMENT_WEIGHT = 32,
	FL_ARGUMENT_DEADLINE = 64,
	FL_ARGUMENT_CHANGE = 128,
};

struct fl_page {
	const char *path;
	bool prefix;        /**< what follows `path` belongs to it, too; never empty */
	const char *suffix; /**< of a prefix: what comes last, behind a name; NULL = nothing */
	unsigned arguments; /**< that it takes: bits of enum fl_argument */
	bool open;          /**< ignores arguments it does not know */
	bool takes_body;    /**< of one that acts; others throw a body away */
	const char *help;
	/** @return true when the answer is complete; NULL = there is only `later` */
	bool (*now)(const struct fl_view *, const struct fl_request *, struct fl_answer *);
	/** The view has `applied` (or NULL), `maps` and nothing else. */
	void (*later)(const struct fl_view *, const struct fl_request *, struct fl_answer *);
	/** Change something: this page takes POST over the Unix socket, and nothing else. */
	void (*act)(const struct fl_actions *, const struct fl_view *, const struct fl_request *,
		struct fl_answer *);
};

/** @return the row, or NULL when there is none (answer 404) */
const struct fl_page *fl_page_find(const char *path);

/** Make the answer {"error":{"message":…,"hint":…}}; whatever it held is dropped. */
void fl_answer_error(struct fl_answer *answer, unsigned status, const char *hint,
	const char *format, ...) __attribute__((format(printf, 4, 5)));

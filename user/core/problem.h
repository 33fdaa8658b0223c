/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/**
 * @file problem.h
 * What is wrong with input that people wrote, collected so that all of it is
 * told at once: "FILE:LINE:COLUMN: message".
 */

/** A place in a file. Lines and columns count from 1; line 0 = the whole file. */
struct fl_place {
	const char *file; /**< borrowed; NULL = no file */
	unsigned line;
	unsigned column;
};

struct fl_problem {
	char *file;
	unsigned line;
	unsigned column;
	char *message;
	bool warning; /**< said, but refuses nothing */
};

/** A list that only grows; at most FL_PROBLEMS_MAX are kept, the rest counted. */
struct fl_problems {
	struct fl_problem *items;
	size_t count;
	size_t errors;  /**< all that were added, warnings excepted */
	size_t dropped; /**< added beyond FL_PROBLEMS_MAX */
};
#define FL_PROBLEMS_MAX 100

/** Add an error at a place; the message names the key and what was expected. */
void fl_problem_add(struct fl_problems *list, struct fl_place place, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/** Add a warning. */
void fl_problem_warn(struct fl_problems *list, struct fl_place place, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/** Append all of `from`, which is empty afterwards. */
void fl_problems_move(struct fl_problems *list, struct fl_problems *from);
/** Append copies of all of `from`. */
void fl_problems_copy(struct fl_problems *list, const struct fl_problems *from);
/** Whether the problems that both keep read the same. Those that were dropped do not count. */
bool fl_problems_equal(const struct fl_problems *a, const struct fl_problems *b);
/** Write each as a line of "FILE:LINE:COLUMN: message", in order of place. */
void fl_problems_print(const struct fl_problems *list, FILE *out);
/** The line of one problem. @return `buffer` */
char *fl_problem_format(const struct fl_problem *problem, char *buffer, size_t size);
void fl_problems_done(struct fl_problems *list);

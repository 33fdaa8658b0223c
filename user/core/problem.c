/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "core/problem.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"

static void add(struct fl_problems *list, struct fl_place place, bool warning, const char *format,
	va_list arguments)
{
	struct fl_problem *problem;
	struct fl_problem *moved;

	if (!warning)
		list->errors++;
	if (list->count == FL_PROBLEMS_MAX) {
		list->dropped++;
		return;
	}
	moved = reallocarray(list->items, list->count + 1, sizeof(*moved));
	if (!moved) {
		list->dropped++;
		return;
	}
	list->items = moved;
	problem = &moved[list->count];
	*problem = (struct fl_problem){
		.line = place.line, .column = place.column, .warning = warning
	};
	if (place.file)
		problem->file = strdup(place.file);
	if (vasprintf(&problem->message, format, arguments) < 0)
		problem->message = NULL;
	list->count++;
}

void fl_problem_add(struct fl_problems *list, struct fl_place place, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	add(list, place, false, format, arguments);
	va_end(arguments);
}

void fl_problem_warn(struct fl_problems *list, struct fl_place place, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	add(list, place, true, format, arguments);
	va_end(arguments);
}

void fl_problems_copy(struct fl_problems *list, const struct fl_problems *from)
{
	size_t errors = list->errors + from->errors;

	for (size_t i = 0; i < from->count; i++) {
		const struct fl_problem *problem = &from->items[i];
		struct fl_place place = { problem->file, problem->line, problem->column };
		const char *message = problem->message ? problem->message : "out of memory";

		if (problem->warning)
			fl_problem_warn(list, place, "%s", message);
		else
			fl_problem_add(list, place, "%s", message);
	}
	list->dropped += from->dropped;
	list->errors = errors; /* those that `from` did not keep count as well */
}

void fl_problems_move(struct fl_problems *list, struct fl_problems *from)
{
	fl_problems_copy(list, from);
	fl_problems_done(from);
}

char *fl_problem_format(const struct fl_problem *problem, char *buffer, size_t size)
{
	const char *message = problem->message ? problem->message : "out of memory";
	const char *kind = problem->warning ? "warning: " : "";

	if (problem->file && problem->line)
		snprintf(buffer, size, "%s:%u:%u: %s%s", problem->file, problem->line,
			problem->column, kind, message);
	else if (problem->file)
		snprintf(buffer, size, "%s: %s%s", problem->file, kind, message);
	else
		snprintf(buffer, size, "%s%s", kind, message);
	return buffer;
}

static int by_place(const void *a, const void *b)
{
	const struct fl_problem *x = *(const struct fl_problem *const *)a;
	const struct fl_problem *y = *(const struct fl_problem *const *)b;
	int order = strcmp(x->file ? x->file : "", y->file ? y->file : "");

	if (order)
		return order;
	if (x->line != y->line)
		return x->line < y->line ? -1 : 1;
	if (x->column != y->column)
		return x->column < y->column ? -1 : 1;
	return x < y ? -1 : x > y;
}

void fl_problems_print(const struct fl_problems *list, FILE *out)
{
	_cleanup_free_ const struct fl_problem **order = calloc(list->count + 1, sizeof(*order));
	char line[1024];

	if (!order)
		return;
	for (size_t i = 0; i < list->count; i++)
		order[i] = &list->items[i];
	qsort(order, list->count, sizeof(*order), by_place);
	for (size_t i = 0; i < list->count; i++)
		fprintf(out, "%s\n", fl_problem_format(order[i], line, sizeof(line)));
	if (list->dropped)
		fprintf(out, "and %zu more\n", list->dropped);
}

bool fl_problems_equal(const struct fl_problems *a, const struct fl_problems *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++) {
		char x[1024], y[1024];

		if (strcmp(fl_problem_format(&a->items[i], x, sizeof(x)),
			    fl_problem_format(&b->items[i], y, sizeof(y))) != 0)
			return false;
	}
	return true;
}

void fl_problems_done(struct fl_problems *list)
{
	for (size_t i = 0; i < list->count; i++) {
		free(list->items[i].file);
		free(list->items[i].message);
	}
	free(list->items);
	*list = (struct fl_problems){ 0 };
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "model/reasons.h"

#include <stddef.h>
#include <string.h>

#define ROW(symbol, action, name, text) [symbol] = { name, text },
static const struct {
	const char *name, *text;
} reasons[] = { FL_REASONS(ROW) };
#undef ROW

static const char *const paths[FL_PATHS] = {
	[FL_PATH_EDGE] = "edge",
	[FL_PATH_TARGET] = "target",
	[FL_PATH_NODE] = "node",
};

const char *fl_reason_name(unsigned reason)
{
	return reason < FL_REASON_COUNT ? reasons[reason].name : NULL;
}

const char *fl_reason_text(unsigned reason)
{
	return reason < FL_REASON_COUNT ? reasons[reason].text : NULL;
}

unsigned fl_reason_find(const char *name)
{
	unsigned reason = 0;

	while (reason < FL_REASON_COUNT && strcmp(reasons[reason].name, name) != 0)
		reason++;
	return reason;
}

const char *fl_path_name(unsigned path)
{
	return path < FL_PATHS ? paths[path] : NULL;
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "model/cause.h"

static const char *const names[FL_CAUSE_COUNT] = {
#define X(name, word, text) [name] = word,
	FL_CAUSES(X)
#undef X
};

static const char *const texts[FL_CAUSE_COUNT] = {
#define X(name, word, text) [name] = text,
	FL_CAUSES(X)
#undef X
};

const char *fl_cause_name(enum fl_cause cause)
{
	return names[cause];
}

const char *fl_cause_text(enum fl_cause cause)
{
	return texts[cause];
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "core/failure.h"

#include <stdarg.h>
#include <stdio.h>

int fl_fail(struct fl_failure *failure, int code, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(failure->message, sizeof(failure->message), format, arguments);
	va_end(arguments);
	failure->hint[0] = '\0';
	return code;
}

void fl_fail_hint(struct fl_failure *failure, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(failure->hint, sizeof(failure->hint), format, arguments);
	va_end(arguments);
}

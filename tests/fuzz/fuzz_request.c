// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause

/* Parts of HTTP requests. The first byte says which. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/request.h"
#include "native.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void decode(const char *text)
{
	char small[16], large[FL_REQUEST_PATH_MAX];
	bool fits = fl_percent_decode(text, small, sizeof(small));
	bool good = fl_percent_decode(text, large, sizeof(large));
	const char *c;

	if (fits && (!good || strcmp(small, large) != 0))
		native_fail("request: decoded in two ways");
	if ((!good && large[0]) || (!fits && small[0]))
		native_fail("request: refused, and something is left");
	for (c = large; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			native_fail("request: byte %d came out", *c);
	if (good && strlen(large) > strlen(text))
		native_fail("request: longer than it was");
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	char *text;

	if (!size)
		return 0;
	text = strndup((const char *)bytes + 1, size - 1);
	if (!text)
		native_fail("request: no memory");
	if (bytes[0] % 3 == 0)
		decode(text);
	else if (bytes[0] % 3 == 1)
		fl_host_is_local(text);
	else
		fl_accepts_openmetrics(text);
	free(text);
	return 0;
}

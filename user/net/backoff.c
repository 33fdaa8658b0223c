/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "net/backoff.h"

#include <ctype.h>
#include <curl/curl.h>
#include <stdlib.h>

#define RETRY_MAX_S 3600

uint32_t fl_backoff_next(struct fl_backoff *backoff, uint32_t random)
{
	uint64_t ceiling = backoff->base_ms;

	for (uint32_t i = 0; i < backoff->failures && ceiling < backoff->cap_ms; i++)
		ceiling *= 2;
	if (ceiling > backoff->cap_ms)
		ceiling = backoff->cap_ms;
	if (ceiling < 1)
		ceiling = 1;
	if (backoff->failures < UINT32_MAX)
		backoff->failures++;
	return 1 + (uint32_t)((random * ceiling) >> 32);
}

void fl_backoff_reset(struct fl_backoff *backoff)
{
	backoff->failures = 0;
}

uint32_t fl_retry_after_ms(const char *value, int64_t now_s)
{
	int64_t seconds;
	char *end;

	if (isdigit((unsigned char)value[0])) {
		seconds = strtoll(value, &end, 10); /* what overflows is cut off at the end, too */
		if (*end)
			return 0;
	} else {
		seconds = curl_getdate(value, NULL);
		if (seconds < 0 || seconds <= now_s)
			return 0;
		seconds -= now_s;
	}
	return 1000 * (uint32_t)(seconds < RETRY_MAX_S ? seconds : RETRY_MAX_S);
}

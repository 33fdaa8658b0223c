/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "registry/consul/query.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "registry/consul/client.h"

#define BEHIND_MS   10000
#define ANSWER_MS   10000 /* to send an answer, beyond the time it waits */
#define AT_ONCE_MS  30000 /* when nothing is waited for */
#define WAIT_JITTER 16    /* Consul adds up to this part of the wait */
#define FILTER_MAX  2048  /* of the option */

/* A number of digits alone. @return false when it is none */
static bool parse_number(const char *text, uint64_t *ret)
{
	char *end;

	if (!text || *text < '0' || *text > '9')
		return false;
	errno = 0;
	*ret = strtoull(text, &end, 10);
	return !errno && !*end;
}

uint64_t fl_consul_index_next(uint64_t current, const char *header)
{
	uint64_t next = 0;

	if (!parse_number(header, &next) || next == 0)
		next = 1;
	return next < current ? 0 : next;
}

uint32_t fl_consul_pace_take(struct fl_consul_pace *pace, uint64_t now_ms)
{
	uint64_t refilled = (now_ms - pace->filled_ms) / FL_CONSUL_PACE_MS;

	if (refilled >= pace->used) {
		pace->used = 0;
		pace->filled_ms = now_ms;
	} else {
		pace->used -= (uint32_t)refilled;
		pace->filled_ms += refilled * FL_CONSUL_PACE_MS;
	}
	if (pace->used < FL_CONSUL_PACE_BURST) {
		pace->used++;
		return 0;
	}
	pace->used++;
	return (uint32_t)(pace->filled_ms + FL_CONSUL_PACE_MS - now_ms);
}

bool fl_consul_is_behind(const char *known_leader, const char *last_contact, const char *backend,
	char *why, size_t why_size)
{
	bool streams = backend && strcasecmp(backend, "streaming") == 0;
	uint64_t behind_ms = 0;

	if (!streams && known_leader && strcasecmp(known_leader, "false") == 0) {
		snprintf(why, why_size, "the server that answers knows no leader");
		return true;
	}
	if (!parse_number(last_contact, &behind_ms) || behind_ms <= BEHIND_MS)
		return false;
	snprintf(why, why_size,
		"the server that answers has not heard from the leader for %" PRIu64 " seconds",
		behind_ms / 1000);
	return true;
}

char *fl_consul_query_path(const char *path, const struct fl_consul_config *config, bool filter,
	uint64_t index, uint32_t wait_ms)
{
	static const char *const consistencies[] = {
		[FL_CONSUL_STALE] = "stale",
		[FL_CONSUL_DEFAULT] = NULL,
		[FL_CONSUL_CONSISTENT] = "consistent",
	};
	const char *consistency = consistencies[config->consistency];
	char separator = strchr(path, '?') ? '&' : '?';
	char filter_text[3 * FILTER_MAX + 1];
	char *text = NULL;
	size_t length = 0;
	FILE *out = open_memstream(&text, &length);

	if (!out)
		return NULL;
	fputs(path, out);
	if (consistency) {
		fprintf(out, "%c%s", separator, consistency);
		separator = '&';
	}
	if (config->cached) {
		fprintf(out, "%ccached", separator);
		separator = '&';
	}
	if (filter && config->filter) {
		fl_consul_escape(config->filter, filter_text, sizeof(filter_text));
		fprintf(out, "%cfilter=%s", separator, filter_text);
		separator = '&';
	}
	if (index)
		fprintf(out, "%cindex=%" PRIu64 "&wait=%" PRIu32 "ms", separator, index, wait_ms);
	if (fclose(out) == 0)
		return text;
	free(text);
	return NULL;
}

uint32_t fl_consul_query_timeout_ms(uint64_t index, uint32_t wait_ms)
{
	return index ? wait_ms + wait_ms / WAIT_JITTER + ANSWER_MS : AT_ONCE_MS;
}

uint32_t fl_consul_turn_ms(uint32_t wait_ms, size_t count, size_t slots)
{
	size_t turn_ms;

	if (count <= slots)
		return wait_ms;
	turn_ms = FL_CONSUL_ROUND_MS * slots / count;
	if (turn_ms < FL_CONSUL_WAIT_MIN_MS)
		turn_ms = FL_CONSUL_WAIT_MIN_MS;
	return turn_ms < wait_ms ? (uint32_t)turn_ms : wait_ms;
}

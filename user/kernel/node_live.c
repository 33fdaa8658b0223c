/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "kernel/node_live.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct {
	const char *name, *words;
} faults[FL_FAULTS] = {
	[FL_FAULT_NONE] = { "given_up", "given up" },
	[FL_FAULT_REFUSED] = { "refused", "refused" },
	[FL_FAULT_TIMED_OUT] = { "timed_out", "timed out" },
	[FL_FAULT_UNREACHABLE] = { "unreachable", "could not reach it" },
};

const char *fl_fault_name(unsigned fault)
{
	return fault < FL_FAULTS ? faults[fault].name : NULL;
}

const char *fl_fault_words(unsigned fault)
{
	return fault < FL_FAULTS ? faults[fault].words : "failed";
}

bool fl_node_live_read(const struct fl_node_maps *maps, uint32_t endpoint, struct fl_live_row *ret)
{
	if (!maps || !maps->live || !endpoint ||
		endpoint >= maps->shape[FL_NODE_MAP_live].max_entries)
		return false;
	memcpy(ret, &maps->live[endpoint], sizeof(*ret));
	/* Connections that ended in the moment in which the row was made anew. */
	if ((int32_t)ret->open < 0)
		ret->open = 0;
	return true;
}

int fl_node_histograms_read(
	const struct fl_node_maps *maps, uint32_t endpoint, struct fl_histograms *ret)
{
	if (bpf_map_lookup_elem(maps->fd[FL_NODE_MAP_histograms], &endpoint, ret) == 0)
		return 0;
	if (errno != ENOENT)
		return -errno;
	*ret = (struct fl_histograms){ 0 };
	return 0;
}

bool fl_node_live_is_ejected(const struct fl_live_row *row)
{
	return row->ejected != 0;
}

const char *fl_node_live_explain(
	const struct fl_live_row *row, uint64_t now_ns, char *buffer, size_t size)
{
	char when[64];

	if (row->ejected <= now_ns)
		snprintf(when, sizeof(when), "until a connect succeeds");
	else if (row->trial)
		snprintf(when, sizeof(when), "while one connection tries it");
	else
		snprintf(when, sizeof(when), "for %u s",
			(unsigned)((row->ejected - now_ns + 999999999) / 1000000000));
	snprintf(buffer, size, "ejected on the node path %s: %u connect%s %s", when, row->fails,
		row->fails == 1 ? "" : "s", fl_fault_words(row->fault));
	return buffer;
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "lib/record.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static FILE *file;

static void open_file(void)
{
	const char *build = getenv("FAIRLEAD_BUILD");
	char path[4096];

	snprintf(path, sizeof(path), "%s/bpf-ring", build ? build : "build");
	if (mkdir(path, 0755) < 0)
		cr_assert_eq(errno, EEXIST, "%s: %m", path);
	snprintf(path, sizeof(path), "%s/bpf-ring/%d-%d.jsonl", build ? build : "build",
		(int)getppid(), (int)getpid());
	file = fopen(path, "w");
	cr_assert(file, "%s: %m", path);
}

static void put_hex(const char *key, const struct frame *frame)
{
	uint32_t i;

	fprintf(file, ", \"%s\": \"", key);
	for (i = 0; i < frame->length; i++)
		fprintf(file, "%02x", frame->bytes[i]);
	fputc('"', file);
}

void record_packet(const char *row, const struct frame *in, const struct outcome *outcome)
{
	if (!file)
		open_file();
	fprintf(file, "{\"row\": \"%s\", \"reason\": \"%s\", \"action\": \"%s\"", row,
		edge_reason_name(outcome->reason), edge_action_name(outcome->action));
	put_hex("in", in);
	if (outcome->action != XDP_DROP)
		put_hex("out", &outcome->out);
	fputs("}\n", file);
	fflush(file);
}

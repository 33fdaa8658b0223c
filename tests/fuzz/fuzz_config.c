// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause

/* The configuration file: what is read must print, and print to something that reads
 * the same again. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "native.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static const struct fl_environment node = {
	.local_port_min = 32768,
	.local_port_max = 60999,
	.host_name = "node",
};

static struct fl_config *read_text(const char *text, size_t length)
{
	struct fl_problems problems = { 0 };
	struct fl_config *config = NULL;
	int err = fl_config_parse(text, length, "fuzz.yaml", &node, &problems, &config);
	FILE *out = fopen("/dev/null", "w");

	if (!out || (err == 0) != (config != NULL) || (err == -EINVAL) != (problems.errors > 0))
		native_fail("config: answer %d with %zu errors", err, problems.errors);
	fl_problems_print(&problems, out);
	fclose(out);
	fl_problems_done(&problems);
	return config;
}

static char *print(const struct fl_config *config, size_t *ret_length)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, ret_length);

	if (!out)
		native_fail("config: no memory");
	fl_config_print(config, out);
	fclose(out);
	return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct fl_config *first = read_text((const char *)bytes, size), *second;
	const char *differs;
	char *text;

	if (!first)
		return 0;
	text = print(first, &size);
	second = read_text(text, size);
	if (!second)
		native_fail("config: what was printed is refused:\n%s", text);
	differs = fl_config_needs_restart(first, second);
	if (differs)
		native_fail("config: %s differs once it was printed:\n%s", differs, text);
	free(text);
	fl_config_free(first);
	fl_config_free(second);
	return 0;
}

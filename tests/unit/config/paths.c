/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/paths.h"

#define STATE "/var/lib/fairlead"
#define BPFFS "/sys/fs/bpf/fairlead"

static const struct {
	const char *name, *text, *state_dir, *bpffs;
} rows[] = {
	{ "an empty file", "", STATE, BPFFS },
	{ "both", "state_dir: /a\nbpffs: /b\n", "/a", "/b" },
	{ "quoted", "bpffs: \"/b b\"\nstate_dir: '/a'\n", "/a", "/b b" },
	{ "in flow style", "{bpffs: /b, log: {level: info}, state_dir: /a}", "/a", "/b" },
	{ "after lists and mappings", "edge: {interfaces: [x, y]}\nlog: {level: info}\nbpffs: /b\n",
		STATE, "/b" },
	{ "deeper keys of that name do not count", "edge: { bpffs: /x }\nstate_dir: /a\n", "/a",
		BPFFS },
	{ "the first counts", "bpffs: /b\nbpffs: /c\n", STATE, "/b" },
	{ "unknown keys and wrong values", "nonsense: [1,\n 2]\nlimits: none\nbpffs: /b\n", STATE,
		"/b" },
	{ "before a syntax error", "bpffs: /b\nservices: [\n", STATE, "/b" },
	{ "after a syntax error", "services: [}\nbpffs: /b # here\nstate_dir: '/a'\n", "/a", "/b" },
	{ "tabs, which YAML refuses", "edge:\n\tmode: auto\nbpffs:\t/b\n", STATE, "/b" },
};

Test(config_paths, read_from_what_is_broken_otherwise)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char file[] = "/tmp/fl-paths-XXXXXX";
		struct fl_paths paths = { 0 };
		int fd = mkstemp(file);

		cr_assert_eq(write(fd, rows[i].text, strlen(rows[i].text)),
			(ssize_t)strlen(rows[i].text));
		close(fd);
		cr_assert_eq(fl_paths_load(file, &paths), 0, "%s", rows[i].name);
		cr_expect_str_eq(paths.state_dir, rows[i].state_dir, "%s: %s", rows[i].name,
			paths.state_dir);
		cr_expect_str_eq(paths.bpffs, rows[i].bpffs, "%s: %s", rows[i].name, paths.bpffs);
		fl_paths_done(&paths);
		unlink(file);
	}
}

Test(config_paths, a_file_that_is_not_there)
{
	struct fl_paths paths = { 0 };

	cr_expect_eq(fl_paths_load("/nonexistent/fairlead.yaml", &paths), -ENOENT);
}

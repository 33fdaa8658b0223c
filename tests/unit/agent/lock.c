/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/lock.h"

/* Another process: flock belongs to the open file, and a test is one process. */
static int take_elsewhere(const char *state_dir, const char *bpffs)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		struct fl_lock lock = FL_LOCK_NONE;
		struct fl_failure failure = { 0 };
		int r = fl_lock_take(&lock, state_dir, bpffs, &failure);

		_exit(r == 0                                                            ? 0
			: r == -EWOULDBLOCK && strstr(failure.message, "another agent") ? 1
											: 2);
	}
	waitpid(child, &status, 0);
	return WEXITSTATUS(status);
}

Test(agent_lock, the_second_is_refused_by_either_directory)
{
	char base[] = "/tmp/fl-lock-XXXXXX";
	char state[64], other[64];
	struct fl_lock lock = FL_LOCK_NONE;
	struct fl_failure failure = { 0 };

	cr_assert_not_null(mkdtemp(base));
	snprintf(state, sizeof(state), "%s/deep/state", base);
	snprintf(other, sizeof(other), "%s/other", base);
	cr_assert_eq(fl_lock_take(&lock, state, base, &failure), 0, "%s", failure.message);
	cr_expect_eq(take_elsewhere(state, NULL), 1, "the same state directory");
	cr_expect_eq(take_elsewhere(other, base), 1, "the same bpffs directory");
	cr_expect_eq(take_elsewhere(other, NULL), 0, "another state directory");
	fl_lock_release(&lock);
	cr_expect_eq(take_elsewhere(state, base), 0, "released");
}

Test(agent_lock, a_file_in_the_way_is_told)
{
	char file[] = "/tmp/fl-lock-XXXXXX";
	struct fl_lock lock = FL_LOCK_NONE;
	struct fl_failure failure = { 0 };
	int fd = mkstemp(file);

	cr_assert_geq(fd, 0);
	close(fd);
	cr_expect_eq(fl_lock_take(&lock, file, NULL, &failure), -ENOTDIR);
	cr_expect(strstr(failure.message, file), "%s", failure.message);
	unlink(file);
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "kernel/cgroup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"

bool fl_cgroup2_find(char *path, size_t size)
{
	_cleanup_fclose_ FILE *file = fopen("/proc/self/mountinfo", "re");
	_cleanup_free_ char *line = NULL;
	size_t room = 0;

	while (file && getline(&line, &room, file) > 0) {
		/* "ID PARENT MAJOR:MINOR ROOT MOUNTPOINT … - TYPE SOURCE …" */
		const char *type = strstr(line, " - ");
		char point[256];

		if (!type || strncmp(type, " - cgroup2 ", 11) != 0)
			continue;
		if (sscanf(line, "%*s %*s %*s %*s %255s", point) != 1)
			continue;
		snprintf(path, size, "%s", point);
		return true;
	}
	return false;
}

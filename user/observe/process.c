/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "observe/process.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "core/cleanup.h"

/* Since 1970, of the boot: what start times in /proc count from. */
static double boot_time_s(void)
{
	struct timespec real, boot;

	clock_gettime(CLOCK_REALTIME, &real);
	clock_gettime(CLOCK_BOOTTIME, &boot);
	return (double)(real.tv_sec - boot.tv_sec) + (double)(real.tv_nsec - boot.tv_nsec) / 1e9;
}

static uint64_t count_fds(void)
{
	DIR *directory = opendir("/proc/self/fd");
	uint64_t count = 0;

	if (!directory)
		return 0;
	for (struct dirent *entry; (entry = readdir(directory));)
		count += entry->d_name[0] != '.';
	closedir(directory);
	return count - 1; /* the directory's own */
}

int fl_process_read(struct fl_process *ret)
{
	_cleanup_fclose_ FILE *file = fopen("/proc/self/stat", "re");
	long ticks = sysconf(_SC_CLK_TCK);
	uint64_t user, system, threads, start, virtual, resident;
	struct rlimit limit;
	char line[1024];
	const char *rest;

	if (!file)
		return -errno;
	if (!fgets(line, sizeof(line), file))
		return -EIO;
	rest = strrchr(line, ')'); /* the name before may hold anything */
	/* Fields 3 (state) to 24 (rss) of proc(5); 20 threads, 22 start, 23 vsize. */
	if (!rest || sscanf(rest + 1,
			     " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64
			     " %*d %*d %*d %*d %" SCNu64 " %*d %" SCNu64 " %" SCNu64 " %" SCNu64,
			     &user, &system, &threads, &start, &virtual, &resident) != 6)
		return -EPROTO;
	*ret = (struct fl_process){
		.cpu_s = (double)(user + system) / (double)ticks,
		.started_s = boot_time_s() + (double)start / (double)ticks,
		.resident_bytes = resident * (uint64_t)sysconf(_SC_PAGESIZE),
		.virtual_bytes = virtual,
		.open_fds = count_fds(),
		.threads = threads,
	};
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
		ret->max_fds = limit.rlim_cur;
	return 0;
}

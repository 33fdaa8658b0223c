/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "kernel/canary.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/log.h"
#include "fairlead/reasons.h"
#include "kernel/reader.h"

static uint64_t count_seen(const struct fl_kernel *kernel)
{
	uint64_t counts[FL_REASON_COUNT];
	uint64_t sum = 0;

	if (fl_read_reasons(&kernel->maps, FL_PATH_NODE, counts) < 0)
		return 0;
	for (int i = 0; i < FL_REASON_COUNT; i++)
		sum += counts[i];
	return sum;
}

/* In the child: go where the programs are and connect, to nowhere; a datagram socket
 * sends nothing for that. Calls that are safe after fork(2) only. */
static int sing(int cgroup)
{
	const struct sockaddr_in nowhere = { .sin_family = AF_INET,
		.sin_port = htons(9),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int procs = openat(cgroup, "cgroup.procs", O_WRONLY | O_CLOEXEC);
	int fd;

	if (procs < 0 || write(procs, "0", 1) != 1)
		return 1;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0); /* belongs to the cgroup of now */
	return fd < 0 || connect(fd, (const struct sockaddr *)&nowhere, sizeof(nowhere)) < 0;
}

bool fl_canary_sings(const struct fl_kernel *kernel, int cgroup)
{
	uint64_t before = count_seen(kernel);
	pid_t child = fork();
	int status;

	if (child == 0)
		_exit(sing(cgroup));
	if (child < 0 || waitpid(child, &status, 0) < 0 || !WIFEXITED(status) ||
		WEXITSTATUS(status) != 0) {
		fl_log(FL_LOG_WARNING, "node", "cannot see whether the hooks fire");
		return true;
	}
	return count_seen(kernel) > before;
}

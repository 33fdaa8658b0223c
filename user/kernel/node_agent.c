/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "kernel/node_agent.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/log.h"

/* return bpf_get_current_pid_tgid() >> 32; */
static int load_question(void)
{
	const struct bpf_insn code[] = {
		{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_get_current_pid_tgid },
		{ .code = BPF_ALU64 | BPF_RSH | BPF_K, .dst_reg = BPF_REG_0, .imm = 32 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_prog_load_opts, options, .prog_flags = BPF_F_SLEEPABLE);
	int fd = bpf_prog_load(BPF_PROG_TYPE_SYSCALL, "fl_who_am_i", "Dual BSD/GPL", code,
		sizeof(code) / sizeof(code[0]), &options);

	return fd < 0 ? -errno : fd;
}

int fl_node_agent_number(uint32_t *ret)
{
	_cleanup_close_ int fd = load_question();
	LIBBPF_OPTS(bpf_test_run_opts, run);
	int r = fd < 0 ? fd : bpf_prog_test_run_opts(fd, &run);

	if (r < 0)
		return r;
	*ret = run.retval;
	return 0;
}

int fl_node_agent_netns(uint64_t *ret)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint64_t cookie;
	socklen_t length = sizeof(cookie);

	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &length) < 0)
		return -errno;
	*ret = cookie;
	return 0;
}

int fl_node_agent_enter(struct fl_node_row *row, struct fl_failure *failure)
{
	uint64_t netns = 0;
	uint32_t number = 0;
	int r = fl_node_agent_netns(&netns);

	if (r == 0)
		r = fl_node_agent_number(&number);
	if (r == 0 && prctl(PR_SET_NAME, FL_AGENT_COMM) < 0)
		r = -errno;
	__atomic_store_n(&row->netns, netns, __ATOMIC_RELAXED);
	__atomic_store_n(&row->agent, r == 0 ? number : 0, __ATOMIC_RELAXED);
	return r < 0 ? fl_fail(failure, r, "cannot exempt the agent's own connections: %s",
			       fl_log_errno(r))
		     : 0;
}

void fl_node_agent_leave(struct fl_node_row *row)
{
	__atomic_store_n(&row->agent, 0, __ATOMIC_RELAXED);
}

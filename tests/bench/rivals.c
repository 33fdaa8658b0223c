/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "rivals.h"

#include <err.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

static bool is_installed(const char *program)
{
	char command[128];

	snprintf(command, sizeof(command), "command -v %s >/dev/null 2>&1", program);
	return system(command) == 0;
}

/* Rules for NAT make the network namespace track all connections, the straight ones too. */
static void enter_nftables(void)
{
	if (system("nft -f /run/bench.nft") != 0)
		errx(1, "the kernel refuses NAT that it took before");
}

static void leave_nftables(void)
{
	bench_shell("nft delete table ip bench");
}

static void start_nftables(struct rival *rival, const struct rival_endpoints *to)
{
	FILE *file;

	if (!is_installed("nft")) {
		rival->missing = "nftables";
		return;
	}
	file = fopen("/run/bench.nft", "w");
	if (!file)
		err(1, "/run/bench.nft");
	fprintf(file,
		"table ip bench {\n chain out {\n  type nat hook output priority -100;\n"
		"  ip daddr 10.99.1.1 tcp dport 80 dnat ip addr . port to numgen inc mod %u map {",
		to->count);
	for (unsigned i = 0; i < to->count; i++)
		fprintf(file, "%s %u : %s . %u", i ? "," : "", i, to->addresses[i], to->port);
	fputs(" }\n }\n}\n", file);
	fclose(file);
	if (system("nft -f /run/bench.nft") != 0) {
		rival->missing = "a kernel with NAT for nftables";
		return;
	}
	leave_nftables();
	rival->enter = enter_nftables;
	rival->leave = leave_nftables;
}

static pid_t start(const char *command)
{
	pid_t child = fork();

	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		bench_go_first();
		if (!freopen("/run/bench-proxy.log", "a", stderr) ||
			!freopen("/run/bench-proxy.log", "a", stdout))
			_exit(126);
		execl("/bin/sh", "sh", "-c", command, (char *)NULL);
		_exit(127);
	}
	return child;
}

static void start_haproxy(struct rival *rival, const struct rival_endpoints *to)
{
	FILE *file;

	if (!is_installed("haproxy")) {
		rival->missing = "haproxy";
		return;
	}
	file = fopen("/run/haproxy.cfg", "w");
	if (!file)
		err(1, "/run/haproxy.cfg");
	fputs("defaults\n mode tcp\n timeout connect 5s\n timeout client 60s\n timeout server 60s\n"
	      "listen bench\n bind 127.0.0.1:9001\n balance roundrobin\n",
		file);
	for (unsigned i = 0; i < to->count; i++)
		fprintf(file, " server s%u %s:%u\n", i, to->addresses[i], to->port);
	fclose(file);
	rival->process = start("exec haproxy -db -f /run/haproxy.cfg");
}

static void start_nginx(struct rival *rival, const struct rival_endpoints *to)
{
	static const char module[] = "/usr/lib/nginx/modules/ngx_stream_module.so";
	FILE *file;

	if (!is_installed("nginx") || access(module, R_OK) < 0) {
		rival->missing = "nginx with libnginx-mod-stream";
		return;
	}
	file = fopen("/run/nginx.conf", "w");
	if (!file)
		err(1, "/run/nginx.conf");
	fprintf(file,
		"load_module %s;\ndaemon off; master_process off; pid /run/nginx.pid; error_log "
		"/run/bench-proxy.log;\nevents { worker_connections 4096; }\nstream { upstream "
		"bench {",
		module);
	for (unsigned i = 0; i < to->count; i++)
		fprintf(file, " server %s:%u;", to->addresses[i], to->port);
	fputs(" } server { listen 127.0.0.1:9002 backlog=4096; proxy_pass bench; } }\n", file);
	fclose(file);
	rival->process = start("exec nginx -e /run/bench-proxy.log -c /run/nginx.conf");
}

/* ------------------------------------------------------------------------ all */

static const struct {
	struct rival rival;
	void (*start)(struct rival *rival, const struct rival_endpoints *to);
} rows[RIVALS] = {
	{ { .name = "nftables DNAT", .address = "10.99.1.1", .port = 80 }, start_nftables },
	{ { .name = "HAProxy, tcp", .address = "127.0.0.1", .port = 9001 }, start_haproxy },
	{ { .name = "nginx, stream", .address = "127.0.0.1", .port = 9002 }, start_nginx },
};

void rivals_start(struct rival rivals[RIVALS], const struct rival_endpoints *to)
{
	for (size_t i = 0; i < RIVALS; i++) {
		rivals[i] = rows[i].rival;
		rows[i].start(&rivals[i], to);
	}
}

void rivals_stop(struct rival rivals[RIVALS])
{
	for (size_t i = 0; i < RIVALS; i++) {
		if (rivals[i].process <= 0)
			continue;
		kill(rivals[i].process, SIGTERM);
		waitpid(rivals[i].process, NULL, 0);
	}
}

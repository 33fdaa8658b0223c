/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <arpa/inet.h>
#include <err.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "http.h"
#include "subject.h"

/*
 * Connections that start on the node, to four endpoints on loopback: straight, through the node path
 * with each of its ways to choose, and through what people use for it today. All in turn, round
 * by round, a client and a server on the same machine; so what is told is the share of the straight
 * one's requests. Proxies have a process of their own, which takes processor time from both ends.
 */

#define PORT         8080
#define ENDPOINTS    4
#define AT_ONCE      16
#define FOR_MS       100
#define ROUNDS       31
#define SUBJECTS_MAX 16

static const char *const endpoints[ENDPOINTS] = { "10.64.0.1", "10.64.0.2", "10.64.0.3",
	"10.64.0.4" };
/* What `balance:` may be, each a service with a frontend of its own. */
static const char *const balances[] = { "maglev", "random", "round-robin", "least-connections",
	"p2c" };
#define BALANCES (sizeof(balances) / sizeof(balances[0]))

struct measured {
	double requests[ROUNDS], p50[ROUNDS], p99[ROUNDS];
	double cpu_us[ROUNDS]; /* of both ends and of what is between them, a request */
	uint32_t failed;
};

struct subject {
	char name[48];
	struct http_target target[ENDPOINTS];
	unsigned targets;
	bool inside;         /* the cgroup with the node path */
	const char *missing; /* what is not installed; NULL = it is there */
	struct measured brief, keep;
};

struct node_bench {
	struct subject subjects[SUBJECTS_MAX];
	size_t count;
	char cgroup[128];
	pid_t agent, server, haproxy, nginx;
};

/* -------------------------------------------------------------------- subjects */

static struct subject *add(struct node_bench *b, const char *name, const char *addr, uint16_t port)
{
	struct subject *subject = &b->subjects[b->count++];

	snprintf(subject->name, sizeof(subject->name), "%s", name);
	if (addr)
		subject->target[subject->targets++] = (struct http_target){ inet_addr(addr), port };
	return subject;
}

static void add_straight(struct node_bench *b)
{
	struct subject *subject = add(b, "straight", NULL, 0);

	for (int i = 0; i < ENDPOINTS; i++)
		subject->target[subject->targets++] =
			(struct http_target){ inet_addr(endpoints[i]), PORT };
}

static void make_cgroup(struct node_bench *b)
{
	bench_shell("mkdir -p /run/cgroup");
	if (mount("none", "/run/cgroup", "cgroup2", 0, NULL) < 0)
		err(1, "mounting a cgroup2");
	snprintf(b->cgroup, sizeof(b->cgroup), "/run/cgroup/fl-bench-%d", getpid());
	if (mkdir(b->cgroup, 0755) < 0)
		err(1, "%s", b->cgroup);
}

static void write_service(FILE *out, size_t i)
{
	fprintf(out,
		"  - name: %s\n    frontends: [ \"10.99.0.%zu:80/tcp\" ]\n    balance: %s\n"
		"    endpoints:\n",
		balances[i], i + 1, balances[i]);
	for (int e = 0; e < ENDPOINTS; e++)
		fprintf(out, "      - { address: \"%s:%u\" }\n", endpoints[e], PORT);
}

static void add_node_path(struct node_bench *b)
{
	FILE *file = fopen("/run/bench-node.yaml", "w");

	if (!file)
		err(1, "/run/bench-node.yaml");
	fprintf(file,
		"state_dir: /run/bench-node\nbpffs: /sys/fs/bpf/bench-node\n"
		"control: { socket: /run/bench-node.sock }\nhttp: { listen: off }\n"
		"node_path: { enabled: true, cgroup: %s }\n"
		"registries: [ { file: { path: /run/bench-node.d } } ]\nservices:\n",
		b->cgroup);
	for (size_t i = 0; i < BALANCES; i++) {
		char name[48], addr[32];

		write_service(file, i);
		snprintf(name, sizeof(name), "node path, %s", balances[i]);
		snprintf(addr, sizeof(addr), "10.99.0.%zu", i + 1);
		add(b, name, addr, 80)->inside = true;
	}
	fclose(file);
	b->agent = bench_agent_start("/run/bench-node.yaml");
}

/* --------------------------------------------------------------- what others use */

static bool is_installed(const char *program)
{
	char command[128];

	snprintf(command, sizeof(command), "command -v %s >/dev/null 2>&1", program);
	return system(command) == 0;
}

static void add_nftables(struct node_bench *b)
{
	struct subject *subject = add(b, "nftables DNAT", "10.99.1.1", 80);
	FILE *file = fopen("/run/bench.nft", "w");

	if (!is_installed("nft")) {
		subject->missing = "nftables";
		return;
	}
	if (!file)
		err(1, "/run/bench.nft");
	fputs("table ip bench {\n chain out {\n  type nat hook output priority -100;\n"
	      "  ip daddr 10.99.1.1 tcp dport 80 dnat ip addr . port to numgen inc mod 4 map {",
		file);
	for (int i = 0; i < ENDPOINTS; i++)
		fprintf(file, "%s %d : %s . %u", i ? "," : "", i, endpoints[i], PORT);
	fputs(" }\n }\n}\n", file);
	fclose(file);
	_Static_assert(ENDPOINTS == 4, "as the rule has it");
	if (system("nft -f /run/bench.nft") != 0)
		subject->missing = "a kernel with NAT for nftables";
}

static pid_t start(const char *command)
{
	pid_t child = fork();

	if (child == 0) {
		if (!freopen("/run/bench-proxy.log", "a", stderr) ||
			!freopen("/run/bench-proxy.log", "a", stdout))
			_exit(126);
		execl("/bin/sh", "sh", "-c", command, (char *)NULL);
		_exit(127);
	}
	return child;
}

static void add_haproxy(struct node_bench *b)
{
	struct subject *subject = add(b, "HAProxy, tcp", "127.0.0.1", 9001);
	FILE *file = fopen("/run/haproxy.cfg", "w");

	if (!is_installed("haproxy")) {
		subject->missing = "haproxy";
		return;
	}
	if (!file)
		err(1, "/run/haproxy.cfg");
	fputs("defaults\n mode tcp\n timeout connect 5s\n timeout client 60s\n timeout server 60s\n"
	      "listen bench\n bind 127.0.0.1:9001\n balance roundrobin\n",
		file);
	for (int i = 0; i < ENDPOINTS; i++)
		fprintf(file, " server s%d %s:%u\n", i, endpoints[i], PORT);
	fclose(file);
	b->haproxy = start("exec haproxy -db -f /run/haproxy.cfg");
}

static void add_nginx(struct node_bench *b)
{
	static const char module[] = "/usr/lib/nginx/modules/ngx_stream_module.so";
	struct subject *subject = add(b, "nginx, stream", "127.0.0.1", 9002);
	FILE *file = fopen("/run/nginx.conf", "w");

	if (!is_installed("nginx") || access(module, R_OK) < 0) {
		subject->missing = "nginx with libnginx-mod-stream";
		return;
	}
	if (!file)
		err(1, "/run/nginx.conf");
	fprintf(file,
		"load_module %s;\ndaemon off; master_process off; pid /run/nginx.pid; error_log "
		"/run/bench-proxy.log;\nevents { worker_connections 4096; }\nstream { upstream "
		"bench {",
		module);
	for (int i = 0; i < ENDPOINTS; i++)
		fprintf(file, " server %s:%u;", endpoints[i], PORT);
	fputs(" } server { listen 127.0.0.1:9002 backlog=4096; proxy_pass bench; } }\n", file);
	fclose(file);
	b->nginx = start("exec nginx -e /run/bench-proxy.log -c /run/nginx.conf");
}

/* --------------------------------------------------------------------- measure */

static double quantile(struct http_result *result, double q)
{
	static double values[HTTP_SAMPLES_MAX];

	for (uint32_t i = 0; i < result->samples; i++)
		values[i] = result->connect_us[i];
	return result->samples ? bench_quantile(values, result->samples, q) : 0;
}

/* Processor time of a process so far. */
static double cpu_ns(pid_t process)
{
	char path[64];
	double ns = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/schedstat", process);
	file = process > 0 ? fopen(path, "r") : NULL;
	if (file && fscanf(file, "%lf", &ns) != 1)
		ns = 0;
	if (file)
		fclose(file);
	return ns;
}

static double cpu_of_others(const struct node_bench *b)
{
	return cpu_ns(b->server) + cpu_ns(b->haproxy) + cpu_ns(b->nginx);
}

static void measure(const struct node_bench *b, struct subject *subject, bool keep, int round,
	struct http_result *result)
{
	struct measured *measured = keep ? &subject->keep : &subject->brief;
	struct http_load load = { .targets = subject->targets,
		.keep_alive = keep,
		.at_once = AT_ONCE,
		.for_ms = FOR_MS,
		.cgroup = subject->inside ? b->cgroup : NULL };
	double others_ns;

	memcpy(load.target, subject->target, sizeof(subject->target));
	others_ns = cpu_of_others(b);
	http_ask(&load, result);
	others_ns = cpu_of_others(b) - others_ns;
	measured->cpu_us[round] =
		result->done ? (others_ns + result->cpu_ns) / 1e3 / (double)result->done : 0;
	measured->requests[round] = result->requests_s;
	measured->failed += result->failed;
	measured->p50[round] = quantile(result, 0.5);
	measured->p99[round] = quantile(result, 0.99);
}

/* Round -1 warms up. */
static void measure_all(struct node_bench *b)
{
	struct http_result *result = http_result_new();

	for (int round = -1; round < ROUNDS; round++) {
		for (size_t i = 0; i < b->count; i++) {
			/* Each begins with another one, so that none always follows the same. */
			size_t at = (i + (size_t)(round + 1)) % b->count;

			if (b->subjects[at].missing)
				continue;
			measure(b, &b->subjects[at], false, round < 0 ? 0 : round, result);
			measure(b, &b->subjects[at], true, round < 0 ? 0 : round, result);
		}
		if (round < 0)
			for (size_t i = 0; i < b->count; i++)
				b->subjects[i].brief.failed = b->subjects[i].keep.failed = 0;
	}
	munmap(result, sizeof(*result));
}

/* ---------------------------------------------------------------------- report */

/* The ratio of each round, since what else the machine did was the same for both. */
static struct bench_figure ratio(const double *of, const double *to)
{
	double ratios[ROUNDS];

	for (int i = 0; i < ROUNDS; i++)
		ratios[i] = of[i] / to[i];
	return bench_figure(ratios, ROUNDS);
}

static double median(const double *values)
{
	double copy[ROUNDS];

	memcpy(copy, values, sizeof(copy));
	return bench_quantile(copy, ROUNDS, 0.5);
}

static json_t *report_subject(const struct subject *s, const struct subject *straight)
{
	struct bench_figure brief, keep;

	if (s->missing) {
		printf("  %-28s not measured: this machine lacks %s\n", s->name, s->missing);
		return json_pack("{s:s, s:s}", "name", s->name, "missing", s->missing);
	}
	brief = ratio(s->brief.requests, straight->brief.requests);
	keep = ratio(s->keep.requests, straight->keep.requests);
	printf("  %-28s %8.0f %6.2f ±%.2f %7.1f %7.0f %7.0f %9.0f %6.2f ±%.2f %7.1f %6u\n", s->name,
		median(s->brief.requests), brief.median, brief.spread, median(s->brief.cpu_us),
		median(s->brief.p50), median(s->brief.p99), median(s->keep.requests), keep.median,
		keep.spread, median(s->keep.cpu_us), s->brief.failed + s->keep.failed);
	return json_pack("{s:s, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:i}", "name", s->name,
		"requests_s", median(s->brief.requests), "ratio", brief.median, "ratio_spread",
		brief.spread, "cpu_us", median(s->brief.cpu_us), "connect_p50_us",
		median(s->brief.p50), "connect_p99_us", median(s->brief.p99),
		"keep_alive_requests_s", median(s->keep.requests), "keep_alive_ratio", keep.median,
		"keep_alive_cpu_us", median(s->keep.cpu_us), "failed",
		(int)(s->brief.failed + s->keep.failed));
}

static json_t *report(const struct node_bench *b)
{
	json_t *rows = json_array();

	printf("\nHTTP between processes of this machine, %d connections at a time, %d endpoints "
	       "on "
	       "loopback; medians of\n%d rounds of %d ms, the share of the straight one's requests "
	       "in "
	       "the same round, and processor time\nfor a request, of both ends and of what is "
	       "between them:\n\n",
		AT_ONCE, ENDPOINTS, ROUNDS, FOR_MS);
	printf("  %-28s %8s %6s %5s %7s %7s %7s %9s %6s %5s %7s %6s\n", "a request a connection",
		"requests", "share", "", "cpu µs", "p50 µs", "p99 µs", "keepalive", "share", "",
		"cpu µs", "failed");
	for (size_t i = 0; i < b->count; i++)
		json_array_append_new(rows, report_subject(&b->subjects[i], &b->subjects[0]));
	printf("\np50 and p99 are of the time to connect.\n");
	return rows;
}

static void end_process(pid_t process)
{
	if (process <= 0)
		return;
	kill(process, SIGTERM);
	waitpid(process, NULL, 0);
}

json_t *bench_node(void)
{
	struct node_bench b = { 0 };
	json_t *rows;

	for (int i = 0; i < ENDPOINTS; i++)
		bench_shell("ip addr add %s/32 dev lo", endpoints[i]);
	bench_shell("mkdir -p /run/bench-node.d");
	make_cgroup(&b);
	b.server = http_serve(endpoints, ENDPOINTS, PORT);
	add_straight(&b);
	add_node_path(&b);
	add_nftables(&b);
	add_haproxy(&b);
	add_nginx(&b);
	sleep(1); /* until the proxies listen */
	measure_all(&b);
	rows = report(&b);
	bench_agent_stop(b.agent);
	end_process(b.haproxy);
	end_process(b.nginx);
	end_process(b.server);
	/* Rules are the network namespace's, which other parts use as well. */
	if (!b.subjects[1 + BALANCES].missing)
		bench_shell("nft delete table ip bench");
	if (rmdir(b.cgroup) < 0)
		warn("%s", b.cgroup);
	umount("/run/cgroup");
	for (int i = 0; i < ENDPOINTS; i++)
		bench_shell("ip addr del %s/32 dev lo", endpoints[i]);
	return rows;
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <err.h>
#include <net/if.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "bench.h"

/*
 * Where the measuring happens: private namespaces that end with the process, with
 * the interface that reference.yaml names, and neighbours for all its endpoints.
 */

void bench_shell(const char *format, ...)
{
	char command[1024];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(command, sizeof(command), format, arguments);
	va_end(arguments);
	if (system(command) != 0)
		errx(1, "failed: %s", command);
}

static void mount_or_die(const char *type, const char *where)
{
	if (mount(type, where, type, 0, NULL) < 0)
		err(1, "mounting %s", where);
}

void bench_world_enter(struct bench_run *run)
{
	if (unshare(CLONE_NEWNET | CLONE_NEWNS) < 0)
		err(1, "making private namespaces (are you root?)");
	if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		err(1, "making mounts private");
	mount_or_die("tmpfs", "/run");
	mount_or_die("sysfs", "/sys");
	mount_or_die("bpf", "/sys/fs/bpf");

	bench_shell("ip link set lo up");
	bench_shell("ip link add v0 address 02:00:00:00:00:01 type veth "
		    "peer name v1 address 02:00:00:00:00:02");
	bench_shell("ip link set v0 up && ip link set v1 up");
	bench_shell(
		"ip addr add 192.0.2.1/24 dev v0 && ip -6 addr add 2001:db8::1/64 dev v0 nodad");
	bench_shell("ip neigh add 192.0.2.254 lladdr 02:00:00:00:00:02 dev v0 nud permanent");
	bench_shell("ip neigh add 2001:db8::fe lladdr 02:00:00:00:00:02 dev v0 nud permanent");
	bench_shell("ip route add default via 192.0.2.254 dev v0");
	bench_shell("ip -6 route add default via 2001:db8::fe dev v0");
	/* What nat sends back to clients takes the way that the kernel would forward it. */
	bench_shell("echo 1 > /proc/sys/net/ipv4/ip_forward");
	run->ifindex = if_nametoindex("v0");
}

static char ksoftirqd_stat[64];

/** Find the thread by its name, which has the processor's number in it. */
static void find_ksoftirqd(int cpu)
{
	char path[64], name[32], wanted[32];
	int pid;
	FILE *file;

	snprintf(wanted, sizeof(wanted), "ksoftirqd/%d\n", cpu);
	for (pid = 2; pid < 100000 && !ksoftirqd_stat[0]; pid++) {
		snprintf(path, sizeof(path), "/proc/%d/comm", pid);
		file = fopen(path, "r");
		if (!file)
			continue;
		if (fgets(name, sizeof(name), file) && !strcmp(name, wanted))
			snprintf(ksoftirqd_stat, sizeof(ksoftirqd_stat), "/proc/%d/schedstat", pid);
		fclose(file);
	}
}

void bench_pin_cpu(void)
{
	int cpu = get_nprocs() - 1;
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
	find_ksoftirqd(cpu);
}

void bench_go_first(void)
{
	FILE *file;

	setsid();
	if (setpriority(PRIO_PROCESS, 0, -20) < 0)
		err(1, "setting the priority");
	file = fopen("/proc/self/autogroup", "w");
	if (!file)
		return; /* this kernel has none */
	fputs("-20", file);
	if (fclose(file) != 0)
		err(1, "setting the priority of the session");
}

double bench_ksoftirqd_ns(void)
{
	FILE *file = ksoftirqd_stat[0] ? fopen(ksoftirqd_stat, "r") : NULL;
	double ns = 0;

	if (file && fscanf(file, "%lf", &ns) != 1)
		ns = 0;
	if (file)
		fclose(file);
	return ns;
}

const char *bench_cpu_name(char *buffer, size_t size)
{
	FILE *file = fopen("/proc/cpuinfo", "r");
	char line[256], *name;

	snprintf(buffer, size, "unknown processor");
	while (file && fgets(line, sizeof(line), file)) {
		if (strncmp(line, "model name", 10) || !(name = strchr(line, ':')))
			continue;
		name[strcspn(name, "\n")] = '\0';
		snprintf(buffer, size, "%s", name + 2);
		break;
	}
	if (file)
		fclose(file);
	return buffer;
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "core/cleanup.h"
#include "core/log.h"
#include "kernel/checkup.h"

/* ------------------------------------------------------------------ ports */

/** Whether net.ipv4.ip_local_reserved_ports ("1024-2000,8080") holds all of [min, max]. */
static bool is_reserved(long min, long max)
{
	_cleanup_fclose_ FILE *file = fopen("/proc/sys/net/ipv4/ip_local_reserved_ports", "re");
	long low, high;

	/* The kernel writes ranges merged and in order. */
	while (file && fscanf(file, "%ld", &low) == 1) {
		high = low;
		if (fscanf(file, "-%ld", &high) < 0)
			high = low;
		if (low <= min && max <= high)
			return true;
		if (fgetc(file) != ',')
			break;
	}
	return false;
}

static void check_ports(struct fl_checkup *checkup)
{
	_cleanup_fclose_ FILE *file = fopen("/proc/sys/net/ipv4/ip_local_port_range", "re");
	long nat_min = checkup->config ? checkup->config->nat_port_min : FL_NAT_PORT_MIN_DEFAULT;
	long nat_max = checkup->config ? checkup->config->nat_port_max : FL_NAT_PORT_MAX_DEFAULT;
	long min, max;

	if (!file || fscanf(file, "%ld %ld", &min, &max) != 2) {
		fl_checkup_add(checkup, "ports", NULL, FL_CHECK_WARN,
			"mount /proc, with its sysctls",
			"net.ipv4.ip_local_port_range cannot be read");
		return;
	}
	if (nat_max < min || max < nat_min) {
		fl_checkup_add(checkup, "ports", NULL, FL_CHECK_OK, NULL,
			"nat uses %ld-%ld, this node's own connections %ld-%ld", nat_min, nat_max,
			min, max);
		return;
	}
	if (is_reserved(min > nat_min ? min : nat_min, max < nat_max ? max : nat_max)) {
		fl_checkup_add(checkup, "ports", NULL, FL_CHECK_OK, NULL,
			"nat uses %ld-%ld; where this node's own %ld-%ld overlap it is reserved",
			nat_min, nat_max, min, max);
		return;
	}
	fl_checkup_add(checkup, "ports", NULL, FL_CHECK_FAIL,
		"set edge.nat.ports beside it, or sysctl -w net.ipv4.ip_local_port_range=\"32768 "
		"60999\"",
		"nat uses %ld-%ld, which overlaps the ports of this node's own connections, "
		"%ld-%ld",
		nat_min, nat_max, min, max);
}

/* ----------------------------------------------------------------- memory */

/** Make a map while nothing may be locked into memory. @return 0, -errno */
static int try_without_memlock(void)
{
	struct rlimit before, none;
	int fd, code;

	if (getrlimit(RLIMIT_MEMLOCK, &before) < 0)
		return -errno;
	none = before;
	none.rlim_cur = 0;
	setrlimit(RLIMIT_MEMLOCK, &none);
	fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "fl_doctor", 4, 4096, 16, NULL);
	code = fd < 0 ? -errno : 0;
	setrlimit(RLIMIT_MEMLOCK, &before);
	if (fd >= 0)
		close(fd);
	return code;
}

static void check_memlock(struct fl_checkup *checkup)
{
	struct rlimit limit = { 0 };
	long unprivileged;
	int code = try_without_memlock();

	if (code == 0) {
		fl_checkup_add(checkup, "memlock", NULL, FL_CHECK_OK, NULL,
			"does not limit maps here: their memory counts for the control group");
		return;
	}
	getrlimit(RLIMIT_MEMLOCK, &limit);
	if (code != -EPERM ||
		(fl_checkup_number("/proc/sys/kernel/unprivileged_bpf_disabled", &unprivileged) &&
			unprivileged && geteuid() != 0)) {
		fl_checkup_add(checkup, "memlock", NULL, FL_CHECK_WARN, "ask again as root",
			"could not be tried: %s", fl_log_errno(code));
		return;
	}
	if (limit.rlim_cur == RLIM_INFINITY)
		fl_checkup_add(checkup, "memlock", NULL, FL_CHECK_OK, NULL,
			"limits maps on this kernel, and is unlimited");
	else
		fl_checkup_add(checkup, "memlock", NULL, FL_CHECK_WARN,
			"LimitMEMLOCK=infinity in the unit, or ulimit -l unlimited",
			"limits maps on this kernel, to %llu KiB",
			(unsigned long long)limit.rlim_cur / 1024);
}

/* ------------------------------------------------------------------ sysctls */

static void check_forwarding(struct fl_checkup *checkup)
{
	long v4 = 0, v6 = 0;

	fl_checkup_number("/proc/sys/net/ipv4/ip_forward", &v4);
	fl_checkup_number("/proc/sys/net/ipv6/conf/all/forwarding", &v6);
	if (v4 && v6)
		fl_checkup_add(
			checkup, "forwarding", NULL, FL_CHECK_OK, NULL, "on for IPv4 and IPv6");
	else
		fl_checkup_add(checkup, "forwarding", NULL, FL_CHECK_WARN,
			"nat asks the kernel for the way back to clients, which answers only then: "
			"sysctl -w net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1",
			"%s for IPv4, %s for IPv6", v4 ? "on" : "off", v6 ? "on" : "off");
}

static void check_bpf_stats(struct fl_checkup *checkup)
{
	long on;

	if (fl_checkup_number("/proc/sys/kernel/bpf_stats_enabled", &on) && on)
		fl_checkup_add(checkup, "bpf_stats", NULL, FL_CHECK_WARN,
			"sysctl -w kernel.bpf_stats_enabled=0 when you have measured enough",
			"on: each run of a program takes the time twice, tens of nanoseconds");
	else
		fl_checkup_add(checkup, "bpf_stats", NULL, FL_CHECK_OK, NULL, "off");
}

/* ------------------------------------------------------------------ kfuncs */

static void check_kfuncs(struct fl_checkup *checkup)
{
	static const char *const names[] = { "bpf_xdp_metadata_rx_hash", "bpf_dynptr_from_xdp",
		"bpf_sock_destroy" };
	struct btf *btf = btf__load_vmlinux_btf();
	char there[160] = "", absent[160] = "";

	if (!btf) {
		fl_checkup_add(checkup, "kfuncs", NULL, FL_CHECK_OK, NULL,
			"not known without the kernel's BTF; this version needs none");
		return;
	}
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		bool has = btf__find_by_name_kind(btf, names[i], BTF_KIND_FUNC) > 0;
		char *list = has ? there : absent;
		size_t used = strlen(list);

		snprintf(list + used, sizeof(there) - used, "%s%s", used ? ", " : "", names[i]);
	}
	btf__free(btf);
	fl_checkup_add(checkup, "kfuncs", NULL, FL_CHECK_OK, NULL,
		"there: %s; absent: %s; this version needs none", there[0] ? there : "none",
		absent[0] ? absent : "none");
}

void fl_checkup_machine(struct fl_checkup *checkup)
{
	check_kfuncs(checkup);
	check_memlock(checkup);
	check_ports(checkup);
	check_forwarding(checkup);
	check_bpf_stats(checkup);
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "kernel/features.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/capability.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "core/capabilities.h"
#include "core/cleanup.h"
#include "kernel/bpffs.h"

static const struct {
	int number;
	const char *name;
} capabilities[] = {
	{ CAP_BPF, "CAP_BPF" },
	{ CAP_NET_ADMIN, "CAP_NET_ADMIN" },
	{ CAP_PERFMON, "CAP_PERFMON" },
};

char *fl_features_missing_capabilities(char *buffer, size_t size)
{
	uint64_t set = fl_capabilities_effective();
	size_t length = 0;

	buffer[0] = '\0';
	for (size_t i = 0; i < sizeof(capabilities) / sizeof(capabilities[0]); i++)
		if (!(set >> capabilities[i].number & 1) && length < size)
			length += (size_t)snprintf(buffer + length, size - length, "%s%s",
				length ? ", " : "", capabilities[i].name);
	return buffer;
}

bool fl_features_has_btf(void)
{
	return access("/sys/kernel/btf/vmlinux", R_OK) == 0;
}

/* The file reads "[none] integrity confidentiality". */
const char *fl_features_lockdown(void)
{
	static const char *const names[] = { "confidentiality", "integrity" };
	_cleanup_fclose_ FILE *file = fopen("/sys/kernel/security/lockdown", "re");
	char line[128] = "", chosen[40];

	if (file && !fgets(line, sizeof(line), file))
		line[0] = '\0';
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(chosen, sizeof(chosen), "[%s]", names[i]);
		if (strstr(line, chosen))
			return names[i];
	}
	return "none";
}

/* ------------------------------------------------------------------- probes */

__attribute__((format(printf, 3, 4))) static void found(
	struct fl_feature *feature, enum fl_feature_verdict verdict, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(feature->text, sizeof(feature->text), format, arguments);
	va_end(arguments);
	feature->verdict = verdict;
}

static void advise(struct fl_feature *feature, const char *hint)
{
	snprintf(feature->hint, sizeof(feature->hint), "%s", hint);
}

static void probe_capabilities(struct fl_feature *feature)
{
	char missing[128];

	if (!*fl_features_missing_capabilities(missing, sizeof(missing))) {
		found(feature, FL_FEATURE_YES, "CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON are there");
		return;
	}
	found(feature, FL_FEATURE_NO, "this process lacks %s", missing);
	advise(feature, "run as root, or give the service these capabilities");
}

static void probe_lockdown(struct fl_feature *feature)
{
	const char *mode = fl_features_lockdown();

	if (strcmp(mode, "confidentiality") != 0) {
		found(feature, FL_FEATURE_YES, "kernel lockdown is %s", mode);
		return;
	}
	found(feature, FL_FEATURE_NO, "kernel lockdown is %s", mode);
	advise(feature, "boot with lockdown=integrity or none");
}

static void probe_btf(struct fl_feature *feature)
{
	if (fl_features_has_btf()) {
		found(feature, FL_FEATURE_YES, "/sys/kernel/btf/vmlinux is there");
		return;
	}
	found(feature, FL_FEATURE_NO, "/sys/kernel/btf/vmlinux is not there");
	advise(feature, "use a kernel built with CONFIG_DEBUG_INFO_BTF, as distributions do");
}

static void probe_bpffs(struct fl_feature *feature)
{
	if (fl_bpffs_holds("/sys/fs/bpf")) {
		found(feature, FL_FEATURE_YES, "/sys/fs/bpf is a bpffs");
		return;
	}
	found(feature, FL_FEATURE_NO, "/sys/fs/bpf is no bpffs");
	advise(feature,
		"fairleadd mounts one when it starts as root; or mount -t bpf bpf /sys/fs/bpf");
}

/* The sysctl shows in the first network namespace only; a program that was compiled
 * tells everywhere. */
static void probe_jit(struct fl_feature *feature)
{
	const struct bpf_insn code[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	_cleanup_close_ int fd =
		bpf_prog_load(BPF_PROG_TYPE_XDP, "fl_jit", "Dual BSD/GPL", code, 2, NULL);
	struct bpf_prog_info info = { 0 };
	uint32_t length = sizeof(info);

	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &length) < 0) {
		found(feature, FL_FEATURE_UNKNOWN, "no program could be loaded to try: %s",
			strerror(errno));
		advise(feature, "ask again as root");
	} else if (info.jited_prog_len) {
		found(feature, FL_FEATURE_YES, "programs are compiled");
	} else {
		found(feature, FL_FEATURE_NO, "programs are interpreted");
		advise(feature, "sysctl -w net.core.bpf_jit_enable=1: interpreted programs are "
				"several times slower");
	}
}

/* libbpf's answer to "can you": 1 yes, 0 no, else not to be found out. Without
 * privileges it is one of the first two, and means neither. */
static void answer(struct fl_feature *feature, int answer, const char *what)
{
	char missing[128];

	if (*fl_features_missing_capabilities(missing, sizeof(missing))) {
		found(feature, FL_FEATURE_UNKNOWN, "%s could not be tried without %s", what,
			missing);
		advise(feature, "ask again as root");
	} else if (answer == 1) {
		found(feature, FL_FEATURE_YES, "%s works", what);
	} else if (answer == 0) {
		found(feature, FL_FEATURE_NO, "%s is not in this kernel", what);
		advise(feature, "Fairlead needs Linux 6.1 or later");
	} else {
		found(feature, FL_FEATURE_UNKNOWN, "%s could not be tried: %s", what,
			strerror(-answer));
		advise(feature, "ask again as root");
	}
}

static void probe_xdp(struct fl_feature *feature)
{
	answer(feature, libbpf_probe_bpf_prog_type(BPF_PROG_TYPE_XDP, NULL), "an XDP program");
}

static void probe_syscall(struct fl_feature *feature)
{
	answer(feature, libbpf_probe_bpf_prog_type(BPF_PROG_TYPE_SYSCALL, NULL),
		"a syscall program");
}

static void probe_timer(struct fl_feature *feature)
{
	answer(feature, libbpf_probe_bpf_helper(BPF_PROG_TYPE_SYSCALL, BPF_FUNC_timer_init, NULL),
		"bpf_timer");
}

static void probe_loop(struct fl_feature *feature)
{
	answer(feature, libbpf_probe_bpf_helper(BPF_PROG_TYPE_XDP, BPF_FUNC_loop, NULL),
		"bpf_loop");
}

static void probe_fib(struct fl_feature *feature)
{
	answer(feature, libbpf_probe_bpf_helper(BPF_PROG_TYPE_XDP, BPF_FUNC_fib_lookup, NULL),
		"bpf_fib_lookup");
}

static const struct {
	const char *name;
	bool required;
	void (*probe)(struct fl_feature *feature);
} probes[] = {
	{ "capabilities", true, probe_capabilities },
	{ "lockdown", true, probe_lockdown },
	{ "bpffs", true, probe_bpffs },
	{ "xdp", true, probe_xdp },
	{ "syscall_programs", true, probe_syscall },
	{ "bpf_timer", true, probe_timer },
	{ "bpf_loop", false, probe_loop },
	{ "bpf_fib_lookup", true, probe_fib },
	{ "btf", false, probe_btf },
	{ "jit", false, probe_jit },
};

static int be_silent(enum libbpf_print_level level, const char *format, va_list arguments)
{
	(void)level;
	(void)format;
	(void)arguments;
	return 0;
}

size_t fl_features_probe(struct fl_feature *ret)
{
	const size_t count = sizeof(probes) / sizeof(probes[0]);
	libbpf_print_fn_t before = libbpf_set_print(be_silent);

	_Static_assert(sizeof(probes) / sizeof(probes[0]) <= FL_FEATURES_MAX, "room for all");
	for (size_t i = 0; i < count; i++) {
		ret[i] = (struct fl_feature){ .name = probes[i].name,
			.required = probes[i].required };
		probes[i].probe(&ret[i]);
	}
	libbpf_set_print(before);
	return count;
}

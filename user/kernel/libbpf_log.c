/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "kernel/libbpf_log.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "core/cleanup.h"
#include "core/log.h"
#include "kernel/features.h"

/* The end of what was said at warning level; verifier logs can be megabytes. */
static char kept[8192];

static void keep(const char *text)
{
	size_t length = strlen(text), room = sizeof(kept) - 1, have = strlen(kept);

	if (length > room) {
		text += length - room;
		length = room;
	}
	if (have + length > room) {
		size_t drop = have + length - room;

		memmove(kept, kept + drop, have - drop);
		have -= drop;
	}
	memcpy(kept + have, text, length);
	kept[have + length] = '\0';
}

static int on_line(enum libbpf_print_level level, const char *format, va_list arguments)
{
	_cleanup_free_ char *text = NULL;

	if (level != LIBBPF_WARN && !fl_log_is_on(FL_LOG_DEBUG))
		return 0;
	if (vasprintf(&text, format, arguments) < 0)
		return 0;
	if (level == LIBBPF_WARN)
		keep(text);
	text[strlen(text) - (*text && text[strlen(text) - 1] == '\n')] = '\0';
	fl_log(FL_LOG_DEBUG, "libbpf", "said", FL_STR("text", text));
	return 0;
}

void fl_libbpf_log_begin(void)
{
	kept[0] = '\0';
	libbpf_set_print(on_line);
}

/* ------------------------------------------------------------------ explain */

/* Copy the line that `at` points into. */
static void copy_line(const char *at, char *ret, size_t size)
{
	const char *begin = at;

	while (begin > kept && begin[-1] != '\n')
		begin--;
	snprintf(ret, size, "%.*s", (int)strcspn(begin, "\n"), begin);
}

/* The verifier's verdict is the last line before its statistics. */
static bool find_verdict(char *ret, size_t size)
{
	char *end = strstr(kept, "\nprocessed ");

	for (char *next = end; next; next = strstr(next + 1, "\nprocessed "))
		end = next;
	if (!end || end == kept)
		return false;
	copy_line(end - 1, ret, size);
	return ret[0] != '\0';
}

/* libbpf's first complaint names the map or program. */
static void find_complaint(char *ret, size_t size)
{
	snprintf(ret, size, "%.*s", (int)strcspn(kept, "\n"), kept);
	if (strncmp(ret, "libbpf: ", 8) == 0)
		memmove(ret, ret + 8, strlen(ret + 8) + 1);
}

/* "prog 'edge': failed to load" is among the last words. */
static void find_program(char *ret, size_t size)
{
	static const char mark[] = "prog '";
	const char *at = NULL;

	for (const char *next = strstr(kept, mark); next; next = strstr(next + 1, mark))
		at = next + strlen(mark);
	snprintf(ret, size, "%.*s", at ? (int)strcspn(at, "'") : 0, at ? at : "");
}

static int explain_permission(struct fl_failure *failure, int code)
{
	char missing[128];

	if (*fl_features_missing_capabilities(missing, sizeof(missing))) {
		fl_fail(failure, code,
			"the kernel refuses to load BPF programs: this process lacks %s", missing);
		fl_fail_hint(failure,
			"run fairleadd as root, or give its service CAP_BPF, CAP_NET_ADMIN "
			"and CAP_PERFMON");
	} else if (strcmp(fl_features_lockdown(), "none") != 0) {
		fl_fail(failure, code, "the kernel refuses to load BPF programs: lockdown is %s",
			fl_features_lockdown());
		fl_fail_hint(failure, "boot with lockdown=none, or without Secure Boot");
	} else {
		fl_fail(failure, code, "the kernel refuses to load BPF programs: %s",
			strerror(-code));
		fl_fail_hint(failure,
			"a container's seccomp profile may forbid bpf(2), or a limit on locked "
			"memory is too low (ulimit -l)");
	}
	return code;
}

static int explain_verdict(struct fl_failure *failure, int code, const char *verdict)
{
	struct utsname kernel;
	char program[32];

	uname(&kernel);
	find_program(program, sizeof(program));
	fl_fail(failure, code, "the verifier of kernel %s refuses the program %s: %s",
		kernel.release, program, verdict);
	fl_fail_hint(failure, "%s; `log.level: debug` shows all that it says",
		fl_features_has_btf() ? "Fairlead needs Linux 6.1 or later"
				      : "this kernel has no BTF (CONFIG_DEBUG_INFO_BTF)");
	return code;
}

int fl_libbpf_log_explain(struct fl_failure *failure, int code)
{
	char text[300];

	if (find_verdict(text, sizeof(text)))
		return explain_verdict(failure, code, text);
	if (code == -EPERM)
		return explain_permission(failure, code);
	find_complaint(text, sizeof(text));
	fl_fail(failure, code, "cannot load maps and programs: %s", *text ? text : strerror(-code));
	if (code == -ENOMEM)
		fl_fail_hint(failure,
			"there is not enough memory for the maps: lower `limits:`, or raise "
			"the memory limit of the service");
	else if (code == -E2BIG)
		fl_fail_hint(failure, "a map is larger than this kernel allows: lower `limits:`");
	else
		fl_fail_hint(failure, "`fairlead doctor` tells what this kernel lacks");
	return code;
}

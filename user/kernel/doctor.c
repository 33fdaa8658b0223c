/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "kernel/doctor.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/defaults.h"
#include "kernel/bpffs.h"
#include "kernel/checkup.h"
#include "kernel/features.h"

/* ------------------------------------------------------------------ rows */

void fl_checkup_add(struct fl_checkup *checkup, const char *check, const char *subject,
	enum fl_check_result result, const char *hint, const char *format, ...)
{
	static const char *const results[] = { "ok", "warn", "fail" };
	char found[512];
	va_list arguments;
	json_t *row;

	va_start(arguments, format);
	vsnprintf(found, sizeof(found), format, arguments);
	va_end(arguments);
	/* `s?`: null for NULL. A name that is no UTF-8 makes no row. */
	row = json_pack("{s:s, s:s?, s:s, s:s, s:s?}", "check", check, "subject", subject, "result",
		results[result], "found", found, "hint", hint);
	if (!row || json_array_append_new(checkup->rows, row) < 0)
		checkup->failed = true;
}

bool fl_checkup_number(const char *path, long *ret)
{
	_cleanup_fclose_ FILE *file = fopen(path, "re");

	return file && fscanf(file, "%ld", ret) == 1;
}

/* ---------------------------------------------------------- configuration */

static void check_configuration(
	struct fl_checkup *checkup, const char *file, const struct fl_problems *problems)
{
	char line[400];

	if (checkup->config && !problems->count) {
		fl_checkup_add(checkup, "configuration", file, FL_CHECK_OK, NULL, "no errors");
		return;
	}
	if (!problems->count) {
		fl_checkup_add(checkup, "configuration", file, FL_CHECK_FAIL,
			"look at its permissions", "could not be read");
		return;
	}
	fl_problem_format(&problems->items[0], line, sizeof(line));
	fl_checkup_add(checkup, "configuration", file,
		checkup->config ? FL_CHECK_WARN : FL_CHECK_FAIL,
		"fairleadd --check prints them all", "%zu problems, the first: %s", problems->count,
		line);
}

static void check_bpffs(struct fl_checkup *checkup)
{
	const char *path = checkup->config ? checkup->config->bpffs : FL_BPFFS_DEFAULT;

	if (fl_bpffs_holds(path))
		fl_checkup_add(checkup, "bpffs", path, FL_CHECK_OK, NULL, "it lies in a bpffs");
	else if (strncmp(path, "/sys/fs/bpf/", 12) == 0)
		fl_checkup_add(checkup, "bpffs", path, FL_CHECK_WARN,
			"fairleadd mounts one when it starts as root; to do it now: "
			"mount -t bpf bpf /sys/fs/bpf",
			"/sys/fs/bpf is no bpffs");
	else
		fl_checkup_add(checkup, "bpffs", path, FL_CHECK_FAIL,
			"set bpffs: to a directory below /sys/fs/bpf, or mount a bpffs there",
			"it does not lie in a bpffs, so nothing could be pinned there");
}

/* ----------------------------------------------------------------- kernel */

static enum fl_check_result result_of(const struct fl_feature *feature)
{
	if (feature->verdict == FL_FEATURE_YES)
		return FL_CHECK_OK;
	if (feature->verdict == FL_FEATURE_UNKNOWN)
		return FL_CHECK_WARN;
	return feature->required ? FL_CHECK_FAIL : FL_CHECK_WARN;
}

static void check_features(struct fl_checkup *checkup)
{
	struct fl_feature features[FL_FEATURES_MAX];
	size_t count = fl_features_probe(features);

	for (size_t i = 0; i < count; i++) {
		const struct fl_feature *f = &features[i];

		if (strcmp(f->name, "bpffs") == 0)
			continue; /* check_bpffs() knows the directory that is configured */
		fl_checkup_add(checkup, f->name, NULL, result_of(f), f->hint[0] ? f->hint : NULL,
			"%s", f->text);
	}
}

json_t *fl_doctor(const char *config_file)
{
	struct fl_checkup checkup = { .rows = json_array() };
	struct fl_problems problems = { 0 };
	struct fl_config *config = NULL;

	if (!checkup.rows)
		return NULL;
	if (config_file) {
		fl_config_load(config_file, &problems, &config);
		checkup.config = config;
		check_configuration(&checkup, config_file, &problems);
	}
	check_features(&checkup);
	check_bpffs(&checkup);
	fl_checkup_machine(&checkup);
	fl_checkup_node(&checkup);
	fl_checkup_interfaces(&checkup);

	fl_problems_done(&problems);
	fl_config_free(config);
	if (checkup.failed) {
		json_decref(checkup.rows);
		return NULL;
	}
	return checkup.rows;
}

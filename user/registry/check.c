/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a configuration's registries say, without running them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "model/merger.h"
#include "registry/registry.h"
#include "registry/scan.h"

typedef FL_VEC(struct fl_declaration) declaration_vec;

/* Look at one file registry. @return 0 with *ret, which may hold no files; -ENOMEM */
static int look(const struct fl_registry_config *registry, struct fl_problems *problems,
	struct fl_scan **ret)
{
	struct fl_place place = { .file = registry->path };
	struct fl_scan *scan = fl_scan_new(registry->path, registry->name, NULL);

	if (!scan)
		return -ENOMEM;
	fl_scan_run(scan);
	if (scan->error == -ENOENT)
		fl_problem_warn(problems, place, "does not exist: no services until it does");
	else if (scan->error < 0)
		fl_problem_add(problems, place, "cannot be read: %s", fl_log_errno(scan->error));
	*ret = scan;
	return 0;
}

static int declare(const struct fl_scan *scan, struct fl_problems *problems, declaration_vec *ret)
{
	for (size_t i = 0; i < scan->files.count; i++) {
		struct fl_file *file = &scan->files.items[i];
		struct fl_declaration *declaration = fl_vec_push(ret);

		if (!declaration)
			return -ENOMEM;
		fl_problems_move(problems, &file->problems);
		*declaration = (struct fl_declaration){ scan->registry, file->services.items,
			file->services.count };
	}
	return 0;
}

static void check_registering(const struct fl_config *config, const struct fl_snapshot *snapshot,
	struct fl_problems *problems)
{
	for (size_t i = 0; i < snapshot->service_count; i++) {
		const struct fl_service *service = snapshot->services[i];
		const char *name = service->registration.registry;

		if (name && !fl_registry_is_written(config, name))
			fl_problem_add(problems,
				(struct fl_place){ service->file, service->line, service->column },
				"services.register: %s is no registry that services are written "
				"into, expected the name of a consul registry of the configuration",
				name);
	}
}

static int check_all(const struct fl_config *config, struct fl_scan **scans,
	struct fl_problems *problems, declaration_vec *declarations)
{
	struct fl_declaration *inline_ = fl_vec_push(declarations);
	struct fl_snapshot *snapshot = NULL;
	int r = inline_ ? 0 : -ENOMEM;

	if (r == 0)
		*inline_ = (struct fl_declaration){ "inline", config->services,
			config->service_count };
	for (size_t i = 0; i < config->registry_count && r == 0; i++) {
		/* what others say needs them to be asked, and that is not for a check */
		if (strcmp(config->registries[i]->type, "file") != 0)
			continue;
		r = look(config->registries[i], problems, &scans[i]);
		if (r == 0)
			r = declare(scans[i], problems, declarations);
	}
	if (r == 0)
		r = fl_snapshot_merge(declarations->items, declarations->count, &config->limits, 0,
			problems, &snapshot);
	if (r == 0)
		check_registering(config, snapshot, problems);
	fl_snapshot_unref(snapshot);
	return r;
}

int fl_registry_check(const struct fl_config *config, struct fl_problems *problems)
{
	struct fl_scan **scans = calloc(config->registry_count + 1, sizeof(struct fl_scan *));
	declaration_vec declarations = { 0 };
	size_t errors = problems->errors;
	int r = scans ? check_all(config, scans, problems, &declarations) : -ENOMEM;

	for (size_t i = 0; scans && i < config->registry_count; i++)
		fl_scan_free(scans[i]);
	free(scans);
	fl_vec_done(&declarations);
	if (r < 0)
		return r;
	return problems->errors == errors ? 0 : -EINVAL;
}

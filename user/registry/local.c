/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "registry/local.h"

#include <errno.h>
#include <string.h>

#include "config/patch.h"
#include "core/clock.h"
#include "core/log.h"
#include "registry/kept.h"

static const char *const verbs[FL_LOCAL_VERBS] = {
	[FL_LOCAL_ADD] = "add",
	[FL_LOCAL_SET] = "set",
	[FL_LOCAL_DELETE] = "delete",
};

int fl_local_verb_find(const char *name, enum fl_local_verb *ret)
{
	for (int verb = 0; verb < FL_LOCAL_VERBS; verb++)
		if (strcmp(verbs[verb], name) == 0) {
			*ret = (enum fl_local_verb)verb;
			return 0;
		}
	return -EINVAL;
}

/* ------------------------------------------------------------------- a change */

/* @return its place; the count = there is none */
static size_t find(const fl_service_vec *services, const char *name)
{
	size_t i = 0;

	while (i < services->count && strcmp(services->items[i]->name, name) != 0)
		i++;
	return i;
}

static int refuse_service(
	const struct fl_local_change *change, bool is_there, struct fl_failure *failure)
{
	if (is_there) {
		fl_fail(failure, -EEXIST, "service \"%s\" is there already", change->service);
		fl_fail_hint(failure, "change it with: fairlead service set");
		return -EEXIST;
	}
	fl_fail(failure, -ENOENT, "no service \"%s\" was declared by command", change->service);
	fl_fail_hint(failure, "declare it with: fairlead service add");
	return -ENOENT;
}

static int refuse_endpoint(
	const struct fl_local_change *change, bool is_there, struct fl_failure *failure)
{
	int code = is_there ? -EEXIST : -ENOENT;

	fl_fail(failure, code, "service \"%s\" has %s endpoint %s%s", change->service,
		is_there ? "the" : "no", change->endpoint, is_there ? " already" : "");
	fl_fail_hint(failure, is_there ? "change it with: fairlead endpoint set, or weight"
				       : "list them with: fairlead endpoint list");
	return code;
}

/* The first problem of a text; they name keys, and there is no file to name. */
static int refuse_text(int r, const struct fl_problems *problems, struct fl_failure *failure)
{
	size_t first = 0;

	while (first < problems->count && problems->items[first].warning)
		first++;
	if (r == -ENOMEM || first == problems->count || !problems->items[first].message)
		return fl_fail(failure, -ENOMEM, "out of memory");
	if (problems->errors > 1)
		return fl_fail(failure, -EINVAL, "%s (and %zu more)",
			problems->items[first].message, problems->errors - 1);
	return fl_fail(failure, -EINVAL, "%s", problems->items[first].message);
}

/* Whether what is to be changed is there, and what is to be added is not. */
static int check_place(const struct fl_service *old, const struct fl_local_change *change,
	struct fl_failure *failure)
{
	bool adds = change->verb == FL_LOCAL_ADD, is_there = old;

	if (!change->endpoint)
		return is_there == adds ? refuse_service(change, is_there, failure) : 0;
	if (!old)
		return refuse_service(change, false, failure);
	is_there = fl_service_endpoint_named(old, change->endpoint);
	return is_there == adds ? refuse_endpoint(change, is_there, failure) : 0;
}

/* @param old  NULL = the service is new @param ret  NULL afterwards = it goes */
static int apply(const struct fl_service *old, const struct fl_local_change *change,
	struct fl_problems *problems, struct fl_service **ret)
{
	const struct fl_patch patch = { change->text, change->length, FL_LOCAL_NAME };
	bool deletes = change->verb == FL_LOCAL_DELETE;

	if (!change->endpoint)
		return deletes ? 0 : fl_service_patch(old, change->service, &patch, problems, ret);
	return deletes ? fl_endpoint_drop(old, change->endpoint, &patch, problems, ret)
		       : fl_endpoint_patch(old, change->endpoint, &patch, problems, ret);
}

/* The list with another service, or none, at a place. */
static int replace(
	const fl_service_vec *services, size_t at, struct fl_service *changed, fl_service_vec *ret)
{
	for (size_t i = 0; i < services->count + 1; i++) {
		struct fl_service *service = i == at               ? changed
					     : i < services->count ? services->items[i]
								   : NULL;
		struct fl_service **next = service ? fl_vec_push(ret) : NULL;

		if (service && !next) {
			fl_services_done(ret);
			return -ENOMEM;
		}
		if (next)
			*next = fl_service_ref(service);
	}
	return 0;
}

int fl_local_plan(const struct fl_registry *registry, const struct fl_local_change *change,
	struct fl_failure *failure, fl_service_vec *ret)
{
	const fl_service_vec *services = &registry->services;
	size_t at = find(services, change->service);
	struct fl_service *old = at < services->count ? services->items[at] : NULL;
	struct fl_service *changed = NULL;
	struct fl_problems problems = { 0 };
	int r = check_place(old, change, failure);

	if (r == 0) {
		r = apply(old, change, &problems, &changed);
		if (r < 0)
			r = refuse_text(r, &problems, failure);
	}
	fl_problems_done(&problems);
	*ret = (fl_service_vec){ 0 };
	if (r == 0 && replace(services, at, changed, ret) < 0)
		r = fl_fail(failure, -ENOMEM, "out of memory");
	fl_service_unref(changed);
	return r;
}

int fl_local_commit(
	struct fl_registry *registry, fl_service_vec *services, struct fl_failure *failure)
{
	struct fl_problems none = { 0 };
	int r = fl_kept_store(registry->state_dir, registry->config->name, fl_clock_real_ms(),
		services->items, services->count);

	if (r < 0)
		return fl_fail(failure, r, "cannot keep it in %s: %s", registry->state_dir,
			fl_log_errno(r));
	fl_registry_publish(registry, services, &none);
	return 0;
}

/* ---------------------------------------------------------------------- driver */

/* Waits for the disk: it is little, and nothing is served before. */
static int start(struct fl_registry *registry)
{
	struct fl_kept kept;
	int r = fl_kept_load(
		registry->state_dir, registry->config->name, fl_clock_real_ms(), &kept);

	if (r < 0 && r != -ENOENT) {
		fl_registry_failed(
			registry, "what was declared by command is lost: %s", kept.message);
		return 0;
	}
	fl_registry_log_problems(registry, &kept.problems);
	fl_registry_publish(registry, &kept.services, &kept.problems);
	if (r == 0)
		registry->published_ms = kept.taken_ms;
	fl_kept_done(&kept);
	return 0;
}

static void stop(struct fl_registry *registry)
{
	(void)registry;
}

/* Nobody else writes what it reads. */
static void refresh(struct fl_registry *registry)
{
	(void)registry;
}

extern const struct fl_registry_driver fl_registry_local;
const struct fl_registry_driver fl_registry_local = {
	.type = FL_LOCAL_NAME,
	.start = start,
	.stop = stop,
	.refresh = refresh,
};

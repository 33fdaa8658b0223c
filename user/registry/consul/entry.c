/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "registry/consul/entry.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "registry/consul/build.h"

int fl_consul_entry_init(struct fl_consul_entry *entry, const char *name)
{
	*entry = (struct fl_consul_entry){ .name = strdup(name) };
	snprintf(entry->file, sizeof(entry->file), "consul service %.128s", name);
	fl_consul_plain(entry->file);
	return entry->name ? 0 : -ENOMEM;
}

static void forget_definition(struct fl_consul_entry *entry)
{
	free(entry->good.text);
	entry->good = (struct fl_consul_definition){ 0 };
}

void fl_consul_entry_done(struct fl_consul_entry *entry)
{
	fl_consul_health_done(&entry->health);
	forget_definition(entry);
	fl_consul_settings_done(&entry->settings);
	fl_service_unref(entry->service);
	fl_problems_done(&entry->problems);
	free(entry->trouble);
	free(entry->name);
}

void fl_consul_entry_answer(struct fl_consul_entry *entry, struct fl_consul_health *health)
{
	fl_consul_health_done(&entry->health);
	entry->health = *health;
	*health = (struct fl_consul_health){ 0 };
	entry->answered = true;
}

/* -------------------------------------------------------------------- one build */

/* What a build comes to. */
struct outcome {
	struct fl_service *service; /* owned; NULL = none */
	bool keep;                  /* leave what there was */
	struct fl_problems problems;
};

static int keep_text(struct fl_consul_entry *entry, const struct fl_consul_definition *definition)
{
	char *text;

	if (entry->good.text && entry->good.length == definition->length &&
		memcmp(entry->good.text, definition->text, definition->length) == 0)
		return 0;
	text = malloc(definition->length + 1);
	if (!text)
		return -ENOMEM;
	memcpy(text, definition->text, definition->length);
	forget_definition(entry);
	entry->good = (struct fl_consul_definition){
		.name = entry->name,
		.text = text,
		.length = definition->length,
		.usable = true,
		.has_endpoints = definition->has_endpoints,
	};
	return 0;
}

/* Give a begun service its endpoints. Takes it over. */
static void complete(struct fl_consul_entry *entry, struct fl_service *service, bool has_endpoints,
	struct outcome *out)
{
	struct fl_problems told = { 0 }; /* with the definition */
	int r;

	if (!has_endpoints && !entry->answered) { /* its instances are not known yet */
		out->keep = true;
		fl_service_unref(service);
		return;
	}
	if (has_endpoints)
		r = fl_service_finish(service, &told) ? 0 : -EINVAL;
	else
		r = fl_consul_build(service, &entry->health, entry->file, &out->problems);
	fl_problems_done(&told);
	if (r == 0) {
		out->service = service;
		return;
	}
	out->keep = true;
	fl_service_unref(service);
}

static bool copy_settings(const struct fl_consul_settings *from, struct fl_consul_settings *to)
{
	struct fl_consul_settings copy = { 0 };
	bool good = true;

	for (int i = 0; i < FL_CONSUL_SETTINGS && good; i++)
		if (from->values[i])
			good = (copy.values[i] = strdup(from->values[i]));
	fl_consul_settings_done(good ? to : &copy);
	if (good)
		*to = copy;
	return good;
}

/* @return a service with what the settings say, or with what they last said */
static struct fl_service *begin_from_settings(struct fl_consul_entry *entry,
	const struct fl_consul_context *context, struct fl_problems *problems)
{
	struct fl_service *service = NULL;
	struct fl_problems told = { 0 };

	if (fl_consul_settings_begin(&entry->health.settings, entry->name, entry->file,
		    context->registry, problems, &service) == 0) {
		copy_settings(&entry->health.settings, &entry->settings);
		return service;
	}
	if (fl_consul_settings_any(&entry->settings))
		fl_consul_settings_begin(&entry->settings, entry->name, entry->file,
			context->registry, &told, &service);
	fl_problems_done(&told);
	return service;
}

static void build_from_instances(
	struct fl_consul_entry *entry, const struct fl_consul_context *context, struct outcome *out)
{
	const struct fl_consul_settings *settings = &entry->health.settings;
	struct fl_service *service;

	if (!entry->answered) {
		out->keep = true;
		return;
	}
	if (!settings->values[FL_CONSUL_FRONTENDS]) {
		fl_consul_settings_done(&entry->settings);
		if (fl_consul_settings_any(settings))
			fl_problem_warn(&out->problems, (struct fl_place){ .file = entry->file },
				"instances have settings but name no frontends: it is not served");
		return;
	}
	service = begin_from_settings(entry, context, &out->problems);
	fl_problems_copy(&out->problems, &entry->health.problems);
	if (service)
		complete(entry, service, false, out);
	else
		out->keep = true;
}

static void build_defined(struct fl_consul_entry *entry, const struct fl_consul_context *context,
	const struct fl_consul_definition *definition, struct outcome *out)
{
	struct fl_problems told = { 0 };
	struct fl_service *service = NULL;
	bool has_endpoints = false;

	fl_problems_copy(&out->problems, &definition->problems);
	if (definition->usable && keep_text(entry, definition) < 0) {
		out->keep = true;
		return;
	}
	if (!entry->good.text) { /* never usable: as if it were not there, if that is something */
		build_from_instances(entry, context, out);
		out->keep |= !out->service;
		return;
	}
	if (fl_consul_definition_begin(&entry->good, context->prefix, context->registry, &told,
		    &service, &has_endpoints) < 0)
		out->keep = true;
	else
		complete(entry, service, has_endpoints, out);
	fl_problems_done(&told);
	if (entry->answered && !entry->good.has_endpoints)
		fl_problems_copy(&out->problems, &entry->health.problems);
}

/* ----------------------------------------------------------------------- the entry */

static bool is_same_problems(const struct fl_problems *a, const struct fl_problems *b)
{
	return a->errors == b->errors && fl_problems_equal(a, b);
}

static bool adopt_service(struct fl_consul_entry *entry, struct fl_service *service)
{
	if (service && entry->service && fl_service_equal(service, entry->service)) {
		fl_service_unref(service);
		return false;
	}
	if (!service && !entry->service)
		return false;
	fl_service_unref(entry->service);
	entry->service = service;
	return true;
}

bool fl_consul_entry_build(
	struct fl_consul_entry *entry, const struct fl_consul_context *context, bool *ret_news)
{
	const struct fl_consul_definition *definition =
		fl_consul_definition_find(context->definitions, entry->name);
	struct outcome out = { 0 };
	bool changed;

	if (entry->trouble)
		fl_problem_add(&out.problems, (struct fl_place){ .file = NULL },
			"%s; it stays as it was", entry->trouble);
	if (definition) {
		build_defined(entry, context, definition, &out);
	} else {
		forget_definition(entry);
		build_from_instances(entry, context, &out);
	}
	if (out.keep) {
		struct fl_service *kept =
			entry->service ? entry->service : context->before(context->of, entry->name);

		out.service = kept ? fl_service_ref(kept) : NULL;
	}
	changed = adopt_service(entry, out.service);
	*ret_news = !is_same_problems(&entry->problems, &out.problems);
	fl_problems_done(&entry->problems);
	entry->problems = out.problems;
	return changed || *ret_news;
}

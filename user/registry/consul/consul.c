/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The Consul registry.
 *
 *   catalogue ─► names ──┐
 *   KV store ─► services │ that are defined or selected: one watch for each
 *        │               ▼
 *        │        /v1/health/service/NAME ─► instances and what they say (health.c)
 *        └──────────────┬────────┘
 *                       ▼
 *               entry.c: definition + instances ─► service ─► published with all the others
 *
 * Every question blocks until something changes (watch.c). Only the service whose answer
 * changed is made anew; the others are published again as the same objects. Nothing is
 * published before everything has answered once: half an answer would remove services.
 * What cannot be read leaves everything as it was.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM          1
#define uthash_nonfatal_oom(entry) ((entry)->lost = true)
#include <uthash.h>

#include "core/cleanup.h"
#include "core/log.h"
#include "registry/consul/client.h"
#include "registry/consul/entry.h"
#include "registry/consul/owner.h"
#include "registry/consul/watch.h"
#include "registry/consul/work.h"
#include "registry/consul/writer.h"
#include "registry/driver.h"

#define REOPEN_MS 5000 /* TLS files that cannot be read may come */
/* A service that cannot be read while others can does not hold up the first publish
 * for longer than this many tries. */
#define FAILURES_MAX 3

/* A service that is watched, or defined in the store. */
struct member {
	struct fl_consul_entry entry;
	struct consul *consul;
	struct fl_consul_watch *watch; /* NULL = its endpoints do not come from Consul */
	bool lost;                     /* out of memory: it could not be entered */
	UT_hash_handle hh;
};

struct consul {
	struct fl_registry *registry; /* NULL = stopped: free when all is closed */
	struct fl_registry_config *config;
	char owner[FL_CONSUL_OWNER_TEXT];
	struct fl_consul_client *client;
	struct fl_consul_watches *watches; /* NULL = not begun */
	struct fl_consul_writer *writer;
	struct fl_consul_watch *catalog, *kv;
	bool has_catalog, has_kv;           /* each answered once; a store that is not read has */
	char *catalog_trouble, *kv_trouble; /* why the last question failed; NULL = it did not */
	fl_consul_names selected;
	fl_consul_definitions definitions;
	struct member *members; /* hash by name, in order of names */
	bool is_complete;       /* everything answered once */
	bool is_dirty;          /* something is to be published */
	uv_timer_t publishing;  /* at the end of this turn of the loop */
	uv_timer_t reopening;
	unsigned handles; /* open ones, and answers that are being read */
};

/* ------------------------------------------------------------------- publishing */

/* Whether everything has answered once, or has been tried often enough. */
static bool is_complete(struct consul *c)
{
	if (c->is_complete)
		return true;
	if (!c->has_catalog || !c->has_kv)
		return false;
	for (const struct member *m = c->members; m; m = m->hh.next)
		if (m->watch && !m->entry.answered && m->entry.failures < FAILURES_MAX)
			return false;
	c->is_complete = true;
	fl_log(FL_LOG_DEBUG, "consul", "everything has answered once",
		FL_STR("registry", c->config->name), FL_UINT("services", HASH_COUNT(c->members)));
	return true;
}

static void warn_partial(const struct fl_consul_watch *watch, struct fl_problems *problems)
{
	if (watch && fl_consul_watch_is_partial(watch))
		fl_problem_warn(problems, (struct fl_place){ .file = NULL },
			"%s: ACLs hide a part of it: give the token service:read, node:read and "
			"key:read, or choose what is read by tags, pattern or kv",
			fl_consul_watch_subject(watch));
}

static int collect(const struct consul *c, fl_service_vec *services, struct fl_problems *problems)
{
	bool is_partial = false;

	if (c->kv_trouble)
		fl_problem_add(problems, (struct fl_place){ .file = NULL },
			"%s; what it defines stays as it was (kv: off = it is not read)",
			c->kv_trouble);
	warn_partial(c->catalog, problems);
	warn_partial(c->kv, problems);
	for (const struct member *m = c->members; m; m = m->hh.next) {
		if (!is_partial && m->watch && fl_consul_watch_is_partial(m->watch)) {
			warn_partial(m->watch, problems);
			is_partial = true; /* one of them tells enough */
		}
		fl_problems_copy(problems, &m->entry.problems);
		if (m->entry.service) {
			struct fl_service **service = fl_vec_push(services);

			if (!service)
				return -ENOMEM;
			*service = fl_service_ref(m->entry.service);
		}
	}
	return 0;
}

static void publish(struct consul *c)
{
	fl_service_vec services = { 0 };
	struct fl_problems problems = { 0 };

	c->is_dirty = false;
	if (collect(c, &services, &problems) == 0) {
		fl_registry_publish(c->registry, &services, &problems);
		if (c->catalog_trouble)
			fl_registry_failed(c->registry, "%s", c->catalog_trouble);
		return;
	}
	fl_services_done(&services);
	fl_problems_done(&problems);
	fl_registry_failed(c->registry, "out of memory");
}

static void on_publish(uv_timer_t *timer)
{
	struct consul *c = timer->data;

	if (c->registry && c->is_dirty && is_complete(c))
		publish(c);
}

/* Changes within one turn of the loop are one. */
static void touch(struct consul *c)
{
	c->is_dirty = true;
	uv_timer_start(&c->publishing, on_publish, 0, 0);
}

/* What was last published under a name, perhaps by an agent before this one. */
static struct fl_service *published_before(void *of, const char *name)
{
	const struct consul *c = of;
	const fl_service_vec *services = &c->registry->services;

	for (size_t i = 0; i < services->count; i++)
		if (strcmp(services->items[i]->name, name) == 0)
			return services->items[i];
	return NULL;
}

static void rebuild(struct member *m)
{
	struct consul *c = m->consul;
	struct fl_consul_context context = { c->config->name, c->config->consul.kv, &c->definitions,
		published_before, c };
	bool news = false;

	if (fl_consul_entry_build(&m->entry, &context, &news))
		touch(c);
	if (news)
		fl_registry_log_problems(c->registry, &m->entry.problems);
	if (!c->is_complete)
		touch(c); /* it may have been the last one */
}

/* ---------------------------------------------------------------------- members */

static struct member *find_member(const struct consul *c, const char *name)
{
	struct member *m;

	HASH_FIND(hh, c->members, name, strlen(name), m);
	return m;
}

static int by_name(const struct member *a, const struct member *b)
{
	return strcmp(a->entry.name, b->entry.name);
}

static struct member *add_member(struct consul *c, const char *name)
{
	struct member *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->consul = c;
	if (fl_consul_entry_init(&m->entry, name) == 0) {
		HASH_ADD_KEYPTR(hh, c->members, m->entry.name, strlen(m->entry.name), m);
		if (!m->lost)
			return m;
	}
	fl_consul_entry_done(&m->entry);
	free(m);
	return NULL;
}

static void remove_member(struct member *m)
{
	struct consul *c = m->consul;

	if (m->entry.service || m->entry.problems.count)
		touch(c);
	HASH_DEL(c->members, m);
	fl_consul_watch_end(m->watch);
	fl_consul_entry_done(&m->entry);
	free(m);
}

static int begin_watch(struct member *m)
{
	char path[64 + 3 * FL_CONSUL_NAME_MAX + 1] = "/v1/health/service/";
	size_t length = strlen(path);
	struct fl_consul_watch_options options = {
		.path = path, .subject = m->entry.file, .filtered = true
	};

	fl_consul_escape(m->entry.name, path + length, sizeof(path) - length);
	m->watch = fl_consul_watch_add(m->consul->watches, &options, m);
	return m->watch ? 0 : -ENOMEM;
}

/* Whether its instances are wanted: it is selected and not defined, or defined without
 * endpoints. */
static bool needs_watch(const struct consul *c, const char *name)
{
	const struct fl_consul_definition *definition =
		fl_consul_definition_find(&c->definitions, name);

	if (definition && definition->usable)
		return !definition->has_endpoints;
	return definition || fl_consul_names_has(&c->selected, name);
}

/* One that is wanted under this name. @return 0, -ENOMEM */
static int want(struct consul *c, const char *name)
{
	struct member *m = find_member(c, name);
	bool watched = needs_watch(c, name);

	if (!m)
		m = add_member(c, name);
	if (!m)
		return -ENOMEM;
	if (!watched) {
		fl_consul_watch_end(TAKE_PTR(m->watch));
		m->entry.answered = false;
		return 0;
	}
	return m->watch ? 0 : begin_watch(m);
}

static bool is_wanted(const struct consul *c, const char *name)
{
	return fl_consul_definition_find(&c->definitions, name) ||
	       fl_consul_names_has(&c->selected, name);
}

/* Watch what is selected or defined now, and nothing else. */
static void update_members(struct consul *c)
{
	struct member *m, *next;
	unsigned before;
	int r = 0;

	HASH_ITER(hh, c->members, m, next)
		if (!is_wanted(c, m->entry.name))
			remove_member(m);
	before = HASH_COUNT(c->members);
	for (size_t i = 0; i < c->selected.count && r == 0; i++)
		r = want(c, c->selected.items[i]);
	for (size_t i = 0; i < c->definitions.count && r == 0; i++)
		r = want(c, c->definitions.items[i].name);
	if (HASH_COUNT(c->members) != before)
		HASH_SRT(hh, c->members, by_name);
	if (r < 0)
		fl_registry_failed(c->registry, "out of memory");
}

/* ---------------------------------------------------------------------- answers */

static void adopt_catalog(struct consul *c, fl_consul_names *names)
{
	fl_consul_names_done(&c->selected);
	c->selected = *names;
	*names = (fl_consul_names){ 0 };
	c->has_catalog = true;
	update_members(c);
	if (!c->is_complete)
		touch(c);
}

/* @return whether the definition of that name is another than before */
static bool is_redefined(
	const fl_consul_definitions *before, const fl_consul_definitions *after, const char *name)
{
	const struct fl_consul_definition *a = fl_consul_definition_find(before, name);
	const struct fl_consul_definition *b = fl_consul_definition_find(after, name);

	if (!a || !b || !a->text || !b->text)
		return a || b;
	return a->length != b->length || memcmp(a->text, b->text, a->length) != 0;
}

static void adopt_definitions(struct consul *c, fl_consul_definitions *definitions)
{
	fl_consul_definitions before = c->definitions;

	c->definitions = *definitions;
	*definitions = (fl_consul_definitions){ 0 };
	c->has_kv = true;
	update_members(c);
	for (struct member *m = c->members; m; m = m->hh.next)
		if (is_redefined(&before, &c->definitions, m->entry.name))
			rebuild(m);
	fl_consul_definitions_done(&before);
	if (!c->is_complete)
		touch(c);
}

static void adopt_health(struct member *m, struct fl_consul_health *health)
{
	fl_consul_entry_answer(&m->entry, health);
	rebuild(m);
}

static void on_read(struct fl_consul_work *work)
{
	struct consul *c = work->context;
	struct fl_consul_watch *watch = work->watch;
	void *owner = fl_consul_watch_owner(watch);
	char message[320];

	if (owner && work->error == 0) {
		if (work->kind == FL_CONSUL_OF_CATALOG)
			adopt_catalog(c, &work->names);
		else if (work->kind == FL_CONSUL_OF_KV)
			adopt_definitions(c, &work->definitions);
		else
			adopt_health(owner, &work->health);
	}
	if (work->error < 0 && owner) {
		snprintf(message, sizeof(message), "%s: the answer cannot be used: %s",
			fl_consul_watch_subject(watch),
			work->error == -ENOMEM ? "out of memory" : work->why);
		fl_consul_watch_refuse(watch, message);
	} else {
		fl_consul_watch_accept(watch);
	}
}

/* ------------------------------------------------------------------------ hooks */

static void clear(char **trouble)
{
	free(*trouble);
	*trouble = NULL;
}

static void replace(char **trouble, const char *message)
{
	clear(trouble);
	*trouble = strdup(message);
}

static void release(struct consul *c)
{
	if (--c->handles)
		return;
	fl_registry_config_unref(c->config);
	fl_consul_names_done(&c->selected);
	fl_consul_definitions_done(&c->definitions);
	clear(&c->catalog_trouble);
	clear(&c->kv_trouble);
	free(c);
}

static void on_work_done(struct fl_consul_work *work)
{
	struct consul *c = work->context;

	on_read(work);
	release(c);
}

static void answered(void *context, struct fl_consul_watch *watch, char *body, size_t length)
{
	struct consul *c = context;
	struct fl_consul_work *work = calloc(1, sizeof(*work));

	if (!work) {
		free(body);
		fl_consul_watch_refuse(watch, "out of memory");
		return;
	}
	work->done = on_work_done;
	work->context = c;
	work->watch = watch;
	work->config = c->config;
	work->known = &c->definitions;
	work->kind = watch == c->catalog ? FL_CONSUL_OF_CATALOG
		     : watch == c->kv    ? FL_CONSUL_OF_KV
					 : FL_CONSUL_OF_SERVICE;
	snprintf(work->file, sizeof(work->file), "%s", fl_consul_watch_subject(watch));
	snprintf(work->owner, sizeof(work->owner), "%s", c->owner);
	c->handles++;
	fl_consul_work_start(c->registry->loop, work, body, length);
}

static struct member *member_of(const struct consul *c, const struct fl_consul_watch *watch)
{
	return watch == c->catalog || watch == c->kv ? NULL : fl_consul_watch_owner(watch);
}

static void confirmed(void *context, struct fl_consul_watch *watch)
{
	struct consul *c = context;
	struct member *m = member_of(c, watch);

	if (watch == c->catalog)
		clear(&c->catalog_trouble);
	if (watch == c->kv && c->kv_trouble) {
		clear(&c->kv_trouble);
		touch(c);
	}
	if (m)
		m->entry.failures = 0;
	if (m && m->entry.trouble) {
		clear(&m->entry.trouble);
		rebuild(m);
	}
	if (fl_registry_has_spoken(c->registry) && !c->catalog_trouble)
		fl_registry_confirm(c->registry);
}

/* One service that cannot be read is a problem of that service, and so is the store; what
 * Consul as a whole or its catalogue refuses is one of the registry. */
static void failed(void *context, struct fl_consul_watch *watch, const char *message)
{
	struct consul *c = context;
	struct member *m = member_of(c, watch);

	if (watch == c->catalog)
		replace(&c->catalog_trouble, message);
	if (watch == c->catalog || fl_consul_watches_are_cut_off(c->watches)) {
		fl_registry_failed(c->registry, "%s", message);
		return;
	}
	if (m) {
		m->entry.failures++;
		replace(&m->entry.trouble, message);
		rebuild(m);
		return;
	}
	replace(&c->kv_trouble, message);
	if (fl_registry_has_spoken(c->registry))
		touch(c);
	else
		fl_registry_failed(c->registry, "%s (kv: off = it is not read)", message);
}

static const struct fl_consul_watch_hooks hooks = { answered, confirmed, failed };

/* ------------------------------------------------------------------------ driver */

static int begin_watches(struct consul *c)
{
	const struct fl_consul_config *config = &c->config->consul;
	struct fl_consul_watch_options catalog = {
		.path = "/v1/catalog/services", .subject = "catalog of services", .urgent = true
	};
	struct fl_consul_watch_options kv = {
		.subject = "key-value store", .urgent = true, .may_be_absent = true
	};
	char path[64 + 3 * 256 + 1] = "/v1/kv/";

	c->watches = fl_consul_watches_open(c->registry->loop, config, c->client, &hooks, c);
	c->catalog = c->watches ? fl_consul_watch_add(c->watches, &catalog, c) : NULL;
	if (!c->catalog)
		return -ENOMEM;
	c->has_kv = !config->kv;
	if (config->kv) {
		fl_consul_escape(config->kv, path + strlen(path), sizeof(path) - 32);
		strcat(path, "/?recurse");
		kv.path = path;
		c->kv = fl_consul_watch_add(c->watches, &kv, c);
		if (!c->kv)
			return -ENOMEM;
	}
	return fl_consul_writer_start(c->registry, c->client, &c->writer);
}

static void reopen(uv_timer_t *timer);

static int open_client(struct consul *c)
{
	struct fl_failure failure = { 0 };
	int r = fl_consul_client_open(c->registry->loop, &c->config->consul, &failure, &c->client);

	if (r == -ENOMEM)
		return r;
	if (r < 0) {
		fl_registry_failed(c->registry, "%s%s%s",
			failure.message[0] ? failure.message : fl_log_errno(r),
			failure.hint[0] ? ": " : "", failure.hint);
		uv_timer_start(&c->reopening, reopen, REOPEN_MS, 0);
		return 0;
	}
	return begin_watches(c);
}

static void reopen(uv_timer_t *timer)
{
	struct consul *c = timer->data;

	if (!c->client && open_client(c) < 0)
		fl_registry_failed(c->registry, "out of memory");
}

static void on_closed(uv_handle_t *handle)
{
	release(handle->data);
}

static void stop(struct fl_registry *registry)
{
	struct consul *c = TAKE_PTR(registry->state);
	struct member *m, *next;

	HASH_ITER(hh, c->members, m, next)
		remove_member(m);
	fl_consul_writer_stop(c->writer);
	fl_consul_watches_close(c->watches);
	fl_consul_client_close(c->client);
	c->registry = NULL;
	uv_close((uv_handle_t *)&c->publishing, on_closed);
	uv_close((uv_handle_t *)&c->reopening, on_closed);
}

static int start(struct fl_registry *registry)
{
	struct consul *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	c->registry = registry;
	c->config = fl_registry_config_ref(registry->config);
	fl_consul_owner_format(registry->node, registry->config->name, c->owner);
	uv_timer_init(registry->loop, &c->publishing);
	uv_timer_init(registry->loop, &c->reopening);
	c->publishing.data = c->reopening.data = c;
	c->handles = 2;
	registry->state = c;
	r = open_client(c);
	if (r < 0)
		stop(registry);
	return r;
}

static void refresh(struct fl_registry *registry)
{
	struct consul *c = registry->state;

	if (c->watches)
		fl_consul_watches_refresh(c->watches);
	else
		uv_timer_start(&c->reopening, reopen, 0, 0);
}

static void applied(struct fl_registry *registry, const struct fl_snapshot *snapshot)
{
	struct consul *c = registry->state;

	if (c->writer)
		fl_consul_writer_applied(c->writer, snapshot);
}

static void written(const struct fl_registry *registry, struct fl_written *ret)
{
	const struct consul *c = registry->state;

	if (c->writer)
		fl_consul_writer_written(c->writer, ret);
}

extern const struct fl_registry_driver fl_registry_consul;
const struct fl_registry_driver fl_registry_consul = {
	.type = "consul",
	.remote = true,
	.start = start,
	.stop = stop,
	.refresh = refresh,
	.applied = applied,
	.written = written,
};

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "health/heartbeats.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM        1
#define uthash_nonfatal_oom(elt) ((elt)->lost = true)
#include <uthash.h>

#include "core/log.h"

static const char *const names[] = {
	[FL_BEAT_PASS] = "pass",
	[FL_BEAT_WARN] = "warn",
	[FL_BEAT_FAIL] = "fail",
};

/** The endpoints of one service. */
struct group {
	UT_hash_handle hh;
	bool lost;
	struct fl_service *service; /* one reference; owns the name */
	uint64_t *due_ms; /* of each endpoint, on the loop's clock; UINT64_MAX = overdue */
};

struct fl_heartbeats {
	uv_loop_t *loop;
	uv_timer_t timer; /* when the first of all is due */
	struct fl_health *health;
	struct fl_snapshot *declared; /* NULL = nothing yet */
	struct group *groups;         /* by name */
};

const char *fl_beat_name(enum fl_beat beat)
{
	return names[beat];
}

int fl_beat_find(const char *name, enum fl_beat *ret)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i], name) == 0) {
			*ret = (enum fl_beat)i;
			return 0;
		}
	return -EINVAL;
}

static struct group *find_group(const struct fl_heartbeats *h, const char *service)
{
	struct group *group;

	HASH_FIND(hh, h->groups, service, strlen(service), group);
	return group;
}

static struct fl_health_key key_of(const struct fl_service *service, size_t at)
{
	return (struct fl_health_key){ service->name, service->endpoints[at].addr,
		service->endpoints[at].port };
}

static void set_sign(struct fl_heartbeats *h, const struct fl_service *service, size_t at,
	enum fl_sign sign, const char *detail)
{
	struct fl_health_key key = key_of(service, at);

	if (fl_health_set_heartbeat(h->health, &key, sign, detail) < 0)
		fl_log(FL_LOG_ERROR, "health", "out of memory, keeping the verdict",
			FL_STR("service", service->name));
}

/* ------------------------------------------------------------------------- overdue */

static void say_overdue(const struct fl_service *service, size_t at)
{
	const struct fl_endpoint *endpoint = &service->endpoints[at];
	char address[FL_SOCKET_TEXT];

	fl_log(FL_LOG_INFO, "health", "endpoint is down", FL_STR("service", service->name),
		FL_STR("endpoint", fl_socket_format(&endpoint->addr, endpoint->port, address)),
		FL_STR("detail", "no heartbeat in time"));
}

static void miss(struct fl_heartbeats *h, struct group *group, size_t at)
{
	char detail[64];

	group->due_ms[at] = UINT64_MAX;
	snprintf(detail, sizeof(detail), "none within %u ms", group->service->heartbeat_ms);
	say_overdue(group->service, at);
	set_sign(h, group->service, at, FL_SIGN_DOWN, detail);
}

static void on_timer(uv_timer_t *timer);

/* Wake up when the first is due. */
static void rearm(struct fl_heartbeats *h)
{
	uint64_t first_ms = UINT64_MAX, now_ms = uv_now(h->loop);
	struct group *group, *next;

	HASH_ITER(hh, h->groups, group, next)
		for (size_t i = 0; i < group->service->endpoint_count; i++)
			if (group->due_ms[i] < first_ms)
				first_ms = group->due_ms[i];
	if (first_ms == UINT64_MAX)
		uv_timer_stop(&h->timer);
	else
		uv_timer_start(&h->timer, on_timer, first_ms > now_ms ? first_ms - now_ms : 0, 0);
}

static void on_timer(uv_timer_t *timer)
{
	struct fl_heartbeats *h = timer->data;
	uint64_t now_ms = uv_now(h->loop);
	struct group *group, *next;

	HASH_ITER(hh, h->groups, group, next)
		for (size_t i = 0; i < group->service->endpoint_count; i++)
			if (group->due_ms[i] <= now_ms)
				miss(h, group, i);
	rearm(h);
}

/* ---------------------------------------------------------------------------- heed */

static size_t find_endpoint(const struct fl_service *service, const struct fl_health_key *key)
{
	size_t at = 0;

	while (at < service->endpoint_count &&
		(service->endpoints[at].port != key->port ||
			!fl_ip_equal(&service->endpoints[at].addr, &key->addr)))
		at++;
	return at;
}

static int find(const struct fl_heartbeats *h, const struct fl_health_key *key,
	struct fl_failure *failure, struct group **ret_group, size_t *ret_at)
{
	struct fl_service *service = fl_snapshot_find(h->declared, key->service);
	char address[FL_SOCKET_TEXT];

	if (!service) {
		fl_fail(failure, -ENOENT, "no service is called \"%s\"", key->service);
		fl_fail_hint(failure, "list the services with: fairlead service list");
		return -ENOENT;
	}
	*ret_group = find_group(h, key->service);
	if (!*ret_group) {
		fl_fail(failure, -ENOENT, "%s expects no heartbeats", key->service);
		fl_fail_hint(
			failure, "give the service a heartbeat: DURATION where it is declared");
		return -ENOENT;
	}
	*ret_at = find_endpoint(service, key);
	if (*ret_at < service->endpoint_count)
		return 0;
	fl_fail(failure, -ENOENT, "%s has no endpoint %s", key->service,
		key->port ? fl_socket_format(&key->addr, key->port, address)
			  : fl_ip_format(&key->addr, address));
	fl_fail_hint(failure, "list them with: fairlead endpoint list %s", key->service);
	return -ENOENT;
}

int fl_heartbeats_heed(struct fl_heartbeats *h, const struct fl_health_key *key, enum fl_beat beat,
	const char *note, struct fl_failure *failure)
{
	struct group *group;
	char detail[FL_DETAIL_MAX];
	size_t at;
	int r = find(h, key, failure, &group, &at);

	if (r < 0)
		return r;
	snprintf(detail, sizeof(detail), "%s%s%s", fl_beat_name(beat), note && *note ? ": " : "",
		note ? note : "");
	r = fl_health_set_heartbeat(
		h->health, key, beat == FL_BEAT_FAIL ? FL_SIGN_DOWN : FL_SIGN_UP, detail);
	if (r < 0)
		return fl_fail(failure, r, "out of memory");
	group->due_ms[at] = uv_now(h->loop) + group->service->heartbeat_ms;
	rearm(h);
	return 0;
}

/* ----------------------------------------------------------------------- configure */

static void drop_group(struct fl_heartbeats *h, struct group *group)
{
	HASH_DELETE(hh, h->groups, group);
	fl_service_unref(group->service);
	free(group->due_ms);
	free(group);
}

/* Those of `old` that `new` does not have are nobody's any more. Both are sorted alike. */
static void take_back(
	struct fl_heartbeats *h, const struct fl_service *old, const struct fl_service *new)
{
	for (size_t i = 0; i < old->endpoint_count; i++) {
		struct fl_health_key key = key_of(old, i);

		if (!new || find_endpoint(new, &key) == new->endpoint_count)
			set_sign(h, old, i, FL_SIGN_NONE, NULL);
	}
}

static void expect_one(struct fl_heartbeats *h, struct group *group, const struct group *old,
	size_t at, uint64_t now_ms)
{
	struct fl_health_key key = key_of(group->service, at);
	size_t was = old ? find_endpoint(old->service, &key) : 0;
	const struct fl_signals *signals = fl_health_signals(h->health, &key);

	group->due_ms[at] = now_ms + group->service->heartbeat_ms;
	if (old && was < old->service->endpoint_count &&
		old->service->heartbeat_ms == group->service->heartbeat_ms)
		group->due_ms[at] = old->due_ms[was];
	else if (!signals || signals->heartbeat == FL_SIGN_NONE)
		set_sign(h, group->service, at, FL_SIGN_UP, "none yet");
}

static int expect_service(struct fl_heartbeats *h, struct fl_service *service)
{
	struct group *group = calloc(1, sizeof(*group)), *old = find_group(h, service->name);

	if (!group || !(group->due_ms = calloc(service->endpoint_count + 1, sizeof(uint64_t)))) {
		free(group);
		return -ENOMEM;
	}
	group->service = fl_service_ref(service);
	for (size_t i = 0; i < service->endpoint_count; i++)
		expect_one(h, group, old, i, uv_now(h->loop));
	if (old) {
		take_back(h, old->service, service);
		drop_group(h, old);
	}
	HASH_ADD_KEYPTR(hh, h->groups, service->name, strlen(service->name), group);
	if (!group->lost)
		return 0;
	fl_service_unref(group->service);
	free(group->due_ms);
	free(group);
	return -ENOMEM;
}

/* @param service  NULL = it is gone @param before  NULL = it is new: an earlier agent may have
 * expected heartbeats of it */
static void ignore_service(
	struct fl_heartbeats *h, const struct fl_service *service, const struct fl_service *before)
{
	struct group *group = find_group(h, service ? service->name : before->name);

	if (group) {
		take_back(h, group->service, NULL);
		drop_group(h, group);
	} else if (!before && fl_health_count(h->health)) {
		take_back(h, service, NULL);
	}
}

int fl_heartbeats_configure(struct fl_heartbeats *h, struct fl_snapshot *declared)
{
	struct fl_snapshot_change change = { 0 };
	int r = 0;

	if (!h || declared == h->declared)
		return 0;
	while (r == 0 && fl_snapshot_next_change(h->declared, declared, &change)) {
		if (change.new && change.new->heartbeat_ms)
			r = expect_service(h, change.new);
		else
			ignore_service(h, change.new, change.old);
	}
	rearm(h);
	if (r < 0)
		return r;
	fl_snapshot_ref(declared);
	fl_snapshot_unref(h->declared);
	h->declared = declared;
	return 0;
}

/* ------------------------------------------------------------------ start and stop */

int fl_heartbeats_start(uv_loop_t *loop, struct fl_health *health, struct fl_heartbeats **ret)
{
	struct fl_heartbeats *h = calloc(1, sizeof(*h));

	if (!h)
		return -ENOMEM;
	h->loop = loop;
	h->health = health;
	uv_timer_init(loop, &h->timer);
	h->timer.data = h;
	*ret = h;
	return 0;
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

void fl_heartbeats_stop(struct fl_heartbeats *h)
{
	struct group *group, *next;

	if (!h)
		return;
	HASH_ITER(hh, h->groups, group, next)
		drop_group(h, group);
	fl_snapshot_unref(h->declared);
	uv_close((uv_handle_t *)&h->timer, on_closed);
}

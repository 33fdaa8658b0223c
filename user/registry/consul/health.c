/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "registry/consul/health.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "config/yaml.h"
#include "core/json_pull.h"
#include "model/service.h"
#include "registry/consul/instance.h"

#define ZONE_MAX 63
#define NODE_MAX 253

/* One answer as it is read. */
struct reading {
	struct fl_pull pull;
	struct fl_consul_health *health;
	fl_consul_votes votes;
	const char *file, *owner;
	bool no_memory;
};

/* ------------------------------------------------------------------- messages */

static void show(const char *text, char buffer[FL_NODE_TEXT])
{
	struct fl_node node = { .kind = FL_NODE_SCALAR, .text = text };

	fl_node_show(&node, buffer);
}

char *fl_consul_plain(char *text)
{
	for (char *c = text; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '?';
	return text;
}

char *fl_consul_instance_show(
	const char *id, const char *node, char buffer[FL_CONSUL_INSTANCE_TEXT])
{
	char shown_id[FL_NODE_TEXT], shown_node[FL_NODE_TEXT];

	show(id && *id ? id : "(without an ID)", shown_id);
	show(node && *node ? node : "(without a name)", shown_node);
	snprintf(buffer, FL_CONSUL_INSTANCE_TEXT, "%s on %s", shown_id, shown_node);
	return buffer;
}

/* "instance web-1 on n1: …" */
static void tell(struct reading *r, const struct fl_consul_item *e, bool is_left_out,
	const char *format, ...) __attribute__((format(printf, 4, 5)));
static void tell(struct reading *r, const struct fl_consul_item *e, bool is_left_out,
	const char *format, ...)
{
	struct fl_place place = { .file = r->file };
	char who[FL_CONSUL_INSTANCE_TEXT];
	char what[256];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(what, sizeof(what), format, arguments);
	va_end(arguments);
	fl_consul_instance_show(e->id, e->node, who);
	if (is_left_out)
		fl_problem_add(
			&r->health->problems, place, "instance %s: %s; it is left out", who, what);
	else
		fl_problem_warn(&r->health->problems, place, "instance %s: %s", who, what);
}

/* ----------------------------------------------------------------- the instance */

static bool is_host(const char *text, struct fl_ip *ret)
{
	return text && fl_ip_parse(text, ret) == 0 && fl_ip_is_host(ret);
}

/* Its address, and the one it names for the other family. @return false when it has none */
static bool find_addresses(
	struct reading *r, const struct fl_consul_item *e, struct fl_consul_endpoint *ret)
{
	bool has_own = e->address && *e->address;
	const char *text = has_own ? e->address : e->node_address;
	struct fl_ip addr;

	if (is_host(text, &addr)) {
		enum fl_family family = fl_ip_family(&addr);

		ret->addr[family] = addr;
		ret->port[family] = (uint16_t)e->port;
		ret->has[family] = true;
	}
	for (enum fl_family family = 0; family < FL_FAMILIES; family++) {
		bool of_service = e->tagged[family] && *e->tagged[family];
		const char *tagged = of_service ? e->tagged[family]
				     : has_own  ? NULL
						: e->node_tagged[family];

		if (ret->has[family] || !is_host(tagged, &addr) || fl_ip_family(&addr) != family)
			continue;
		ret->addr[family] = addr;
		ret->port[family] = (uint16_t)(of_service ? e->tagged_port[family] : e->port);
		ret->has[family] = true;
	}
	if (ret->has[FL_IPV4] || ret->has[FL_IPV6])
		return true;
	if (!text || !*text) {
		tell(r, e, true, "it has no address");
	} else {
		char shown[FL_NODE_TEXT];

		show(text, shown);
		tell(r, e, true, "%s is %s, expected the IP address of a host", shown,
			fl_ip_parse(text, &addr) == 0 ? "no address of one host" : "a name");
	}
	return false;
}

static void find_state(
	struct reading *r, const struct fl_consul_item *e, struct fl_consul_endpoint *ret)
{
	char shown[FL_NODE_TEXT];

	if (e->odd_status) {
		show(e->odd_status, shown);
		tell(r, e, false, "a check's Status is %s, taken as critical", shown);
	}
	ret->state = e->is_critical ? FL_DOWN : e->is_maintained ? FL_DRAINING : FL_UP;
	ret->weight = (uint16_t)(ret->state == FL_UP && e->is_warned ? e->warning : e->passing);
}

/* Keep a text. @return its offset, 0 = none */
static uint32_t keep(struct reading *r, const char *text)
{
	uint32_t offset = (uint32_t)r->health->texts.length;

	if (!text || !*text)
		return 0;
	fl_text_put(&r->health->texts, text, strlen(text) + 1);
	return offset;
}

/* Zone and node are for people; what does not fit is no reason to lose the instance. */
static uint32_t keep_label(struct reading *r, const struct fl_consul_item *e, const char *text,
	size_t max, const char *what)
{
	if (text && strlen(text) > max) {
		tell(r, e, false, "its %s is longer than %zu bytes, and not shown", what, max);
		return 0;
	}
	for (const unsigned char *c = (const unsigned char *)text; c && *c; c++)
		if (*c < 0x20 || *c == 0x7f) {
			tell(r, e, false, "its %s has control characters, and is not shown", what);
			return 0;
		}
	return keep(r, text);
}

static void add_endpoint(struct reading *r, const struct fl_consul_item *e)
{
	struct fl_consul_endpoint found = { 0 };
	struct fl_consul_endpoint *endpoint;

	if (!find_addresses(r, e, &found))
		return;
	find_state(r, e, &found);
	found.id = keep(r, e->id);
	found.node = keep_label(r, e, e->our_node ? e->our_node : e->node, NODE_MAX, "node");
	found.zone = keep_label(r, e,
		e->our_zone ? e->our_zone
		: e->zone   ? e->zone
			    : e->node_zone,
		ZONE_MAX, "zone");
	endpoint = fl_vec_push(&r->health->endpoints);
	if (endpoint)
		*endpoint = found;
	else
		r->no_memory = true;
}

static void add_vote(struct reading *r, struct fl_consul_item *e)
{
	char who[FL_CONSUL_INSTANCE_TEXT];
	bool any = false;

	fl_text_putc(&e->frontends, '\0');
	if (e->frontends.failed) {
		r->no_memory = true;
		return;
	}
	if (!e->settings[FL_CONSUL_FRONTENDS] && e->frontends.length > 1)
		e->settings[FL_CONSUL_FRONTENDS] = e->frontends.data;
	for (int i = 0; i < FL_CONSUL_SETTINGS; i++)
		any |= e->settings[i] != NULL;
	if (any && fl_consul_votes_add(&r->votes, e->settings,
			   fl_consul_instance_show(e->id, e->node, who)) < 0)
		r->no_memory = true;
}

static void take(struct reading *r, struct fl_consul_item *e)
{
	char shown[FL_NODE_TEXT];

	if (r->pull.error)
		return;
	if (r->owner && e->owner && strcmp(r->owner, e->owner) == 0) {
		r->health->own++;
		return;
	}
	if (e->unknown) {
		show(e->unknown, shown);
		tell(r, e, false, "%s is no key of ours", shown);
	}
	if (e->wrong) {
		tell(r, e, true, "%s", e->wrong);
		return;
	}
	add_vote(r, e);
	add_endpoint(r, e);
}

/* ------------------------------------------------------------------- the answer */

static int outcome(struct reading *r, char *why, size_t why_size)
{
	if (r->pull.error) {
		snprintf(why, why_size, "%s, at byte %zu", r->pull.error, r->pull.where);
		return -EBADMSG;
	}
	return r->no_memory || r->health->texts.failed ? -ENOMEM : 0;
}

int fl_consul_health_parse(char *body, size_t length, const char *file, const char *owner,
	struct fl_consul_health *ret, char *why, size_t why_size)
{
	struct reading r = { .health = ret, .file = file, .owner = owner };
	struct fl_consul_item item;
	size_t count = 0;
	int error;

	*ret = (struct fl_consul_health){ 0 };
	fl_text_putc(&ret->texts, '\0');
	fl_pull_open(&r.pull, body, length);
	if (fl_pull_peek(&r.pull) != FL_PULL_LIST)
		fl_pull_fail(&r.pull, "no list where one must be");
	if (fl_pull_enter(&r.pull, FL_PULL_LIST))
		while (fl_pull_item(&r.pull)) {
			if (++count > FL_ENDPOINTS_PER_SERVICE)
				fl_pull_fail(&r.pull, "more instances than a service can have");
			fl_consul_item_read(&r.pull, &item);
			take(&r, &item);
			fl_consul_item_done(&item);
		}
	fl_pull_finish(&r.pull);
	error = outcome(&r, why, why_size);
	if (error == 0)
		fl_consul_votes_count(&r.votes, file, &ret->problems, &ret->settings);
	fl_consul_votes_done(&r.votes);
	if (error < 0)
		fl_consul_health_done(ret);
	return error;
}

void fl_consul_health_done(struct fl_consul_health *health)
{
	fl_vec_done(&health->endpoints);
	fl_text_done(&health->texts);
	fl_consul_settings_done(&health->settings);
	fl_problems_done(&health->problems);
	*health = (struct fl_consul_health){ 0 };
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "registry/consul/health.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "config/yaml.h"
#include "core/json_pull.h"
#include "model/service.h"
#include "registry/consul/owner.h"

#define ZONE_MAX 63
#define NODE_MAX 253

/* Members that count; each stands at most once in its object. */
enum member {
	ENTRY_NODE,
	ENTRY_SERVICE,
	ENTRY_CHECKS,
	NODE_NAME,
	NODE_ADDRESS,
	NODE_TAGGED,
	NODE_META,
	NODE_ZONE,
	SERVICE_ID,
	SERVICE_ADDRESS,
	SERVICE_PORT,
	SERVICE_TAGGED,
	SERVICE_WEIGHTS,
	SERVICE_META,
	SERVICE_TAGS,
	WEIGHT_PASSING,
	WEIGHT_WARNING,
	META_ZONE,
	META_OUR_ZONE,
	META_OUR_NODE,
	META_OWNER,
	META_SETTINGS, /* and one for each that follows */
};

/* One instance as it is read: texts point into the body. */
struct entry {
	uint64_t seen;     /* bits of enum member */
	const char *wrong; /* the first member of another type, in words */
	const char *node, *node_address, *node_zone;
	const char *node_tagged[FL_FAMILIES];
	const char *id, *address;
	int64_t port;
	const char *tagged[FL_FAMILIES];
	int64_t tagged_port[FL_FAMILIES];
	int64_t passing, warning; /* weights */
	const char *zone, *our_zone, *our_node, *owner;
	const char *settings[FL_CONSUL_SETTINGS];
	const char *unknown;      /* a key of ours that is none */
	struct fl_text frontends; /* of tags, which may be several */
	bool is_critical, is_warned, is_maintained;
	const char *odd_status;
};

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
static void tell(struct reading *r, const struct entry *e, bool is_left_out, const char *format,
	...) __attribute__((format(printf, 4, 5)));
static void tell(
	struct reading *r, const struct entry *e, bool is_left_out, const char *format, ...)
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

/* -------------------------------------------------------------------- members */

/* A member that counts begins: twice is one too many. */
static void note(struct reading *r, struct entry *e, unsigned member)
{
	uint64_t bit = (uint64_t)1 << member;

	if (e->seen & bit)
		fl_pull_fail(&r->pull, "a key stands twice");
	e->seen |= bit;
}

static void wrong(struct entry *e, const char *what)
{
	if (!e->wrong)
		e->wrong = what;
}

/* Absent and null are alike. @param what  of a message: "Service.Address is no text" */
static void take_text(struct reading *r, struct entry *e, const char **field, const char *what)
{
	if (fl_pull_peek(&r->pull) == FL_PULL_NULL) {
		fl_pull_skip(&r->pull);
		return;
	}
	*field = fl_pull_text(&r->pull);
	if (!*field)
		wrong(e, what);
}

static void take_number(struct reading *r, struct entry *e, int64_t *field, const char *what)
{
	if (fl_pull_peek(&r->pull) == FL_PULL_NULL) {
		fl_pull_skip(&r->pull);
		return;
	}
	if (!fl_pull_integer(&r->pull, field) || *field < 0 || *field > UINT16_MAX)
		wrong(e, what);
}

static bool enter(struct reading *r, struct entry *e, enum fl_pull_kind kind, const char *what)
{
	enum fl_pull_kind found = fl_pull_peek(&r->pull);

	if (found != kind && found != FL_PULL_NULL)
		wrong(e, what);
	return fl_pull_enter(&r->pull, kind);
}

/* @return FL_FAMILIES when the key names no address of this side */
static enum fl_family family_of_tag(const char *key)
{
	return strcmp(key, "lan_ipv4") == 0   ? FL_IPV4
	       : strcmp(key, "lan_ipv6") == 0 ? FL_IPV6
					      : FL_FAMILIES;
}

/* ----------------------------------------------------------------------- node */

static void read_node_tagged(struct reading *r, struct entry *e)
{
	const char *key;

	if (!enter(r, e, FL_PULL_OBJECT, "Node.TaggedAddresses is no object"))
		return;
	while ((key = fl_pull_key(&r->pull))) {
		enum fl_family family = family_of_tag(key);

		if (family < FL_FAMILIES)
			take_text(r, e, &e->node_tagged[family], "a tagged address is no text");
		else
			fl_pull_skip(&r->pull);
	}
}

static void read_node_meta(struct reading *r, struct entry *e)
{
	const char *key;

	if (!enter(r, e, FL_PULL_OBJECT, "Node.Meta is no object"))
		return;
	while ((key = fl_pull_key(&r->pull))) {
		if (strcmp(key, "zone") == 0) {
			note(r, e, NODE_ZONE);
			take_text(r, e, &e->node_zone, "Node.Meta.zone is no text");
		} else {
			fl_pull_skip(&r->pull);
		}
	}
}

static void read_node(struct reading *r, struct entry *e)
{
	const char *key;

	if (!enter(r, e, FL_PULL_OBJECT, "Node is no object"))
		return;
	while ((key = fl_pull_key(&r->pull))) {
		if (strcmp(key, "Node") == 0) {
			note(r, e, NODE_NAME);
			take_text(r, e, &e->node, "Node.Node is no text");
		} else if (strcmp(key, "Address") == 0) {
			note(r, e, NODE_ADDRESS);
			take_text(r, e, &e->node_address, "Node.Address is no text");
		} else if (strcmp(key, "TaggedAddresses") == 0) {
			note(r, e, NODE_TAGGED);
			read_node_tagged(r, e);
		} else if (strcmp(key, "Meta") == 0) {
			note(r, e, NODE_META);
			read_node_meta(r, e);
		} else {
			fl_pull_skip(&r->pull);
		}
	}
}

/* -------------------------------------------------------------------- service */

/* {"Address": "192.0.2.1", "Port": 80}; documents have it in lower case */
static void read_tagged(struct reading *r, struct entry *e, enum fl_family family)
{
	const char *key;

	if (!enter(r, e, FL_PULL_OBJECT, "a tagged address is no object"))
		return;
	while ((key = fl_pull_key(&r->pull))) {
		if (strcasecmp(key, "address") == 0)
			take_text(r, e, &e->tagged[family], "a tagged address is no text");
		else if (strcasecmp(key, "port") == 0)
			take_number(r, e, &e->tagged_port[family], "a tagged port is none");
		else
			fl_pull_skip(&r->pull);
	}
}

static void read_service_tagged(struct reading *r, struct entry *e)
{
	const char *key;

	if (!enter(r, e, FL_PULL_OBJECT, "Service.TaggedAddresses is no object"))
		return;
	while ((key = fl_pull_key(&r->pull))) {
		enum fl_family family = family_of_tag(key);

		if (family < FL_FAMILIES)
			read_tagged(r, e, family);
		else
			fl_pull_skip(&r->pull);
	}
}

static void read_weights(struct reading *r, struct entry *e)
{
	const char *key;

	if (!enter(r, e, FL_PULL_OBJECT, "Service.Weights is no object"))
		return;
	while ((key = fl_pull_key(&r->pull))) {
		if (strcmp(key, "Passing") == 0) {
			note(r, e, WEIGHT_PASSING);
			take_number(r, e, &e->passing, "Weights.Passing is none of 0-65535");
		} else if (strcmp(key, "Warning") == 0) {
			note(r, e, WEIGHT_WARNING);
			take_number(r, e, &e->warning, "Weights.Warning is none of 0-65535");
		} else {
			fl_pull_skip(&r->pull);
		}
	}
}

/* A key of ours, without its prefix: an instance's own or a setting of the service. */
static void read_our_meta(struct reading *r, struct entry *e, const char *key, const char *word)
{
	int setting = fl_consul_setting_find(word, strlen(word));

	if (setting >= 0) {
		note(r, e, META_SETTINGS + (unsigned)setting);
		take_text(r, e, &e->settings[setting], "a setting in Service.Meta is no text");
	} else if (strcmp(word, "zone") == 0) {
		note(r, e, META_OUR_ZONE);
		take_text(r, e, &e->our_zone, "fairlead-zone is no text");
	} else if (strcmp(word, "node") == 0) {
		note(r, e, META_OUR_NODE);
		take_text(r, e, &e->our_node, "fairlead-node is no text");
	} else if (strcmp(key, FL_CONSUL_OWNER_META) == 0) {
		note(r, e, META_OWNER);
		take_text(r, e, &e->owner, "fairlead-owner is no text");
	} else {
		if (strcmp(word, "hash") != 0) /* what a registration keeps for itself */
			e->unknown = key;
		fl_pull_skip(&r->pull);
	}
}

static void read_meta(struct reading *r, struct entry *e)
{
	size_t prefix = strlen(FL_CONSUL_META_PREFIX);
	const char *key;

	if (!enter(r, e, FL_PULL_OBJECT, "Service.Meta is no object"))
		return;
	while ((key = fl_pull_key(&r->pull))) {
		if (strncmp(key, FL_CONSUL_META_PREFIX, prefix) == 0) {
			read_our_meta(r, e, key, key + prefix);
		} else if (strcmp(key, "zone") == 0) {
			note(r, e, META_ZONE);
			take_text(r, e, &e->zone, "Service.Meta.zone is no text");
		} else {
			fl_pull_skip(&r->pull);
		}
	}
}

/* "fairlead.settle.tcp=5m". Frontends may stand in several tags; of anything else the
 * first counts, and metadata before tags, whichever comes first. */
static void read_tag(struct entry *e, const char *tag)
{
	size_t prefix = strlen(FL_CONSUL_TAG_PREFIX);
	const char *value = strchr(tag, '=');
	int setting;

	if (strncmp(tag, FL_CONSUL_TAG_PREFIX, prefix) != 0)
		return;
	setting = value ? fl_consul_setting_find(tag + prefix, (size_t)(value - tag) - prefix) : -1;
	if (setting < 0) {
		e->unknown = tag;
	} else if (setting == FL_CONSUL_FRONTENDS) {
		fl_text_puts(&e->frontends, e->frontends.length ? " " : "");
		fl_text_puts(&e->frontends, value + 1);
	} else if (!e->settings[setting]) {
		e->settings[setting] = value + 1;
	}
}

static void read_tags(struct reading *r, struct entry *e)
{
	if (!enter(r, e, FL_PULL_LIST, "Service.Tags is no list"))
		return;
	while (fl_pull_item(&r->pull)) {
		const char *tag = fl_pull_text(&r->pull);

		if (tag)
			read_tag(e, tag);
		else
			wrong(e, "a tag is no text");
	}
}

static void read_service_member(struct reading *r, struct entry *e, const char *key)
{
	if (strcmp(key, "ID") == 0) {
		note(r, e, SERVICE_ID);
		take_text(r, e, &e->id, "Service.ID is no text");
	} else if (strcmp(key, "Address") == 0) {
		note(r, e, SERVICE_ADDRESS);
		take_text(r, e, &e->address, "Service.Address is no text");
	} else if (strcmp(key, "Port") == 0) {
		note(r, e, SERVICE_PORT);
		take_number(r, e, &e->port, "Service.Port is none of 0-65535");
	} else if (strcmp(key, "TaggedAddresses") == 0) {
		note(r, e, SERVICE_TAGGED);
		read_service_tagged(r, e);
	} else if (strcmp(key, "Weights") == 0) {
		note(r, e, SERVICE_WEIGHTS);
		read_weights(r, e);
	} else if (strcmp(key, "Meta") == 0) {
		note(r, e, SERVICE_META);
		read_meta(r, e);
	} else if (strcmp(key, "Tags") == 0) {
		note(r, e, SERVICE_TAGS);
		read_tags(r, e);
	} else {
		fl_pull_skip(&r->pull);
	}
}

static void read_service(struct reading *r, struct entry *e)
{
	const char *key;

	if (fl_pull_peek(&r->pull) != FL_PULL_OBJECT) /* null neither */
		wrong(e, "Service is no object");
	if (fl_pull_enter(&r->pull, FL_PULL_OBJECT))
		while ((key = fl_pull_key(&r->pull)))
			read_service_member(r, e, key);
}

/* --------------------------------------------------------------------- checks */

static bool is_maintenance(const char *id)
{
	static const char of_service[] = "_service_maintenance:";

	return id && (strcmp(id, "_node_maintenance") == 0 ||
			     strncmp(id, of_service, strlen(of_service)) == 0);
}

static void judge(struct entry *e, const char *id, const char *status)
{
	if (is_maintenance(id)) {
		e->is_maintained |= !status || strcmp(status, "passing") != 0;
	} else if (status && strcmp(status, "passing") == 0) {
		return;
	} else if (status && strcmp(status, "warning") == 0) {
		e->is_warned = true;
	} else {
		e->is_critical = true;
		if (!status || strcmp(status, "critical") != 0)
			e->odd_status = status ? status : "none";
	}
}

static void read_check(struct reading *r, struct entry *e)
{
	const char *id = NULL, *status = NULL;
	const char *key;
	unsigned ids = 0, statuses = 0;

	if (!enter(r, e, FL_PULL_OBJECT, "a check is no object"))
		return;
	while ((key = fl_pull_key(&r->pull))) {
		if (strcmp(key, "CheckID") == 0) {
			ids++;
			take_text(r, e, &id, "a CheckID is no text");
		} else if (strcmp(key, "Status") == 0) {
			statuses++;
			take_text(r, e, &status, "a check's Status is no text");
		} else {
			fl_pull_skip(&r->pull);
		}
	}
	if (ids > 1 || statuses > 1)
		fl_pull_fail(&r->pull, "a key stands twice");
	judge(e, id, status);
}

static void read_checks(struct reading *r, struct entry *e)
{
	if (!enter(r, e, FL_PULL_LIST, "Checks is no list"))
		return;
	while (fl_pull_item(&r->pull))
		read_check(r, e);
}

/* ----------------------------------------------------------------- the instance */

static bool is_host(const char *text, struct fl_ip *ret)
{
	return text && fl_ip_parse(text, ret) == 0 && fl_ip_is_host(ret);
}

/* Its address, and the one it names for the other family. @return false when it has none */
static bool find_addresses(struct reading *r, const struct entry *e, struct fl_consul_endpoint *ret)
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

static void find_state(struct reading *r, const struct entry *e, struct fl_consul_endpoint *ret)
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
static uint32_t keep_label(
	struct reading *r, const struct entry *e, const char *text, size_t max, const char *what)
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

static void add_endpoint(struct reading *r, const struct entry *e)
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

static void add_vote(struct reading *r, struct entry *e)
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

static void take(struct reading *r, struct entry *e)
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
	if (!(e->seen & 1u << ENTRY_SERVICE))
		wrong(e, "Service is missing");
	if (e->wrong) {
		tell(r, e, true, "%s", e->wrong);
		return;
	}
	add_vote(r, e);
	add_endpoint(r, e);
}

static void read_entry(struct reading *r)
{
	struct entry e = { .passing = 1, .warning = 1 };
	const char *key;

	if (fl_pull_peek(&r->pull) != FL_PULL_OBJECT)
		wrong(&e, "is no object");
	if (fl_pull_enter(&r->pull, FL_PULL_OBJECT))
		while ((key = fl_pull_key(&r->pull))) {
			if (strcmp(key, "Node") == 0) {
				note(r, &e, ENTRY_NODE);
				read_node(r, &e);
			} else if (strcmp(key, "Service") == 0) {
				note(r, &e, ENTRY_SERVICE);
				read_service(r, &e);
			} else if (strcmp(key, "Checks") == 0) {
				note(r, &e, ENTRY_CHECKS);
				read_checks(r, &e);
			} else {
				fl_pull_skip(&r->pull);
			}
		}
	take(r, &e);
	fl_text_done(&e.frontends);
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
			read_entry(&r);
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

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "registry/consul/instance.h"

#include <string.h>

#include "registry/consul/owner.h"

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

/* -------------------------------------------------------------------- members */

/* A member that counts begins: twice is one too many. */
static void note(struct fl_pull *pull, struct fl_consul_item *e, unsigned member)
{
	uint64_t bit = (uint64_t)1 << member;

	if (e->seen & bit)
		fl_pull_fail(pull, "a key stands twice");
	e->seen |= bit;
}

static void wrong(struct fl_consul_item *e, const char *what)
{
	if (!e->wrong)
		e->wrong = what;
}

/* Absent and null are alike. @param what  of a message: "Service.Address is no text" */
static void take_text(
	struct fl_pull *pull, struct fl_consul_item *e, const char **field, const char *what)
{
	if (fl_pull_peek(pull) == FL_PULL_NULL) {
		fl_pull_skip(pull);
		return;
	}
	*field = fl_pull_text(pull);
	if (!*field)
		wrong(e, what);
}

static void take_number(
	struct fl_pull *pull, struct fl_consul_item *e, int64_t *field, const char *what)
{
	if (fl_pull_peek(pull) == FL_PULL_NULL) {
		fl_pull_skip(pull);
		return;
	}
	if (!fl_pull_integer(pull, field) || *field < 0 || *field > UINT16_MAX)
		wrong(e, what);
}

static bool enter(
	struct fl_pull *pull, struct fl_consul_item *e, enum fl_pull_kind kind, const char *what)
{
	enum fl_pull_kind found = fl_pull_peek(pull);

	if (found != kind && found != FL_PULL_NULL)
		wrong(e, what);
	return fl_pull_enter(pull, kind);
}

/* @return FL_FAMILIES when the key names no address of this side */
static enum fl_family family_of_tag(const char *key)
{
	return strcmp(key, "lan_ipv4") == 0   ? FL_IPV4
	       : strcmp(key, "lan_ipv6") == 0 ? FL_IPV6
					      : FL_FAMILIES;
}

/* ----------------------------------------------------------------------- node */

static void read_node_tagged(struct fl_pull *pull, struct fl_consul_item *e)
{
	const char *key;

	if (!enter(pull, e, FL_PULL_OBJECT, "Node.TaggedAddresses is no object"))
		return;
	while ((key = fl_pull_key(pull))) {
		enum fl_family family = family_of_tag(key);

		if (family < FL_FAMILIES)
			take_text(pull, e, &e->node_tagged[family], "a tagged address is no text");
		else
			fl_pull_skip(pull);
	}
}

static void read_node_meta(struct fl_pull *pull, struct fl_consul_item *e)
{
	const char *key;

	if (!enter(pull, e, FL_PULL_OBJECT, "Node.Meta is no object"))
		return;
	while ((key = fl_pull_key(pull))) {
		if (strcmp(key, "zone") == 0) {
			note(pull, e, NODE_ZONE);
			take_text(pull, e, &e->node_zone, "Node.Meta.zone is no text");
		} else {
			fl_pull_skip(pull);
		}
	}
}

static void read_node(struct fl_pull *pull, struct fl_consul_item *e)
{
	const char *key;

	if (!enter(pull, e, FL_PULL_OBJECT, "Node is no object"))
		return;
	while ((key = fl_pull_key(pull))) {
		if (strcmp(key, "Node") == 0) {
			note(pull, e, NODE_NAME);
			take_text(pull, e, &e->node, "Node.Node is no text");
		} else if (strcmp(key, "Address") == 0) {
			note(pull, e, NODE_ADDRESS);
			take_text(pull, e, &e->node_address, "Node.Address is no text");
		} else if (strcmp(key, "TaggedAddresses") == 0) {
			note(pull, e, NODE_TAGGED);
			read_node_tagged(pull, e);
		} else if (strcmp(key, "Meta") == 0) {
			note(pull, e, NODE_META);
			read_node_meta(pull, e);
		} else {
			fl_pull_skip(pull);
		}
	}
}

/* -------------------------------------------------------------------- service */

/* {"Address": "192.0.2.1", "Port": 80}; documents have it in lower case */
static void read_tagged(struct fl_pull *pull, struct fl_consul_item *e, enum fl_family family)
{
	const char *key;

	if (!enter(pull, e, FL_PULL_OBJECT, "a tagged address is no object"))
		return;
	while ((key = fl_pull_key(pull))) {
		if (strcasecmp(key, "address") == 0)
			take_text(pull, e, &e->tagged[family], "a tagged address is no text");
		else if (strcasecmp(key, "port") == 0)
			take_number(pull, e, &e->tagged_port[family], "a tagged port is none");
		else
			fl_pull_skip(pull);
	}
}

static void read_service_tagged(struct fl_pull *pull, struct fl_consul_item *e)
{
	const char *key;

	if (!enter(pull, e, FL_PULL_OBJECT, "Service.TaggedAddresses is no object"))
		return;
	while ((key = fl_pull_key(pull))) {
		enum fl_family family = family_of_tag(key);

		if (family < FL_FAMILIES)
			read_tagged(pull, e, family);
		else
			fl_pull_skip(pull);
	}
}

static void read_weights(struct fl_pull *pull, struct fl_consul_item *e)
{
	const char *key;

	if (!enter(pull, e, FL_PULL_OBJECT, "Service.Weights is no object"))
		return;
	while ((key = fl_pull_key(pull))) {
		if (strcmp(key, "Passing") == 0) {
			note(pull, e, WEIGHT_PASSING);
			take_number(pull, e, &e->passing, "Weights.Passing is none of 0-65535");
		} else if (strcmp(key, "Warning") == 0) {
			note(pull, e, WEIGHT_WARNING);
			take_number(pull, e, &e->warning, "Weights.Warning is none of 0-65535");
		} else {
			fl_pull_skip(pull);
		}
	}
}

/* A key of ours, without its prefix: an instance's own or a setting of the service. */
static void read_our_meta(
	struct fl_pull *pull, struct fl_consul_item *e, const char *key, const char *word)
{
	int setting = fl_consul_setting_find(word, strlen(word));

	if (setting >= 0) {
		note(pull, e, META_SETTINGS + (unsigned)setting);
		take_text(pull, e, &e->settings[setting], "a setting in Service.Meta is no text");
	} else if (strcmp(word, "zone") == 0) {
		note(pull, e, META_OUR_ZONE);
		take_text(pull, e, &e->our_zone, "fairlead-zone is no text");
	} else if (strcmp(word, "node") == 0) {
		note(pull, e, META_OUR_NODE);
		take_text(pull, e, &e->our_node, "fairlead-node is no text");
	} else if (strcmp(key, FL_CONSUL_OWNER_META) == 0) {
		note(pull, e, META_OWNER);
		take_text(pull, e, &e->owner, "fairlead-owner is no text");
	} else {
		if (strcmp(word, "hash") != 0) /* what a registration keeps for itself */
			e->unknown = key;
		fl_pull_skip(pull);
	}
}

static void read_meta(struct fl_pull *pull, struct fl_consul_item *e)
{
	size_t prefix = strlen(FL_CONSUL_META_PREFIX);
	const char *key;

	if (!enter(pull, e, FL_PULL_OBJECT, "Service.Meta is no object"))
		return;
	while ((key = fl_pull_key(pull))) {
		if (strncmp(key, FL_CONSUL_META_PREFIX, prefix) == 0) {
			read_our_meta(pull, e, key, key + prefix);
		} else if (strcmp(key, "zone") == 0) {
			note(pull, e, META_ZONE);
			take_text(pull, e, &e->zone, "Service.Meta.zone is no text");
		} else {
			fl_pull_skip(pull);
		}
	}
}

/* "fairlead.settle.tcp=5m". Frontends may stand in several tags; of anything else the
 * first counts, and metadata before tags, whichever comes first. */
static void read_tag(struct fl_consul_item *e, const char *tag)
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

static void read_tags(struct fl_pull *pull, struct fl_consul_item *e)
{
	if (!enter(pull, e, FL_PULL_LIST, "Service.Tags is no list"))
		return;
	while (fl_pull_item(pull)) {
		const char *tag = fl_pull_text(pull);

		if (tag)
			read_tag(e, tag);
		else
			wrong(e, "a tag is no text");
	}
}

static void read_service_member(struct fl_pull *pull, struct fl_consul_item *e, const char *key)
{
	if (strcmp(key, "ID") == 0) {
		note(pull, e, SERVICE_ID);
		take_text(pull, e, &e->id, "Service.ID is no text");
	} else if (strcmp(key, "Address") == 0) {
		note(pull, e, SERVICE_ADDRESS);
		take_text(pull, e, &e->address, "Service.Address is no text");
	} else if (strcmp(key, "Port") == 0) {
		note(pull, e, SERVICE_PORT);
		take_number(pull, e, &e->port, "Service.Port is none of 0-65535");
	} else if (strcmp(key, "TaggedAddresses") == 0) {
		note(pull, e, SERVICE_TAGGED);
		read_service_tagged(pull, e);
	} else if (strcmp(key, "Weights") == 0) {
		note(pull, e, SERVICE_WEIGHTS);
		read_weights(pull, e);
	} else if (strcmp(key, "Meta") == 0) {
		note(pull, e, SERVICE_META);
		read_meta(pull, e);
	} else if (strcmp(key, "Tags") == 0) {
		note(pull, e, SERVICE_TAGS);
		read_tags(pull, e);
	} else {
		fl_pull_skip(pull);
	}
}

static void read_service(struct fl_pull *pull, struct fl_consul_item *e)
{
	const char *key;

	if (fl_pull_peek(pull) != FL_PULL_OBJECT) /* null neither */
		wrong(e, "Service is no object");
	if (fl_pull_enter(pull, FL_PULL_OBJECT))
		while ((key = fl_pull_key(pull)))
			read_service_member(pull, e, key);
}

/* --------------------------------------------------------------------- checks */

static bool is_maintenance(const char *id)
{
	static const char of_service[] = "_service_maintenance:";

	return id && (strcmp(id, "_node_maintenance") == 0 ||
			     strncmp(id, of_service, strlen(of_service)) == 0);
}

static void judge(struct fl_consul_item *e, const char *id, const char *status)
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

static void read_check(struct fl_pull *pull, struct fl_consul_item *e)
{
	const char *id = NULL, *status = NULL;
	const char *key;
	unsigned ids = 0, statuses = 0;

	if (!enter(pull, e, FL_PULL_OBJECT, "a check is no object"))
		return;
	while ((key = fl_pull_key(pull))) {
		if (strcmp(key, "CheckID") == 0) {
			ids++;
			take_text(pull, e, &id, "a CheckID is no text");
		} else if (strcmp(key, "Status") == 0) {
			statuses++;
			take_text(pull, e, &status, "a check's Status is no text");
		} else {
			fl_pull_skip(pull);
		}
	}
	if (ids > 1 || statuses > 1)
		fl_pull_fail(pull, "a key stands twice");
	judge(e, id, status);
}

static void read_checks(struct fl_pull *pull, struct fl_consul_item *e)
{
	if (!enter(pull, e, FL_PULL_LIST, "Checks is no list"))
		return;
	while (fl_pull_item(pull))
		read_check(pull, e);
}

/* --------------------------------------------------------------------- whole */

void fl_consul_item_read(struct fl_pull *pull, struct fl_consul_item *e)
{
	const char *key;

	*e = (struct fl_consul_item){ .passing = 1, .warning = 1 };
	if (fl_pull_peek(pull) != FL_PULL_OBJECT)
		wrong(e, "is no object");
	if (fl_pull_enter(pull, FL_PULL_OBJECT))
		while ((key = fl_pull_key(pull))) {
			if (strcmp(key, "Node") == 0) {
				note(pull, e, ENTRY_NODE);
				read_node(pull, e);
			} else if (strcmp(key, "Service") == 0) {
				note(pull, e, ENTRY_SERVICE);
				read_service(pull, e);
			} else if (strcmp(key, "Checks") == 0) {
				note(pull, e, ENTRY_CHECKS);
				read_checks(pull, e);
			} else {
				fl_pull_skip(pull);
			}
		}
	if (!(e->seen & 1u << ENTRY_SERVICE))
		wrong(e, "Service is missing");
}

void fl_consul_item_done(struct fl_consul_item *item)
{
	fl_text_done(&item->frontends);
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "registry/consul/settings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/text.h"
#include "config/services.h"
#include "core/cleanup.h"

const char *const fl_consul_setting_keys[FL_CONSUL_SETTINGS] = {
	[FL_CONSUL_FRONTENDS] = "frontends",
	"forward",
	"balance",
	"slots",
	"settle.tcp",
	"settle.udp",
	"udp",
	"panic",
	"cross_family",
	"key",
	"affinity",
	"locality",
	"spill",
	"max_fails",
	"fail_timeout",
	"max_ejected",
	"stale",
	"heartbeat",
	"min_healthy",
	"slow_start.window",
	"slow_start.aggression",
	"slow_start.min_weight",
};

static bool is_joint(char c)
{
	return c == '-' || c == '.' || c == '_';
}

int fl_consul_setting_find(const char *word, size_t length)
{
	for (int i = 0; i < FL_CONSUL_SETTINGS; i++) {
		const char *key = fl_consul_setting_keys[i];
		size_t at = 0;

		while (at < length &&
			(key[at] == word[at] || (is_joint(key[at]) && is_joint(word[at]))))
			at++;
		if (at == length && !key[at])
			return i;
	}
	return -1;
}

void fl_consul_settings_done(struct fl_consul_settings *settings)
{
	for (int i = 0; i < FL_CONSUL_SETTINGS; i++)
		free(settings->values[i]);
	*settings = (struct fl_consul_settings){ 0 };
}

bool fl_consul_settings_any(const struct fl_consul_settings *settings)
{
	for (int i = 0; i < FL_CONSUL_SETTINGS; i++)
		if (settings->values[i])
			return true;
	return false;
}

/* -------------------------------------------------------------------- votes */

static bool is_same(const struct fl_consul_settings *settings, const char *const *values)
{
	for (int i = 0; i < FL_CONSUL_SETTINGS; i++)
		if (!fl_text_is_same(settings->values[i], values[i]))
			return false;
	return true;
}

static void vote_done(struct fl_consul_vote *vote)
{
	fl_consul_settings_done(&vote->said);
	free(vote->first);
}

void fl_consul_votes_done(fl_consul_votes *votes)
{
	for (size_t i = 0; i < votes->count; i++)
		vote_done(&votes->items[i]);
	fl_vec_done(votes);
}

static int add_new(fl_consul_votes *votes, const char *const *values, const char *by)
{
	struct fl_consul_vote *vote = fl_vec_push(votes);
	bool good = vote && (vote->first = strdup(by));

	for (int i = 0; i < FL_CONSUL_SETTINGS && good; i++)
		if (values[i])
			good = (vote->said.values[i] = strdup(values[i]));
	if (vote)
		vote->count = 1;
	return good ? 0 : -ENOMEM;
}

int fl_consul_votes_add(fl_consul_votes *votes, const char *const *values, const char *by)
{
	for (size_t i = 0; i < votes->count; i++) {
		struct fl_consul_vote *vote = &votes->items[i];

		if (!is_same(&vote->said, values))
			continue;
		vote->count++;
		if (strcmp(by, vote->first) >= 0)
			return 0;
		free(vote->first);
		vote->first = strdup(by);
		return vote->first ? 0 : -ENOMEM;
	}
	return votes->count < FL_CONSUL_VOTES_MAX ? add_new(votes, values, by) : 0;
}

static void show(const char *value, char buffer[FL_NODE_TEXT])
{
	struct fl_node node = { .kind = FL_NODE_SCALAR, .text = value ? value : "nothing" };

	fl_node_show(&node, buffer);
}

/* Say in which option two differ first, since that is what somebody has to mend. */
static void tell_loser(const struct fl_consul_vote *loser, const struct fl_consul_vote *winner,
	const char *file, struct fl_problems *problems)
{
	char lost[FL_NODE_TEXT], won[FL_NODE_TEXT];
	int at = 0;

	while (fl_text_is_same(loser->said.values[at], winner->said.values[at]))
		at++;
	show(loser->said.values[at], lost);
	show(winner->said.values[at], won);
	fl_problem_warn(problems, (struct fl_place){ .file = file },
		"instances disagree about %s: %s says %s (%zu in all), %s says %s (%zu in all), "
		"which counts",
		fl_consul_setting_keys[at], loser->first, lost, loser->count, winner->first, won,
		winner->count);
}

void fl_consul_votes_count(fl_consul_votes *votes, const char *file, struct fl_problems *problems,
	struct fl_consul_settings *ret)
{
	struct fl_consul_vote *winner = votes->items;

	*ret = (struct fl_consul_settings){ 0 };
	for (size_t i = 1; i < votes->count; i++) {
		struct fl_consul_vote *vote = &votes->items[i];

		if (vote->count > winner->count ||
			(vote->count == winner->count && strcmp(vote->first, winner->first) < 0))
			winner = vote;
	}
	for (size_t i = 0; i < votes->count; i++)
		if (&votes->items[i] != winner)
			tell_loser(&votes->items[i], winner, file, problems);
	if (votes->count) {
		*ret = winner->said;
		winner->said = (struct fl_consul_settings){ 0 };
	}
	fl_consul_votes_done(votes);
}

/* ------------------------------------------------------------------ as a tree */

/* Nodes as a YAML file would have them, so that the schema's own readers judge. A service
 * has at most FL_FRONTENDS_PER_SERVICE frontends: one more shows that there are too many. */
struct tree {
	struct fl_node nodes[FL_CONSUL_SETTINGS + FL_FRONTENDS_PER_SERVICE + 4];
	size_t count;
	char *frontends; /* split */
};

static struct fl_node *add_node(
	struct tree *tree, struct fl_node *parent, enum fl_node_kind kind, const char *key)
{
	struct fl_node *node = &tree->nodes[tree->count++];
	struct fl_node **end = parent ? &parent->first : NULL;

	*node = (struct fl_node){ .kind = kind, .plain = true, .key = key };
	while (end && *end)
		end = &(*end)->next;
	if (end) {
		*end = node;
		parent->count++;
	}
	return node;
}

static int add_frontends(struct tree *tree, struct fl_node *list, const char *text)
{
	char *rest;

	tree->frontends = strdup(text);
	if (!tree->frontends)
		return -ENOMEM;
	for (char *word = strtok_r(tree->frontends, " ,\t", &rest);
		word && list->count <= FL_FRONTENDS_PER_SERVICE;
		word = strtok_r(NULL, " ,\t", &rest))
		add_node(tree, list, FL_NODE_SCALAR, NULL)->text = word;
	return 0;
}

/* The mapping that a key such as "settle.tcp" lies in. */
static struct fl_node *section_of(struct tree *tree, struct fl_node *root, const char *key)
{
	struct fl_node *node = root->first;

	if (strncmp(key, "settle.", 7) != 0)
		return root;
	while (node && strcmp(node->key, "settle") != 0)
		node = node->next;
	return node ? node : add_node(tree, root, FL_NODE_MAP, "settle");
}

int fl_consul_settings_begin(const struct fl_consul_settings *settings, const char *name,
	const char *file, const char *registry, struct fl_problems *problems,
	struct fl_service **ret)
{
	struct tree tree = { 0 };
	struct fl_node *root = add_node(&tree, NULL, FL_NODE_MAP, NULL);
	int r = 0;

	for (int i = 0; i < FL_CONSUL_SETTINGS && r == 0; i++) {
		const char *key = fl_consul_setting_keys[i];
		const char *dot = strchr(key, '.');

		if (!settings->values[i])
			continue;
		if (i == FL_CONSUL_FRONTENDS)
			r = add_frontends(&tree, add_node(&tree, root, FL_NODE_LIST, key),
				settings->values[i]);
		else
			add_node(&tree, section_of(&tree, root, key), FL_NODE_SCALAR,
				dot ? dot + 1 : key)
				->text = settings->values[i];
	}
	if (r == 0)
		r = fl_service_begin(root, name, file, registry, problems, ret);
	free(tree.frontends);
	return r;
}

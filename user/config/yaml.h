/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "core/problem.h"

/**
 * @file yaml.h
 * YAML text as a small tree in which every node knows where it stands.
 *
 * A careful subset: one document in UTF-8, block and flow style, comments. Anchors, aliases
 * and tags are refused, and so are keys that stand twice or are no scalars.
 * Bounded in size, depth, keys and nodes, so that no input costs more than a
 * multiple of its length. Scalars are text; what they mean is the schema's.
 */
#define FL_YAML_BYTES_MAX (16u << 20)
#define FL_YAML_DEPTH_MAX 32
#define FL_YAML_KEYS_MAX  256 /**< in one mapping */
#define FL_YAML_NODES_MAX 2000000

enum fl_node_kind { FL_NODE_SCALAR, FL_NODE_LIST, FL_NODE_MAP };

struct fl_node {
	enum fl_node_kind kind;
	bool plain;  /**< scalar without quotes */
	bool broken; /**< told already: say nothing more about it */
	unsigned line, column;
	const char *text;      /**< of a scalar; valid UTF-8 without NUL */
	struct fl_node *first; /**< of what is inside a list or a map */
	size_t count;
	struct fl_node *next; /**< beside it */
	const char *key;      /**< in a map; else NULL */
	unsigned key_line, key_column;
};

/** A tree and the memory it lives in. */
struct fl_yaml {
	struct fl_node *root; /**< NULL = nothing but comments */
	struct fl_yaml_chunk *chunks;
};

/**
 * Parse. Reports every problem that leaves a tree, and the first that does not.
 * @param name  what the text is called in messages
 * @return 0 with a tree, even if errors were added; -EINVAL without one (told); -ENOMEM
 */
int fl_yaml_parse(const char *text, size_t length, const char *name, struct fl_problems *problems,
	struct fl_yaml *ret);
void fl_yaml_done(struct fl_yaml *yaml);

/**
 * Read a regular file of at most FL_YAML_BYTES_MAX.
 * @param ret  to be freed
 * @return 0; -EFBIG, -EISDIR, -EINVAL (no regular file) and others: told as a problem
 */
int fl_yaml_read_file(
	const char *file, struct fl_problems *problems, char **ret, size_t *ret_length);

/** @return the value of a key, or NULL */
const struct fl_node *fl_node_get(const struct fl_node *map, const char *key);

/** Whether it is a scalar without quotes, empty or spelled null or ~. */
bool fl_node_is_null(const struct fl_node *node);

/** How a message shows a node: its text on one line, shortened, or "a list".
 * @return `buffer` */
#define FL_NODE_TEXT 64
char *fl_node_show(const struct fl_node *node, char buffer[FL_NODE_TEXT]);

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <string.h>

#include "config/yaml.h"

const struct fl_node *fl_node_get(const struct fl_node *map, const char *key)
{
	for (const struct fl_node *entry = map->first; entry; entry = entry->next)
		if (strcmp(entry->key, key) == 0)
			return entry;
	return NULL;
}

bool fl_node_is_null(const struct fl_node *node)
{
	if (node->kind != FL_NODE_SCALAR || !node->plain)
		return false;
	return !*node->text || strcmp(node->text, "~") == 0 || strcmp(node->text, "null") == 0;
}

char *fl_node_show(const struct fl_node *node, char buffer[FL_NODE_TEXT])
{
	size_t length = 0;

	if (node->kind != FL_NODE_SCALAR)
		return strcpy(buffer, node->kind == FL_NODE_LIST ? "a list" : "a mapping");
	if (!*node->text)
		return strcpy(buffer, node->plain ? "nothing" : "\"\"");
	for (const unsigned char *c = (const unsigned char *)node->text; *c; c++) {
		if (length >= FL_NODE_TEXT - 12 && (*c & 0xc0) != 0x80) {
			strcpy(buffer + length, "...");
			return buffer;
		}
		if (c[0] == 0xc2 && c[1] < 0xa0) /* U+0080-U+009F: control characters, too */
			c++, buffer[length++] = '?';
		else
			buffer[length++] = *c < 0x20 || *c == 0x7f ? '?' : (char)*c;
	}
	buffer[length] = '\0';
	return buffer;
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "config/paths.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "core/cleanup.h"
#include "core/defaults.h"

/* Where the value of a key belongs, or NULL. */
static char **place_of(struct fl_paths *paths, const char *key, size_t length)
{
	if (length == strlen("state_dir") && memcmp(key, "state_dir", length) == 0)
		return &paths->state_dir;
	if (length == strlen("bpffs") && memcmp(key, "bpffs", length) == 0)
		return &paths->bpffs;
	return NULL;
}

static void store(char **place, const char *value, size_t length)
{
	if (!*place && length > 0)
		*place = strndup(value, length);
}

/* Walk the events; scalars at depth 1 alternate between key and value. */
static bool read_events(yaml_parser_t *parser, struct fl_paths *paths)
{
	char **place = NULL;
	bool key_next = true;
	unsigned depth = 0;

	for (;;) {
		yaml_event_t event;
		yaml_event_type_t type;

		if (!yaml_parser_parse(parser, &event))
			return false;
		type = event.type;
		if (type == YAML_SCALAR_EVENT && depth == 1) {
			const char *text = (const char *)event.data.scalar.value;

			if (key_next)
				place = place_of(paths, text, event.data.scalar.length);
			else if (place)
				store(place, text, event.data.scalar.length);
			key_next = !key_next;
		}
		yaml_event_delete(&event);
		if (type == YAML_STREAM_END_EVENT)
			return true;
		if (type == YAML_MAPPING_START_EVENT || type == YAML_SEQUENCE_START_EVENT)
			depth++;
		if (type == YAML_MAPPING_END_EVENT || type == YAML_SEQUENCE_END_EVENT) {
			depth--;
			if (depth == 1)
				key_next = true; /* that was a value */
		}
	}
}

/* One line of a file that is no YAML: "bpffs: VALUE", quotes and comment off. */
static void read_line(char *line, struct fl_paths *paths)
{
	char *colon = strchr(line, ':');
	char **place = colon ? place_of(paths, line, (size_t)(colon - line)) : NULL;
	char *value;
	size_t length;

	if (!place)
		return;
	value = colon + 1 + strspn(colon + 1, " \t");
	if (*value == '"' || *value == '\'') {
		char quote[2] = { *value++, '\0' };

		length = strcspn(value, quote);
	} else {
		length = strcspn(value, " \t\r\n#");
	}
	store(place, value, length);
}

static void read_lines(FILE *file, struct fl_paths *paths)
{
	_cleanup_free_ char *line = NULL;
	size_t room = 0;

	rewind(file);
	while (getline(&line, &room, file) > 0)
		read_line(line, paths);
}

int fl_paths_load(const char *file, struct fl_paths *ret)
{
	_cleanup_fclose_ FILE *in = fopen(file, "re");
	struct fl_paths paths = { 0 };
	yaml_parser_t parser;
	bool whole;

	if (!in)
		return -errno;
	if (!yaml_parser_initialize(&parser))
		return -ENOMEM;
	yaml_parser_set_input_file(&parser, in);
	whole = read_events(&parser, &paths);
	yaml_parser_delete(&parser);
	if (!whole)
		read_lines(in, &paths);
	store(&paths.state_dir, FL_STATE_DIR_DEFAULT, strlen(FL_STATE_DIR_DEFAULT));
	store(&paths.bpffs, FL_BPFFS_DEFAULT, strlen(FL_BPFFS_DEFAULT));
	if (!paths.state_dir || !paths.bpffs) {
		fl_paths_done(&paths);
		return -ENOMEM;
	}
	*ret = paths;
	return 0;
}

void fl_paths_done(struct fl_paths *paths)
{
	free(paths->state_dir);
	free(paths->bpffs);
	*paths = (struct fl_paths){ 0 };
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "config/yaml.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yaml.h>

#include "core/cleanup.h"
#include "core/log.h"

/* ------------------------------------------------------------------ memory */

/* Nodes and texts of one tree are freed together: chunks, filled in turn. */
struct fl_yaml_chunk {
	struct fl_yaml_chunk *next;
	size_t used, size;
	char bytes[] __attribute__((aligned(16)));
};
#define CHUNK_BYTES (32u << 10)

static void *take_memory(struct fl_yaml *yaml, size_t size)
{
	struct fl_yaml_chunk *chunk = yaml->chunks;
	void *memory;

	size = (size + 15) & ~(size_t)15;
	if (!chunk || chunk->size - chunk->used < size) {
		size_t room = size > CHUNK_BYTES ? size : CHUNK_BYTES;

		chunk = malloc(sizeof(*chunk) + room);
		if (!chunk)
			return NULL;
		*chunk = (struct fl_yaml_chunk){ .next = yaml->chunks, .size = room };
		yaml->chunks = chunk;
	}
	memory = chunk->bytes + chunk->used;
	chunk->used += size;
	return memory;
}

void fl_yaml_done(struct fl_yaml *yaml)
{
	while (yaml->chunks) {
		struct fl_yaml_chunk *next = yaml->chunks->next;

		free(yaml->chunks);
		yaml->chunks = next;
	}
	yaml->root = NULL;
}

/* ----------------------------------------------------------------- reading */

/* One parse. `event` is the current one; it is valid until the next step(). */
struct parse {
	yaml_parser_t parser;
	yaml_event_t event;
	bool has_event;
	const char *name;
	const char *text;
	size_t nodes;
	struct fl_problems *problems;
	struct fl_yaml *yaml;
	int error; /* why no tree can be made of it */
};

static struct fl_place place_at(const struct parse *p, yaml_mark_t mark)
{
	return (struct fl_place){ p->name, (unsigned)mark.line + 1, (unsigned)mark.column + 1 };
}

/* The reader tells bytes, people count lines and characters. */
static struct fl_place place_of_byte(const struct parse *p, size_t offset)
{
	struct fl_place place = { p->name, 1, 1 };

	for (size_t i = 0; i < offset; i++) {
		if (p->text[i] == '\n') {
			place.line++;
			place.column = 1;
		} else if (((unsigned char)p->text[i] & 0xc0) != 0x80) {
			place.column++;
		}
	}
	return place;
}

static void report_syntax(struct parse *p)
{
	const yaml_parser_t *y = &p->parser;
	const char *problem = y->problem ? y->problem : "syntax error";

	if (y->error == YAML_READER_ERROR)
		fl_problem_add(p->problems, place_of_byte(p, y->problem_offset),
			"YAML: %s (0x%02x), expected UTF-8 text", problem,
			(unsigned)y->problem_value);
	else if (y->context && strstr(problem, "cannot start any token"))
		fl_problem_add(p->problems, place_at(p, y->problem_mark),
			"YAML: %s %s, expected a value (indent with spaces, not tabs; quote what "
			"begins with a special character)",
			problem, y->context);
	else if (y->context)
		fl_problem_add(p->problems, place_at(p, y->problem_mark),
			"YAML: %s, %s that began at %zu:%zu", problem, y->context,
			y->context_mark.line + 1, y->context_mark.column + 1);
	else
		fl_problem_add(p->problems, place_at(p, y->problem_mark), "YAML: %s", problem);
}

static void release_event(struct parse *p)
{
	if (p->has_event)
		yaml_event_delete(&p->event);
	p->has_event = false;
}

/* Go to the next event. @return false when there is none: p->error says why */
static bool step(struct parse *p)
{
	release_event(p);
	if (p->error)
		return false;
	if (yaml_parser_parse(&p->parser, &p->event)) {
		p->has_event = true;
		return true;
	}
	if (p->parser.error == YAML_MEMORY_ERROR) {
		p->error = -ENOMEM;
		return false;
	}
	report_syntax(p);
	p->error = -EINVAL;
	return false;
}

/* Give up: the message is the last word on this text. */
static struct fl_node *refuse(struct parse *p, const char *message)
{
	fl_problem_add(p->problems, place_at(p, p->event.start_mark), "%s", message);
	p->error = -EINVAL;
	return NULL;
}

static struct fl_node *add_node(struct parse *p, enum fl_node_kind kind)
{
	struct fl_node *node;

	if (++p->nodes > FL_YAML_NODES_MAX)
		return refuse(p, "YAML: too many values, expected at most 2000000");
	node = take_memory(p->yaml, sizeof(*node));
	if (!node) {
		p->error = -ENOMEM;
		return NULL;
	}
	*node = (struct fl_node){
		.kind = kind,
		.line = (unsigned)p->event.start_mark.line + 1,
		.column = (unsigned)p->event.start_mark.column + 1,
	};
	return node;
}

static void refuse_decoration(
	struct parse *p, struct fl_node *node, const yaml_char_t *anchor, const yaml_char_t *tag)
{
	struct fl_place place = { p->name, node->line, node->column };

	if (anchor)
		fl_problem_add(p->problems, place,
			"YAML: an anchor (&%.40s), expected a plain value", (const char *)anchor);
	if (tag)
		fl_problem_add(p->problems, place, "YAML: a tag (%.60s), expected a plain value",
			(const char *)tag);
	node->broken |= anchor || tag;
}

static const char *copy_text(struct parse *p)
{
	size_t length = p->event.data.scalar.length;
	char *copy = take_memory(p->yaml, length + 1);

	if (!copy) {
		p->error = -ENOMEM;
		return NULL;
	}
	memcpy(copy, p->event.data.scalar.value, length);
	copy[length] = '\0';
	return copy;
}

static struct fl_node *read_scalar(struct parse *p)
{
	struct fl_node *node = add_node(p, FL_NODE_SCALAR);

	if (!node)
		return NULL;
	refuse_decoration(p, node, p->event.data.scalar.anchor, p->event.data.scalar.tag);
	node->plain = p->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	node->text = copy_text(p);
	if (!node->text)
		return NULL;
	if (strlen(node->text) != p->event.data.scalar.length) {
		fl_problem_add(p->problems, (struct fl_place){ p->name, node->line, node->column },
			"YAML: a text with a NUL character, expected none");
		node->broken = true;
	}
	return node;
}

static struct fl_node *read_alias(struct parse *p)
{
	struct fl_node *node = add_node(p, FL_NODE_SCALAR);

	if (!node)
		return NULL;
	fl_problem_add(p->problems, (struct fl_place){ p->name, node->line, node->column },
		"YAML: an alias (*%.40s), expected a plain value",
		(const char *)p->event.data.alias.anchor);
	node->text = "";
	node->broken = true;
	return node;
}

static struct fl_node *read_node(struct parse *p, unsigned depth);

static struct fl_node *read_list(struct parse *p, unsigned depth)
{
	struct fl_node *list = add_node(p, FL_NODE_LIST);
	struct fl_node **end = list ? &list->first : NULL;

	if (!list)
		return NULL;
	refuse_decoration(
		p, list, p->event.data.sequence_start.anchor, p->event.data.sequence_start.tag);
	while (step(p) && p->event.type != YAML_SEQUENCE_END_EVENT) {
		struct fl_node *item = read_node(p, depth + 1);

		if (!item)
			return NULL;
		*end = item;
		end = &item->next;
		list->count++;
	}
	return p->error ? NULL : list;
}

/* Whether the key of `entry` may be entered: not twice, and not without end. */
static bool is_new_key(struct parse *p, const struct fl_node *map, const struct fl_node *entry)
{
	struct fl_place place = { p->name, entry->key_line, entry->key_column };
	const struct fl_node *first = fl_node_get(map, entry->key);
	char shown[FL_NODE_TEXT];

	if (first) {
		struct fl_node key = { .kind = FL_NODE_SCALAR, .text = entry->key };

		fl_problem_add(p->problems, place,
			"%s: stands at %u:%u already, expected each key only once",
			fl_node_show(&key, shown), first->key_line, first->key_column);
		return false;
	}
	if (map->count == FL_YAML_KEYS_MAX) {
		fl_problem_add(p->problems, place, "YAML: too many keys, expected at most %d",
			FL_YAML_KEYS_MAX);
		p->error = -EINVAL;
		return false;
	}
	return true;
}

/* The current event begins a key. @return its value's node, which is not entered
 * when the key cannot be used (*ret_usable); NULL when there is no tree */
static struct fl_node *read_entry(struct parse *p, unsigned depth, bool *ret_usable)
{
	struct fl_node *key = read_node(p, depth + 1);
	struct fl_node *value;

	if (!key)
		return NULL;
	*ret_usable = !key->broken && key->kind == FL_NODE_SCALAR;
	if (!key->broken && key->kind != FL_NODE_SCALAR)
		fl_problem_add(p->problems, (struct fl_place){ p->name, key->line, key->column },
			"YAML: a key that is %s, expected a word",
			key->kind == FL_NODE_LIST ? "a list" : "a mapping");
	if (!step(p))
		return NULL;
	value = read_node(p, depth + 1);
	if (!value)
		return NULL;
	value->key = key->text;
	value->key_line = key->line;
	value->key_column = key->column;
	return value;
}

static struct fl_node *read_map(struct parse *p, unsigned depth)
{
	struct fl_node *map = add_node(p, FL_NODE_MAP);
	struct fl_node **end = map ? &map->first : NULL;

	if (!map)
		return NULL;
	refuse_decoration(
		p, map, p->event.data.mapping_start.anchor, p->event.data.mapping_start.tag);
	while (step(p) && p->event.type != YAML_MAPPING_END_EVENT) {
		bool usable = false;
		struct fl_node *entry = read_entry(p, depth, &usable);

		if (!entry)
			return NULL;
		if (!usable || !is_new_key(p, map, entry))
			continue;
		*end = entry;
		end = &entry->next;
		map->count++;
	}
	return p->error ? NULL : map;
}

/* The current event begins a node; afterwards it is the node's last one. */
static struct fl_node *read_node(struct parse *p, unsigned depth)
{
	bool opens = p->event.type == YAML_SEQUENCE_START_EVENT ||
		     p->event.type == YAML_MAPPING_START_EVENT;

	if (opens && depth >= FL_YAML_DEPTH_MAX)
		return refuse(p, "YAML: nested too deeply, expected at most 32 levels");
	switch (p->event.type) {
	case YAML_SCALAR_EVENT:
		return read_scalar(p);
	case YAML_ALIAS_EVENT:
		return read_alias(p);
	case YAML_SEQUENCE_START_EVENT:
		return read_list(p, depth);
	case YAML_MAPPING_START_EVENT:
		return read_map(p, depth);
	default:
		return refuse(p, "YAML: unexpected content");
	}
}

static void read_document(struct parse *p)
{
	if (!step(p)) /* the start of the stream */
		return;
	if (!step(p) || p->event.type == YAML_STREAM_END_EVENT)
		return;
	if (!step(p)) /* over the start of the document */
		return;
	p->yaml->root = read_node(p, 0);
	if (p->error || !step(p) || !step(p))
		return;
	if (p->event.type != YAML_STREAM_END_EVENT)
		refuse(p, "YAML: a second document, expected only one in a file");
}

/* Whether it begins as only UTF-16 does: told, since the reader would guess. */
static bool is_utf16(const char *text, size_t length)
{
	return length >= 2 &&
	       (memcmp(text, "\xff\xfe", 2) == 0 || memcmp(text, "\xfe\xff", 2) == 0);
}

int fl_yaml_parse(const char *text, size_t length, const char *name, struct fl_problems *problems,
	struct fl_yaml *ret)
{
	struct fl_yaml yaml = { 0 };
	struct parse p = { .name = name, .problems = problems, .yaml = &yaml };

	if (is_utf16(text, length)) {
		fl_problem_add(problems, (struct fl_place){ name, 1, 1 },
			"YAML: this is UTF-16, expected UTF-8 text");
		return -EINVAL;
	}
	if (length >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
		text += 3; /* a byte order mark shifts columns otherwise */
		length -= 3;
	}
	if (!yaml_parser_initialize(&p.parser))
		return -ENOMEM;
	p.text = text;
	yaml_parser_set_encoding(&p.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&p.parser, (const unsigned char *)text, length);
	read_document(&p);
	release_event(&p);
	yaml_parser_delete(&p.parser);
	if (p.error) {
		fl_yaml_done(&yaml);
		return p.error;
	}
	*ret = yaml;
	return 0;
}

/* ------------------------------------------------------------------- files */

static int read_whole(int fd, char **ret, size_t *ret_length)
{
	_cleanup_free_ char *text = NULL;
	size_t length = 0;
	size_t room = 0;

	for (;;) {
		ssize_t n;

		if (length == room) {
			char *moved;

			room = room ? room * 2 : 8192;
			moved = realloc(text, room + 1);
			if (!moved)
				return -ENOMEM;
			text = moved;
		}
		n = read(fd, text + length, room - length);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		length += (size_t)n;
		if (length > FL_YAML_BYTES_MAX)
			return -EFBIG;
	}
	text[length] = '\0';
	*ret = TAKE_PTR(text);
	*ret_length = length;
	return 0;
}

/* Opened without blocking, so that a FIFO cannot hold us up. */
static int read_file(const char *file, char **ret, size_t *ret_length)
{
	_cleanup_close_ int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	return read_whole(fd, ret, ret_length);
}

int fl_yaml_read_file(
	const char *file, struct fl_problems *problems, char **ret, size_t *ret_length)
{
	struct fl_place place = { .file = file };
	int r = read_file(file, ret, ret_length);

	if (r == -EFBIG)
		fl_problem_add(problems, place, "too large, expected at most %u MiB",
			FL_YAML_BYTES_MAX >> 20);
	else if (r == -EINVAL)
		fl_problem_add(problems, place, "cannot be read: it is no regular file");
	else if (r < 0)
		fl_problem_add(problems, place, "cannot be read: %s", fl_log_errno(r));
	return r;
}

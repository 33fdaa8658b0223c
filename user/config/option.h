/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "config/config.h"
#include "config/services.h"
#include "config/yaml.h"

/**
 * @file option.h
 * Options as rows, and the walker that reads a tree by them. Private to config/.
 *
 * A row says which key it is, what type its value has, and in which field of
 * which struct the value goes. A type reads a node into the field and prints the
 * field again. So what is read, printed by --print-config, compared for a
 * reload and documented is always the same list.
 */
struct fl_reader;
struct fl_option;

/** The struct that a row's field is in, and so the list it is an item of. */
enum fl_option_of { FL_OF_CONFIG, FL_OF_REGISTRY, FL_OF_SERVICE, FL_OF_ENDPOINT, FL_OF_CHECK };

struct fl_option_type {
	/** Complete "expected …". */
	void (*describe)(const struct fl_option *option, FILE *out);
	/** Read the node into the field. @return false when an error was added */
	bool (*read)(struct fl_reader *reader, const struct fl_option *option,
		const struct fl_node *node, void *target);
	/** Write the field's value as YAML on one line; nothing when it is not set. */
	void (*print)(const struct fl_option *option, const void *target, FILE *out);
};

/** One of the words that an option may be. `later`: known, not supported yet. */
struct fl_word {
	const char *text; /**< NULL ends the list */
	int value;
	bool later;
};

struct fl_option {
	const char *key; /**< dotted: "edge.nat.ports" */
	enum fl_option_of of;
	const struct fl_option_type *type;
	size_t offset;       /**< of the field in the struct */
	size_t size;         /**< of the field, in bytes */
	size_t count_offset; /**< lists: of the count */
	int64_t min, max;    /**< numbers: the value; texts: the length in bytes */
	int64_t known_max;   /**< numbers: up to here it is known, beyond `max` not supported */
	const struct fl_word *words;
	const char *fallback;       /**< as YAML; "" = not set; NULL = it must be given */
	const char *fallback_words; /**< for the documents, when `fallback` does not tell */
	bool reloadable;
	bool unsupported; /**< refused unless its value switches it off */
	const char *help;
};

/** Ends with a NULL key. */
extern const struct fl_option fl_options[];
size_t fl_options_count(void);
const struct fl_option *fl_option_find(const char *key);

/** Where a value was given. */
struct fl_option_origin {
	const struct fl_option *option;
	const void *target;
	unsigned line, column;
};

/** Given values of a configuration, sorted for lookup by fl_origins_sort. */
struct fl_origins {
	struct fl_option_origin *items;
	size_t count, room;
};
void fl_origins_sort(struct fl_origins *origins);
/** @return NULL when the value is the default */
const struct fl_option_origin *fl_origins_find(
	const struct fl_origins *origins, const struct fl_option *option, const void *target);

/** One reading of one text. */
struct fl_reader {
	const char *file;
	struct fl_problems *problems;
	struct fl_origins *origins; /**< NULL = they are not wanted */
	const char *registry;       /**< name put into services */
	bool remote;                /**< another machine declares it: it runs nothing here */
	bool varies;                /**< of services: their endpoints come and go by themselves */
	bool no_memory;             /**< something was left out for lack of memory */
};

/**
 * Read a mapping into a struct: known keys by their rows, defaults for what is
 * absent; unknown keys, absent required ones and unsupported ones are errors.
 * @param prefix  key of the mapping: "" or "services.endpoints"
 * @param node    NULL = nothing is given
 */
void fl_read_options(struct fl_reader *reader, enum fl_option_of of, const char *prefix,
	const struct fl_node *node, void *target);

/** Read a service's mapping. It is not finished: see fl_service_finish; `incomplete` says
 * that it had errors. @return NULL when out of memory */
struct fl_service *fl_read_service(struct fl_reader *reader, const struct fl_node *node);
/** Read a document that holds `services:` and nothing else. @param ret  those without errors
 * @return 0, -EINVAL when errors were added, -ENOMEM */
int fl_services_read(struct fl_reader *reader, const struct fl_node *root, fl_service_vec *ret);

/** Add an error about a value: "KEY: VALUE why, expected …", with what the
 * option's type expects. @return false */
bool fl_read_refuse(struct fl_reader *reader, const struct fl_option *option,
	const struct fl_node *node, const char *why);
/** Add an error in free words behind the key. @return false */
bool fl_read_error(struct fl_reader *reader, const struct fl_option *option,
	const struct fl_node *node, const char *format, ...) __attribute__((format(printf, 4, 5)));
/** Note that memory ran out. @return false */
bool fl_read_no_memory(struct fl_reader *reader);
/** Whether the node is a scalar with text in it; adds the error otherwise. */
bool fl_read_is_text(
	struct fl_reader *reader, const struct fl_option *option, const struct fl_node *node);
/** Whether the node is a list (perhaps an empty one); adds the error otherwise. */
bool fl_read_is_list(
	struct fl_reader *reader, const struct fl_option *option, const struct fl_node *node);
/** Whether a value switches a feature off: false, off, or `enabled: false` inside. */
bool fl_node_is_off(const struct fl_node *node);

/** The row's field in the struct. */
#define FL_FIELD(type, option, target) ((type *)((char *)(target) + (option)->offset))

/** A number of the field's size; and back. */
void fl_store_integer(const struct fl_option *option, void *target, int64_t value);
int64_t fl_load_integer(const struct fl_option *option, const void *target);

/** Write a text as YAML: plain where every reader takes it for a text. */
void fl_print_text(const char *text, FILE *out);
/** The printed value. @return to be freed, "" = not set; NULL when out of memory */
char *fl_option_text(const struct fl_option *option, const void *target);

/* types.c: single values */
extern const struct fl_option_type fl_type_text, fl_type_path, fl_type_label, fl_type_integer,
	fl_type_word, fl_type_flag, fl_type_mode, fl_type_opaque;
/* decimals.c: numbers like 1.5, kept as hundredths */
extern const struct fl_option_type fl_type_hundredths;
/* durations.c: in seconds, in milliseconds, and what becomes of stale connections */
extern const struct fl_option_type fl_type_duration, fl_type_millis, fl_type_stale;
/* network.c: addresses and interfaces */
extern const struct fl_option_type fl_type_listen, fl_type_interfaces, fl_type_addresses,
	fl_type_prefixes, fl_type_ports, fl_type_tunnel_source, fl_type_domain;
/* service_types.c and registries.c: what is a list of mappings, and its parts */
extern const struct fl_option_type fl_type_service_name, fl_type_frontends, fl_type_endpoints,
	fl_type_endpoint_address, fl_type_services, fl_type_registries;
/* consul_types.c: where a Consul is, and what is read of it */
extern const struct fl_option_type fl_type_url, fl_type_urls, fl_type_kv;
/* registration_types.c: texts and pairs of them */
extern const struct fl_option_type fl_type_texts, fl_type_pairs;
/* check_types.c: how endpoints are probed */
extern const struct fl_option_type fl_type_check, fl_type_statuses, fl_type_source, fl_type_payload;
/** What of a check needs the whole service, which has been read: adds errors. */
void fl_read_check_of(struct fl_reader *reader, const struct fl_service *service);

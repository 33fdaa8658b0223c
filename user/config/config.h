/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "core/addr.h"
#include "core/log.h"
#include "core/problem.h"
#include "model/service.h"
#include "model/snapshot.h"

/**
 * @file config.h
 * The configuration file, checked and typed.
 *
 * Every option is a row in options.c (key, type, range, default, whether a
 * reload can change it, help): the reader, --print-config, the man page check
 * and "known, not supported by this version" all come from there.
 */

enum fl_edge_mode { FL_MODE_AUTO = 0, FL_MODE_NATIVE, FL_MODE_GENERIC };

/** Files of a TLS client; each NULL when not given. */
struct fl_tls_config {
	char *ca;          /**< CA certificates, PEM; NULL = the system's */
	char *cert;        /**< client certificate, PEM */
	char *key;         /**< its key, PEM; NULL = in `cert` */
	char *server_name; /**< verified instead of the URL's host */
};

enum fl_consul_consistency {
	FL_CONSUL_STALE = 0,  /**< any server answers; works without a leader */
	FL_CONSUL_DEFAULT,    /**< the leader answers */
	FL_CONSUL_CONSISTENT, /**< the leader asks a quorum first */
};

/** `registries: - consul: { … }` */
struct fl_consul_config {
	char **urls; /**< http://, https:// or unix:///PATH; tried in turn */
	size_t url_count;
	char *token_file; /**< ACL token, read again when it changes */
	struct fl_tls_config tls;
	char *datacenter, *namespace, *partition; /**< sent only when given */
	enum fl_consul_consistency consistency;
	bool cached; /**< let the local agent answer from its cache */
	char **tags; /**< services must have one of them; none = no such condition */
	size_t tag_count;
	char *pattern; /**< glob over service names; NULL = all */
	char *filter;  /**< Consul's filter expression over instances; NULL = none */
	char *kv; /**< prefix of service definitions, without '/' at its end; NULL = not read */
	uint32_t wait_s;      /**< of blocking queries */
	uint32_t connections; /**< most at once */

	bool verdict;                /**< of what is registered: keep a TTL check with ours */
	uint32_t ttl_s;              /**< of that check */
	uint32_t deregister_after_s; /**< Consul removes what was critical this long; 0 = never */
	char *lock;                  /**< only who holds this key registers; NULL = everybody */
	char *nodes; /**< prefix of what nodes write of themselves; NULL = nothing */
};

/** An address to listen on. */
struct fl_listen {
	struct fl_ip addr;
	uint16_t port; /**< host order; 0 = "off" */
};

/** One registry of the list. Immutable once the configuration is read, and counted by
 * reference: a registry that goes on keeps what it was started with. */
struct fl_registry_config {
	unsigned references;
	char *name;                  /**< unique; the type, or what `name:` says */
	char *type;                  /**< "file", "consul" */
	char *path;                  /**< file: directory to watch */
	uint8_t max_removal_percent; /**< remote ones: an answer that removes more is held; 100 = none is */
	struct fl_consul_config consul;
	unsigned line, column;
};

/** One reference. @return NULL when out of memory */
struct fl_registry_config *fl_registry_config_new(void);
struct fl_registry_config *fl_registry_config_ref(struct fl_registry_config *registry);
/** NULL is welcome. */
void fl_registry_config_unref(struct fl_registry_config *registry);
/** Whether every option of theirs has the same value. */
bool fl_registry_config_equal(
	const struct fl_registry_config *a, const struct fl_registry_config *b);

struct fl_config {
	char *file;      /**< as given on the command line */
	char *node_name; /**< default: the host name */
	char *node_zone; /**< NULL = none */
	enum fl_log_level log_level;
	enum fl_log_format log_format;
	char *state_dir;
	char *bpffs;
	char *control_socket;
	char *control_group;
	mode_t control_mode;
	struct fl_listen http;
	struct fl_listen dns;
	char *dns_domain;
	uint32_t dns_ttl_s;
	struct fl_limits limits;

	char **interfaces; /**< of `edge`; none = no edge path */
	size_t interface_count;
	enum fl_edge_mode edge_mode;
	uint16_t nat_port_min, nat_port_max; /**< host order, inclusive */
	struct fl_ip *nat_sources;
	size_t nat_source_count;
	struct fl_prefix tunnel_source[FL_FAMILIES]; /**< by family of the outer header */
	bool has_tunnel_source[FL_FAMILIES];
	uint32_t hash_seed;

	uint32_t check_concurrency; /**< most probes at once */
	bool node_path;             /**< `node_path.enabled` */
	char *node_cgroup;          /**< NULL = the root of the cgroup2 mount */

	char **target_interfaces; /**< of `target`; none = no target path */
	size_t target_interface_count;
	struct fl_prefix *target_from;
	size_t target_from_count;

	struct fl_registry_config **registries; /**< in order of precedence */
	size_t registry_count;
	struct fl_service **services; /**< declared inline; registry "inline" */
	size_t service_count;

	struct fl_origins *origins; /**< where values were given; private to config/ */
};

/** What the node says that a configuration must fit. */
struct fl_environment {
	uint16_t local_port_min, local_port_max; /**< ip_local_port_range; 0 = not known */
	char host_name[254];
};
void fl_environment_read(struct fl_environment *ret);

/**
 * Read and check a file. All errors are collected, not only the first.
 * @param ret  set when there are no errors; warnings do not prevent it
 * @return 0; -EINVAL when errors were added; -ENOENT/-EACCES/… when the file
 *         could not be read (also added as a problem); -ENOMEM
 */
int fl_config_load(const char *file, struct fl_problems *problems, struct fl_config **ret);

/** The same from memory, for a given node; `name` stands for the file. */
int fl_config_parse(const char *text, size_t length, const char *name,
	const struct fl_environment *environment, struct fl_problems *problems,
	struct fl_config **ret);
/** NULL is welcome. */
void fl_config_free(struct fl_config *config);

/** Write effective values as YAML, each with a comment that says where it came
 * from: "default" or FILE:LINE. */
void fl_config_print(const struct fl_config *config, FILE *out);

/**
 * Which options differ between two configurations and cannot be reloaded.
 * @return key of the first such option, or NULL when a reload can do it all
 */
const char *fl_config_needs_restart(const struct fl_config *old, const struct fl_config *new);

/** One documented option, for man page checks and help. */
struct fl_option_doc {
	const char *key;  /**< dotted: "edge.nat.ports" */
	const char *type; /**< in words: "integer 1-65535" */
	const char *fallback;
	const char *help;
	bool reloadable;
	bool supported;
};
/** @return array that ends with a NULL key; static */
const struct fl_option_doc *fl_config_options(void);

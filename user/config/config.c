/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "config/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/option.h"
#include "core/cleanup.h"
#include "model/merger.h"
#include "core/vec.h"

void fl_environment_read(struct fl_environment *ret)
{
	_cleanup_fclose_ FILE *file = fopen("/proc/sys/net/ipv4/ip_local_port_range", "re");
	unsigned first;
	unsigned last;

	*ret = (struct fl_environment){ 0 };
	if (file && fscanf(file, "%u %u", &first, &last) == 2 && last <= 65535) {
		ret->local_port_min = (uint16_t)first;
		ret->local_port_max = (uint16_t)last;
	}
	if (gethostname(ret->host_name, sizeof(ret->host_name) - 1) < 0)
		ret->host_name[0] = '\0';
}

/* -------------------------------------------------------------------- free */

static void free_texts(char **texts, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(texts[i]);
	free(texts);
}

static void consul_done(struct fl_consul_config *consul)
{
	free_texts(consul->urls, consul->url_count);
	free_texts(consul->tags, consul->tag_count);
	free(consul->token_file);
	free(consul->tls.ca);
	free(consul->tls.cert);
	free(consul->tls.key);
	free(consul->tls.server_name);
	free(consul->datacenter);
	free(consul->namespace);
	free(consul->partition);
	free(consul->pattern);
	free(consul->filter);
	free(consul->kv);
	free(consul->lock);
	free(consul->nodes);
}

struct fl_registry_config *fl_registry_config_new(void)
{
	struct fl_registry_config *registry = calloc(1, sizeof(*registry));

	if (registry)
		registry->references = 1;
	return registry;
}

struct fl_registry_config *fl_registry_config_ref(struct fl_registry_config *registry)
{
	registry->references++;
	return registry;
}

void fl_registry_config_unref(struct fl_registry_config *registry)
{
	if (!registry || --registry->references)
		return;
	free(registry->name);
	free(registry->type);
	free(registry->path);
	consul_done(&registry->consul);
	free(registry);
}

void fl_config_free(struct fl_config *config)
{
	if (!config)
		return;
	for (size_t i = 0; i < config->service_count; i++)
		fl_service_unref(config->services[i]);
	for (size_t i = 0; i < config->registry_count; i++)
		fl_registry_config_unref(config->registries[i]);
	free_texts(config->interfaces, config->interface_count);
	free_texts(config->target_interfaces, config->target_interface_count);
	free(config->services);
	free(config->registries);
	free(config->nat_sources);
	free(config->target_from);
	free(config->node_cgroup);
	free(config->file);
	free(config->node_name);
	free(config->node_zone);
	free(config->state_dir);
	free(config->bpffs);
	free(config->control_socket);
	free(config->control_group);
	free(config->dns_domain);
	if (config->origins)
		fl_vec_done(config->origins);
	free(config->origins);
	free(config);
}

/* ------------------------------------------------------------------ checks */

/* Where an option was given; else where `otherwise` was, or the file's start. */
static struct fl_place place_of(
	const struct fl_config *config, const char *key, const char *otherwise)
{
	const struct fl_option_origin *origin =
		fl_origins_find(config->origins, fl_option_find(key), config);

	if (!origin && otherwise)
		origin = fl_origins_find(config->origins, fl_option_find(otherwise), config);
	return (struct fl_place){ config->file, origin ? origin->line : 1,
		origin ? origin->column : 1 };
}

/* Both give out source ports without asking each other. */
static void check_nat_ports(const struct fl_config *config,
	const struct fl_environment *environment, struct fl_problems *problems)
{
	bool is_given = fl_origins_find(config->origins, fl_option_find("edge.nat.ports"), config);

	if (!environment->local_port_max || !config->nat_port_min ||
		(!is_given && !config->interface_count))
		return;
	if (config->nat_port_max < environment->local_port_min ||
		config->nat_port_min > environment->local_port_max)
		return;
	fl_problem_add(problems, place_of(config, "edge.nat.ports", "edge.interfaces"),
		"edge.nat.ports: %u-%u%s overlaps net.ipv4.ip_local_port_range (%u-%u), which this "
		"node's own connections use, expected a range beside it (change either)",
		config->nat_port_min, config->nat_port_max, is_given ? "" : " (the default)",
		environment->local_port_min, environment->local_port_max);
}

/* An interface runs one XDP program. */
static void check_interfaces(const struct fl_config *config, struct fl_problems *problems)
{
	for (size_t i = 0; i < config->target_interface_count; i++)
		for (size_t j = 0; j < config->interface_count; j++)
			if (strcmp(config->target_interfaces[i], config->interfaces[j]) == 0)
				fl_problem_add(problems,
					place_of(config, "target.interfaces", NULL),
					"target.interfaces: %s is one of edge.interfaces, expected "
					"another one: an interface runs one program",
					config->interfaces[j]);
	if (config->target_interface_count && !config->target_from_count)
		fl_problem_add(problems, place_of(config, "target.from", "target.interfaces"),
			"target.from: missing, must be given: without it no balancer is let in");
}

/* Who can send from a false address can have answers sent to others. */
static void check_dns(const struct fl_config *config, struct fl_problems *problems)
{
	struct fl_place place = place_of(config, "dns.listen", NULL);
	char text[FL_IP_TEXT];

	if (!config->dns.port)
		return;
	fl_ip_format(&config->dns.addr, text);
	if (fl_ip_is_unspecified(&config->dns.addr))
		fl_problem_add(problems, place,
			"dns.listen: %s is no address of this node, expected one of its "
			"addresses: answers over UDP come from the one that was asked",
			text);
	else if (!fl_ip_is_loopback(&config->dns.addr))
		fl_problem_warn(problems, place,
			"dns.listen: %s is no loopback address: everybody who reaches it can read "
			"names and addresses of services",
			text);
}

static int check_services(const struct fl_config *config, struct fl_problems *problems)
{
	struct fl_declaration inline_ = { "inline", config->services, config->service_count };
	struct fl_snapshot *snapshot = NULL;
	int r = fl_snapshot_merge(&inline_, 1, &config->limits, 0, problems, &snapshot);

	fl_snapshot_unref(snapshot);
	return r;
}

/* ----------------------------------------------------------------- reading */

/* Defaults that no row can hold. */
static bool complete(struct fl_config *config, const struct fl_environment *environment)
{
	struct fl_registry_config *registry;

	if (!config->node_name)
		config->node_name =
			strdup(environment->host_name[0] ? environment->host_name : "localhost");
	if (!config->node_name)
		return false;
	if (config->registries)
		return true;
	config->registries = calloc(1, sizeof(struct fl_registry_config *));
	registry = config->registries ? fl_registry_config_new() : NULL;
	if (!registry)
		return false;
	config->registries[config->registry_count++] = registry;
	registry->type = strdup("file");
	registry->name = strdup(fl_option_find("registries.file.name")->fallback);
	registry->path = strdup(fl_option_find("registries.file.path")->fallback);
	return registry->type && registry->name && registry->path;
}

static int read_tree(struct fl_config *config, const struct fl_node *root, const char *name,
	const struct fl_environment *environment, struct fl_problems *problems)
{
	struct fl_reader reader = {
		.file = name,
		.problems = problems,
		.origins = config->origins,
		.registry = "inline",
	};

	fl_read_options(&reader, FL_OF_CONFIG, "", root, config);
	fl_origins_sort(config->origins);
	if (reader.no_memory || !complete(config, environment))
		return -ENOMEM;
	check_nat_ports(config, environment, problems);
	check_interfaces(config, problems);
	check_dns(config, problems);
	return check_services(config, problems);
}

static struct fl_config *config_new(const char *name)
{
	struct fl_config *config = calloc(1, sizeof(*config));

	if (!config)
		return NULL;
	config->file = strdup(name);
	config->origins = calloc(1, sizeof(*config->origins));
	if (!config->file || !config->origins) {
		fl_config_free(config);
		return NULL;
	}
	return config;
}

int fl_config_parse(const char *text, size_t length, const char *name,
	const struct fl_environment *environment, struct fl_problems *problems,
	struct fl_config **ret)
{
	struct fl_config *config = config_new(name);
	size_t errors = problems->errors;
	struct fl_yaml yaml = { 0 };
	int r = -ENOMEM;

	if (config)
		r = fl_yaml_parse(text, length, name, problems, &yaml);
	if (r == 0)
		r = read_tree(config, yaml.root, name, environment, problems);
	fl_yaml_done(&yaml);
	if (r == 0 && problems->errors != errors)
		r = -EINVAL;
	if (r < 0) {
		fl_config_free(config);
		return r;
	}
	*ret = config;
	return 0;
}

int fl_config_load(const char *file, struct fl_problems *problems, struct fl_config **ret)
{
	_cleanup_free_ char *text = NULL;
	struct fl_environment environment;
	size_t length = 0;
	int r = fl_yaml_read_file(file, problems, &text, &length);

	if (r < 0)
		return r;
	fl_environment_read(&environment);
	return fl_config_parse(text, length, file, &environment, problems, ret);
}

/* ------------------------------------------------------------------ reload */

/* @param a, b  the struct that the option is in */
static bool is_same_value(const struct fl_option *option, const void *a, const void *b)
{
	_cleanup_free_ char *before = fl_option_text(option, a);
	_cleanup_free_ char *after = fl_option_text(option, b);

	return before && after && strcmp(before, after) == 0;
}

bool fl_registry_config_equal(
	const struct fl_registry_config *a, const struct fl_registry_config *b)
{
	char prefix[64];
	int length = snprintf(prefix, sizeof(prefix), "registries.%s.", a->type);

	if (a == b)
		return true;
	if (strcmp(a->type, b->type) != 0)
		return false;
	for (const struct fl_option *option = fl_options; option->key; option++)
		if (option->of == FL_OF_REGISTRY &&
			strncmp(option->key, prefix, (size_t)length) == 0 &&
			!is_same_value(option, a, b))
			return false;
	return true;
}

const char *fl_config_needs_restart(const struct fl_config *old, const struct fl_config *new)
{
	for (const struct fl_option *option = fl_options; option->key; option++)
		if (option->of == FL_OF_CONFIG && !option->reloadable && !option->unsupported &&
			!is_same_value(option, old, new))
			return option->key;
	/* Programs are loaded at the start, only if some interface wants them. */
	if (!old->interface_count != !new->interface_count)
		return "edge.interfaces";
	if (!old->target_interface_count != !new->target_interface_count)
		return "target.interfaces";
	return NULL;
}

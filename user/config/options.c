/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Every option there is. --print-config shows the rows in this order.
 */
#include "config/option.h"

#include <stdlib.h>
#include <string.h>

#include "core/defaults.h"

#define FIELD(type, member)                                                                        \
	.offset = offsetof(struct type, member), .size = sizeof(((struct type *)0)->member)
#define LIST(type, member, count) FIELD(type, member), .count_offset = offsetof(struct type, count)
#define TEXT_OF(number)           TEXT_OF_(number)
#define TEXT_OF_(number)          #number

#define SUN_PATH_MAX 107 /* of sockaddr_un, without the NUL */
#define DAY_S        86400

/* "HEX.addr." before it must fit into a name, and so must any sensible service. */
#define DNS_DOMAIN_MAX 100

static const struct fl_word log_levels[] = {
	{ "error", FL_LOG_ERROR },
	{ "warning", FL_LOG_WARNING },
	{ "info", FL_LOG_INFO },
	{ "debug", FL_LOG_DEBUG },
	{ NULL },
};

static const struct fl_word log_formats[] = {
	{ "text", FL_LOG_TEXT },
	{ "json", FL_LOG_JSON },
	{ NULL },
};

static const struct fl_word edge_modes[] = {
	{ "auto", FL_MODE_AUTO },
	{ "native", FL_MODE_NATIVE },
	{ "generic", FL_MODE_GENERIC },
	{ NULL },
};

static const struct fl_word forwards[] = {
	{ "nat", FL_NAT },
	{ "ipip", FL_IPIP },
	{ "l2", FL_L2, .later = true },
	{ "gue", FL_GUE, .later = true },
	{ NULL },
};

static const struct fl_word balances[] = {
	{ "maglev", FL_MAGLEV },
	{ "random", FL_RANDOM },
	{ "round-robin", FL_ROUND_ROBIN },
	{ "least-connections", FL_LEAST_CONNECTIONS },
	{ "p2c", FL_P2C },
	{ NULL },
};

static const struct fl_word keys[] = {
	{ "random", FL_KEY_RANDOM },
	{ "source", FL_KEY_SOURCE },
	{ "cgroup", FL_KEY_CGROUP },
	{ NULL },
};

static const struct fl_word localities[] = {
	{ "off", FL_LOCALITY_OFF },
	{ "zone", FL_LOCALITY_ZONE },
	{ "node", FL_LOCALITY_NODE },
	{ NULL },
};

/* FL_SIZES, as people write them. */
static const struct fl_word sizes[] = {
	{ "251", 251 },
	{ "1021", 1021 },
	{ "4093", 4093 },
	{ "16381", 16381 },
	{ "65537", 65537 },
	{ NULL },
};

static const struct fl_word udps[] = {
	{ "keep", FL_UDP_KEEP },
	{ "move", FL_UDP_MOVE },
	{ "quic", FL_UDP_QUIC },
	{ NULL },
};

static const struct fl_word states[] = {
	{ "up", FL_UP },
	{ "down", FL_DOWN },
	{ "draining", FL_DRAINING },
	{ "maintenance", FL_MAINTENANCE },
	{ NULL },
};

static const struct fl_word starts[] = {
	{ "up", false },
	{ "down", true },
	{ NULL },
};

static const struct fl_word roads[] = {
	{ "direct", false },
	{ "tunnel", true },
	{ NULL },
};

static const struct fl_word consistencies[] = {
	{ "stale", FL_CONSUL_STALE },
	{ "default", FL_CONSUL_DEFAULT },
	{ "consistent", FL_CONSUL_CONSISTENT },
	{ NULL },
};

const struct fl_option fl_options[] = {
	{ "node.name", FL_OF_CONFIG, &fl_type_text, FIELD(fl_config, node_name), .min = 1,
		.max = 253, .fallback = "", .fallback_words = "the host name", .reloadable = true,
		.help = "what this node is called in logs and answers" },
	{ "node.zone", FL_OF_CONFIG, &fl_type_text, FIELD(fl_config, node_zone), .min = 1,
		.max = 63, .fallback = "", .fallback_words = "none", .reloadable = true,
		.help = "the zone this node is in" },

	{ "log.level", FL_OF_CONFIG, &fl_type_word, FIELD(fl_config, log_level),
		.words = log_levels, .fallback = "info", .reloadable = true,
		.help = "the least important kind of line that is still written" },
	{ "log.format", FL_OF_CONFIG, &fl_type_word, FIELD(fl_config, log_format),
		.words = log_formats, .fallback = "text", .reloadable = true,
		.help = "how lines are written: for people, or one JSON object each" },

	{ "state_dir", FL_OF_CONFIG, &fl_type_path, FIELD(fl_config, state_dir), .min = 2,
		.max = 4000, .fallback = FL_STATE_DIR_DEFAULT,
		.help = "directory of what the agent keeps over a restart; made if absent" },
	{ "bpffs", FL_OF_CONFIG, &fl_type_path, FIELD(fl_config, bpffs), .min = 2, .max = 4000,
		.fallback = FL_BPFFS_DEFAULT,
		.help = "directory in a bpffs for maps, programs and links; made if absent" },

	{ "control.socket", FL_OF_CONFIG, &fl_type_path, FIELD(fl_config, control_socket), .min = 2,
		.max = SUN_PATH_MAX, .fallback = FL_SOCKET_DEFAULT,
		.help = "Unix socket that fairlead(8) speaks to" },
	{ "control.group", FL_OF_CONFIG, &fl_type_text, FIELD(fl_config, control_group), .min = 1,
		.max = 32, .fallback = "fairlead",
		.help = "group that may use the socket besides root; if it does not exist, only "
			"root" },
	{ "control.mode", FL_OF_CONFIG, &fl_type_mode, FIELD(fl_config, control_mode),
		.fallback = "0660", .help = "permissions of the socket" },

	{ "http.listen", FL_OF_CONFIG, &fl_type_listen, FIELD(fl_config, http),
		.fallback = "127.0.0.1:9707",
		.help = "where metrics, health and the read-only API are served, or off" },

	{ "dns.listen", FL_OF_CONFIG, &fl_type_listen, FIELD(fl_config, dns), .fallback = "off",
		.help = "where names of services are answered, over UDP and TCP" },
	{ "dns.domain", FL_OF_CONFIG, &fl_type_domain, FIELD(fl_config, dns_domain),
		.max = DNS_DOMAIN_MAX, .fallback = "fairlead", .reloadable = true,
		.help = "the domain that they are below" },
	{ "dns.ttl", FL_OF_CONFIG, &fl_type_duration, FIELD(fl_config, dns_ttl_s), .min = 0,
		.max = DAY_S, .fallback = "0s", .reloadable = true,
		.help = "how long others may keep an answer" },

	{ "limits.services", FL_OF_CONFIG, &fl_type_integer, FIELD(fl_config, limits.services),
		.min = 1, .max = 65535, .fallback = TEXT_OF(FL_SERVICES_DEFAULT),
		.help = "most services over all registries" },
	{ "limits.endpoints", FL_OF_CONFIG, &fl_type_integer, FIELD(fl_config, limits.endpoints),
		.min = 1, .max = FL_ENDPOINTS_LIMIT, .fallback = TEXT_OF(FL_ENDPOINTS_DEFAULT),
		.help = "most endpoints over all services" },
	{ "limits.slots", FL_OF_CONFIG, &fl_type_integer, FIELD(fl_config, limits.slots),
		.min = 1024, .max = 67108864, .fallback = TEXT_OF(FL_SLOTS_DEFAULT),
		.help = "slots for the tables of all services, 8 bytes each" },
	{ "limits.flows", FL_OF_CONFIG, &fl_type_integer, FIELD(fl_config, limits.flows),
		.min = 1024, .max = 16777216, .fallback = TEXT_OF(FL_FLOWS_DEFAULT),
		.help = "most connections that nat may carry at once" },

	{ "edge.interfaces", FL_OF_CONFIG, &fl_type_interfaces,
		LIST(fl_config, interfaces, interface_count), .max = FL_INTERFACES_MAX,
		.fallback = "", .fallback_words = "none, and so no edge path", .reloadable = true,
		.help = "interfaces on which traffic is balanced; one that is absent is waited "
			"for" },
	{ "edge.mode", FL_OF_CONFIG, &fl_type_word, FIELD(fl_config, edge_mode),
		.words = edge_modes, .fallback = "auto", .reloadable = true,
		.help = "XDP in the driver (native), in the stack (generic), or the best there "
			"is" },
	{ "edge.nat.ports", FL_OF_CONFIG, &fl_type_ports, .fallback = "1024-32767",
		.help = "source ports of nat; must not overlap net.ipv4.ip_local_port_range" },
	{ "edge.nat.source", FL_OF_CONFIG, &fl_type_addresses,
		LIST(fl_config, nat_sources, nat_source_count), .max = FL_NAT_SOURCES_MAX,
		.fallback = "", .fallback_words = "what the route to the endpoint prefers",
		.help = "source addresses of nat" },
	{ "edge.tunnel_source", FL_OF_CONFIG, &fl_type_tunnel_source, .fallback = "",
		.fallback_words = "what the route to the endpoint prefers",
		.help = "outer source of tunnels; the low bits of a prefix are a hash of the "
			"flow" },
	{ "edge.hash_seed", FL_OF_CONFIG, &fl_type_integer, FIELD(fl_config, hash_seed), .min = 0,
		.max = UINT32_MAX, .fallback = "0",
		.help = "equal on all nodes that must send a flow to the same endpoint" },

	{ "target.interfaces", FL_OF_CONFIG, &fl_type_interfaces,
		LIST(fl_config, target_interfaces, target_interface_count),
		.max = FL_INTERFACES_MAX, .fallback = "",
		.fallback_words = "none, and so no target path", .reloadable = true,
		.help = "interfaces on which tunnelled packets are taken out of their tunnel" },
	{ "target.from", FL_OF_CONFIG, &fl_type_prefixes,
		LIST(fl_config, target_from, target_from_count), .max = 256, .fallback = "",
		.fallback_words = "none",
		.help = "balancers whose tunnels are accepted; needed with target.interfaces" },

	{ "node_path.enabled", FL_OF_CONFIG, &fl_type_flag, FIELD(fl_config, node_path),
		.fallback = "false",
		.help = "connect processes of this node straight to an endpoint" },
	{ "node_path.cgroup", FL_OF_CONFIG, &fl_type_path, FIELD(fl_config, node_cgroup), .min = 1,
		.max = 255, .fallback = "", .fallback_words = "the root of the cgroup2 mount",
		.help = "cgroup whose processes are served" },

	{ "checks.concurrency", FL_OF_CONFIG, &fl_type_integer, FIELD(fl_config, check_concurrency),
		.min = 1, .max = 65535, .fallback = "4096", .reloadable = true,
		.help = "most probes of endpoints that run at once; further ones wait" },

	{ "registries", FL_OF_CONFIG, &fl_type_registries,
		LIST(fl_config, registries, registry_count), .max = 16, .fallback = "",
		.fallback_words = "[{ file: { path: /etc/fairlead/services.d } }]",
		.reloadable = true, .help = "where services are declared; earlier ones win" },
	{ "registries.file.name", FL_OF_REGISTRY, &fl_type_label, FIELD(fl_registry_config, name),
		.min = 1, .max = 63, .fallback = "file", .reloadable = true,
		.help = "what the registry is called; unique" },
	{ "registries.file.path", FL_OF_REGISTRY, &fl_type_path, FIELD(fl_registry_config, path),
		.min = 2, .max = 4000, .fallback = "/etc/fairlead/services.d", .reloadable = true,
		.help = "directory of *.yaml files with a services: list each; watched" },
	{ "registries.consul.name", FL_OF_REGISTRY, &fl_type_label, FIELD(fl_registry_config, name),
		.min = 1, .max = 63, .fallback = "consul", .reloadable = true,
		.help = "what the registry is called; unique" },
	{ "registries.consul.url", FL_OF_REGISTRY, &fl_type_url, .fallback = "",
		.fallback_words = "http://127.0.0.1:8500", .reloadable = true,
		.help = "where Consul is: an agent or a server" },
	{ "registries.consul.urls", FL_OF_REGISTRY, &fl_type_urls, .max = 16, .fallback = "",
		.fallback_words = "none", .reloadable = true,
		.help = "several of one datacenter: the next is asked when one cannot be reached" },
	{ "registries.consul.token_file", FL_OF_REGISTRY, &fl_type_path,
		FIELD(fl_registry_config, consul.token_file), .min = 2, .max = 4000, .fallback = "",
		.fallback_words = "none", .reloadable = true,
		.help = "file with the ACL token; read again when it changes" },
	{ "registries.consul.tls.ca", FL_OF_REGISTRY, &fl_type_path,
		FIELD(fl_registry_config, consul.tls.ca), .min = 2, .max = 4000, .fallback = "",
		.fallback_words = "those of the system", .reloadable = true,
		.help = "file of CA certificates that Consul's is verified by" },
	{ "registries.consul.tls.cert", FL_OF_REGISTRY, &fl_type_path,
		FIELD(fl_registry_config, consul.tls.cert), .min = 2, .max = 4000, .fallback = "",
		.fallback_words = "none", .reloadable = true,
		.help = "file of the client certificate" },
	{ "registries.consul.tls.key", FL_OF_REGISTRY, &fl_type_path,
		FIELD(fl_registry_config, consul.tls.key), .min = 2, .max = 4000, .fallback = "",
		.fallback_words = "in tls.cert", .reloadable = true, .help = "file of its key" },
	{ "registries.consul.tls.server_name", FL_OF_REGISTRY, &fl_type_text,
		FIELD(fl_registry_config, consul.tls.server_name), .min = 1, .max = 253,
		.fallback = "", .fallback_words = "the host of the address", .reloadable = true,
		.help = "name that Consul's certificate must have, such as server.dc1.consul" },
	{ "registries.consul.datacenter", FL_OF_REGISTRY, &fl_type_text,
		FIELD(fl_registry_config, consul.datacenter), .min = 1, .max = 128, .fallback = "",
		.fallback_words = "the agent's own", .reloadable = true,
		.help = "datacenter that is asked about" },
	{ "registries.consul.namespace", FL_OF_REGISTRY, &fl_type_text,
		FIELD(fl_registry_config, consul.namespace), .min = 1, .max = 128, .fallback = "",
		.fallback_words = "the token's own", .reloadable = true,
		.help = "namespace that is asked about (Consul Enterprise)" },
	{ "registries.consul.partition", FL_OF_REGISTRY, &fl_type_text,
		FIELD(fl_registry_config, consul.partition), .min = 1, .max = 128, .fallback = "",
		.fallback_words = "the agent's own", .reloadable = true,
		.help = "partition that is asked about (Consul Enterprise)" },
	{ "registries.consul.consistency", FL_OF_REGISTRY, &fl_type_word,
		FIELD(fl_registry_config, consul.consistency), .words = consistencies,
		.fallback = "stale", .reloadable = true,
		.help = "who may answer: any server, the leader, or the leader after asking a "
			"quorum" },
	{ "registries.consul.cached", FL_OF_REGISTRY, &fl_type_flag,
		FIELD(fl_registry_config, consul.cached), .fallback = "false", .reloadable = true,
		.help = "let the local agent answer from its cache" },
	{ "registries.consul.tags", FL_OF_REGISTRY, &fl_type_texts,
		LIST(fl_registry_config, consul.tags, consul.tag_count), .max = 64, .fallback = "",
		.fallback_words = "any", .reloadable = true,
		.help = "read services that have one of these tags" },
	{ "registries.consul.pattern", FL_OF_REGISTRY, &fl_type_text,
		FIELD(fl_registry_config, consul.pattern), .min = 1, .max = 128, .fallback = "",
		.fallback_words = "any", .reloadable = true,
		.help = "read services whose names match, with * and ? as in a shell" },
	{ "registries.consul.filter", FL_OF_REGISTRY, &fl_type_text,
		FIELD(fl_registry_config, consul.filter), .min = 1, .max = 2048, .fallback = "",
		.fallback_words = "none", .reloadable = true,
		.help = "expression of Consul's that instances must fulfil" },
	{ "registries.consul.kv", FL_OF_REGISTRY, &fl_type_kv, FIELD(fl_registry_config, consul.kv),
		.max = 256, .fallback = "fairlead/services", .reloadable = true,
		.help = "prefix of keys that hold a service each" },
	{ "registries.consul.wait", FL_OF_REGISTRY, &fl_type_duration,
		FIELD(fl_registry_config, consul.wait_s), .min = 1, .max = 600, .fallback = "1m",
		.reloadable = true,
		.help = "how long Consul holds a question until something changes" },
	{ "registries.consul.connections", FL_OF_REGISTRY, &fl_type_integer,
		FIELD(fl_registry_config, consul.connections), .min = 3, .max = 4096,
		.fallback = "100", .reloadable = true,
		.help = "most questions at once; Consul allows 200 to one client" },
	{ "registries.consul.register.verdict", FL_OF_REGISTRY, &fl_type_flag,
		FIELD(fl_registry_config, consul.verdict), .fallback = "true", .reloadable = true,
		.help = "give what is registered a TTL check that tells its state here" },
	{ "registries.consul.register.ttl", FL_OF_REGISTRY, &fl_type_duration,
		FIELD(fl_registry_config, consul.ttl_s), .min = 3, .max = DAY_S, .fallback = "30s",
		.reloadable = true,
		.help = "time to live of that check; renewed three times within it" },
	{ "registries.consul.register.deregister_after", FL_OF_REGISTRY, &fl_type_duration,
		FIELD(fl_registry_config, consul.deregister_after_s), .min = 60, .max = 30 * DAY_S,
		.fallback = "", .fallback_words = "never", .reloadable = true,
		.help = "Consul removes what was critical for so long" },
	{ "registries.consul.register.lock", FL_OF_REGISTRY, &fl_type_kv,
		FIELD(fl_registry_config, consul.lock), .max = 256, .fallback = "",
		.fallback_words = "none", .reloadable = true,
		.help = "key of a lock; of the nodes that name it one registers" },
	{ "registries.consul.nodes", FL_OF_REGISTRY, &fl_type_kv,
		FIELD(fl_registry_config, consul.nodes), .max = 256, .fallback = "",
		.fallback_words = "none", .reloadable = true,
		.help = "prefix of a key in which this node says what it balances" },
	{ "registries.consul.max_removal", FL_OF_REGISTRY, &fl_type_integer,
		FIELD(fl_registry_config, max_removal_percent), .min = 1, .max = 100,
		.fallback = "50", .reloadable = true,
		.help = "percent of at least 10 endpoints that an answer may remove; more is held "
			"back; 100 = no limit" },
	{ "registries.kubernetes", FL_OF_REGISTRY, &fl_type_opaque, .fallback = "",
		.fallback_words = "none", .unsupported = true,
		.help = "services of a Kubernetes cluster" },
	{ "registries.eureka", FL_OF_REGISTRY, &fl_type_opaque, .fallback = "", .unsupported = true,
		.fallback_words = "none", .help = "applications of a Eureka server" },
	{ "registries.etcd", FL_OF_REGISTRY, &fl_type_opaque, .fallback = "", .unsupported = true,
		.fallback_words = "none", .help = "services under a prefix in etcd" },
	{ "registries.dns", FL_OF_REGISTRY, &fl_type_opaque, .fallback = "", .unsupported = true,
		.fallback_words = "none", .help = "endpoints from SRV and address records" },

	{ "services", FL_OF_CONFIG, &fl_type_services, LIST(fl_config, services, service_count),
		.fallback = "", .fallback_words = "none", .reloadable = true,
		.help = "services declared right here; the same list as in files of a registry" },
	{ "services.name", FL_OF_SERVICE, &fl_type_service_name, FIELD(fl_service, name), .min = 1,
		.max = FL_NAME_MAX, .reloadable = true,
		.help = "what the service is called; unique" },
	{ "services.frontends", FL_OF_SERVICE, &fl_type_frontends,
		LIST(fl_service, frontends, frontend_count), .max = FL_FRONTENDS_PER_SERVICE,
		.reloadable = true,
		.help = "addresses that clients use; port 0 is every port, an exact one beats it" },
	{ "services.forward", FL_OF_SERVICE, &fl_type_word, FIELD(fl_service, forward),
		.words = forwards, .fallback = "nat", .reloadable = true,
		.help = "how packets are brought to their endpoint" },
	{ "services.balance", FL_OF_SERVICE, &fl_type_word, FIELD(fl_service, balance),
		.words = balances, .fallback = "maglev", .reloadable = true,
		.help = "how the node path chooses; the edge is always maglev" },
	{ "services.key", FL_OF_SERVICE, &fl_type_word, FIELD(fl_service, key), .words = keys,
		.fallback = "random", .reloadable = true,
		.help = "node path, maglev: what always leads to the same endpoint" },
	{ "services.affinity", FL_OF_SERVICE, &fl_type_duration, FIELD(fl_service, affinity_s),
		.min = 0, .max = 30 * DAY_S, .fallback = "0s", .reloadable = true,
		.help = "node path: how long after its last connection a client's network "
			"namespace keeps its endpoint; 0 = off" },
	{ "services.locality", FL_OF_SERVICE, &fl_type_word, FIELD(fl_service, locality),
		.words = localities, .fallback = "off", .reloadable = true,
		.help = "node path: prefer endpoints of this zone, or of this node and then this "
			"zone" },
	{ "services.spill", FL_OF_SERVICE, &fl_type_integer, FIELD(fl_service, spill_percent),
		.min = 0, .max = 10000, .fallback = "0", .reloadable = true,
		.help = "node path: a near endpoint with this percentage of a farther one's load "
			"is passed over; 0 = off" },
	{ "services.max_fails", FL_OF_SERVICE, &fl_type_integer, FIELD(fl_service, max_fails),
		.min = 0, .max = 1000, .fallback = TEXT_OF(FL_MAX_FAILS_DEFAULT),
		.reloadable = true,
		.help = "failed connects within fail_timeout that leave an endpoint out; 0 = "
			"never" },
	{ "services.fail_timeout", FL_OF_SERVICE, &fl_type_duration,
		FIELD(fl_service, fail_timeout_s), .min = 1, .max = 3600,
		.fallback = TEXT_OF(FL_FAIL_TIMEOUT_DEFAULT) "s", .reloadable = true,
		.help = "see max_fails; also how long it is left out at first" },
	{ "services.max_ejected", FL_OF_SERVICE, &fl_type_integer,
		FIELD(fl_service, max_ejected_percent), .min = 0, .max = 100,
		.fallback = TEXT_OF(FL_MAX_EJECTED_DEFAULT), .reloadable = true,
		.help = "percent of the endpoints that may be left out at once, but one always" },
	{ "services.stale", FL_OF_SERVICE, &fl_type_stale, FIELD(fl_service, stale_s), .max = DAY_S,
		.fallback = "keep", .reloadable = true,
		.help = "node path: what becomes of connections whose endpoint was removed or is "
			"down" },
	{ "services.slots", FL_OF_SERVICE, &fl_type_word, FIELD(fl_service, slots), .words = sizes,
		.fallback = "", .fallback_words = "the smallest with 100 for each endpoint",
		.reloadable = true, .help = "size of the hash table" },
	{ "services.settle.tcp", FL_OF_SERVICE, &fl_type_duration, FIELD(fl_service, settle_tcp_s),
		.min = 1, .max = DAY_S, .fallback = "15m", .reloadable = true,
		.help = "the silence that a TCP flow may keep while its slot moves" },
	{ "services.settle.udp", FL_OF_SERVICE, &fl_type_duration, FIELD(fl_service, settle_udp_s),
		.min = 1, .max = DAY_S, .fallback = "1m", .reloadable = true,
		.help = "the same for UDP" },
	{ "services.udp", FL_OF_SERVICE, &fl_type_word, FIELD(fl_service, udp), .words = udps,
		.fallback = "keep", .reloadable = true,
		.help = "whether UDP flows stay where they are, move at once, or are QUIC" },
	{ "services.panic", FL_OF_SERVICE, &fl_type_integer, FIELD(fl_service, panic_percent),
		.min = 0, .max = 100, .fallback = "0", .reloadable = true,
		.help = "percent of endpoints up below which all are used; 0 = off" },
	{ "services.min_healthy", FL_OF_SERVICE, &fl_type_integer, FIELD(fl_service, min_healthy),
		.min = 0, .max = FL_ENDPOINTS_PER_SERVICE, .fallback = "0", .reloadable = true,
		.help = "the same as a number of endpoints" },
	{ "services.cross_family", FL_OF_SERVICE, &fl_type_flag, FIELD(fl_service, cross_family),
		.fallback = "false", .reloadable = true,
		.help = "ipip: send IPv4 and IPv6 clients to endpoints of both families" },
	{ "services.register", FL_OF_SERVICE, &fl_type_label,
		FIELD(fl_service, registration.registry), .min = 1, .max = 63, .fallback = "",
		.fallback_words = "none", .reloadable = true,
		.help = "name of a consul registry that its endpoints are written into" },
	{ "services.tags", FL_OF_SERVICE, &fl_type_texts,
		LIST(fl_service, registration.tags, registration.tag_count), .max = 64,
		.fallback = "", .fallback_words = "none", .reloadable = true,
		.help = "tags it is registered with" },
	{ "services.meta", FL_OF_SERVICE, &fl_type_pairs,
		LIST(fl_service, registration.meta, registration.meta_count), .max = 48,
		.fallback = "", .fallback_words = "none", .reloadable = true,
		.help = "metadata it is registered with" },
	{ "services.slow_start.window", FL_OF_SERVICE, &fl_type_duration,
		FIELD(fl_service, slow_start.window_s), .min = 5, .max = DAY_S, .fallback = "",
		.fallback_words = "off", .reloadable = true,
		.help = "how long an endpoint that came up has less than its weight" },
	{ "services.slow_start.aggression", FL_OF_SERVICE, &fl_type_hundredths,
		FIELD(fl_service, slow_start.aggression_hundredths), .min = 10, .max = 10000,
		.fallback = "1.0", .reloadable = true,
		.help = "how fast it grows: 1 = evenly, more = sooner" },
	{ "services.slow_start.min_weight", FL_OF_SERVICE, &fl_type_integer,
		FIELD(fl_service, slow_start.min_percent), .min = 1, .max = 100,
		.fallback = TEXT_OF(FL_MIN_PERCENT_DEFAULT), .reloadable = true,
		.help = "percent of its weight that it has at once" },
	{ "services.heartbeat", FL_OF_SERVICE, &fl_type_millis, FIELD(fl_service, heartbeat_ms),
		.min = 100, .max = DAY_S * 1000, .fallback = "", .fallback_words = "none",
		.reloadable = true,
		.help = "how often each endpoint must say by fairlead heartbeat that it is well" },
	{ "services.check", FL_OF_SERVICE, &fl_type_check, FIELD(fl_service, check), .fallback = "",
		.fallback_words = "none", .reloadable = true,
		.help = "how endpoints are probed: for a registered service, by the registry" },
	{ "services.check.http", FL_OF_CHECK, &fl_type_path, FIELD(fl_check, http), .min = 1,
		.max = 1024, .fallback = "", .fallback_words = "none", .reloadable = true,
		.help = "ask for this path; 2xx is healthy" },
	{ "services.check.https", FL_OF_CHECK, &fl_type_path, FIELD(fl_check, https), .min = 1,
		.max = 1024, .fallback = "", .fallback_words = "none", .reloadable = true,
		.help = "the same over TLS" },
	{ "services.check.tcp", FL_OF_CHECK, &fl_type_flag, FIELD(fl_check, tcp),
		.fallback = "false", .reloadable = true, .help = "connect" },
	{ "services.check.udp", FL_OF_CHECK, &fl_type_flag, FIELD(fl_check, udp),
		.fallback = "false", .reloadable = true,
		.help = "send a datagram; unreachable is unhealthy" },
	{ "services.check.grpc", FL_OF_CHECK, &fl_type_text, FIELD(fl_check, grpc), .min = 0,
		.max = 255, .fallback = "", .fallback_words = "none", .reloadable = true,
		.help = "ask grpc.health.v1 for this service" },
	{ "services.check.exec", FL_OF_CHECK, &fl_type_texts, LIST(fl_check, exec, exec_count),
		.max = 64, .fallback = "", .fallback_words = "none", .reloadable = true,
		.help = "run this command; exit code 0 is healthy" },
	{ "services.check.agent", FL_OF_CHECK, &fl_type_flag, FIELD(fl_check, agent),
		.fallback = "false", .reloadable = true,
		.help = "ask an agent beside the endpoint, as HAProxy's agent-check does" },
	{ "services.check.port", FL_OF_CHECK, &fl_type_integer, FIELD(fl_check, port), .min = 1,
		.max = 65535, .fallback = "", .fallback_words = "the endpoint's",
		.reloadable = true, .help = "the port that is probed" },
	{ "services.check.source", FL_OF_CHECK, &fl_type_source, FIELD(fl_check, source),
		.fallback = "", .fallback_words = "what the route prefers", .reloadable = true,
		.help = "the address that probes come from" },
	{ "services.check.through", FL_OF_CHECK, &fl_type_word, FIELD(fl_check, through_tunnel),
		.words = roads, .fallback = "direct", .reloadable = true,
		.help = "the road that probes take: straight, or that of the data" },
	{ "services.check.method", FL_OF_CHECK, &fl_type_text, FIELD(fl_check, method), .min = 1,
		.max = 16, .fallback = "", .fallback_words = "GET", .reloadable = true,
		.help = "http, https: the method" },
	{ "services.check.host", FL_OF_CHECK, &fl_type_text, FIELD(fl_check, host), .min = 1,
		.max = 253, .fallback = "", .fallback_words = "the address", .reloadable = true,
		.help = "http, https, grpc: the name that is asked for, in TLS too" },
	{ "services.check.headers", FL_OF_CHECK, &fl_type_pairs,
		LIST(fl_check, headers, header_count), .max = 32, .fallback = "",
		.fallback_words = "none", .reloadable = true,
		.help = "http, https: further headers" },
	{ "services.check.expect", FL_OF_CHECK, &fl_type_statuses,
		LIST(fl_check, expect, expect_count), .max = 16, .fallback = "",
		.fallback_words = "\"200-299\"", .reloadable = true,
		.help = "http, https: status codes that are healthy" },
	{ "services.check.send", FL_OF_CHECK, &fl_type_payload, FIELD(fl_check, send), .min = 1,
		.max = 512, .fallback = "", .fallback_words = "nothing", .reloadable = true,
		.help = "tcp, udp, agent: what is sent" },
	{ "services.check.contains", FL_OF_CHECK, &fl_type_payload, FIELD(fl_check, contains),
		.min = 1, .max = 512, .fallback = "", .fallback_words = "none", .reloadable = true,
		.help = "tcp, udp, http, https: a text that the answer must have in it" },
	{ "services.check.tls.ca", FL_OF_CHECK, &fl_type_path, FIELD(fl_check, tls_ca), .min = 2,
		.max = 4000, .fallback = "", .fallback_words = "those of the system",
		.reloadable = true,
		.help = "https: file of CA certificates that the endpoint's is verified by" },
	{ "services.check.tls.cert", FL_OF_CHECK, &fl_type_path, FIELD(fl_check, tls_cert),
		.min = 2, .max = 4000, .fallback = "", .fallback_words = "none", .reloadable = true,
		.help = "https: file of the client certificate" },
	{ "services.check.tls.key", FL_OF_CHECK, &fl_type_path, FIELD(fl_check, tls_key), .min = 2,
		.max = 4000, .fallback = "", .fallback_words = "in tls.cert", .reloadable = true,
		.help = "https: file of its key" },
	{ "services.check.tls.unverified", FL_OF_CHECK, &fl_type_flag,
		FIELD(fl_check, tls_unverified), .fallback = "false", .reloadable = true,
		.help = "https: take any certificate" },
	{ "services.check.interval", FL_OF_CHECK, &fl_type_millis, FIELD(fl_check, interval_ms),
		.min = 50, .max = DAY_S * 1000, .fallback = "10s", .reloadable = true,
		.help = "from one probe to the next" },
	{ "services.check.fast_interval", FL_OF_CHECK, &fl_type_millis,
		FIELD(fl_check, fast_interval_ms), .min = 50, .max = DAY_S * 1000, .fallback = "",
		.fallback_words = "interval", .reloadable = true,
		.help = "the same while the last probe disagrees with the state" },
	{ "services.check.down_interval", FL_OF_CHECK, &fl_type_millis,
		FIELD(fl_check, down_interval_ms), .min = 50, .max = DAY_S * 1000, .fallback = "",
		.fallback_words = "interval", .reloadable = true,
		.help = "the same while the endpoint is down" },
	{ "services.check.timeout", FL_OF_CHECK, &fl_type_millis, FIELD(fl_check, timeout_ms),
		.min = 10, .max = 3600 * 1000, .fallback = "1s", .reloadable = true,
		.help = "how long an answer may take" },
	{ "services.check.rise", FL_OF_CHECK, &fl_type_integer, FIELD(fl_check, rise), .min = 1,
		.max = 100, .fallback = "2", .reloadable = true,
		.help = "successes in a row that make an endpoint healthy" },
	{ "services.check.fall", FL_OF_CHECK, &fl_type_integer, FIELD(fl_check, fall), .min = 1,
		.max = 100, .fallback = "3", .reloadable = true,
		.help = "failures in a row that make it unhealthy" },
	{ "services.check.damping", FL_OF_CHECK, &fl_type_millis, FIELD(fl_check, damping_ms),
		.min = 1000, .max = DAY_S * 1000, .fallback = "", .fallback_words = "off",
		.reloadable = true,
		.help = "half-life of the memory by which what goes down often is held back" },
	{ "services.check.start", FL_OF_CHECK, &fl_type_word, FIELD(fl_check, starts_down),
		.words = starts, .fallback = "up", .reloadable = true,
		.help = "what an endpoint is taken for until its first probe, which decides" },
	{ "services.endpoints", FL_OF_SERVICE, &fl_type_endpoints,
		LIST(fl_service, endpoints, endpoint_count), .max = FL_ENDPOINTS_PER_SERVICE,
		.reloadable = true, .help = "instances that serve; [] = none" },
	{ "services.endpoints.address", FL_OF_ENDPOINT, &fl_type_endpoint_address,
		.reloadable = true, .help = "where it listens; without a port, the frontend's" },
	{ "services.endpoints.weight", FL_OF_ENDPOINT, &fl_type_integer, FIELD(fl_endpoint, weight),
		.min = 0, .max = 65535, .fallback = "1", .reloadable = true,
		.help = "its share beside the others'; 0 takes no new flows" },
	{ "services.endpoints.zone", FL_OF_ENDPOINT, &fl_type_text, FIELD(fl_endpoint, zone),
		.min = 1, .max = 63, .fallback = "", .fallback_words = "none", .reloadable = true,
		.help = "the zone it is in" },
	{ "services.endpoints.node", FL_OF_ENDPOINT, &fl_type_text, FIELD(fl_endpoint, node),
		.min = 1, .max = 253, .fallback = "", .fallback_words = "none", .reloadable = true,
		.help = "the node it runs on" },
	{ "services.endpoints.backup", FL_OF_ENDPOINT, &fl_type_flag, FIELD(fl_endpoint, backup),
		.fallback = "false", .reloadable = true,
		.help = "takes new flows only while no other endpoint does" },
	{ "services.endpoints.state", FL_OF_ENDPOINT, &fl_type_word, FIELD(fl_endpoint, state),
		.words = states, .fallback = "up", .reloadable = true,
		.help = "up; draining (old flows only); down; maintenance (the operator's down)" },
	{ NULL },
};

size_t fl_options_count(void)
{
	return sizeof(fl_options) / sizeof(fl_options[0]) - 1;
}

const struct fl_option *fl_option_find(const char *key)
{
	for (const struct fl_option *option = fl_options; option->key; option++)
		if (strcmp(option->key, key) == 0)
			return option;
	return NULL;
}

/* --------------------------------------------------------------- documents */

#define TYPE_TEXT 128
static struct fl_option_doc docs[sizeof(fl_options) / sizeof(fl_options[0])];
static char types[sizeof(fl_options) / sizeof(fl_options[0])][TYPE_TEXT];

static const char *fallback_of(const struct fl_option *option)
{
	if (option->fallback_words)
		return option->fallback_words;
	return option->fallback ? option->fallback : "must be given";
}

const struct fl_option_doc *fl_config_options(void)
{
	for (size_t i = 0; i < fl_options_count() && !docs[i].key; i++) {
		const struct fl_option *option = &fl_options[i];
		FILE *out = fmemopen(types[i], TYPE_TEXT, "w");

		if (out) {
			option->type->describe(option, out);
			fclose(out);
		}
		docs[i] = (struct fl_option_doc){
			.key = option->key,
			.type = types[i],
			.fallback = fallback_of(option),
			.help = option->help,
			.reloadable = option->reloadable,
			.supported = !option->unsupported,
		};
	}
	return docs;
}

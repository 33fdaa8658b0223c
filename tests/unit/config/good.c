/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Configurations that are right: what is understood, what is shown of it, and
 * which changes need a restart.
 */
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/config.h"

static const struct fl_environment environment = {
	.local_port_min = 32768,
	.local_port_max = 60999,
	.host_name = "host-1",
};

/* Everything that can be set, each to something else than its default. */
static const char everything[] =
	"# a comment\n"
	"node: { name: edge-1, zone: \"a \\\"b\\\" \\\\ \xc3\xa4\" }\n"
	"log: { level: debug, format: json }\n"
	"state_dir: /var/lib/other\n"
	"bpffs: /sys/fs/bpf/other\n"
	"control: { socket: /run/other.sock, group: wheel, mode: \"0600\" }\n"
	"http: { listen: \"[::1]:80\" }\n"
	"limits: { services: 1, endpoints: 6, slots: 4096, flows: 2048 }\n"
	"edge:\n"
	"  interfaces: [eth0, eth0.100, \"veth@1\", \"yes\"]\n"
	"  mode: generic\n"
	"  nat: { ports: 2000-3000, source: [192.0.2.1, \"2001:db8::1\"] }\n"
	"  tunnel_source: [192.0.2.0/24, \"2001:db8:0:1::/64\"]\n"
	"  hash_seed: 4294967295\n"
	"target: { interfaces: [eth1], from: [192.0.2.0/24, 198.51.100.1, \"2001:db8::/32\"] }\n"
	"node_path: { enabled: false, cgroup: /some }\n"
	"registries:\n"
	"  - file: { path: /srv/a }\n"
	"  - consul: { url: 'http://127.0.0.1:8500', enabled: false }\n"
	"  - file: { path: /srv/b, name: second }\n"
	"  - consul: { name: third, urls: [\"https://a:8501/\", \"unix:///run/consul.sock\"], "
	"token_file: /t, tls: { ca: /ca, cert: /cert, key: /key, server_name: server.dc1.consul }, "
	"datacenter: dc2, namespace: ns, partition: p, consistency: default, cached: true, "
	"tags: [lb, \"a b\"], pattern: \"web-*\", filter: 'Service.Meta.lb == \"yes\"', kv: x/y/, "
	"wait: 10s, connections: 7 }\n"
	"  - consul: { name: fourth, kv: off, nodes: x/nodes/, register: { verdict: false, "
	"ttl: 1m, deregister_after: 2h, lock: x/lock } }\n"
	"services:\n"
	"  - name: Web/1.api_x-y\n"
	"    frontends: [ \"10.0.0.10:80/tcp\", \"[2001:db8::10]:0/udp\" ]\n"
	"    forward: ipip\n"
	"    balance: p2c\n"
	"    slots: 4093\n"
	"    settle: { tcp: 1h30m, udp: 90s }\n"
	"    udp: quic\n"
	"    panic: 0\n"
	"    key: cgroup\n"
	"    affinity: 3h\n"
	"    locality: node\n"
	"    spill: 150\n"
	"    max_fails: 5\n"
	"    stale: drain 1m30s\n"
	"    fail_timeout: 1m\n"
	"    max_ejected: 20\n"
	"    cross_family: true\n"
	"    register: consul\n"
	"    tags: [v2, \"a b\"]\n"
	"    meta: { team: shop, level: \"5\" }\n"
	"    check: { grpc: \"\", interval: 2s, rise: 1, fall: 100 }\n"
	"    endpoints:\n"
	"      - { address: \"2001:db8:1::1\", weight: 0, state: maintenance }\n"
	"      - { address: 192.0.2.12, weight: 65535, zone: b, node: n2, state: draining }\n"
	"      - { address: \"192.0.2.11\", state: down }\n"
	"dns: { listen: \"[::1]:8653\", domain: lb.Example, ttl: 1m30s }\n";

static struct fl_config *parse(const char *text)
{
	struct fl_problems problems = { 0 };
	struct fl_config *config = NULL;
	char line[1024] = "";

	fl_config_parse(text, strlen(text), "t.yaml", &environment, &problems, &config);
	if (problems.errors)
		fl_problem_format(&problems.items[0], line, sizeof(line));
	cr_assert_eq(problems.errors, 0, "%s", line);
	cr_assert_not_null(config);
	fl_problems_done(&problems);
	return config;
}

/* noinline: gcc 12 takes what it returns for a pointer to its own variable. */
static __attribute__((noinline)) char *print(const struct fl_config *config)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	fl_config_print(config, out);
	fclose(out);
	return text;
}

Test(config_good, nothing_given_means_defaults)
{
	static const char *const texts[] = { "", "# only a comment\n", "---\n", "{}",
		"edge:\nnode: ~\n", "\xef\xbb\xbfnode: {}\n", "edge: {interfaces: []}\n" };

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct fl_config *config = parse(texts[i]);
		struct fl_ip loopback;

		fl_ip_parse("127.0.0.1", &loopback);
		cr_expect_str_eq(config->file, "t.yaml");
		cr_expect_str_eq(config->node_name, "host-1");
		cr_expect_null(config->node_zone);
		cr_expect_eq(config->log_level, FL_LOG_INFO);
		cr_expect_eq(config->log_format, FL_LOG_TEXT);
		cr_expect_str_eq(config->state_dir, "/var/lib/fairlead");
		cr_expect_str_eq(config->bpffs, "/sys/fs/bpf/fairlead");
		cr_expect_str_eq(config->control_socket, "/run/fairlead/fairleadd.sock");
		cr_expect_str_eq(config->control_group, "fairlead");
		cr_expect_eq(config->control_mode, 0660);
		cr_expect(fl_ip_equal(&config->http.addr, &loopback));
		cr_expect_eq(config->http.port, 9707);
		cr_expect_eq(config->dns.port, 0);
		cr_expect_str_eq(config->dns_domain, "fairlead");
		cr_expect_eq(config->dns_ttl_s, 0);
		cr_expect_eq(config->limits.services, FL_SERVICES_DEFAULT);
		cr_expect_eq(config->limits.endpoints, FL_ENDPOINTS_DEFAULT);
		cr_expect_eq(config->limits.slots, FL_SLOTS_DEFAULT);
		cr_expect_eq(config->limits.flows, FL_FLOWS_DEFAULT);
		cr_expect_eq(config->interface_count, 0);
		cr_expect_eq(config->edge_mode, FL_MODE_AUTO);
		cr_expect_eq(config->nat_port_min, FL_NAT_PORT_MIN_DEFAULT);
		cr_expect_eq(config->nat_port_max, FL_NAT_PORT_MAX_DEFAULT);
		cr_expect_eq(config->nat_source_count, 0);
		cr_expect_not(config->has_tunnel_source[FL_IPV4]);
		cr_expect_not(config->has_tunnel_source[FL_IPV6]);
		cr_expect_eq(config->hash_seed, 0);
		cr_expect_eq(config->target_interface_count, 0);
		cr_expect_eq(config->service_count, 0);
		cr_assert_eq(config->registry_count, 1);
		cr_expect_str_eq(config->registries[0]->type, "file");
		cr_expect_str_eq(config->registries[0]->name, "file");
		cr_expect_str_eq(config->registries[0]->path, "/etc/fairlead/services.d");
		fl_config_free(config);
	}
}

static void expect_prefix(const struct fl_prefix *prefix, const char *address, unsigned bits)
{
	char text[FL_IP_TEXT];

	cr_expect_str_eq(fl_ip_format(&prefix->addr, text), address);
	cr_expect_eq(prefix->bits, bits);
}

Test(config_good, everything_is_understood)
{
	struct fl_config *config = parse(everything);
	const struct fl_consul_config *consul;
	char text[FL_SOCKET_TEXT];

	cr_expect_str_eq(config->node_name, "edge-1");
	cr_expect_str_eq(config->node_zone, "a \"b\" \\ \xc3\xa4");
	cr_expect_eq(config->log_level, FL_LOG_DEBUG);
	cr_expect_eq(config->log_format, FL_LOG_JSON);
	cr_expect_str_eq(config->state_dir, "/var/lib/other");
	cr_expect_str_eq(config->bpffs, "/sys/fs/bpf/other");
	cr_expect_str_eq(config->control_socket, "/run/other.sock");
	cr_expect_str_eq(config->control_group, "wheel");
	cr_expect_eq(config->control_mode, 0600);
	cr_expect_str_eq(fl_socket_format(&config->http.addr, config->http.port, text), "[::1]:80");
	cr_expect_str_eq(fl_socket_format(&config->dns.addr, config->dns.port, text), "[::1]:8653");
	cr_expect_str_eq(config->dns_domain, "lb.Example");
	cr_expect_eq(config->dns_ttl_s, 90);
	cr_expect_eq(config->limits.services, 1);
	cr_expect_eq(config->limits.endpoints, 6);
	cr_expect_eq(config->limits.slots, 4096);
	cr_expect_eq(config->limits.flows, 2048);
	cr_assert_eq(config->interface_count, 4);
	cr_expect_str_eq(config->interfaces[1], "eth0.100");
	cr_expect_str_eq(config->interfaces[2], "veth@1");
	cr_expect_eq(config->edge_mode, FL_MODE_GENERIC);
	cr_expect_eq(config->nat_port_min, 2000);
	cr_expect_eq(config->nat_port_max, 3000);
	cr_assert_eq(config->nat_source_count, 2);
	cr_expect_str_eq(fl_ip_format(&config->nat_sources[1], text), "2001:db8::1");
	expect_prefix(&config->tunnel_source[FL_IPV4], "192.0.2.0", 24);
	expect_prefix(&config->tunnel_source[FL_IPV6], "2001:db8:0:1::", 64);
	cr_expect_eq(config->hash_seed, UINT32_MAX);
	cr_assert_eq(config->target_from_count, 3);
	expect_prefix(&config->target_from[1], "198.51.100.1", 32);
	cr_assert_eq(config->registry_count, 4);
	cr_expect_str_eq(config->registries[0]->name, "file");
	cr_expect_str_eq(config->registries[1]->name, "second");
	cr_expect_str_eq(config->registries[1]->path, "/srv/b");
	cr_expect_str_eq(config->registries[3]->name, "fourth");
	cr_expect_str_eq(config->registries[3]->consul.urls[0], "http://127.0.0.1:8500");
	cr_expect_null(config->registries[3]->consul.kv);
	consul = &config->registries[3]->consul;
	cr_expect_str_eq(consul->nodes, "x/nodes");
	cr_expect_str_eq(consul->lock, "x/lock");
	cr_expect_eq(consul->ttl_s, 60);
	cr_expect_eq(consul->deregister_after_s, 7200);
	cr_expect_not(consul->verdict);
	consul = &config->registries[2]->consul;
	cr_assert_eq(consul->url_count, 2);
	cr_expect_str_eq(consul->urls[0], "https://a:8501");
	cr_expect_str_eq(consul->urls[1], "unix:///run/consul.sock");
	cr_expect_str_eq(consul->tls.server_name, "server.dc1.consul");
	cr_expect_str_eq(consul->partition, "p");
	cr_expect_eq(consul->consistency, FL_CONSUL_DEFAULT);
	cr_expect(consul->cached);
	cr_assert_eq(consul->tag_count, 2);
	cr_expect_str_eq(consul->tags[1], "a b");
	cr_expect_str_eq(consul->filter, "Service.Meta.lb == \"yes\"");
	cr_expect_str_eq(consul->kv, "x/y");
	cr_expect_eq(consul->wait_s, 10);
	cr_expect_eq(consul->connections, 7);
	cr_assert_eq(config->service_count, 1);
	fl_config_free(config);
}

Test(config_good, a_service_is_understood)
{
	struct fl_config *config = parse(everything);
	const struct fl_service *service = config->services[0];
	char text[FL_SOCKET_TEXT];

	cr_expect_str_eq(service->name, "Web/1.api_x-y");
	cr_expect_str_eq(service->registry, "inline");
	cr_expect_str_eq(service->file, "t.yaml");
	cr_expect_eq(service->line, 24);
	cr_expect_eq(service->column, 5);
	cr_expect_eq(service->forward, FL_IPIP);
	cr_expect_eq(service->udp, FL_UDP_QUIC);
	cr_expect_eq(service->slots, 4093);
	cr_expect_eq(service->settle_tcp_s, 5400);
	cr_expect_eq(service->settle_udp_s, 90);
	cr_expect(service->cross_family);
	cr_expect_eq(service->balance, FL_P2C);
	cr_expect_eq(service->key, FL_KEY_CGROUP);
	cr_expect_eq(service->affinity_s, 3 * 3600);
	cr_expect_eq(service->locality, FL_LOCALITY_NODE);
	cr_expect_eq(service->spill_percent, 150);
	cr_expect_eq(service->max_fails, 5);
	cr_expect_eq(service->stale_s, 90);
	cr_expect_eq(service->fail_timeout_s, 60);
	cr_expect_eq(service->max_ejected_percent, 20);
	cr_assert_eq(service->frontend_count, 2);
	cr_expect_str_eq(fl_frontend_format(&service->frontends[0], text), "10.0.0.10:80/tcp");
	cr_expect_str_eq(fl_frontend_format(&service->frontends[1], text), "[2001:db8::10]:0/udp");
	cr_expect_eq(service->frontends[1].column, 38);
	cr_assert_eq(service->endpoint_count, 3);
	/* in order of address */
	cr_expect_str_eq(fl_ip_format(&service->endpoints[0].addr, text), "192.0.2.11");
	cr_expect_eq(service->endpoints[0].state, FL_DOWN);
	cr_expect_eq(service->endpoints[0].weight, 1);
	cr_expect_null(service->endpoints[0].zone);
	cr_expect_eq(service->endpoints[0].line, 48);
	cr_expect_eq(service->endpoints[1].weight, 65535);
	cr_expect_eq(service->endpoints[1].state, FL_DRAINING);
	cr_expect_str_eq(service->endpoints[1].zone, "b");
	cr_expect_str_eq(service->endpoints[1].node, "n2");
	cr_expect_eq(service->endpoints[2].weight, 0);
	cr_expect_eq(service->endpoints[2].state, FL_MAINTENANCE);
	fl_config_free(config);
}

/* Without comments, which tell where a value came from. */
static char *without_comments(char *text)
{
	char *out = text;

	for (char *line = text; *line;) {
		char *end = strchr(line, '\n');
		char *comment = memmem(line, (size_t)(end - line), "# ", 2);
		char *stop = comment ? comment : end;

		while (stop > line && stop[-1] == ' ')
			stop--;
		memmove(out, line, (size_t)(stop - line));
		out += stop - line;
		if (stop > line)
			*out++ = '\n';
		line = end + 1;
	}
	*out = '\0';
	return text;
}

Test(config_good, what_is_printed_means_the_same)
{
	static const char *const texts[] = { "", everything, "http: {listen: off}\n",
		"http: {listen: \"off\"}\n", "registries: []\nservices: []\n",
		"services:\n- {name: a, frontends: ['10.0.0.1:53/udp'], endpoints: []}\n"
		"- name: b\n  frontends: ['10.0.0.1:53/tcp']\n  endpoints: [{address: "
		"'192.0.2.1:5353'}]\n" };

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct fl_config *first = parse(texts[i]);
		char *printed = print(first);
		struct fl_config *second = parse(printed);
		char *again = print(second);

		cr_expect_null(fl_config_needs_restart(first, second));
		cr_expect_str_eq(without_comments(printed), without_comments(again));
		cr_assert_eq(first->service_count, second->service_count);
		for (size_t j = 0; j < first->service_count; j++)
			cr_expect(fl_service_equal(first->services[j], second->services[j]));
		free(printed);
		free(again);
		fl_config_free(first);
		fl_config_free(second);
	}
}

Test(config_good, each_value_says_where_it_came_from)
{
	static const struct {
		const char *value, *origin;
	} lines[] = {
		{ "  name: host-1 ", "# default" },
		{ "  # zone: none ", "# default" },
		{ "  level: debug ", "# t.yaml:2" },
		{ "  format: text ", "# default" },
		{ "bpffs: /sys/fs/bpf/fairlead ", "# default" },
		{ "  listen: off ", "# t.yaml:3" },
		{ "    ports: 1024-32767 ", "# default" },
		{ "  interfaces: [eth0] ", "# t.yaml:5" },
		{ "  - file: { name: file, path: /etc/fairlead/services.d } ", "# default" },
		{ "  - name: web ", "# t.yaml:7" },
		{ "      tcp: 20m ", "# t.yaml:8" },
		{ "      udp: 1m ", "# default" },
		{ "    udp: keep ", "# default" },
		{ "      - { address: \"192.0.2.1:80\", weight: 1, backup: false, state: up } ",
			"# t.yaml:11" },
	};
	struct fl_config *config = parse(
		"log:\n  level: debug\nhttp: {listen: off}\nedge:\n  interfaces: [eth0]\n"
		"services:\n- name: web\n  settle: {tcp: 20m}\n"
		"  frontends: ['10.0.0.1:80/tcp']\n  endpoints:\n  - address: 192.0.2.1:80\n");
	char *text = print(config);

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		const char *line = strstr(text, lines[i].value);
		const char *comment = line ? strchr(line + strlen(lines[i].value) - 1, '#') : NULL;

		cr_assert_not_null(line, "%s is not in\n%s", lines[i].value, text);
		cr_assert_not_null(comment);
		cr_expect(strncmp(comment, lines[i].origin, strlen(lines[i].origin)) == 0 &&
				  comment[strlen(lines[i].origin)] == '\n',
			"%s: %.20s", lines[i].value, comment);
	}
	free(text);
	fl_config_free(config);
}

Test(config_good, what_a_reload_can_change)
{
	static const struct {
		const char *before, *after, *key;
	} rows[] = {
		{ "", "", NULL },
		{ "", "# comment\nlog: {level: info}\n", NULL },
		{ "", "log: {level: debug, format: json}\n", NULL },
		{ "", "node: {name: x, zone: y}\n", NULL },
		{ "", "registries: []\n", NULL },
		{ "", "dns: {domain: lb, ttl: 5s}\n", NULL },
		{ "", "dns: {listen: 127.0.0.1:53}\n", "dns.listen" },
		{ "", "services: [{name: a, frontends: ['10.0.0.1:80/tcp'], endpoints: []}]\n",
			NULL },
		{ "edge: {interfaces: [a]}\n", "edge: {interfaces: [b, c], mode: native}\n", NULL },
		{ "", "edge: {interfaces: [a]}\n", "edge.interfaces" },
		{ "edge: {interfaces: [a]}\n", "", "edge.interfaces" },
		{ "", "target: {interfaces: [a], from: [192.0.2.1]}\n", "target.from" },
		{ "target: {interfaces: [a], from: [192.0.2.1]}\n", "target: {from: [192.0.2.1]}\n",
			"target.interfaces" },
		{ "", "state_dir: /x\n", "state_dir" },
		{ "", "bpffs: /x\n", "bpffs" },
		{ "", "control: {mode: \"0600\"}\n", "control.mode" },
		{ "", "http: {listen: off}\n", "http.listen" },
		{ "http: {listen: 127.0.0.1:1}\n", "http: {listen: 127.0.0.2:1}\n", "http.listen" },
		{ "", "limits: {flows: 2048}\n", "limits.flows" },
		{ "", "edge: {hash_seed: 1}\n", "edge.hash_seed" },
		{ "", "edge: {nat: {ports: 2000-3000}}\n", "edge.nat.ports" },
		{ "edge: {nat: {source: [192.0.2.1]}}\n", "edge: {nat: {source: [192.0.2.2]}}\n",
			"edge.nat.source" },
		{ "edge: {tunnel_source: 192.0.2.0/24}\n", "edge: {tunnel_source: 192.0.2.0/25}\n",
			"edge.tunnel_source" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fl_config *before = parse(rows[i].before);
		struct fl_config *after = parse(rows[i].after);
		const char *key = fl_config_needs_restart(before, after);

		if (rows[i].key)
			cr_expect(key && strcmp(key, rows[i].key) == 0, "%s: %s", rows[i].after,
				key ? key : "none");
		else
			cr_expect_null(key, "%s: %s", rows[i].after, key);
		fl_config_free(before);
		fl_config_free(after);
	}
}

/* Known features may stand there as long as they are off. */
Test(config_good, what_is_off_is_no_error)
{
	static const char *const texts[] = { "node_path: {enabled: false}\n",
		"node_path: {enabled: false, cgroup: /x}\n",
		"registries: [kubernetes: off, dns: {enabled: false}]\n",
		"services: [{name: a, frontends: ['10.0.0.1:80/tcp'], endpoints: [], check: "
		"{enabled: false}}]\n",
		"services: [{name: a, frontends: ['10.0.0.1:80/tcp'], endpoints: [], check: false, "
		"panic: 0}]\n" };

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		fl_config_free(parse(texts[i]));
}

Test(config_good, a_registered_service_says_how)
{
	struct fl_config *config =
		parse("services: [{name: a, frontends: ['10.0.0.1:80/tcp'], endpoints: [], "
		      "register: consul, tags: [v2, blue], meta: {team: shop, Area: '51'}, "
		      "check: {http: /healthz, interval: 2s, timeout: 3s, rise: 1, fall: 4}}]\n");
	const struct fl_registration *registration = &config->services[0]->registration;
	const struct fl_check *check = &config->services[0]->check;

	cr_assert_str_eq(registration->registry, "consul");
	cr_assert_eq(registration->tag_count, 2);
	cr_assert_str_eq(registration->tags[1], "blue");
	cr_assert_eq(registration->meta_count, 2);
	cr_assert_str_eq(registration->meta[0].key, "Area", "sorted");
	cr_assert_str_eq(registration->meta[1].value, "shop");
	cr_assert_eq(fl_check_probe(check), FL_PROBE_HTTP);
	cr_assert_eq(check->interval_ms, 2000);
	cr_assert_eq(check->fall, 4);
	fl_config_free(config);
}

Test(config_good, exact_ports_beside_every_port)
{
	fl_config_free(parse("services:\n"
			     "- {name: some, frontends: ['10.0.0.1:80/tcp'], endpoints: []}\n"
			     "- {name: all, frontends: ['10.0.0.1:0/tcp', '10.0.0.1:80/udp'], "
			     "endpoints: []}\n"));
}

/* Whatever is cut off, there is an answer, and never half of one. */
Test(config_good, every_truncation_is_survived)
{
	for (size_t length = 0; length < sizeof(everything); length++) {
		/* a copy of exactly that size, so that a sanitiser sees one byte too many */
		char *cut = malloc(length ? length : 1);
		struct fl_problems problems = { 0 };
		struct fl_config *config = NULL;
		int r;

		memcpy(cut, everything, length);
		r = fl_config_parse(cut, length, "t.yaml", &environment, &problems, &config);
		cr_expect_eq(r == 0, problems.errors == 0, "at %zu", length);
		cr_expect_eq(r == 0, config != NULL, "at %zu", length);
		fl_config_free(config);
		fl_problems_done(&problems);
		free(cut);
	}
}

/* One byte of a good file is another one. */
Test(config_good, every_damaged_byte_is_survived)
{
	static const char damage[] = { '\0', '\xff', '{', ':', '\n', '"', '9', '&' };
	size_t length = strlen(everything);
	char *text = strdup(everything);

	for (size_t i = 0; i < length; i++) {
		char *config_text = text;
		struct fl_problems problems = { 0 };
		struct fl_config *config = NULL;
		char good = text[i];
		int r;

		text[i] = damage[i % sizeof(damage)];
		r = fl_config_parse(
			config_text, length, "t.yaml", &environment, &problems, &config);
		cr_expect_eq(r == 0, problems.errors == 0, "at %zu", i);
		fl_config_free(config);
		fl_problems_done(&problems);
		text[i] = good;
	}
	free(text);
}

/* From the file system and with this node's own port range. */
Test(config_good, a_file_is_read)
{
	char file[] = "/tmp/fl-config-XXXXXX";
	struct fl_problems problems = { 0 };
	struct fl_config *config = NULL;
	FILE *out = fdopen(mkstemp(file), "w");

	fputs("node: {name: from-a-file}\n", out);
	fclose(out);
	cr_assert_eq(fl_config_load(file, &problems, &config), 0);
	cr_expect_str_eq(config->node_name, "from-a-file");
	cr_expect_str_eq(config->file, file);
	fl_config_free(config);
	unlink(file);
}

Test(config_good, this_node_is_known)
{
	struct fl_environment here;

	fl_environment_read(&here);
	cr_expect_gt(here.local_port_min, 0);
	cr_expect_geq(here.local_port_max, here.local_port_min);
	cr_expect_neq(here.host_name[0], '\0');
}

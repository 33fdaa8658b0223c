/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Broken configurations: each with the place and the beginning of every message
 * it must yield, in order of place, and no other.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"

#define ERRORS_MAX 16

/* Lines 1-2 of a service, to be completed by the row; its keys begin in column 3. */
#define WEB       "services:\n- name: web\n"
#define FRONTENDS "  frontends: ['10.0.0.1:80/tcp']\n"
#define ENDPOINTS "  endpoints: [{address: 192.0.2.1}]\n"

static const struct row {
	const char *name;
	const char *text;
	const char *errors[ERRORS_MAX]; /* "LINE:COLUMN: beginning of the message" */
} rows[] = {
	/* what is no YAML, or none that we take */
	{ "a list not closed", "edge:\n  interfaces: [eth0\nlog:\n  level: info\n",
		{ "3:4: YAML: did not find expected ',' or ']', while parsing a flow sequence that "
		  "began at 2:15" } },
	{ "a quote not closed", "node:\n  name: \"edge\n",
		{ "3:1: YAML: found unexpected end of stream, while scanning a quoted scalar that "
		  "began at 2:9" } },
	{ "wrong indentation", "node:\n  name: a\n zone: b\n",
		{ "3:2: YAML: did not find expected key, while parsing a block mapping that began "
		  "at 1:1" } },
	{ "a tab as indentation", "node:\n\tname: a\n",
		{ "2:1: YAML: found character that cannot start any token while scanning for the "
		  "next token, expected a value (indent with spaces" } },
	{ "an anchor", "node: &x\n  name: a\n",
		{ "1:7: YAML: an anchor (&x), expected a plain value" } },
	{ "an alias", "node: {name: &x a, zone: *x}\n",
		{ "1:14: YAML: an anchor (&x)",
			"1:26: YAML: an alias (*x), expected a plain value" } },
	{ "a tag", "node: {name: !!str 1}\n",
		{ "1:14: YAML: a tag (tag:yaml.org,2002:str), expected a plain value" } },
	{ "a merge key", "node:\n  <<: {zone: a}\n",
		{ "2:3: node.<<: unknown key, expected one of name, zone" } },
	{ "two documents", "node: {name: a}\n---\nnode: {name: b}\n",
		{ "2:1: YAML: a second document, expected only one in a file" } },
	{ "a key twice", "log:\n  level: info\n  format: text\n  level: debug\n",
		{ "4:3: level: stands at 2:3 already, expected each key only once" } },
	{ "a key twice, far apart", "bpffs: /a\nnode:\n  zone: a\nbpffs: /b\n",
		{ "4:1: bpffs: stands at 1:1 already" } },
	{ "a list as key", "[node]: 1\n", { "1:1: YAML: a key that is a list, expected a word" } },
	{ "a mapping as key", "? {a: b}\n: 1\n",
		{ "1:3: YAML: a key that is a mapping, expected a word" } },
	{ "a NUL in a text", "node: {name: \"a\\0b\"}\n",
		{ "1:14: YAML: a text with a NUL character, expected none" } },
	{ "UTF-16", "\xff\xfen\0", { "1:1: YAML: this is UTF-16, expected UTF-8 text" } },
	{ "invalid UTF-8", "node:\n  zone: \xc3\xa4\xff\n",
		{ "2:10: YAML: invalid leading UTF-8 octet (0xff), expected UTF-8 text" } },
	{ "an escape character", "node:\n  zone: a\x1b[31m\n",
		{ "2:10: YAML: control characters are not allowed (0x1b), expected UTF-8 text" } },
	{ "a list at the top", "- node\n",
		{ "1:1: configuration: a list does not fit, expected a mapping" } },
	{ "a text at the top", "hello\n",
		{ "1:1: configuration: hello does not fit, expected a mapping" } },

	/* keys */
	{ "an unknown key", "nodes: {name: a}\n", { "1:1: nodes: unknown key, expected node?" } },
	{ "two letters swapped", "edge:\n  mdoe: auto\n",
		{ "2:3: edge.mdoe: unknown key, expected mode?" } },
	{ "a key one level too high", "edge:\n  ports: 1-2\n",
		{ "2:3: edge.ports: unknown key, expected edge.nat.ports?" } },
	{ "a key like none", "limits:\n  gorillas: 3\n",
		{ "2:3: limits.gorillas: unknown key, expected one of services, endpoints, slots, "
		  "flows" } },
	{ "an unknown key of a service", WEB FRONTENDS ENDPOINTS "  wieght: 3\n",
		{ "5:3: services.wieght: unknown key, expected one of name, frontends, forward" } },
	{ "an unknown key of an endpoint",
		WEB FRONTENDS "  endpoints:\n  - {address: 192.0.2.1, wieght: 3}\n",
		{ "5:26: services.endpoints.wieght: unknown key, expected weight?" } },
	{ "a key that is long and foreign",
		"\x22\xc3\xa4\xc3\xb6\xc3\xbc-"
		"0123456789012345678901234567890123456789012345678901234567890\": 1\n",
		{ "1:1: \xc3\xa4\xc3\xb6\xc3\xbc-012345678901234567890123456789012345678901234...: "
		  "unknown key" } },

	/* types and ranges */
	{ "a text for a section", "log: info\n",
		{ "1:6: log: info does not fit, expected a mapping" } },
	{ "a list for a section", "node: [a]\n",
		{ "1:7: node: a list does not fit, expected a mapping" } },
	{ "a mapping for a text", "node: {name: {a: b}}\n",
		{ "1:14: node.name: a mapping does not fit, expected a text of at most 253 "
		  "bytes" } },
	{ "no value", "node: {name: }\n", { "1:14: node.name: no value, expected a text" } },
	{ "an empty text", "node: {name: ''}\n", { "1:14: node.name: \"\" is too short" } },
	{ "line breaks in a text", "node: {name: \"a\\nb\"}\n",
		{ "1:14: node.name: a?b has control characters" } },
	{ "line breaks of Unicode", "node: {name: \"a\\Nb\", zone: \"a\\Lb\"}\n",
		{ "1:14: node.name: a?b has control characters", "1:28: node.zone: a\xe2\x80\xa8"
								 "b has control characters" } },
	{ "a word that it cannot be", "log: {level: loud}\n",
		{ "1:14: log.level: loud is none of what it can be, expected error, warning, info "
		  "or debug" } },
	{ "a relative path", "state_dir: lib/fairlead\n",
		{ "1:12: state_dir: lib/fairlead is not absolute, expected an absolute path" } },
	{ "a socket's path is short",
		"control: {socket: /run/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx}\n",
		{ "1:19: control.socket: /run/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx... "
		  "is too long, expected an absolute path of at most 107 bytes" } },
	{ "a mode that is not octal", "control: {mode: 0899}\n",
		{ "1:17: control.mode: 0899 is no octal number" } },
	{ "a mode with more bits", "control: {mode: \"4755\"}\n",
		{ "1:17: control.mode: 4755 is out of range" } },
	{ "a port of 0", "http: {listen: 127.0.0.1:0}\n",
		{ "1:16: http.listen: 127.0.0.1:0 is no address with a port, expected ADDRESS:PORT "
		  "with a port 1-65535, or off" } },
	{ "only a port", "http: {listen: \":9707\"}\n",
		{ "1:16: http.listen: :9707 is no address" } },
	{ "DNS on every address", "dns: {listen: 0.0.0.0:53}\n",
		{ "1:15: dns.listen: 0.0.0.0 is no address of this node" } },
	{ "a domain with its last dot", "dns: {domain: fairlead.}\n",
		{ "1:15: dns.domain: fairlead. is no domain name" } },
	{ "a domain that is empty", "dns: {domain: \"\"}\n", { "1:15: dns.domain: " } },
	{ "a TTL without its unit", "dns: {ttl: 5}\n", { "1:12: dns.ttl: 5 has no unit" } },
	{ "a limit of 0", "limits:\n  services: 0\n",
		{ "2:13: limits.services: 0 is out of range, expected an integer 1-65535" } },
	{ "a limit that ids cannot have", "limits:\n  endpoints: 1048576\n",
		{ "2:14: limits.endpoints: 1048576 is out of range, expected an integer "
		  "1-1048575" } },
	{ "a number as text", "limits:\n  flows: \"4096\"\n",
		{ "2:10: limits.flows: 4096 is in quotes, so it is a text" } },
	{ "a number with a dot", "limits:\n  flows: 4096.0\n",
		{ "2:10: limits.flows: 4096.0 is no integer" } },
	{ "a number in octal", "limits:\n  flows: 010000\n",
		{ "2:10: limits.flows: 010000 is no integer" } },
	{ "a number with an underscore", "limits:\n  flows: 1_000\n",
		{ "2:10: limits.flows: 1_000 is no integer" } },
	{ "a number beyond all", "limits:\n  flows: 99999999999999999999999\n",
		{ "2:10: limits.flows: 99999999999999999999999 is out of range" } },
	{ "a negative seed", "edge: {hash_seed: -1}\n",
		{ "1:19: edge.hash_seed: -1 is out of range, expected an integer 0-4294967295" } },
	{ "a seed of 33 bits", "edge: {hash_seed: 4294967296}\n",
		{ "1:19: edge.hash_seed: 4294967296 is out of range" } },

	/* interfaces, addresses, ports */
	{ "one interface as text", "edge: {interfaces: eth0}\n",
		{ "1:20: edge.interfaces: eth0 is no list, expected a list of at most 64 interface "
		  "names" } },
	{ "interfaces that cannot be",
		"edge:\n  interfaces: [eth0, a-name-too-long-, a/b, \"a b\", ..]\n",
		{ "2:22: edge.interfaces: a-name-too-long- is no name",
			"2:40: edge.interfaces: a/b is no name",
			"2:45: edge.interfaces: a b is no name",
			"2:52: edge.interfaces: .. is no name" } },
	{ "an interface twice", "edge:\n  interfaces:\n  - eth0\n  - eth1\n  - eth0\n",
		{ "5:5: edge.interfaces: eth0 stands at 3:5 already" } },
	{ "an interface on both paths",
		"edge: {interfaces: [eth0]}\ntarget:\n  interfaces: [eth0]\n  from: [192.0.2.1]\n",
		{ "3:15: target.interfaces: eth0 is one of edge.interfaces" } },
	{ "a target without balancers", "target:\n  interfaces: [eth0]\n",
		{ "2:15: target.from: missing, must be given" } },
	{ "ports that are no range", "edge: {nat: {ports: 1024}}\n",
		{ "1:21: edge.nat.ports: 1024 is no range" } },
	{ "ports beyond the last", "edge: {nat: {ports: 1024-65536}}\n",
		{ "1:21: edge.nat.ports: 1024-65536 is no range of ports" } },
	{ "ports backwards", "edge: {nat: {ports: 2000-1000}}\n",
		{ "1:21: edge.nat.ports: 2000-1000 ends before it begins" } },
	{ "ports that the node uses", "edge:\n  nat:\n    ports: 20000-40000\n",
		{ "3:12: edge.nat.ports: 20000-40000 overlaps net.ipv4.ip_local_port_range "
		  "(32768-60999)" } },
	{ "nat sources",
		"edge:\n  nat:\n    source: [192.0.2.1, 0.0.0.0, \"::1\", 224.0.0.1, 192.0.2, "
		"\"fe80::1%eth0\"]\n",
		{ "3:25: edge.nat.source: 0.0.0.0 is no address of one node",
			"3:34: edge.nat.source: ::1 is no address of one node",
			"3:41: edge.nat.source: 224.0.0.1 is no address of one node",
			"3:52: edge.nat.source: 192.0.2 is no address",
			"3:61: edge.nat.source: fe80::1%eth0 is no address" } },
	{ "a nat source twice", "edge: {nat: {source: [\"2001:db8::1\", \"2001:db8:0::1\"]}}\n",
		{ "1:22: edge.nat.source: an address twice" } },
	{ "two tunnel sources of a family",
		"edge:\n  tunnel_source: [192.0.2.1, 192.0.2.2, \"2001:db8::1\"]\n",
		{ "2:30: edge.tunnel_source: 192.0.2.2 is the second of its family" } },
	{ "a prefix with host bits", "edge: {tunnel_source: 192.0.2.1/24}\n",
		{ "1:23: edge.tunnel_source: 192.0.2.1/24 is no address or prefix" } },
	{ "balancers that are none", "target: {from: [192.0.2.0/33, here]}\n",
		{ "1:17: target.from: 192.0.2.0/33 is no address or prefix",
			"1:31: target.from: here is no address or prefix" } },

	/* known, but not in this version */
	{ "a cgroup that is no path", "node_path: { enabled: true, cgroup: here }\n",
		{ "1:37: node_path.cgroup: here is not absolute" } },
	{ "another registry", "registries:\n- eureka: {url: 'http://127.0.0.1:8761'}\n",
		{ "2:3: registries.eureka: known, not supported by this version" } },
	{ "a check without a port",
		"services:\n- name: web\n  frontends: ['10.0.0.1:0/tcp']\n  endpoints: [{address: "
		"192.0.2.1}]\n  check: {tcp: true}\n",
		{ "5:3: services.check: 192.0.2.1 has no port and no frontend has one, expected "
		  "services.check.port" } },
	{ "what goes with another kind of check",
		WEB FRONTENDS ENDPOINTS "  check: {tcp: true, method: HEAD, expect: '200'}\n",
		{ "5:22: services.check.method: goes with http and https, not with tcp",
			"5:36: services.check.expect: goes with http and https, not with tcp" } },
	{ "a tunnel where there is none",
		WEB FRONTENDS ENDPOINTS "  check: {tcp: true, through: tunnel}\n",
		{ "5:3: services.check.through: tunnel is the road of services in mode ipip" } },
	{ "a port of its own in the tunnel",
		"services:\n- name: web\n  forward: ipip\n  frontends: ['10.0.0.1:80/tcp']\n"
		"  endpoints: []\n  check: {tcp: true, port: 8, through: tunnel}\n",
		{ "6:3: services.check.port: in the tunnel it is the frontend's" } },
	{ "a command through the tunnel",
		WEB FRONTENDS ENDPOINTS "  check: {exec: [/bin/true], through: tunnel}\n",
		{ "5:30: services.check.through: goes with http, https, tcp, udp and grpc, not "
		  "with "
		  "exec" } },
	{ "another road", WEB FRONTENDS ENDPOINTS "  check: {tcp: true, through: tunel}\n",
		{ "5:31: services.check.through: tunel is none of what it can be" } },
	{ "a command of the shell", WEB FRONTENDS ENDPOINTS "  check: {exec: [echo]}\n",
		{ "5:3: services.check.exec: echo is not absolute, expected the path of a "
		  "program" } },
	{ "what no registry can be told",
		WEB FRONTENDS ENDPOINTS "  register: consul\n  check: {tcp: true, port: 9}\n",
		{ "6:3: services.check.port: no registry can be told that" } },
	{ "statuses", WEB FRONTENDS ENDPOINTS "  check: {http: /, expect: '200-99'}\n",
		{ "5:28: services.check.expect: 200-99 does not fit, expected at most 16 "
		  "status" } },
	{ "more statuses", WEB FRONTENDS ENDPOINTS "  check: {http: /, expect: '200,'}\n",
		{ "5:28: services.check.expect: 200, does not fit" } },
	{ "a source", WEB FRONTENDS ENDPOINTS "  check: {tcp: true, source: eth0}\n",
		{ "5:30: services.check.source: eth0 is no address of one host" } },
	{ "intervals",
		WEB FRONTENDS ENDPOINTS "  check: {tcp: true, interval: 49ms, timeout: 1sm}\n",
		{ "5:32: services.check.interval: 49ms is out of range, expected a duration "
		  "50ms-1d",
			"5:47: services.check.timeout: 1sm is no duration" } },
	{ "milliseconds where there are none", WEB FRONTENDS ENDPOINTS "  settle: {tcp: 900ms}\n",
		{ "5:17: services.settle.tcp: 900ms is no duration" } },
	{ "a check of two kinds",
		WEB FRONTENDS ENDPOINTS "  register: consul\n  check: {tcp: true, http: /}\n",
		{ "6:10: services.check: more than one kind, expected one of http, https, tcp" } },
	{ "a check of no kind",
		WEB FRONTENDS ENDPOINTS "  register: consul\n  check: {interval: 2s}\n",
		{ "6:10: services.check: no kind, expected one of http, https, tcp" } },
	{ "a check that is none", WEB FRONTENDS ENDPOINTS "  register: consul\n  check: tcp\n",
		{ "6:10: services.check: tcp does not fit, expected off, or a mapping" } },
	{ "an unknown key of a check",
		WEB FRONTENDS ENDPOINTS "  register: consul\n  check: {httpx: /, rise: 0}\n",
		{ "6:11: services.check.httpx: unknown key, expected http",
			"6:27: services.check.rise: 0 is out of range" } },
	{ "metadata of the agent's own", WEB FRONTENDS ENDPOINTS "  meta: {fairlead-owner: me}\n",
		{ "5:26: services.meta: fairlead-owner is no key it can have" } },
	{ "tags that are none", WEB FRONTENDS ENDPOINTS "  tags: [a, '']\n",
		{ "5:13: services.tags: an item is empty, too long or has control characters" } },
	{ "forward modes", WEB FRONTENDS ENDPOINTS "  forward: gue\n",
		{ "5:12: services.forward: gue is known, not supported by this version, expected "
		  "nat or ipip" } },
	{ "another balance", WEB FRONTENDS ENDPOINTS "  balance: fair\n",
		{ "5:12: services.balance: fair is none of what it can be, expected maglev, "
		  "random, round-robin, least-connections or p2c" } },
	{ "how the node path chooses",
		WEB FRONTENDS ENDPOINTS
		"  key: port\n  affinity: 3\n  locality: rack\n  spill: 10001\n"
		"  max_fails: -1\n  fail_timeout: 0\n  max_ejected: 101\n",
		{ "5:8: services.key: port is none of what it can be, expected random, source or "
		  "cgroup",
			"6:13: services.affinity: 3 has no unit, expected a duration 0s-30d with "
			"its unit (90s, 15m, 1h)",
			"7:13: services.locality: rack is none of what it can be, expected off, "
			"zone or node",
			"8:10: services.spill: 10001 is out of range, expected an integer 0-10000",
			"9:14: services.max_fails: -1 is out of range, expected an integer 0-1000",
			"10:17: services.fail_timeout: 0 is out of range, expected a duration "
			"1s-1h with its unit (90s, 15m, 1h)",
			"11:16: services.max_ejected: 101 is out of range, expected an integer "
			"0-100" } },
	{ "connections whose endpoint went", WEB FRONTENDS ENDPOINTS "  stale: cut\n",
		{ "5:10: services.stale: cut is none of these, expected keep, close, or drain with "
		  "a duration (drain 30s)" } },
	{ "in how many seconds", WEB FRONTENDS ENDPOINTS "  stale: drain soon\n",
		{ "5:10: services.stale: drain soon has no duration in seconds" } },
	{ "in no time", WEB FRONTENDS ENDPOINTS "  stale: drain 0s\n",
		{ "5:10: services.stale: drain 0s is out of range" } },
	{ "panic", WEB FRONTENDS ENDPOINTS "  panic: 101\n",
		{ "5:10: services.panic: 101 is out of range, expected an integer 0-100" } },

	/* registries */
	{ "a type that is none", "registries:\n- zookeeper: {}\n",
		{ "2:3: registries: zookeeper is no type of registry, expected file or "
		  "consul" } },
	{ "two types in one item", "registries:\n- file: {path: /a}\n  name: x\n",
		{ "2:3: registries: an item must be a mapping with one key" } },
	{ "no list", "registries:\n  file: {path: /a}\n",
		{ "2:3: registries: a mapping is no list" } },
	{ "two of one name", "registries:\n- file: {path: /a}\n- file: {path: /b}\n",
		{ "3:9: registries.file.name: file is the name of the registry at 2:3 already" } },
	{ "names that are no words",
		"registries:\n- file: {path: /a, name: ../x}\n"
		"- file: {path: /a, name: .x}\n- file: {path: /a, name: a/b}\n",
		{ "2:26: registries.file.name: ../x is no such word",
			"3:26: registries.file.name: .x is no such word",
			"4:26: registries.file.name: a/b is no such word" } },
	{ "a name that is taken", "registries:\n- file: {path: /a, name: inline}\n",
		{ "2:9: registries.file.name: inline is the name of what stands in this file" } },
	{ "addresses of Consul that are none",
		"registries:\n- consul: {urls: ['ftp://a', 'http://', 'http://u@a', 'unix://a',\n"
		"    'http://a/?b', 'http://a b', 'http://:80', 'http://a', 'http://a/']}\n",
		{ "2:19: registries.consul.urls: ftp://a has another scheme, expected "
		  "http://HOST:PORT, https://HOST:PORT or unix:///PATH",
			"2:30: registries.consul.urls: http:// names no host",
			"2:41: registries.consul.urls: http://u@a has a user",
			"2:55: registries.consul.urls: unix://a names no absolute path",
			"3:5: registries.consul.urls: http://a/?b has a user",
			"3:20: registries.consul.urls: http://a b has spaces",
			"3:34: registries.consul.urls: http://:80 names no host",
			"3:60: registries.consul.urls: http://a/ stands there already" } },
	{ "one address and several",
		"registries:\n- consul: {url: 'http://a', urls: ['http://b']}\n",
		{ "2:35: registries.consul.urls: stands beside the other one" } },
	{ "several addresses that are none", "registries:\n- consul: {urls: []}\n",
		{ "2:18: registries.consul.urls: 0 items, expected 1-16" } },
	{ "a consistent cache", "registries:\n- consul: {cached: true, consistency: consistent}\n",
		{ "2:11: registries.consul.cached: a cache is not consistent" } },
	{ "TLS without any", "registries:\n- consul: {tls: {server_name: a}}\n",
		{ "2:11: registries.consul.tls.ca: tls is for https:// addresses" } },
	{ "a key without its certificate",
		"registries:\n- consul: {url: 'https://a', tls: {key: /k}}\n",
		{ "2:11: registries.consul.tls.key: a key without a certificate" } },
	{ "numbers of Consul out of range",
		"registries:\n- consul: {wait: 11m, connections: 2, kv: /, consistency: strong}\n",
		{ "2:18: registries.consul.wait: 11m is out of range, expected a duration 1s-10m",
			"2:36: registries.consul.connections: 2 is out of range",
			"2:43: registries.consul.kv: / begins with / or is empty",
			"2:59: registries.consul.consistency: strong is none of what it can be" } },
	{ "two of Consul's name", "registries:\n- consul: {}\n- consul: {}\n",
		{ "3:11: registries.consul.name: consul is the name of the registry at 2:3" } },

	/* services */
	{ "services without a list", "services:\n",
		{ "1:10: services: no value, expected a list ([] = none)" } },
	{ "a service that is a word", "services: [web]\n",
		{ "1:12: services: web does not fit, expected a mapping" } },
	{ "nothing of a service", "services:\n- {}\n",
		{ "2:3: services.name: missing, must be given", "2:3: services.frontends: missing",
			"2:3: services.endpoints: missing" } },
	{ "endpoints cut off", WEB FRONTENDS "  endpoints:\n",
		{ "4:13: services.endpoints: no value, expected a list ([] = none)" } },
	{ "names",
		"services:\n- {name: -web, frontends: ['10.0.0.1:80/tcp'], endpoints: []}\n"
		"- {name: a b, frontends: ['10.0.0.2:80/tcp'], endpoints: []}\n",
		{ "2:10: services.name: -web is no name of a service",
			"3:10: services.name: a b is no name of a service" } },
	{ "frontends",
		WEB "  frontends:\n  - 10.0.0.1:80\n  - 10.0.0.1:80/sctp\n  - 10.0.0.1/tcp\n  - "
		    "10.0.0.1:65536/tcp\n"
		    "  - 2001:db8::1:80/tcp\n  - 0.0.0.0:80/tcp\n  - 224.0.0.1:80/udp\n  - "
		    "255.255.255.255:80/udp\n  - {}\n"
		    "  - www:80/tcp\n" ENDPOINTS,
		{ "4:5: services.frontends: 10.0.0.1:80 has no protocol, expected ADDRESS:PORT/tcp",
			"5:5: services.frontends: 10.0.0.1:80/sctp has another protocol",
			"6:5: services.frontends: 10.0.0.1/tcp is no address with a port",
			"7:5: services.frontends: 10.0.0.1:65536/tcp is no address with a port",
			"8:5: services.frontends: 2001:db8::1:80/tcp is no address with a port",
			"9:5: services.frontends: 0.0.0.0:80/tcp is no address of one host",
			"10:5: services.frontends: 224.0.0.1:80/udp is no address of one host",
			"11:5: services.frontends: 255.255.255.255:80/udp is no address of one "
			"host",
			"12:5: services.frontends: a mapping does not fit",
			"13:5: services.frontends: www:80/tcp is no address with a port" } },
	{ "no frontend at all", WEB "  frontends: []\n" ENDPOINTS,
		{ "2:3: services.frontends: web has none" } },
	{ "a frontend twice",
		WEB "  frontends: ['[2001:db8::1]:80/tcp', '[2001:db8:0::1]:80/tcp']\n  endpoints: "
		    "[]\n",
		{ "2:3: warning: services.endpoints: web has none",
			"3:39: services.frontends: [2001:db8::1]:80/tcp stands at 3:15 already" } },
	{ "weights",
		WEB FRONTENDS
		"  endpoints:\n  - {address: 192.0.2.1, weight: -1}\n"
		"  - {address: 192.0.2.2, weight: 70000}\n  - {address: 192.0.2.3, weight: 0}\n"
		"  - {address: 192.0.2.4, weight: heavy}\n",
		{ "5:34: services.endpoints.weight: -1 is out of range, expected an integer "
		  "0-65535",
			"6:34: services.endpoints.weight: 70000 is out of range, expected an "
			"integer 0-65535",
			"8:34: services.endpoints.weight: heavy is no integer" } },
	{ "a state that is none",
		WEB FRONTENDS "  endpoints: [{address: 192.0.2.1, state: drain}]\n",
		{ "4:43: services.endpoints.state: drain is none of what it can be, expected up, "
		  "down, draining or maintenance" } },
	{ "addresses of endpoints",
		WEB FRONTENDS "  endpoints:\n  - {address: 192.0.2.1:x}\n  - {address: localhost}\n"
			      "  - {address: '::'}\n  - {weight: 1}\n  - 192.0.2.1\n",
		{ "5:15: services.endpoints.address: 192.0.2.1:x is no address",
			"6:15: services.endpoints.address: localhost is no address",
			"7:15: services.endpoints.address: :: is no address of one host",
			"8:5: services.endpoints.address: missing, must be given",
			"9:5: services.endpoints: 192.0.2.1 does not fit, expected a mapping" } },
	{ "an endpoint twice",
		WEB FRONTENDS
		"  endpoints:\n  - {address: 192.0.2.2:80}\n  - {address: 192.0.2.1:80}\n"
		"  - {address: 192.0.2.2:80}\n",
		{ "7:5: services.endpoints: 192.0.2.2:80 stands at 5:5 already" } },
	{ "endpoints of the other family",
		WEB FRONTENDS "  endpoints: [{address: '2001:db8::1'}]\n",
		{ "3:15: services.frontends: 10.0.0.1:80/tcp has no usable endpoint: nat forwards "
		  "IPv4 only" } },
	{ "one frontend of two is left alone",
		WEB "  frontends: ['10.0.0.1:80/tcp', '[2001:db8::1]:80/tcp']\n" ENDPOINTS,
		{ "3:34: services.frontends: [2001:db8::1]:80/tcp has no usable endpoint: nat "
		  "forwards IPv6 only" } },
	{ "another port in a tunnel",
		WEB FRONTENDS "  forward: ipip\n  endpoints: [{address: '192.0.2.1:8080'}]\n",
		{ "5:15: services.endpoints.address: port 8080 cannot differ from the frontend's "
		  "(10.0.0.1:80/tcp) in ipip" } },
	{ "a frontend that is its own endpoint",
		WEB FRONTENDS "  endpoints: [{address: '10.0.0.1'}]\n",
		{ "4:15: services.endpoints.address: is the frontend 10.0.0.1:80/tcp itself" } },
	{ "a table size off the ladder", WEB FRONTENDS ENDPOINTS "  slots: 1000\n",
		{ "5:10: services.slots: 1000 is none of what it can be, expected 251, 1021, 4093, "
		  "16381 or 65537" } },
	{ "durations", WEB FRONTENDS ENDPOINTS "  settle: {tcp: 15, udp: 0s}\n",
		{ "5:17: services.settle.tcp: 15 has no unit, expected a duration 1s-1d with its "
		  "unit (90s, 15m, 1h)",
			"5:26: services.settle.udp: 0s is out of range" } },
	{ "more durations", WEB FRONTENDS ENDPOINTS "  settle: {tcp: 1m1h, udp: 15min}\n",
		{ "5:17: services.settle.tcp: 1m1h is no duration",
			"5:28: services.settle.udp: 15min is no duration" } },
	{ "a slow start that cannot be",
		WEB FRONTENDS ENDPOINTS
		"  slow_start: {window: 4s, aggression: 0, min_weight: 0}\n",
		{ "5:24: services.slow_start.window: 4s is out of range",
			"5:40: services.slow_start.aggression: 0 is out of range, expected a "
			"number "
			"0.1-100.0 with at most two decimals",
			"5:55: services.slow_start.min_weight: 0 is out of range" } },
	{ "an aggression of too many decimals",
		WEB FRONTENDS ENDPOINTS "  slow_start: {window: 1m, aggression: 1.005}\n",
		{ "5:40: services.slow_start.aggression: 1.005 is no such number" } },
	{ "an aggression that is none",
		WEB FRONTENDS ENDPOINTS "  slow_start: {window: 1m, aggression: .5}\n",
		{ "5:40: services.slow_start.aggression: .5 is no such number" } },
	{ "not quite true", WEB FRONTENDS ENDPOINTS "  cross_family: yes\n",
		{ "5:17: services.cross_family: yes is neither, expected true or false" } },
	{ "a service twice",
		WEB FRONTENDS ENDPOINTS "- name: web\n  frontends: ['10.0.0.2:80/tcp']\n" ENDPOINTS,
		{ "5:3: services.name: web is the name of another service (web at t.yaml:2:3)" } },
	{ "a frontend of two services",
		WEB FRONTENDS ENDPOINTS
		"- name: api\n  frontends: ['10.0.0.2:80/tcp', '10.0.0.1:80/tcp']\n" ENDPOINTS,
		{ "6:34: services.frontends: 10.0.0.1:80/tcp belongs to another service (web at "
		  "t.yaml:3:15)" } },

	/* everything at once */
	{ "errors all over",
		"log: {level: x}\nedge:\n  hash_seed: x\n  nat: {ports: x}\nhttp: {listen: x}\n"
		"limits: {slots: x}\nregistries: x\nservices:\n- name: '?'\n  frontends: [x]\n"
		"  endpoints: [{address: x, weight: x}]\n  udp: x\nextra: x\n",
		{ "1:14: log.level: ", "3:14: edge.hash_seed: ", "4:16: edge.nat.ports: ",
			"5:16: http.listen: ", "6:17: limits.slots: ", "7:13: registries: ",
			"9:9: services.name: ", "10:15: services.frontends: ",
			"11:25: services.endpoints.address: ", "11:36: services.endpoints.weight: ",
			"12:8: services.udp: ", "13:1: extra: unknown key" } },
};

static const struct fl_environment environment = {
	.local_port_min = 32768,
	.local_port_max = 60999,
	.host_name = "host",
};

static size_t length_of(const struct row *row)
{
	return strcmp(row->name, "UTF-16") == 0 ? 4 : strlen(row->text);
}

/* Compare line by line, in order of place. */
static void check_lines(const struct row *row, char *printed)
{
	size_t i = 0;

	for (char *line = strtok(printed, "\n"); line; line = strtok(NULL, "\n"), i++) {
		char wanted[512];

		cr_assert(i < ERRORS_MAX && row->errors[i], "%s: one more than expected: %s",
			row->name, line);
		snprintf(wanted, sizeof(wanted), "t.yaml:%s", row->errors[i]);
		cr_expect(strncmp(line, wanted, strlen(wanted)) == 0, "%s:\n got: %s\n not: %s",
			row->name, line, wanted);
	}
	cr_expect(
		i == ERRORS_MAX || !row->errors[i], "%s: not told: %s", row->name, row->errors[i]);
}

Test(config_broken, every_error_with_its_place)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fl_problems problems = { 0 };
		struct fl_config *config = NULL;
		char *printed = NULL;
		size_t size = 0;
		FILE *out = open_memstream(&printed, &size);
		int r = fl_config_parse(rows[i].text, length_of(&rows[i]), "t.yaml", &environment,
			&problems, &config);

		cr_expect_eq(r, -EINVAL, "%s: %d", rows[i].name, r);
		cr_expect_null(config, "%s", rows[i].name);
		cr_expect_gt(problems.errors, 0, "%s", rows[i].name);
		fl_problems_print(&problems, out);
		fclose(out);
		check_lines(&rows[i], printed);
		free(printed);
		fl_problems_done(&problems);
	}
}

/* The default clashes only where it is used. */
Test(config_broken, the_default_ports_clash_with_a_tuned_node)
{
	static const char with[] = "edge:\n  interfaces: [eth0]\n";
	static const char without[] = "log: {level: info}\n";
	struct fl_environment tuned = {
		.local_port_min = 1024, .local_port_max = 65535, .host_name = "h"
	};
	struct fl_problems problems = { 0 };
	struct fl_config *config = NULL;
	char line[512];

	cr_assert_eq(
		fl_config_parse(with, strlen(with), "t.yaml", &tuned, &problems, &config), -EINVAL);
	cr_assert_eq(problems.count, 1);
	fl_problem_format(&problems.items[0], line, sizeof(line));
	cr_expect(strncmp(line, "t.yaml:2:15: edge.nat.ports: 1024-32767 (the default) overlaps",
			  62) == 0,
		"%s", line);
	fl_problems_done(&problems);

	cr_assert_eq(
		fl_config_parse(without, strlen(without), "t.yaml", &tuned, &problems, &config), 0);
	cr_expect_eq(problems.count, 0);
	fl_config_free(config);
}

Test(config_broken, a_file_that_cannot_be_read)
{
	static const struct {
		const char *file;
		int error;
		const char *message;
	} files[] = {
		{ "/nonexistent/fairlead.yaml", -ENOENT,
			"cannot be read: No such file or directory" },
		{ "/tmp", -EISDIR, "cannot be read: Is a directory" },
		{ "/dev/zero", -EINVAL, "cannot be read: it is no regular file" },
	};

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		struct fl_problems problems = { 0 };
		struct fl_config *config = NULL;

		cr_expect_eq(fl_config_load(files[i].file, &problems, &config), files[i].error);
		cr_assert_eq(problems.count, 1);
		cr_expect_str_eq(problems.items[0].file, files[i].file);
		cr_expect_str_eq(problems.items[0].message, files[i].message);
		fl_problems_done(&problems);
	}
}

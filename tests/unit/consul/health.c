/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/service.h"
#include "registry/consul/health.h"

/* The answer is read from an exact copy on the heap, so that the sanitised ring sees
 * every byte beyond it. */
static int parse_bytes(const char *text, size_t length, struct fl_consul_health *ret, char why[256])
{
	char *body = malloc(length ? length : 1);
	int r;

	cr_assert(body);
	memcpy(body, text, length);
	strcpy(why, "");
	r = fl_consul_health_parse(
		body, length, "consul service web", "edge-1/consul", ret, why, 256);
	free(body);
	return r;
}

static int parse(const char *text, struct fl_consul_health *ret, char why[256])
{
	return parse_bytes(text, strlen(text), ret, why);
}

/* "192.0.2.1:80 w2 up zone=a node=n1, …" */
static void describe(const struct fl_consul_health *health, char *buffer, size_t size)
{
	FILE *out = fmemopen(buffer, size, "w");

	buffer[0] = '\0';
	for (size_t i = 0; i < health->endpoints.count; i++) {
		const struct fl_consul_endpoint *e = &health->endpoints.items[i];
		const char *zone = fl_consul_text(health, e->zone);
		const char *node = fl_consul_text(health, e->node);

		fprintf(out, "%s", i ? ", " : "");
		for (enum fl_family family = 0; family < FL_FAMILIES; family++) {
			char text[FL_SOCKET_TEXT];

			if (e->has[family])
				fprintf(out, "%s ",
					fl_socket_format(&e->addr[family], e->port[family], text));
		}
		fprintf(out, "w%u %s", e->weight, fl_state_name(e->state));
		if (zone)
			fprintf(out, " zone=%s", zone);
		if (node)
			fprintf(out, " node=%s", node);
	}
	fclose(out);
}

#define NODE                 "\"Node\":{\"Node\":\"n1\",\"Address\":\"10.0.0.1\"}"
#define SERVICE              "\"Service\":{\"ID\":\"web-1\",\"Address\":\"192.0.2.1\",\"Port\":80"
#define CHECKS(s)            "\"Checks\":[" s "]"
#define CHECK(id, status)    "{\"CheckID\":\"" id "\",\"Status\":\"" status "\"}"
#define ONE(service, checks) "[{" NODE "," SERVICE service "}," CHECKS(checks) "}]"

static const struct {
	const char *name;
	const char *answer;
	const char *endpoints;
	const char *problem; /* how the first begins; NULL = none */
} rows[] = {
	{ "nobody", "[]", "", NULL },
	{ "a plain instance", ONE("", ""), "192.0.2.1:80 w1 up node=n1", NULL },

	/* addresses */
	{ "the node's address",
		"[{" NODE ",\"Service\":{\"ID\":\"a\",\"Address\":\"\",\"Port\":80}}]",
		"10.0.0.1:80 w1 up node=n1", NULL },
	{ "the node's address, for want of a member",
		"[{" NODE ",\"Service\":{\"ID\":\"a\",\"Address\":null}}]",
		"10.0.0.1:0 w1 up node=n1", NULL },
	{ "an IPv6 address", "[{" NODE ",\"Service\":{\"Address\":\"2001:db8::1\",\"Port\":80}}]",
		"[2001:db8::1]:80 w1 up node=n1", NULL },
	{ "the other family, of the instance",
		ONE(",\"TaggedAddresses\":{\"lan_ipv6\":{\"Address\":\"2001:db8::1\",\"Port\":81},"
		    "\"wan_ipv6\":{\"Address\":\"2001:db8::2\",\"Port\":82}}",
			""),
		"192.0.2.1:80 [2001:db8::1]:81 w1 up node=n1", NULL },
	{ "tagged as the documents have it",
		ONE(",\"TaggedAddresses\":{\"lan_ipv6\":{\"address\":\"2001:db8::1\",\"port\":81}}",
			""),
		"192.0.2.1:80 [2001:db8::1]:81 w1 up node=n1", NULL },
	{ "tagged with its own family again",
		ONE(",\"TaggedAddresses\":{\"lan_ipv4\":{\"Address\":\"192.0.2.9\",\"Port\":81}}",
			""),
		"192.0.2.1:80 w1 up node=n1", NULL },
	{ "tagged as what it is not",
		ONE(",\"TaggedAddresses\":{\"lan_ipv6\":{\"Address\":\"192.0.2.9\",\"Port\":81}}",
			""),
		"192.0.2.1:80 w1 up node=n1", NULL },
	{ "the other family, of the node",
		"[{\"Node\":{\"Node\":\"n1\",\"Address\":\"10.0.0.1\",\"TaggedAddresses\":{"
		"\"lan\":\"10.0.0.1\",\"lan_ipv6\":\"2001:db8::1\"}},"
		"\"Service\":{\"ID\":\"a\",\"Port\":80}}]",
		"10.0.0.1:80 [2001:db8::1]:80 w1 up node=n1", NULL },
	{ "not the node's, where the instance has its own",
		"[{\"Node\":{\"Address\":\"10.0.0.1\",\"TaggedAddresses\":{"
		"\"lan_ipv6\":\"2001:db8::1\"}}," SERVICE "}}]",
		"192.0.2.1:80 w1 up", NULL },
	{ "a name as address", "[{" NODE ",\"Service\":{\"ID\":\"a\",\"Address\":\"web.local\"}}]",
		"",
		"instance a on n1: web.local is a name, expected the IP address of a host; it "
		"is left out" },
	{ "a name, and an address beside it",
		"[{" NODE
		",\"Service\":{\"ID\":\"a\",\"Address\":\"web.local\",\"TaggedAddresses\":"
		"{\"lan_ipv4\":{\"Address\":\"192.0.2.9\",\"Port\":81}}}}]",
		"192.0.2.9:81 w1 up node=n1", NULL },
	{ "no address at all", "[{\"Node\":{},\"Service\":{\"ID\":\"a\"}}]", "",
		"instance a on (without a name): it has no address" },
	{ "an address of no host",
		"[{" NODE ",\"Service\":{\"ID\":\"a\",\"Address\":\"0.0.0.0\"}}]", "",
		"instance a on n1: 0.0.0.0 is no address of one host" },

	/* weights and checks */
	{ "weights", ONE(",\"Weights\":{\"Passing\":10,\"Warning\":3}", CHECK("a", "passing")),
		"192.0.2.1:80 w10 up node=n1", NULL },
	{ "a warning",
		ONE(",\"Weights\":{\"Passing\":10,\"Warning\":3}",
			CHECK("a", "passing") "," CHECK("b", "warning")),
		"192.0.2.1:80 w3 up node=n1", NULL },
	{ "a warning, and no weight for it",
		ONE(",\"Weights\":{\"Passing\":10,\"Warning\":0}", CHECK("b", "warning")),
		"192.0.2.1:80 w0 up node=n1", NULL },
	{ "a warning, by default", ONE("", CHECK("b", "warning")), "192.0.2.1:80 w1 up node=n1",
		NULL },
	{ "weights that are null", ONE(",\"Weights\":null", ""), "192.0.2.1:80 w1 up node=n1",
		NULL },
	{ "critical beats a warning",
		ONE(",\"Weights\":{\"Passing\":10}",
			CHECK("a", "critical") "," CHECK("b", "warning")),
		"192.0.2.1:80 w10 down node=n1", NULL },
	{ "the node is gone", ONE("", CHECK("serfHealth", "critical")),
		"192.0.2.1:80 w1 down node=n1", NULL },
	{ "the service in maintenance",
		ONE("", CHECK("_service_maintenance:web-1", "critical") "," CHECK("a", "warning")),
		"192.0.2.1:80 w1 draining node=n1", NULL },
	{ "the node in maintenance", ONE("", CHECK("_node_maintenance", "critical")),
		"192.0.2.1:80 w1 draining node=n1", NULL },
	{ "in maintenance, and dead",
		ONE("", CHECK("_node_maintenance", "critical") "," CHECK("a", "critical")),
		"192.0.2.1:80 w1 down node=n1", NULL },
	{ "a check that only sounds like it", ONE("", CHECK("my_node_maintenance", "critical")),
		"192.0.2.1:80 w1 down node=n1", NULL },
	{ "an unknown status", ONE("", CHECK("a", "maybe")), "192.0.2.1:80 w1 down node=n1",
		"instance web-1 on n1: a check's Status is maybe, taken as critical" },
	{ "a check without a status", ONE("", "{\"CheckID\":\"a\"}"),
		"192.0.2.1:80 w1 down node=n1",
		"instance web-1 on n1: a check's Status is none, taken as critical" },
	{ "checks that are null", "[{" NODE "," SERVICE "},\"Checks\":null}]",
		"192.0.2.1:80 w1 up node=n1", NULL },

	/* zone and node */
	{ "the node's zone",
		"[{\"Node\":{\"Node\":\"n1\",\"Meta\":{\"zone\":\"a\",\"x\":\"y\"}}," SERVICE "}}]",
		"192.0.2.1:80 w1 up zone=a node=n1", NULL },
	{ "the instance's zone beats the node's",
		"[{\"Node\":{\"Node\":\"n1\",\"Meta\":{\"zone\":\"a\"}}," SERVICE
		",\"Meta\":{\"zone\":\"b\"}}}]",
		"192.0.2.1:80 w1 up zone=b node=n1", NULL },
	{ "ours beats both",
		ONE(",\"Meta\":{\"fairlead-zone\":\"c\",\"zone\":\"b\",\"fairlead-node\":\"n9\"}",
			""),
		"192.0.2.1:80 w1 up zone=c node=n9", NULL },
	{ "a zone that is too long",
		ONE(",\"Meta\":{\"zone\":"
		    "\"0123456789012345678901234567890123456789012345678901234567"
		    "890123\"}",
			""),
		"192.0.2.1:80 w1 up node=n1",
		"instance web-1 on n1: its zone is longer than 63 bytes" },
	{ "a zone that no log may have", ONE(",\"Meta\":{\"zone\":\"a\\nb\"}", ""),
		"192.0.2.1:80 w1 up node=n1",
		"instance web-1 on n1: its zone has control characters" },
	{ "a name that no log may have",
		"[{" NODE ",\"Service\":{\"ID\":\"a\\n\\u001bb\",\"Address\":\"x\"}}]", "",
		"instance a" },

	/* who registered it */
	{ "our own", ONE(",\"Meta\":{\"fairlead-owner\":\"edge-1/consul\"}", ""), "", NULL },
	{ "another's", ONE(",\"Meta\":{\"fairlead-owner\":\"edge-2/consul\"}", ""),
		"192.0.2.1:80 w1 up node=n1", NULL },
	{ "a key of ours that is none", ONE(",\"Meta\":{\"fairlead-frontend\":\"x\"}", ""),
		"192.0.2.1:80 w1 up node=n1",
		"instance web-1 on n1: fairlead-frontend is no key of ours" },
	{ "a tag of ours that is none", ONE(",\"Tags\":[\"a\",\"fairlead.x=y\"]", ""),
		"192.0.2.1:80 w1 up node=n1",
		"instance web-1 on n1: fairlead.x=y is no key of ours" },
	{ "what registrations keep for themselves", ONE(",\"Meta\":{\"fairlead-hash\":\"x\"}", ""),
		"192.0.2.1:80 w1 up node=n1", NULL },

	/* the good ones are used */
	{ "a bad one between good ones",
		"[{" NODE "," SERVICE "}},{" NODE ",\"Service\":{\"ID\":\"b\",\"Port\":\"80\"}},"
		"{" NODE ",\"Service\":{\"ID\":\"c\",\"Address\":\"192.0.2.3\"}}]",
		"192.0.2.1:80 w1 up node=n1, 192.0.2.3:0 w1 up node=n1",
		"instance b on n1: Service.Port is none of 0-65535; it is left out" },
	{ "wrong types", "[7]", "",
		"instance (without an ID) on (without a name): is no object; it is left out" },
	{ "a service that is null", "[{" NODE ",\"Service\":null}]", "",
		"instance (without an ID) on n1: Service is no object" },
	{ "no service", "[{" NODE "}]", "", "instance (without an ID) on n1: Service is missing" },
	{ "a node that is a text", "[{\"Node\":\"n1\"," SERVICE "}}]", "",
		"instance web-1 on (without a name): Node is no object" },
	{ "an address that is a number", "[{" NODE ",\"Service\":{\"Address\":7}}]", "",
		"instance (without an ID) on n1: Service.Address is no text" },
	{ "a port beyond all", ONE(",\"Weights\":{\"Passing\":65536}", ""), "",
		"instance web-1 on n1: Weights.Passing is none of 0-65535" },
	{ "a weight below all", ONE(",\"Weights\":{\"Warning\":-1}", ""), "",
		"instance web-1 on n1: Weights.Warning is none of 0-65535" },
	{ "half a weight", ONE(",\"Weights\":{\"Passing\":1.5}", ""), "",
		"instance web-1 on n1: Weights.Passing is none of 0-65535" },
	{ "checks that are none", "[{" NODE "," SERVICE "},\"Checks\":{}}]", "",
		"instance web-1 on n1: Checks is no list" },
	{ "a check that is none", ONE("", "1"), "", "instance web-1 on n1: a check is no object" },
	{ "tags that are none", ONE(",\"Tags\":[1]", ""), "",
		"instance web-1 on n1: a tag is no text" },
	{ "members nobody knows",
		"[{\"More\":[{}],\"Node\":{\"ID\":1,\"Node\":\"n1\"}," SERVICE
		",\"Proxy\":{\"a\":[]},\"Kind\":\"\"}}]",
		"192.0.2.1:80 w1 up node=n1", NULL },
};

Test(consul_health, what_an_answer_says)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fl_consul_health health;
		char why[256], endpoints[1024], line[512] = "";

		cr_assert_eq(parse(rows[i].answer, &health, why), 0, "%s: %s", rows[i].name, why);
		describe(&health, endpoints, sizeof(endpoints));
		cr_expect_str_eq(endpoints, rows[i].endpoints, "%s: '%s'", rows[i].name, endpoints);
		if (health.problems.count) {
			cr_expect_str_eq(health.problems.items[0].file, "consul service web");
			snprintf(line, sizeof(line), "%s", health.problems.items[0].message);
		}
		if (rows[i].problem) {
			cr_expect_eq(strncmp(line, rows[i].problem, strlen(rows[i].problem)), 0,
				"%s: '%s'", rows[i].name, line);
			cr_expect_eq(strcspn(line, "\n\033"), strlen(line),
				"%s: a line is one line", rows[i].name);
		} else {
			cr_expect_eq(health.problems.count, 0, "%s: '%s'", rows[i].name, line);
		}
		fl_consul_health_done(&health);
	}
}

static const struct {
	const char *name;
	const char *answer;
	const char *why;
} refused[] = {
	{ "nothing", "", "ends in the middle, at byte 0" },
	{ "a page", "<html>", "no value where one must be, at byte 0" },
	{ "an object", "{}", "no list where one must be, at byte 0" },
	{ "null", "null", "no list where one must be" },
	{ "cut off", "[{" NODE "," SERVICE, "ends in the middle, at byte" },
	{ "two answers", "[] []", "something follows, at byte 3" },
	{ "a member twice", "[{" NODE "," NODE "," SERVICE "}}]", "a key stands twice" },
	{ "a port twice", ONE(",\"Port\":81", ""), "a key stands twice" },
	{ "a status twice", ONE("", "{\"Status\":\"passing\",\"Status\":\"critical\"}"),
		"a key stands twice" },
	{ "a setting twice",
		ONE(",\"Meta\":{\"fairlead-udp\":\"keep\",\"fairlead.udp\":\"x\","
		    "\"fairlead-udp\":\"move\"}",
			""),
		"a key stands twice" },
	{ "a text with NUL", ONE(",\"Meta\":{\"x\":\"\\u0000\"}", ""), "a text has U+0000" },
};

Test(consul_health, what_is_refused_as_a_whole)
{
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		struct fl_consul_health health;
		char why[256];

		cr_expect_eq(
			parse(refused[i].answer, &health, why), -EBADMSG, "%s", refused[i].name);
		cr_expect_eq(strncmp(why, refused[i].why, strlen(refused[i].why)), 0, "%s: %s",
			refused[i].name, why);
		cr_expect_eq(health.endpoints.count, 0);
		cr_expect_null(health.texts.data);
	}
}

/* Cut off anywhere, an answer is refused: half a list must never count as a list. */
Test(consul_health, half_an_answer_is_none)
{
	static const char whole[] = "[{" NODE "," SERVICE "}},{" NODE "," SERVICE "}}]";

	for (size_t length = 0; length < sizeof(whole) - 1; length++) {
		struct fl_consul_health health;
		char why[256];

		cr_expect_eq(parse_bytes(whole, length, &health, why), -EBADMSG, "%zu", length);
	}
}

Test(consul_health, more_instances_than_a_service_can_have_are_refused)
{
	for (size_t count = FL_ENDPOINTS_PER_SERVICE; count <= FL_ENDPOINTS_PER_SERVICE + 1;
		count++) {
		struct fl_text text = { 0 };
		struct fl_consul_health health;
		char why[256];
		int r;

		for (size_t i = 0; i < count; i++)
			fl_text_printf(&text,
				"%c{\"Service\":{\"Address\":\"192.0.2.1\",\"Port\":%zu}}",
				i ? ',' : '[', i);
		fl_text_putc(&text, ']');
		r = parse_bytes(text.data, text.length, &health, why);
		if (count <= FL_ENDPOINTS_PER_SERVICE) {
			cr_expect_eq(r, 0, "%s", why);
			cr_expect_eq(health.endpoints.count, count);
		} else {
			cr_expect_eq(r, -EBADMSG);
			cr_expect(strstr(why, "more instances than a service can have"));
		}
		fl_consul_health_done(&health);
		fl_text_done(&text);
	}
}

/* ------------------------------------------------------------------- settings */

#define SAYS(id, meta)                                                                             \
	"{" NODE ",\"Service\":{\"ID\":\"" id "\",\"Address\":\"192.0.2.1\"," meta "}}"
#define META(key, value) "\"Meta\":{\"fairlead-" key "\":\"" value "\"}"

static const struct {
	const char *name;
	const char *answer;
	const char *settings; /* "frontends=… forward=…" */
	const char *problem;
} said[] = {
	{ "nothing", "[" SAYS("a", "\"Meta\":{\"x\":\"y\"}") "]", "", NULL },
	{ "one of two says something",
		"[" SAYS("a", META("frontends", "f")) "," SAYS("b", "\"Meta\":null") "]",
		"frontends=f", NULL },
	{ "every setting",
		"[" SAYS("a", "\"Meta\":{\"fairlead-frontends\":\"f\",\"fairlead-forward\":"
			      "\"ipip\","
			      "\"fairlead-balance\":\"b\",\"fairlead-slots\":\"251\","
			      "\"fairlead-settle-tcp\":\"1m\",\"fairlead-settle-udp\":\"2m\","
			      "\"fairlead-udp\":\"move\",\"fairlead-panic\":\"0\","
			      "\"fairlead-key\":\"cgroup\",\"fairlead-affinity\":"
			      "\"1h\",\"fairlead-locality\":\"zone\",\"fairlead-spill\":"
			      "\"150\",\"fairlead-max-fails\":\"5\",\"fairlead-fail-"
			      "timeout\":\"1m\",\"fairlead-max-ejected\":\"20\","
			      "\"fairlead-cross-family\":\"true\"}") "]",
		"frontends=f forward=ipip balance=b slots=251 settle.tcp=1m settle.udp=2m "
		"udp=move "
		"panic=0 cross_family=true key=cgroup affinity=1h locality=zone spill=150 "
		"max_fails=5 fail_timeout=1m max_ejected=20",
		NULL },
	{ "tags",
		"[" SAYS("a", "\"Tags\":[\"v2\",\"fairlead.frontends=f\",\"fairlead."
			      "frontends=g\","
			      "\"fairlead.settle.tcp=1m\",\"fairlead.udp=move\",\"fairlead."
			      "udp=keep\"]") "]",
		"frontends=f g settle.tcp=1m udp=move", NULL },
	{ "metadata beats tags, whichever comes first",
		"[" SAYS("a", "\"Tags\":[\"fairlead.frontends=t\",\"fairlead.udp=keep\"],"
			      "\"Meta\":{\"fairlead-frontends\":\"m\",\"fairlead-udp\":"
			      "\"move\"}") "," SAYS("b",
			"\"Meta\":{\"fairlead-frontends\":\"m\",\"fairlead-udp\":\"move\"},"
			"\"Tags\":[\"fairlead.frontends=t\",\"fairlead.udp=keep\"]") "]",
		"frontends=m udp=move", NULL },
	{ "most of them count",
		"[" SAYS("a", META("frontends", "x")) "," SAYS(
			"b", META("frontends", "y")) "," SAYS("c", META("frontends", "y")) "]",
		"frontends=y",
		"instances disagree about frontends: a on n1 says x (1 in all), b on n1 says y "
		"(2 in all), which counts" },
	{ "of as many the first by name counts, whatever their order",
		"[" SAYS("z", META("frontends", "x")) "," SAYS(
			"b", META("frontends", "y")) "," SAYS("a",
			META("frontends", "x")) "," SAYS("c", META("frontends", "y")) "]",
		"frontends=x",
		"instances disagree about frontends: b on n1 says y (2 in all), a on n1 "
		"says x" },
	{ "an instance that cannot be used has no say",
		"[" SAYS(
			"a", META("frontends", "x")) ",{" NODE
						     ",\"Service\":{\"ID\":\"0\",\"Port\":-1," META(
							     "frontends", "y") "}}]",
		"frontends=x", "instance 0 on n1: Service.Port" },
};

Test(consul_health, what_instances_say_of_their_service)
{
	for (size_t i = 0; i < sizeof(said) / sizeof(said[0]); i++) {
		struct fl_consul_health health;
		char why[256], line[512] = "", settings[512] = "";

		cr_assert_eq(parse(said[i].answer, &health, why), 0, "%s: %s", said[i].name, why);
		for (int j = 0; j < FL_CONSUL_SETTINGS; j++)
			if (health.settings.values[j])
				snprintf(settings + strlen(settings),
					sizeof(settings) - strlen(settings), "%s%s=%s",
					*settings ? " " : "", fl_consul_setting_keys[j],
					health.settings.values[j]);
		cr_expect_str_eq(settings, said[i].settings, "%s: '%s'", said[i].name, settings);
		cr_expect_eq(fl_consul_settings_any(&health.settings), *settings != '\0');
		for (size_t j = 0; j < health.problems.count && !*line; j++)
			fl_problem_format(&health.problems.items[j], line, sizeof(line));
		cr_expect(said[i].problem ? strstr(line, said[i].problem) != NULL : !*line,
			"%s: %s", said[i].name, line);
		fl_consul_health_done(&health);
	}
}

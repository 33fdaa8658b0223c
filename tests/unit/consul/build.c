/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "config/services.h"
#include "registry/consul/build.h"

/* Settings as metadata has them, and one instance for each word "ID@ADDRESS[:PORT][*STATE]". */
static void add_instances(struct fl_consul_health *health, const char *words)
{
	char *copy = strdup(words);
	char *rest;

	fl_text_putc(&health->texts, '\0');
	for (char *word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
		struct fl_consul_endpoint *e = fl_vec_push(&health->endpoints);
		char *at = strchr(word, '@'), *star = strchr(word, '*');
		enum fl_family family;
		struct fl_ip addr;
		uint16_t port;

		*at++ = '\0';
		if (star)
			*star++ = '\0';
		cr_assert_eq(fl_socket_parse(at, false, &addr, &port), 0, "%s", at);
		family = fl_ip_family(&addr);
		e->addr[family] = addr;
		e->port[family] = port;
		e->has[family] = true;
		e->weight = 1;
		e->state = !star ? FL_UP : strcmp(star, "down") == 0 ? FL_DOWN : FL_DRAINING;
		e->id = (uint32_t)health->texts.length;
		fl_text_put(&health->texts, word, strlen(word) + 1);
	}
	free(copy);
}

static const struct {
	const char *name;
	const char *frontends, *forward;
	const char *instances;
	const char *endpoints; /* NULL = the service is unusable */
	const char *problem;
} rows[] = {
	{ "two", "10.0.0.1:80/tcp", NULL, "b@192.0.2.2:8080 a@192.0.2.1:8080",
		"192.0.2.1:8080 192.0.2.2:8080 ", NULL },
	{ "several frontends, commas too", "10.0.0.1:80/tcp, 10.0.0.1:80/udp", NULL, "a@192.0.2.1",
		"192.0.2.1:0 ", NULL },
	{ "nobody", "10.0.0.1:80/tcp", NULL, "", "", "services.endpoints: web has none" },
	{ "one address twice", "10.0.0.1:80/tcp", NULL, "b@192.0.2.1:80 a@192.0.2.1:80",
		"192.0.2.1:80 ",
		"instance b on (without a name): 192.0.2.1:80 is the address of a on (without a "
		"name), too; it is left out" },
	{ "one address twice: the better one counts", "10.0.0.1:80/tcp", NULL,
		"a@192.0.2.1:80*down b@192.0.2.1:80*draining c@192.0.2.1:80", "192.0.2.1:80 ",
		"instance b on" },
	{ "a frontend itself", "10.0.0.1:80/tcp", NULL, "a@10.0.0.1:80 b@192.0.2.1:80",
		"192.0.2.1:80 ",
		"instance a on (without a name): it is the frontend 10.0.0.1:80/tcp" },
	{ "its address with another port", "10.0.0.1:80/tcp", NULL, "a@10.0.0.1:8080",
		"10.0.0.1:8080 ", NULL },
	{ "the other family in nat", "10.0.0.1:80/tcp", NULL, "a@192.0.2.1:80 b@[2001:db8::1]:80",
		"192.0.2.1:80 ", "instance b on (without a name): no frontend has the family" },
	{ "a family without any now", "10.0.0.1:80/tcp [2001:db8::1]:80/tcp", NULL,
		"a@192.0.2.1:80", "192.0.2.1:80 ",
		"services.frontends: [2001:db8::1]:80/tcp has no usable endpoint now" },
	{ "a tunnel", "10.0.0.1:80/tcp 10.0.0.1:443/tcp", "ipip", "a@192.0.2.1:443 b@192.0.2.2",
		"192.0.2.1:0 192.0.2.2:0 ", NULL },
	{ "a tunnel to another port", "10.0.0.1:80/tcp", "ipip", "a@192.0.2.1:8080 b@192.0.2.2:80",
		"192.0.2.2:0 ",
		"instance a on (without a name): its port 8080 is no frontend's, and "
		"ipip cannot change a port" },
	{ "a tunnel for every port", "10.0.0.1:0/tcp", "ipip", "a@192.0.2.1:8080", "192.0.2.1:0 ",
		NULL },
	{ "a tunnel to the frontend itself", "10.0.0.1:80/tcp", "ipip", "a@10.0.0.1:80", "",
		"instance a on (without a name): it is the frontend" },
	{ "a tunnel to the other family", "10.0.0.1:80/tcp", "ipip", "a@[2001:db8::1]:80",
		"[2001:db8::1]:0 ", NULL },
	{ "a frontend that is none", "10.0.0.1/tcp", NULL, "a@192.0.2.1", NULL,
		"services.frontends: 10.0.0.1/tcp is no address with a port" },
	{ "a frontend without a protocol", "10.0.0.1:80", NULL, "a@192.0.2.1", NULL,
		"services.frontends: 10.0.0.1:80 has no protocol" },
	{ "a word that is none", "10.0.0.1:80/tcp", "teleport", "a@192.0.2.1", NULL,
		"services.forward: teleport is none of what it can be, expected nat or ipip" },
	{ "a frontend twice", "10.0.0.1:80/tcp 10.0.0.1:80/tcp", NULL, "a@192.0.2.1", NULL,
		"services.frontends: 10.0.0.1:80/tcp stands" },
};

Test(consul_build, a_service_of_two_halves)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fl_consul_settings settings = { { (char *)rows[i].frontends,
			(char *)rows[i].forward } };
		struct fl_consul_health health = { 0 };
		struct fl_problems problems = { 0 };
		struct fl_service *service = NULL;
		char found[512] = "", text[FL_SOCKET_TEXT];
		int r = fl_consul_settings_begin(
			&settings, "web", "consul service web", "consul", &problems, &service);

		add_instances(&health, rows[i].instances);
		if (r == 0)
			r = fl_consul_build(service, &health, "consul service web", &problems);
		cr_expect_eq(r, rows[i].endpoints ? 0 : -EINVAL, "%s: %d", rows[i].name, r);
		for (size_t j = 0; r == 0 && j < service->endpoint_count; j++)
			strcat(strcat(found, fl_socket_format(&service->endpoints[j].addr,
						     service->endpoints[j].port, text)),
				" ");
		if (rows[i].endpoints)
			cr_expect_str_eq(found, rows[i].endpoints, "%s: '%s'", rows[i].name, found);
		if (rows[i].problem)
			cr_expect(problems.count &&
					  strstr(problems.items[0].message, rows[i].problem),
				"%s: %s", rows[i].name,
				problems.count ? problems.items[0].message : "");
		else
			cr_expect_eq(problems.count, 0, "%s: %s", rows[i].name,
				problems.count ? problems.items[0].message : "");
		fl_service_unref(service);
		fl_consul_health_done(&health);
		fl_problems_done(&problems);
	}
}

Test(consul_build, more_frontends_than_a_service_can_have)
{
	struct fl_problems problems = { 0 };
	struct fl_service *service = NULL;
	struct fl_consul_settings settings = { 0 };
	struct fl_text text = { 0 };

	for (unsigned i = 0; i < 3 * FL_FRONTENDS_PER_SERVICE; i++)
		fl_text_printf(&text, "10.0.0.1:%u/tcp ", i + 1);
	fl_text_putc(&text, '\0');
	settings.values[FL_CONSUL_FRONTENDS] = text.data;
	cr_assert_eq(
		fl_consul_settings_begin(&settings, "web", "f", "consul", &problems, &service), 0);
	cr_expect_not(fl_service_finish(service, &problems));
	cr_expect(strstr(problems.items[0].message, "expected at most 64"));
	fl_service_unref(service);
	fl_problems_done(&problems);
	fl_text_done(&text);
}

/* Whatever a file can say about a service as a whole, instances can say as well. What is
 * about writing into a registry has no meaning in one that is read. */
Test(consul_settings, every_option_of_a_service_has_a_setting)
{
	static const char *const others[] = { "name", "endpoints", "register", "tags", "meta",
		"check", NULL };

	for (const struct fl_option_doc *option = fl_config_options(); option->key; option++) {
		const char *key = option->key + strlen("services.");
		bool is_other = !option->supported;

		if (strncmp(option->key, "services.", 9) != 0)
			continue;
		for (size_t i = 0; others[i]; i++)
			is_other |= strncmp(key, others[i], strlen(others[i])) == 0;
		cr_expect(is_other || fl_consul_setting_find(key, strlen(key)) >= 0,
			"%s cannot be said in Consul", option->key);
	}
	cr_expect_eq(fl_consul_setting_find("frontends", 9), FL_CONSUL_FRONTENDS);
	cr_expect_eq(
		fl_consul_setting_find("settle-tcp", 10), fl_consul_setting_find("settle.tcp", 10));
	cr_expect_geq(fl_consul_setting_find("cross-family", 12), 0);
	cr_expect_eq(fl_consul_setting_find("frontend", 8), -1);
	cr_expect_eq(fl_consul_setting_find("frontendsx", 10), -1);
	cr_expect_eq(fl_consul_setting_find("", 0), -1);
}

/* What is kept for the next start must come back whole: also with frontends of a family
 * that has no endpoint just now, and without any endpoint. */
Test(consul_build, what_is_built_can_be_kept_and_read_again)
{
	static const char *const instances[] = { "a@192.0.2.1:80 b@192.0.2.2:81*draining", "" };

	for (size_t i = 0; i < 2; i++) {
		static char frontends[] = "10.0.0.1:80/tcp [2001:db8::1]:80/tcp";
		struct fl_consul_settings settings = { { frontends } };
		struct fl_consul_health health = { 0 };
		struct fl_problems problems = { 0 };
		struct fl_service *service = NULL;
		fl_service_vec again = { 0 };
		char *text = NULL;
		size_t length = 0;
		FILE *out = open_memstream(&text, &length);

		add_instances(&health, instances[i]);
		cr_assert_eq(fl_consul_settings_begin(
				     &settings, "web", "f", "consul", &problems, &service),
			0);
		cr_assert_eq(fl_consul_build(service, &health, "f", &problems), 0);
		fputs("services:\n", out);
		cr_assert_eq(fl_service_print(service, out), 0);
		fclose(out);
		cr_expect_eq(fl_services_parse_kept(text, length, "k", "consul", &problems, &again),
			0, "%s", text);
		cr_assert_eq(again.count, 1, "%s", text);
		cr_expect(fl_service_equal(again.items[0], service));
		fl_services_done(&again);
		fl_service_unref(service);
		fl_consul_health_done(&health);
		fl_problems_done(&problems);
		free(text);
	}
}

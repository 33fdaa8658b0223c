// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause

/*
 * A patch over a service, and over an endpoint of it: errors are told and change
 * nothing; what is accepted is kept and read back as the same service.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/patch.h"
#include "native.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static struct fl_service *base(void)
{
	static const char text[] =
		"frontends: ['10.0.0.1:80/tcp', '[2001:db8::1]:80/tcp']\n"
		"panic: 30\ncheck: { http: /a, headers: { X-A: b } }\nslow_start: { window: 10s }\n"
		"endpoints: [{ address: '192.0.2.1:80', zone: a }, { address: '192.0.2.2:80' }]\n";
	const struct fl_patch patch = { text, sizeof(text) - 1, "local" };
	struct fl_problems problems = { 0 };
	struct fl_service *service = NULL;

	if (fl_service_patch(NULL, "web", &patch, &problems, &service) < 0)
		native_fail("patch: the base is refused: %s", problems.items[0].message);
	fl_problems_done(&problems);
	return service;
}

static void keep_and_read(const struct fl_service *service)
{
	struct fl_problems problems = { 0 };
	fl_service_vec services = { 0 };
	char *text = NULL;
	size_t length = 0;
	FILE *out = open_memstream(&text, &length);

	fputs("services:\n", out);
	fl_service_print(service, out);
	fclose(out);
	if (fl_services_parse_kept(text, length, "kept", "local", &problems, &services) < 0 ||
		services.count != 1 || !fl_service_equal(services.items[0], service))
		native_fail("patch: it is not read back as it was: %s", text);
	fl_services_done(&services);
	fl_problems_done(&problems);
	free(text);
}

static void judge(int err, struct fl_problems *problems, struct fl_service *service)
{
	if ((err == -EINVAL) != (problems->errors > 0) || (err == 0) != (service != NULL))
		native_fail("patch: answer %d with %zu errors", err, problems->errors);
	if (service)
		keep_and_read(service);
	fl_service_unref(service);
	fl_problems_done(problems);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static const char *const addresses[] = { "192.0.2.1:80", "[2001:db8::7]:80", "192.0.2.9" };
	const struct fl_patch patch = { (const char *)bytes, size, "local" };
	struct fl_problems problems = { 0 };
	struct fl_service *old = base(), *new = NULL;
	int err = fl_service_patch(old, "web", &patch, &problems, &new);

	judge(err, &problems, new);
	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		new = NULL;
		err = fl_endpoint_patch(old, addresses[i], &patch, &problems, &new);
		judge(err, &problems, new);
	}
	fl_service_unref(old);
	return 0;
}

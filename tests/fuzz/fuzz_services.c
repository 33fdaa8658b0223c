// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause

/* A services file: errors are told, and whatever is left is a service. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "config/services.h"
#include "native.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct fl_problems problems = { 0 };
	fl_service_vec services = { 0 };
	int err = fl_services_parse(
		(const char *)bytes, size, "fuzz.yaml", "file", &problems, &services);
	size_t i;

	if ((err == -EINVAL) != (problems.errors > 0))
		native_fail("services: answer %d with %zu errors", err, problems.errors);
	for (i = 0; i < services.count; i++)
		if (!services.items[i] || !services.items[i]->name || !services.items[i]->name[0])
			native_fail("services: one without a name");
	fl_services_done(&services);
	fl_problems_done(&problems);
	return 0;
}

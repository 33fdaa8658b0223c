/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "config/yaml.h"
#include <stdio.h>

#include "core/problem.h"
#include "core/vec.h"
#include "model/service.h"

/**
 * @file services.h
 * The `services:` list: the same in the configuration file, in files of a
 * registry directory, in `fairlead plan FILE` and, later, in a registry's
 * key-value store.
 */
typedef FL_VEC(struct fl_service *) fl_service_vec;

/**
 * Read a file that holds `services:` and nothing else.
 *
 * Services with errors are left out and reported; the rest is returned, so the
 * caller decides (the file registry keeps its last good content instead).
 * @param registry  name put into each service
 * @return 0, -EINVAL when errors were added, -errno when unreadable (added too)
 */
int fl_services_load(
	const char *file, const char *registry, struct fl_problems *problems, fl_service_vec *ret);

/** The same from memory; `name` stands for the file in messages. */
int fl_services_parse(const char *text, size_t length, const char *name, const char *registry,
	struct fl_problems *problems, fl_service_vec *ret);

/** The same for what another machine declared, and was written down: `varies` is set in
 * its services, so that one without endpoints of a family is a service nevertheless. */
int fl_services_parse_kept(const char *text, size_t length, const char *name, const char *registry,
	struct fl_problems *problems, fl_service_vec *ret);

/**
 * Begin one service from its mapping, to which its name is given from elsewhere (if it
 * stands there as well it must be the same), and perhaps its endpoints too: they may be
 * absent. The caller adds them and calls fl_service_finish.
 * @param file      what messages call the place
 * @param registry  name put into the service
 * @return 0, -EINVAL when errors were added, -ENOMEM
 */
int fl_service_begin(const struct fl_node *map, const char *name, const char *file,
	const char *registry, struct fl_problems *problems, struct fl_service **ret);

/** Write a service as an item of such a list; what is as by default is left out.
 * @return 0, -ENOMEM, -EIO (something is missing) */
int fl_service_print(const struct fl_service *service, FILE *out);

void fl_services_done(fl_service_vec *services);

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "model/check.h"

/**
 * @file registration.h
 * What a service wants to have said of itself in a registry that it is written
 * into: `register:`, `tags:` and `meta:` of a service. Pure.
 */
struct fl_registration {
	char *registry; /**< name of the registry to write into; NULL = none */
	char **tags;
	size_t tag_count;
	struct fl_pair *meta; /**< sorted by key */
	size_t meta_count;
};

void fl_registration_done(struct fl_registration *registration);
bool fl_registration_equal(const struct fl_registration *a, const struct fl_registration *b);

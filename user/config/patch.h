/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "config/services.h"

/**
 * @file patch.h
 * A service as before, but for some keys: what a command or an API call changes.
 *
 * A patch is a mapping in YAML (and so also in JSON) with keys of the schema of services. It
 * is laid over the definition as JSON Merge Patch says (RFC 7396): what it does not mention
 * stays, mappings are merged key by key, lists and values are replaced, and null takes
 * a key back to its default. The whole definition is checked again then, as if it stood in a file.
 * No definition runs programs on this node (`check: { exec }`): more people may change
 * services than may edit files.
 */
struct fl_patch {
	const char *text; /**< nothing = no key changes */
	size_t length;
	const char *registry; /**< name put into the service; also what messages call the place */
};

/**
 * @param old   NULL = there is none yet: the patch has all keys
 * @param name  of the service; the patch may not give another one
 * @param ret   one reference; without numbers
 * @return 0, -EINVAL when errors were added, -ENOMEM
 */
int fl_service_patch(const struct fl_service *old, const char *name, const struct fl_patch *patch,
	struct fl_problems *problems, struct fl_service **ret);
/**
 * The same of one endpoint, which is added when the service has none of this address.
 * @param address  with its port, or without one if it takes the frontend's
 */
int fl_endpoint_patch(const struct fl_service *old, const char *address,
	const struct fl_patch *patch, struct fl_problems *problems, struct fl_service **ret);
/** Without that endpoint, if it has it. @param patch  only its `registry` counts */
int fl_endpoint_drop(const struct fl_service *old, const char *address,
	const struct fl_patch *patch, struct fl_problems *problems, struct fl_service **ret);

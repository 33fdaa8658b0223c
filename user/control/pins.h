/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include "control/view.h"
#include "core/json_text.h"

/**
 * @file pins.h
 * Whether flows to an endpoint are still seen where no path counts connections:
 *
 *     {service, address, pins, silent}
 *
 * `silent` is how many seconds ago the last packet of a flow that is remembered for it was
 * seen, null when there is none. An estimate: flows are remembered only while their slot moves,
 * which is so for those that an endpoint has when its drain begins and that send anything.
 * Walks over all pins; reads `applied` and `maps` only.
 *
 * @return 0, -ENOENT (no such endpoint), -ENOMEM, -errno
 */
int fl_api_pins(const struct fl_view *view, const char *service, const char *endpoint,
	struct fl_json_text *json);

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "control/pins.h"

#include <errno.h>
#include <string.h>

#include "core/clock.h"
#include "fairlead/pin.h"
#include "kernel/walk.h"

struct pins {
	uint32_t endpoint, now_s;
	uint64_t count;
	uint32_t silent_s; /* of the one that was seen last */
};

static int see(void *context, const void *key, const void *value)
{
	const struct fl_pin *pin = value;
	struct pins *pins = context;
	int32_t age = fl_pin_age(pin, pins->now_s);

	(void)key;
	if (pin->endpoint != pins->endpoint)
		return 0;
	if (!pins->count++ || (uint32_t)(age > 0 ? age : 0) < pins->silent_s)
		pins->silent_s = age > 0 ? (uint32_t)age : 0;
	return 0;
}

static const struct fl_endpoint *find(
	const struct fl_view *view, const char *name, const char *socket)
{
	const struct fl_service *service = fl_snapshot_find(view->applied, name);

	return service ? fl_service_endpoint_named(service, socket) : NULL;
}

int fl_api_pins(const struct fl_view *view, const char *service, const char *endpoint,
	struct fl_json_text *json)
{
	const struct fl_endpoint *found = find(view, service, endpoint);
	struct pins pins = { .now_s = fl_clock_boot_s() };
	int r;

	if (!found)
		return -ENOENT;
	pins.endpoint = found->id;
	r = fl_walk(view->maps, FL_MAP_pins, see, &pins);
	if (r == 0)
		r = fl_walk(view->maps, FL_MAP_opening, see, &pins);
	if (r < 0)
		return r;
	fl_json_object(json, NULL);
	fl_json_string(json, "service", service);
	fl_json_string(json, "address", endpoint);
	fl_json_uint(json, "pins", pins.count);
	if (pins.count)
		fl_json_uint(json, "silent", pins.silent_s);
	else
		fl_json_null(json, "silent");
	fl_json_end(json);
	return json->text->failed ? -ENOMEM : 0;
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "cli/emptying.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/commands.h"
#include "control/client.h"
#include "core/cleanup.h"
#include "core/clock.h"

#define LOOK_US 500000

struct wait {
	const struct fl_cli *cli;
	const char *service, *endpoint;
	uint64_t began_ns, quiet_from_ns; /* CLOCK_MONOTONIC */
	bool drained;                     /* it was seen draining: the word is in force */
	bool counted;                     /* `connections` is known */
	bool estimate;                    /* edge flows are not counted */
	long long connections;
	char told[160]; /* what was told last */
};

static uint64_t seconds_since(uint64_t then_ns)
{
	return (fl_clock_mono_ns() - then_ns) / 1000000000u;
}

static void tell(struct wait *wait, const char *line)
{
	if (wait->cli->json || strcmp(line, wait->told) == 0)
		return;
	snprintf(wait->told, sizeof(wait->told), "%s", line);
	fprintf(stderr, "%s\n", line);
}

static json_t *find_endpoint(json_t *service, const char *address)
{
	json_t *endpoint;
	size_t i;

	json_array_foreach(json_object_get(service, "endpoints"), i, endpoint) {
		const char *found = json_string_value(json_object_get(endpoint, "address"));

		if (found && strcmp(found, address) == 0)
			return endpoint;
	}
	return NULL;
}

/* Where flows are not counted: has any been seen of late?
 * @return 1 = quiet for long enough, 0, -errno */
static int is_quiet(struct wait *wait, struct fl_failure *failure)
{
	_cleanup_free_ char *service = fl_client_encode(wait->service);
	_cleanup_free_ char *endpoint = fl_client_encode(wait->endpoint);
	_cleanup_free_ char *path = NULL;
	json_t *pins = NULL, *silent;
	uint64_t quiet_s = seconds_since(wait->quiet_from_ns);
	char line[160];
	int r;

	if (!service || !endpoint ||
		asprintf(&path, "/api/v1/pins?service=%s&endpoint=%s", service, endpoint) < 0) {
		path = NULL;
		return fl_fail(failure, -ENOMEM, "out of memory");
	}
	r = fl_client_get(wait->cli->socket, path, failure, &pins);
	if (r < 0)
		return r;
	silent = json_object_get(pins, "silent");
	if (json_is_integer(silent) && (uint64_t)json_integer_value(silent) < quiet_s)
		quiet_s = (uint64_t)json_integer_value(silent);
	snprintf(line, sizeof(line), "draining, %lld flows remembered",
		(long long)json_integer_value(json_object_get(pins, "pins")));
	tell(wait, line);
	json_decref(pins);
	return quiet_s >= (uint64_t)wait->cli->quiet_s;
}

/* @return 1 = empty, 0, -errno */
static int look_at_draining(struct wait *wait, struct fl_failure *failure)
{
	char line[160];

	if (!wait->drained)
		wait->quiet_from_ns = fl_clock_mono_ns();
	wait->drained = true;
	if (wait->counted && (wait->connections || !wait->estimate)) {
		snprintf(line, sizeof(line), "draining, %lld connections", wait->connections);
		tell(wait, line);
		return wait->connections == 0;
	}
	return is_quiet(wait, failure);
}

static int look_at_state(struct wait *wait, json_t *endpoint, struct fl_failure *failure)
{
	const char *state = json_string_value(json_object_get(endpoint, "state"));
	const char *reason = json_string_value(json_object_get(endpoint, "reason"));

	state = state ? state : "unknown";
	if (strcmp(state, "draining") == 0)
		return look_at_draining(wait, failure);
	if (strcmp(state, "up") == 0)
		return wait->drained
			       ? fl_fail(failure, -ECANCELED,
					 "%s does not drain any more: it is up", wait->endpoint)
			       : 0; /* not applied yet */
	if (!wait->counted || !wait->connections)
		return 1;
	return fl_fail(failure, -EBUSY, "%s is %s (%s) and had %lld connections left",
		wait->endpoint, state, reason ? reason : "-", wait->connections);
}

/* @return 1 = empty, 0, -errno */
static int look(struct wait *wait, struct fl_failure *failure)
{
	json_t *service = NULL, *endpoint, *connections;
	const char *forward;
	int r = fl_command_get(wait->cli, "/api/v1/services/", wait->service, failure, &service);

	if (r == -ENOENT)
		return 1; /* gone with its service */
	if (r < 0)
		return r;
	forward = json_string_value(json_object_get(service, "forward"));
	endpoint = find_endpoint(service, wait->endpoint);
	connections = json_object_get(endpoint, "connections");
	wait->counted = json_is_integer(connections);
	wait->connections = wait->counted ? (long long)json_integer_value(connections) : 0;
	wait->estimate = !wait->counted || !forward || strcmp(forward, "nat") != 0;
	r = endpoint ? look_at_state(wait, endpoint, failure) : 1;
	json_decref(service);
	return r;
}

int fl_await_empty(const struct fl_cli *cli, const char *service, const char *endpoint,
	json_t *value, struct fl_failure *failure)
{
	struct wait wait = {
		.cli = cli, .service = service, .endpoint = endpoint, .began_ns = fl_clock_mono_ns()
	};
	int r;

	while ((r = look(&wait, failure)) == 0)
		usleep(LOOK_US);
	if (r < 0)
		return r;
	json_object_set_new(value, "connections",
		wait.counted && !wait.estimate ? json_integer(0) : json_null());
	json_object_set_new(
		value, "waited", json_integer((json_int_t)seconds_since(wait.began_ns)));
	json_object_set_new(value, "estimate", json_boolean(wait.estimate));
	return 0;
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the operator says of an endpoint.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "cli/commands.h"
#include "cli/emptying.h"
#include "cli/table.h"
#include "control/client.h"
#include "core/cleanup.h"

/* @param word, weight  "" = as it is */
static int say(const struct fl_cli *cli, char **arguments, const char *word, const char *weight,
	struct fl_failure *failure, json_t **ret)
{
	_cleanup_free_ char *service = fl_client_encode(arguments[0]);
	_cleanup_free_ char *endpoint = fl_client_encode(arguments[1]);
	_cleanup_free_ char *encoded = fl_client_encode(weight);
	_cleanup_free_ char *note = fl_client_encode(cli->note);
	_cleanup_free_ char *path = NULL;
	char deadline[32] = "";

	if (cli->given & FL_CLI_DEADLINE)
		snprintf(deadline, sizeof(deadline), "%" PRId64, cli->deadline_s);
	if (!service || !endpoint || !encoded || !note ||
		asprintf(&path,
			"/api/v1/"
			"words?service=%s&endpoint=%s&word=%s&weight=%s&deadline=%s&note=%s",
			service, endpoint, word, encoded, deadline, note) < 0) {
		path = NULL;
		return fl_fail(failure, -ENOMEM, "out of memory");
	}
	return fl_client_post(cli->socket, path, NULL, failure, ret);
}

FL_COMMAND(endpoint_drain)
{
	json_t *value = NULL;
	int r;

	if ((cli->given & FL_CLI_QUIET) && !(cli->given & FL_CLI_WAIT))
		return fl_fail(failure, -EINVAL, "--quiet is of use with --wait only");
	r = say(cli, arguments, "drain", "", failure, &value);
	if (r == 0 && (cli->given & FL_CLI_WAIT))
		r = fl_await_empty(cli, arguments[0], arguments[1], value, failure);
	if (r < 0) {
		json_decref(value);
		return r;
	}
	*ret = value;
	return 0;
}

FL_COMMAND(endpoint_undrain)
{
	return say(cli, arguments, "none", "", failure, ret);
}

FL_COMMAND(endpoint_weight)
{
	return say(cli, arguments, "", arguments[2], failure, ret);
}

FL_COMMAND(endpoint_maintenance)
{
	return say(cli, arguments, "maintenance", "", failure, ret);
}

FL_COMMAND(endpoint_up)
{
	return say(cli, arguments, "up", "", failure, ret);
}

FL_COMMAND(endpoint_down)
{
	return say(cli, arguments, "down", "", failure, ret);
}

static void put_text(json_t *value, const char *key, FILE *out)
{
	const char *text = json_string_value(json_object_get(value, key));

	fl_text_show(text ? text : "-", out);
}

void fl_show_word(json_t *value, FILE *out)
{
	json_t *weight = json_object_get(value, "weight");
	json_t *waited = json_object_get(value, "waited");

	put_text(value, "service", out);
	fputc(' ', out);
	put_text(value, "address", out);
	fputs(": ", out);
	put_text(value, "word", out);
	if (json_is_integer(weight))
		fprintf(out, ", weight %lld", (long long)json_integer_value(weight));
	if (json_is_string(json_object_get(value, "deadline"))) {
		fputs(" until ", out);
		put_text(value, "deadline", out);
	}
	if (json_is_integer(waited))
		fprintf(out, ", %s after %lld s",
			json_is_true(json_object_get(value, "estimate"))
				? "silent, as far as can be told (an estimate: connections are not "
				  "counted in this mode),"
				: "empty",
			(long long)json_integer_value(waited));
	fputc('\n', out);
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "cli/commands.h"

#include <errno.h>
#include <string.h>

#include "control/client.h"
#include "core/cleanup.h"
#include "core/defaults.h"

/* Order is preference: "s" is service, "st" is status, "e" is endpoint. It stays
 * as it is; what is new goes to the end. */
const struct fl_object fl_objects[] = {
	{ "service", "what clients call: frontends, and how they are served" },
	{ "endpoint", "who serves: addresses, weights and states" },
	{ "status", "the agent: interfaces, registries, limits, warnings" },
	{ "stats", "packets by what became of them, and by frontend" },
	{ "map", "the maps in the kernel; needs no agent" },
	{ "registry", "where services and endpoints are declared" },
	{ "heartbeat", "an endpoint says that it is well, or not" },
	{ "explain", "where a flow goes, and why" },
	{ "plan", "what a file would change" },
	{ "doctor", "what this kernel and this machine allow" },
	{ "flow", "flows as they come and go" },
	{ "top", "the busiest services, live" },
	{ NULL, NULL },
};

const struct fl_command fl_commands[] = {
	{ "service", "list", "", 0, 0, "every service", fl_command_service_list, fl_show_services },
	{ "service", "show", "NAME", 1, 1, "one service with its endpoints",
		fl_command_service_show, fl_show_service },
	{ "service", "add", "NAME FRONTEND... [KEY=VALUE]...", 2, FL_CLI_ARGUMENTS_MAX,
		"declare a service, without a file", fl_command_service_add, fl_show_nothing },
	{ "service", "set", "NAME [FRONTEND]... [KEY=VALUE]...", 2, FL_CLI_ARGUMENTS_MAX,
		"change what `service add` declared; KEY= takes it back", fl_command_service_set,
		fl_show_nothing },
	{ "service", "delete", "NAME", 1, 1, "remove what `service add` declared",
		fl_command_service_delete, fl_show_nothing },
	{ "endpoint", "list", "[SERVICE]", 0, 1, "every endpoint, or those of one service",
		fl_command_endpoint_list, fl_show_endpoints },
	{ "endpoint", "drain", "SERVICE ADDRESS", 2, 2, "let old flows end, give it no new ones",
		fl_command_endpoint_drain, fl_show_word,
		FL_CLI_WAIT | FL_CLI_DEADLINE | FL_CLI_QUIET | FL_CLI_NOTE },
	{ "endpoint", "undrain", "SERVICE ADDRESS", 2, 2,
		"take back drain, maintenance, up or down", fl_command_endpoint_undrain,
		fl_show_word, FL_CLI_NOTE },
	{ "endpoint", "weight", "SERVICE ADDRESS N|declared", 3, 3,
		"another weight than declared, or that one", fl_command_endpoint_weight,
		fl_show_word, FL_CLI_NOTE },
	{ "endpoint", "maintenance", "SERVICE ADDRESS", 2, 2, "no traffic at all, on purpose",
		fl_command_endpoint_maintenance, fl_show_word, FL_CLI_NOTE },
	{ "endpoint", "up", "SERVICE ADDRESS", 2, 2, "use it, whatever checks and registries say",
		fl_command_endpoint_up, fl_show_word, FL_CLI_NOTE },
	{ "endpoint", "down", "SERVICE ADDRESS", 2, 2, "no traffic, whatever checks say",
		fl_command_endpoint_down, fl_show_word, FL_CLI_NOTE },
	{ "endpoint", "add", "SERVICE ADDRESS [KEY=VALUE]...", 2, FL_CLI_ARGUMENTS_MAX,
		"to a service that `service add` declared", fl_command_endpoint_add,
		fl_show_nothing },
	{ "endpoint", "set", "SERVICE ADDRESS KEY=VALUE...", 3, FL_CLI_ARGUMENTS_MAX,
		"change what `endpoint add` declared; KEY= takes it back", fl_command_endpoint_set,
		fl_show_nothing },
	{ "endpoint", "delete", "SERVICE ADDRESS", 2, 2,
		"from a service that `service add` declared", fl_command_endpoint_delete,
		fl_show_nothing },
	{ "status", NULL, "", 0, 0, "interfaces, registries, limits and warnings of the agent",
		fl_command_status, fl_show_status },
	{ "stats", NULL, "[SERVICE]", 0, 1, "packets by what became of them, and by frontend",
		fl_command_stats, fl_show_stats },
	{ "map", "list", "", 0, 0, "every map, its size and its use", fl_command_map_list,
		fl_show_maps },
	{ "map", "dump", "NAME", 1, 1, "the rows of a map, decoded", fl_command_map_dump, NULL },
	{ "registry", "list", "", 0, 0, "every registry, its state and its age",
		fl_command_registry_list, fl_show_registries },
	{ "registry", "accept", "NAME", 1, 1, "let an answer pass that is held back",
		fl_command_registry_accept, fl_show_accepted },
	{ "heartbeat", NULL, "SERVICE ADDRESS [pass|warn|fail] [NOTE]", 2, 4,
		"an endpoint says that it is well, or not", fl_command_heartbeat, fl_show_nothing },
	{ "explain", NULL, "PROTOCOL SOURCE|node[@ADDRESS] FRONTEND [new|old]", 3, 4,
		"where a flow goes, and why", fl_command_explain, fl_show_explanation },
	{ "plan", NULL, "FILE", 1, 1, "what a file would change, without changing it", NULL, NULL },
	{ "doctor", NULL, "[CONFIG]", 0, 1, "what this kernel and this machine allow",
		fl_command_doctor, fl_show_doctor },
	{ "flow", "list", "", 0, 0, "flows that are remembered", NULL, NULL },
	{ "flow", "watch", "", 0, 0, "flows as they come and go", NULL, NULL },
	{ "top", NULL, "", 0, 0, "the busiest services, live", NULL, NULL },
	{ NULL, NULL, NULL, 0, 0, NULL, NULL, NULL, 0 },
};

void fl_show_nothing(json_t *value, FILE *out)
{
	(void)value, (void)out;
}

/* --------------------------------------------------------------------- help */

/* "service show NAME". @return its width */
static int put_usage(const struct fl_command *row, FILE *out)
{
	return fprintf(out, "%s%s%s%s%s", row->object, row->command ? " " : "",
		row->command ? row->command : "", *row->arguments ? " " : "", row->arguments);
}

static void help_command(const struct fl_command *row, FILE *out)
{
	int width;

	fputs("  ", out);
	width = put_usage(row, out);
	fprintf(out, "%*s%s%s\n", width < 34 ? 36 - width : 2, "", row->help,
		row->run ? "" : " (known, not supported by this version)");
}

static void help_all(FILE *out)
{
	fputs("Usage: fairlead [OPTION]... OBJECT COMMAND [ARGUMENT]...\n\n", out);
	for (const struct fl_command *row = fl_commands; row->object; row++)
		if (row->run)
			help_command(row, out);
	fputs("\nObjects and commands may be cut short: `fairlead s l` is `fairlead service "
	      "list`.\n"
	      "`fairlead OBJECT help` tells what an object has.\n\n"
	      "  -j, --json          print JSON\n"
	      "  -p, --pretty        print JSON over several lines\n"
	      "      --socket PATH   the agent's socket, default $FAIRLEAD_SOCKET, else\n"
	      "                      " FL_SOCKET_DEFAULT "\n"
	      "      --bpffs PATH    where the maps are pinned, default $FAIRLEAD_BPFFS, else "
	      "what\n"
	      "                      the agent says, else " FL_BPFFS_DEFAULT "\n"
	      "      --wait          of endpoint drain: until it is empty\n"
	      "      --quiet TIME    of --wait: where nobody counts connections, so long a "
	      "silence\n"
	      "                      means empty; default 60s\n"
	      "      --deadline TIME of endpoint drain: after it (5m, 90s) the endpoint is down\n"
	      "      --note TEXT     of what is said of an endpoint: why\n"
	      "  -V, --version       print the version\n"
	      "  -h, --help          this, or what the object has\n\n"
	      "Exit status: 0 done, 1 refused or not found, 2 wrong usage, 3 no agent.\n",
		out);
}

void fl_cli_help(const struct fl_object *object, const struct fl_command *command, FILE *out)
{
	if (!object) {
		help_all(out);
		return;
	}
	fprintf(out, "fairlead %s: %s\n\n", object->name, object->help);
	for (const struct fl_command *row = fl_commands; row->object; row++)
		if (strcmp(row->object, object->name) == 0 && (!command || command == row))
			help_command(row, out);
}

/* --------------------------------------------------------------- the agent */

int fl_command_get(const struct fl_cli *cli, const char *path, const char *name,
	struct fl_failure *failure, json_t **ret)
{
	_cleanup_free_ char *encoded = name ? fl_client_encode(name) : strdup("");
	_cleanup_free_ char *whole = NULL;
	int length = (int)(name ? strlen(path) : strcspn(path, "?"));

	if (!encoded || asprintf(&whole, "%.*s%s", length, path, encoded) < 0) {
		whole = NULL;
		return fl_fail(failure, -ENOMEM, "out of memory");
	}
	return fl_client_get(cli->socket, whole, failure, ret);
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <jansson.h>
#include <stdio.h>

#include "cli/cli.h"

/**
 * @file commands.h
 * The functions of the table in commands.c; struct fl_command says what they do.
 */
#define FL_COMMAND(name)                                                                           \
	int fl_command_##name(const struct fl_cli *cli, char **arguments,                          \
		struct fl_failure *failure, json_t **ret)

FL_COMMAND(service_list);
FL_COMMAND(service_show);
FL_COMMAND(service_add);
FL_COMMAND(service_set);
FL_COMMAND(service_delete);
FL_COMMAND(endpoint_list);
FL_COMMAND(endpoint_add);
FL_COMMAND(endpoint_set);
FL_COMMAND(endpoint_delete);
FL_COMMAND(endpoint_drain);
FL_COMMAND(endpoint_undrain);
FL_COMMAND(endpoint_weight);
FL_COMMAND(endpoint_maintenance);
FL_COMMAND(endpoint_up);
FL_COMMAND(endpoint_down);
FL_COMMAND(status);
FL_COMMAND(stats);
FL_COMMAND(map_list);
FL_COMMAND(map_dump);
FL_COMMAND(registry_list);
FL_COMMAND(registry_accept);
FL_COMMAND(heartbeat);
FL_COMMAND(explain);
FL_COMMAND(doctor);

void fl_show_services(json_t *value, FILE *out);
void fl_show_service(json_t *value, FILE *out);
void fl_show_endpoints(json_t *value, FILE *out);
void fl_show_word(json_t *value, FILE *out);
void fl_show_status(json_t *value, FILE *out);
void fl_show_stats(json_t *value, FILE *out);
void fl_show_maps(json_t *value, FILE *out);
void fl_show_registries(json_t *value, FILE *out);
void fl_show_accepted(json_t *value, FILE *out);
/** Done is done: a script wants to read nothing. */
void fl_show_nothing(json_t *value, FILE *out);
void fl_show_explanation(json_t *value, FILE *out);
void fl_show_doctor(json_t *value, FILE *out);

/**
 * Ask the agent for an object of its API.
 * @param name  encoded and put behind `path`; NULL = `path` alone, up to its '?'
 */
int fl_command_get(const struct fl_cli *cli, const char *path, const char *name,
	struct fl_failure *failure, json_t **ret);

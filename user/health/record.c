/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "health/record.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "health/agent_words.h"
#include "health/entry.h"
#include "model/service.h"

#define WORD_ROOM  16
#define AGENT_ROOM 32
/* "%127s" below */
#define NAME_ROOM (FL_NAME_MAX + 1)
_Static_assert(FL_NAME_MAX <= 128, "the format below reads as much");

static const struct {
	enum fl_sign sign;
	const char *name;
} signs[] = {
	{ FL_SIGN_NONE, "none" },
	{ FL_SIGN_UP, "up" },
	{ FL_SIGN_DOWN, "down" },
};

/* What is not known yet is not worth being remembered. */
static const char *sign_name(enum fl_sign sign)
{
	for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++)
		if (signs[i].sign == sign)
			return signs[i].name;
	return "none";
}

static bool find_sign(const char *name, enum fl_sign *ret)
{
	for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++)
		if (strcmp(signs[i].name, name) == 0) {
			*ret = signs[i].sign;
			return true;
		}
	return false;
}

static bool find_state(const char *name, enum fl_state *ret)
{
	for (int state = FL_DOWN; state <= FL_MAINTENANCE; state++)
		if (strcmp(fl_state_name((enum fl_state)state), name) == 0) {
			*ret = (enum fl_state)state;
			return true;
		}
	return false;
}

/* "agent=down,75% ", as the agent would say it; "" = it has said nothing. */
static const char *agent_words(const struct fl_signals *signals, char ret[AGENT_ROOM])
{
	const struct fl_agent_weight *weight = &signals->agent_weight;

	if (signals->agent == FL_SIGN_NONE)
		return "";
	snprintf(ret, AGENT_ROOM, weight->is_absolute ? "agent=%s,weight:%u " : "agent=%s,%u%% ",
		fl_agent_sign_name(signals->agent), weight->number);
	return ret;
}

static void write_entry(
	const struct fl_ward *ward, const struct fl_entry *entry, struct fl_text *out)
{
	const char *probe = sign_name(entry->signals.probe);
	const char *heartbeat = sign_name(entry->signals.heartbeat);
	const char *detail = entry->details[FL_SOURCE_PROBE];
	char address[FL_SOCKET_TEXT], agent[AGENT_ROOM];

	if (!detail)
		detail = entry->details[FL_SOURCE_HEARTBEAT];
	if (!detail)
		detail = entry->details[FL_SOURCE_AGENT];
	if (strcmp(probe, "none") == 0 && strcmp(heartbeat, "none") == 0 &&
		entry->signals.agent == FL_SIGN_NONE)
		return;
	fl_text_printf(out, "probe=%s heartbeat=%s %ssince=%013" PRIu64 " state=%s %s %s ", probe,
		heartbeat, agent_words(&entry->signals, agent), entry->verdict.since_ms,
		fl_state_name(entry->verdict.now.state), ward->service,
		fl_socket_format(&entry->key.addr, entry->key.port, address));
	fl_text_put_last(out, detail);
}

void fl_health_write(const struct fl_health *health, struct fl_text *out)
{
	struct fl_ward *ward, *next_ward;
	struct fl_entry *entry, *next;

	HASH_ITER(hh, health->wards, ward, next_ward)
		HASH_ITER(hh, ward->entries, entry, next)
			write_entry(ward, entry, out);
}

/* ------------------------------------------------------------------------- read */

/* So that `since` goes on where it was, if the state is the same still. */
static void restore_verdict(struct fl_health *health, const struct fl_health_key *key,
	enum fl_state state, uint64_t since_ms)
{
	struct fl_ward *ward = fl_health_ward(health, key->service);
	struct fl_entry *entry = ward ? fl_ward_entry(ward, &key->addr, key->port) : NULL;

	if (!entry || !since_ms)
		return;
	entry->verdict.now.state = state;
	entry->verdict.now.cause = FL_CAUSE_COUNT; /* none: the first judgement is news */
	entry->verdict.since_ms = since_ms;
}

/** What a line says. */
struct found {
	enum fl_sign probe, heartbeat;
	struct fl_agent_state agent;
	bool has_agent;
	uint64_t since_ms;
	enum fl_state state;
};

/* @return what is behind them, NULL = they make no sense */
static const char *read_signs(const char *line, struct found *ret)
{
	char probe[WORD_ROOM], heartbeat[WORD_ROOM], agent[AGENT_ROOM];
	int end = 0;

	if (sscanf(line, "probe=%15s heartbeat=%15s %n", probe, heartbeat, &end) != 2 || !end ||
		!find_sign(probe, &ret->probe) || !find_sign(heartbeat, &ret->heartbeat))
		return NULL;
	line += end;
	end = 0;
	ret->agent = (struct fl_agent_state)FL_AGENT_STATE;
	ret->has_agent = sscanf(line, "agent=%31s %n", agent, &end) == 1 && end;
	if (ret->has_agent && fl_agent_heed(&ret->agent, agent) < 0)
		return NULL;
	return line + end;
}

static int take_over(struct fl_health *health, const struct fl_health_key *key,
	const struct found *found, const char *detail)
{
	int r = fl_health_set_probe(health, key, found->probe, detail);

	if (r == 0)
		r = fl_health_set_heartbeat(health, key, found->heartbeat, detail);
	if (r == 0 && found->has_agent)
		r = fl_health_set_agent(
			health, key, fl_agent_sign(&found->agent), found->agent.weight, detail);
	restore_verdict(health, key, found->state, found->since_ms);
	return r;
}

/* @return 1, 0 = it makes no sense, -ENOMEM */
static int read_line(struct fl_health *health, const char *line)
{
	char state_name[WORD_ROOM], service[NAME_ROOM + 1], address[FL_SOCKET_TEXT];
	struct fl_health_key key = { .service = service };
	struct found found;
	int end = 0, r;

	line = read_signs(line, &found);
	if (!line ||
		sscanf(line, "since=%" SCNu64 " state=%15s %128s %63s%n", &found.since_ms,
			state_name, service, address, &end) != 4 ||
		!find_state(state_name, &found.state) ||
		fl_socket_parse(address, false, &key.addr, &key.port) < 0)
		return 0;
	r = take_over(health, &key, &found, line + end + (line[end] == ' '));
	return r < 0 ? r : 1;
}

int fl_health_read(struct fl_health *health, char *text)
{
	int taken = 0;
	char *rest;

	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		int r = read_line(health, line);

		if (r < 0)
			return r;
		taken += r;
	}
	return taken;
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "registry/consul/node_entry.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/base64.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/random.h"
#include "net/backoff.h"

#define TIMEOUT_MS   10000
#define ANSWER_BYTES (1u << 20)
#define REST_MS      2000  /* from a change to its write: changes come in groups */
#define LOOK_MS      60000 /* looks for a rival, when nothing changes */
#define AGENT_TEXT   33
#define BACKOFF_BASE 1000
#define BACKOFF_CAP  60000

/* look at the index → write at that index → know the index by looking again */
struct fl_consul_node_entry {
	struct fl_consul_client *client;
	const char *node;
	char path[1024];
	char agent[AGENT_TEXT]; /* of this process; tells it from another by the same name */
	uint64_t generation;
	size_t services, endpoints;
	bool is_dirty;  /* not written yet */
	bool has_rival; /* as last told */
	struct fl_consul_call *call;
	uv_timer_t timer;
	struct fl_backoff backoff;
	bool has_written; /* so what is found there is ours, or a rival's */
	char error[256];
};

static void look(struct fl_consul_node_entry *entry);

static void on_timer(uv_timer_t *timer)
{
	look(timer->data);
}

static void try_again(struct fl_consul_node_entry *entry)
{
	uv_timer_start(
		&entry->timer, on_timer, fl_backoff_next(&entry->backoff, fl_random_bits()), 0);
}

static void fail(struct fl_consul_node_entry *entry, const char *why)
{
	char error[sizeof(entry->error)];

	snprintf(error, sizeof(error), "node entry: %s", why);
	if (strcmp(error, entry->error) != 0)
		fl_log(FL_LOG_WARNING, "consul", "cannot write the node's entry, trying again",
			FL_STR("err", error));
	memcpy(entry->error, error, sizeof(error));
	try_again(entry);
}

static void fail_with(struct fl_consul_node_entry *entry, const struct fl_http_answer *answer)
{
	char why[200];

	fail(entry, fl_consul_explain(entry->client, answer, why, sizeof(why)));
}

static void ask(struct fl_consul_node_entry *entry, const struct fl_consul_request *request,
	fl_http_done done)
{
	struct fl_failure failure = { 0 };
	int r = fl_consul_client_send(entry->client, request, done, entry, &failure, &entry->call);

	if (r < 0)
		fail(entry, failure.message[0] ? failure.message : fl_log_errno(r));
}

/* ---------------------------------------------------------------------- write */

static char *document_of(const struct fl_consul_node_entry *entry)
{
	char written[FL_TIME_TEXT];
	json_t *json = json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:s}", "node", entry->node,
		"agent", entry->agent, "version", FL_VERSION, "generation",
		(json_int_t)entry->generation, "services", (json_int_t)entry->services, "endpoints",
		(json_int_t)entry->endpoints, "written",
		fl_time_format_ms(fl_clock_real_ms(), written));
	char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;

	json_decref(json);
	return text;
}

static void on_written(void *context, struct fl_http_answer *answer)
{
	struct fl_consul_node_entry *entry = context;

	entry->call = NULL;
	if (answer->error || answer->status != 200) {
		entry->is_dirty = true;
		fail_with(entry, answer);
		return;
	}
	if (answer->length < 4 || memcmp(answer->body, "true", 4) != 0) {
		entry->is_dirty = true;
		try_again(entry); /* somebody wrote in between: look who */
		return;
	}
	entry->has_written = true;
	entry->error[0] = '\0';
	fl_backoff_reset(&entry->backoff);
	uv_timer_start(&entry->timer, on_timer, entry->is_dirty ? REST_MS : LOOK_MS, 0);
}

static void write_at(struct fl_consul_node_entry *entry, uint64_t index)
{
	_cleanup_free_ char *body = document_of(entry);
	char path[sizeof(entry->path) + 40];
	struct fl_consul_request request = { .method = "PUT",
		.path = path,
		.body = body,
		.scoped = true,
		.timeout_ms = TIMEOUT_MS,
		.max_bytes = ANSWER_BYTES };

	if (!body) {
		fail(entry, "out of memory");
		return;
	}
	snprintf(path, sizeof(path), "%s?cas=%" PRIu64, entry->path, index);
	entry->is_dirty = false;
	ask(entry, &request, on_written);
}

/* ----------------------------------------------------------------------- look */

/* The agent that wrote what is there. @param ret  "" = it does not say */
static void read_agent(const char *value, char ret[AGENT_TEXT])
{
	size_t length = value ? strlen(value) : 0;
	_cleanup_free_ char *text = malloc(FL_BASE64_DECODED(length) + 1);
	const char *agent;
	json_t *json;

	ret[0] = '\0';
	if (!text || !length || fl_base64_decode(value, length, text, &length) < 0)
		return;
	json = json_loadb(text, length, 0, NULL);
	agent = json_string_value(json_object_get(json, "agent"));
	if (agent)
		snprintf(ret, AGENT_TEXT, "%s", agent);
	json_decref(json);
}

/* Before the first write it is an earlier run's; after it nobody else's. */
static void watch_rival(struct fl_consul_node_entry *entry, const char *agent)
{
	bool has_rival = entry->has_written && strcmp(agent, entry->agent) != 0;

	if (has_rival && !entry->has_rival)
		fl_log(FL_LOG_WARNING, "consul",
			"another agent writes as this node: give each its own node.name",
			FL_STR("node", entry->node), FL_STR("agent", agent));
	entry->has_rival = has_rival;
}

static void on_looked(void *context, struct fl_http_answer *answer)
{
	struct fl_consul_node_entry *entry = context;
	char agent[AGENT_TEXT] = "";
	json_t *json, *row;
	uint64_t index = 0;

	entry->call = NULL;
	if (answer->error || (answer->status != 200 && answer->status != 404)) {
		fail_with(entry, answer);
		return;
	}
	json = answer->status == 200 ? json_loadb(answer->body, answer->length, 0, NULL) : NULL;
	row = json_array_get(json, 0);
	if (row) {
		index = (uint64_t)json_integer_value(json_object_get(row, "ModifyIndex"));
		read_agent(json_string_value(json_object_get(row, "Value")), agent);
		watch_rival(entry, agent);
	}
	json_decref(json);
	if (entry->is_dirty || strcmp(agent, entry->agent) != 0)
		write_at(entry, index); /* 0 = only if there is none */
	else
		uv_timer_start(&entry->timer, on_timer, LOOK_MS, 0);
}

static void look(struct fl_consul_node_entry *entry)
{
	struct fl_consul_request request = { .path = entry->path,
		.scoped = true,
		.timeout_ms = TIMEOUT_MS,
		.max_bytes = ANSWER_BYTES };

	ask(entry, &request, on_looked);
}

/* ------------------------------------------------------------------ start, stop */

static int make_agent(char ret[AGENT_TEXT])
{
	unsigned char bytes[(AGENT_TEXT - 1) / 2];
	int r = uv_random(NULL, NULL, bytes, sizeof(bytes), 0, NULL);

	for (size_t i = 0; i < sizeof(bytes); i++)
		snprintf(ret + 2 * i, 3, "%02x", bytes[i]);
	return r;
}

int fl_consul_node_entry_start(uv_loop_t *loop, struct fl_consul_client *client, const char *prefix,
	const char *node, struct fl_consul_node_entry **ret)
{
	struct fl_consul_node_entry *entry = calloc(1, sizeof(*entry));
	size_t length;
	int r;

	if (!entry)
		return -ENOMEM;
	r = make_agent(entry->agent);
	if (r < 0) {
		free(entry);
		return r;
	}
	entry->client = client;
	entry->node = node;
	entry->backoff = (struct fl_backoff){ BACKOFF_BASE, BACKOFF_CAP, 0 };
	length = (size_t)snprintf(entry->path, sizeof(entry->path), "/v1/kv/");
	length += fl_consul_escape(prefix, entry->path + length, sizeof(entry->path) - length);
	length += (size_t)snprintf(entry->path + length, sizeof(entry->path) - length, "/");
	fl_consul_escape(node, entry->path + length, sizeof(entry->path) - length);
	uv_timer_init(loop, &entry->timer);
	entry->timer.data = entry;
	*ret = entry;
	return 0;
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

void fl_consul_node_entry_stop(struct fl_consul_node_entry *entry)
{
	if (!entry)
		return;
	if (entry->call)
		fl_consul_client_cancel(entry->call);
	uv_close((uv_handle_t *)&entry->timer, on_closed);
}

void fl_consul_node_entry_update(
	struct fl_consul_node_entry *entry, const struct fl_snapshot *snapshot)
{
	bool is_first = !entry->generation;

	if (entry->generation == snapshot->generation)
		return;
	entry->generation = snapshot->generation;
	entry->services = snapshot->service_count;
	entry->endpoints = snapshot->endpoint_count;
	entry->is_dirty = true;
	if (is_first)
		look(entry);
	else if (!entry->call && !entry->error[0] && uv_timer_get_due_in(&entry->timer) > REST_MS)
		uv_timer_start(&entry->timer, on_timer, REST_MS, 0);
}

const char *fl_consul_node_entry_error(const struct fl_consul_node_entry *entry)
{
	return entry->error;
}

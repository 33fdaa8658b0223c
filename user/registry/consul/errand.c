/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "registry/consul/errand.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "core/cleanup.h"

#define TIMEOUT_MS 10000
#define LIST_BYTES (16u << 20)
#define PATH_SIZE  (3 * FL_CONSUL_ID + 128)

struct fl_consul_errand_call {
	struct fl_consul_errands *errands;
	struct fl_consul_errand_call *prev, *next;
	struct fl_consul_call *call;
	struct fl_consul_errand what;
};

static void write_path(const struct fl_consul_errand *what, char path[PATH_SIZE])
{
	char id[3 * FL_CONSUL_ID];
	char check_id[FL_CONSUL_ID + 16];

	fl_consul_escape(what->id, id, sizeof(id));
	switch (what->kind) {
	case FL_CONSUL_LIST: /* Consul need not filter: ours are told by their mark */
		snprintf(path, PATH_SIZE, "/v1/agent/services");
		break;
	case FL_CONSUL_REGISTER:
		snprintf(
			path, PATH_SIZE, "/v1/agent/service/register?replace-existing-checks=true");
		break;
	case FL_CONSUL_DEREGISTER:
		snprintf(path, PATH_SIZE, "/v1/agent/service/deregister/%s", id);
		break;
	case FL_CONSUL_MAINTAIN:
		snprintf(path, PATH_SIZE,
			"/v1/agent/service/maintenance/%s?enable=true&reason="
			"Fairlead:%%20maintenance",
			id);
		break;
	case FL_CONSUL_BEAT:
		snprintf(path, PATH_SIZE, "/v1/agent/check/update/%s",
			fl_consul_verdict_id(what->id, check_id));
		break;
	}
}

/* @return to be freed; NULL = none, or out of memory */
static char *body_of(const struct fl_consul_errand *what, const struct fl_consul_instance *instance)
{
	json_t *json;
	char *text;

	if (what->kind == FL_CONSUL_REGISTER)
		return strdup(instance->document);
	if (what->kind != FL_CONSUL_BEAT)
		return NULL;
	json = json_pack("{s:s, s:s}", "Status", fl_consul_status_name(what->status), "Output",
		instance->output);
	text = json ? json_dumps(json, JSON_COMPACT) : NULL;
	json_decref(json);
	return text;
}

static void on_done(void *context, struct fl_http_answer *answer)
{
	struct fl_consul_errand_call *call = context;
	struct fl_consul_errands *errands = call->errands;
	struct fl_consul_errand what = call->what;

	DL_DELETE(errands->calls, call);
	errands->count--;
	free(call);
	errands->done(errands->context, &what, answer);
}

int fl_consul_errands_send(struct fl_consul_errands *errands, const struct fl_consul_errand *what,
	const struct fl_consul_instance *instance, struct fl_failure *failure)
{
	_cleanup_free_ char *body = body_of(what, instance);
	struct fl_consul_errand_call *call = calloc(1, sizeof(*call));
	char path[PATH_SIZE];
	struct fl_consul_request request = {
		.method = what->kind == FL_CONSUL_LIST ? "GET" : "PUT",
		.path = path,
		.body = body,
		.scoped = true,
		.timeout_ms = TIMEOUT_MS,
		.max_bytes = LIST_BYTES,
	};
	int r;

	if (!call || (instance && !body)) {
		free(call);
		return -ENOMEM;
	}
	call->errands = errands;
	call->what = *what;
	write_path(what, path);
	r = fl_consul_client_send(errands->client, &request, on_done, call, failure, &call->call);
	if (r < 0) {
		free(call);
		return r;
	}
	DL_APPEND(errands->calls, call);
	errands->count++;
	return 0;
}

void fl_consul_errands_forget(struct fl_consul_errands *errands)
{
	struct fl_consul_errand_call *call, *next;

	DL_FOREACH_SAFE(errands->calls, call, next) {
		fl_consul_client_cancel(call->call);
		DL_DELETE(errands->calls, call);
		free(call);
	}
	errands->count = 0;
}

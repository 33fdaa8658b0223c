/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "control/pages.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "control/api.h"
#include "control/pins.h"
#include "core/json_text.h"
#include "observe/metrics.h"

#define TEXT_JSON         "application/json"
#define ENDPOINTS_ON_LOOP 2000 /**< some milliseconds */

void fl_answer_error(
	struct fl_answer *answer, unsigned status, const char *hint, const char *format, ...)
{
	struct fl_json_text json = { .text = &answer->body };
	char message[FL_REQUEST_PATH_MAX + 256];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(message, sizeof(message), format, arguments);
	va_end(arguments);
	answer->status = status;
	answer->type = TEXT_JSON;
	answer->body.length = 0;
	fl_json_object(&json, NULL);
	fl_json_object(&json, "error");
	fl_json_string(&json, "message", message);
	fl_json_string(&json, "hint", hint);
	fl_json_end(&json);
	fl_json_end(&json);
	fl_text_putc(&answer->body, '\n');
}

static struct fl_json_text begin_json(struct fl_answer *answer)
{
	answer->type = TEXT_JSON;
	return (struct fl_json_text){ .text = &answer->body };
}

/* What the API functions answer, as a status. */
static void finish_json(struct fl_answer *answer, int r, const char *service)
{
	if (r == -ENOENT)
		fl_answer_error(answer, 404, "list the services with: fairlead service list",
			"no service is called \"%s\"", service);
	else if (r < 0)
		fl_answer_error(answer, 500, NULL, "%s", fl_log_errno(r));
	else
		fl_text_putc(&answer->body, '\n');
}

static const char *asked_service(const struct fl_request *request)
{
	return request->has_service ? request->service : NULL;
}

static void services_later(
	const struct fl_view *view, const struct fl_request *request, struct fl_answer *answer)
{
	struct fl_json_text json = begin_json(answer);

	(void)request;
	finish_json(answer, fl_api_services(view, &json), NULL);
}

/* One service is small, and on the loop it can say how its endpoints are reached. */
static bool service_now(
	const struct fl_view *view, const struct fl_request *request, struct fl_answer *answer)
{
	const char *name = request->path + strlen("/api/v1/services/");
	struct fl_json_text json = begin_json(answer);

	finish_json(answer, fl_api_service(view, name, &json), name);
	return true;
}

/* So few that the loop can say of each how it is reached. */
static bool endpoints_now(
	const struct fl_view *view, const struct fl_request *request, struct fl_answer *answer)
{
	size_t count = view->applied ? view->applied->endpoint_count : 0;
	const char *service = asked_service(request);
	struct fl_json_text json;

	if (!service && count > ENDPOINTS_ON_LOOP)
		return false;
	json = begin_json(answer);
	finish_json(answer, fl_api_endpoints(view, service, &json), service);
	return true;
}

static void endpoints_later(
	const struct fl_view *view, const struct fl_request *request, struct fl_answer *answer)
{
	struct fl_json_text json = begin_json(answer);

	(void)request;
	finish_json(answer, fl_api_endpoints(view, NULL, &json), NULL);
}

static void stats_later(
	const struct fl_view *view, const struct fl_request *request, struct fl_answer *answer)
{
	const char *service = asked_service(request);
	struct fl_json_text json = begin_json(answer);

	finish_json(answer, fl_api_stats(view, service, &json), service);
}

static bool status_now(
	const struct fl_view *view, const struct fl_request *request, struct fl_answer *answer)
{
	struct fl_json_text json = begin_json(answer);

	(void)request;
	finish_json(answer, fl_api_status(view, &json), NULL);
	return true;
}

static bool registries_now(
	const struct fl_view *view, const struct fl_request *request, struct fl_answer *answer)
{
	struct fl_json_text json = begin_json(answer);

	(void)request;
	finish_json(answer, fl_api_registries(view, &json), NULL);
	return true;
}

/* Between the page's path and its suffix. */
static void copy_name(const struct fl_request *request, const char *path, const char *suffix,
	char *name, size_t size)
{
	const char *begin = request->path + strlen(path);

	snprintf(name, size, "%.*s", (int)(strlen(begin) - strlen(suffix)), begin);
}

static void refuse(struct fl_answer *answer, int r, const struct fl_failure *failure)
{
	fl_answer_error(answer,
		r == -ENOENT                     ? 404
		: r == -EINVAL                   ? 400
		: r == -EEXIST || r == -EALREADY ? 409
						 : 500,
		*failure->hint ? failure->hint : NULL, "%s", failure->message);
}

static void accept_now(const struct fl_actions *actions, const struct fl_view *view,
	const struct fl_request *request, struct fl_answer *answer)
{
	struct fl_json_text json = begin_json(answer);
	struct fl_failure failure = { 0 };
	char name[FL_REQUEST_PATH_MAX];
	int r;

	copy_name(request, "/api/v1/registries/", "/accept", name, sizeof(name));
	r = actions->accept_registry(actions->context, name, &failure);
	if (r < 0)
		refuse(answer, r, &failure);
	else
		finish_json(answer, fl_api_registry(view, name, &json), name);
}

static void heartbeat_now(const struct fl_actions *actions, const struct fl_view *view,
	const struct fl_request *request, struct fl_answer *answer)
{
	struct fl_json_text json = begin_json(answer);
	struct fl_failure failure = { 0 };
	int r = actions->heartbeat(actions->context, request->service, request->endpoint,
		*request->status ? request->status : "pass", request->note, &failure);

	(void)view;
	if (r < 0) {
		refuse(answer, r, &failure);
		return;
	}
	fl_json_object(&json, NULL);
	fl_json_string(&json, "service", request->service);
	fl_json_string(&json, "address", request->endpoint);
	fl_json_string(&json, "status", *request->status ? request->status : "pass");
	fl_json_string(&json, "note", *request->note ? request->note : NULL);
	fl_json_end(&json);
	finish_json(answer, 0, NULL);
}

static void word_now(const struct fl_actions *actions, const struct fl_view *view,
	const struct fl_request *request, struct fl_answer *answer)
{
	const struct fl_word_order order = { request->service, request->endpoint, request->word,
		request->weight, request->deadline, request->note };
	struct fl_json_text json = begin_json(answer);
	struct fl_failure failure = { 0 };
	struct fl_word_said said;
	int r = actions->word(actions->context, &order, &failure, &said);

	(void)view;
	if (r < 0) {
		refuse(answer, r, &failure);
		return;
	}
	fl_json_object(&json, NULL);
	fl_json_string(&json, "service", request->service);
	fl_json_string(&json, "address", request->endpoint);
	fl_json_string(&json, "word", said.word);
	if (said.weighted)
		fl_json_uint(&json, "weight", said.weight);
	else
		fl_json_null(&json, "weight");
	fl_json_time(&json, "deadline", said.until_ms / 1000);
	fl_json_end(&json);
	finish_json(answer, 0, NULL);
}

static void local_now(const struct fl_actions *actions, const struct fl_view *view,
	const struct fl_request *request, struct fl_answer *answer)
{
	const struct fl_local_order order = { request->change, request->service, request->endpoint,
		request->body, request->body_length };
	struct fl_json_text json = begin_json(answer);
	struct fl_failure failure = { 0 };
	int r = actions->local(actions->context, &order, &failure);

	(void)view;
	if (r < 0) {
		refuse(answer, r, &failure);
		return;
	}
	fl_json_object(&json, NULL);
	fl_json_string(&json, "change", request->change);
	fl_json_string(&json, "service", request->service);
	fl_json_string(&json, "address", *request->endpoint ? request->endpoint : NULL);
	fl_json_end(&json);
	finish_json(answer, 0, NULL);
}

/* The walk over all pins takes some milliseconds. */
static void pins_later(
	const struct fl_view *view, const struct fl_request *request, struct fl_answer *answer)
{
	struct fl_json_text json = begin_json(answer);
	int r = fl_api_pins(view, request->service, request->endpoint, &json);

	if (r == -ENOENT)
		fl_answer_error(answer, 404, "list them with: fairlead endpoint list",
			"service \"%s\" has no endpoint %s", request->service, request->endpoint);
	else
		finish_json(answer, r, NULL);
}

static bool healthz_now(
	const struct fl_view *view, const struct fl_request *request, struct fl_answer *answer)
{
	(void)view;
	(void)request;
	fl_text_puts(&answer->body, "ok\n");
	return true;
}

static bool readyz_now(
	const struct fl_view *view, const struct fl_request *request, struct fl_answer *answer)
{
	(void)request;
	answer->status = view->not_ready ? 503 : 200;
	fl_text_printf(&answer->body, "%s\n", view->not_ready ? view->not_ready : "ready");
	return true;
}

static enum fl_metrics_format metrics_format(const struct fl_request *request)
{
	return request->openmetrics ? FL_METRICS_OPENMETRICS : FL_METRICS_PROMETHEUS;
}

static bool metrics_now(
	const struct fl_view *view, const struct fl_request *request, struct fl_answer *answer)
{
	answer->type = fl_metrics_type(metrics_format(request));
	fl_metrics_write_agent(view, metrics_format(request), &answer->body);
	return false;
}

static void metrics_later(
	const struct fl_view *view, const struct fl_request *request, struct fl_answer *answer)
{
	fl_metrics_write_traffic(view, metrics_format(request), &answer->body);
}

static bool index_now(
	const struct fl_view *view, const struct fl_request *request, struct fl_answer *answer);

static const struct fl_page pages[] = {
	{ "/", .help = "this list", .now = index_now },
	{ "/metrics", .open = true, .help = "counters for Prometheus (text 0.0.4 or OpenMetrics)",
		.now = metrics_now, .later = metrics_later },
	{ "/healthz", .open = true, .help = "200 while the agent runs", .now = healthz_now },
	{ "/readyz", .open = true, .help = "200 once services are applied, else 503 and why",
		.now = readyz_now },
	{ "/api/v1/services", .help = "every service", .later = services_later },
	{ "/api/v1/services/", .prefix = true, .help = "one service with its endpoints",
		.now = service_now },
	{ "/api/v1/endpoints", .arguments = FL_ARGUMENT_SERVICE,
		.help = "every endpoint, or those of ?service=NAME", .now = endpoints_now,
		.later = endpoints_later },
	{ "/api/v1/stats", .arguments = FL_ARGUMENT_SERVICE,
		.help = "packets by reason and by frontend; ?service=NAME", .later = stats_later },
	{ "/api/v1/status", .help = "the agent, its interfaces and its limits", .now = status_now },
	{ "/api/v1/registries", .help = "where services come from", .now = registries_now },
	{ "/api/v1/heartbeats",
		.arguments = FL_ARGUMENT_SERVICE | FL_ARGUMENT_ENDPOINT | FL_ARGUMENT_STATUS |
			     FL_ARGUMENT_NOTE,
		.help = "an endpoint is well, or not (POST, Unix socket)", .act = heartbeat_now },
	{ "/api/v1/pins", .arguments = FL_ARGUMENT_SERVICE | FL_ARGUMENT_ENDPOINT,
		.help = "flows that are remembered for ?service=NAME&endpoint=ADDRESS",
		.later = pins_later },
	{ "/api/v1/words",
		.arguments = FL_ARGUMENT_SERVICE | FL_ARGUMENT_ENDPOINT | FL_ARGUMENT_WORD |
			     FL_ARGUMENT_WEIGHT | FL_ARGUMENT_DEADLINE | FL_ARGUMENT_NOTE,
		.help = "drain an endpoint, and the like (POST, Unix socket)", .act = word_now },
	{ "/api/v1/local",
		.arguments = FL_ARGUMENT_CHANGE | FL_ARGUMENT_SERVICE | FL_ARGUMENT_ENDPOINT,
		.takes_body = true,
		.help = "?change=add|set|delete&service=NAME[&endpoint=ADDRESS] (POST, Unix "
			"socket)",
		.act = local_now },
	{ "/api/v1/registries/", .prefix = true, .suffix = "/accept",
		.help = "let pass what is held back (POST, Unix socket)", .act = accept_now },
};
#define PAGE_COUNT (sizeof(pages) / sizeof(pages[0]))

static bool index_now(
	const struct fl_view *view, const struct fl_request *request, struct fl_answer *answer)
{
	(void)request;
	fl_text_printf(
		&answer->body, "fairleadd " FL_VERSION " on %s\n\n", view->config->node_name);
	for (size_t i = 0; i < PAGE_COUNT; i++) {
		const struct fl_page *page = &pages[i];
		char path[64];

		snprintf(path, sizeof(path), "%s%s%s", page->path, page->prefix ? "NAME" : "",
			page->suffix ? page->suffix : "");
		fl_text_printf(&answer->body, "%-30s %s\n", path, page->help);
	}
	return true;
}

/* A name of one part, and the suffix. */
static bool fits_suffix(const char *rest, const char *suffix)
{
	const char *slash = strchr(rest, '/');

	return slash && slash != rest && strcmp(slash, suffix) == 0;
}

const struct fl_page *fl_page_find(const char *path)
{
	for (size_t i = 0; i < PAGE_COUNT; i++) {
		const struct fl_page *page = &pages[i];
		size_t length = strlen(page->path);
		bool fits = strncmp(path, page->path, length) == 0;

		if (fits && page->suffix ? fits_suffix(path + length, page->suffix)
					 : fits && !path[length] == !page->prefix)
			return page;
	}
	return NULL;
}

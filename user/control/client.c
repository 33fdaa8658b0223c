/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "control/client.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "core/cleanup.h"
#include "core/log.h"
#include "core/text.h"

#define CONNECT_TIMEOUT_MS 5000L
#define TIMEOUT_MS         60000L
#define ANSWER_MAX         (256u << 20) /**< bytes; far beyond what limits allow */

FL_DEFINE_CLEANUP(CURL *, curl_easy_cleanup)
#define _cleanup_curl_ _cleanup_(curl_easy_cleanupp)

static size_t take_bytes(char *bytes, size_t size, size_t count, void *context)
{
	struct fl_text *body = context;

	if (body->length + size * count > ANSWER_MAX)
		return 0;
	fl_text_put(body, bytes, size * count);
	return body->failed ? 0 : size * count;
}

static CURL *prepare(const char *socket, const char *url, struct fl_text *body)
{
	CURL *curl = curl_easy_init();

	if (!curl)
		return NULL;
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, socket);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http");
	curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, TIMEOUT_MS);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "fairlead/" FL_VERSION);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_bytes);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, body);
	return curl;
}

/* Why there is no connection, in words. */
static int explain_no_connection(CURL *curl, const char *socket, struct fl_failure *failure)
{
	long code = 0;

	curl_easy_getinfo(curl, CURLINFO_OS_ERRNO, &code);
	if (code == EACCES || code == EPERM) {
		fl_fail(failure, -EACCES, "not allowed to open the agent's socket %s", socket);
		fl_fail_hint(failure, "run as root, or join the group that control.group names");
		return -EACCES;
	}
	if (code)
		fl_fail(failure, -ECONNREFUSED, "no agent answers at %s: %s", socket,
			fl_log_errno((int)code));
	else
		fl_fail(failure, -ECONNREFUSED, "no agent answers at %s", socket);
	fl_fail_hint(
		failure, "start fairleadd, or name its socket with --socket or FAIRLEAD_SOCKET");
	return -ECONNREFUSED;
}

static int explain_broken(CURL *curl, CURLcode code, const char *socket, struct fl_failure *failure)
{
	if (code == CURLE_COULDNT_CONNECT)
		return explain_no_connection(curl, socket, failure);
	if (code == CURLE_OPERATION_TIMEDOUT) {
		fl_fail(failure, -ETIMEDOUT, "the agent at %s did not answer in time", socket);
		fl_fail_hint(failure, "see its log, and what it is busy with");
		return -ETIMEDOUT;
	}
	return fl_fail(failure, -EPROTO, "the conversation with the agent at %s broke off: %s",
		socket, curl_easy_strerror(code));
}

static int refusal_code(long status)
{
	switch (status) {
	case 404:
		return -ENOENT;
	case 400:
	case 405:
		return -EINVAL;
	case 409:
		return -EALREADY;
	case 503:
		return -EBUSY;
	default:
		return -EPROTO;
	}
}

/* The agent said no: its own words, if the body has them. */
static int explain_refusal(long status, json_t *body, struct fl_failure *failure)
{
	json_t *error = json_object_get(body, "error");
	const char *message = json_string_value(json_object_get(error, "message"));
	const char *hint = json_string_value(json_object_get(error, "hint"));

	if (!message)
		return fl_fail(failure, -EPROTO, "the agent answered with HTTP status %ld", status);
	fl_fail(failure, refusal_code(status), "%s", message);
	if (hint)
		fl_fail_hint(failure, "%s", hint);
	return refusal_code(status);
}

/* @param sent  NULL = nothing: GET */
static int ask(const char *socket, const char *path, const char *sent, struct fl_failure *failure,
	json_t **ret)
{
	struct fl_text body = { 0 };
	_cleanup_free_ char *url = NULL;
	json_auto_t *value = NULL;
	_cleanup_curl_ CURL *curl = NULL;
	long status = 0;
	CURLcode code;

	if (strlen(socket) >= sizeof(((struct sockaddr_un *)0)->sun_path))
		return fl_fail(failure, -ECONNREFUSED, "the socket's path is too long: %s", socket);
	if (asprintf(&url, "http://localhost%s", path) < 0) {
		url = NULL;
		return fl_fail(failure, -ENOMEM, "out of memory");
	}
	curl = prepare(socket, url, &body);
	if (!curl)
		return fl_fail(failure, -ENOMEM, "out of memory");
	if (sent)
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, sent);
	code = curl_easy_perform(curl);
	if (code != CURLE_OK) {
		fl_text_done(&body);
		return explain_broken(curl, code, socket, failure);
	}
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	value = json_loadb(body.data ? body.data : "", body.length, JSON_REJECT_DUPLICATES, NULL);
	fl_text_done(&body);
	if (status != 200)
		return explain_refusal(status, value, failure);
	if (!value)
		return fl_fail(failure, -EPROTO,
			"what answers at %s is not fairleadd: no JSON came back", socket);
	*ret = TAKE_PTR(value);
	return 0;
}

int fl_client_get(const char *socket, const char *path, struct fl_failure *failure, json_t **ret)
{
	return ask(socket, path, NULL, failure, ret);
}

int fl_client_post(const char *socket, const char *path, const char *body,
	struct fl_failure *failure, json_t **ret)
{
	return ask(socket, path, body ? body : "", failure, ret);
}

char *fl_client_encode(const char *name)
{
	static const char plain[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
	char *encoded = malloc(strlen(name) * 3 + 1);
	char *to = encoded;

	if (!encoded)
		return NULL;
	for (; *name; name++)
		to += strchr(plain, *name) ? sprintf(to, "%c", *name)
					   : sprintf(to, "%%%02X", (unsigned char)*name);
	*to = '\0';
	return encoded;
}

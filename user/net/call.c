/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "net/call.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"

#define DEFAULT_CONNECT_MS 5000
#define DEFAULT_MAX_BYTES  (64u << 20)
#define KEEP_IDLE_S        30L
#define KEEP_INTERVAL_S    15L
#define CA_CACHE_S         60L

/* ------------------------------------------------------------------ request */

struct url {
	CURLU *handle;
	char *scheme, *host, *port;
};

static void url_done(struct url *url)
{
	curl_free(url->scheme);
	curl_free(url->host);
	curl_free(url->port);
	curl_url_cleanup(url->handle);
}

static int url_error(CURLUcode code)
{
	return code == CURLUE_OK ? 0 : code == CURLUE_OUT_OF_MEMORY ? -ENOMEM : -EINVAL;
}

/* @return 0, -ENOMEM, -EINVAL */
static int url_parse(struct url *url, const char *text)
{
	CURLUcode code;

	*url = (struct url){ .handle = curl_url() };
	if (!url->handle)
		return -ENOMEM;
	code = curl_url_set(url->handle, CURLUPART_URL, text, 0);
	if (code == CURLUE_OK)
		code = curl_url_get(url->handle, CURLUPART_SCHEME, &url->scheme, 0);
	if (code == CURLUE_OK)
		code = curl_url_get(url->handle, CURLUPART_HOST, &url->host, 0);
	if (code == CURLUE_OK)
		code = curl_url_get(url->handle, CURLUPART_PORT, &url->port, CURLU_DEFAULT_PORT);
	if (code == CURLUE_OK && strcmp(url->scheme, "http") != 0 &&
		strcmp(url->scheme, "https") != 0)
		return -EINVAL;
	return url_error(code);
}

/* Append, made by asprintf. @return 0, -ENOMEM */
static int append(struct curl_slist **list, char *text, int printed)
{
	struct curl_slist *longer = printed < 0 ? NULL : curl_slist_append(*list, text);

	if (printed >= 0)
		free(text);
	if (!longer)
		return -ENOMEM;
	*list = longer;
	return 0;
}

static bool is_header(const struct curl_slist *header, const char *name)
{
	size_t length = strlen(name);

	return strncasecmp(header->data, name, length) == 0 && header->data[length] == ':';
}

static bool has_header(const struct curl_slist *headers, const char *name)
{
	for (; headers; headers = headers->next)
		if (is_header(headers, name))
			return true;
	return false;
}

/*
 * libcurl verifies the name that stands in the URL, and asks for it (SNI). So the
 * other name takes that place, the connection is directed to where the URL
 * pointed, and the server is still called what the URL called it.
 */
static int verify_other_name(
	struct fl_http_call *call, struct url *url, const struct fl_http_options *options)
{
	char *text = NULL;
	int r = url_error(curl_url_set(url->handle, CURLUPART_HOST, options->server_name, 0));

	if (r == 0 && !has_header(call->headers, "Host"))
		r = append(
			&call->headers, text, asprintf(&text, "Host: %s:%s", url->host, url->port));
	return r;
}

static int set_url(struct fl_http_call *call, struct url *url,
	const struct fl_http_options *options, const struct fl_http_request *request)
{
	bool other = options->server_name && strcmp(url->scheme, "https") == 0;
	char *text = NULL;
	int r = other ? verify_other_name(call, url, options) : 0;

	if (r == 0 && request->peer) {
		int printed = asprintf(&text, "::%s", request->peer);

		r = append(&call->connect_to, text, printed);
	} else if (r == 0 && other && !options->unix_socket) {
		int printed = asprintf(&text, "::%s:%s", url->host, url->port);

		r = append(&call->connect_to, text, printed);
	}
	if (r < 0)
		return r;
	if (options->unix_socket)
		call->peer = strdup(options->unix_socket);
	else if (request->peer)
		call->peer = strdup(request->peer);
	else if (asprintf(&call->peer, "%s:%s", url->host, url->port) < 0)
		call->peer = NULL;
	if (!call->peer)
		return -ENOMEM;
	return url_error(curl_url_get(url->handle, CURLUPART_URL, &call->url, 0));
}

/* No line may be smuggled in by a value. */
static bool is_one_line(const char *text)
{
	for (; *text; text++)
		if (iscntrl((unsigned char)*text) && *text != '\t')
			return false;
	return true;
}

/* @return 0, -ENOMEM, -EINVAL */
static int copy_headers(struct fl_http_call *call, const char *const *headers)
{
	for (; headers && *headers; headers++) {
		char *text = NULL;
		int r;

		if (!is_one_line(*headers) || !strchr(*headers, ':'))
			return -EINVAL;
		text = strdup(*headers);
		r = append(&call->headers, text, text ? 0 : -1);
		if (r < 0)
			return r;
	}
	return 0;
}

/* What libcurl would say of itself: no form, and no asking for leave to send it. @return 0, -ENOMEM */
static int hush_headers(struct fl_http_call *call)
{
	static const char *const names[] = { "Content-Type", "Expect" };

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		char *text = NULL;
		int printed = asprintf(&text, "%s:", names[i]);
		int r = 0;

		if (has_header(call->headers, names[i]))
			free(text);
		else
			r = append(&call->headers, text, printed);
		if (r < 0)
			return r;
	}
	return 0;
}

static bool is_token(const char *text)
{
	const char *at = text;

	while (isalpha((unsigned char)*at))
		at++;
	return at != text && !*at;
}

/* @return 0, -ENOMEM, -EINVAL */
static int copy_request(struct fl_http_call *call, const struct fl_http_request *request)
{
	const char *method = request->method ? request->method : "GET";
	int r;

	if (!is_token(method))
		return -EINVAL;
	call->method = strdup(method);
	if (!call->method)
		return -ENOMEM;
	if (request->body) {
		call->body = malloc(request->length + 1);
		if (!call->body)
			return -ENOMEM;
		memcpy(call->body, request->body, request->length);
		call->length = request->length;
	}
	call->max_bytes = request->max_bytes ? request->max_bytes : DEFAULT_MAX_BYTES;
	call->once = request->once;
	call->http2 = request->http2;
	call->mark = request->mark;
	if (request->source && asprintf(&call->source, "host!%s", request->source) < 0) {
		call->source = NULL;
		return -ENOMEM;
	}
	r = copy_headers(call, request->headers);
	return r < 0 ? r : hush_headers(call);
}

int fl_http_call_new(const struct fl_http_options *options, const struct fl_http_request *request,
	struct fl_http_call **ret)
{
	struct fl_http_call *call = calloc(1, sizeof(*call));
	struct url url;
	int r;

	if (!call)
		return -ENOMEM;
	r = url_parse(&url, request->url);
	if (r == 0)
		r = copy_request(call, request);
	if (r == 0)
		r = set_url(call, &url, options, request);
	url_done(&url);
	if (r < 0) {
		fl_http_call_free(call);
		return r;
	}
	*ret = call;
	return 0;
}

void fl_http_call_free(struct fl_http_call *call)
{
	if (!call)
		return;
	curl_easy_cleanup(call->easy);
	curl_slist_free_all(call->headers);
	curl_slist_free_all(call->connect_to);
	curl_free(call->url);
	free(call->method);
	free(call->peer);
	free(call->source);
	free(call->body);
	fl_text_done(&call->answer_headers);
	fl_text_done(&call->answer_body);
	free(call);
}

/* ------------------------------------------------------------------- answer */

static size_t on_header(char *bytes, size_t size, size_t count, void *context)
{
	struct fl_http_call *call = context;

	count *= size;
	if (call->answer_headers.length + count > FL_HTTP_HEADERS_MAX) {
		call->too_wordy = true;
		return 0;
	}
	fl_text_put(&call->answer_headers, bytes, count);
	return call->answer_headers.failed ? 0 : count;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *context)
{
	struct fl_http_call *call = context;

	count *= size;
	if (count > call->max_bytes - call->answer_body.length) {
		call->too_long = true;
		return 0;
	}
	fl_text_put(&call->answer_body, bytes, count);
	return call->answer_body.failed ? 0 : count;
}

static int on_socket(void *context, curl_socket_t fd, curlsocktype purpose)
{
	const struct fl_http_call *call = context;
	const struct linger reset = { .l_onoff = 1 };

	(void)purpose;
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	if (call->once)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	if (call->mark && setsockopt(fd, SOL_SOCKET, SO_MARK, &call->mark, sizeof(call->mark)) < 0)
		return CURL_SOCKOPT_ERROR;
	return CURL_SOCKOPT_OK;
}

static int say(struct fl_http_call *call, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
static int say(struct fl_http_call *call, int error, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(call->message, sizeof(call->message), format, arguments);
	va_end(arguments);
	return error;
}

static int say_timeout(struct fl_http_call *call)
{
	curl_off_t connected_us = 0;
	long limit_ms = call->timeout_ms;

	if (call->easy)
		curl_easy_getinfo(call->easy, CURLINFO_PRETRANSFER_TIME_T, &connected_us);
	if (!call->easy)
		return say(call, -ETIMEDOUT, "waited too long for a connection of its own");
	if (connected_us)
		return say(call, -ETIMEDOUT, "%s: no whole answer in time", call->peer);
	if (call->connect_ms < limit_ms)
		limit_ms = call->connect_ms;
	return say(call, -ETIMEDOUT, "%s: no connection within %ld ms", call->peer, limit_ms);
}

static int say_not_connected(struct fl_http_call *call)
{
	long os_errno = 0;

	curl_easy_getinfo(call->easy, CURLINFO_OS_ERRNO, &os_errno);
	if (os_errno <= 0)
		os_errno = ECONNREFUSED;
	return say(call, -(int)os_errno, "%s: %s", call->peer, strerror((int)os_errno));
}

/* libcurl calls a line of more than 100 KB out of memory, too. */
static bool was_line_too_long(struct fl_http_call *call, CURLcode code)
{
	curl_off_t connected_us = 0;

	if (code != CURLE_OUT_OF_MEMORY || !call->easy || call->answer_body.length)
		return false;
	curl_easy_getinfo(call->easy, CURLINFO_PRETRANSFER_TIME_T, &connected_us);
	return connected_us;
}

/* The connection broke, or TLS or HTTP on it. */
static int say_broken(struct fl_http_call *call, const char *words)
{
	long os_errno = 0;

	curl_easy_getinfo(call->easy, CURLINFO_OS_ERRNO, &os_errno);
	return say(call, os_errno ? -ECONNRESET : -EPROTO, "%s: %s", call->peer, words);
}

/* In words that do not change from try to try, so that the same failure reads the same. */
static int explain(struct fl_http_call *call, CURLcode code)
{
	const char *words = call->error[0] ? call->error : curl_easy_strerror(code);

	if (call->too_wordy || was_line_too_long(call, code))
		return say(call, -EFBIG, "%s: more than %d bytes of headers", call->peer,
			FL_HTTP_HEADERS_MAX);
	if (call->too_long || code == CURLE_FILESIZE_EXCEEDED)
		return say(call, -EFBIG, "%s: an answer of more than %zu bytes", call->peer,
			call->max_bytes);
	if (call->answer_body.failed || call->answer_headers.failed)
		code = CURLE_OUT_OF_MEMORY;
	switch (code) {
	case CURLE_OUT_OF_MEMORY:
		return say(call, -ENOMEM, "out of memory");
	case CURLE_OPERATION_TIMEDOUT:
		return say_timeout(call);
	case CURLE_COULDNT_CONNECT:
		return say_not_connected(call);
	case CURLE_COULDNT_RESOLVE_HOST:
		return say(call, -ENOENT, "%s: no such host", call->peer);
	case CURLE_GOT_NOTHING:
		return say(call, -ECONNRESET, "%s: closed without an answer", call->peer);
	case CURLE_PARTIAL_FILE:
		return say(call, -ECONNRESET, "%s: closed within its answer", call->peer);
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
		return say_broken(call, words);
	default:
		return say(call, -EPROTO, "%s: %s", call->peer, words);
	}
}

/* Whole and with its NUL, in no more memory than it needs. @return 0, -ENOMEM */
static int take_body(struct fl_http_call *call, struct fl_http_answer *ret)
{
	struct fl_text *body = &call->answer_body;
	size_t length = body->length;
	char *fitted;

	fl_text_putc(body, '\0');
	if (body->failed)
		return -ENOMEM;
	fitted = realloc(body->data, length + 1);
	ret->body = fitted ? fitted : body->data;
	ret->length = length;
	*body = (struct fl_text){ 0 };
	return 0;
}

void fl_http_call_answer(struct fl_http_call *call, CURLcode code, struct fl_http_answer *ret)
{
	long status = 0;

	*ret = (struct fl_http_answer){ .message = call->message, .headers = "" };
	fl_text_putc(&call->answer_headers, '\0');
	if (code != CURLE_OK || call->answer_headers.failed || take_body(call, ret) < 0) {
		ret->error = explain(call, code);
		return;
	}
	curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
	ret->status = (unsigned)status;
	ret->headers = call->answer_headers.data;
}

/* ------------------------------------------------------------------ prepare */

struct setting {
	CURLoption option;
	long value;
};

static const struct setting settings[] = {
	{ CURLOPT_NOSIGNAL, 1 },
	/* A lookup that hangs is left to end by itself; otherwise to cancel or to
	 * time out would wait for it. */
	{ CURLOPT_QUICK_EXIT, 1 },
	{ CURLOPT_FOLLOWLOCATION, 0 },
	{ CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1 },
	{ CURLOPT_SSL_VERIFYPEER, 1 },
	{ CURLOPT_SSL_VERIFYHOST, 2 },
	{ CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2 },
	{ CURLOPT_CA_CACHE_TIMEOUT, CA_CACHE_S },
	{ CURLOPT_TCP_KEEPALIVE, 1 },
	{ CURLOPT_TCP_KEEPIDLE, KEEP_IDLE_S },
	{ CURLOPT_TCP_KEEPINTVL, KEEP_INTERVAL_S },
};

/* @return the first error, CURLE_OK */
static CURLcode set_tls(CURL *easy, const struct fl_http_options *options)
{
	CURLcode code = CURLE_OK;

	if (options->unverified) {
		curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
		curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
	}
	if (options->ca) {
		/* in place of the system's, which lie in the directory */
		code = curl_easy_setopt(easy, CURLOPT_CAINFO, options->ca);
		curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
	}
	if (code == CURLE_OK && options->cert)
		code = curl_easy_setopt(easy, CURLOPT_SSLCERT, options->cert);
	if (code == CURLE_OK && options->cert)
		code = curl_easy_setopt(
			easy, CURLOPT_SSLKEY, options->key ? options->key : options->cert);
	return code;
}

static CURLcode set_request(struct fl_http_call *call)
{
	CURL *easy = call->easy;
	bool has_body =
		call->body || strcmp(call->method, "PUT") == 0 || strcmp(call->method, "POST") == 0;
	CURLcode code = curl_easy_setopt(easy, CURLOPT_URL, call->url);

	if (strcmp(call->method, "HEAD") == 0)
		curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
	if (has_body) {
		curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->length);
		curl_easy_setopt(easy, CURLOPT_POSTFIELDS, call->body ? call->body : "");
	}
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, call->method);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, call->headers);
	curl_easy_setopt(easy, CURLOPT_CONNECT_TO, call->connect_to);
	return code;
}

static CURLcode set_strings(
	CURL *easy, const struct fl_http_call *call, const struct fl_http_options *options)
{
	CURLcode code = curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");

	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_PROXY, "");
	if (code == CURLE_OK)
		code = curl_easy_setopt(easy, CURLOPT_USERAGENT, "fairlead/" FL_VERSION);
	if (code == CURLE_OK && options->unix_socket)
		code = curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, options->unix_socket);
	if (code == CURLE_OK && call->source)
		code = curl_easy_setopt(easy, CURLOPT_INTERFACE, call->source);
	return code == CURLE_OK ? set_tls(easy, options) : code;
}

int fl_http_call_prepare(
	struct fl_http_call *call, const struct fl_http_options *options, long timeout_ms)
{
	CURL *easy = call->easy = curl_easy_init();
	CURLcode code;

	if (!easy)
		return -ENOMEM;
	call->timeout_ms = timeout_ms;
	call->connect_ms = options->connect_ms ? options->connect_ms : DEFAULT_CONNECT_MS;
	for (size_t i = 0; i < sizeof(settings) / sizeof(*settings); i++)
		curl_easy_setopt(easy, settings[i].option, settings[i].value);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, call->timeout_ms);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, call->connect_ms);
	curl_easy_setopt(easy, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)call->max_bytes);
	curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, on_socket);
	curl_easy_setopt(easy, CURLOPT_SOCKOPTDATA, call);
	if (call->http2)
		curl_easy_setopt(
			easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE);
	curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, (long)call->once);
	curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, (long)call->once);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, call);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->error);
	curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
	code = set_strings(easy, call, options);
	if (code == CURLE_OK)
		code = set_request(call);
	return code == CURLE_OK ? 0 : -ENOMEM;
}

/* ------------------------------------------------------------------ headers */

const char *fl_http_header(
	const struct fl_http_answer *answer, const char *name, char *buffer, size_t size)
{
	size_t length = strlen(name);
	bool found = false;

	for (const char *line = answer->headers; line && *line;) {
		const char *end = line + strcspn(line, "\r\n");

		if (strncasecmp(line, name, length) == 0 && line[length] == ':') {
			const char *value = line + length + 1;
			const char *last = end;

			value += strspn(value, " \t");
			while (last > value && (last[-1] == ' ' || last[-1] == '\t'))
				last--;
			snprintf(buffer, size, "%.*s", (int)(last > value ? last - value : 0),
				value);
			found = true;
		}
		line = end + strspn(end, "\r\n");
	}
	return found ? buffer : NULL;
}

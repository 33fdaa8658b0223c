/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "model/check.h"

#include <stdlib.h>
#include <string.h>

#include "core/text.h"

static const char *const names[FL_PROBES] = {
	[FL_PROBE_NONE] = "none",
	[FL_PROBE_TCP] = "tcp",
	[FL_PROBE_HTTP] = "http",
	[FL_PROBE_HTTPS] = "https",
	[FL_PROBE_GRPC] = "grpc",
	[FL_PROBE_UDP] = "udp",
	[FL_PROBE_EXEC] = "exec",
	[FL_PROBE_AGENT] = "agent",
};

enum fl_probe fl_check_probe(const struct fl_check *check)
{
	if (check->http)
		return FL_PROBE_HTTP;
	if (check->https)
		return FL_PROBE_HTTPS;
	if (check->grpc)
		return FL_PROBE_GRPC;
	if (check->exec_count)
		return FL_PROBE_EXEC;
	if (check->tcp)
		return FL_PROBE_TCP;
	if (check->agent)
		return FL_PROBE_AGENT;
	return check->udp ? FL_PROBE_UDP : FL_PROBE_NONE;
}

const char *fl_probe_name(enum fl_probe probe)
{
	return names[probe];
}

bool fl_check_expects(const struct fl_check *check, unsigned status)
{
	if (!check->expect_count)
		return status >= 200 && status <= 299;
	for (size_t i = 0; i < check->expect_count; i++)
		if (status >= check->expect[i].low && status <= check->expect[i].high)
			return true;
	return false;
}

/* ------------------------------------------------------------------- equality */

bool fl_texts_equal(char *const *a, size_t a_count, char *const *b, size_t b_count)
{
	if (a_count != b_count)
		return false;
	for (size_t i = 0; i < a_count; i++)
		if (strcmp(a[i], b[i]) != 0)
			return false;
	return true;
}

bool fl_pairs_equal(
	const struct fl_pair *a, size_t a_count, const struct fl_pair *b, size_t b_count)
{
	if (a_count != b_count)
		return false;
	for (size_t i = 0; i < a_count; i++)
		if (strcmp(a[i].key, b[i].key) != 0 || strcmp(a[i].value, b[i].value) != 0)
			return false;
	return true;
}

static bool is_same_expectation(const struct fl_check *a, const struct fl_check *b)
{
	if (a->expect_count != b->expect_count)
		return false;
	for (size_t i = 0; i < a->expect_count; i++)
		if (a->expect[i].low != b->expect[i].low || a->expect[i].high != b->expect[i].high)
			return false;
	return fl_text_is_same(a->contains, b->contains);
}

static bool is_same_kind(const struct fl_check *a, const struct fl_check *b)
{
	return a->tcp == b->tcp && a->udp == b->udp && a->agent == b->agent &&
	       fl_text_is_same(a->http, b->http) && fl_text_is_same(a->https, b->https) &&
	       fl_text_is_same(a->grpc, b->grpc) &&
	       fl_texts_equal(a->exec, a->exec_count, b->exec, b->exec_count);
}

static bool is_same_question(const struct fl_check *a, const struct fl_check *b)
{
	return a->port == b->port && fl_ip_equal(&a->source, &b->source) &&
	       a->through_tunnel == b->through_tunnel && fl_text_is_same(a->method, b->method) &&
	       fl_text_is_same(a->host, b->host) && fl_text_is_same(a->send, b->send) &&
	       fl_pairs_equal(a->headers, a->header_count, b->headers, b->header_count);
}

static bool is_same_tls(const struct fl_check *a, const struct fl_check *b)
{
	return a->tls_unverified == b->tls_unverified && fl_text_is_same(a->tls_ca, b->tls_ca) &&
	       fl_text_is_same(a->tls_cert, b->tls_cert) && fl_text_is_same(a->tls_key, b->tls_key);
}

static bool is_same_pace(const struct fl_check *a, const struct fl_check *b)
{
	return a->interval_ms == b->interval_ms && a->timeout_ms == b->timeout_ms &&
	       a->fast_interval_ms == b->fast_interval_ms &&
	       a->down_interval_ms == b->down_interval_ms && a->rise == b->rise &&
	       a->fall == b->fall && a->damping_ms == b->damping_ms &&
	       a->starts_down == b->starts_down;
}

bool fl_check_equal(const struct fl_check *a, const struct fl_check *b)
{
	return is_same_kind(a, b) && is_same_question(a, b) && is_same_expectation(a, b) &&
	       is_same_tls(a, b) && is_same_pace(a, b);
}

/* ----------------------------------------------------------------------- free */

void fl_texts_free(char **texts, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(texts[i]);
	free(texts);
}

void fl_pairs_free(struct fl_pair *pairs, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(pairs[i].key);
		free(pairs[i].value);
	}
	free(pairs);
}

void fl_check_done(struct fl_check *check)
{
	fl_texts_free(check->exec, check->exec_count);
	fl_pairs_free(check->headers, check->header_count);
	free(check->expect);
	free(check->http);
	free(check->https);
	free(check->grpc);
	free(check->method);
	free(check->host);
	free(check->send);
	free(check->contains);
	free(check->tls_ca);
	free(check->tls_cert);
	free(check->tls_key);
	*check = (struct fl_check){ 0 };
}

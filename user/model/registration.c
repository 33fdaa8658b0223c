/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "model/registration.h"

#include <stdlib.h>
#include <string.h>

#include "core/text.h"

enum fl_probe fl_check_probe(const struct fl_check *check)
{
	if (check->http)
		return FL_PROBE_HTTP;
	if (check->grpc)
		return FL_PROBE_GRPC;
	if (check->exec_count)
		return FL_PROBE_EXEC;
	if (check->tcp)
		return FL_PROBE_TCP;
	return check->udp ? FL_PROBE_UDP : FL_PROBE_NONE;
}

static void free_texts(char **texts, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(texts[i]);
	free(texts);
}

void fl_registration_done(struct fl_registration *registration)
{
	struct fl_check *check = &registration->check;

	for (size_t i = 0; i < registration->meta_count; i++) {
		free(registration->meta[i].key);
		free(registration->meta[i].value);
	}
	free(registration->meta);
	free_texts(registration->tags, registration->tag_count);
	free_texts(check->exec, check->exec_count);
	free(check->http);
	free(check->grpc);
	free(registration->registry);
	*registration = (struct fl_registration){ 0 };
}

static bool is_same_texts(char *const *a, size_t a_count, char *const *b, size_t b_count)
{
	if (a_count != b_count)
		return false;
	for (size_t i = 0; i < a_count; i++)
		if (strcmp(a[i], b[i]) != 0)
			return false;
	return true;
}

static bool is_same_check(const struct fl_check *a, const struct fl_check *b)
{
	return a->tcp == b->tcp && a->udp == b->udp && fl_text_is_same(a->http, b->http) &&
	       fl_text_is_same(a->grpc, b->grpc) &&
	       is_same_texts(a->exec, a->exec_count, b->exec, b->exec_count) &&
	       a->interval_s == b->interval_s && a->timeout_s == b->timeout_s &&
	       a->rise == b->rise && a->fall == b->fall;
}

bool fl_registration_equal(const struct fl_registration *a, const struct fl_registration *b)
{
	if (!fl_text_is_same(a->registry, b->registry) || a->meta_count != b->meta_count)
		return false;
	for (size_t i = 0; i < a->meta_count; i++)
		if (strcmp(a->meta[i].key, b->meta[i].key) != 0 ||
			strcmp(a->meta[i].value, b->meta[i].value) != 0)
			return false;
	return is_same_texts(a->tags, a->tag_count, b->tags, b->tag_count) &&
	       is_same_check(&a->check, &b->check);
}

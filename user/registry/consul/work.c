/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "registry/consul/work.h"

#include <errno.h>
#include <stdlib.h>

/* An answer of this size is read in less than a millisecond; a value of the store may
 * have YAML in it, which is slower. */
#define AT_ONCE_BYTES    ((size_t)128 << 10)
#define AT_ONCE_KV_BYTES ((size_t)16 << 10)

static void read_answer(struct fl_consul_work *work)
{
	const struct fl_registry_config *config = work->config;

	switch (work->kind) {
	case FL_CONSUL_OF_CATALOG:
		work->error = fl_consul_catalog_parse(work->body, work->length, &config->consul,
			&work->names, work->why, sizeof(work->why));
		break;
	case FL_CONSUL_OF_KV:
		work->error = fl_consul_kv_parse(work->body, work->length, config->consul.kv,
			config->name, work->known, &work->definitions, work->why,
			sizeof(work->why));
		break;
	case FL_CONSUL_OF_SERVICE:
		work->error = fl_consul_health_parse(work->body, work->length, work->file,
			work->owner, &work->health, work->why, sizeof(work->why));
	}
	free(work->body);
	work->body = NULL;
}

static void finish(struct fl_consul_work *work)
{
	work->done(work);
	fl_consul_names_done(&work->names);
	fl_consul_definitions_done(&work->definitions);
	fl_consul_health_done(&work->health);
	fl_registry_config_unref(work->config);
	free(work->body);
	free(work);
}

static void do_work(uv_work_t *request)
{
	read_answer(request->data);
}

static void after_work(uv_work_t *request, int status)
{
	struct fl_consul_work *work = request->data;

	if (status < 0)
		work->error = -ENOMEM; /* cancelled: nobody does */
	finish(work);
}

void fl_consul_work_start(uv_loop_t *loop, struct fl_consul_work *work, char *body, size_t length)
{
	size_t at_once = work->kind == FL_CONSUL_OF_KV ? AT_ONCE_KV_BYTES : AT_ONCE_BYTES;

	work->body = body;
	work->length = length;
	work->request.data = work;
	fl_registry_config_ref(work->config);
	if (length > at_once && uv_queue_work(loop, &work->request, do_work, after_work) == 0)
		return;
	read_answer(work);
	finish(work);
}

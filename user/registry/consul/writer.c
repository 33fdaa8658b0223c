/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "registry/consul/writer.h"

#include <errno.h>
#include <stdlib.h>

#include "registry/consul/lock.h"
#include "registry/consul/node_entry.h"
#include "registry/consul/owner.h"
#include "registry/consul/registrar.h"

struct fl_consul_writer {
	const struct fl_consul_config *config;
	char owner[FL_CONSUL_OWNER_TEXT];
	struct fl_consul_registering how;
	struct fl_consul_lock_options lock_options;
	struct fl_consul_registrar *registrar;
	struct fl_consul_lock *lock;             /* NULL = none is asked for */
	struct fl_consul_node_entry *node_entry; /* NULL = none is asked for */
	struct fl_snapshot *snapshot;            /* as last applied; NULL = none yet */
};

/* Without a lock everybody registers. Who stands by takes its own back; as long as
 * nobody is known to hold the lock, what is registered stays. */
static void update_registrar(void *context)
{
	struct fl_consul_writer *writer = context;
	enum fl_consul_lock_state state =
		writer->lock ? fl_consul_lock_state(writer->lock) : FL_CONSUL_LOCK_HELD;

	if (!writer->snapshot || state == FL_CONSUL_LOCK_UNKNOWN)
		fl_consul_registrar_pause(writer->registrar);
	else
		fl_consul_registrar_want(
			writer->registrar, state == FL_CONSUL_LOCK_HELD ? writer->snapshot : NULL);
}

static int start_all(struct fl_consul_writer *writer, struct fl_registry *registry,
	struct fl_consul_client *client)
{
	const struct fl_consul_config *config = writer->config;
	int r = fl_consul_registrar_start(
		registry->loop, client, registry->config->name, &writer->how, &writer->registrar);

	if (r == 0 && config->nodes)
		r = fl_consul_node_entry_start(
			registry->loop, client, config->nodes, registry->node, &writer->node_entry);
	if (r == 0 && config->lock)
		r = fl_consul_lock_start(registry->loop, client, &writer->lock_options,
			update_registrar, writer, &writer->lock);
	return r;
}

int fl_consul_writer_start(struct fl_registry *registry, struct fl_consul_client *client,
	struct fl_consul_writer **ret)
{
	const struct fl_consul_config *config = &registry->config->consul;
	struct fl_consul_writer *writer = calloc(1, sizeof(*writer));
	int r;

	if (!writer)
		return -ENOMEM;
	writer->config = config;
	fl_consul_owner_format(registry->node, registry->config->name, writer->owner);
	writer->how = (struct fl_consul_registering){
		.owner = writer->owner,
		.verdict = config->verdict,
		.ttl_s = config->ttl_s,
		.deregister_after_s = config->deregister_after_s,
	};
	writer->lock_options = (struct fl_consul_lock_options){
		.key = config->lock,
		.identity = writer->owner,
		.ttl_s = FL_CONSUL_LOCK_TTL_S,
	};
	r = start_all(writer, registry, client);
	if (r < 0) {
		fl_consul_writer_stop(writer);
		return r;
	}
	*ret = writer;
	return 0;
}

void fl_consul_writer_stop(struct fl_consul_writer *writer)
{
	if (!writer)
		return;
	fl_consul_lock_stop(writer->lock);
	fl_consul_registrar_stop(writer->registrar);
	fl_consul_node_entry_stop(writer->node_entry);
	fl_snapshot_unref(writer->snapshot);
	free(writer);
}

void fl_consul_writer_applied(struct fl_consul_writer *writer, const struct fl_snapshot *snapshot)
{
	fl_snapshot_unref(writer->snapshot);
	writer->snapshot = fl_snapshot_ref((struct fl_snapshot *)snapshot);
	update_registrar(writer);
	if (writer->node_entry)
		fl_consul_node_entry_update(writer->node_entry, snapshot);
}

void fl_consul_writer_written(const struct fl_consul_writer *writer, struct fl_written *ret)
{
	static const char *const locks[] = {
		[FL_CONSUL_LOCK_UNKNOWN] = "unknown",
		[FL_CONSUL_LOCK_HELD] = "held",
		[FL_CONSUL_LOCK_ELSEWHERE] = "elsewhere",
	};
	struct fl_consul_registrar_stats stats;

	fl_consul_registrar_stats(writer->registrar, &stats);
	*ret = (struct fl_written){
		.wanted = stats.wanted, .in_place = stats.in_place, .error = stats.error
	};
	if (writer->lock) {
		ret->lock = locks[fl_consul_lock_state(writer->lock)];
		if (!*ret->error)
			ret->error = fl_consul_lock_error(writer->lock);
	}
	if (writer->node_entry && !*ret->error)
		ret->error = fl_consul_node_entry_error(writer->node_entry);
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Maps come first. A first start makes and pins them, and from there on it does as
 * any later one: it opens what is pinned, and loads its programs over that. The
 * programs are new at each start, and replace the earlier ones by rename (pins),
 * by link update (links.h), and by re-arming the sweep's timer, which lets go of the
 * program that armed it before.
 */
#include "kernel/kernel.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bpf/xdp_edge.skel.h"
#include "bpf/xdp_target.skel.h"
#include "core/cleanup.h"
#include "core/log.h"
#include "kernel/bpffs.h"
#include "kernel/libbpf_log.h"
#include "kernel/migration.h"
#include "kernel/nat.h"
#include "kernel/object.h"

/* ---------------------------------------------------------------- configure */

static int set_sources(
	struct fl_edge_conf *conf, const struct fl_config *config, struct fl_failure *failure)
{
	for (size_t i = 0; i < config->nat_source_count; i++) {
		enum fl_family family = fl_ip_family(&config->nat_sources[i]);

		if (conf->nat_sources[family] == FL_NAT_SOURCES_MAX)
			return fl_fail(failure, -EINVAL,
				"edge.nat.source: more than %d addresses of one family",
				FL_NAT_SOURCES_MAX);
		conf->nat_source[family][conf->nat_sources[family]++] = config->nat_sources[i];
	}
	return 0;
}

/* Bits of the outer source that may vary; the hash has 32. */
static uint8_t tunnel_bits(const struct fl_config *config, enum fl_family family)
{
	unsigned bits;

	if (!config->has_tunnel_source[family])
		return 0;
	bits = (family == FL_IPV4 ? 32 : 128) - config->tunnel_source[family].bits;
	return bits > 32 ? 32 : (uint8_t)bits;
}

static int set_conf(
	struct fl_edge_conf *conf, const struct fl_config *config, struct fl_failure *failure)
{
	*conf = (struct fl_edge_conf){
		.hash_seed = config->hash_seed,
		.nat_port_min = config->nat_port_min,
		.nat_port_max = config->nat_port_max,
	};
	for (int family = 0; family < FL_FAMILIES; family++)
		conf->tunnel_hash_bits[family] = tunnel_bits(config, (enum fl_family)family);
	return set_sources(conf, config, failure);
}

/* -------------------------------------------------------------------- adopt */

static void hint_detach(struct fl_failure *failure, const struct fl_config *config)
{
	fl_fail_hint(failure,
		"to begin anew, stop the agent and run: fairleadd --config %s --detach "
		"(forwarding stops and all flows end)",
		config->file ? config->file : "FILE");
}

/* Slots were hashed with this seed: another one would move every flow. */
static void keep_seed(const struct fl_meta_row *meta, struct fl_edge_conf *conf)
{
	if (conf->hash_seed == meta->hash_seed)
		return;
	fl_log(FL_LOG_WARNING, "kernel",
		"edge.hash_seed differs from the one in use, keeping that so that no flow moves; "
		"fairleadd --detach forgets it",
		FL_UINT("wanted", conf->hash_seed), FL_UINT("kept", meta->hash_seed));
	conf->hash_seed = meta->hash_seed;
}

/* ---------------------------------------------------------------------- maps */

static bool has_pinned_maps(const char *bpffs)
{
	_cleanup_free_ char *path = NULL;

	return asprintf(&path, "%s/maps", bpffs) > 0 && fl_bpffs_is_there(path);
}

/* The object that has every map, of the size that the limits ask for, and not loaded. */
static int open_sized(
	const struct fl_config *config, struct fl_failure *failure, struct xdp_edge **ret)
{
	struct xdp_edge *edge = xdp_edge__open();
	int r = edge ? fl_object_size_maps(edge->obj, &config->limits, failure)
		     : fl_libbpf_log_explain(failure, -errno);

	if (r < 0)
		xdp_edge__destroy(edge);
	else
		*ret = edge;
	return r;
}

static int make_maps(const struct fl_config *config, struct fl_failure *failure)
{
	const struct fl_meta_row meta = {
		.abi = FL_ABI_VERSION,
		.hash_seed = config->hash_seed,
		.services = config->limits.services,
		.endpoints = config->limits.endpoints,
		.slots = config->limits.slots,
		.flows = config->limits.flows,
	};
	struct xdp_edge *edge;
	int r = open_sized(config, failure, &edge);

	if (r < 0)
		return r;
	r = fl_object_make_maps(edge->obj, config->bpffs, &meta, failure);
	xdp_edge__destroy(edge);
	return r;
}

static bool are_equal(const struct fl_limits *a, const struct fl_limits *b)
{
	return a->services == b->services && a->endpoints == b->endpoints && a->slots == b->slots &&
	       a->flows == b->flows;
}

/* Of other limits, or an older ABI. */
static bool must_migrate(const struct fl_maps *maps, const struct fl_limits *limits)
{
	return maps->meta->abi != FL_ABI_VERSION || !are_equal(&maps->limits, limits);
}

static int migrate(
	struct fl_kernel *kernel, const struct fl_config *config, struct fl_failure *failure)
{
	struct xdp_edge *edge;
	int r = open_sized(config, failure, &edge);

	if (r < 0)
		return r;
	r = fl_migration_begin(edge->obj, kernel->bpffs, &config->limits, &kernel->maps, failure,
		&kernel->migration);
	xdp_edge__destroy(edge);
	if (r == 0)
		r = fl_maps_open(&kernel->maps, kernel->bpffs, true, failure);
	if (r == 0)
		fl_log(FL_LOG_INFO, "kernel",
			"maps of other limits or an older version: made anew, with all that was in "
			"them",
			FL_UINT("services", config->limits.services),
			FL_UINT("endpoints", config->limits.endpoints),
			FL_UINT("slots", config->limits.slots),
			FL_UINT("flows", config->limits.flows));
	return r;
}

static int open_maps(
	struct fl_kernel *kernel, const struct fl_config *config, struct fl_failure *failure)
{
	int r = fl_migration_resume(kernel->bpffs, failure, &kernel->migration);

	if (r < 0)
		return r;
	kernel->adopted = has_pinned_maps(kernel->bpffs);
	if (!kernel->adopted)
		r = make_maps(config, failure);
	if (r == 0)
		r = fl_maps_open(&kernel->maps, kernel->bpffs, true, failure);
	if (r == 0 && must_migrate(&kernel->maps, &config->limits)) {
		/* One of a start that was killed must end before another begins. */
		r = fl_migration_end(TAKE_PTR(kernel->migration), &kernel->maps);
		if (r == 0)
			r = migrate(kernel, config, failure);
	}
	return r < 0 ? r : fl_nat_open(&kernel->maps, failure);
}

/* ----------------------------------------------------------------- programs */

/* Pin a program, and keep a descriptor: what libbpf holds beside it goes. */
static int keep_program(const struct fl_kernel *kernel, const struct bpf_program *program,
	int *ret_fd, struct fl_failure *failure)
{
	const char *name = bpf_program__name(program);
	int r = fl_bpffs_pin(bpf_program__fd(program), kernel->bpffs, name);

	if (r < 0)
		return fl_fail(failure, r, "cannot pin the program %s at %s/%s: %s", name,
			kernel->bpffs, name, strerror(-r));
	*ret_fd = fcntl(bpf_program__fd(program), F_DUPFD_CLOEXEC, 3);
	return *ret_fd < 0 ? fl_fail(failure, -errno, "cannot keep the program %s: %s", name,
				     strerror(errno))
			   : 0;
}

/* From here on the kernel frees expired flows by itself. */
static int start_sweep(const struct xdp_edge *edge, struct fl_failure *failure)
{
	LIBBPF_OPTS(bpf_test_run_opts, run);
	int r = bpf_prog_test_run_opts(bpf_program__fd(edge->progs.start_sweep), &run);

	if (r < 0)
		return fl_fail(
			failure, r, "cannot start the sweep of expired flows: %s", strerror(-r));
	if (run.retval != 0)
		return fl_fail(failure, -EIO, "the sweep of expired flows did not start: %d",
			(int)run.retval);
	return 0;
}

/* Pins come last: they are replaced only by programs that work. See also detach.c. */
static int keep_edge(
	struct fl_kernel *kernel, const struct xdp_edge *edge, struct fl_failure *failure)
{
	int r = start_sweep(edge, failure);

	if (r == 0)
		r = keep_program(kernel, edge->progs.edge, &kernel->edge_fd, failure);
	if (r == 0)
		r = keep_program(kernel, edge->progs.explain, &kernel->explain_fd, failure);
	if (r == 0)
		r = keep_program(kernel, edge->progs.sweep, &kernel->sweep_fd, failure);
	return r;
}

static int load_edge(struct fl_kernel *kernel, const struct fl_config *config,
	struct xdp_edge *edge, struct fl_failure *failure)
{
	int r = set_conf(&edge->rodata->fl_conf, config, failure);

	if (r == 0)
		r = fl_object_size_maps(edge->obj, &config->limits, failure);
	if (r == 0)
		r = fl_object_reuse_maps(edge->obj, &kernel->maps, failure);
	if (r < 0)
		return r;
	keep_seed(kernel->maps.meta, &edge->rodata->fl_conf);
	edge->rodata->fl_conf.opening_limit = fl_maps_opening_limit(&kernel->maps);
	r = xdp_edge__load(edge);
	return r < 0 ? fl_libbpf_log_explain(failure, r) : 0;
}

static int load_target(
	struct fl_kernel *kernel, struct xdp_target *target, struct fl_failure *failure)
{
	int r = fl_object_reuse_maps(target->obj, &kernel->maps, failure);

	if (r < 0)
		return r;
	r = xdp_target__load(target);
	return r < 0 ? fl_libbpf_log_explain(failure, r) : 0;
}

static int load_programs(
	struct fl_kernel *kernel, const struct fl_config *config, struct fl_failure *failure)
{
	struct xdp_edge *edge = xdp_edge__open();
	struct xdp_target *target = xdp_target__open();
	int r = edge && target ? load_edge(kernel, config, edge, failure)
			       : fl_libbpf_log_explain(failure, -errno);

	if (r == 0)
		r = load_target(kernel, target, failure);
	if (r == 0)
		r = keep_edge(kernel, edge, failure);
	if (r == 0)
		r = keep_program(kernel, target->progs.target, &kernel->target_fd, failure);
	xdp_target__destroy(target);
	xdp_edge__destroy(edge);
	malloc_trim(0); /* libbpf needed much, and nobody will need as much again */
	return r;
}

int fl_kernel_sweep(const struct fl_kernel *kernel, uint32_t now_s, uint32_t *ret_freed)
{
	struct fl_sweep sweep = { .now_s = now_s };
	/* Of such a program, the context is read and written in place. */
	LIBBPF_OPTS(bpf_test_run_opts, run, .ctx_in = &sweep, .ctx_size_in = sizeof(sweep));
	int r = bpf_prog_test_run_opts(kernel->sweep_fd, &run);

	if (r < 0)
		return r;
	*ret_freed = sweep.freed;
	return 0;
}

/* --------------------------------------------------------------------- open */

static struct fl_kernel *kernel_new(const char *bpffs)
{
	struct fl_kernel *kernel = calloc(1, sizeof(*kernel));

	if (!kernel)
		return NULL;
	kernel->edge_fd = kernel->explain_fd = kernel->target_fd = kernel->sweep_fd = -1;
	kernel->bpffs = strdup(bpffs);
	if (!kernel->bpffs) {
		fl_kernel_close(kernel);
		return NULL;
	}
	return kernel;
}

/* What a first start made is of no use to anybody when its programs do not load. */
static void give_up(struct fl_kernel *kernel)
{
	_cleanup_free_ char *path = NULL;

	if (!kernel->adopted && asprintf(&path, "%s/maps", kernel->bpffs) > 0)
		fl_bpffs_remove_dir(path);
	fl_kernel_close(kernel);
}

static int open_kernel(const struct fl_config *config, bool with_programs,
	struct fl_failure *failure, struct fl_kernel **ret)
{
	struct fl_kernel *kernel;
	int r = fl_bpffs_prepare(config->bpffs, failure);

	if (r < 0)
		return r;
	kernel = kernel_new(config->bpffs);
	if (!kernel)
		return fl_fail(failure, -ENOMEM, "out of memory");
	fl_libbpf_log_begin();
	r = open_maps(kernel, config, failure);
	if (r == 0 && with_programs)
		r = load_programs(kernel, config, failure);
	if (r == -EPROTO)
		hint_detach(failure, config);
	if (r < 0) {
		give_up(kernel);
		return r;
	}
	*ret = kernel;
	return 0;
}

int fl_kernel_open(
	const struct fl_config *config, struct fl_failure *failure, struct fl_kernel **ret)
{
	return open_kernel(config, true, failure, ret);
}

int fl_kernel_open_maps(
	const struct fl_config *config, struct fl_failure *failure, struct fl_kernel **ret)
{
	return open_kernel(config, false, failure, ret);
}

void fl_kernel_close(struct fl_kernel *kernel)
{
	if (!kernel)
		return;
	fl_cleanup_close(&kernel->edge_fd);
	fl_cleanup_close(&kernel->explain_fd);
	fl_cleanup_close(&kernel->sweep_fd);
	fl_cleanup_close(&kernel->target_fd);
	fl_migration_free(kernel->migration);
	fl_maps_close(&kernel->maps);
	free(kernel->bpffs);
	free(kernel);
}

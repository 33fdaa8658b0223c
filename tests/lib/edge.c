/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "lib/edge.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "bpf/xdp_edge.skel.h"
#include "bpf/xdp_target.skel.h"
#include "core/addr.h"
#include "fairlead/slot.h"
#include "lib/netns.h"
#include "lib/record.h"

#define SIZE_CLASS 0
static const uint32_t size_classes[FL_SIZE_CLASSES] = FL_SIZES;

struct xdp_edge *edge;
static struct xdp_target *target;
uint32_t edge_clients;
uint32_t edge_pins_max = 1024;

static int cpus;
static uint64_t run_count;
/** Counters as they were after the last packet. */
static uint64_t counted[FL_PATHS * FL_REASONS_MAX];

#define REASON_NAME(symbol, action, name, text) name,
static const char *const reason_names[] = { FL_REASONS(REASON_NAME) };
enum class { SENT, PASS, DROP };
#define REASON_CLASS(symbol, action, name, text) action,
static const enum class reason_classes[] = { FL_REASONS(REASON_CLASS) };

const char *edge_reason_name(int reason)
{
	return reason >= 0 && reason < FL_REASON_COUNT ? reason_names[reason] : "?";
}

const char *edge_action_name(int action)
{
	static const char *const names[] = { "ABORTED", "DROP", "PASS", "TX", "REDIRECT" };

	return action >= 0 && action <= XDP_REDIRECT ? names[action] : "?";
}

/* ---------------------------------------------------------------- the world */

static void interfaces(void)
{
	test_run("ip link add clients type veth peer name far &&"
		 "ip link set clients address 02:00:00:00:00:01 up && ip link set far up");
	test_run("sysctl -qw net.ipv4.conf.all.forwarding=1 net.ipv6.conf.all.forwarding=1");
	test_run("ip addr add 198.51.100.1/24 dev clients &&"
		 "ip addr add 2001:db8:c::1/64 dev clients nodad");
	test_run("for a in " CLIENT_A " " CLIENT_B " " CLIENT_A6 " " CLIENT_B6 "; do"
		 " ip neigh add $a lladdr 02:00:00:00:00:02 dev clients nud permanent || exit; "
		 "done");
	edge_clients = if_nametoindex("clients");
}

/** Let packets come from `clients`: its receive queue must be one of XDP's. */
static void attach_pass(void)
{
	int fd = test_xdp_pass("pass");

	cr_assert_eq(bpf_xdp_attach((int)edge_clients, fd, 0, NULL), 0, "attach: %m");
	close(fd);
}

int edge_nat_table_new(uint32_t size)
{
	LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_NO_PREALLOC);
	int fd = bpf_map_create(BPF_MAP_TYPE_HASH, "nat_test", sizeof(struct fl_flow),
		sizeof(struct fl_nat_entry), size, &options);

	cr_assert_geq(fd, 0, "nat table: %m");
	return fd;
}

static int map_fd(struct bpf_map *map)
{
	return bpf_map__fd(map);
}

static void allow(uint32_t ifindex)
{
	cr_assert_eq(bpf_map_update_elem(map_fd(edge->maps.fl_tx_ports), &ifindex, &ifindex, 0), 0,
		"tx_ports: %m");
}

static void target_open(void)
{
	int err;

	target = xdp_target__open();
	cr_assert(target, "open: %m");
	bpf_map__reuse_fd(target->maps.fl_reasons, map_fd(edge->maps.fl_reasons));
	bpf_map__reuse_fd(target->maps.fl_addresses, map_fd(edge->maps.fl_addresses));
	bpf_map__reuse_fd(target->maps.fl_balancers, map_fd(edge->maps.fl_balancers));
	err = xdp_target__load(target);
	cr_assert_eq(err, 0, "load: %s", strerror(-err));
}

void edge_open(const struct fl_edge_conf *conf)
{
	char log[4096];
	int err;

	test_enter_private();
	interfaces();
	attach_pass();
	libbpf_set_print(NULL);
	cpus = libbpf_num_possible_cpus();

	edge = xdp_edge__open();
	cr_assert(edge, "open: %m");
	if (conf)
		memcpy((void *)&edge->rodata->fl_conf, conf, sizeof(*conf));
	/* Small: these are made once for each test. */
	bpf_map__set_max_entries(edge->maps.fl_slots, 65536);
	bpf_map__set_max_entries(edge->maps.fl_endpoints, 256);
	bpf_map__set_max_entries(edge->maps.fl_endpoint_stats, 256);
	bpf_map__set_max_entries(edge->maps.fl_nat_used, 256);
	bpf_map__set_max_entries(edge->maps.fl_services, 64);
	bpf_map__set_max_entries(edge->maps.fl_names, 64);
	bpf_map__set_max_entries(edge->maps.fl_frontend_stats, 64);
	bpf_map__set_max_entries(edge->maps.fl_pins, edge_pins_max);
	log[0] = '\0';
	bpf_program__set_log_buf(edge->progs.edge, log, sizeof(log));
	err = xdp_edge__load(edge);
	cr_assert_eq(err, 0, "load: %s\n%s", strerror(-err), log);
	allow(edge_clients);
	edge_nat_reset();
	target_open();
}

static struct fl_ip parse(const char *text)
{
	struct fl_ip ip;

	cr_assert_eq(fl_ip_parse(text, &ip), 0, "address %s", text);
	return ip;
}

static void read_row(struct bpf_map *map, uint32_t index, void *value)
{
	cr_assert_eq(bpf_map_lookup_elem(map_fd(map), &index, value), 0, "read: %m");
}

static void write_row(struct bpf_map *map, uint32_t index, const void *value)
{
	cr_assert_eq(bpf_map_update_elem(map_fd(map), &index, value, 0), 0, "write: %m");
}

void edge_service(uint32_t id, enum fl_forward forward)
{
	struct fl_service_row row;

	read_row(edge->maps.fl_services, id, &row);
	row.in_use = 1;
	row.forward = forward;
	write_row(edge->maps.fl_services, id, &row);
}

static uint32_t table_base(uint32_t service, enum fl_family family)
{
	return (service * FL_FAMILIES + family) * size_classes[SIZE_CLASS];
}

void edge_slot(uint32_t service, enum fl_family family, uint32_t slot, fl_slot value)
{
	write_row(edge->maps.fl_slots, table_base(service, family) + slot, &value);
}

void edge_udp(uint32_t id, enum fl_udp udp)
{
	struct fl_service_row row;

	read_row(edge->maps.fl_services, id, &row);
	row.udp = udp;
	write_row(edge->maps.fl_services, id, &row);
}

void edge_old_slots(uint32_t service, enum fl_family family, fl_slot value)
{
	uint32_t base = 32768 + table_base(service, family), i;
	struct fl_service_row row;

	for (i = 0; i < size_classes[SIZE_CLASS]; i++)
		write_row(edge->maps.fl_slots, base + i, &value);
	read_row(edge->maps.fl_services, service, &row);
	row.old_region[family] = value ? FL_REGION(base, SIZE_CLASS, 1) : 0;
	write_row(edge->maps.fl_services, service, &row);
}

void edge_table_elsewhere(uint32_t service, enum fl_family family, uint32_t endpoint)
{
	uint32_t base = 49152 + (service * FL_FAMILIES + family) * size_classes[SIZE_CLASS + 1], i;
	fl_slot value = fl_slot_settled(endpoint);
	struct fl_service_row row;

	for (i = 0; i < size_classes[SIZE_CLASS + 1]; i++)
		write_row(edge->maps.fl_slots, base + i, &value);
	read_row(edge->maps.fl_services, service, &row);
	row.region[family] = endpoint ? FL_REGION(base, SIZE_CLASS + 1, 2) : 0;
	write_row(edge->maps.fl_services, service, &row);
}

void edge_table(uint32_t service, enum fl_family family, uint32_t endpoint)
{
	edge_slots(service, family, fl_slot_settled(endpoint));
}

void edge_slots(uint32_t service, enum fl_family family, fl_slot value)
{
	struct fl_service_row row;
	uint32_t i;

	for (i = 0; i < size_classes[SIZE_CLASS]; i++)
		edge_slot(service, family, i, value);
	read_row(edge->maps.fl_services, service, &row);
	row.region[family] = FL_REGION(table_base(service, family), SIZE_CLASS, 1);
	write_row(edge->maps.fl_services, service, &row);
}

void edge_frontend(const char *addr, uint16_t port, uint8_t proto, uint32_t service, uint32_t id)
{
	struct fl_frontend_key key = { parse(addr), htons(port), proto, 0 };
	struct fl_frontend_row row = { service, id };

	cr_assert_eq(bpf_map_update_elem(map_fd(edge->maps.fl_frontends), &key, &row, 0), 0, "%m");
	edge_frontends_epoch(2);
}

void edge_frontends_epoch(uint32_t add)
{
	struct fl_meta_row meta;

	read_row(edge->maps.fl_meta, 0, &meta);
	meta.frontends_epoch += add;
	write_row(edge->maps.fl_meta, 0, &meta);
}

void edge_address(const char *addr, uint32_t service, uint32_t frontend)
{
	struct fl_frontend_row row = { service, frontend };
	struct fl_ip ip = parse(addr);

	cr_assert_eq(bpf_map_update_elem(map_fd(edge->maps.fl_vips), &ip, &row, 0), 0, "%m");
}

void edge_endpoint(uint32_t id, const char *addr, uint16_t port, uint32_t nexthop)
{
	struct fl_endpoint_row row = {
		.port = htons(port), .state = FL_UP, .nexthop = nexthop, .service = 1
	};

	row.addr = parse(addr);
	row.family = fl_ip_family(&row.addr);
	write_row(edge->maps.fl_endpoints, id, &row);
}

void edge_state(uint32_t endpoint, enum fl_state state)
{
	struct fl_endpoint_row row;

	read_row(edge->maps.fl_endpoints, endpoint, &row);
	row.state = state;
	write_row(edge->maps.fl_endpoints, endpoint, &row);
}

void edge_nexthop(uint32_t id, uint32_t ifindex, const char *src, uint16_t mtu, uint16_t flags)
{
	struct fl_nexthop_row row = { .ifindex = ifindex, .mtu = mtu, .flags = flags };

	row.src = parse(src);
	memcpy(row.dmac, MAC_ENDPOINT, 6);
	memcpy(row.smac, MAC_EGRESS, 6);
	write_row(edge->maps.fl_nexthops, id, &row);
}

void edge_nat_place(uint32_t count, const int tables[])
{
	int nat = map_fd(edge->maps.fl_nat);
	uint32_t i;

	for (i = 0; i < FL_NAT_GENERATIONS; i++)
		bpf_map_delete_elem(nat, &i);
	for (i = 0; i < count; i++)
		cr_assert_eq(bpf_map_update_elem(nat, &i, &tables[i], 0), 0, "nat: %m");
}

void edge_nat_tables(uint32_t count, const uint32_t sizes[])
{
	int tables[FL_NAT_GENERATIONS] = { 0 };
	uint32_t i;

	for (i = 0; i < count; i++)
		tables[i] = edge_nat_table_new(sizes[i]);
	edge_nat_place(count, tables);
	for (i = 0; i < count; i++)
		close(tables[i]);
	for (i = 0; i < 256; i++)
		write_row(edge->maps.fl_nat_used, i, &(struct fl_nat_used_row){ 0 });
}

void edge_nat_reset(void)
{
	edge_nat_tables(1, (uint32_t[]){ 2 * FL_NAT_FIRST_SIZE });
}

int edge_nat_table(uint32_t position)
{
	uint32_t id;

	if (bpf_map_lookup_elem(map_fd(edge->maps.fl_nat), &position, &id))
		return -1;
	return bpf_map_get_fd_by_id(id);
}

uint32_t edge_nat_used(uint32_t endpoint, uint8_t proto)
{
	struct fl_nat_used_row row;

	read_row(edge->maps.fl_nat_used, endpoint, &row);
	return proto == IPPROTO_TCP ? row.tcp : row.udp;
}

struct fl_answers edge_answers(uint32_t endpoint)
{
	struct fl_answers row = { 0 };

	bpf_map__lookup_elem(
		edge->maps.fl_answers, &endpoint, sizeof(endpoint), &row, sizeof(row), 0);
	return row;
}

void edge_answers_clear(uint32_t endpoint)
{
	bpf_map__delete_elem(edge->maps.fl_answers, &endpoint, sizeof(endpoint), 0);
}

uint32_t edge_nat_entries(void)
{
	uint32_t i, count = 0;

	for (i = 0; i < FL_NAT_GENERATIONS; i++) {
		struct fl_flow key, *previous = NULL;
		int fd = edge_nat_table(i);

		if (fd < 0)
			continue;
		while (!bpf_map_get_next_key(fd, previous, &key)) {
			previous = &key;
			count++;
		}
		close(fd);
	}
	return count;
}

void edge_world(void)
{
	uint32_t i;

	edge_nexthop(1, EDGE_LO, NODE, 1500, 0);
	edge_nexthop(2, EDGE_LO, NODE6, 1500, 0);
	edge_endpoint(1, ENDPOINT_1, 8080, 1);
	edge_endpoint(2, ENDPOINT_2, 8080, 1);
	edge_endpoint(3, ENDPOINT_3, 8080, 1);
	edge_endpoint(4, ENDPOINT_1_6, 8080, 2);
	edge_endpoint(5, ENDPOINT_2_6, 8080, 2);
	edge_endpoint(6, ENDPOINT_3_6, 8080, 2);
	edge_service(1, FL_NAT);
	edge_table(1, FL_IPV4, 1);
	edge_table(1, FL_IPV6, 4);
	edge_frontend(VIP_WEB, 80, IPPROTO_TCP, 1, 1);
	edge_frontend(VIP_WEB, 53, IPPROTO_UDP, 1, 2);
	edge_frontend(VIP_WEB6, 80, IPPROTO_TCP, 1, 3);
	edge_frontend(VIP_WEB6, 53, IPPROTO_UDP, 1, 4);
	edge_address(VIP_WEB, 1, 1);
	edge_address(VIP_WEB6, 1, 3);
	for (i = 1; i <= 6; i++)
		edge_state(i, FL_UP);
}

/* ------------------------------------------------------------------ running */

static void read_reasons(uint64_t ret[FL_PATHS * FL_REASONS_MAX])
{
	uint32_t keys[FL_PATHS * FL_REASONS_MAX], count = FL_PATHS * FL_REASONS_MAX, next, i;
	uint64_t *values = calloc((size_t)count * (size_t)cpus, sizeof(*values));
	int cpu;

	cr_assert(values);
	if (bpf_map_lookup_batch(
		    map_fd(edge->maps.fl_reasons), NULL, &next, keys, values, &count, NULL))
		cr_assert_eq(errno, ENOENT, "reasons: %m");
	cr_assert_eq(count, FL_PATHS * FL_REASONS_MAX);
	for (i = 0; i < count; i++)
		for (cpu = 0, ret[i] = 0; cpu < cpus; cpu++)
			ret[i] += values[i * (uint32_t)cpus + (uint32_t)cpu];
	free(values);
}

/** Which one counter moved, and by one. */
static int reason_counted(const char *row)
{
	uint64_t now[FL_PATHS * FL_REASONS_MAX];
	int i, reason = -1;

	read_reasons(now);
	for (i = 0; i < FL_PATHS * FL_REASONS_MAX; i++) {
		if (now[i] == counted[i])
			continue;
		cr_assert_eq(
			now[i], counted[i] + 1, "%s: a reason was counted more than once", row);
		cr_assert_eq(reason, -1, "%s: two reasons were counted, %s and %s", row,
			edge_reason_name(reason), edge_reason_name(i));
		reason = i;
	}
	cr_assert_neq(reason, -1, "%s: no reason was counted", row);
	memcpy(counted, now, sizeof(counted));
	return reason;
}

/** Run a program once. @return XDP action */
static int run(struct bpf_program *program, uint32_t ifindex, const char *row,
	const struct frame *in, struct frame *out)
{
	struct xdp_md context = { .data_end = in->length, .ingress_ifindex = ifindex };
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = in->bytes, .data_size_in = in->length,
		.data_out = out->bytes, .data_size_out = sizeof(out->bytes));

	if (ifindex != EDGE_LO) {
		options.ctx_in = &context;
		options.ctx_size_in = sizeof(context);
	}
	out->ip = in->ip;
	out->l4 = in->l4;
	cr_assert_eq(bpf_prog_test_run_opts(bpf_program__fd(program), &options), 0,
		"%s: test run of %u bytes: %m", row, in->length);
	out->length = options.data_size_out;
	return (int)options.retval;
}

static void check_action(const char *row, const struct frame *in, const struct outcome *outcome)
{
	const char *reason = edge_reason_name(outcome->reason);
	const char *action = edge_action_name(outcome->action);

	switch (reason_classes[outcome->reason]) {
	case SENT:
		cr_assert(outcome->action == XDP_TX || outcome->action == XDP_REDIRECT,
			"%s: %s, but the action is %s", row, reason, action);
		break;
	case PASS:
		cr_assert_eq(outcome->action, XDP_PASS, "%s: %s, but %s", row, reason, action);
		if (outcome->reason == FL_PASS_NEIGHBOUR || outcome->reason == FL_PASS_DECAPSULATED)
			break;
		cr_assert(outcome->out.length == in->length &&
				  !memcmp(outcome->out.bytes, in->bytes, in->length),
			"%s: passed as %s, but not untouched", row, reason);
		break;
	case DROP:
		cr_assert_eq(outcome->action, XDP_DROP, "%s: %s, but %s", row, reason, action);
		break;
	}
}

void edge_run_from(uint32_t ifindex, const char *row, const struct frame *in, struct outcome *ret)
{
	const char *name = row ? row : "packet";

	ret->action = run(edge->progs.edge, ifindex, name, in, &ret->out);
	ret->reason = reason_counted(name);
	run_count++;
	cr_assert_lt(ret->reason, FL_REASON_COUNT, "%s: counted for another path", name);
	check_action(name, in, ret);
	if (row)
		record_packet(row, in, ret);
}

void target_run(const char *row, const struct frame *in, struct outcome *ret)
{
	ret->action = run(target->progs.target, EDGE_LO, row, in, &ret->out);
	ret->reason = reason_counted(row) - FL_PATH_TARGET * FL_REASONS_MAX;
	run_count++;
	cr_assert(ret->reason >= 0 && ret->reason < FL_REASON_COUNT, "%s: counted for another path",
		row);
	check_action(row, in, ret);
	record_packet(row, in, ret);
}

void target_address(const char *addr, uint32_t bits)
{
	struct fl_ip ip = parse(addr);

	cr_assert_eq(bpf_map_update_elem(map_fd(edge->maps.fl_addresses), &ip, &bits, 0), 0, "%m");
}

void target_balancer(const char *text)
{
	struct fl_prefix prefix;
	struct fl_prefix_key key;
	uint32_t value = 1;

	cr_assert_eq(fl_prefix_parse(text, &prefix), 0, "prefix %s", text);
	key.bits = prefix.bits + (fl_ip_family(&prefix.addr) == FL_IPV4 ? 96 : 0);
	key.addr = prefix.addr;
	cr_assert_eq(
		bpf_map_update_elem(map_fd(edge->maps.fl_balancers), &key, &value, 0), 0, "%m");
}

void edge_run(const struct frame *in, struct outcome *ret)
{
	edge_run_from(EDGE_LO, NULL, in, ret);
}

void edge_explain(const struct frame *in, struct fl_explanation *ret, int *ret_action)
{
	struct frame padded = *in, out;

	if (padded.length < sizeof(*ret))
		padded.length = sizeof(*ret);
	*ret_action = run(edge->progs.explain, EDGE_LO, "explain", &padded, &out);
	memcpy(ret, out.bytes, sizeof(*ret));
	cr_assert_eq(ret->magic, FL_EXPLANATION_MAGIC, "explain wrote no answer");
}

uint32_t edge_sweep(uint32_t now_s)
{
	struct fl_sweep args = { .now_s = now_s };
	LIBBPF_OPTS(bpf_test_run_opts, options, .ctx_in = &args, .ctx_size_in = sizeof(args));

	cr_assert_eq(bpf_prog_test_run_opts(bpf_program__fd(edge->progs.sweep), &options), 0,
		"sweep: %m");
	return args.freed;
}

void edge_check_sum(void)
{
	uint64_t now[FL_PATHS * FL_REASONS_MAX], sum = 0;
	int i;

	read_reasons(now);
	for (i = 0; i < FL_PATHS * FL_REASONS_MAX; i++)
		sum += now[i];
	cr_assert_eq(
		sum, run_count, "%lu packets were run, but reasons sum up to %lu", run_count, sum);
}

static void read_stats(struct bpf_map *map, uint32_t index, size_t words, uint64_t *ret)
{
	uint64_t *values = calloc((size_t)cpus * words, sizeof(*values));
	size_t i;

	cr_assert(values);
	cr_assert_eq(bpf_map_lookup_elem(map_fd(map), &index, values), 0, "stats: %m");
	for (i = 0; i < (size_t)cpus * words; i++)
		ret[i % words] += values[i];
	free(values);
}

struct fl_frontend_stats edge_frontend_stats(uint32_t frontend)
{
	struct fl_frontend_stats sum = { 0 };

	read_stats(edge->maps.fl_frontend_stats, frontend, sizeof(sum) / 8, (uint64_t *)&sum);
	return sum;
}

struct fl_endpoint_stats edge_endpoint_stats(uint32_t endpoint)
{
	struct fl_endpoint_stats sum = { 0 };

	read_stats(edge->maps.fl_endpoint_stats, endpoint, sizeof(sum) / 8, (uint64_t *)&sum);
	return sum;
}

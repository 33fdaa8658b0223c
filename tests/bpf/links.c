/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "kernel/links.h"
#include "lib/netns.h"

/*
 * The programs are a plain XDP_PASS each, so that this needs no object file: what
 * is tested is who sits on which device, in which mode, and what is said of it.
 */
#define BPFFS "/sys/fs/bpf/fairlead"

static uv_loop_t loop;
static struct fl_kernel kernel;
static struct fl_config config;
static struct fl_links *links;
static char *edge_names[4], *target_names[4];

static void setup(void)
{
	test_enter_private();
	cr_assert_eq(mkdir(BPFFS, 0700), 0);
	test_run("ip link add v0 type veth peer name p0 && ip link set v0 up && ip link set p0 up");
	kernel.bpffs = (char *)BPFFS;
	for (int i = 0; i < FL_MAP_COUNT; i++)
		kernel.maps.fd[i] = -1;
	kernel.edge_fd = test_xdp_pass("edge");
	kernel.explain_fd = -1;
	kernel.target_fd = test_xdp_pass("target");
	edge_names[0] = (char *)"v0";
	config.interfaces = edge_names;
	config.interface_count = 1;
	config.target_interfaces = target_names;
	cr_assert_eq(uv_loop_init(&loop), 0);
}

TestSuite(links, .init = setup, .timeout = 600);

static void start(void)
{
	struct fl_failure failure = { 0 };

	cr_assert_eq(fl_links_start(&kernel, &config, &loop, &failure, &links), 0, "%s",
		failure.message);
}

/** The agent ends; what is pinned stays. */
static void stop(void)
{
	fl_links_stop(links);
	test_loop_finish(&loop);
	cr_assert_eq(uv_loop_init(&loop), 0);
}

static const struct fl_interface *row(size_t index)
{
	size_t count;
	const struct fl_interface *rows = fl_links_list(links, &count);

	cr_assert_lt(index, count);
	return &rows[index];
}

/** What the kernel says is on a device. */
static struct fl_link device(const char *name)
{
	struct fl_netlink *netlink;
	struct fl_link link = { 0 };

	cr_assert_eq(fl_netlink_open(NETLINK_ROUTE, &netlink), 0);
	fl_netlink_link(netlink, name, 0, &link);
	fl_netlink_close(netlink);
	return link;
}

static uint32_t program_id(int fd)
{
	struct bpf_prog_info info = { 0 };
	uint32_t length = sizeof(info);

	cr_assert_eq(bpf_obj_get_info_by_fd(fd, &info, &length), 0);
	return info.id;
}

static uint32_t link_id(const char *pin)
{
	struct bpf_link_info info = { 0 };
	uint32_t length = sizeof(info);
	int fd = bpf_obj_get(pin);

	cr_assert_geq(fd, 0, "%s: %m", pin);
	cr_assert_eq(bpf_obj_get_info_by_fd(fd, &info, &length), 0);
	close(fd);
	return info.id;
}

static bool is_attached(void *context)
{
	return row(*(size_t *)context)->mode != FL_XDP_NONE;
}

static bool is_native(void *context)
{
	return row(*(size_t *)context)->mode == FL_XDP_NATIVE;
}

static bool is_absent(void *context)
{
	return row(*(size_t *)context)->ifindex == 0;
}

static size_t first = 0;

Test(links, modes_are_what_was_asked_for)
{
	static const struct {
		char name[32];
		enum fl_edge_mode wish;
		enum fl_xdp_mode mode;
		uint8_t attached;
	} rows[] = {
		{ "auto takes native", FL_MODE_AUTO, FL_XDP_NATIVE, XDP_ATTACHED_DRV },
		{ "native", FL_MODE_NATIVE, FL_XDP_NATIVE, XDP_ATTACHED_DRV },
		{ "generic by request", FL_MODE_GENERIC, FL_XDP_GENERIC, XDP_ATTACHED_SKB },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		config.edge_mode = rows[i].wish;
		start();
		cr_expect_eq(row(0)->mode, rows[i].mode, "%s: mode %s (%s)", rows[i].name,
			fl_xdp_mode_name(row(0)->mode), row(0)->reason);
		cr_expect_str_empty(row(0)->reason, "%s: %s", rows[i].name, row(0)->reason);
		cr_expect_eq(device("v0").xdp_mode, rows[i].attached, "%s", rows[i].name);
		cr_expect_eq(device("v0").xdp_prog, program_id(kernel.edge_fd), "%s", rows[i].name);
		cr_expect_eq(row(0)->ifindex, if_nametoindex("v0"), "%s", rows[i].name);
		stop();
	}
}

Test(links, a_large_mtu_means_generic_in_auto_and_nothing_in_native)
{
	test_run("ip link set v0 mtu 9000 && ip link set p0 mtu 9000");
	start();
	cr_expect_eq(row(0)->mode, FL_XDP_GENERIC);
	cr_expect(strstr(row(0)->reason, "MTU 9000"), "%s", row(0)->reason);
	config.edge_mode = FL_MODE_NATIVE;
	cr_assert_eq(fl_links_configure(links, &config), 0);
	cr_expect_eq(row(0)->mode, FL_XDP_NONE);
	cr_expect(strstr(row(0)->reason, "MTU 9000"), "%s", row(0)->reason);
	cr_expect_eq(device("v0").xdp_prog, 0);

	config.edge_mode = FL_MODE_AUTO;
	cr_assert_eq(fl_links_configure(links, &config), 0);
	cr_expect_eq(row(0)->mode, FL_XDP_GENERIC);
	stop();
	start();
	cr_expect_eq(row(0)->mode, FL_XDP_GENERIC);
	cr_expect(
		strstr(row(0)->reason, "MTU 9000"), "a restart knows why, too: %s", row(0)->reason);

	/* The change of MTU is what netlink tells, and what opens the better way. */
	test_run("ip link set v0 mtu 1500 && ip link set p0 mtu 1500");
	cr_assert(test_loop_until(&loop, is_native, &first), "%s", row(0)->reason);
	cr_expect_str_empty(row(0)->reason);
	stop();
}

Test(links, a_device_without_native_xdp_is_named)
{
	test_run("ip link add br0 type bridge && ip link set br0 up");
	edge_names[0] = (char *)"br0";
	start();
	cr_expect_eq(row(0)->mode, FL_XDP_GENERIC);
	cr_expect(strstr(row(0)->reason, "bridge has no native XDP"), "%s", row(0)->reason);
	stop();
}

Test(links, a_veth_with_too_few_queues_is_generic)
{
	test_run("ip link add q1 numtxqueues 4 numrxqueues 4 type veth peer name q0 numtxqueues 4 "
		 "numrxqueues 1");
	test_run("ip link set q0 up && ip link set q1 up");
	edge_names[0] = (char *)"q0";
	start();
	cr_expect_eq(row(0)->mode, FL_XDP_GENERIC);
	cr_expect(strstr(row(0)->reason, "native XDP"), "%s", row(0)->reason);
	stop();
}

Test(links, a_restart_replaces_the_program_and_keeps_the_link)
{
	uint32_t link, program;

	start();
	link = link_id(BPFFS "/links/edge-v0");
	program = device("v0").xdp_prog;
	stop();
	cr_assert_eq(device("v0").xdp_prog, program, "forwarding ended with the agent");

	close(kernel.edge_fd);
	kernel.edge_fd = test_xdp_pass("edge");
	start();
	cr_expect_eq(link_id(BPFFS "/links/edge-v0"), link);
	cr_expect_neq(device("v0").xdp_prog, program);
	cr_expect_eq(device("v0").xdp_prog, program_id(kernel.edge_fd));
	cr_expect_eq(row(0)->mode, FL_XDP_NATIVE);
	cr_expect_str_empty(row(0)->reason);
	stop();
}

Test(links, a_restart_with_another_mode_attaches_anew)
{
	start();
	stop();
	config.edge_mode = FL_MODE_GENERIC;
	start();
	cr_expect_eq(row(0)->mode, FL_XDP_GENERIC, "%s", row(0)->reason);
	cr_expect_eq(device("v0").xdp_mode, XDP_ATTACHED_SKB);
	stop();

	/* auto keeps what it finds, without a moment without program, and says so */
	config.edge_mode = FL_MODE_AUTO;
	start();
	cr_expect_eq(row(0)->mode, FL_XDP_GENERIC);
	cr_expect(strstr(row(0)->reason, "earlier agent"), "%s", row(0)->reason);
	stop();
}

Test(links, links_of_interfaces_that_left_the_configuration_are_removed)
{
	test_run("ip link add v1 type veth peer name p1");
	edge_names[1] = (char *)"v1";
	config.interface_count = 2;
	start();
	cr_expect_neq(device("v1").xdp_prog, 0);
	stop();

	config.interface_count = 1; /* while no agent ran */
	start();
	cr_expect_eq(device("v1").xdp_prog, 0);
	cr_expect_neq(device("v0").xdp_prog, 0);
	cr_expect_neq(access(BPFFS "/links/edge-v1", F_OK), 0);

	config.interface_count = 2; /* by reload */
	cr_assert_eq(fl_links_configure(links, &config), 0);
	cr_expect_eq(device("v1").xdp_prog, program_id(kernel.edge_fd));
	config.interface_count = 0;
	cr_assert_eq(fl_links_configure(links, &config), 0);
	cr_expect_eq(device("v0").xdp_prog, 0);
	cr_expect_eq(device("v1").xdp_prog, 0);
	cr_expect_neq(access(BPFFS "/links/edge-v0", F_OK), 0);
	stop();
}

Test(links, an_interface_that_comes_later_is_attached_when_it_does)
{
	edge_names[0] = (char *)"late0";
	start();
	cr_expect_eq(row(0)->mode, FL_XDP_NONE);
	cr_expect_eq(row(0)->ifindex, 0);
	cr_expect(strstr(row(0)->reason, "awaited"), "%s", row(0)->reason);
	test_run("ip link add late0 type veth peer name p1");
	cr_assert(test_loop_until(&loop, is_attached, &first));
	cr_expect_str_empty(row(0)->reason);

	for (int i = 0; i < 2; i++) { /* it goes, and another one comes by its name */
		test_run("ip link del late0");
		cr_assert(test_loop_until(&loop, is_absent, &first));
		cr_expect_eq(row(0)->mode, FL_XDP_NONE);
		cr_expect_neq(access(BPFFS "/links/edge-late0", F_OK), 0);
		test_run("ip link add late0 type veth peer name p1");
		cr_assert(test_loop_until(&loop, is_attached, &first));
		cr_expect_eq(device("late0").xdp_prog, program_id(kernel.edge_fd));
		cr_expect_eq(row(0)->ifindex, if_nametoindex("late0"));
	}
	stop();
}

static bool is_down(void *context)
{
	return row(*(size_t *)context)->is_down;
}

static bool is_working(void *context)
{
	return !is_down(context);
}

/* The program stays on it, and in the devmap's eyes it is the same. */
Test(links, an_interface_that_is_down_for_a_while_is_told)
{
	uint32_t id;

	start();
	cr_assert(is_native(&first));
	cr_expect_not(is_down(&first));
	id = link_id(BPFFS "/links/edge-v0");
	test_run("ip link set v0 down");
	cr_assert(test_loop_until(&loop, is_down, &first));
	cr_expect_eq(row(0)->mode, FL_XDP_NATIVE);
	test_run("ip link set v0 up");
	cr_assert(test_loop_until(&loop, is_working, &first));
	test_run("ip link set p0 down"); /* the cable is pulled at the other end */
	cr_assert(test_loop_until(&loop, is_down, &first));
	test_run("ip link set p0 up");
	cr_assert(test_loop_until(&loop, is_working, &first));
	cr_expect_eq(link_id(BPFFS "/links/edge-v0"), id, "nobody touched it");
	test_run("ip link del v0");
	cr_assert(test_loop_until(&loop, is_absent, &first));
	cr_expect_not(is_down(&first), "gone is another word");
	stop();
}

static bool carries_edge(void *context)
{
	return device(context).xdp_prog == program_id(kernel.edge_fd);
}

Test(links, an_interface_recreated_between_two_looks_is_attached_anew)
{
	uint32_t ifindex = if_nametoindex("v0");

	start();
	/* Same name and same index: only the dead link tells. */
	test_run("ip link del v0 && ip link add v0 index %u type veth peer name p0", ifindex);
	cr_assert_eq(if_nametoindex("v0"), ifindex);
	cr_assert_eq(device("v0").xdp_prog, 0);
	cr_assert(test_loop_until(&loop, carries_edge, (void *)"v0"));
	stop();
}

Test(links, a_link_that_somebody_detached_is_made_again)
{
	start();
	cr_assert_eq(bpf_link_detach(row(0)->link_fd), 0);
	cr_assert_eq(device("v0").xdp_prog, 0);
	test_run("ip link set v0 mtu 1400"); /* whatever is told of the device next */
	cr_assert(test_loop_until(&loop, carries_edge, (void *)"v0"));
	cr_expect_eq(access(BPFFS "/links/edge-v0", F_OK), 0);
	stop();
}

Test(links, the_device_went_while_no_agent_ran)
{
	start();
	stop();
	test_run("ip link del v0 && ip link add v0 type veth peer name p0");
	start();
	cr_expect_eq(row(0)->mode, FL_XDP_NATIVE, "%s", row(0)->reason);
	cr_expect_eq(device("v0").xdp_prog, program_id(kernel.edge_fd));
	stop();
}

static bool is_free_of_us(void *context)
{
	return device(context).xdp_prog == 0;
}

Test(links, the_program_follows_the_name)
{
	start();
	/* Down first: Linux 6.1 renames no interface that is up. */
	test_run("ip link set v0 down && ip link set v0 name other0 && ip link set other0 up");
	cr_assert(test_loop_until(&loop, is_absent, &first));
	cr_assert(test_loop_until(&loop, is_free_of_us, (void *)"other0"));
	test_run("ip link set p0 down && ip link set p0 name v0 && ip link set v0 up");
	cr_assert(test_loop_until(&loop, is_attached, &first));
	cr_expect_eq(device("v0").xdp_prog, program_id(kernel.edge_fd));
	stop();
}

Test(links, a_name_with_a_dot_can_be_pinned)
{
	test_run("ip link add v0.7 type veth peer name p7");
	edge_names[0] = (char *)"v0.7";
	start();
	cr_expect_eq(row(0)->mode, FL_XDP_NATIVE);
	cr_expect_str_empty(row(0)->reason, "%s", row(0)->reason);
	cr_expect_eq(access(BPFFS "/links/edge-v0:7", F_OK), 0);
	stop();
	start();
	cr_expect_str_empty(row(0)->reason, "%s", row(0)->reason);
	stop();
}

/** Put a program of somebody else into the slot of v0, as `ip link` does. */
static int occupy(uint32_t flags)
{
	int fd = test_xdp_pass("somebody");

	cr_assert_eq(bpf_xdp_attach(if_nametoindex("v0"), fd, flags, NULL), 0);
	return fd;
}

Test(links, a_taken_slot_is_told_with_name_and_remedy)
{
	static const struct {
		char name[24];
		uint32_t flags;
		char remedy[40];
	} rows[] = {
		{ "native", XDP_FLAGS_DRV_MODE, "ip link set dev v0 xdp off" },
		{ "generic", XDP_FLAGS_SKB_MODE, "ip link set dev v0 xdpgeneric off" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int other = occupy(rows[i].flags);
		char id[32];

		snprintf(id, sizeof(id), "program %u \"somebody\"", program_id(other));
		start();
		cr_expect_eq(row(0)->mode, FL_XDP_NONE, "%s", rows[i].name);
		cr_expect(strstr(row(0)->reason, id), "%s: %s", rows[i].name, row(0)->reason);
		cr_expect(strstr(row(0)->reason, rows[i].remedy), "%s: %s", rows[i].name,
			row(0)->reason);
		cr_expect_eq(device("v0").xdp_prog, program_id(other), "%s", rows[i].name);

		test_run("%s", rows[i].remedy);
		cr_assert(test_loop_until(&loop, is_attached, &first), "%s", rows[i].name);
		cr_expect_str_empty(row(0)->reason);
		close(other);
		fl_links_configure(links, &(struct fl_config){ 0 });
		stop();
	}
}

Test(links, a_foreign_link_is_told_and_outwaited)
{
	int other = test_xdp_pass("somebody");
	int link = bpf_link_create(other, if_nametoindex("v0"), BPF_XDP, NULL);

	cr_assert_geq(link, 0);
	start();
	cr_expect_eq(row(0)->mode, FL_XDP_NONE);
	cr_expect(strstr(row(0)->reason, "bpftool link detach"), "%s", row(0)->reason);
	/* No notification tells of this: the slow timer does. */
	cr_assert_eq(bpf_link_detach(link), 0);
	close(link);
	cr_assert(test_loop_until(&loop, is_attached, &first));
	stop();
}

Test(links, one_interface_carries_one_program)
{
	test_run("ip link add v1 type veth peer name p1");
	target_names[0] = (char *)"v0";
	target_names[1] = (char *)"v1";
	config.target_interface_count = 2;
	start();
	cr_expect_eq(row(0)->path, FL_PATH_EDGE);
	cr_expect_eq(row(0)->mode, FL_XDP_NATIVE);
	cr_expect_eq(row(1)->mode, FL_XDP_NONE);
	cr_expect(strstr(row(1)->reason, "carries the edge program"), "%s", row(1)->reason);
	cr_expect_eq(row(2)->mode, FL_XDP_NATIVE);
	cr_expect_eq(device("v1").xdp_prog, program_id(kernel.target_fd));
	stop();
}

Test(links, edge_interfaces_are_in_the_devmap)
{
	struct bpf_devmap_val value;
	uint32_t ifindex = if_nametoindex("v0");
	int map = bpf_map_create(
		BPF_MAP_TYPE_DEVMAP_HASH, "tx_ports", sizeof(ifindex), sizeof(value), 8, NULL);

	cr_assert_geq(map, 0, "%m");
	kernel.maps.fd[FL_MAP_tx_ports] = map;
	start();
	cr_assert_eq(bpf_map_lookup_elem(map, &ifindex, &value), 0, "%m");
	cr_expect_eq(value.ifindex, ifindex);
	test_run("ip link del v0");
	cr_assert(test_loop_until(&loop, is_absent, &first));
	cr_expect_neq(bpf_map_lookup_elem(map, &ifindex, &value), 0);
	test_run("ip link add v0 type veth peer name p0");
	cr_assert(test_loop_until(&loop, is_attached, &first));
	ifindex = if_nametoindex("v0");
	cr_expect_eq(bpf_map_lookup_elem(map, &ifindex, &value), 0, "%m");
	stop();
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <bpf/bpf.h>
#include <criterion/criterion.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernel/checkup.h"
#include "kernel/doctor.h"
#include "kernel/links.h"
#include "kernel/netdev.h"
#include "lib/netns.h"

#define BPFFS  "/sys/fs/bpf/fairlead"
#define CONFIG "/run/doctor.yaml"

static void setup(void)
{
	test_enter_private();
	test_run("ip link add v0 type veth peer name p0 && ip link set v0 up && ip link set p0 up");
}

TestSuite(doctor, .init = setup, .timeout = 600);

/** Write a configuration; the text may have `|` for a newline. */
static void configure(const char *text)
{
	FILE *file = fopen(CONFIG, "we");

	cr_assert_not_null(file);
	for (; *text; text++)
		fputc(*text == '|' ? '\n' : *text, file);
	fclose(file);
}

static json_t *find(json_t *rows, const char *check, const char *subject)
{
	json_t *row;
	size_t i;

	json_array_foreach(rows, i, row) {
		const char *of = json_string_value(json_object_get(row, "subject"));

		if (strcmp(json_string_value(json_object_get(row, "check")), check) == 0 &&
			(!subject || (of && strcmp(of, subject) == 0)))
			return row;
	}
	return NULL;
}

/** Whatever is said: all five keys, a known result, and something to do when it is not well. */
static void check_shape(json_t *rows)
{
	json_t *row;
	size_t i;

	cr_assert(json_is_array(rows));
	json_array_foreach(rows, i, row) {
		const char *check = json_string_value(json_object_get(row, "check"));
		const char *result = json_string_value(json_object_get(row, "result"));
		json_t *hint = json_object_get(row, "hint");
		json_t *subject = json_object_get(row, "subject");

		cr_assert(check && result);
		cr_expect_eq(json_object_size(row), 5, "%s", check);
		cr_expect(json_is_string(json_object_get(row, "found")), "%s", check);
		cr_expect(json_is_string(subject) || json_is_null(subject), "%s", check);
		cr_expect(strstr("ok warn fail", result), "%s: %s", check, result);
		cr_expect_eq(json_is_null(hint), strcmp(result, "ok") == 0, "%s, %s: hint %s",
			check, result, json_string_value(hint));
	}
}

/** What is said of devices alone: much quicker than all, where the machine is slow. */
static json_t *look_at_devices(const char *file)
{
	struct fl_checkup checkup = { .rows = json_array() };
	struct fl_problems problems = { 0 };
	struct fl_config *config = NULL;

	if (file)
		cr_assert_eq(fl_config_load(file, &problems, &config), 0);
	checkup.config = config;
	fl_checkup_interfaces(&checkup);
	cr_assert_not(checkup.failed);
	fl_problems_done(&problems);
	fl_config_free(config);
	return checkup.rows;
}

static void compare(json_t *rows, const char *story, const char *check, const char *subject,
	const char *result, const char *found, const char *hint)
{
	json_t *row;

	cr_assert_not_null(rows);
	check_shape(rows);
	row = find(rows, check, subject[0] ? subject : NULL);
	cr_assert_not_null(row, "%s: no row \"%s\" for \"%s\"", story, check, subject);
	cr_expect_str_eq(json_string_value(json_object_get(row, "result")), result, "%s: %s", story,
		json_string_value(json_object_get(row, "found")));
	cr_expect(strstr(json_string_value(json_object_get(row, "found")), found),
		"%s: found \"%s\", not \"%s\"", story,
		json_string_value(json_object_get(row, "found")), found);
	if (hint[0])
		cr_expect(strstr(json_string_value(json_object_get(row, "hint")), hint),
			"%s: hint \"%s\", not \"%s\"", story,
			json_string_value(json_object_get(row, "hint")), hint);
}

static void examine(const char *file, const char *story, const char *check, const char *subject,
	const char *result, const char *found, const char *hint)
{
	json_t *rows = fl_doctor(file);

	compare(rows, story, check, subject, result, found, hint);
	json_decref(rows);
}

/** Linux 6.3 and later. */
static bool drivers_tell(void)
{
	uint64_t features;

	return fl_netdev_xdp(if_nametoindex("v0"), &features) == 0;
}

Test(doctor, situations)
{
	static const struct {
		char story[56];
		char commands[160]; /* make it so, on top of what the rows before did */
		char config[128];   /* empty = none */
		char check[16], subject[24], result[8], found[64], hint[48];
		enum { ANY, TELLS, TELLS_NOT } kernel; /* where drivers tell of their XDP, or not */
	} rows[] = {
		{ "this machine runs fairleadd", "", "", "capabilities", "", "ok", "", "" },
		{ "and has what it needs", "", "", "bpf_timer", "", "ok", "works", "" },
		{ "maps are not bounded by memlock", "", "", "memlock", "", "ok", "", "" },
		{ "a bpffs", "", "", "bpffs", BPFFS, "ok", "lies in a bpffs", "" },
		{ "without configuration: every device that is up", "", "", "xdp", "v0", "ok",
			"veth has native XDP", "", TELLS },
		{ "a good configuration", "", "edge: { interfaces: [v0] }", "configuration", CONFIG,
			"ok", "no errors", "" },
		{ "a bad one names the place", "", "edge: { interfacse: [v0] }", "configuration",
			CONFIG, "fail", ":1:", "--check" },
		{ "garbage", "", "\x01\x02{{{", "configuration", CONFIG, "fail", CONFIG, "" },
		{ "a free slot", "", "edge: { interfaces: [v0] }", "xdp", "v0", "ok",
			"the slot is free; veth has native XDP", "", TELLS },
		{ "a free slot, of which nothing more is known", "", "edge: { interfaces: [v0] }",
			"xdp", "v0", "ok", "only when fairleadd attaches", "", TELLS_NOT },
		{ "generic as wished", "", "edge: { interfaces: [v0], mode: generic }", "xdp", "v0",
			"ok", "generic, as configured", "" },
		{ "an interface that is not there", "", "edge: { interfaces: [gone0] }",
			"interface", "gone0", "warn", "there is none", "when it appears" },
		{ "an interface that is down", "ip link set v0 down", "edge: { interfaces: [v0] }",
			"interface", "v0", "warn", "down", "ip link set dev v0 up" },
		{ "a veth whose peer is not ready", "ip link set v0 up",
			"edge: { interfaces: [v0] }", "redirect", "v0", "warn", "the peer drops",
			"gro on", TELLS },
		{ "and one that is", "ethtool -K p0 gro on >/dev/null",
			"edge: { interfaces: [v0] }", "redirect", "v0", "ok", "the peer takes", "",
			TELLS },
		{ "checksums left to the device", "ethtool -K p0 tx on >/dev/null",
			"edge: { interfaces: [v0] }", "checksum", "v0", "warn", "the peer p0",
			"ethtool -K p0 tx off" },
		{ "checksums finished", "ethtool -K p0 tx off >/dev/null",
			"edge: { interfaces: [v0] }", "checksum", "v0", "ok", "the peer p0", "" },
		{ "a peer that cannot be seen",
			"ip netns add other && ip link add w0 type veth peer name w1 netns other",
			"edge: { interfaces: [w0] }", "checksum", "w0", "warn", "another network",
			"tx off" },
		{ "an MTU of 1500 is enough for nat", "", "edge: { interfaces: [v0] }", "mtu", "v0",
			"ok", "1500; ipip leaves 1480", "" },
		{ "but makes tunnels narrow", "",
			"edge: { interfaces: [v0], tunnel_source: 192.0.2.1 }", "mtu", "v0", "warn",
			"end at 1480 bytes", "40 bytes more" },
		{ "a large MTU means generic", "ip link set v0 mtu 9000 && ip link set p0 mtu 9000",
			"edge: { interfaces: [v0] }", "xdp", "v0", "warn", "MTU 9000 is too large",
			"slower" },
		{ "or nothing", "", "edge: { interfaces: [v0], mode: native }", "xdp", "v0", "fail",
			"MTU 9000 is too large", "edge.mode: auto" },
		{ "a bridge has no native XDP", "ip link add br0 type bridge && ip link set br0 up",
			"edge: { interfaces: [br0] }", "xdp", "br0", "warn",
			"bridge has no native XDP", "", TELLS },
		{ "no Ethernet",
			"modprobe -q tun; ip tuntap add tun0 mode tun && ip link set tun0 up",
			"edge: { interfaces: [tun0] }", "interface", "tun0", "fail", "no Ethernet",
			"" },
		{ "a strict filter of sources",
			"sysctl -qw net.ipv4.conf.v0.rp_filter=1 net.ipv4.conf.all.rp_filter=0",
			"target: { interfaces: [v0], from: [192.0.2.0/24] }", "rp_filter", "v0",
			"warn", "strict", "net.ipv4.conf.v0.rp_filter=2" },
		{ "a loose one", "sysctl -qw net.ipv4.conf.v0.rp_filter=2",
			"target: { interfaces: [v0], from: [192.0.2.0/24] }", "rp_filter", "v0",
			"ok", "not strict", "" },
		{ "ports that nobody else gives out", "", "", "ports", "", "ok", "1024-32767", "" },
		{ "ports given out twice", "sysctl -qw net.ipv4.ip_local_port_range='20000 60999'",
			"", "ports", "", "fail", "overlaps", "edge.nat.ports" },
		{ "and kept apart", "sysctl -qw net.ipv4.ip_local_reserved_ports=80,19000-33000",
			"", "ports", "", "ok", "reserved", "" },
		{ "not kept apart enough",
			"sysctl -qw net.ipv4.ip_local_reserved_ports=80,20001-33000", "", "ports",
			"", "fail", "overlaps", "" },
		{ "no bpffs", "umount /sys/fs/bpf", "", "bpffs", BPFFS, "warn",
			"/sys/fs/bpf is no bpffs", "mount -t bpf" },
	};

	json_t *said = NULL;
	bool complete = false; /* and not of devices alone */

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *file = rows[i].config[0] ? CONFIG : NULL;
		bool device = rows[i].subject[0] && rows[i].subject[0] != '/';

		if (rows[i].commands[0])
			test_run("%s", rows[i].commands);
		if (rows[i].kernel != ANY && (rows[i].kernel == TELLS) != drivers_tell())
			continue;
		if (rows[i].config[0])
			configure(rows[i].config);
		/* What was asked for the row before will do when nothing is new. */
		if (!said || device || !complete || rows[i].commands[0] || rows[i].config[0]) {
			json_decref(said);
			said = device ? look_at_devices(file) : fl_doctor(file);
			complete = !device;
		}
		compare(said, rows[i].story, rows[i].check, rows[i].subject, rows[i].result,
			rows[i].found, rows[i].hint);
	}
	json_decref(said);
}

Test(doctor, a_configuration_that_is_not_there)
{
	examine("/run/none.yaml", "absent", "configuration", "/run/none.yaml", "fail", "none.yaml",
		"");
}

Test(doctor, a_slot_that_is_taken)
{
	int program = test_xdp_pass("somebody");
	LIBBPF_OPTS(bpf_link_create_opts, generic, .flags = XDP_FLAGS_SKB_MODE);
	int link = bpf_link_create(program, if_nametoindex("v0"), BPF_XDP, &generic);

	cr_assert_geq(link, 0);
	configure("edge: { interfaces: [v0] }");
	examine(CONFIG, "somebody else", "xdp", "v0", "fail", "\"somebody\" (generic)",
		"free the slot");

	/* The same program, once it is what an agent pinned. */
	cr_assert_eq(mkdir(BPFFS, 0700), 0);
	cr_assert_eq(bpf_obj_pin(program, BPFFS "/edge"), 0);
	examine(CONFIG, "our own, generic", "xdp", "v0", "warn", "carries `edge`, generic",
		"slower");
	close(link);
	link = bpf_link_create(program, if_nametoindex("v0"), BPF_XDP, NULL);
	cr_assert_geq(link, 0);
	examine(CONFIG, "our own, native", "xdp", "v0", "ok", "carries `edge`, native", "");
	close(link);
	close(program);
}

Test(doctor, nobody_in_particular)
{
	configure("edge: { interfaces: [v0] }");
	cr_assert_eq(chmod(CONFIG, 0644), 0);
	cr_assert_eq(setresgid(65534, 65534, 65534), 0);
	cr_assert_eq(setresuid(65534, 65534, 65534), 0);
	examine(CONFIG, "lacks everything", "capabilities", "", "fail", "CAP_BPF", "run as root");
	examine(CONFIG, "what cannot be tried is not called absent", "xdp", "", "warn",
		"could not be tried", "as root");
	examine(CONFIG, "the device is still seen", "xdp", "v0", "ok", "the slot is free", "");
}

Test(doctor, nothing_is_disturbed)
{
	struct fl_netlink *netlink;
	struct fl_link before, after;
	json_t *rows;

	cr_assert_eq(fl_netlink_open(NETLINK_ROUTE, &netlink), 0);
	cr_assert_eq(fl_netlink_link(netlink, "v0", 0, &before), 0);
	rows = fl_doctor(NULL);
	cr_assert_not_null(rows);
	json_decref(rows);
	cr_assert_eq(fl_netlink_link(netlink, "v0", 0, &after), 0);
	cr_expect_eq(memcmp(&before, &after, sizeof(before)), 0);
	fl_netlink_close(netlink);
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <bpf/bpf.h>
#include <criterion/criterion.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "fairlead/nat.h"
#include "lib/edge.h"
#include "bpf/xdp_edge.skel.h"

/*
 * Forgetting: how long a silent flow lives by what was seen of it. The tests set
 * the second of the last packet and of the sweep, so nothing waits.
 */
TestSuite(nat_sweep, .timeout = 600);

#define THEN 5000000u /* second of the last packet */

static const struct row {
	const char *name;
	const char *packets; /* as in nat_flows.c; U and u are datagrams */
	uint32_t timeout_s;
} rows[] = {
	{ "SYN", "S", FL_NAT_TCP_OPENING_S },
	{ "SYN, SYN+ACK", "Ss", FL_NAT_TCP_OPENING_S },
	{ "established", "SsA", FL_NAT_TCP_ESTABLISHED_S },
	{ "data", "SsAaAa", FL_NAT_TCP_ESTABLISHED_S },
	{ "client is done", "SsAF", FL_NAT_TCP_CLOSING_S },
	{ "endpoint is done", "SsAf", FL_NAT_TCP_CLOSING_S },
	{ "half closed, data goes on", "SsAFaA", FL_NAT_TCP_CLOSING_S },
	{ "both are done", "SsAFfA", FL_NAT_TCP_CLOSED_S },
	{ "client resets", "SsAR", FL_NAT_TCP_CLOSED_S },
	{ "endpoint refuses", "Sr", FL_NAT_TCP_CLOSED_S },
	{ "reset taken back", "SsARA", FL_NAT_TCP_ESTABLISHED_S },
	{ "a new connection after a closed one", "SsAFfS", FL_NAT_TCP_OPENING_S },
	{ "datagram", "U", FL_NAT_UDP_ONEWAY_S },
	{ "datagrams", "UU", FL_NAT_UDP_ONEWAY_S },
	{ "datagram and answer", "Uu", FL_NAT_UDP_S },
};

static uint8_t flags_of(char letter)
{
	switch (letter) {
	case 'S':
		return SYN;
	case 's':
		return SYN | ACK;
	case 'F':
	case 'f':
		return FIN | ACK;
	case 'R':
	case 'r':
		return RST;
	case 'U':
	case 'u':
		return 0;
	default:
		return ACK;
	}
}

/** Send packets of one flow. `client` chooses its source port. */
static void send_packets(const char *row, const char *letters, uint16_t client)
{
	struct tuple sent = { 0 };
	struct outcome outcome;
	struct frame in;

	for (; *letters; letters++) {
		bool from_client = *letters >= 'A' && *letters <= 'Z';
		struct packet packet = { .src = CLIENT_A,
			.dst = VIP_WEB,
			.sport = client,
			.dport = *letters == 'U' ? 53 : 80,
			.flags = flags_of(*letters) };

		if (!from_client)
			packet = (struct packet){ .src = sent.dst,
				.dst = sent.src,
				.sport = sent.dport,
				.dport = sent.sport,
				.flags = flags_of(*letters) };
		packet_build(&packet, &in);
		edge_run(&in, &outcome);
		cr_assert(outcome.reason == FL_SENT || outcome.reason == FL_SENT_REPLY,
			"%s, %c: %s", row, *letters, edge_reason_name(outcome.reason));
		if (from_client)
			frame_tuple(&outcome.out, &sent);
	}
}

/** Set the second of the last packet in every entry, of either direction, of a table. */
static void set_seen(uint32_t generation, uint32_t forward_s, uint32_t reply_s)
{
	struct fl_flow keys[64];
	struct fl_nat_entry entry;
	int fd = edge_nat_table(generation), count = 0, i;

	cr_assert_geq(fd, 0);
	while (!bpf_map_get_next_key(fd, count ? &keys[count - 1] : NULL, &keys[count]))
		cr_assert_lt(++count, 63);
	for (i = 0; i < count; i++) {
		cr_assert_eq(bpf_map_lookup_elem(fd, &keys[i], &entry), 0);
		entry.seen = entry.dir == FL_NAT_REPLY ? reply_s : forward_s;
		cr_assert_eq(bpf_map_update_elem(fd, &keys[i], &entry, BPF_EXIST), 0);
	}
	close(fd);
}

Test(nat_sweep, timeouts)
{
	size_t i;

	edge_open(NULL);
	edge_world();
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *row = &rows[i];
		uint8_t proto = row->packets[0] == 'U' ? IPPROTO_UDP : IPPROTO_TCP;
		int last;

		/* Which direction was silent last does not matter. */
		for (last = 0; last < 2; last++) {
			edge_nat_reset();
			send_packets(row->name, row->packets, 4242);
			set_seen(0, last ? THEN - 3000 : THEN, last ? THEN : THEN - 3000);
			cr_expect_eq(edge_sweep(THEN + row->timeout_s), 0,
				"%s: forgotten too early", row->name);
			cr_expect_eq(edge_nat_entries(), 2, "%s", row->name);
			cr_expect_eq(edge_sweep(THEN + row->timeout_s + 1), 1, "%s: not forgotten",
				row->name);
			cr_expect_eq(edge_nat_entries(), 0, "%s: an entry is left", row->name);
			cr_expect_eq(edge_nat_used(1, proto), 0, "%s: its port is still in use",
				row->name);
		}
	}
	edge_check_sum();
}

/** Only what is due goes, and each connection gives one port back. */
Test(nat_sweep, among_others)
{
	uint16_t client;

	edge_open(NULL);
	edge_world();
	for (client = 1; client <= 10; client++)
		send_packets("old", "SsAFfA", client);
	for (client = 11; client <= 15; client++)
		send_packets("old, but open", "SsA", client);
	set_seen(0, THEN, THEN);
	cr_assert_eq(edge_nat_used(1, IPPROTO_TCP), 15);
	cr_assert_eq(edge_sweep(THEN + FL_NAT_TCP_CLOSED_S + 1), 10);
	cr_assert_eq(edge_nat_used(1, IPPROTO_TCP), 5);
	cr_assert_eq(edge_nat_entries(), 10);
	cr_assert_eq(edge_sweep(THEN + FL_NAT_TCP_CLOSED_S + 1), 0);
	send_packets("a port that was given back", "SsA", 1);
	cr_assert_eq(edge_nat_used(1, IPPROTO_TCP), 6);
	edge_check_sum();
}

/** Remove one entry of a connection behind the programs' back. */
static void remove_entry(uint8_t dir)
{
	struct fl_flow key, *previous = NULL;
	struct fl_nat_entry entry;
	int fd = edge_nat_table(0);

	while (!bpf_map_get_next_key(fd, previous, &key)) {
		previous = &key;
		if (!bpf_map_lookup_elem(fd, &key, &entry) && entry.dir == dir)
			break;
	}
	cr_assert_eq(bpf_map_delete_elem(fd, &key), 0);
	close(fd);
}

/** An entry without its twin goes when it has been silent for 10 s, not before. */
Test(nat_sweep, orphans)
{
	edge_open(NULL);
	edge_world();
	send_packets("no forward entry", "SsA", 1);
	remove_entry(0);
	set_seen(0, THEN, THEN);
	cr_assert_eq(edge_sweep(THEN + 9), 0);
	cr_assert_eq(edge_sweep(THEN + 10), 1);
	cr_assert_eq(edge_nat_entries(), 0);
	cr_assert_eq(edge_nat_used(1, IPPROTO_TCP), 0);

	send_packets("no reply entry", "SsA", 1);
	remove_entry(FL_NAT_REPLY);
	set_seen(0, THEN, THEN);
	cr_assert_eq(edge_sweep(THEN + 9), 0);
	cr_assert_eq(edge_sweep(THEN + 10), 1);
	cr_assert_eq(edge_nat_entries(), 0);
	edge_check_sum();
}

/** Put a new table before the others, as the agent does when one fills up. */
static void grow(void)
{
	LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_NO_PREALLOC);
	int nat = bpf_map__fd(edge->maps.fl_nat), old = edge_nat_table(0);
	int fd = bpf_map_create(BPF_MAP_TYPE_HASH, "newest", sizeof(struct fl_flow),
		sizeof(struct fl_nat_entry), 1000, &options);
	uint32_t zero = 0, one = 1;

	cr_assert_eq(bpf_map_update_elem(nat, &one, &old, 0), 0);
	cr_assert_eq(bpf_map_update_elem(nat, &zero, &fd, 0), 0);
	close(old);
	close(fd);
}

/** A flow in an older table is found there, and freed there. */
Test(nat_sweep, generations)
{
	struct fl_flow key;
	int fd;

	edge_open(NULL);
	edge_world();
	send_packets("older", "SsA", 1);
	grow();
	send_packets("newer", "SsA", 2);
	send_packets("older goes on", "A", 1);
	send_packets("older is reset and opens again where it was", "RSsA", 1);
	cr_assert_eq(edge_nat_entries(), 4);
	set_seen(0, THEN + 1, THEN + 1);
	set_seen(1, THEN, THEN);
	cr_assert_eq(edge_sweep(THEN + FL_NAT_TCP_ESTABLISHED_S + 1), 1);
	fd = edge_nat_table(1);
	cr_assert_neq(bpf_map_get_next_key(fd, NULL, &key), 0, "not freed there");
	close(fd);
	cr_assert_eq(edge_nat_entries(), 2);
	cr_assert_eq(edge_nat_used(1, IPPROTO_TCP), 1);
	edge_check_sum();
}

/** The two entries of a connection may lie in different tables. */
Test(nat_sweep, split_between_generations)
{
	struct fl_flow key, *previous = NULL;
	struct fl_nat_entry entry;
	int old, fd;

	edge_open(NULL);
	edge_world();
	send_packets("split", "SsA", 1);
	grow();
	old = edge_nat_table(1);
	fd = edge_nat_table(0);
	while (!bpf_map_get_next_key(old, previous, &key)) {
		previous = &key;
		cr_assert_eq(bpf_map_lookup_elem(old, &key, &entry), 0);
		if (entry.dir == 0)
			break;
	}
	cr_assert_eq(bpf_map_update_elem(fd, &key, &entry, BPF_NOEXIST), 0);
	cr_assert_eq(bpf_map_delete_elem(old, &key), 0);
	send_packets("goes on", "A", 1);
	set_seen(0, THEN, THEN);
	set_seen(1, THEN, THEN);
	cr_assert_eq(edge_sweep(THEN + FL_NAT_TCP_ESTABLISHED_S), 0);
	cr_assert_eq(edge_sweep(THEN + FL_NAT_TCP_ESTABLISHED_S + 1), 1);
	cr_assert_eq(edge_nat_entries(), 0);
	close(old);
	close(fd);
	edge_check_sum();
}

/** Is the timer armed by `start_sweep`, and again by an agent that comes later? */
Test(nat_sweep, timer)
{
	LIBBPF_OPTS(bpf_test_run_opts, options);
	int i;

	edge_open(NULL);
	for (i = 0; i < 2; i++) {
		cr_assert_eq(
			bpf_prog_test_run_opts(bpf_program__fd(edge->progs.start_sweep), &options),
			0, "start_sweep: %m");
		cr_assert_eq(options.retval, 0, "start_sweep answers %d", (int)options.retval);
	}
}

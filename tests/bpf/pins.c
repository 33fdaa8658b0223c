/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <criterion/criterion.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "fairlead/slot.h"
#include "lib/edge.h"
#include "bpf/xdp_edge.skel.h"

/*
 * Slots that move, and the pins of their flows: what fairlead/slot.h decides is
 * carried out in the maps. The model test shows that the rules are right; here
 * each of them is seen to do what it says.
 */
TestSuite(pins, .timeout = 600);

enum { NOW = 2, BEFORE = 1, OTHER = 3 };

static void world(enum fl_udp udp)
{
	edge_world();
	edge_service(1, FL_IPIP);
	edge_udp(1, udp);
}

/** One flow, by its source port. Its family is IPv4 below 60000. */
static struct packet flow(uint16_t sport, uint8_t flags)
{
	if (sport >= 60000)
		return (struct packet){ .src = CLIENT_A6,
			.dst = VIP_WEB6,
			.sport = sport,
			.dport = flags ? 80 : 53,
			.flags = flags };
	return (struct packet){ .src = CLIENT_A,
		.dst = VIP_WEB,
		.sport = sport,
		.dport = flags ? 80 : 53,
		.flags = flags };
}

static struct fl_flow key_of(const struct packet *packet)
{
	struct fl_flow key = { .sport = htons(packet->sport),
		.dport = htons(packet->dport),
		.proto = packet->flags ? IPPROTO_TCP : IPPROTO_UDP };
	bool ipv6 = strchr(packet->src, ':');

	if (ipv6) {
		inet_pton(AF_INET6, packet->src, &key.saddr);
		inet_pton(AF_INET6, packet->dst, &key.daddr);
		return key;
	}
	key.saddr.word[2] = key.daddr.word[2] = htonl(0xffff);
	inet_pton(AF_INET, packet->src, &key.saddr.word[3]);
	inet_pton(AF_INET, packet->dst, &key.daddr.word[3]);
	return key;
}

/** Send it. @return the endpoint it went to; 0 = it was dropped for lack of one */
static uint32_t send_packet(const char *row, const struct packet *packet)
{
	struct outcome outcome;
	struct frame in;
	uint8_t last;

	packet_build(packet, &in);
	edge_run_from(EDGE_LO, row, &in, &outcome);
	if (outcome.reason == FL_DROP_NO_ENDPOINT)
		return 0;
	cr_assert_eq(outcome.reason, FL_SENT, "%s: %s", row, edge_reason_name(outcome.reason));
	if (strchr(packet->src, ':')) {
		last = outcome.out.bytes[14 + 39]; /* ENDPOINT_n_6 ends in 0x10 + n */
		return last - 0x10u;
	}
	last = outcome.out.bytes[14 + 19]; /* ENDPOINT_n ends in 10 + n */
	return last - 10u;
}

static uint32_t send_flow(const char *row, uint16_t sport, uint8_t flags)
{
	struct packet packet = flow(sport, flags);

	return send_packet(row, &packet);
}

static int pins_fd(void)
{
	return bpf_map__fd(edge->maps.fl_pins);
}

static int opening_fd(void)
{
	return bpf_map__fd(edge->maps.fl_opening);
}

static bool find_pin(int fd, uint16_t sport, uint8_t flags, struct fl_pin *ret)
{
	struct packet packet = flow(sport, flags);
	struct fl_flow key = key_of(&packet);
	struct fl_pin pin;

	return bpf_map_lookup_elem(fd, &key, ret ? ret : &pin) == 0;
}

static void set_pin(int fd, uint16_t sport, uint8_t flags, const struct fl_pin *pin)
{
	struct packet packet = flow(sport, flags);
	struct fl_flow key = key_of(&packet);

	cr_assert_eq(bpf_map_update_elem(fd, &key, pin, BPF_ANY), 0, "%m");
}

static struct fl_pressure_row pressure(void)
{
	struct fl_pressure_row row;
	uint32_t zero = 0;

	cr_assert_eq(bpf_map_lookup_elem(bpf_map__fd(edge->maps.fl_pressure), &zero, &row), 0);
	return row;
}

static void set_pressure(const struct fl_pressure_row *row)
{
	uint32_t zero = 0;

	cr_assert_eq(bpf_map_update_elem(bpf_map__fd(edge->maps.fl_pressure), &zero, row, 0), 0);
}

static uint32_t entries(int fd)
{
	struct fl_flow key, *previous = NULL;
	uint32_t count = 0;

	while (!bpf_map_get_next_key(fd, previous, &key)) {
		previous = &key;
		count++;
	}
	return count;
}

static fl_slot moving(void)
{
	return fl_slot_moving(NOW, BEFORE, fl_clock_boot_s() - 100);
}

/** The slot of a flow, as it is. */
static fl_slot slot_of(uint16_t sport, uint8_t flags)
{
	struct packet packet = flow(sport, flags);
	struct fl_explanation answer;
	struct frame in;
	int action;

	packet_build(&packet, &in);
	edge_explain(&in, &answer, &action);
	return answer.value;
}

Test(pins, settled)
{
	edge_open(NULL);
	world(FL_UDP_KEEP);
	cr_assert_eq(send_flow("settled", 1, SYN), BEFORE);
	cr_assert_eq(send_flow("settled", 1, ACK), BEFORE);
	cr_assert_eq(send_flow("settled", 1, 0), BEFORE);
	cr_assert_eq(entries(pins_fd()) + entries(opening_fd()), 0, "a slot at rest made a pin");
	edge_check_sum();
}

/** A flow that was there before stays where it was, and is remembered. */
Test(pins, old_flow)
{
	uint32_t second = fl_clock_boot_s();
	struct fl_pin pin;

	edge_open(NULL);
	world(FL_UDP_KEEP);
	edge_slots(1, FL_IPV4, moving());
	cr_assert_eq(send_flow("old flow", 1, ACK), BEFORE);
	cr_assert(find_pin(pins_fd(), 1, ACK, &pin));
	cr_assert_eq(pin.endpoint, BEFORE);
	cr_assert_eq(pin.service, 1);
	cr_assert_eq(pin.family, FL_IPV4);
	cr_assert_eq(pin.old, 1);
	cr_assert_eq(pin.proven, 1);
	cr_assert_geq(pin.seen, second);
	cr_assert_eq(pressure().old_pins, 1);

	pin.seen -= 100;
	set_pin(pins_fd(), 1, ACK, &pin);
	cr_assert_eq(send_flow("says goodbye", 1, FIN | ACK), BEFORE);
	cr_assert(find_pin(pins_fd(), 1, ACK, &pin));
	cr_assert_geq(pin.seen, second, "not refreshed");
	cr_assert_eq(pin.closing, 1);
	cr_assert_eq(send_flow("but goes on", 1, ACK), BEFORE);
	cr_assert(find_pin(pins_fd(), 1, ACK, &pin));
	cr_assert_eq(pin.closing, 0);

	cr_assert_eq(send_flow("RST without pin", 2, RST), BEFORE);
	cr_assert_not(find_pin(pins_fd(), 2, ACK, NULL), "RST made a pin");
	cr_assert_eq(pressure().old_pins, 1);
	/* The other direction may go on, and the slot be held before it does. */
	cr_assert_eq(send_flow("FIN without pin", 3, FIN | ACK), BEFORE);
	cr_assert(find_pin(pins_fd(), 3, ACK, &pin));
	cr_assert_eq(pin.closing, 1);

	/* The slot changes once more: the pin decides, not `before`. */
	edge_slots(1, FL_IPV4, fl_slot_moving(OTHER, NOW, second));
	cr_assert_eq(send_flow("pinned", 1, ACK), BEFORE);
	edge_check_sum();
}

/** A new flow goes to `now`; its pin waits in `opening` until it proves itself. */
Test(pins, new_flow)
{
	static const uint16_t sports[] = { 1, 60001 };
	struct fl_pin pin;
	size_t i;

	edge_open(NULL);
	world(FL_UDP_KEEP);
	edge_slots(1, FL_IPV4, moving());
	edge_slots(1, FL_IPV6, fl_slot_moving(5, 4, 1));
	for (i = 0; i < 2; i++) {
		uint16_t sport = sports[i];
		uint32_t now = sport == 1 ? NOW : 5 - 3;

		cr_assert_eq(send_flow("new flow", sport, SYN), now);
		cr_assert(find_pin(opening_fd(), sport, SYN, &pin));
		cr_assert_eq(pin.proven, 0);
		cr_assert_eq(pin.old, 0);
		cr_assert_eq(pin.family, sport == 1 ? FL_IPV4 : FL_IPV6);
		cr_assert_not(find_pin(pins_fd(), sport, SYN, NULL));
		cr_assert_eq(send_flow("SYN again", sport, SYN), now);
		cr_assert(find_pin(opening_fd(), sport, SYN, NULL));
		cr_assert_eq(send_flow("proves itself", sport, ACK), now);
		cr_assert_not(find_pin(opening_fd(), sport, SYN, NULL), "left behind");
		cr_assert(find_pin(pins_fd(), sport, SYN, &pin));
		cr_assert_eq(pin.proven, 1);
	}
	cr_assert_eq(pressure().openings, 2);
	cr_assert_eq(pressure().old_pins, 0);
	edge_check_sum();
}

/** Pins at an endpoint that takes no flows any more. */
Test(pins, replaced)
{
	uint32_t second = fl_clock_boot_s();
	struct fl_pin pin;

	edge_open(NULL);
	world(FL_UDP_KEEP);
	edge_slots(1, FL_IPV4, moving());
	cr_assert_eq(send_flow("old flow", 1, ACK), BEFORE);
	edge_state(BEFORE, FL_DRAINING);
	cr_assert_eq(send_flow("draining keeps it", 1, ACK), BEFORE);
	cr_assert_eq(send_flow("SYN repeated", 1, SYN), BEFORE);
	cr_assert(find_pin(pins_fd(), 1, SYN, &pin));
	pin.seen = second - 10;
	set_pin(pins_fd(), 1, SYN, &pin);
	cr_assert_eq(send_flow("the port is used again", 1, SYN), NOW);
	cr_assert(find_pin(pins_fd(), 1, SYN, &pin));
	cr_assert_eq(pin.endpoint, NOW);
	cr_assert_eq(pin.proven, 0);

	cr_assert_eq(send_flow("another old flow", 2, ACK), BEFORE);
	edge_state(BEFORE, FL_DOWN);
	cr_assert_eq(send_flow("its endpoint is down", 2, ACK), NOW);
	cr_assert(find_pin(pins_fd(), 2, ACK, &pin));
	cr_assert_eq(pin.endpoint, NOW);
	cr_assert_eq(send_flow("no pin, before is down", 3, ACK), NOW);
	edge_state(NOW, FL_MAINTENANCE);
	cr_assert_eq(send_flow("nobody is left", 3, ACK), 0);
	cr_assert_eq(send_flow("nobody is left", 4, SYN), 0);

	/* The same in `opening`. */
	world(FL_UDP_KEEP);
	edge_slots(1, FL_IPV4, moving());
	cr_assert_eq(send_flow("new flow", 5, SYN), NOW);
	edge_slots(1, FL_IPV4, fl_slot_moving(OTHER, BEFORE, second));
	edge_state(NOW, FL_DOWN);
	cr_assert_eq(send_flow("its endpoint is down", 5, SYN), OTHER);
	cr_assert(find_pin(opening_fd(), 5, SYN, &pin));
	cr_assert_eq(pin.endpoint, OTHER);
	cr_assert_not(find_pin(pins_fd(), 5, SYN, NULL));
	edge_check_sum();
}

/** The frontend belonged to another service when the pin was made. */
Test(pins, of_another_service)
{
	struct fl_pin pin = { .endpoint = OTHER, .service = 2, .proven = 1 };

	edge_open(NULL);
	world(FL_UDP_KEEP);
	pin.seen = fl_clock_boot_s();
	edge_slots(1, FL_IPV4, moving());
	set_pin(pins_fd(), 1, ACK, &pin);
	cr_assert_eq(send_flow("RST", 1, RST), NOW);
	cr_assert(find_pin(pins_fd(), 1, ACK, &pin));
	cr_assert_eq(pin.endpoint, OTHER, "RST leaves no trace");
	cr_assert_eq(send_flow("data", 1, ACK), NOW, "it binds nobody any more");
	cr_assert(find_pin(pins_fd(), 1, ACK, &pin));
	cr_assert_eq(pin.endpoint, NOW);
	cr_assert_eq(pin.service, 1);
	edge_check_sum();
}

/** A held slot obeys pins and makes none. */
Test(pins, held)
{
	struct fl_pin pin = { .endpoint = OTHER, .service = 1, .proven = 1 };

	edge_open(NULL);
	world(FL_UDP_KEEP);
	pin.seen = fl_clock_boot_s();
	edge_slots(1, FL_IPV4, fl_slot_moving(NOW, NOW, pin.seen - 100));
	set_pin(pins_fd(), 1, ACK, &pin);
	cr_assert_eq(send_flow("pinned elsewhere", 1, ACK), OTHER);
	cr_assert_eq(send_flow("no pin", 2, ACK), NOW);
	cr_assert_eq(send_flow("no pin", 3, SYN), NOW);
	cr_assert_eq(entries(pins_fd()), 1);
	cr_assert_eq(entries(opening_fd()), 0);
	edge_check_sum();
}

/** While the size changes, who has no pin is where the old table had `before`. */
Test(pins, resized)
{
	uint32_t second = fl_clock_boot_s();
	struct fl_pin pin;

	edge_open(NULL);
	world(FL_UDP_KEEP);
	edge_slots(1, FL_IPV4, fl_slot_resized(NOW, second));
	edge_old_slots(1, FL_IPV4, fl_slot_settled(BEFORE));
	cr_assert_eq(send_flow("old flow", 1, ACK), BEFORE);
	cr_assert(find_pin(pins_fd(), 1, ACK, &pin));
	cr_assert_eq(pin.endpoint, BEFORE);
	cr_assert_eq(send_flow("new flow", 2, SYN), NOW);
	cr_assert(find_pin(opening_fd(), 2, SYN, NULL));
	edge_old_slots(1, FL_IPV4, fl_slot_settled(NOW));
	cr_assert_eq(send_flow("it was there before, too", 3, ACK), NOW);
	cr_assert_not(find_pin(pins_fd(), 3, ACK, NULL), "everybody agrees, yet it was pinned");
	edge_old_slots(1, FL_IPV4, 0);
	cr_assert_eq(send_flow("no old table", 4, ACK), NOW);
	edge_check_sum();
}

/* The first bytes of QUIC packets. */
#define INITIAL_V1 0xc000
#define ZERORTT_V1 0xd000
#define HANDSHAKE  0xe000
#define SHORT      0x4000

Test(pins, udp)
{
	static const struct {
		const char *name;
		enum fl_udp udp;
		uint16_t first_word;
		uint32_t endpoint;
		bool pinned, opening;
	} rows[] = {
		{ "keep", FL_UDP_KEEP, 0, BEFORE, true, false },
		{ "move", FL_UDP_MOVE, 0, NOW, false, false },
		{ "quic: a short header", FL_UDP_QUIC, SHORT, BEFORE, true, false },
		{ "quic: a handshake", FL_UDP_QUIC, HANDSHAKE, BEFORE, true, false },
		{ "quic: an initial packet", FL_UDP_QUIC, INITIAL_V1, NOW, false, true },
		{ "quic: 0-RTT", FL_UDP_QUIC, ZERORTT_V1, NOW, false, true },
	};
	uint16_t i;

	edge_open(NULL);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct packet packet = flow((uint16_t)(i + 1), 0);

		world(rows[i].udp);
		edge_slots(1, FL_IPV4, moving());
		packet.first_word = rows[i].first_word;
		cr_assert_eq(
			send_packet(rows[i].name, &packet), rows[i].endpoint, "%s", rows[i].name);
		cr_assert_eq(find_pin(pins_fd(), packet.sport, 0, NULL), rows[i].pinned, "%s",
			rows[i].name);
		cr_assert_eq(find_pin(opening_fd(), packet.sport, 0, NULL), rows[i].opening, "%s",
			rows[i].name);
		cr_assert_eq(send_packet(rows[i].name, &packet), rows[i].endpoint, "%s again",
			rows[i].name);
	}
	edge_check_sum();
}

/** Fragments and explain ask where a flow is, and leave no trace. */
Test(pins, traceless)
{
	struct packet packet = flow(1, ACK);
	struct fl_explanation answer;
	struct frame in;
	int action;

	edge_open(NULL);
	world(FL_UDP_KEEP);
	edge_slots(1, FL_IPV4, moving());
	packet.fragment = 0x2000;
	cr_assert_eq(send_packet("fragment", &packet), BEFORE);
	packet = flow(1, SYN);
	packet_build(&packet, &in);
	edge_explain(&in, &answer, &action);
	cr_assert_eq(answer.endpoint, NOW);
	cr_assert_eq(answer.moving, 1);
	cr_assert_eq(answer.pinned, 0);
	cr_assert_eq(entries(pins_fd()) + entries(opening_fd()), 0);
	cr_assert_eq(send_flow("new flow", 1, SYN), NOW);
	packet = flow(1, ACK);
	packet_build(&packet, &in);
	edge_explain(&in, &answer, &action);
	cr_assert_eq(answer.endpoint, NOW);
	cr_assert_eq(answer.pinned, 1);
	cr_assert(find_pin(opening_fd(), 1, SYN, NULL), "explain promoted a pin");
	edge_check_sum();
}

/** No room for another old flow: it stays at `before`, and so must the slot. */
Test(pins, lost)
{
	struct fl_pressure_row row = { .old_pins = FL_PINS_MAX / 2 };
	uint32_t second = fl_clock_boot_s();
	fl_slot slot;

	edge_open(NULL);
	world(FL_UDP_KEEP);
	edge_slots(1, FL_IPV4, moving());
	set_pressure(&row);
	cr_assert_eq(send_flow("no room", 1, ACK), BEFORE);
	cr_assert_eq(entries(pins_fd()), 0);
	cr_assert_eq(pressure().refused, 1);
	cr_assert_eq(pressure().postponed, 1);
	slot = slot_of(1, ACK);
	cr_assert_eq(fl_slot_now(slot), NOW);
	cr_assert_eq(fl_slot_before(slot), BEFORE);
	cr_assert_geq(fl_slot_age(slot, second), -60);
	cr_assert_leq(fl_slot_age(slot, second), 0, "the slot was not told of its loss");
	cr_assert_eq(send_flow("new flows are not concerned", 2, SYN), NOW);
	cr_assert_eq(pressure().refused, 1);
	edge_check_sum();
}

/** Too many openings: they go to `before`, where they need no pin. */
Test(pins, pressure)
{
	struct fl_pressure_row row = { 0 };
	struct fl_edge_conf conf = {
		.nat_port_min = 1024, .nat_port_max = 32767, .opening_limit = 10
	};
	uint16_t sport;
	uint32_t now = 0;

	edge_open(&conf);
	world(FL_UDP_KEEP);
	edge_slots(1, FL_IPV4, moving());
	for (sport = 1; sport <= 400 && entries(opening_fd()) < 200; sport++) {
		uint32_t endpoint = send_flow("flood", sport, SYN);

		if (endpoint == NOW)
			now++;
		else
			cr_assert_eq(endpoint, BEFORE);
	}
	/* Windows may have passed meanwhile: 11 in each, and the next has 11 behind it. */
	cr_assert_eq(entries(opening_fd()), now);
	cr_assert_gt(pressure().refused, 0, "no opening was refused");
	cr_assert_eq(pressure().refused, 400 - now);

	row.failed = fl_clock_boot_s() + 3600; /* a failed insert, not yet forgotten */
	set_pressure(&row);
	cr_assert_eq(send_flow("after a failed insert", 1000, SYN), BEFORE);
	edge_state(BEFORE, FL_DRAINING);
	cr_assert_eq(send_flow("before takes no new flow", 1001, SYN), NOW);
	edge_check_sum();
}

/** `pins` is full: an old flow stays at `before`, a new one in `opening`. */
Test(pins, full)
{
	struct fl_pressure_row row;
	struct fl_pin pin;
	uint16_t sport;

	edge_pins_max = 8;
	edge_open(NULL);
	world(FL_UDP_KEEP);
	edge_slots(1, FL_IPV4, moving());
	for (sport = 1; sport <= 8; sport++)
		cr_assert_eq(send_flow("fills it", sport, ACK), BEFORE);
	cr_assert_eq(entries(pins_fd()), 8);
	cr_assert_eq(send_flow("one too many", 9, ACK), BEFORE);
	cr_assert_eq(pressure().refused, 1);
	cr_assert_eq(pressure().old_pins, 8);
	cr_assert_eq(send_flow("a new flow could not be promoted either", 11, SYN), BEFORE);
	row = pressure();
	row.failed = 0; /* some time passes */
	row.refused = 1;
	set_pressure(&row);
	cr_assert_eq(send_flow("new flow", 10, SYN), NOW);
	cr_assert_eq(send_flow("cannot be promoted", 10, ACK), NOW);
	cr_assert(find_pin(opening_fd(), 10, SYN, &pin));
	cr_assert_eq(pin.proven, 1);
	cr_assert_eq(pressure().refused, 2);
	edge_state(BEFORE, FL_DOWN);
	cr_assert_eq(send_flow("a pin can be replaced all the same", 1, ACK), NOW);
	cr_assert(find_pin(pins_fd(), 1, ACK, &pin));
	cr_assert_eq(pin.endpoint, NOW);
	edge_check_sum();
}

/* Two CPUs meet the same flows. */
#define RACES 300

static void *meet(void *context)
{
	struct frame in, out;
	uint16_t i;

	(void)context;
	for (i = 0; i < RACES; i++) {
		struct packet packet = flow((uint16_t)(1 + i), ACK);
		LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = in.bytes, .data_out = out.bytes,
			.data_size_out = sizeof(out.bytes));

		packet_build(&packet, &in);
		options.data_size_in = in.length;
		bpf_prog_test_run_opts(bpf_program__fd(edge->progs.edge), &options);
	}
	return NULL;
}

Test(pins, races)
{
	pthread_t threads[2];
	int i;

	edge_open(NULL);
	world(FL_UDP_KEEP);
	edge_slots(1, FL_IPV4, moving());
	for (i = 0; i < 2; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, meet, NULL), 0);
	for (i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	cr_assert_eq(entries(pins_fd()), RACES);
	cr_assert_eq(pressure().old_pins, RACES, "a pin was counted twice, or not at all");
	cr_assert_eq(edge_endpoint_stats(BEFORE).packets, 2 * RACES);
}

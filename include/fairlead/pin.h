/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#pragma once

#include <linux/types.h>

#include "fairlead/abi.h"

/**
 * @file pin.h
 * One pin: what is written into it, how it ages; and the pressure that keeps
 * floods of pins from breaking flows. Part of the rules in slot.h.
 *
 * A second is one of CLOCK_BOOTTIME, cut; two clocks may differ by one, so ages
 * can be negative.
 */

#define fl_inline static inline __attribute__((always_inline))

/* The clocks: the model test shrinks two of them. */

/** A proven pin unseen for longer belongs to no duplicate of a packet any more. */
#ifndef FL_PIN_DUPLICATE_S
#define FL_PIN_DUPLICATE_S 5
#endif
/** As long as a TCP client repeats its SYN; nothing half-open or half-closed is
 * kept for longer. */
#ifndef FL_PIN_HANDSHAKE_S
#define FL_PIN_HANDSHAKE_S 64
#endif

/**
 * Seconds, as differences of cut ones, after which no packet is under way any
 * more that read a slot, a pin or a state before: it takes less than a real one.
 */
#define FL_GRACE_S 2

/** What a packet means to slots and pins. */
enum fl_packet {
	FL_PACKET_OPEN,  /**< SYN without ACK; QUIC Initial or 0-RTT where the service says so */
	FL_PACKET_DATA,  /**< any other of a flow that shows its opening */
	FL_PACKET_FIN,   /**< DATA that ends one direction: the other may go on for long */
	FL_PACKET_RST,   /**< ends the flow */
	FL_PACKET_UDP,   /**< `udp: keep`: old and new flows look alike */
	FL_PACKET_LOOSE, /**< `udp: move`: wants no memory */
	FL_PACKET_QUOTE, /**< asks where a flow is and leaves no trace: ICMP errors, fragments */
};

/** @param flags the byte of the TCP header: FIN 1, SYN 2, RST 4, ACK 16 */
fl_inline enum fl_packet fl_packet_of_tcp(__u8 flags)
{
	if (flags & 4)
		return FL_PACKET_RST;
	if ((flags & (2 | 16)) == 2)
		return FL_PACKET_OPEN;
	return flags & 1 ? FL_PACKET_FIN : FL_PACKET_DATA;
}

/** @param udp   the service's policy, enum fl_udp
 *  @param opens it is a QUIC Initial or 0-RTT packet; asked only where udp is FL_UDP_QUIC */
fl_inline enum fl_packet fl_packet_of_udp(__u8 udp, int opens)
{
	if (udp == FL_UDP_MOVE)
		return FL_PACKET_LOOSE;
	if (udp == FL_UDP_KEEP)
		return FL_PACKET_UDP;
	return opens ? FL_PACKET_OPEN : FL_PACKET_DATA;
}

/** A state that takes old flows; only FL_UP takes new ones. */
fl_inline int fl_state_takes_old(__u8 state)
{
	return state == FL_UP || state == FL_DRAINING;
}

/* ------------------------------------------------------------------ pins */

/** Seconds since a packet of the flow was seen. */
fl_inline __s32 fl_pin_age(const struct fl_pin *pin, __u32 second)
{
	return (__s32)(second - pin->seen);
}

fl_inline int fl_packet_is_closing(enum fl_packet packet)
{
	return packet == FL_PACKET_FIN || packet == FL_PACKET_RST;
}

/** What a packet that obeys a pin, or makes one, leaves in it. Writes only what
 * differs: the pin is shared between CPUs. */
fl_inline void fl_pin_touch(struct fl_pin *pin, enum fl_packet packet, __u32 second)
{
	__u8 closing = fl_packet_is_closing(packet);

	if (pin->seen != second)
		pin->seen = second;
	if (packet != FL_PACKET_OPEN && !pin->proven)
		pin->proven = 1;
	if (pin->closing != closing)
		pin->closing = closing;
}

/** Fill a new pin, or one that is pointed elsewhere.
 * @param old  it is counted in fl_pressure_row.old_pins */
fl_inline void fl_pin_init(struct fl_pin *pin, __u32 endpoint, __u32 service, __u32 hash,
	__u8 family, __u8 old, enum fl_packet packet, __u32 second)
{
	*pin = (struct fl_pin){ .endpoint = endpoint,
		.seen = second,
		.service = service,
		.hash = hash,
		.proven = packet != FL_PACKET_OPEN,
		.closing = fl_packet_is_closing(packet),
		.old = old,
		.family = family };
}

/** Whether its flow has been silent for longer than is promised: `keep_s`, or a
 * handshake while it is half-open or half-closed. */
fl_inline int fl_pin_is_expired(const struct fl_pin *pin, __u32 keep_s, __u32 second)
{
	__u32 limit = keep_s;

	if ((!pin->proven || pin->closing) && limit > FL_PIN_HANDSHAKE_S)
		limit = FL_PIN_HANDSHAKE_S;
	return fl_pin_age(pin, second) >= (__s32)limit + FL_GRACE_S;
}

/** Whether an opening that finds this pin cannot be a repetition of the one that
 * made it: the client has taken the same port for a new flow. */
fl_inline int fl_pin_is_reused(const struct fl_pin *pin, __u32 second)
{
	__s32 limit = pin->proven ? FL_PIN_DUPLICATE_S : FL_PIN_HANDSHAKE_S;

	return fl_pin_age(pin, second) > limit;
}

/* -------------------------------------------------------------- pressure
 *
 * A flood of openings into moving slots would push the pins of honest clients
 * out of `opening` before they are proven. So its inserts are counted, and
 * under pressure openings get no pin (fl_slot_decide). A count that is off by
 * what other CPUs add at the turn of a window does no harm.
 */

/** Count one insert into `opening`, made or about to be made. */
fl_inline void fl_pressure_count(struct fl_pressure_row *row, __u32 second)
{
	__u32 window = second / FL_PRESSURE_WINDOW_S;
	__u32 found = row->window;

	if ((__s32)(window - found) > 0 &&
		__sync_val_compare_and_swap(&row->window, found, window) == found) {
		row->openings_last = found + 1 == window ? row->openings : 0;
		row->openings = 0;
	}
	__sync_fetch_and_add(&row->openings, 1);
}

/** @param limit inserts in one window that are too many: half of the cells of `opening` */
fl_inline int fl_pressure_is_high(const struct fl_pressure_row *row, __u32 second, __u32 limit)
{
	__u32 window = second / FL_PRESSURE_WINDOW_S;

	if (row->failed && (__s32)(second - row->failed) < FL_PRESSURE_WINDOW_S)
		return 1;
	if (row->window == window)
		return row->openings > limit || row->openings_last > limit;
	return row->window + 1 == window && row->openings > limit;
}

/** Whether flows older than the change, and UDP, may make another pin: they may
 * take half of `pins`, so that promoted openings always find room. */
fl_inline int fl_pressure_has_old_room(const struct fl_pressure_row *row)
{
	return row->old_pins < FL_PINS_MAX / 2;
}

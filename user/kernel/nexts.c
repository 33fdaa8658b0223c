/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "kernel/nexts.h"

#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "kernel/fib.h"

struct fl_nexts {
	uv_loop_t *loop;
	struct fl_netlink *netlink;
	struct fl_nexts_hooks hooks;
	uv_timer_t patience; /**< until the first of them is due */
	struct fl_next *by_key;
	struct fl_next *touched;
	size_t kept;
};

static void patience_fire(uv_timer_t *timer);

struct fl_nexts *fl_nexts_new(
	uv_loop_t *loop, struct fl_netlink *netlink, const struct fl_nexts_hooks *hooks)
{
	struct fl_nexts *nexts = calloc(1, sizeof(*nexts));

	if (!nexts)
		return NULL;
	nexts->loop = loop;
	nexts->netlink = netlink;
	nexts->hooks = *hooks;
	uv_timer_init(loop, &nexts->patience);
	nexts->patience.data = nexts;
	return nexts;
}

static void next_free(struct fl_nexts *nexts, struct fl_next *n)
{
	if (n->touched)
		DL_DELETE(nexts->touched, n);
	HASH_DELETE(hh, nexts->by_key, n);
	free(n);
}

static void patience_closed(uv_handle_t *handle)
{
	struct fl_nexts *nexts = handle->data;
	struct fl_next *n, *following;

	HASH_ITER(hh, nexts->by_key, n, following) {
		next_free(nexts, n);
	}
	free(nexts);
}

void fl_nexts_close(struct fl_nexts *nexts)
{
	if (nexts)
		uv_close((uv_handle_t *)&nexts->patience, patience_closed);
}

/* --------------------------------------------------------------- looking */

static void wait_until(struct fl_nexts *nexts, uint64_t due_ms)
{
	uint64_t now = uv_now(nexts->loop), wait = due_ms > now ? due_ms - now : 0;

	if (!due_ms)
		return;
	/* Whole seconds, so that many neighbours share few wake-ups; what is due
	 * sooner is rare and urgent. */
	if (wait >= 1000)
		wait = (wait + 999) / 1000 * 1000;
	if (!uv_is_active((uv_handle_t *)&nexts->patience) ||
		uv_timer_get_due_in(&nexts->patience) > wait)
		uv_timer_start(&nexts->patience, patience_fire, wait, 0);
}

static void say(const struct fl_next *n)
{
	bool lost = n->state.belief == FL_NEIGHBOUR_LOST;
	char text[FL_IP_TEXT], name[IF_NAMESIZE];

	fl_log(lost ? FL_LOG_WARNING : FL_LOG_DEBUG, "routes",
		lost ? "neighbour does not answer" : "neighbour is known",
		FL_STR("neighbour", fl_ip_format(&n->key.addr, text)),
		FL_STR("interface", if_indextoname(n->key.ifindex, name) ? name : "?"));
}

static void probe(const struct fl_nexts *nexts, const struct fl_next *n)
{
	int code = fl_fib_probe(nexts->netlink, n->key.ifindex, &n->key.addr);
	char text[FL_IP_TEXT];

	/* ENODEV, ENETDOWN: the device went, and its notification is on the way. */
	if (code < 0 && code != -ENODEV && code != -ENETDOWN)
		fl_log(FL_LOG_WARNING, "routes", "cannot make the kernel resolve a neighbour",
			FL_STR("neighbour", fl_ip_format(&n->key.addr, text)), FL_ERR(code));
}

/** Read the kernel's entry and act on it. @return whether its MAC or use changed */
static bool look(struct fl_nexts *nexts, struct fl_next *n)
{
	uint64_t now = uv_now(nexts->loop);
	unsigned actions;
	uint8_t mac[6];
	uint16_t nud;
	bool has_mac;

	if (fl_fib_neighbour(nexts->netlink, n->key.ifindex, &n->key.addr, &nud, &has_mac, mac) <
		0) {
		/* The device is gone, or no answer: as if there were no entry. */
		nud = 0;
		has_mac = false;
	}
	actions = fl_neighbour_feed(&n->state, nud, has_mac ? mac : NULL, now);
	actions |= fl_neighbour_tick(&n->state, now); /* a stale one may be due at once */
	if (actions & FL_NEIGHBOUR_PROBE)
		probe(nexts, n);
	if (actions & FL_NEIGHBOUR_CHANGED)
		say(n);
	wait_until(nexts, n->state.due_ms);
	return actions & FL_NEIGHBOUR_CHANGED;
}

static void patience_fire(uv_timer_t *timer)
{
	struct fl_nexts *nexts = timer->data;
	struct fl_next *n;

	for (n = nexts->by_key; n; n = n->hh.next) {
		unsigned actions = fl_neighbour_tick(&n->state, uv_now(nexts->loop));

		if (actions & FL_NEIGHBOUR_PROBE)
			probe(nexts, n);
		if ((actions & FL_NEIGHBOUR_LOOK) && look(nexts, n))
			nexts->hooks.changed(nexts->hooks.context, n);
		wait_until(nexts, n->state.due_ms);
	}
}

/* ------------------------------------------------------------- following */

static struct fl_next *find(
	const struct fl_nexts *nexts, uint32_t ifindex, const struct fl_ip *addr)
{
	struct fl_next_key key = { ifindex, *addr };
	struct fl_next *n;

	HASH_FIND(hh, nexts->by_key, &key, sizeof(key), n);
	return n;
}

struct fl_next *fl_nexts_get(struct fl_nexts *nexts, uint32_t ifindex, const struct fl_ip *addr)
{
	struct fl_next *n = find(nexts, ifindex, addr);

	if (n)
		return n;
	n = calloc(1, sizeof(*n));
	if (!n)
		return NULL;
	n->key.ifindex = ifindex;
	n->key.addr = *addr;
	HASH_ADD(hh, nexts->by_key, key, sizeof(n->key), n);
	if (!n->hh.tbl) {
		free(n);
		return NULL;
	}
	nexts->hooks.added(nexts->hooks.context, ifindex);
	look(nexts, n);
	return n;
}

void fl_nexts_put(struct fl_nexts *nexts, struct fl_next *n)
{
	if (!n->destinations && !n->kept)
		next_free(nexts, n);
}

void fl_nexts_keep(struct fl_nexts *nexts, uint32_t ifindex, const struct fl_ip *addr)
{
	struct fl_next *n = find(nexts, ifindex, addr);

	if ((n && n->kept) || nexts->kept == FL_NEXTS_GATEWAYS_MAX)
		return;
	if (!n)
		n = fl_nexts_get(nexts, ifindex, addr);
	if (!n)
		return;
	n->kept = true;
	nexts->kept++;
}

void fl_nexts_device_gone(struct fl_nexts *nexts, uint32_t ifindex)
{
	struct fl_next *n, *following;

	HASH_ITER(hh, nexts->by_key, n, following) {
		if (!n->kept || n->key.ifindex != ifindex)
			continue;
		n->kept = false;
		nexts->kept--;
		fl_nexts_put(nexts, n);
	}
}

static void touch(struct fl_nexts *nexts, struct fl_next *n)
{
	if (n->touched)
		return;
	n->touched = true;
	DL_APPEND(nexts->touched, n);
}

void fl_nexts_touch(struct fl_nexts *nexts, uint32_t ifindex, const struct fl_ip *addr)
{
	struct fl_next *n = find(nexts, ifindex, addr);

	if (n)
		touch(nexts, n);
}

void fl_nexts_touch_all(struct fl_nexts *nexts)
{
	struct fl_next *n;

	for (n = nexts->by_key; n; n = n->hh.next)
		touch(nexts, n);
}

void fl_nexts_look(struct fl_nexts *nexts)
{
	while (nexts->touched) {
		struct fl_next *n = nexts->touched;

		n->touched = false;
		DL_DELETE(nexts->touched, n);
		if (look(nexts, n))
			nexts->hooks.changed(nexts->hooks.context, n);
	}
}

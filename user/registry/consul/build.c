/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "registry/consul/build.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/vec.h"

/* An address of an instance. */
struct candidate {
	struct fl_ip addr;
	uint16_t port;
	const struct fl_consul_endpoint *of;
	const struct fl_consul_health *health;
};
typedef FL_VEC(struct candidate) candidates;

/* "instance web-1 on n1: …; it is left out" */
static void leave_out(const struct candidate *c, const char *file, struct fl_problems *problems,
	const char *format, ...) __attribute__((format(printf, 4, 5)));
static void leave_out(const struct candidate *c, const char *file, struct fl_problems *problems,
	const char *format, ...)
{
	char who[FL_CONSUL_INSTANCE_TEXT];
	char what[256];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(what, sizeof(what), format, arguments);
	va_end(arguments);
	fl_problem_warn(problems, (struct fl_place){ .file = file },
		"instance %s: %s; it is left out",
		fl_consul_instance_show(fl_consul_text(c->health, c->of->id),
			fl_consul_text(c->health, c->of->node), who),
		what);
}

/* ----------------------------------------------------------------- fit or not */

/* Where it would be sent to itself. */
static const struct fl_frontend *own_frontend(
	const struct fl_service *service, const struct candidate *c)
{
	for (size_t i = 0; i < service->frontend_count; i++) {
		const struct fl_frontend *frontend = &service->frontends[i];

		if (!fl_ip_equal(&frontend->addr, &c->addr))
			continue;
		if (service->forward != FL_NAT || !c->port || !frontend->port ||
			c->port == frontend->port)
			return frontend;
	}
	return NULL;
}

/* A tunnel brings packets with the port that the client used: the instance must listen
 * on one that a frontend has. */
static bool is_reached_by_tunnel(const struct fl_service *service, uint16_t port)
{
	for (size_t i = 0; i < service->frontend_count; i++)
		if (!port || !service->frontends[i].port || service->frontends[i].port == port)
			return true;
	return false;
}

static bool fits(const struct fl_service *service, struct candidate *c, const char *file,
	struct fl_problems *problems)
{
	const struct fl_frontend *frontend = own_frontend(service, c);
	char text[FL_SOCKET_TEXT];

	if (frontend) {
		leave_out(c, file, problems, "it is the frontend %s itself",
			fl_frontend_format(frontend, text));
		return false;
	}
	if (service->forward == FL_NAT)
		return true;
	if (!is_reached_by_tunnel(service, c->port)) {
		leave_out(c, file, problems,
			"its port %u is no frontend's, and %s cannot change a port", c->port,
			fl_forward_name(service->forward));
		return false;
	}
	c->port = 0; /* whichever the client used */
	return true;
}

/* ----------------------------------------------------------------- candidates */

/* nat needs a frontend of the endpoint's own family. An address that is one of two is
 * left out in silence: the other one serves. */
static bool has_frontend(const struct fl_service *service, const struct candidate *c,
	const char *file, struct fl_problems *problems)
{
	enum fl_family family = fl_ip_family(&c->addr);
	char text[FL_IP_TEXT];

	if (service->forward != FL_NAT || fl_service_has_family(service, family))
		return true;
	if (!c->of->has[FL_IPV4] || !c->of->has[FL_IPV6])
		leave_out(c, file, problems, "no frontend has the family of its address %s",
			fl_ip_format(&c->addr, text));
	return false;
}

static int collect(const struct fl_service *service, const struct fl_consul_health *health,
	const char *file, struct fl_problems *problems, candidates *ret)
{
	for (size_t i = 0; i < health->endpoints.count; i++) {
		const struct fl_consul_endpoint *of = &health->endpoints.items[i];

		for (enum fl_family family = 0; family < FL_FAMILIES; family++) {
			struct candidate c = { of->addr[family], of->port[family], of, health };
			struct candidate *added;

			if (!of->has[family] || !has_frontend(service, &c, file, problems) ||
				!fits(service, &c, file, problems))
				continue;
			added = fl_vec_push(ret);
			if (!added)
				return -ENOMEM;
			*added = c;
		}
	}
	return 0;
}

static int by_text(const struct candidate *a, const struct candidate *b, uint32_t x, uint32_t y)
{
	const char *first = fl_consul_text(a->health, x);
	const char *second = fl_consul_text(b->health, y);

	return strcmp(first ? first : "", second ? second : "");
}

static int rank_of(const struct candidate *c)
{
	return c->of->state == FL_UP ? 0 : c->of->state == FL_DRAINING ? 1 : 2;
}

/* By address; the better first. */
static int by_address(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;
	int order = fl_ip_compare(&x->addr, &y->addr);

	if (!order)
		order = (int)x->port - (int)y->port;
	if (!order)
		order = rank_of(x) - rank_of(y);
	if (!order)
		order = by_text(x, y, x->of->node, y->of->node);
	return order ? order : by_text(x, y, x->of->id, y->of->id);
}

static bool is_same_socket(const struct candidate *a, const struct candidate *b)
{
	return a->port == b->port && fl_ip_equal(&a->addr, &b->addr);
}

static char *copy_of(const struct candidate *c, uint32_t offset, bool *failed)
{
	const char *text = fl_consul_text(c->health, offset);
	char *copy = text ? strdup(text) : NULL;

	*failed |= text && !copy;
	return copy;
}

static int add(struct fl_service *service, const struct candidate *c)
{
	struct fl_endpoint *endpoint = fl_service_add_endpoint(service);
	bool failed = !endpoint;

	if (failed)
		return -ENOMEM;
	endpoint->addr = c->addr;
	endpoint->port = c->port;
	endpoint->weight = c->of->weight;
	endpoint->state = c->of->state;
	endpoint->zone = copy_of(c, c->of->zone, &failed);
	endpoint->node = copy_of(c, c->of->node, &failed);
	return failed ? -ENOMEM : 0;
}

static int add_all(struct fl_service *service, candidates *list, const char *file,
	struct fl_problems *problems)
{
	const struct candidate *last = NULL;
	int r = 0;

	if (list->count)
		qsort(list->items, list->count, sizeof(*list->items), by_address);
	for (size_t i = 0; i < list->count && r == 0; i++) {
		const struct candidate *c = &list->items[i];
		char text[FL_SOCKET_TEXT];
		char who[FL_CONSUL_INSTANCE_TEXT];

		if (!last || !is_same_socket(last, c)) {
			r = add(service, c);
			last = c;
			continue;
		}
		leave_out(c, file, problems, "%s is the address of %s, too",
			fl_socket_format(&c->addr, c->port, text),
			fl_consul_instance_show(fl_consul_text(last->health, last->of->id),
				fl_consul_text(last->health, last->of->node), who));
	}
	return r;
}

int fl_consul_build(struct fl_service *service, const struct fl_consul_health *health,
	const char *file, struct fl_problems *problems)
{
	candidates list = { 0 };
	int r = collect(service, health, file, problems, &list);

	service->varies = true;
	if (r == 0)
		r = add_all(service, &list, file, problems);
	fl_vec_done(&list);
	if (r < 0)
		return r;
	return fl_service_finish(service, problems) ? 0 : -EINVAL;
}

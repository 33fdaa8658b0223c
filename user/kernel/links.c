/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "kernel/links.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/cleanup.h"
#include "core/log.h"
#include "core/vec.h"

/** Everything is looked at so often, for what netlink does not tell: a link that
 * was detached, ours or the one that held the slot. */
#define LOOK_MS 10000

struct fl_links {
	struct fl_kernel *kernel;
	enum fl_edge_mode mode; /**< of the edge path */
	FL_VEC(struct fl_interface) interfaces;
	struct fl_netlink *netlink;
	struct fl_netlink_watch *watch;
	uv_timer_t look;
};

static const char *const path_names[FL_PATHS] = { "edge", "target", "node" };

/* ------------------------------------------------------------------ pins */

#define PIN_PATH 512

/** BPFFS/links/edge-eth0; a dot, which bpffs does not take, becomes a colon. */
static char *pin_path(
	const struct fl_links *links, const struct fl_interface *ifc, char buffer[PIN_PATH])
{
	char *name;
	int used = snprintf(
		buffer, PIN_PATH, "%s/links/%s-", links->kernel->bpffs, path_names[ifc->path]);

	if (used < 0 || used >= PIN_PATH - (int)sizeof(ifc->name)) {
		buffer[0] = '\0';
		return buffer;
	}
	name = buffer + used;
	strcpy(name, ifc->name);
	for (; *name; name++) {
		if (*name == '.')
			*name = ':';
	}
	return buffer;
}

/** The interface that a link is on; 0 = none any more, or no XDP link. */
static uint32_t link_ifindex(int fd)
{
	struct bpf_link_info info = { 0 };
	uint32_t length = sizeof(info);

	if (bpf_obj_get_info_by_fd(fd, &info, &length) < 0 || info.type != BPF_LINK_TYPE_XDP)
		return 0;
	return info.xdp.ifindex;
}

/** Take a program off now; closing alone may leave it until some later moment. */
static void link_remove(int fd, const char *pin)
{
	bpf_link_detach(fd);
	close(fd);
	unlink(pin);
}

static bool is_configured(const struct fl_links *links, const char *pin)
{
	char path[PIN_PATH];

	for (size_t i = 0; i < links->interfaces.count; i++) {
		pin_path(links, &links->interfaces.items[i], path);
		if (strcmp(strrchr(path, '/') + 1, pin) == 0)
			return true;
	}
	return false;
}

/** Remove the links of an earlier agent whose interfaces left the configuration. */
static int pins_sweep(const struct fl_links *links, struct fl_failure *failure)
{
	char path[PIN_PATH + 256];
	struct dirent *entry;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/links", links->kernel->bpffs);
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return fl_fail(failure, -errno, "%s: %s", path, fl_log_errno(errno));
	dir = opendir(path);
	if (!dir)
		return fl_fail(failure, -errno, "%s: %s", path, fl_log_errno(errno));
	while ((entry = readdir(dir))) {
		bool ours = strncmp(entry->d_name, "edge-", 5) == 0 ||
			    strncmp(entry->d_name, "target-", 7) == 0;
		int fd;

		if (!ours || is_configured(links, entry->d_name))
			continue;
		snprintf(path, sizeof(path), "%s/links/%s", links->kernel->bpffs, entry->d_name);
		fd = bpf_obj_get(path);
		if (fd < 0)
			continue;
		link_remove(fd, path);
		fl_log(FL_LOG_INFO, "kernel", "removed a link that is no longer configured",
			FL_STR("link", entry->d_name));
	}
	closedir(dir);
	return 0;
}

/* ------------------------------------------------------------ interfaces */

static int program_of(const struct fl_links *links, enum fl_path path)
{
	return path == FL_PATH_EDGE ? links->kernel->edge_fd : links->kernel->target_fd;
}

static enum fl_edge_mode wish_of(const struct fl_links *links, enum fl_path path)
{
	return path == FL_PATH_EDGE ? links->mode : FL_MODE_AUTO;
}

static bool mode_fits(enum fl_xdp_mode mode, enum fl_edge_mode wish)
{
	switch (wish) {
	case FL_MODE_NATIVE:
		return mode == FL_XDP_NATIVE;
	case FL_MODE_GENERIC:
		return mode == FL_XDP_GENERIC;
	default:
		return mode != FL_XDP_NONE;
	}
}

static void interface_release(struct fl_links *links, struct fl_interface *ifc)
{
	char path[PIN_PATH];

	if (ifc->link_fd >= 0)
		link_remove(ifc->link_fd, pin_path(links, ifc, path));
	ifc->link_fd = -1;
	ifc->mode = FL_XDP_NONE;
}

/**
 * Take over the link of an earlier agent: the new program replaces the old one
 * with no packet in between.
 * @return whether the interface is served; otherwise no pin is left
 */
static bool interface_adopt(
	struct fl_links *links, struct fl_interface *ifc, const struct fl_link *link)
{
	enum fl_edge_mode wish = wish_of(links, ifc->path);
	enum fl_xdp_mode mode = fl_xdp_mode_of(link);
	char path[PIN_PATH];
	_cleanup_close_ int fd = bpf_obj_get(pin_path(links, ifc, path));

	if (fd < 0)
		return false;
	/* ENOLINK: its device went. ERANGE: it was for another MTU. All lead to a new link. */
	if (link_ifindex(fd) != link->ifindex || !mode_fits(mode, wish) ||
		bpf_link_update(fd, program_of(links, ifc->path), NULL) < 0) {
		link_remove(TAKE_FD(fd), path);
		return false;
	}
	ifc->link_fd = TAKE_FD(fd);
	ifc->mode = mode;
	ifc->reason[0] = '\0';
	if (mode != FL_XDP_GENERIC || wish != FL_MODE_AUTO)
		return true;
	if (fl_xdp_may_be_native(link))
		snprintf(ifc->reason, sizeof(ifc->reason),
			"generic, as an earlier agent attached it; edge.mode: native would switch");
	else
		fl_xdp_refusal(link, -EOPNOTSUPP, ifc->reason, sizeof(ifc->reason));
	return true;
}

static void interface_attach(
	struct fl_links *links, struct fl_interface *ifc, const struct fl_link *link)
{
	char path[PIN_PATH];
	int fd = fl_xdp_attach(program_of(links, ifc->path), link, wish_of(links, ifc->path),
		&ifc->mode, ifc->reason, sizeof(ifc->reason));

	if (fd < 0) {
		ifc->mode = FL_XDP_NONE;
		return;
	}
	ifc->link_fd = fd;
	if (bpf_obj_pin(fd, pin_path(links, ifc, path)) < 0)
		snprintf(ifc->reason, sizeof(ifc->reason),
			"not pinned, so forwarding will end with the agent: %s",
			fl_log_errno(errno));
}

static const struct fl_interface *find(
	const struct fl_links *links, enum fl_path path, const char *name)
{
	for (size_t i = 0; i < links->interfaces.count; i++) {
		const struct fl_interface *ifc = &links->interfaces.items[i];

		if (ifc->path == path && strcmp(ifc->name, name) == 0)
			return ifc;
	}
	return NULL;
}

/** Whether something could have changed what an attempt yields. */
static bool is_news(const struct fl_link *now, const struct fl_link *seen)
{
	return now->ifindex != seen->ifindex || now->mtu != seen->mtu ||
	       now->xdp_prog != seen->xdp_prog || now->xdp_mode != seen->xdp_mode ||
	       (now->flags & IFF_UP) != (seen->flags & IFF_UP);
}

/** Whether a program that is generic for want of a better way may have one now:
 * what was too large has become smaller. */
static bool is_worth_another_try(
	const struct fl_links *links, const struct fl_interface *ifc, const struct fl_link *link)
{
	return ifc->mode == FL_XDP_GENERIC && wish_of(links, ifc->path) == FL_MODE_AUTO &&
	       link->mtu < ifc->seen.mtu && fl_xdp_may_be_native(link);
}

/** Attach to a device that is there, has no program of ours and may take it. */
static void interface_serve(
	struct fl_links *links, struct fl_interface *ifc, const struct fl_link *found)
{
	struct fl_link link = *found;

	ifc->seen = link;
	if (program_of(links, ifc->path) < 0) {
		snprintf(ifc->reason, sizeof(ifc->reason), "program `%s` is not loaded",
			path_names[ifc->path]);
		return;
	}
	if (ifc->path == FL_PATH_TARGET && find(links, FL_PATH_EDGE, ifc->name)) {
		snprintf(ifc->reason, sizeof(ifc->reason),
			"%s carries the edge program, and an interface carries one", ifc->name);
		return;
	}
	if (interface_adopt(links, ifc, &link))
		return;
	/* What was not adopted went by now: look who is in the slot. */
	if (fl_netlink_link(links->netlink, ifc->name, 0, &link) == 0)
		interface_attach(links, ifc, &link);
	ifc->seen = link;
}

static void say_change(const struct fl_interface *ifc)
{
	bool bad = ifc->mode == FL_XDP_NONE;

	fl_log(bad || ifc->reason[0] ? FL_LOG_WARNING : FL_LOG_INFO, "kernel",
		bad ? "no program on interface" : "program on interface",
		FL_STR("interface", ifc->name), FL_STR("path", path_names[ifc->path]),
		FL_STR("mode", fl_xdp_mode_name(ifc->mode)), FL_STR("reason", ifc->reason));
}

/** Traffic resumes by itself; but whoever wonders why there is none should not have to look. */
static void interface_note_down(struct fl_interface *ifc, bool is_down)
{
	if (ifc->is_down == is_down)
		return;
	ifc->is_down = is_down;
	if (!ifc->ifindex)
		return;
	fl_log(is_down ? FL_LOG_WARNING : FL_LOG_INFO, "kernel",
		is_down ? "interface is down, nothing comes or goes by it"
			: "interface is up again",
		FL_STR("interface", ifc->name), FL_STR("path", path_names[ifc->path]),
		FL_STR("mode", fl_xdp_mode_name(ifc->mode)));
}

static void interface_add_port(const struct fl_links *links, struct fl_interface *ifc)
{
	int code = fl_links_add_port(links->kernel->maps.fd[FL_MAP_tx_ports], ifc->ifindex);

	if (code < 0)
		fl_log(FL_LOG_WARNING, "kernel", "interface cannot be redirected to",
			FL_STR("interface", ifc->name), FL_ERR(code));
}

/**
 * Bring one interface to what shall be, whatever happened before.
 * @param again  try even when nothing seems to have changed since the last failure
 */
static void interface_check(struct fl_links *links, struct fl_interface *ifc, bool again)
{
	struct fl_interface before = *ifc;
	struct fl_link link;
	int code = fl_netlink_link(links->netlink, ifc->name, 0, &link);

	if (code == -ENODEV) {
		interface_release(links, ifc);
		ifc->ifindex = 0;
		snprintf(ifc->reason, sizeof(ifc->reason),
			"there is no such interface yet; it is awaited");
	} else if (code < 0) {
		fl_log(FL_LOG_WARNING, "kernel", "cannot ask for interface, left as it is",
			FL_STR("interface", ifc->name), FL_ERR(code));
		return;
	} else if (ifc->link_fd < 0 || link_ifindex(ifc->link_fd) != link.ifindex ||
		   is_worth_another_try(links, ifc, &link)) {
		bool lost = ifc->link_fd >= 0;

		interface_release(links, ifc);
		if (again || lost || is_news(&link, &ifc->seen))
			interface_serve(links, ifc, &link);
		ifc->ifindex = link.ifindex;
	}

	if (ifc->ifindex && ifc->ifindex != before.ifindex && ifc->path == FL_PATH_EDGE)
		interface_add_port(links, ifc);
	if (ifc->mode != before.mode || ifc->ifindex != before.ifindex ||
		strcmp(ifc->reason, before.reason) != 0)
		say_change(ifc);
	interface_note_down(ifc, code == 0 && !fl_link_works(&link));
}

/* ------------------------------------------------------------ all of them */

static void check_all(struct fl_links *links, bool again)
{
	for (size_t i = 0; i < links->interfaces.count; i++)
		interface_check(links, &links->interfaces.items[i], again);
}

static void look_fire(uv_timer_t *timer)
{
	check_all(timer->data, true);
}

static void netlink_settled(void *context)
{
	check_all(context, false);
}

static void netlink_lost(void *context)
{
	(void)context; /* `settled` follows and looks at everything anyway */
}

static bool is_listed(char *const *names, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(names[i], name) == 0)
			return true;
	}
	return false;
}

static void drop_unlisted(struct fl_links *links, const struct fl_config *config)
{
	for (size_t i = 0; i < links->interfaces.count;) {
		struct fl_interface *ifc = &links->interfaces.items[i];
		bool edge = ifc->path == FL_PATH_EDGE;

		if (is_listed(edge ? config->interfaces : config->target_interfaces,
			    edge ? config->interface_count : config->target_interface_count,
			    ifc->name)) {
			i++;
			continue;
		}
		if (ifc->link_fd >= 0)
			fl_log(FL_LOG_INFO, "kernel", "program taken off, no longer configured",
				FL_STR("interface", ifc->name),
				FL_STR("path", path_names[ifc->path]));
		interface_release(links, ifc);
		links->interfaces.count--;
		memmove(ifc, ifc + 1, (links->interfaces.count - i) * sizeof(*ifc));
	}
}

static int add_listed(struct fl_links *links, enum fl_path path, char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct fl_interface *ifc;

		if (find(links, path, names[i]))
			continue;
		ifc = fl_vec_push(&links->interfaces);
		if (!ifc)
			return -ENOMEM;
		snprintf(ifc->name, sizeof(ifc->name), "%s", names[i]);
		ifc->path = path;
		ifc->link_fd = -1;
	}
	return 0;
}

/** Edge before target, each in the order of its configuration. */
static int compare_rows(const void *a, const void *b, void *context)
{
	const struct fl_interface *x = a, *y = b;
	const struct fl_config *config = context;
	char *const *names =
		x->path == FL_PATH_EDGE ? config->interfaces : config->target_interfaces;
	size_t count =
		x->path == FL_PATH_EDGE ? config->interface_count : config->target_interface_count;

	if (x->path != y->path)
		return x->path == FL_PATH_EDGE ? -1 : 1;
	for (size_t i = 0; i < count; i++) {
		if (strcmp(names[i], x->name) == 0)
			return strcmp(names[i], y->name) == 0 ? 0 : -1;
		if (strcmp(names[i], y->name) == 0)
			return 1;
	}
	return 0;
}

static int set_rows(struct fl_links *links, const struct fl_config *config)
{
	int code;

	drop_unlisted(links, config);
	code = add_listed(links, FL_PATH_EDGE, config->interfaces, config->interface_count);
	if (code == 0)
		code = add_listed(links, FL_PATH_TARGET, config->target_interfaces,
			config->target_interface_count);
	if (links->interfaces.count)
		qsort_r(links->interfaces.items, links->interfaces.count,
			sizeof(*links->interfaces.items), compare_rows, (void *)config);
	return code;
}

int fl_links_configure(struct fl_links *links, const struct fl_config *config)
{
	int code = set_rows(links, config);

	links->mode = config->edge_mode;
	for (size_t i = 0; i < links->interfaces.count; i++) {
		struct fl_interface *ifc = &links->interfaces.items[i];

		if (ifc->link_fd >= 0 && (!mode_fits(ifc->mode, wish_of(links, ifc->path)) ||
						 (ifc->path == FL_PATH_TARGET &&
							 find(links, FL_PATH_EDGE, ifc->name))))
			interface_release(links, ifc);
	}
	check_all(links, true);
	return code;
}

/* ----------------------------------------------------------- start, stop */

static void links_closed(uv_handle_t *handle)
{
	struct fl_links *links = handle->data;

	for (size_t i = 0; i < links->interfaces.count; i++) {
		if (links->interfaces.items[i].link_fd >= 0)
			close(links->interfaces.items[i].link_fd);
	}
	fl_vec_done(&links->interfaces);
	fl_netlink_close(links->netlink);
	free(links);
}

void fl_links_stop(struct fl_links *links)
{
	if (!links)
		return;
	fl_netlink_unwatch(links->watch);
	links->watch = NULL;
	uv_close((uv_handle_t *)&links->look, links_closed);
}

static int open_netlink(struct fl_links *links, uv_loop_t *loop, struct fl_failure *failure)
{
	const unsigned groups[] = { RTNLGRP_LINK };
	const struct fl_netlink_hooks hooks = {
		.settled = netlink_settled, .lost = netlink_lost, .context = links
	};
	int code = fl_netlink_open(NETLINK_ROUTE, &links->netlink);

	if (code == 0)
		code = fl_netlink_watch(loop, groups, 1, &hooks, &links->watch);
	if (code < 0)
		fl_fail(failure, code, "cannot watch interfaces by netlink: %s",
			fl_log_errno(code));
	return code;
}

int fl_links_start(struct fl_kernel *kernel, const struct fl_config *config, uv_loop_t *loop,
	struct fl_failure *failure, struct fl_links **ret)
{
	struct fl_links *links = calloc(1, sizeof(*links));
	int code;

	if (!links)
		return fl_fail(failure, -ENOMEM, "out of memory");
	links->kernel = kernel;
	links->mode = config->edge_mode;
	links->look.data = links;
	uv_timer_init(loop, &links->look);

	code = open_netlink(links, loop, failure);
	if (code == 0 && set_rows(links, config) < 0)
		code = fl_fail(failure, -ENOMEM, "out of memory");
	if (code == 0)
		code = pins_sweep(links, failure);
	if (code < 0) {
		fl_links_stop(links);
		return code;
	}
	check_all(links, true);
	uv_timer_start(&links->look, look_fire, LOOK_MS, LOOK_MS);
	*ret = links;
	return 0;
}

const struct fl_interface *fl_links_list(const struct fl_links *links, size_t *ret_count)
{
	*ret_count = links->interfaces.count;
	return links->interfaces.items;
}

int fl_links_add_port(int map_fd, uint32_t ifindex)
{
	struct bpf_map_info info = { 0 };
	struct bpf_devmap_val value = { .ifindex = ifindex, .bpf_prog.fd = -1 };
	uint32_t length = sizeof(info);

	if (map_fd < 0)
		return 0;
	if (bpf_obj_get_info_by_fd(map_fd, &info, &length) < 0)
		return -errno;
	if (info.value_size > sizeof(value))
		return -EINVAL;
	return bpf_map_update_elem(map_fd, &ifindex, &value, BPF_ANY) < 0 ? -errno : 0;
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "kernel/devices.h"

#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/hash.h"

struct device {
	struct fl_link link;
	UT_hash_handle hh;
};

struct fl_devices {
	struct device *by_ifindex;
};

struct fl_devices *fl_devices_new(void)
{
	return calloc(1, sizeof(struct fl_devices));
}

static void clear(struct fl_devices *devices)
{
	struct device *device, *next;

	HASH_ITER(hh, devices->by_ifindex, device, next) {
		HASH_DEL(devices->by_ifindex, device);
		free(device);
	}
}

void fl_devices_free(struct fl_devices *devices)
{
	if (!devices)
		return;
	clear(devices);
	free(devices);
}

static struct device *find(const struct fl_devices *devices, uint32_t ifindex)
{
	struct device *device;

	HASH_FIND(hh, devices->by_ifindex, &ifindex, sizeof(ifindex), device);
	return device;
}

const struct fl_link *fl_devices_find(const struct fl_devices *devices, uint32_t ifindex)
{
	struct device *device = find(devices, ifindex);

	return device ? &device->link : NULL;
}

/** Without memory the device is not known: who sends through it says so. */
static void add(struct fl_devices *devices, const struct fl_link *link)
{
	struct device *device = calloc(1, sizeof(*device));

	if (!device)
		return;
	device->link = *link;
	HASH_ADD(hh, devices->by_ifindex, link.ifindex, sizeof(link->ifindex), device);
	if (!device->hh.tbl)
		free(device);
}

static enum fl_device_news compare(const struct fl_link *old, const struct fl_link *new)
{
	if (!fl_link_works(old) && fl_link_works(new))
		return FL_DEVICE_UP;
	if (fl_link_works(old) != fl_link_works(new) || old->mtu != new->mtu ||
		old->has_mac != new->has_mac || memcmp(old->mac, new->mac, sizeof(old->mac)) != 0 ||
		strcmp(old->name, new->name) != 0)
		return FL_DEVICE_CHANGED;
	return FL_DEVICE_SAME;
}

enum fl_device_news fl_devices_feed(
	struct fl_devices *devices, const struct nlmsghdr *message, uint32_t *ret_ifindex)
{
	enum fl_device_news news;
	struct device *device;
	struct fl_link link;

	if (!fl_link_parse(message, &link))
		return FL_DEVICE_SAME;
	*ret_ifindex = link.ifindex;
	device = find(devices, link.ifindex);
	if (message->nlmsg_type == RTM_DELLINK) {
		if (!device)
			return FL_DEVICE_SAME;
		HASH_DEL(devices->by_ifindex, device);
		free(device);
		return FL_DEVICE_CHANGED;
	}
	if (!device) {
		add(devices, &link);
		return fl_link_works(&link) ? FL_DEVICE_UP : FL_DEVICE_SAME;
	}
	news = compare(&device->link, &link);
	device->link = link;
	return news;
}

static void load_one(void *context, const struct fl_link *link)
{
	struct fl_devices *devices = context;
	struct device *device = find(devices, link->ifindex);

	if (device) /* a dump that began again */
		device->link = *link;
	else
		add(devices, link);
}

int fl_devices_load(struct fl_devices *devices, struct fl_netlink *netlink)
{
	clear(devices);
	return fl_netlink_links(netlink, load_one, devices);
}

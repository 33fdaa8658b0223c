// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "native.h"

#include <errno.h>
#include <sanitizer/asan_interface.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <bpf/bpf_helpers.h>

#define MAPS_MAX 32

struct native_map {
	enum native_kind kind;
	uint32_t key, value, entries;
	uint32_t used;       /**< hashes: cells that may be taken */
	uint32_t live, room; /**< hashes: cells that are, and may be at most */
	uint8_t *keys;
	uint8_t *values;
	uint8_t *taken;
};

static struct native_map maps[MAPS_MAX];
static size_t map_count;

uint32_t native_now_s;
uint32_t native_redirected;
long (*native_fib)(struct bpf_fib_lookup *params);

/* ------------------------------------------------------------------------ maps */

void native_map_init(
	void *declaration, enum native_kind kind, uint32_t key, uint32_t value, uint32_t entries)
{
	struct native_map *map = &maps[map_count++];

	if (map_count > MAPS_MAX)
		native_fail("more maps than %d", MAPS_MAX);
	*map = (struct native_map){ .kind = kind, .key = key, .value = value, .entries = entries };
	map->room = entries;
	map->keys = calloc(entries, key);
	map->values = calloc(entries, value);
	map->taken = calloc(entries, 1);
	if (!map->keys || !map->values || !map->taken)
		native_fail("no memory for a map");
	*(struct native_map **)declaration = map;
}

void native_map_limit(void *declaration, uint32_t room)
{
	(*(struct native_map **)declaration)->room = room;
}

static bool is_hash(const struct native_map *map)
{
	return map->kind == NATIVE_HASH || map->kind == NATIVE_TRIE;
}

void native_reset(void)
{
	size_t i;

	for (i = 0; i < map_count; i++) {
		if (maps[i].kind == NATIVE_OUTER)
			continue;
		if (!is_hash(&maps[i])) {
			memset(maps[i].values, 0, (size_t)maps[i].entries * maps[i].value);
			continue;
		}
		memset(maps[i].taken, 0, maps[i].used);
		maps[i].used = maps[i].live = 0;
		maps[i].room = maps[i].entries;
	}
}

static uint64_t digest_mix(uint64_t digest, uint64_t word)
{
	digest = (digest ^ word) * 0x9e3779b97f4a7c15;
	return digest ^ digest >> 29;
}

/** In lanes that do not wait for each other: this is most of what a packet costs here. */
static uint64_t digest_add(uint64_t digest, const uint8_t *bytes, size_t length)
{
	uint64_t words[4], lanes[4] = { digest, 1, 2, 3 };
	int i;

	for (; length >= sizeof(words); length -= sizeof(words), bytes += sizeof(words)) {
		memcpy(words, bytes, sizeof(words));
		for (i = 0; i < 4; i++)
			lanes[i] = digest_mix(lanes[i], words[i]);
	}
	while (length--)
		lanes[0] = digest_mix(lanes[0], *bytes++);
	for (i = 1; i < 4; i++)
		lanes[0] = digest_mix(lanes[0], lanes[i]);
	return lanes[0];
}

uint64_t native_digest(void)
{
	uint64_t digest = 0;
	size_t i, count;

	for (i = 0; i < map_count; i++) {
		if (maps[i].kind == NATIVE_NOTES)
			continue;
		count = is_hash(&maps[i]) ? maps[i].used : maps[i].entries;
		digest = digest_add(digest, maps[i].values, count * maps[i].value);
		digest = digest_add(digest, maps[i].taken, maps[i].used);
	}
	return digest;
}

/** Do the first `bits` of the addresses agree? */
static bool prefix_matches(const uint8_t *a, const uint8_t *b, uint32_t bits)
{
	for (; bits >= 8; bits -= 8)
		if (*a++ != *b++)
			return false;
	return !bits || !((*a ^ *b) >> (8 - bits));
}

/** Cell of a key, or `entries`. */
static uint32_t hash_find(const struct native_map *map, const uint8_t *key)
{
	uint32_t i, best = map->entries, best_bits = 0;

	for (i = 0; i < map->used; i++) {
		const uint8_t *other = map->keys + (size_t)i * map->key;
		uint32_t bits, asked;

		if (!map->taken[i])
			continue;
		if (map->kind == NATIVE_HASH) {
			if (!memcmp(other, key, map->key))
				return i;
			continue;
		}
		memcpy(&bits, other, sizeof(bits));
		memcpy(&asked, key, sizeof(asked));
		if (bits <= asked && (best == map->entries || bits > best_bits) &&
			prefix_matches(other + 4, key + 4, bits)) {
			best = i;
			best_bits = bits;
		}
	}
	return best;
}

void *bpf_map_lookup_elem(void *declaration, const void *key)
{
	struct native_map *map = *(struct native_map **)declaration;
	uint32_t index;

	if (is_hash(map))
		index = hash_find(map, key);
	else
		memcpy(&index, key, sizeof(index));
	if (index >= map->entries)
		return NULL;
	if (map->kind == NATIVE_OUTER)
		return ((void **)map->values)[index];
	return map->values + (size_t)index * map->value;
}

long bpf_map_update_elem(void *declaration, const void *key, const void *value, __u64 flags)
{
	struct native_map *map = *(struct native_map **)declaration;
	uint32_t index;

	if (!is_hash(map)) {
		memcpy(&index, key, sizeof(index));
		if (index >= map->entries)
			return -E2BIG;
	} else {
		index = map->kind == NATIVE_TRIE ? map->entries : hash_find(map, key);
		if (index < map->entries && flags == BPF_NOEXIST)
			return -EEXIST;
		if (index == map->entries && flags == BPF_EXIST)
			return -ENOENT;
		if (index == map->entries) {
			if (map->live == map->room || map->used == map->entries)
				return -E2BIG;
			index = map->used++;
			map->live++;
		}
		map->taken[index] = 1;
		memcpy(map->keys + (size_t)index * map->key, key, map->key);
	}
	memcpy(map->values + (size_t)index * map->value, value, map->value);
	return 0;
}

long bpf_map_delete_elem(void *declaration, const void *key)
{
	struct native_map *map = *(struct native_map **)declaration;
	uint32_t index = hash_find(map, key);

	if (index == map->entries)
		return -ENOENT;
	/* The cell is not used again before native_reset, as if RCU kept it. */
	map->taken[index] = 0;
	map->live--;
	return 0;
}

long bpf_for_each_map_elem(void *declaration, void *callback, void *context, __u64 flags)
{
	long (*call)(void *, const void *, void *, void *) = callback;
	struct native_map *map = *(struct native_map **)declaration;
	uint32_t i;

	(void)flags;
	for (i = 0; i < map->used; i++)
		if (map->taken[i] && call(declaration, map->keys + (size_t)i * map->key,
					     map->values + (size_t)i * map->value, context))
			break;
	return i;
}

/* ----------------------------------------------------------------------- frame */

static struct xdp_md context;
static uint8_t *area; /**< headroom and frame, up to a guard page */
#define AREA_LENGTH (NATIVE_FRAME_MAX + 4096)

static void area_open(void)
{
	area = mmap(NULL, AREA_LENGTH + 4096, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	if (area == MAP_FAILED || mprotect(area + AREA_LENGTH, 4096, PROT_NONE))
		native_fail("no memory for a frame: %s", strerror(errno));
}

static uint32_t headroom_left;

/** Poison all that is before the frame. ASan does so to whole groups of 8 bytes,
 * up to 7 at the frame's start stay open. */
static void area_guard(void)
{
	uint8_t *data = (uint8_t *)(uintptr_t)context.data;

	__asan_unpoison_memory_region(area, AREA_LENGTH);
	__asan_poison_memory_region(area, data - area);
}

struct xdp_md *native_frame(
	const uint8_t *bytes, uint32_t length, uint32_t headroom, uint32_t ifindex)
{
	uint8_t *data;

	if (!area)
		area_open();
	if (length > NATIVE_FRAME_MAX || headroom > NATIVE_HEADROOM_MAX)
		native_fail("a frame of %u bytes behind %u", length, headroom);
	__asan_unpoison_memory_region(area, AREA_LENGTH);
	data = area + AREA_LENGTH - length;
	memcpy(data, bytes, length);
	context = (struct xdp_md){
		.data = (uint32_t)(uintptr_t)data,
		.data_end = (uint32_t)(uintptr_t)(data + length),
		.ingress_ifindex = ifindex,
	};
	headroom_left = headroom;
	native_redirected = 0;
	area_guard();
	return &context;
}

const uint8_t *native_frame_bytes(uint32_t *ret_length)
{
	*ret_length = context.data_end - context.data;
	return (const uint8_t *)(uintptr_t)context.data;
}

long bpf_xdp_adjust_head(struct xdp_md *ctx, int delta)
{
	int64_t length = (int64_t)ctx->data_end - ctx->data - delta;

	if (-(int64_t)delta > headroom_left || length < 14)
		return -EINVAL;
	headroom_left += delta;
	ctx->data += delta;
	area_guard();
	return 0;
}

/* --------------------------------------------------------------- other helpers */

long bpf_loop(__u32 count, void *callback, void *loop_context, __u64 flags)
{
	long (*call)(__u64, void *) = callback;
	__u32 i;

	(void)flags;
	if (count > 1u << 23)
		return -E2BIG;
	for (i = 0; i < count; i++)
		if (call(i, loop_context))
			return i + 1;
	return count;
}

__u64 bpf_ktime_get_boot_ns(void)
{
	return native_now_s * 1000000000ull;
}

__u64 bpf_jiffies64(void)
{
	return native_now_s + 1; /* 0 is in memory that was never written */
}

long bpf_redirect_map(void *map, __u64 key, __u64 flags)
{
	__u32 index = key;

	if (!bpf_map_lookup_elem(map, &index))
		return flags & 3;
	native_redirected = index;
	return XDP_REDIRECT;
}

long bpf_fib_lookup(void *ctx, struct bpf_fib_lookup *params, int size, __u32 flags)
{
	if (ctx != &context || size != sizeof(*params) || flags)
		return -EINVAL;
	return native_fib(params);
}

/* Nobody's time passes here but what a test says. */

long bpf_timer_init(struct bpf_timer *timer, void *map, __u64 flags)
{
	(void)timer, (void)map, (void)flags;
	return 0;
}

long bpf_timer_set_callback(struct bpf_timer *timer, void *callback)
{
	(void)timer, (void)callback;
	return 0;
}

long bpf_timer_start(struct bpf_timer *timer, __u64 delay_ns, __u64 flags)
{
	(void)timer, (void)delay_ns, (void)flags;
	return 0;
}

void native_constant_set(const volatile void *constant, const void *value, size_t size)
{
	memcpy((void *)(uintptr_t)constant, value, size);
}

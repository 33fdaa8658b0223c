/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "registry/scan.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "config/yaml.h"
#include "core/cleanup.h"
#include "registry/copies.h"

#define SUFFIX ".yaml"

/* A file that changed less than this before it was read may change again within
 * the same tick of the file system's clock: its stamp proves nothing. */
#define GRAIN_S 2

bool fl_file_name_is_used(const char *name)
{
	size_t length = strlen(name);

	return name[0] != '.' && length > strlen(SUFFIX) &&
	       strcmp(name + length - strlen(SUFFIX), SUFFIX) == 0;
}

static bool is_same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

bool fl_file_stamp_equal(const struct fl_file_stamp *a, const struct fl_file_stamp *b)
{
	return a->device == b->device && a->inode == b->inode && a->size == b->size &&
	       is_same_time(a->modified, b->modified) && is_same_time(a->changed, b->changed);
}

void fl_file_done(struct fl_file *file)
{
	fl_services_done(&file->services);
	fl_problems_done(&file->problems);
	free(file->name);
	*file = (struct fl_file){ 0 };
}

void fl_files_done(fl_file_vec *files)
{
	for (size_t i = 0; i < files->count; i++)
		fl_file_done(&files->items[i]);
	fl_vec_done(files);
}

struct fl_scan *fl_scan_new(const char *directory, const char *registry, const char *copies)
{
	struct fl_scan *scan = calloc(1, sizeof(*scan));

	if (!scan)
		return NULL;
	scan->directory = strdup(directory);
	scan->registry = strdup(registry);
	scan->copies = copies ? strdup(copies) : NULL;
	if (scan->directory && scan->registry && (scan->copies || !copies))
		return scan;
	fl_scan_free(scan);
	return NULL;
}

void fl_scan_free(struct fl_scan *scan)
{
	if (!scan)
		return;
	for (size_t i = 0; i < scan->known.count; i++)
		free(scan->known.items[i].name);
	fl_vec_done(&scan->known);
	fl_files_done(&scan->files);
	free(scan->directory);
	free(scan->registry);
	free(scan->copies);
	free(scan);
}

int fl_scan_know(struct fl_scan *scan, const char *name, const struct fl_file_stamp *stamp,
	bool busy, bool is_link)
{
	struct fl_file_known *known = fl_vec_push(&scan->known);

	if (!known)
		return -ENOMEM;
	known->name = strdup(name);
	if (!known->name) {
		scan->known.count--;
		return -ENOMEM;
	}
	known->busy = busy;
	known->is_link = is_link;
	if (stamp)
		known->stamp = *stamp;
	return 0;
}

/* ------------------------------------------------------------------- names */

typedef FL_VEC(char *) name_vec;

static void names_done(name_vec *names)
{
	for (size_t i = 0; i < names->count; i++)
		free(names->items[i]);
	fl_vec_done(names);
}

static int by_bytes(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int read_names(DIR *directory, name_vec *ret)
{
	const struct dirent *entry;

	while (errno = 0, (entry = readdir(directory))) {
		char **name;

		if (!fl_file_name_is_used(entry->d_name))
			continue;
		if (ret->count == FL_FILES_MAX)
			return -E2BIG;
		name = fl_vec_push(ret);
		if (!name)
			return -ENOMEM;
		*name = strdup(entry->d_name);
		if (!*name)
			return -ENOMEM;
	}
	return -errno;
}

static int list_names(const char *path, name_vec *ret)
{
	DIR *directory = opendir(path);
	int r;

	if (!directory)
		return -errno;
	r = read_names(directory, ret);
	closedir(directory);
	if (r == 0 && ret->count)
		qsort(ret->items, ret->count, sizeof(*ret->items), by_bytes);
	return r;
}

/* ------------------------------------------------------------------- files */

/* What is being written comes first: it counts, not what was read of it before. */
static int by_name_and_busy(const void *a, const void *b)
{
	const struct fl_file_known *x = a, *y = b;
	int order = strcmp(x->name, y->name);

	return order ? order : y->busy - x->busy;
}

static void sort_known(struct fl_scan *scan)
{
	if (scan->known.count)
		qsort(scan->known.items, scan->known.count, sizeof(*scan->known.items),
			by_name_and_busy);
}

static const struct fl_file_known *find_known(const struct fl_scan *scan, const char *name)
{
	size_t low = 0, high = scan->known.count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(scan->known.items[middle].name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == scan->known.count || strcmp(scan->known.items[low].name, name) != 0)
		return NULL;
	return &scan->known.items[low];
}

static struct fl_file_stamp stamp_of(const struct stat *st)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (struct fl_file_stamp){
		.device = st->st_dev,
		.inode = st->st_ino,
		.size = st->st_size,
		.modified = st->st_mtim,
		.changed = st->st_ctim,
		.settled = now.tv_sec - st->st_ctim.tv_sec >= GRAIN_S,
	};
}

/* What the file said when it was last read well, before this agent began. Its
 * problems are old: only the services count. @return whether there is such a copy */
static bool use_copy(const struct fl_scan *scan, const char *path, struct fl_file *file)
{
	struct fl_problems problems = { 0 };
	_cleanup_free_ char *text = NULL;
	fl_service_vec services = { 0 };
	size_t length = 0;
	int r;

	if (!scan->copies || fl_copies_load(scan->copies, file->name, &text, &length) < 0)
		return false;
	r = fl_services_parse(text, length, path, scan->registry, &problems, &services);
	fl_problems_done(&problems);
	if (r < 0) {
		fl_services_done(&services);
		return false;
	}
	fl_services_done(&file->services);
	file->services = services;
	return true;
}

/* The stamp was taken before the file is read: what is written in between makes
 * it old, never newer than the content. */
static void read_file(struct fl_scan *scan, const char *path, struct fl_file *file)
{
	_cleanup_free_ char *text = NULL;
	size_t length = 0;
	int r = fl_yaml_read_file(path, &file->problems, &text, &length);

	if (r == 0)
		r = fl_services_parse(
			text, length, path, scan->registry, &file->problems, &file->services);
	if (r == -ENOMEM)
		fl_problem_add(&file->problems, (struct fl_place){ .file = path }, "out of memory");
	file->bad = file->problems.errors > 0;
	file->sound = !file->bad;
	if (file->bad && scan->is_first)
		file->sound = use_copy(scan, path, file);
	else if (!file->bad && scan->copies)
		r = fl_copies_store(scan->copies, file->name, text, length);
	if (!file->bad && r < 0)
		scan->copy_error = r;
}

/* @return 0, -ENOMEM */
static int look_at(struct fl_scan *scan, const char *name)
{
	const struct fl_file_known *known = find_known(scan, name);
	_cleanup_free_ char *path = NULL;
	struct fl_file *file;
	struct stat st = { 0 };
	bool is_link;

	if (known && known->busy && !known->stamp.inode)
		return 0; /* new, and not written yet */
	if (asprintf(&path, "%s/%s", scan->directory, name) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	if (lstat(path, &st) < 0 && errno == ENOENT)
		return 0; /* gone since it was listed */
	is_link = S_ISLNK(st.st_mode);
	if (stat(path, &st) < 0)
		st = (struct stat){ 0 };
	file = fl_vec_push(&scan->files);
	if (!file)
		return -ENOMEM;
	file->name = strdup(name);
	if (!file->name)
		return -ENOMEM;
	file->stamp = stamp_of(&st);
	file->is_link = is_link;
	file->kept =
		known && (known->busy || (known->stamp.settled && known->is_link == is_link &&
						 fl_file_stamp_equal(&known->stamp, &file->stamp)));
	if (!file->kept)
		read_file(scan, path, file);
	return 0;
}

/* The directory cannot be read: all copies stand in for it. @return 0, -ENOMEM */
static int use_copies(struct fl_scan *scan)
{
	name_vec names = { 0 };
	int r = list_names(scan->copies, &names);

	for (size_t i = 0; i < names.count && r == 0; i++) {
		struct fl_file *file = fl_vec_push(&scan->files);
		_cleanup_free_ char *path = NULL;

		if (!file || asprintf(&path, "%s/%s", scan->directory, names.items[i]) < 0) {
			path = NULL;
			r = -ENOMEM;
			break;
		}
		file->name = strdup(names.items[i]);
		file->sound = file->name && use_copy(scan, path, file);
		r = file->name ? 0 : -ENOMEM;
	}
	names_done(&names);
	return r;
}

void fl_scan_run(struct fl_scan *scan)
{
	name_vec names = { 0 };
	int r = list_names(scan->directory, &names);

	sort_known(scan);
	for (size_t i = 0; i < names.count && r == 0; i++)
		r = look_at(scan, names.items[i]);
	if (scan->copies && (r == 0 || r == -ENOENT))
		fl_copies_prune(scan->copies, names.items, names.count);
	else if (scan->copies && scan->is_first)
		use_copies(scan);
	names_done(&names);
	scan->error = r;
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#include "registry/kept.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "core/cleanup.h"
#include "core/file.h"
#include "core/clock.h"
#include "registry/copies.h"

#define BEING_WRITTEN "." FL_KEPT_FILE ".new"
#define PIECE_BYTES   (256u << 10) /* a document is about so long */
#define FILE_MAX      (1u << 30)

#define SEPARATOR "---\n"
#define HEAD_WORDS                                                                                 \
	"# Fairlead keeps here what registry %s declared last, for its next start.\n"              \
	"# A file that was changed is not used.\n"
#define HEAD_FORMAT "# snapshot=1 taken_ms=%013" PRIu64 " bytes=%012zu xxh3=%016" PRIx64 "\n"
#define HEAD_SCAN   "# snapshot=%u taken_ms=%" SCNu64 " bytes=%zu xxh3=%" SCNx64

/* -------------------------------------------------------------------- store */

struct writer {
	FILE *out;
	XXH3_state_t hash;
	size_t bytes; /* behind the head */
	size_t piece; /* bytes of the document that is open */
};

static int put(struct writer *w, const char *bytes, size_t count)
{
	XXH3_64bits_update(&w->hash, bytes, count);
	w->bytes += count;
	w->piece += count;
	return fwrite(bytes, 1, count, w->out) == count ? 0 : -EIO;
}

static int put_service(struct writer *w, const struct fl_service *service)
{
	static const char open[] = SEPARATOR "services:\n";
	_cleanup_free_ char *text = NULL;
	size_t length = 0;
	FILE *memory = open_memstream(&text, &length);
	int r = memory ? fl_service_print(service, memory) : -ENOMEM;

	if (memory && fclose(memory) != 0 && r == 0)
		r = -ENOMEM;
	if (r == 0 && (w->piece == 0 || w->piece >= PIECE_BYTES)) {
		w->piece = 0;
		r = put(w, open, sizeof(open) - 1);
	}
	return r == 0 ? put(w, text, length) : r;
}

static int put_all(struct writer *w, const char *registry, uint64_t taken_ms,
	struct fl_service *const *services, size_t count)
{
	static const char none[] = SEPARATOR "services: []\n";
	int r = 0;

	XXH3_64bits_reset(&w->hash);
	fprintf(w->out, HEAD_WORDS HEAD_FORMAT, registry, taken_ms, (size_t)0, (uint64_t)0);
	for (size_t i = 0; i < count && r == 0; i++)
		r = put_service(w, services[i]);
	if (!count)
		r = put(w, none, sizeof(none) - 1);
	if (r < 0)
		return r;
	rewind(w->out); /* the head has the same length again */
	fprintf(w->out, HEAD_WORDS HEAD_FORMAT, registry, taken_ms, w->bytes,
		(uint64_t)XXH3_64bits_digest(&w->hash));
	return fflush(w->out) == 0 && fsync(fileno(w->out)) == 0 ? 0 : -errno;
}

static void set_time(int directory_fd, const char *name, uint64_t taken_ms)
{
	struct timespec time = { .tv_sec = (time_t)(taken_ms / 1000),
		.tv_nsec = (long)(taken_ms % 1000) * 1000000 };

	utimensat(directory_fd, name, (struct timespec[]){ time, time }, 0);
}

static int write_aside(int directory_fd, const char *registry, uint64_t taken_ms,
	struct fl_service *const *services, size_t count)
{
	_cleanup_close_ int fd =
		openat(directory_fd, BEING_WRITTEN, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct writer w = { 0 };
	int r;

	if (fd < 0)
		return -errno;
	w.out = fdopen(fd, "w");
	if (!w.out)
		return -errno;
	TAKE_FD(fd);
	r = put_all(&w, registry, taken_ms, services, count);
	if (fclose(w.out) != 0 && r == 0)
		r = -errno;
	return r;
}

int fl_kept_store(const char *directory, const char *registry, uint64_t taken_ms,
	struct fl_service *const *services, size_t count)
{
	_cleanup_close_ int fd = -1;
	int r = fl_copies_make_directory(directory);

	if (r < 0)
		return r;
	fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = write_aside(fd, registry, taken_ms, services, count);
	if (r == 0) {
		set_time(fd, BEING_WRITTEN, taken_ms);
		if (renameat(fd, BEING_WRITTEN, fd, FL_KEPT_FILE) < 0)
			r = -errno;
	}
	if (r < 0)
		unlinkat(fd, BEING_WRITTEN, 0);
	else
		fsync(fd);
	return r;
}

int fl_kept_touch(const char *directory, uint64_t taken_ms)
{
	_cleanup_close_ int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	set_time(fd, FL_KEPT_FILE, taken_ms);
	return 0;
}

/* --------------------------------------------------------------------- load */

/* A file as it lies there. */
struct image {
	char *path;
	char *text; /* a NUL follows */
	size_t length;
	uint64_t modified_ms;
};

static void image_done(struct image *image)
{
	free(image->path);
	free(image->text);
}

static int read_image(const char *directory, struct image *image)
{
	_cleanup_close_ int fd = -1;
	struct stat st;
	int r;

	if (asprintf(&image->path, "%s/" FL_KEPT_FILE, directory) < 0) {
		image->path = NULL;
		return -ENOMEM;
	}
	fd = open(image->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	r = fd < 0 ? -errno : fl_file_read(fd, FILE_MAX, &st, &image->text, &image->length);
	if (r < 0)
		return r;
	image->modified_ms =
		(uint64_t)st.st_mtim.tv_sec * 1000 + (uint64_t)st.st_mtim.tv_nsec / 1000000;
	return 0;
}

/* Find where the documents begin, and whether they are what was written.
 * @return what is wrong; NULL = nothing */
static const char *check_head(const struct image *image, uint64_t *ret_taken_ms, char **ret_body)
{
	char *body = strstr(image->text, SEPARATOR);
	const char *head = strstr(image->text, "# snapshot=");
	size_t left = body ? image->length - (size_t)(body - image->text) : 0;
	uint64_t checksum;
	unsigned version;
	size_t bytes;

	if (!body || !head || head > body ||
		sscanf(head, HEAD_SCAN, &version, ret_taken_ms, &bytes, &checksum) != 4)
		return "it is no snapshot";
	if (version != 1)
		return "another version of Fairlead wrote it";
	if (left != bytes)
		return "it was cut off";
	if (XXH3_64bits(body, bytes) != checksum)
		return "its checksum does not fit: it was damaged or changed";
	*ret_body = body;
	return NULL;
}

/* Read the documents one after the other. @return 0, -ENOMEM */
static int read_pieces(
	const struct image *image, char *body, const char *registry, struct fl_kept *kept)
{
	while (body) {
		char *text = body + strlen(SEPARATOR);
		char *next = strstr(text, "\n" SEPARATOR);
		fl_service_vec piece = { 0 };
		size_t length;
		int r;

		body = next ? next + 1 : NULL;
		length =
			body ? (size_t)(body - text) : image->length - (size_t)(text - image->text);
		r = fl_services_parse_kept(
			text, length, image->path, registry, &kept->problems, &piece);
		if (r == -ENOMEM)
			return r;
		for (size_t i = 0; i < piece.count; i++) {
			struct fl_service **service = fl_vec_push(&kept->services);

			if (!service) {
				fl_services_done(&piece);
				return -ENOMEM;
			}
			*service = fl_service_ref(piece.items[i]);
		}
		fl_services_done(&piece);
	}
	return 0;
}

static int set_aside(
	const char *directory, const struct image *image, const char *why, struct fl_kept *ret)
{
	_cleanup_close_ int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool moved = fd >= 0 && renameat(fd, FL_KEPT_FILE, fd, FL_KEPT_ASIDE) == 0;

	snprintf(ret->message, sizeof(ret->message), "%s: %s; it is not used%s", image->path, why,
		moved ? " and was renamed to " FL_KEPT_ASIDE : "");
	return -EBADMSG;
}

static int load(const char *directory, const char *registry, uint64_t now_ms, struct image *image,
	struct fl_kept *ret)
{
	const char *wrong;
	char *body = NULL;
	int r = read_image(directory, image);

	if (r < 0) {
		if (r != -ENOENT)
			snprintf(ret->message, sizeof(ret->message), "%s/" FL_KEPT_FILE ": %s",
				directory, strerror(-r));
		return r;
	}
	wrong = check_head(image, &ret->taken_ms, &body);
	if (wrong)
		return set_aside(directory, image, wrong, ret);
	r = read_pieces(image, body, registry, ret);
	if (r < 0)
		snprintf(ret->message, sizeof(ret->message), "out of memory");
	if (image->modified_ms > ret->taken_ms && image->modified_ms <= now_ms)
		ret->taken_ms = image->modified_ms;
	return r;
}

int fl_kept_load(const char *directory, const char *registry, uint64_t now_ms, struct fl_kept *ret)
{
	struct image image = { 0 };
	int r;

	*ret = (struct fl_kept){ 0 };
	r = load(directory, registry, now_ms, &image, ret);
	image_done(&image);
	if (r < 0) {
		fl_services_done(&ret->services);
		fl_problems_done(&ret->problems);
	}
	return r;
}

void fl_kept_done(struct fl_kept *kept)
{
	fl_services_done(&kept->services);
	fl_problems_done(&kept->problems);
}

void fl_kept_forget(const char *directory)
{
	_cleanup_close_ int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return;
	unlinkat(fd, FL_KEPT_FILE, 0);
	rmdir(directory);
}

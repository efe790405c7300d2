/*
 * The head of a bundle: it unpacks the program that is packed behind it into a folder of its own, and
 * becomes it. The program takes the image out of the bundle, and starts it.
 *
 * A watcher removes the folder when the last process of the container has ended, however it has.
 */
#include "folder.h"
#include "payload.h"
#include "remove.h"
#include "report.h"
#include "sha256.h"
#include "watch.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define SELF "/proc/self/exe"
#define END "--internal-end"
#define PROGRAM "program"

enum {
    NOEXEC = 0x8, /* of statfs(2) */
    MAX_TRIES = 16,
};

static char bundle[PATH_MAX];

static void add_region(struct sha256 *sum, int fd, off_t from, off_t to)
{
    static unsigned char buffer[1 << 18];
    while (from < to) {
        size_t step = to - from < (off_t)sizeof buffer ? (size_t)(to - from) : sizeof buffer;
        ssize_t length = pread(fd, buffer, step, from);
        if (length < 0 && errno == EINTR)
            continue;
        if (length <= 0)
            fail("cannot read %s: %s", bundle, length < 0 ? strerror(errno) : "it was cut off");
        sha256_add(sum, buffer, (size_t)length);
        from += length;
    }
}

/* All but the image, which the program checks as it unpacks it. */
static void check(const struct payload *payload)
{
    struct sha256 sum;
    char hex[ID_LENGTH + 1];
    sha256_begin(&sum);
    add_region(&sum, payload->fd, 0, payload->data_offset);
    add_region(&sum, payload->fd, payload->data_offset + payload->data_size, payload->end);
    sha256_end(&sum, hex);
    if (strcmp(hex, payload->id) != 0)
        fail("%s is damaged: its checksum is %s and should be %s: copy it again", bundle, hex,
             payload->id);
}

static char tried[4 * PATH_MAX];

static void note(const char *place, const char *why)
{
    size_t used = strlen(tried);
    snprintf(tried + used, sizeof tried - used, "%s%s: %s", used > 0 ? "; " : "", place, why);
}

/* Make a folder in a place; NULL, or why it cannot be there. */
static const char *make_folder(const char *given, char folder[PATH_MAX])
{
    unsigned long long random;
    char place[PATH_MAX];
    struct statfs fs;
    int fd = open(given, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return strerror(errno);
    const char *why = check_way(fd);
    /* From here on by the way that was checked: what was given can be made another. */
    if (why == NULL)
        why = real_path(fd, place);
    if (why == NULL && strpbrk(place, ":;$") != NULL)
        why = "the loader would take its path for several";
    if (why == NULL && fstatfs(fd, &fs) == 0 && (fs.f_flags & NOEXEC) != 0)
        why = "programs cannot be executed there";
    if (why == NULL && (getrandom(&random, sizeof random, 0) != sizeof random ||
                        snprintf(folder, PATH_MAX, "%s/enroot-bundle.%u.%016llx", place,
                                 (unsigned)geteuid(), random) >= PATH_MAX ||
                        mkdir(folder, 0700) < 0))
        why = strerror(errno);
    close(fd);
    return why;
}

static void find_place(char folder[PATH_MAX])
{
    const char *const places[] = { getenv("ENROOT_TEMP_PATH"), getenv("TMPDIR"), "/tmp",
                                   getenv("XDG_RUNTIME_DIR"), geteuid() == 0 ? "/run" : NULL };
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        if (places[i] == NULL || places[i][0] != '/')
            continue;
        const char *why = make_folder(places[i], folder);
        if (why == NULL)
            return;
        note(places[i], why);
    }
    fail("nowhere to unpack to (%s): set TMPDIR to a folder of your own", tried);
}

/* What says that a folder is in use: the watcher holds both, to the end. Another bundle looks at the file,
 * which can be locked over a network, too; what removes old files at the folder, as systemd-tmpfiles does. */
struct hold {
    int folder, file;
};

/* The folder that nobody would remove. */
static char unwatched[PATH_MAX];

static void discard(void)
{
    char path[PATH_MAX + 8];
    if (unwatched[0] == '\0')
        return;
    snprintf(path, sizeof path, "%s/lock", unwatched);
    unlink(path);
    rmdir(unwatched);
    unwatched[0] = '\0';
}

/* Where there are no locks nobody takes a folder for left behind. */
static bool lock(int fd)
{
    return flock(fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK;
}

/* Hold a folder; false when it was not, or is no longer, nobody's. */
static bool hold(const char *folder, struct hold *held)
{
    struct stat ours, named;
    held->folder = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    held->file = -1;
    if (held->folder >= 0)
        held->file = openat(held->folder, "lock", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (held->file < 0 && errno != ENOENT)
        fail("cannot write in %s: %s", folder, strerror(errno));
    /* Before it was locked it may have been taken for left behind. */
    if (held->file >= 0 && lock(held->folder) && lock(held->file) &&
        fstat(held->file, &ours) == 0 &&
        fstatat(held->folder, "lock", &named, AT_SYMLINK_NOFOLLOW) == 0 &&
        ours.st_dev == named.st_dev && ours.st_ino == named.st_ino)
        return true;
    if (held->file >= 0)
        close(held->file);
    if (held->folder >= 0)
        close(held->folder);
    return false;
}

/* A folder that is ours alone. */
static void take_folder(char folder[PATH_MAX], struct hold *held)
{
    for (int tries = 0; tries < MAX_TRIES; tries++) {
        find_place(folder);
        strcpy(unwatched, folder);
        if (hold(folder, held))
            return;
        discard();
    }
    fail("cannot keep %s: others lock or remove what is made there: set TMPDIR to another place",
         folder);
}

static int watch_folder(const char *folder, const struct hold *held)
{
    char words[PATH_MAX + 64];
    int length = snprintf(words, sizeof words, SELF "%c" END "%c%s", 0, 0, folder) + 1;
    int fd = memfd_create("enroot-at-end", MFD_CLOEXEC);
    if (fd < 0 || write(fd, words, (size_t)length) != length)
        fail("cannot say what is to be removed: %s", strerror(errno));
    const struct watch_request request = {
        .command = fd,
        .kept = { held->folder, held->file },
        .kept_count = 2,
    };
    int watcher = start_watcher(&request);
    unwatched[0] = '\0';
    if (fcntl(watcher, F_SETFD, 0) < 0)
        fail("cannot keep the watcher: %s", strerror(errno));
    close(fd);
    close(held->folder);
    close(held->file);
    return watcher;
}

static void unpack_program(const struct payload *payload, const char *folder)
{
    char path[PATH_MAX + 16];
    snprintf(path, sizeof path, "%s/" PROGRAM, folder);
    int fd = mkdir(path, 0700) < 0 ? -1 : open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0 && write_files(payload, fd)) {
        close(fd);
        return;
    }
    if (errno == EILSEQ)
        fail("%s is damaged: copy it again", bundle);
    fail("cannot unpack to %s: %s: is there room? TMPDIR can be another place", folder,
         strerror(errno));
}

static char *expand(const char *word, const char *folder)
{
    bool is_path = word[0] == '@';
    size_t size = strlen(word) + strlen(folder) + sizeof "/" PROGRAM;
    char *text = malloc(size);
    if (text == NULL)
        fail("out of memory");
    snprintf(text, size, "%s%s%s", is_path ? folder : "", is_path ? "/" PROGRAM : "", word + is_path);
    return text;
}

static char *decimal(int number)
{
    char *text = malloc(16);
    if (text == NULL)
        fail("out of memory");
    snprintf(text, 16, "%d", number);
    return text;
}

int main(int argc, char **argv)
{
    static struct payload payload;
    static char folder[PATH_MAX];
    struct hold held;
    if (argc == 3 && strcmp(argv[0], SELF) == 0 && strcmp(argv[1], END) == 0 &&
        argv[2][0] == '/') {
        remove_tree(argv[2]);
        return 0;
    }
    if (readlink(SELF, bundle, sizeof bundle - 1) < 0)
        fail("cannot find the bundle: %s: is /proc mounted?", strerror(errno));
    read_payload(&payload, bundle);
    if (payload.is_checked)
        check(&payload);
    /* Nothing but SIGKILL comes between the folder and its watcher: what that leaves has no lock on it. */
    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    atexit(discard);
    take_folder(folder, &held);
    int watcher = watch_folder(folder, &held);
    sigprocmask(SIG_SETMASK, &before, NULL);
    unpack_program(&payload, folder);

    /* The words of the program, then what it works with: the bundle, open, and where it is. */
    char **words = calloc(payload.n_words + (size_t)argc + 5, sizeof *words);
    if (words == NULL)
        fail("out of memory");
    size_t n = 0;
    for (size_t i = 0; i < payload.n_words; i++)
        words[n++] = expand(payload.words[i], folder);
    if (fcntl(payload.fd, F_SETFD, 0) < 0)
        fail("cannot keep %s open: %s", bundle, strerror(errno));
    words[n++] = folder;
    words[n++] = decimal(payload.fd);
    words[n++] = decimal(watcher);
    words[n++] = bundle;
    for (int i = 1; i < argc; i++)
        words[n++] = argv[i];
    execv(words[0], words);
    fail_code(126, "cannot run %s: %s", words[0], strerror(errno));
}

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

enum { NOEXEC = 0x8 /* of statfs(2) */ };

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
static const char *make_folder(const char *place, char folder[PATH_MAX])
{
    unsigned long long random;
    struct statfs fs;
    int fd = open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return strerror(errno);
    const char *why = check_way(fd);
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

/* The lock that says that the folder is in use: the watcher holds it, to the end. */
static int hold(const char *folder)
{
    char path[PATH_MAX + 8];
    snprintf(path, sizeof path, "%s/lock", folder);
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        int reason = errno;
        rmdir(folder);
        fail("cannot write in %s: %s", folder, strerror(reason));
    }
    /* Where there are no locks nobody takes the folder for left behind. */
    flock(fd, LOCK_EX | LOCK_NB);
    return fd;
}

static int watch_folder(const char *folder, int lock)
{
    char words[PATH_MAX + 64];
    int length = snprintf(words, sizeof words, SELF "%c" END "%c%s", 0, 0, folder) + 1;
    int fd = memfd_create("enroot-at-end", MFD_CLOEXEC);
    if (fd < 0 || write(fd, words, (size_t)length) != length)
        fail("cannot say what is to be removed: %s", strerror(errno));
    const struct watch_request request = { .command = fd, .kept = { lock }, .kept_count = 1 };
    int watcher = start_watcher(&request);
    if (fcntl(watcher, F_SETFD, 0) < 0)
        fail("cannot keep the watcher: %s", strerror(errno));
    close(fd);
    close(lock);
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
    if (argc == 3 && strcmp(argv[0], SELF) == 0 && strcmp(argv[1], END) == 0) {
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
    find_place(folder);
    int watcher = watch_folder(folder, hold(folder));
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

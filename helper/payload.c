#include "payload.h"

#include "inflate.h"
#include "report.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif

#define TRAILER_SIZE 104

static void damaged(const char *executable)
{
    fail("%s is damaged or incomplete: copy or install it again", executable);
}

static bool parse_line(struct payload *payload, char *line, off_t end)
{
    if (line[0] == 'a' && line[1] == ' ') {
        if (payload->n_words == MAX_WORDS)
            return false;
        payload->words[payload->n_words++] = line + 2;
        return true;
    }
    long long offset = 0, stored, size;
    unsigned mode;
    int at = 0;
    if (sscanf(line, "d %lld %lld", &offset, &size) == 2) {
        payload->data_offset = offset;
        payload->data_size = size;
        return offset >= 0 && offset <= end && size >= 0 && size <= end - offset;
    }
    bool is_here = line[0] != 'i', is_deflated = line[0] == 'z';
    bool is_file =
        is_deflated ? sscanf(line, "z %o %lld %lld %lld %n", &mode, &offset, &stored, &size, &at) == 4
        : is_here   ? sscanf(line, "f %o %lld %lld %n", &mode, &offset, &size, &at) == 3
                    : sscanf(line, "i %o %lld %n", &mode, &size, &at) == 2;
    if (is_file && !is_deflated)
        stored = size;
    if (payload->n_files == MAX_FILES || !is_file || at == 0 || offset < 0 || size < 0 || stored < 0 ||
        (is_here && (offset > end || stored > end - offset)) || line[at] == '\0' || line[at] == '/' ||
        strstr(line + at, "..") != NULL)
        return false;
    payload->is_whole = payload->is_whole && is_here;
    payload->files[payload->n_files++] = (struct packed_file){
        .name = line + at, .offset = offset, .stored = stored, .size = size, .mode = mode & 0755,
        .is_deflated = is_deflated,
    };
    return true;
}

void read_payload(struct payload *payload, const char *executable)
{
    char trailer[TRAILER_SIZE + 1] = "", kind[2];
    unsigned long long offset, size;
    struct stat stat;
    payload->fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    if (payload->fd < 0 || fstat(payload->fd, &stat) < 0)
        fail("cannot read %s: %s", executable, strerror(errno));
    if (stat.st_size < TRAILER_SIZE ||
        pread(payload->fd, trailer, TRAILER_SIZE, stat.st_size - TRAILER_SIZE) != TRAILER_SIZE ||
        sscanf(trailer, "ENROOT%1[PC]1%16llx%16llx%64[0-9a-f]", kind, &offset, &size, payload->id) != 4 ||
        strlen(payload->id) != ID_LENGTH || size > 1 << 20 ||
        offset + size + TRAILER_SIZE != (unsigned long long)stat.st_size)
        damaged(executable);
    char *table = malloc(size + 1);
    if (table == NULL)
        fail("out of memory");
    if (pread(payload->fd, table, size, (off_t)offset) != (ssize_t)size)
        damaged(executable);
    table[size] = '\0';
    payload->n_files = payload->n_words = 0;
    payload->data_offset = payload->data_size = 0;
    payload->end = stat.st_size - TRAILER_SIZE;
    payload->is_whole = true;
    payload->is_checked = kind[0] == 'C';
    for (char *line = table, *end; *line != '\0'; line = end + 1) {
        end = strchr(line, '\n');
        if (end == NULL)
            damaged(executable);
        *end = '\0';
        if (!parse_line(payload, line, (off_t)offset))
            damaged(executable);
    }
    if (payload->n_words == 0)
        damaged(executable);
}

bool is_complete(const struct payload *payload, int folder)
{
    /* Who may execute it, and whether others may write to it; a package may take away more. */
    const mode_t checked = 0133;
    for (size_t i = 0; i < payload->n_files; i++) {
        const struct packed_file *file = &payload->files[i];
        struct stat stat;
        if (fstatat(folder, file->name, &stat, AT_SYMLINK_NOFOLLOW) < 0 ||
            !S_ISREG(stat.st_mode) || stat.st_size != file->size ||
            (stat.st_mode & checked) != (file->mode & checked))
            return false;
    }
    return true;
}

static bool write_all(int to, const unsigned char *bytes, size_t left)
{
    while (left > 0) {
        ssize_t done = write(to, bytes, left);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return false;
        bytes += done;
        left -= (size_t)done;
    }
    return true;
}

static bool inflate_bytes(const struct payload *payload, const struct packed_file *file, int to)
{
    size_t before = (size_t)(file->offset % sysconf(_SC_PAGESIZE));
    size_t in_size = before + (size_t)file->stored, out_size = (size_t)file->size;
    unsigned char *in = mmap(NULL, in_size, PROT_READ, MAP_PRIVATE, payload->fd,
                             file->offset - (off_t)before);
    unsigned char *out = mmap(NULL, out_size + 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                              -1, 0);
    bool ok = in != MAP_FAILED && out != MAP_FAILED;
    if (ok && !inflate(in + before, (size_t)file->stored, out, out_size)) {
        ok = false;
        errno = EILSEQ;
    }
    ok = ok && write_all(to, out, out_size);
    int reason = errno;
    if (in != MAP_FAILED)
        munmap(in, in_size);
    if (out != MAP_FAILED)
        munmap(out, out_size + 1);
    errno = reason;
    return ok;
}

static bool copy_bytes(const struct payload *payload, const struct packed_file *file, int to)
{
    if (file->is_deflated)
        return inflate_bytes(payload, file, to);
    off_t from = file->offset;
    /* It may share the blocks or leave the copying to a server; where it cannot, some file systems
     * say 0 in place of an error. */
    bool is_shared = true;
    for (off_t left = file->size; left > 0;) {
        size_t step = left > 1 << 30 ? 1 << 30 : (size_t)left;
        ssize_t done = is_shared ? copy_file_range(payload->fd, &from, to, NULL, step, 0)
                                 : sendfile(to, payload->fd, &from, step);
        if (done <= 0 && is_shared) {
            is_shared = false;
            continue;
        }
        if (done < 0 && errno == EINTR)
            continue;
        if (done == 0)
            errno = EIO;
        if (done <= 0)
            return false;
        left -= done;
    }
    return true;
}

static bool make_parents(int folder, const char *name)
{
    char path[PATH_MAX];
    for (const char *slash = name; (slash = strchr(slash, '/')) != NULL; slash++) {
        snprintf(path, sizeof path, "%.*s", (int)(slash - name), name);
        if (mkdirat(folder, path, 0700) < 0 && errno != EEXIST)
            return false;
    }
    return true;
}

static bool write_file(const struct payload *payload, int folder, const struct packed_file *file)
{
    if (!make_parents(folder, file->name))
        return false;
    int fd = openat(folder, file->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return false;
    bool ok = copy_bytes(payload, file, fd) && fchmod(fd, file->mode) == 0;
    int reason = errno;
    /* A quota may speak up as late as here. */
    if (close(fd) < 0 && ok)
        return false;
    errno = reason;
    return ok;
}

bool write_files(const struct payload *payload, int folder)
{
    for (size_t i = 0; i < payload->n_files; i++)
        if (!write_file(payload, folder, &payload->files[i]))
            return false;
    return true;
}

int load_file(const struct payload *payload, const struct packed_file *file)
{
    /* Kernels before 6.3 do not know MFD_EXEC; later ones may be set up to insist on it. */
    int fd = memfd_create("enroot", MFD_ALLOW_SEALING | MFD_EXEC);
    if (fd < 0 && errno == EINVAL)
        fd = memfd_create("enroot", MFD_ALLOW_SEALING);
    if (fd < 0)
        return -1;
    if (copy_bytes(payload, file, fd) && fchmod(fd, file->mode) == 0 &&
        fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) == 0)
        return fd;
    int reason = errno;
    close(fd);
    errno = reason;
    return -1;
}

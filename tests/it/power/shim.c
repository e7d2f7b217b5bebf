/* Records what a process does to the files below one folder, in order, with the octets, so that a test
 * can rebuild the disk as a power cut could have left it. Loaded with LD_PRELOAD into a child process.
 *
 *   POWER_ROOT   the folder (an absolute path without links)
 *   POWER_LOG    the file that the records are appended to
 *   POWER_MARK   a file below no root: what is written to it becomes a mark among the records
 *   POWER_DROP   "fdatasync:TEXT": fdatasync of files with TEXT in their path does nothing and is not recorded
 *   POWER_KILL   the process ends, as if killed, after so many records, or with "sync:N" when the Nth sync begins
 *   POWER_PAUSE  microseconds that a sync lasts at most
 *   POWER_FAIL   "OP:TEXT:N": the Nth OP on a file with TEXT in its path fails with EIO, with "N+" all from then
 *                on. OP is write, size (truncate, allocate), sync, name (rename, remove, make), open or read
 *
 * Every change is made and recorded under one lock, so the order of the records is the order of the changes.
 * A sync is two records, its begin and its end: others may write while it lasts. Syncs are not handed on to
 * the system: the test's disk is what the records say. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    R_OPEN = 1, R_WRITE, R_SYNC_BEGIN, R_SYNC_END, R_RENAME, R_TRUNCATE, R_UNLINK, R_MKDIR, R_RMDIR, R_MARK,
    R_RANGE, R_LINK, R_ALLOCATE, R_UNKNOWN
};

struct record {
    uint32_t kind, path, other, flags;
    uint64_t inode, a, b, payload;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int log_fd = -1;
static char root[PATH_MAX], mark[PATH_MAX], drop_path[256];
static size_t root_len;
static uint64_t records, syncs, kill_after, kill_at_sync, tokens;
static unsigned pause_most, seed = 1;
static char fail_op[16], fail_path[256];
static uint64_t fail_at, fail_seen;
static int fail_on;

__attribute__((constructor)) static void begin(void) {
    const char *text = getenv("POWER_ROOT");
    if (text) { snprintf(root, sizeof root, "%s", text); root_len = strlen(root); }
    text = getenv("POWER_MARK");
    if (text) snprintf(mark, sizeof mark, "%s", text);
    text = getenv("POWER_DROP");
    if (text && !strncmp(text, "fdatasync:", 10)) snprintf(drop_path, sizeof drop_path, "%s", text + 10);
    text = getenv("POWER_KILL");
    if (text && !strncmp(text, "sync:", 5)) kill_at_sync = strtoull(text + 5, NULL, 10);
    else if (text) kill_after = strtoull(text, NULL, 10);
    text = getenv("POWER_PAUSE");
    if (text) pause_most = (unsigned)strtoul(text, NULL, 10);
    seed = (unsigned)getpid();
    text = getenv("POWER_FAIL");
    if (text && sscanf(text, "%15[^:]:%255[^:]:%lu", fail_op, fail_path, &fail_at) == 3) fail_on = text[strlen(text) - 1] == '+';
    text = getenv("POWER_LOG");
    if (text && root_len) {
        int fd = (int)syscall(SYS_openat, AT_FDCWD, text, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (fd >= 0) {
            log_fd = (int)syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, 900);
            syscall(SYS_close, fd);
        }
    }
}

static int below(const char *path) {
    return !strncmp(path, root, root_len) && (path[root_len] == '/' || path[root_len] == 0);
}

/* The path of an open file; 0 when it has none below the root. */
static int path_of(int fd, char *out) {
    char name[64];
    if (log_fd < 0 || fd < 0 || fd == log_fd) return 0;
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    long len = syscall(SYS_readlinkat, AT_FDCWD, name, out, PATH_MAX - 1);
    if (len <= 0) return 0;
    out[len] = 0;
    return below(out);
}

/* An absolute path without "." and "..": the program makes none with links. */
static int absolute(int dir, const char *path, char *out) {
    char base[PATH_MAX], joined[2 * PATH_MAX];
    if (log_fd < 0 || !path) return 0;
    if (path[0] == '/') {
        snprintf(joined, sizeof joined, "%s", path);
    } else if (dir == AT_FDCWD) {
        if (!getcwd(base, sizeof base)) return 0;
        snprintf(joined, sizeof joined, "%s/%s", base, path);
    } else {
        char name[64];
        snprintf(name, sizeof name, "/proc/self/fd/%d", dir);
        long len = syscall(SYS_readlinkat, AT_FDCWD, name, base, sizeof base - 1);
        if (len <= 0) return 0;
        base[len] = 0;
        snprintf(joined, sizeof joined, "%s/%s", base, path);
    }
    size_t at = 0;
    out[0] = 0;
    for (char *save = NULL, *part = strtok_r(joined, "/", &save); part; part = strtok_r(NULL, "/", &save)) {
        if (!strcmp(part, ".")) continue;
        if (!strcmp(part, "..")) {
            while (at > 0 && out[--at] != '/') {}
            out[at] = 0;
            continue;
        }
        if (at + strlen(part) + 2 > PATH_MAX) return 0;
        at += (size_t)sprintf(out + at, "/%s", part);
    }
    return below(out);
}

static uint64_t inode_of(int fd) {
    struct stat now;
    return fstat(fd, &now) == 0 ? (uint64_t)now.st_ino : 0;
}

/* Appends a record; the lock is held. */
static void put(uint32_t kind, uint32_t flags, uint64_t inode, uint64_t a, uint64_t b, const char *path,
                const char *other, const void *payload, size_t len) {
    struct record head = {kind, path ? (uint32_t)strlen(path) : 0, other ? (uint32_t)strlen(other) : 0, flags,
                          inode, a, b, len};
    struct iovec parts[4] = {{&head, sizeof head}, {(void *)path, head.path}, {(void *)other, head.other},
                             {(void *)payload, len}};
    size_t whole = sizeof head + head.path + head.other + len;
    int kept = errno;
    if (syscall(SYS_writev, log_fd, parts, 4) != (long)whole) abort();
    errno = kept;
    int over = kind != R_MARK && ++records == kill_after;
    over |= kind == R_SYNC_BEGIN && ++syncs == kill_at_sync;
    if (over) syscall(SYS_exit_group, 137);
}

static void enter(void) { pthread_mutex_lock(&lock); }
static void leave(void) { pthread_mutex_unlock(&lock); }

/* Whether the disk fails now; a mark "F OP PATH" says so among the records. The lock is not held. */
static int fails(const char *op, const char *path) {
    if (!fail_at || strcmp(op, fail_op) || !strstr(path, fail_path)) return 0;
    uint64_t seen = __atomic_add_fetch(&fail_seen, 1, __ATOMIC_SEQ_CST);
    if (seen != fail_at && !(fail_on && seen > fail_at)) return 0;
    char told[PATH_MAX + 32];
    int len = snprintf(told, sizeof told, "F %s %s", op, path + root_len);
    enter();
    put(R_MARK, 0, 0, 0, 0, NULL, NULL, told, (size_t)len);
    leave();
    errno = EIO;
    return 1;
}

/* --- opening --- */

static int opened(int dir, const char *path, int flags, mode_t mode) {
    char full[PATH_MAX];
    int changes = (flags & (O_CREAT | O_TRUNC)) != 0 && (flags & O_TMPFILE) != O_TMPFILE;
    if (!changes || !absolute(dir, path, full)) return (int)syscall(SYS_openat, dir, path, flags, mode);
    if (fails("open", full)) return -1;
    enter();
    struct stat before;
    int there = stat(full, &before) == 0;
    int fd = (int)syscall(SYS_openat, dir, path, flags, mode);
    int kept = errno;
    if (fd >= 0) {
        if (!there) put(R_OPEN, 0, inode_of(fd), 0, 0, full, NULL, NULL, 0);
        else if ((flags & O_TRUNC) && before.st_size > 0) put(R_TRUNCATE, 0, inode_of(fd), 0, 0, full, NULL, NULL, 0);
    }
    leave();
    errno = kept;
    return fd;
}

#define MODE(flags) mode_t mode = 0; if ((flags) & (O_CREAT | O_TMPFILE)) { va_list more; va_start(more, flags); mode = va_arg(more, mode_t); va_end(more); }
int open(const char *path, int flags, ...) { MODE(flags) return opened(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE(flags) return opened(AT_FDCWD, path, flags, mode); }
int openat(int dir, const char *path, int flags, ...) { MODE(flags) return opened(dir, path, flags, mode); }
int openat64(int dir, const char *path, int flags, ...) { MODE(flags) return opened(dir, path, flags, mode); }
int creat(const char *path, mode_t mode) { return opened(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, mode); }
int creat64(const char *path, mode_t mode) { return creat(path, mode); }

/* --- writing --- */

static int is_mark(int fd) {
    char name[64], path[PATH_MAX];
    if (log_fd < 0 || !mark[0]) return 0;
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    long len = syscall(SYS_readlinkat, AT_FDCWD, name, path, sizeof path - 1);
    if (len <= 0) return 0;
    path[len] = 0;
    return !strcmp(path, mark);
}

/* Records the first `done` octets of what was written at `at`. */
static void wrote(int fd, const char *path, const struct iovec *parts, int count, off_t at, ssize_t done) {
    uint64_t inode = inode_of(fd);
    for (int n = 0; n < count && done > 0; n++) {
        size_t len = parts[n].iov_len < (size_t)done ? parts[n].iov_len : (size_t)done;
        if (len) put(R_WRITE, 0, inode, (uint64_t)at, 0, path, NULL, parts[n].iov_base, len);
        at += (off_t)len;
        done -= (ssize_t)len;
    }
}

static ssize_t sequential(int fd, const struct iovec *parts, int count) {
    char path[PATH_MAX];
    if (is_mark(fd)) {
        enter();
        for (int n = 0; n < count; n++) put(R_MARK, 0, 0, 0, 0, NULL, NULL, parts[n].iov_base, parts[n].iov_len);
        leave();
        return syscall(SYS_writev, fd, parts, count);
    }
    if (!path_of(fd, path)) return syscall(SYS_writev, fd, parts, count);
    if (fails("write", path)) return -1;
    enter();
    int flags = fcntl(fd, F_GETFL);
    off_t at = lseek(fd, 0, (flags & O_APPEND) ? SEEK_END : SEEK_CUR);
    ssize_t done = syscall(SYS_writev, fd, parts, count);
    if (at >= 0 && done > 0) wrote(fd, path, parts, count, at, done);
    leave();
    return done;
}

static ssize_t placed(int fd, const struct iovec *parts, int count, off_t at) {
    char path[PATH_MAX];
    int ours = path_of(fd, path);
    if (ours && fails("write", path)) return -1;
    if (ours) enter();
    ssize_t done = syscall(SYS_pwritev, fd, parts, count, at, 0);
    if (ours) {
        if (done > 0) wrote(fd, path, parts, count, at, done);
        leave();
    }
    return done;
}

ssize_t write(int fd, const void *octets, size_t len) {
    struct iovec one = {(void *)octets, len};
    return sequential(fd, &one, 1);
}
ssize_t writev(int fd, const struct iovec *parts, int count) { return sequential(fd, parts, count); }
ssize_t pwrite(int fd, const void *octets, size_t len, off_t at) {
    struct iovec one = {(void *)octets, len};
    return placed(fd, &one, 1, at);
}
ssize_t pwrite64(int fd, const void *octets, size_t len, off64_t at) { return pwrite(fd, octets, len, at); }
ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at) { return placed(fd, parts, count, at); }
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t at) { return placed(fd, parts, count, at); }

/* --- reading --- */

static int unreadable(int fd) {
    char path[PATH_MAX];
    return !strcmp(fail_op, "read") && path_of(fd, path) && fails("read", path);
}
ssize_t read(int fd, void *octets, size_t len) {
    return unreadable(fd) ? -1 : syscall(SYS_read, fd, octets, len);
}
ssize_t pread(int fd, void *octets, size_t len, off_t at) {
    return unreadable(fd) ? -1 : syscall(SYS_pread64, fd, octets, len, at);
}
ssize_t pread64(int fd, void *octets, size_t len, off64_t at) { return pread(fd, octets, len, at); }

/* What would change a file past this record: the test must fail then, not overlook it. */
static void unknown(int fd, const char *what) {
    char path[PATH_MAX];
    if (!path_of(fd, path)) return;
    enter();
    put(R_UNKNOWN, 0, inode_of(fd), 0, 0, path, what, NULL, 0);
    leave();
}
ssize_t sendfile(int out, int in, off_t *at, size_t len) {
    unknown(out, "sendfile");
    return syscall(SYS_sendfile, out, in, at, len);
}
ssize_t sendfile64(int out, int in, off64_t *at, size_t len) { return sendfile(out, in, at, len); }
ssize_t copy_file_range(int in, off64_t *from, int out, off64_t *to, size_t len, unsigned flags) {
    unknown(out, "copy_file_range");
    return syscall(SYS_copy_file_range, in, from, out, to, len, flags);
}
ssize_t splice(int in, off64_t *from, int out, off64_t *to, size_t len, unsigned flags) {
    unknown(out, "splice");
    return syscall(SYS_splice, in, from, out, to, len, flags);
}
void *mmap(void *at, size_t len, int access, int flags, int fd, off_t offset) {
    if (fd >= 0 && (flags & MAP_SHARED) && (access & PROT_WRITE)) unknown(fd, "mmap");
    return (void *)syscall(SYS_mmap, at, len, access, flags, fd, offset);
}
void *mmap64(void *at, size_t len, int access, int flags, int fd, off64_t offset) {
    return mmap(at, len, access, flags, fd, offset);
}

/* --- lengths --- */

int ftruncate(int fd, off_t len) {
    char path[PATH_MAX];
    int ours = path_of(fd, path);
    if (ours && fails("size", path)) return -1;
    if (ours) enter();
    int done = (int)syscall(SYS_ftruncate, fd, len);
    if (ours) {
        if (done == 0) put(R_TRUNCATE, 0, inode_of(fd), (uint64_t)len, 0, path, NULL, NULL, 0);
        leave();
    }
    return done;
}
int ftruncate64(int fd, off64_t len) { return ftruncate(fd, len); }
int truncate(const char *path, off_t len) {
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CLOEXEC, 0);
    if (fd < 0) return -1;
    int done = ftruncate(fd, len);
    syscall(SYS_close, fd);
    return done;
}
int truncate64(const char *path, off64_t len) { return truncate(path, len); }
int fallocate(int fd, int mode, off_t at, off_t len) {
    char path[PATH_MAX];
    int ours = path_of(fd, path);
    if (ours && fails("size", path)) return -1;
    if (ours) enter();
    int done = (int)syscall(SYS_fallocate, fd, mode, at, len);
    if (ours) {
        /* Only growing is known here; punching and moving are not. */
        if (done == 0) put(mode ? R_UNKNOWN : R_ALLOCATE, 0, inode_of(fd), (uint64_t)at, (uint64_t)len, path, mode ? "fallocate" : NULL, NULL, 0);
        leave();
    }
    return done;
}
int fallocate64(int fd, int mode, off64_t at, off64_t len) { return fallocate(fd, mode, at, len); }
int posix_fallocate(int fd, off_t at, off_t len) { return fallocate(fd, 0, at, len) == 0 ? 0 : errno; }
int posix_fallocate64(int fd, off64_t at, off64_t len) { return posix_fallocate(fd, at, len); }

/* --- syncing --- */

static int synced(int fd, long number, int data_only) {
    char path[PATH_MAX];
    if (!path_of(fd, path)) return (int)syscall(number, fd);
    if (data_only && drop_path[0] && strstr(path, drop_path)) return 0;
    /* As the kernel has it: who syncs once more is told that all is well. */
    if (fails("sync", path)) return -1;
    enter();
    uint64_t inode = inode_of(fd), token = ++tokens;
    put(R_SYNC_BEGIN, 0, inode, token, (uint64_t)getpid(), path, NULL, NULL, 0);
    unsigned wait = pause_most ? (unsigned)rand_r(&seed) % (pause_most + 1) : 0;
    leave();
    if (wait) usleep(wait);
    enter();
    put(R_SYNC_END, 0, inode, token, (uint64_t)getpid(), path, NULL, NULL, 0);
    leave();
    return 0;
}
int fsync(int fd) { return synced(fd, SYS_fsync, 0); }
int fdatasync(int fd) { return synced(fd, SYS_fdatasync, 1); }
int syncfs(int fd) { unknown(fd, "syncfs"); return 0; }
int msync(void *at, size_t len, int flags) { return (int)syscall(SYS_msync, at, len, flags); }
/* Makes nothing durable, whatever it returns: recorded so that a test can say so. */
int sync_file_range(int fd, off64_t at, off64_t len, unsigned flags) {
    char path[PATH_MAX];
    if (path_of(fd, path)) {
        enter();
        put(R_RANGE, flags, inode_of(fd), (uint64_t)at, (uint64_t)len, path, NULL, NULL, 0);
        leave();
        return 0;
    }
    return (int)syscall(SYS_sync_file_range, fd, at, len, flags);
}

/* --- names --- */

static int renamed(int from_dir, const char *from, int to_dir, const char *to, unsigned flags) {
    char one[PATH_MAX], other[PATH_MAX];
    int ours = absolute(from_dir, from, one) | (absolute(to_dir, to, other) << 1);
    if ((ours & 2) && fails("name", other)) return -1;
    if (ours) enter();
    int done = (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, flags);
    if (ours) {
        if (done == 0) put(ours == 3 && !flags ? R_RENAME : R_UNKNOWN, 0, 0, 0, 0, one, other, NULL, 0);
        leave();
    }
    return done;
}
int rename(const char *from, const char *to) { return renamed(AT_FDCWD, from, AT_FDCWD, to, 0); }
int renameat(int a, const char *from, int b, const char *to) { return renamed(a, from, b, to, 0); }
int renameat2(int a, const char *from, int b, const char *to, unsigned flags) { return renamed(a, from, b, to, flags); }

static int removed(int dir, const char *path, int flags) {
    char full[PATH_MAX];
    int ours = absolute(dir, path, full);
    if (ours && fails("name", full)) return -1;
    if (ours) enter();
    int done = (int)syscall(SYS_unlinkat, dir, path, flags);
    int kept = errno;
    if (ours) {
        if (done == 0) put((flags & AT_REMOVEDIR) ? R_RMDIR : R_UNLINK, 0, 0, 0, 0, full, NULL, NULL, 0);
        leave();
    }
    errno = kept;
    return done;
}
int unlink(const char *path) { return removed(AT_FDCWD, path, 0); }
int unlinkat(int dir, const char *path, int flags) { return removed(dir, path, flags); }
int rmdir(const char *path) { return removed(AT_FDCWD, path, AT_REMOVEDIR); }
int remove(const char *path) {
    int done = unlink(path);
    return done != 0 && errno == EISDIR ? rmdir(path) : done;
}

int mkdirat(int dir, const char *path, mode_t mode) {
    char full[PATH_MAX];
    int ours = absolute(dir, path, full);
    if (ours && fails("name", full)) return -1;
    if (ours) enter();
    int done = (int)syscall(SYS_mkdirat, dir, path, mode);
    int kept = errno;
    if (ours) {
        struct stat now;
        if (done == 0 && stat(full, &now) == 0) put(R_MKDIR, 0, (uint64_t)now.st_ino, 0, 0, full, NULL, NULL, 0);
        leave();
    }
    errno = kept;
    return done;
}
int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }

int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags) {
    char one[PATH_MAX], other[PATH_MAX];
    int ours = absolute(from_dir, from, one) | absolute(to_dir, to, other);
    if (ours) enter();
    int done = (int)syscall(SYS_linkat, from_dir, from, to_dir, to, flags);
    if (ours) {
        if (done == 0) put(R_LINK, 0, 0, 0, 0, one, other, NULL, 0);
        leave();
    }
    return done;
}
int link(const char *from, const char *to) { return linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }

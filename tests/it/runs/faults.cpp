// Lets system calls on some files fail, or kills the process at one of them. Preloaded by tests (LD_PRELOAD).
//
// SGAS_FAULT_IN     a part of the paths of the files that count
// SGAS_FAULT_CALLS  the calls that count, with commas: open,write,fsync,rename,unlink,mkdir,ftruncate
// SGAS_FAULT_AT     the number of the call, from 1, at which it happens; 0 never
// SGAS_FAULT_DO     kill (SIGKILL before the call), ENOSPC or EIO (the call fails), short (a write that takes half, and
//                   the next ones fail), full (this one and all later writes fail)
// SGAS_FAULT_COUNT  a file that gets the number of calls that counted, at the end of the process
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace {

std::atomic<long> counted{0};
std::atomic<bool> is_full{false};

const char *setting(const char *name) {
    const char *value = std::getenv(name);
    return value ? value : "";
}

template <typename F> F real(const char *name) { return reinterpret_cast<F>(dlsym(RTLD_NEXT, name)); }

bool counts(const char *call, const char *path) {
    const char *part = setting("SGAS_FAULT_IN");
    if (!path || !*part || !std::strstr(path, part)) return false;
    const char *found = std::strstr(setting("SGAS_FAULT_CALLS"), call);
    if (!found) return false;
    const char behind = found[std::strlen(call)];
    return behind == '\0' || behind == ',';
}

enum class Fault { none, fails, is_short };

// What happens at this call on this file; an error is in errno.
Fault fault(const char *call, const char *path) {
    if (!counts(call, path)) return Fault::none;
    if (is_full && !std::strcmp(call, "write")) {
        errno = ENOSPC;
        return Fault::fails;
    }
    if (++counted != std::atol(setting("SGAS_FAULT_AT"))) return Fault::none;
    const char *what = setting("SGAS_FAULT_DO");
    if (!std::strcmp(what, "kill")) {
        kill(getpid(), SIGKILL);
        pause();
    }
    const bool writes = !std::strcmp(call, "write");
    if (!std::strcmp(what, "full") || !std::strcmp(what, "short")) is_full = true;
    if (!std::strcmp(what, "short") && writes) return Fault::is_short;
    errno = std::strcmp(what, "EIO") ? ENOSPC : EIO;
    return Fault::fails;
}

Fault fault(const char *call, int file) {
    char link[64], path[4096];
    std::snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    const ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return Fault::none;
    path[length] = '\0';
    return fault(call, path);
}

void report() {
    const char *path = setting("SGAS_FAULT_COUNT");
    if (!*path) return;
    if (FILE *file = std::fopen(path, "w")) {
        std::fprintf(file, "%ld\n", counted.load());
        std::fclose(file);
    }
}

// For processes that end as usual; the program itself ends by _Exit.
struct AtExit {
    ~AtExit() { report(); }
} at_exit;

int opened(const char *name, const char *path, int flags, mode_t mode) {
    if ((flags & (O_WRONLY | O_RDWR)) && fault("open", path) != Fault::none) return -1;
    return real<int (*)(const char *, int, ...)>(name)(path, flags, mode);
}

} // namespace

extern "C" {

void _Exit(int code) noexcept {
    report();
    real<void (*)(int)>("_Exit")(code);
    std::abort();
}

int open(const char *path, int flags, ...) {
    va_list more;
    va_start(more, flags);
    const mode_t mode = va_arg(more, mode_t);
    va_end(more);
    return opened("open", path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    va_list more;
    va_start(more, flags);
    const mode_t mode = va_arg(more, mode_t);
    va_end(more);
    return opened("open64", path, flags, mode);
}

ssize_t write(int file, const void *bytes, size_t count) {
    const auto whole = real<ssize_t (*)(int, const void *, size_t)>("write");
    switch (fault("write", file)) {
    case Fault::none: return whole(file, bytes, count);
    case Fault::is_short: return whole(file, bytes, count / 2);
    default: return -1;
    }
}

int fsync(int file) { return fault("fsync", file) != Fault::none ? -1 : real<int (*)(int)>("fsync")(file); }

int ftruncate64(int file, off64_t length) {
    return fault("ftruncate", file) != Fault::none ? -1 : real<int (*)(int, off64_t)>("ftruncate64")(file, length);
}

int rename(const char *from, const char *to) {
    return fault("rename", to) != Fault::none ? -1 : real<int (*)(const char *, const char *)>("rename")(from, to);
}

int unlink(const char *path) {
    return fault("unlink", path) != Fault::none ? -1 : real<int (*)(const char *)>("unlink")(path);
}

int mkdir(const char *path, mode_t mode) {
    return fault("mkdir", path) != Fault::none ? -1 : real<int (*)(const char *, mode_t)>("mkdir")(path, mode);
}
}

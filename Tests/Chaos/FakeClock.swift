import CSystem
import EventLoop
import Glibc

/// A library that Redis is started with: adds the number in a file to its wall clock, so that this can step.
enum FakeClock {
    /// Compiles the library and returns its path; nil where there is no C compiler.
    static func prepare(in directory: String) throws -> String? {
        let source = "\(directory)/clock.c"
        let library = "\(directory)/clock.so"
        try Files.replace(source, with: Array(text.utf8))
        guard try Shell.run(["cc", "-O1", "-shared", "-fPIC", "-o", library, source]) else { return nil }
        return library
    }

    /// What a program is started with whose clock is the one in `directory`, off by `step` at first.
    static func environment(_ library: String, in directory: String, by step: Duration) throws -> [String: String] {
        try Self.step(in: directory, by: step)
        return Environment.all.merging(["LD_PRELOAD": library, "CHAOS_CLOCK": "\(directory)/clock"]) { $1 }
    }

    /// Sets how far the clock is off. Written in place, since the server has mapped the file.
    static func step(in directory: String, by step: Duration) throws {
        let descriptor = shim_open("\(directory)/clock", O_WRONLY | O_CREAT, 0o600)
        guard descriptor >= 0 else { throw LoopError(call: "open the clock", code: errno) }
        defer { close(descriptor) }
        var micros = step.microseconds
        _ = pwrite(descriptor, &micros, 8, 0)
    }

    private static let text = """
        #define _GNU_SOURCE
        #include <fcntl.h>
        #include <stdint.h>
        #include <stdlib.h>
        #include <sys/mman.h>
        #include <sys/syscall.h>
        #include <sys/time.h>
        #include <time.h>
        #include <unistd.h>
        static volatile int64_t *step;
        __attribute__((constructor)) static void begin(void) {
            const char *path = getenv("CHAOS_CLOCK");
            int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
            if (fd < 0) return;
            void *at = mmap(0, 8, PROT_READ, MAP_SHARED, fd, 0);
            if (at != MAP_FAILED) step = at;
            close(fd);
        }
        int clock_gettime(clockid_t clock, struct timespec *time) {
            int code = syscall(SYS_clock_gettime, clock, time);
            if (code == 0 && step && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
                int64_t micros = *step + time->tv_nsec / 1000;
                int64_t seconds = micros / 1000000, rest = micros % 1000000;
                if (rest < 0) { rest += 1000000; seconds--; }
                time->tv_sec += seconds;
                time->tv_nsec = rest * 1000;
            }
            return code;
        }
        int gettimeofday(struct timeval *restrict time, void *restrict zone) {
            struct timespec now;
            if (clock_gettime(CLOCK_REALTIME, &now) != 0) return -1;
            time->tv_sec = now.tv_sec;
            time->tv_usec = now.tv_nsec / 1000;
            return 0;
        }
        time_t time(time_t *into) {
            struct timespec now;
            clock_gettime(CLOCK_REALTIME, &now);
            if (into) *into = now.tv_sec;
            return now.tv_sec;
        }

        """
}

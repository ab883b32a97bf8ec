import CSystem
import EventLoop
import Glibc

/// What the machine tells about processes, time and free ports.
package enum Host {
    /// Nanoseconds of a clock that only goes forward.
    package static var nanoseconds: Int {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return time.tv_sec * 1_000_000_000 + time.tv_nsec
    }

    /// Nanoseconds that a process has computed, all its threads together, also those that have ended; 0 once it is gone.
    package static func cpu(of process: Int32) -> Int {
        var clock = clockid_t()
        guard clock_getcpuclockid(process, &clock) == 0 else { return 0 }
        var time = timespec()
        guard clock_gettime(clock, &time) == 0 else { return 0 }
        return time.tv_sec * 1_000_000_000 + time.tv_nsec
    }

    /// The same with all the processes that it has started and that still run.
    package static func familyCPU(of process: Int32) -> Int { family(of: process).reduce(0) { $0 + cpu(of: $1) } }

    /// The same for this process.
    package static var ownCPU: Int { cpu(of: getpid()) }

    /// Nanoseconds that the main thread of a process could have computed and waited for a processor; 0 where nobody knows.
    package static func waitForProcessor(of process: Int32) -> Int {
        guard let bytes = try? Files.read("/proc/\(process)/schedstat") else { return 0 }
        let words = String(decoding: bytes, as: UTF8.self).split(separator: " ")
        return words.count > 1 ? Int(words[1]) ?? 0 : 0
    }

    /// Bytes of memory that a process has in use.
    package static func residentBytes(of process: Int32) -> Int {
        guard let bytes = try? Files.read("/proc/\(process)/statm") else { return 0 }
        let words = String(decoding: bytes, as: UTF8.self).split(separator: " ")
        return words.count > 1 ? (Int(words[1]) ?? 0) * Int(getpagesize()) : 0
    }

    /// A process and those that it has started.
    package static func family(of process: Int32) -> [Int32] {
        guard let tasks = try? Files.list("/proc/\(process)/task") else { return [process] }
        return [process]
            + tasks.flatMap { task -> [Int32] in
                guard let bytes = try? Files.read("/proc/\(process)/task/\(task)/children") else { return [] }
                return String(decoding: bytes, as: UTF8.self).split(separator: " ").compactMap { Int32($0) }
                    .flatMap(family)
            }
    }

    /// Processors that this process may use.
    package static var processors: Int { Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))) }

    /// How many processes wanted to run lately, over one minute.
    package static var load: Double {
        var loads = [0.0]
        return getloadavg(&loads, 1) == 1 ? loads[0] : 0
    }

    /// A port of the loopback interface that nobody uses at present.
    package static func freePort() throws(LoadError) -> Int {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let status = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, length) == 0 ? getsockname(descriptor, $0, &length) : -1
            }
        }
        guard status == 0 else { throw LoadError("there is no free port") }
        return Int(in_port_t(bigEndian: address.sin_port))
    }

    /// Gives a directory to another user of this machine, for servers that refuse to run as root.
    package static func give(_ path: String, to user: String) -> Bool {
        guard let entry = getpwnam(user) else { return false }
        return chown(path, entry.pointee.pw_uid, entry.pointee.pw_gid) == 0
    }

    /// Lets other users of this machine pass through a directory.
    package static func open(_ path: String) -> Bool { chmod(path, 0o711) == 0 }

    /// Whether anybody listens.
    package static func isAnswered(_ target: LoadTarget) -> Bool { LoadConnection.isAnswered(target) }
}

import CSystem
import Glibc

/// What the system tells about this process and its host.
package enum Environment {
    /// One variable, nil when it is not set.
    package static func get(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

    /// All variables.
    package static var all: [String: String] {
        var variables: [String: String] = [:]
        var entry = Glibc.environ
        while let text = entry.pointee {
            let line = String(cString: text)
            if let equals = line.firstIndex(of: "=") {
                variables[String(line[..<equals])] = String(line[line.index(after: equals)...])
            }
            entry += 1
        }
        return variables
    }

    /// The name of this host as the kernel has it.
    package static var hostName: String {
        var name = [CChar](repeating: 0, count: 256)
        guard gethostname(&name, name.count - 1) == 0 else { return "localhost" }
        return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// The kernel's random name for this boot of the host.
    package static func bootID() throws(LoopError) -> String {
        let bytes = try Files.read("/proc/sys/kernel/random/boot_id")
        return String(decoding: bytes.filter { $0 > UInt8(ascii: " ") }, as: UTF8.self)
    }

    /// The id of this process.
    package static var processID: Int32 { getpid() }

    /// The id of the process that started this one; it changes when that one ends.
    package static var parentProcessID: Int32 { getppid() }

    /// The id of the user that this process acts as.
    package static var userID: UInt32 { geteuid() }

    /// The id of the user of this name, nil where there is none. Asks every directory that the system is told to ask, and
    /// waits for it.
    package static func userID(named name: String) -> UInt32? {
        var entry = passwd()
        return found(&entry) { entry, room, count, found in getpwnam_r(name, entry, room, count, found) }?.pw_uid
    }

    /// The same for a group.
    package static func groupID(named name: String) -> UInt32? {
        var entry = group()
        return found(&entry) { entry, room, count, found in getgrnam_r(name, entry, room, count, found) }?.gr_gid
    }

    /// Nil where nothing was found. The texts that an entry points to are gone when this returns; its numbers stand.
    private static func found<Entry>(
        _ entry: inout Entry,
        _ ask: (
            UnsafeMutablePointer<Entry>, UnsafeMutablePointer<CChar>, Int,
            UnsafeMutablePointer<UnsafeMutablePointer<Entry>?>
        ) -> Int32
    ) -> Entry? {
        var room = [CChar](repeating: 0, count: 1 << 20)  // a group's entry names all of its members
        var found: UnsafeMutablePointer<Entry>?
        let code = room.withUnsafeMutableBufferPointer { room in
            room.baseAddress.map { ask(&entry, $0, room.count, &found) } ?? ENOMEM
        }
        return code == 0 && found != nil ? entry : nil
    }

    /// The users of this machine's own list, by their ids; those of directories elsewhere are not in it.
    package static func localUserNames() -> [UInt32: String] {
        guard let text = try? Files.read("/etc/passwd", limit: 4 << 20) else { return [:] }
        var names: [UInt32: String] = [:]
        for line in text.split(separator: UInt8(ascii: "\n")) {
            let fields = line.split(separator: UInt8(ascii: ":"), maxSplits: 3, omittingEmptySubsequences: false)
            guard fields.count > 2, let user = UInt32(String(decoding: fields[2], as: UTF8.self)) else { continue }
            // The first line of an id is the one that the system takes.
            if names[user] == nil { names[user] = String(decoding: fields[0], as: UTF8.self) }
        }
        return names
    }

    /// The path of the running program, nil where /proc is missing.
    package static var executablePath: String? {
        var path = [CChar](repeating: 0, count: 4096)
        let count = readlink("/proc/self/exe", &path, path.count)
        return count > 0 ? String(decoding: path[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self) : nil
    }

    /// The directory that relative paths begin at.
    package static var currentDirectory: String {
        guard let path = getcwd(nil, 0) else { return "/" }
        defer { free(path) }
        return String(cString: path)
    }

    /// Ends this process at once with a code that its parent sees.
    package static func exit(_ code: Int32) -> Never { Glibc.exit(code) }

    /// Raises the number of files and sockets this process may have open to the most that is allowed, and tells it.
    @discardableResult
    package static func raiseFileLimit() -> Int {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return 0 }
        limit.rlim_cur = limit.rlim_max
        _ = setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return 0 }
        return Int(clamping: limit.rlim_cur)
    }
}

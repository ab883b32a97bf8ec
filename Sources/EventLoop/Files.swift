import CSystem
import Glibc

/// Small files, read and replaced whole. Each call blocks, so it is for what a local disk answers at once.
package enum Files {
    /// How much a written file survives.
    package enum Durability: Sendable {
        /// The end of this process; nothing waits for the disk.
        case process
        /// The loss of power: the file and its directory are flushed.
        case power
    }

    /// The content of a file of at most `limit` bytes.
    package static func read(_ path: String, limit: Int = 64 << 20) throws(LoopError) -> [UInt8] {
        let descriptor = shim_open(path, O_RDONLY | O_CLOEXEC, 0)
        guard descriptor >= 0 else { throw LoopError.last("open \(path)") }
        defer { close(descriptor) }
        var content: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16384)
        while true {
            let got = Glibc.read(descriptor, &chunk, chunk.count)
            if got > 0 {
                content += chunk[..<got]
                guard content.count <= limit else { throw LoopError(call: "read \(path)", code: EFBIG) }
            } else if got == 0 {
                return content
            } else if errno != EINTR {
                throw LoopError.last("read \(path)")
            }
        }
    }

    /// The last bytes of a file, all of a smaller one.
    package static func tail(_ path: String, bytes: Int) throws(LoopError) -> [UInt8] {
        var content: [UInt8] = []
        try read(path, fromEnd: bytes) { content += $0 }
        return content
    }

    /// Hands a file over in pieces, so that it may be of any size.
    package static func read(
        _ path: String, fromEnd bytes: Int? = nil, _ take: (ArraySlice<UInt8>) -> Void
    ) throws(LoopError) {
        let descriptor = shim_open(path, O_RDONLY | O_CLOEXEC, 0)
        guard descriptor >= 0 else { throw LoopError.last("open \(path)") }
        defer { close(descriptor) }
        if let bytes {
            var status = stat()
            guard fstat(descriptor, &status) == 0,
                lseek(descriptor, max(0, status.st_size - off_t(bytes)), SEEK_SET) >= 0
            else { throw LoopError.last("seek \(path)") }
        }
        var chunk = [UInt8](repeating: 0, count: 1 << 18)
        while true {
            let got = Glibc.read(descriptor, &chunk, chunk.count)
            if got > 0 {
                take(chunk[..<got])
            } else if got == 0 {
                return
            } else if errno != EINTR {
                throw LoopError.last("read \(path)")
            }
        }
    }

    /// Replaces a file at one instant: who reads sees the old content or the new, never a part.
    ///
    /// - Parameter group: Whose group it is to be, with all of `mode`'s bits; nil leaves that to the system.
    package static func replace(
        _ path: String, with bytes: [UInt8], mode: UInt32 = 0o600, group: UInt32? = nil,
        durability: Durability = .process
    ) throws(LoopError) {
        let temporary = "\(path).new"
        var descriptor = shim_open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode)
        if descriptor < 0, errno == EEXIST {
            // Left by a process that was killed: its owner and mode are not to be taken over, nor a link followed.
            unlink(temporary)
            descriptor = shim_open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode)
        }
        guard descriptor >= 0 else { throw LoopError.last("open \(temporary)") }
        do throws(LoopError) {
            defer { close(descriptor) }
            if let group, fchown(descriptor, uid_t.max, group) != 0 || fchmod(descriptor, mode) != 0 {
                throw LoopError.last("chown \(temporary)")
            }
            try write(bytes, to: descriptor, path: temporary)
            if durability == .power, fsync(descriptor) != 0 { throw LoopError.last("fsync \(temporary)") }
        } catch {
            unlink(temporary)
            throw error
        }
        guard rename(temporary, path) == 0 else {
            let error = LoopError.last("rename \(temporary) to \(path)")
            unlink(temporary)
            throw error
        }
        if durability == .power { try flush(directoryOf: path) }
    }

    /// Adds to the end of a file, which is made when it is missing.
    package static func append(_ bytes: [UInt8], to path: String, mode: UInt32 = 0o600) throws(LoopError) {
        let descriptor = shim_open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, mode)
        guard descriptor >= 0 else { throw LoopError.last("open \(path)") }
        defer { close(descriptor) }
        try write(bytes, to: descriptor, path: path)
    }

    /// Makes a directory and the missing ones above it, open to this user only. True when it was not there before.
    @discardableResult
    package static func makeDirectory(_ path: String, mode: UInt32 = 0o700) throws(LoopError) -> Bool {
        if mkdir(path, mode) == 0 { return true }
        switch errno {
        case EEXIST where isDirectory(path): return false
        case ENOENT where path.contains("/"):
            let parent = directory(of: path)
            guard parent != path else { throw LoopError.last("mkdir \(path)") }
            try makeDirectory(parent, mode: mode)
            guard mkdir(path, mode) == 0 else { throw LoopError.last("mkdir \(path)") }
            return true
        default: throw LoopError.last("mkdir \(path)")
        }
    }

    /// The names in a directory, sorted, without `.` and `..`.
    package static func list(_ path: String) throws(LoopError) -> [String] {
        guard let directory = opendir(path) else { throw LoopError.last("opendir \(path)") }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    /// Gives a file or directory another name, in place of a file that has it.
    package static func move(_ path: String, to other: String) throws(LoopError) {
        guard rename(path, other) == 0 else { throw LoopError.last("rename \(path) to \(other)") }
    }

    /// Removes a file; nothing happens when there is none.
    package static func remove(_ path: String) throws(LoopError) {
        guard unlink(path) == 0 || errno == ENOENT else { throw LoopError.last("unlink \(path)") }
    }

    /// Removes a directory with all that is in it; links are removed, not followed.
    package static func removeTree(_ path: String) throws(LoopError) {
        var status = stat()
        guard lstat(path, &status) == 0 else {
            guard errno == ENOENT else { throw LoopError.last("lstat \(path)") }
            return
        }
        guard status.st_mode & S_IFMT == S_IFDIR else { return try remove(path) }
        for name in try list(path) { try removeTree("\(path)/\(name)") }
        guard rmdir(path) == 0 || errno == ENOENT else { throw LoopError.last("rmdir \(path)") }
    }

    /// Whether anything is at this path.
    package static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    /// Whether a directory is at this path.
    package static func isDirectory(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    /// Whether this process may run the file at this path.
    package static func isExecutable(_ path: String) -> Bool { !isDirectory(path) && access(path, X_OK) == 0 }

    /// Whether this process may read and write what is at this path.
    package static func isReadableAndWritable(_ path: String) -> Bool { access(path, R_OK | W_OK) == 0 }

    /// The permission bits of what is at this path, such as `0o600`, and the user and group it belongs to; nil where
    /// there is nothing.
    package static func permissions(_ path: String) -> (mode: UInt32, owner: UInt32, group: UInt32)? {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        return (status.st_mode & 0o7777, status.st_uid, status.st_gid)
    }

    /// The part before the last slash; `.` for a bare name, `/` for the root.
    package static func directory(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    private static func write(_ bytes: [UInt8], to descriptor: Int32, path: String) throws(LoopError) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let written = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if written >= 0 {
                rest = rest.dropFirst(written)
            } else if errno != EINTR {
                throw LoopError.last("write \(path)")
            }
        }
    }

    private static func flush(directoryOf path: String) throws(LoopError) {
        let directory = directory(of: path)
        let descriptor = shim_open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0)
        guard descriptor >= 0 else { throw LoopError.last("open \(directory)") }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw LoopError.last("fsync \(directory)") }
    }
}

/// A file that grows at its end, kept open between additions.
package final class GrowingFile {
    private let path: String
    private let descriptor: Int32
    /// Bytes in the file.
    package private(set) var size: Int

    /// Opens a file that is there.
    package init(_ path: String) throws(LoopError) {
        let descriptor = shim_open(path, O_WRONLY | O_APPEND | O_CLOEXEC, 0)
        guard descriptor >= 0 else { throw LoopError.last("open \(path)") }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            let error = LoopError.last("fstat \(path)")
            close(descriptor)
            throw error
        }
        self.path = path
        self.descriptor = descriptor
        size = Int(status.st_size)
    }

    deinit { close(descriptor) }

    /// Removes what stands behind the first `size` bytes.
    package func cut(to size: Int) throws(LoopError) {
        guard ftruncate(descriptor, off_t(size)) == 0 else { throw LoopError.last("truncate \(path)") }
        self.size = size
    }

    /// Adds all of `bytes`, or throws; what was added in part is taken back as far as the disk lets us. Survives the
    /// process, not the power.
    package func append(_ bytes: [UInt8]) throws(LoopError) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let written = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if written > 0 {
                rest = rest.dropFirst(written)
            } else if errno != EINTR {
                let error = LoopError.last("write \(path)")
                _ = ftruncate(descriptor, off_t(size))
                throw error
            }
        }
        size += bytes.count
    }
}

/// A file that one process at a time holds; the kernel lets go of it however that process ends.
package final class FileLock: Sendable {
    private let descriptor: Int32

    private init(descriptor: Int32) { self.descriptor = descriptor }

    deinit {
        // A child that is just being started has a copy of the descriptor until it runs its program, and with it the lock.
        flock(descriptor, LOCK_UN)
        close(descriptor)
    }

    /// Takes the lock at `path`, made when missing; nil when another process holds it. Held until the value goes.
    package static func take(_ path: String) throws(LoopError) -> FileLock? {
        let descriptor = shim_open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw LoopError.last("open \(path)") }
        if flock(descriptor, LOCK_EX | LOCK_NB) == 0 { return FileLock(descriptor: descriptor) }
        let error = LoopError.last("flock \(path)")
        close(descriptor)
        guard error.code == EWOULDBLOCK else { throw error }
        return nil
    }
}

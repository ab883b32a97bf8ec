import CSystem
import Glibc

/// Processes that are not children of this one, known by their numbers.
package enum ProcessGroup {
    /// Sends a signal to all processes of a group; false when there are none left or they are another user's.
    @discardableResult
    package static func signal(_ group: Int32, _ signal: Signals.Signal) -> Bool {
        group > 1 && kill(-group, signal.rawValue) == 0
    }

    /// Lets a stopped group go on, so that it can hear the signals sent to it.
    package static func `continue`(_ group: Int32) { if group > 1 { kill(-group, SIGCONT) } }

    /// Whether any process of the group is left; one that has ended and waits to be reaped still counts.
    package static func isAlive(_ group: Int32) -> Bool { group > 1 && (kill(-group, 0) == 0 || errno == EPERM) }

    /// Whether any process of the group is left that has not ended. Walks all processes of the host.
    package static func hasLivingMember(_ group: Int32) -> Bool {
        guard isAlive(group) else { return false }
        // Where the processes cannot be seen, what takes signals counts as alive.
        guard let names = try? Files.list("/proc") else { return true }
        return names.lazy.compactMap { Int32($0) }.contains { of($0) == group && startTicks(ofProcess: $0) != nil }
    }

    /// The group of a process, nil when there is no such process.
    package static func of(_ process: Int32) -> Int32? {
        let group = getpgid(process)
        return group > 0 ? group : nil
    }

    /// When a process started, in ticks since the boot; with its number it names one process for ever, since numbers
    /// are used again. Nil when it is gone, or ended and waits to be reaped.
    package static func startTicks(ofProcess process: Int32) -> UInt64? {
        guard process > 0, let bytes = try? Files.read("/proc/\(process)/stat") else { return nil }
        let text = String(decoding: bytes, as: UTF8.self)
        // The second field is the program's name in parentheses and may hold anything, so count from its end.
        guard let end = text.lastIndex(of: ")") else { return nil }
        let fields = text[text.index(after: end)...].split(separator: " ")
        guard fields.count > 19, fields[0] != "Z", fields[0] != "X" else { return nil }
        return UInt64(fields[19])
    }
}

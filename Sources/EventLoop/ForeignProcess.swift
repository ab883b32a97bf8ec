import CSystem
import Glibc

/// One process that is not a child of this one. Its number and the moment of its start name it for ever, since numbers
/// are used again.
package struct ForeignProcess: Hashable, Sendable {
    package let number: Int32
    /// In ticks since the boot.
    package let startTicks: UInt64

    package init(number: Int32, startTicks: UInt64) {
        self.number = number
        self.startTicks = startTicks
    }

    /// The process that has this number now; nil where none lives.
    package init?(_ number: Int32) {
        guard number > 0, let start = ProcessGroup.startTicks(ofProcess: number) else { return nil }
        self.init(number: number, startTicks: start)
    }

    /// False also for one that has ended and waits to be reaped.
    package var isAlive: Bool { ProcessGroup.startTicks(ofProcess: number) == startTicks }

    /// Sends a signal to it and to nobody else; false when it is gone or another user's.
    @discardableResult
    package func signal(_ signal: Signals.Signal) -> Bool {
        // The descriptor stays with whoever has the number at this moment: if that is it, the signal cannot go astray.
        let descriptor = shim_pidfd_open(number)
        guard descriptor >= 0 else { return isAlive && kill(number, signal.rawValue) == 0 }
        defer { close(descriptor) }
        return isAlive && shim_pidfd_send_signal(descriptor, signal.rawValue) == 0
    }

    /// The user it belongs to; nil where it is gone, or its real, effective and saved user differ.
    package var owner: UInt32? {
        guard let line = line("Uid:"), Set(line.prefix(3)).count == 1, let user = line.first.flatMap({ UInt32($0) }),
            isAlive
        else { return nil }
        return user
    }

    /// The name of its program as the kernel has it, of at most 15 bytes.
    package var name: String? { line("Name:")?.joined(separator: " ") }

    private func line(_ label: String) -> [Substring]? {
        guard let bytes = try? Files.read("/proc/\(number)/status") else { return nil }
        let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n")
        guard let line = lines.first(where: { $0.hasPrefix(label) }) else { return nil }
        return line.dropFirst(label.utf8.count).split { $0 == "\t" || $0 == " " }
    }
}

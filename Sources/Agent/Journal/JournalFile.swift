import EventLoop
import LeaseModel

/// The agent's state directory: held by one process at a time, with the journal and the longest ttl in it.
///
/// The journal has to survive the process, not the power: no fsync on the hot path. It is replaced atomically now and
/// then; between, each change of a unit adds a line, so that a confirm costs one write however many units there are
/// (docs/decisions/0001-journal-of-lines.md). The longest ttl has to survive the power, since after a reboot it says how long the units rest; it rarely changes.
final class JournalFile {
    let directory: String
    private let lock: FileLock
    private let bootID: String
    private var longestOnDisk = Duration.zero
    /// Nil where lines cannot be added: the next writing replaces the whole.
    private var lines: GrowingFile?
    private var sizeOfFirst = 0

    /// Lines are gathered to so many bytes before the journal is replaced, and to four times its first line.
    private static let gathered = 256 << 10

    var path: String { directory + "/journal.json" }
    private var longestPath: String { directory + "/longest-ttl" }

    /// Takes the directory, made when missing, until the value goes.
    ///
    /// - Throws: `AgentError` where another process has it or it cannot be used.
    init(directory: String) throws(AgentError) {
        let taken: FileLock?
        do throws(LoopError) {
            try Files.makeDirectory(directory)
            taken = try FileLock.take(directory + "/agent.lock")
            bootID = try Environment.bootID()
        } catch {
            throw .stateDirectory(directory, why: error.description)
        }
        guard let taken else { throw .stateDirectoryBusy(directory, process: Self.owner(of: directory)) }
        lock = taken
        self.directory = directory
        do throws(LoopError) {
            try Files.replace(Self.ownerPath(directory), with: Array(String(Environment.processID).utf8))
        } catch {
            throw .stateDirectory(directory, why: error.description)
        }
    }

    private static func ownerPath(_ directory: String) -> String { directory + "/agent.pid" }

    private static func owner(of directory: String) -> String {
        // Between the lock and the first line of its owner there is nothing to read.
        (try? Files.read(ownerPath(directory), limit: 32)).map { String(decoding: $0, as: UTF8.self) } ?? "unknown"
    }

    /// What is known of the time before this process.
    ///
    /// - Parameter isFirstJoin: The caller has just made this host's state, so nothing was ever held here.
    func past(isFirstJoin: Bool, wallClock: Duration) -> AgentPast {
        if let bytes = try? Files.read(longestPath, limit: 32), let text = Int64(String(decoding: bytes, as: UTF8.self))
        {
            longestOnDisk = .microseconds(text)
        }
        // A journal that cannot be read or understood is a lost one.
        guard let bytes = try? Files.read(path), let decoded = JournalText.decode(bytes) else {
            return isFirstJoin && !Files.exists(path) && !Files.exists(longestPath)
                ? .firstJoin : .unknown(wallClockMicroseconds: wallClock.microseconds)
        }
        var memory = decoded.memory
        memory.longestTTL = max(memory.longestTTL, longestOnDisk)
        return decoded.bootID == bootID ? .remembered(memory) : .rebooted(memory.afterReboot(wallClock: wallClock))
    }

    /// Replaces the journal. Blocks for as long as the disk takes to accept a small file.
    func write(_ memory: AgentMemory) throws(LoopError) {
        lines = nil
        if memory.longestTTL > longestOnDisk {
            try Files.replace(
                longestPath, with: Array(String(memory.longestTTL.microseconds).utf8), durability: .power)
            longestOnDisk = memory.longestTTL
        }
        let text = JournalText.encode(memory, bootID: bootID)
        try Files.replace(path, with: text)
        sizeOfFirst = text.count
        lines = try GrowingFile(path)
    }

    /// Remembers what has become of some units. False where the whole has to be written instead.
    func add(_ units: [AgentMemory.Unit], longestTTL: Duration) -> Bool {
        guard let lines, longestTTL <= longestOnDisk, lines.size < max(Self.gathered, 4 * sizeOfFirst) else {
            return false
        }
        do throws(LoopError) {
            try lines.append(JournalText.encode(units))
            return true
        } catch {
            // What is behind the last whole line may be in the way of the next one.
            self.lines = nil
            return false
        }
    }
}

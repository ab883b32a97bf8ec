import EventLoop
import LeaseModel

/// The agent's state directory: held by one process at a time, with the journal and the longest ttl in it.
///
/// The journal is replaced atomically and has to survive the process, not the power: no fsync on the hot path. The
/// longest ttl has to survive the power, since after a reboot it says how long the units rest; it rarely changes.
final class JournalFile {
    let directory: String
    private let lock: FileLock
    private let bootID: String
    private var longestOnDisk: Duration

    var path: String { directory + "/journal.json" }
    private var longestPath: String { directory + "/longest-ttl" }

    /// Takes the directory, made when missing.
    ///
    /// - Throws: `AgentError` where another process has it or it cannot be used.
    init(directory: String) throws(AgentError) {
        do throws(LoopError) {
            try Files.makeDirectory(directory)
            let lockPath = directory + "/agent.lock"
            guard let lock = try FileLock.take(lockPath) else {
                let holder = (try? Files.read(directory + "/agent.pid")).map { String(decoding: $0, as: UTF8.self) }
                throw LoopError(call: "busy:\(holder ?? "unknown")", code: 0)
            }
            self.lock = lock
            self.directory = directory
            bootID = try Environment.bootID()
            longestOnDisk = .zero
            try Files.replace(directory + "/agent.pid", with: Array(String(Environment.processID).utf8))
        } catch {
            if error.call.hasPrefix("busy:") {
                throw .stateDirectoryBusy(directory, process: String(error.call.dropFirst(5)))
            }
            throw .stateDirectory(directory, why: error.description)
        }
    }

    /// What is known of the time before this process.
    ///
    /// - Parameter isFirstJoin: The caller has just made this host's state, so nothing was ever held here.
    func past(isFirstJoin: Bool, wallClock: Duration) -> AgentPast {
        var longest = Duration.zero
        if let bytes = try? Files.read(longestPath), let text = Int64(String(decoding: bytes, as: UTF8.self)) {
            longest = .microseconds(text)
        }
        longestOnDisk = longest
        guard let bytes = try? Files.read(path), let decoded = JournalText.decode(bytes) else {
            return isFirstJoin && !Files.exists(path)
                ? .firstJoin : .unknown(wallClockMicroseconds: wallClock.microseconds)
        }
        var memory = decoded.memory
        memory.longestTTL = max(memory.longestTTL, longest)
        return decoded.bootID == bootID ? .remembered(memory) : .rebooted(memory)
    }

    func write(_ memory: AgentMemory) throws(LoopError) {
        if memory.longestTTL > longestOnDisk {
            try Files.replace(
                longestPath, with: Array(String(memory.longestTTL.microseconds).utf8), durability: .power)
            longestOnDisk = memory.longestTTL
        }
        try Files.replace(path, with: JournalText.encode(memory, bootID: bootID))
    }
}

import CSystem
import Glibc

/// The descriptors between a child and its parent while it is being started.
struct Plumbing {
    private(set) var input: (descriptor: Int32, bytes: [UInt8])?
    private(set) var output: (descriptor: Int32, limit: Int)?
    private(set) var errorOutput: (descriptor: Int32, limit: Int)?
    /// What becomes the child's descriptors 0, 1 and 2; nil leaves this process's own.
    private var childEnds: [Int32?] = [nil, nil, nil]

    init(_ command: ChildCommand) throws(LoopError) {
        do throws(LoopError) {
            switch command.input {
            case .inherited: break
            case .nothing: childEnds[0] = try Self.open("/dev/null", O_RDONLY)
            case .bytes(let bytes):
                let (reading, writing) = try Self.pipe()
                childEnds[0] = reading
                input = (writing, bytes)
                shim_set_nonblocking(writing)
            }
            output = try makeOutput(command.output, childDescriptor: 1)
            errorOutput = try makeOutput(command.errorOutput, childDescriptor: 2)
        } catch {
            closeAll()
            throw error
        }
    }

    private mutating func makeOutput(
        _ output: ChildCommand.Output, childDescriptor: Int
    ) throws(LoopError) -> (Int32, Int)? {
        switch output {
        case .inherited: return nil
        case .discarded: childEnds[childDescriptor] = try Self.open("/dev/null", O_WRONLY)
        case .file(let path): childEnds[childDescriptor] = try Self.open(path, O_WRONLY | O_CREAT | O_APPEND)
        case .collected(let limit):
            let (reading, writing) = try Self.pipe()
            childEnds[childDescriptor] = writing
            shim_set_nonblocking(reading)
            return (reading, limit)
        }
        return nil
    }

    mutating func closeChildEnds() {
        for case let end? in childEnds { close(end) }
        childEnds = [nil, nil, nil]
    }

    mutating func closeAll() {
        closeChildEnds()
        for case let end? in [input?.descriptor, output?.descriptor, errorOutput?.descriptor] { close(end) }
        input = nil
        output = nil
        errorOutput = nil
    }

    private static func open(_ path: String, _ flags: Int32) throws(LoopError) -> Int32 {
        let descriptor = shim_open(path, flags | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw LoopError.last("open \(path)") }
        return descriptor
    }

    private static func pipe() throws(LoopError) -> (reading: Int32, writing: Int32) {
        var ends: [Int32] = [-1, -1]
        guard Glibc.pipe(&ends) == 0 else { throw LoopError.last("pipe") }
        shim_close_on_exec(ends[0])
        shim_close_on_exec(ends[1])
        return (ends[0], ends[1])
    }

    // MARK: Spawning

    /// Starts the child and returns its process id.
    func spawn(_ command: ChildCommand) throws(LoopError) -> Int32 {
        guard var program = command.arguments.first else { throw LoopError(call: "posix_spawnp: no program", code: 0) }
        var arguments = command.arguments
        if let signal = command.diesWithParent {
            program = "setpriv"  // which names the child's program itself when that is missing
            arguments = [program, "--pdeathsig", signal.name, "--"] + arguments
        }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        if case .ownInForeground(let terminal) = command.group { shim_spawn_into_foreground(&actions, terminal) }
        for (descriptor, end) in childEnds.enumerated() {
            if let end { posix_spawn_file_actions_adddup2(&actions, end, Int32(descriptor)) }
        }
        shim_spawn_close_from(&actions, 3)
        if let directory = command.directory { shim_spawn_change_directory(&actions, directory) }

        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        Self.resetSignals(&attributes, group: command.group)

        let variables = (command.environment ?? Environment.all).map { "\($0.key)=\($0.value)" }.sorted()
        var processID: Int32 = 0
        let code = withCStrings(arguments) { arguments in
            withCStrings(variables) { variables in
                guard let program = arguments[0] else { return EINVAL }
                return posix_spawnp(&processID, program, &actions, &attributes, arguments, variables)
            }
        }
        guard code == 0 else { throw LoopError(call: "start \(program)", code: code) }
        return processID
    }

    /// The child hears all signals, whatever this process blocks or ignores.
    private static func resetSignals(_ attributes: inout posix_spawnattr_t, group: ChildCommand.Group) {
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        var all = sigset_t()
        sigfillset(&all)
        posix_spawnattr_setsigdefault(&attributes, &all)
        var flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF
        if group.isOwn {
            flags |= POSIX_SPAWN_SETPGROUP
            posix_spawnattr_setpgroup(&attributes, 0)
        }
        posix_spawnattr_setflags(&attributes, Int16(flags))
    }
}

private func withCStrings<Result>(
    _ texts: [String], _ body: ([UnsafeMutablePointer<CChar>?]) -> Result
) -> Result {
    let pointers: [UnsafeMutablePointer<CChar>?] = texts.map { strdup($0) } + [nil]
    defer { for pointer in pointers { free(pointer) } }
    return body(pointers)
}

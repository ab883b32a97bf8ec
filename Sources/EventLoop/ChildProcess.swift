import CSystem
import Glibc

/// A child process whose end is told on the loop; nothing blocks while it runs.
///
/// `@unchecked Sendable` holds because everything happens on the loop's thread; the async calls go there first.
package final class ChildProcess: @unchecked Sendable {
    package let processID: Int32

    private let loop: EventLoop
    private let hasOwnGroup: Bool
    private var exitWatch: ExitWatch?
    private var outputPipe: OutputPipe?
    private var errorPipe: OutputPipe?
    private var inputPipe: InputPipe?
    private var deadlineTimer: LoopTimer?
    private var passedDeadline = false
    private var result: ChildResult?
    private var waiting: [@Sendable (ChildResult) -> Void] = []

    /// Starts a child. To be called on the loop's thread, whose end is what `diesWithParent` goes by.
    /// With a `deadline` the child, or its own group, is killed once that has passed.
    package static func start(
        _ command: ChildCommand, deadline: Duration? = nil, on loop: EventLoop
    ) throws(LoopError) -> ChildProcess {
        loop.checkIsolated()
        var plumbing = try Plumbing(command)
        do throws(LoopError) {
            let processID = try plumbing.spawn(command)
            let child = ChildProcess(processID: processID, command: command, loop: loop)
            child.attach(&plumbing, deadline: deadline)
            return child
        } catch {
            plumbing.closeAll()
            throw error
        }
    }

    /// Runs a child to its end, on the loop wherever it is called.
    package static func run(
        _ command: ChildCommand, deadline: Duration, on loop: EventLoop
    ) async throws(LoopError) -> ChildResult {
        let outcome: Result<ChildResult, LoopError> = await withUnsafeContinuation { continuation in
            loop.perform {
                do throws(LoopError) {
                    let child = try start(command, deadline: deadline, on: loop)
                    child.whenFinished { continuation.resume(returning: .success($0)) }
                } catch {
                    continuation.resume(returning: .failure(error))
                }
            }
        }
        return try outcome.get()
    }

    private init(processID: Int32, command: ChildCommand, loop: EventLoop) {
        self.processID = processID
        self.loop = loop
        hasOwnGroup = command.group.isOwn
    }

    /// Waits for the end; any number of callers may.
    package func finish() async -> ChildResult {
        await withUnsafeContinuation { continuation in
            loop.perform { self.whenFinished { continuation.resume(returning: $0) } }
        }
    }

    /// Calls back on the loop's thread when the child has ended, at once when it has already.
    package func whenFinished(_ callback: @escaping @Sendable (ChildResult) -> Void) {
        loop.checkIsolated()
        if let result { callback(result) } else { waiting.append(callback) }
    }

    /// Whether the child has not been seen to end.
    package var isRunning: Bool {
        loop.checkIsolated()
        return result == nil
    }

    /// Sends a signal to the child, and to the rest of its group where it has its own. Nothing after its end.
    package func signal(_ signal: Signals.Signal) {
        loop.checkIsolated()
        guard result == nil else { return }  // reaped: the id may name a stranger by now
        kill(hasOwnGroup ? -processID : processID, signal.rawValue)
    }

    private func attach(_ plumbing: inout Plumbing, deadline: Duration?) {
        plumbing.closeChildEnds()
        outputPipe = plumbing.output.map { OutputPipe($0.descriptor, limit: $0.limit, base: loop.base) }
        errorPipe = plumbing.errorOutput.map { OutputPipe($0.descriptor, limit: $0.limit, base: loop.base) }
        inputPipe = plumbing.input.map { InputPipe($0.descriptor, bytes: $0.bytes, base: loop.base) }
        exitWatch = ExitWatch(processID: processID, loop: loop) { self.ended($0) }  // keeps self until the end
        guard let deadline else { return }
        deadlineTimer = loop.timer { [weak self] in
            self?.passedDeadline = true
            self?.signal(.kill)
        }
        deadlineTimer?.arm(after: deadline)
    }

    private func ended(_ exit: ChildExit) {
        deadlineTimer?.disarm()
        inputPipe = nil
        let result = ChildResult(
            exit: exit, output: outputPipe?.drain() ?? [], errorOutput: errorPipe?.drain() ?? [],
            passedDeadline: passedDeadline)
        self.result = result
        outputPipe = nil
        errorPipe = nil
        exitWatch = nil
        let waiting = self.waiting
        self.waiting = []
        for callback in waiting { callback(result) }
    }
}

/// Tells the end of a child by its pidfd, or by asking now and then where a sandbox refuses pidfds.
///
/// `@unchecked Sendable` holds because it is made, told and freed on the loop's thread.
private final class ExitWatch: @unchecked Sendable {
    private let processID: Int32
    private var ended: ((ChildExit) -> Void)?
    private var descriptor: Int32 = -1
    private var event: OpaquePointer?
    private var timer: LoopTimer?

    private static let pollInterval = Duration.milliseconds(20)

    init(processID: Int32, loop: EventLoop, ended: @escaping (ChildExit) -> Void) {
        self.processID = processID
        self.ended = ended
        descriptor = shim_pidfd_open(processID)
        if descriptor >= 0 {
            let context = Unmanaged.passUnretained(self).toOpaque()  // freed before this object goes
            event = event_new(loop.base, descriptor, Int16(EV_READ | EV_PERSIST), childEnded, context)
            if let event, event_add(event, nil) == 0 { return }
        }
        timer = loop.timer { [weak self] in self?.look() }
        timer?.arm(after: Self.pollInterval)
    }

    deinit { close() }

    func look() {
        var status: Int32 = 0
        let reaped = waitpid(processID, &status, WNOHANG)
        if reaped == 0 || (reaped < 0 && errno == EINTR) {
            timer?.arm(after: Self.pollInterval)
            return
        }
        close()
        let tell = ended
        ended = nil
        if reaped < 0 {
            tell?(.exited(255))  // somebody else has reaped it; how it ended is lost
        } else if shim_exited(status) != 0 {
            tell?(.exited(shim_exit_code(status)))
        } else {
            tell?(.signalled(shim_ending_signal(status)))
        }
    }

    private func close() {
        if let event { event_free(event) }
        event = nil
        if descriptor >= 0 { Glibc.close(descriptor) }
        descriptor = -1
        timer?.disarm()
    }
}

private func childEnded(_ descriptor: Int32, _ what: Int16, _ context: UnsafeMutableRawPointer?) {
    guard let context else { return }
    Unmanaged<ExitWatch>.fromOpaque(context).takeUnretainedValue().look()
}

/// Collects what a child writes, so that a full pipe never stops it.
private final class OutputPipe {
    private let descriptor: Int32
    private let limit: Int
    private var collected: [UInt8] = []
    private var event: OpaquePointer?

    init(_ descriptor: Int32, limit: Int, base: OpaquePointer) {
        self.descriptor = descriptor
        self.limit = limit
        let context = Unmanaged.passUnretained(self).toOpaque()  // freed in deinit
        event = event_new(base, descriptor, Int16(EV_READ | EV_PERSIST), outputArrived, context)
        if let event { event_add(event, nil) }
    }

    deinit {
        if let event { event_free(event) }
        close(descriptor)
    }

    /// What has come, including what is still in the pipe; a grandchild that keeps it open is not waited for.
    func drain() -> [UInt8] {
        readAll()
        return collected
    }

    func readAll() {
        var chunk = [UInt8](repeating: 0, count: 16384)
        for _ in 0..<64 {  // a child that never stops writing gets its next turn with everybody else
            let got = read(descriptor, &chunk, chunk.count)
            if got > 0 {
                collected += chunk[..<min(got, max(0, limit - collected.count))]
            } else if got < 0, errno == EINTR {
                continue
            } else {
                if got == 0, let event { event_del(event) }
                return
            }
        }
    }
}

private func outputArrived(_ descriptor: Int32, _ what: Int16, _ context: UnsafeMutableRawPointer?) {
    guard let context else { return }
    Unmanaged<OutputPipe>.fromOpaque(context).takeUnretainedValue().readAll()
}

/// Feeds a child's standard input and closes it.
private final class InputPipe {
    private var descriptor: Int32
    private var rest: ArraySlice<UInt8>
    private var event: OpaquePointer?

    init(_ descriptor: Int32, bytes: [UInt8], base: OpaquePointer) {
        self.descriptor = descriptor
        rest = bytes[...]
        let context = Unmanaged.passUnretained(self).toOpaque()  // freed in close
        event = event_new(base, descriptor, Int16(EV_WRITE | EV_PERSIST), inputWanted, context)
        if let event { event_add(event, nil) }
    }

    deinit { close() }

    func writeMore() {
        while !rest.isEmpty {
            let written = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            if written >= 0 {
                rest = rest.dropFirst(written)
            } else if errno == EAGAIN {
                return
            } else if errno != EINTR {
                break  // the child reads no more
            }
        }
        close()
    }

    private func close() {
        if let event { event_free(event) }
        event = nil
        if descriptor >= 0 { Glibc.close(descriptor) }
        descriptor = -1
    }
}

private func inputWanted(_ descriptor: Int32, _ what: Int16, _ context: UnsafeMutableRawPointer?) {
    guard let context else { return }
    Unmanaged<InputPipe>.fromOpaque(context).takeUnretainedValue().writeMore()
}
